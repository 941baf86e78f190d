from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.noise import draw_response, expose, point_spread, poisson_counts


def test_counts_have_the_dose_and_the_variance_of_poisson() -> None:
    patterns = np.random.default_rng(0).random((500, 8, 8))
    counts = poisson_counts(patterns, 1000, np.random.default_rng(1))
    assert counts.sum((-2, -1)).mean() == pytest.approx(1000, rel=0.01)
    expected = patterns * 1000 / patterns.sum((-2, -1)).mean()
    assert ((counts - expected) ** 2 / expected).mean() == pytest.approx(1, rel=0.05)


def test_dose_of_the_incident_beam() -> None:
    patterns = np.full((200, 4, 4), 0.5 / 16)
    counts = poisson_counts(patterns, 1000, np.random.default_rng(1), incident=1.0)
    assert counts.sum((-2, -1)).mean() == pytest.approx(500, rel=0.02)


def test_same_seed_same_counts() -> None:
    patterns = np.ones((3, 4, 4))
    first, again = (poisson_counts(patterns, 50, np.random.default_rng(7)) for _ in range(2))
    assert (first == again).all()


@pytest.mark.parametrize(
    ("pattern", "electrons"),
    [
        (np.full((4, 4), -1.0), 10),
        (np.full((4, 4), np.nan), 10),
        (np.zeros((4, 4)), 10),
        (np.ones((4, 4)), 0),
    ],
)
def test_impossible_doses_are_refused(pattern: np.ndarray, electrons: float) -> None:
    with pytest.raises(PolmapError):
        poisson_counts(pattern, electrons, np.random.default_rng(0))


def test_one_dose_for_every_pattern() -> None:
    patterns = np.full((3, 40, 40), 1 / 1600)
    counts = expose(patterns, [1e3, 1e4, 1e5], np.random.default_rng(0))
    assert counts.sum((-2, -1)) == pytest.approx([1e3, 1e4, 1e5], rel=0.1)
    with pytest.raises(PolmapError, match="every pattern"):
        expose(patterns, [1e3, 1e4], np.random.default_rng(0))


def test_stored_patterns_are_exposed_in_their_units() -> None:
    patterns = np.full((50, 10, 10), 0.6 / 100)
    stored = expose(patterns * 10_000, 2000, np.random.default_rng(3), incident=10_000)
    assert stored.sum((-2, -1)).mean() == pytest.approx(1200, rel=0.02)


def test_counts_of_imperfect_pixels_have_mean_and_variance_of_poisson() -> None:
    response = draw_response(
        (12, 12), gain_variation=0.1, dead_share=0.05, hot_share=0.05, dark_counts=0.5, seed=1
    )
    pattern = np.random.default_rng(0).random((12, 12))
    pattern /= pattern.sum()
    counts = expose(
        np.broadcast_to(pattern, (4000, 12, 12)), 2000, np.random.default_rng(1), response=response
    )
    mean = 2000 * pattern * response.efficiency + response.dark
    alive = ~response.dead
    assert (counts[:, response.dead] == 0).all()
    errors = (counts.mean(0) - mean)[alive] / np.sqrt(mean[alive] / 4000)
    assert np.abs(errors).max() < 5
    assert errors.std() == pytest.approx(1, abs=0.2)
    assert (counts.var(0) / mean)[alive] == pytest.approx(1, abs=0.15)


def test_response_of_a_seed() -> None:
    options = {"gain_variation": 0.1, "dead_share": 0.02, "hot_share": 0.03, "hot_counts": 30.0}
    first, again = (draw_response((50, 40), **options, seed=8) for _ in range(2))
    assert (first.efficiency == again.efficiency).all()
    assert (first.bad_pixels == again.bad_pixels).all()
    assert first.bad_pixels.sum() == 40 + 60
    assert not (first.dead & first.hot).any()
    assert first.efficiency.mean() == pytest.approx(1, abs=0.01)
    assert first.efficiency.std() == pytest.approx(0.1, rel=0.1)
    assert first.dark[first.hot].min() >= 10
    assert first.dark[first.hot].max() <= 90
    assert (first.dark[~first.hot] == 0).all()
    other = draw_response((50, 40), **options, seed=9)
    assert (first.bad_pixels != other.bad_pixels).any()


def test_perfect_detector_counts_every_electron() -> None:
    response = draw_response((6, 5))
    assert (response.efficiency == 1).all()
    assert not response.bad_pixels.any()
    with pytest.raises(PolmapError, match="record them"):
        expose(np.ones((4, 4)), 10, np.random.default_rng(0), response=response)


def test_point_spread_keeps_the_sum_inside() -> None:
    pattern = np.zeros((2, 21, 21))
    pattern[0, 10, 10] = pattern[1, 10, 0] = 1
    spread = point_spread(pattern, 1.5)
    rows = np.arange(21) - 10.0
    assert spread[0].sum() == pytest.approx(1, abs=1e-4)
    assert spread[0].sum(1) @ rows**2 == pytest.approx(2.25, rel=0.01)
    assert spread[0] == pytest.approx(spread[0].T, abs=1e-6)
    assert 0.5 < spread[1].sum() < 0.7
    assert (point_spread(pattern, 0.0) == pattern).all()
