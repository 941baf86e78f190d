"""Context: outliers are outvoted, walls stay, windows with defects do not speak for others."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.classifiers.context import Context
from napari_polmap.diffraction.windows import Window

WIDTH = 4.0


def _probabilities(labels: np.ndarray, sure: float = 0.7) -> np.ndarray:
    others = (1 - sure) / 3
    return np.where(np.arange(4) == labels[..., None], sure, others).astype(np.float32)


def _apply(probabilities: np.ndarray, novelty: np.ndarray) -> np.ndarray:
    whole = (slice(0, probabilities.shape[0]), slice(0, probabilities.shape[1]))
    return Context().apply(probabilities, novelty, whole, WIDTH)


def test_lonely_outlier_is_outvoted_and_wall_stays() -> None:
    labels = np.zeros((24, 30), int)
    labels[:, 15:] = 2
    given = labels.copy()
    given[8:10, 5:7] = 1
    shared = _apply(_probabilities(given), np.ones(labels.shape, np.float32))
    np.testing.assert_array_equal(shared.argmax(-1), labels)
    np.testing.assert_allclose(shared.sum(-1), 1, rtol=1e-5)


def test_confident_small_domain_stays() -> None:
    labels = np.zeros((24, 24), int)
    labels[8:16, 8:16] = 3
    shared = _apply(_probabilities(labels, 0.97), np.ones(labels.shape, np.float32))
    np.testing.assert_array_equal(shared.argmax(-1), labels)


def test_novel_windows_do_not_speak_for_sound_ones() -> None:
    labels = np.zeros((24, 24), int)
    labels[6:18, 6:18] = 1
    novelty = np.where(labels == 1, 1.5, 1.0).astype(np.float32)
    shared = _apply(_probabilities(labels, 0.6), novelty)
    outvoted = (shared.argmax(-1) == 0)[labels == 1].mean()
    alike = _apply(_probabilities(labels, 0.6), np.ones_like(novelty))
    assert outvoted > (alike.argmax(-1) == 0)[labels == 1].mean() + 0.2
    assert (shared.argmax(-1) == 0)[labels == 0].all()


def test_positions_without_data_stay_out() -> None:
    labels = np.zeros((16, 16), int)
    probabilities = _probabilities(labels)
    novelty = np.ones(labels.shape, np.float32)
    probabilities[3:6, 3:6], novelty[3:6, 3:6] = 0, np.nan
    shared = _apply(probabilities, novelty)
    assert (shared[3:6, 3:6] == 0).all()
    np.testing.assert_array_equal(shared.argmax(-1)[8], 0)


def test_agreeing_neighbors_make_each_other_surer_and_a_lonely_one_not() -> None:
    labels = np.zeros((24, 24), int)
    labels[12, 12] = 1
    probabilities = _probabilities(labels)
    known = np.ones(labels.shape, np.float32)
    shared = _apply(probabilities, known)
    raised = probabilities[0, 0] ** 1.5
    np.testing.assert_allclose(shared[0, 0], raised / raised.sum(), rtol=0.1)
    whole = (slice(0, 24), slice(0, 24))
    mean = Context(gain=0.0).apply(probabilities, known, whole, WIDTH)
    assert (shared[..., 0] >= mean[..., 0] - 1e-6).all()
    assert shared[12, 12].max() < shared[0, 0].max()


def test_only_windows_that_are_asked_decide() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(4), (40, 40)).astype(np.float32)
    novelty = rng.uniform(0.8, 1.2, (40, 40)).astype(np.float32)
    one = (slice(20, 21), slice(3, 4))
    asked = Context().asked(novelty.shape, one, WIDTH)
    assert 20 < asked.sum() < 120
    assert asked[20, 3]
    some = Context().apply(probabilities, np.where(asked, novelty, np.nan), one, WIDTH)
    every = Context().apply(probabilities, novelty, one, WIDTH)
    np.testing.assert_allclose(some, every, rtol=1e-6)


def test_parts_give_what_the_whole_gives() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), (40, 40)).astype(np.float32)
    novelty = rng.uniform(0.8, 1.2, (40, 40)).astype(np.float32)
    whole = _apply(probabilities, novelty)
    reach = max(dy for dy, _, _ in Context().shifts(WIDTH))
    rows = slice(20 - reach, 25 + reach)
    part = Context().apply(
        probabilities[rows], novelty[rows], (slice(reach, reach + 5), slice(0, 40)), WIDTH
    )
    np.testing.assert_allclose(part, whole[20:25], rtol=1e-5)


def test_windows_that_hold_the_same_patterns_gain_nothing() -> None:
    assert Context(gain=1.0).within(1.0).gain == 0
    assert Context(gain=1.0).within(4.0).gain == 0.75
    cell = Window.of(1.0, 8.0, (8, 8))
    assert cell.independent((8, 8)) == 1
    assert Window.of(1.0, 8.0, (24, 16)).independent((24, 16)) == pytest.approx(6)
    assert Window.of(1.0, 8.0, (128, 128)).independent((128, 128)) == pytest.approx(81, rel=0.1)
