from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.noise import poisson_counts


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
