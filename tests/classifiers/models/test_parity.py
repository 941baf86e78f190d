"""The network that has parity and the square's symmetry built in."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.classifiers.models.parity import Parity
from napari_polmap.classifiers.symmetries import symmetries
from napari_polmap.directions import DirectionSet
from napari_polmap.steps import finish

SIZE = 12
EIGHT = DirectionSet.default()


def patterns(
    count: int, rng: np.random.Generator, directions: DirectionSet = EIGHT
) -> tuple[np.ndarray, np.ndarray]:
    """Disks with an edge that is brighter toward the direction on thin specimens, darker on thick
    ones; the thickness shows in the middle. No linear model can tell them."""
    classes = rng.integers(len(directions), size=count)
    thick = rng.integers(2, size=count)
    y, x = (np.indices((SIZE, SIZE)) - (SIZE - 1) / 2) / (SIZE / 2)
    angles = np.deg2rad([a or 0.0 for a in directions.angles_deg])[classes]
    toward = np.cos(angles)[:, None, None] * x - np.sin(angles)[:, None, None] * y
    toward *= np.array([a is not None for a in directions.angles_deg])[classes][:, None, None]
    sign = np.where(thick, -1, 1)[:, None, None]
    middle = 0.5 * thick[:, None, None] * (np.hypot(y, x) < 0.4)
    images = 1 + 0.2 * sign * toward + middle + 0.05 * rng.standard_normal((count, SIZE, SIZE))
    return images.reshape(count, -1).astype(np.float32), classes


@pytest.fixture(scope="module")
def fitted() -> Parity:
    model = Parity(EIGHT, size=SIZE, odd=20, even=12, width=32, epochs=25, batch=64, device="cpu")
    return model.fit(*patterns(1200, np.random.default_rng(0)))


def test_learns_what_thickness_inverts(fitted: Parity) -> None:
    unseen, classes = patterns(400, np.random.default_rng(1))

    assert np.mean(fitted.predict_proba(unseen).argmax(axis=1) == classes) > 0.95


def test_a_turned_or_mirrored_pattern_has_the_turned_direction_exactly(fitted: Parity) -> None:
    unseen, _ = patterns(20, np.random.default_rng(2))
    before = fitted.predict_proba(unseen)

    moves = symmetries(EIGHT)

    assert len(moves) == 8
    for move in moves:
        moved = move.patterns(unseen.reshape(-1, SIZE, SIZE)).reshape(len(unseen), -1)
        np.testing.assert_allclose(
            fitted.predict_proba(np.ascontiguousarray(moved))[:, move.classes], before, atol=2e-4
        )


def test_a_centrosymmetric_pattern_tells_no_sense(fitted: Parity) -> None:
    unseen, _ = patterns(20, np.random.default_rng(3))

    found = fitted.predict_proba((unseen + unseen[:, ::-1]) / 2)

    np.testing.assert_allclose(found[:, :4], found[:, 4:], atol=1e-4)


def test_components_say_what_patterns_say(fitted: Parity) -> None:
    unseen, _ = patterns(20, np.random.default_rng(4))
    components = fitted.features.project(unseen)

    assert components.shape == (20, 32)
    np.testing.assert_array_equal(
        fitted.predict_components(components), fitted.predict_proba(unseen)
    )
    np.testing.assert_allclose(fitted.features.project(unseen[:, ::-1])[:, :20],
                               -components[:, :20], atol=1e-4)  # fmt: skip


def test_survives_its_file(fitted: Parity) -> None:
    unseen, _ = patterns(20, np.random.default_rng(5))

    again = Parity.restore(EIGHT, fitted.settings(), fitted.arrays())

    np.testing.assert_array_equal(again.predict_proba(unseen), fitted.predict_proba(unseen))


@pytest.mark.parametrize("objective", ["regression", "prototype"])
def test_learns_by_the_other_objectives(objective: str) -> None:
    model = Parity(EIGHT, size=SIZE, odd=20, even=12, width=32, epochs=20, batch=64,
                   objective=objective, device="cpu")  # fmt: skip
    model.fit(*patterns(800, np.random.default_rng(0)))
    unseen, classes = patterns(200, np.random.default_rng(1))

    assert np.mean(model.predict_proba(unseen).argmax(axis=1) == classes) > 0.8


def test_directions_without_symmetry_and_without_an_angle() -> None:
    three = DirectionSet(["A", "B", "out"], [0.0, 130.0, None])
    model = Parity(three, size=SIZE, odd=20, even=12, width=32, epochs=25, batch=64, device="cpu")
    rng = np.random.default_rng(0)

    steps = [*iter_steps(model, *patterns(400, rng, three))]

    assert len(symmetries(three)) == 1
    assert steps[-1].epoch == 25
    unseen, classes = patterns(200, rng, three)
    assert np.mean(model.predict_proba(unseen).argmax(axis=1) == classes) > 0.8


def test_same_seed_same_network() -> None:
    rng = np.random.default_rng(0)
    data = patterns(200, rng)

    one, two = (
        Parity(EIGHT, size=SIZE, odd=20, even=12, width=16, epochs=2, device="cpu").fit(*data)
        for _ in range(2)
    )

    for name, array in one.arrays().items():
        np.testing.assert_array_equal(array, two.arrays()[name])


def iter_steps(model: Parity, *data: np.ndarray):
    told: list = []
    finish(model.iter_fit(*data), told.append)
    return told
