"""Patterns whose asymmetry tells their direction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_polmap.classifiers.models.base import Classes
from napari_polmap.classifiers.models.features import Floats
from napari_polmap.directions import DirectionSet

Make = Callable[..., tuple[Floats, Classes]]


def tilted_disks(
    n: int,
    size: int = 16,
    *,
    seed: int = 0,
    directions: DirectionSet | None = None,
    strength: float = 0.4,
) -> tuple[Floats, Classes]:
    """Noisy disks, brighter toward their direction; those without an angle have a hole."""
    directions = directions or DirectionSet.default()
    rng = np.random.default_rng(seed)
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) / (size / 2)
    classes = rng.permutation(np.arange(n) % len(directions)).astype(np.intp)
    dy, dx = directions.vectors[classes].T[:, :, None, None]
    slope = np.where(np.isnan(dy), -2 * np.exp(-8 * (x**2 + y**2)), strength * (dy * y + dx * x))
    patterns = (np.hypot(y, x) < 0.7) * (1 + slope) + 0.03 * rng.standard_normal((n, size, size))
    patterns = patterns.reshape(n, -1)
    return (patterns / patterns.mean(axis=1, keepdims=True)).astype(np.float32), classes


@pytest.fixture
def disks() -> Make:
    """See `tilted_disks`."""
    return tilted_disks
