"""The direct beam's disk among diffracted disks that do not overlap.

``tests/data/nanobeam_means.npz`` holds counts of nanobeam patterns of a perfect cell of (K,Na)NbO3
(200 kV, 1 to 3 mrad, 10 to 60 nm thick, tilted by up to 4 mrad), made by
benchmarks/nanobeam_disk.py, padded with zeros, with the true center and radius.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr

from napari_polmap.diffraction.disk import measure_disk
from napari_polmap.diffraction.disk_edge import Edge
from napari_polmap.diffraction.separate_disks import find_spots, on_lattice, territory

MEANS = np.load(Path(__file__).parents[1] / "data" / "nanobeam_means.npz")
BRIGHTER_ELSEWHERE = (1,)
"""Patterns on whose detector a whole diffracted disk is brighter than the direct beam's."""


@pytest.mark.parametrize("index", range(len(MEANS["radius_px"])))
def test_simulated_nanobeam_patterns(index: int) -> None:
    radius = float(MEANS["radius_px"][index])
    size = MEANS["size"][index]
    disk = measure_disk(MEANS["pattern"][index][:size, :size])
    errors = (np.array(disk.center_px) - MEANS["center_px"][index]) / radius
    assert np.abs(errors).max() < 0.02
    assert disk.radius_px == pytest.approx(radius, rel=0.03)
    assert bool(disk.warnings) == (index in BRIGHTER_ELSEWHERE)


def _disks(brightness: dict[tuple[int, int], float], radius: float = 4.0) -> np.ndarray:
    """Disks of a lattice of 15 pixels around (60.3, 57.8)."""
    rows, columns = np.indices((120, 116))
    pattern = np.full(rows.shape, 0.5)
    for (row, column), value in brightness.items():
        distance = np.hypot(rows - 60.3 - 15 * row, columns - 57.8 - 15 * column)
        pattern += value * ndtr((radius - distance) / 0.5)
    return pattern


SYMMETRIC = {(0, 0): 100.0, (0, 1): 30.0, (0, -1): 30.0, (1, 0): 30.0, (-1, 0): 30.0}


def test_spots_are_the_disks() -> None:
    pattern = _disks(SYMMETRIC)
    spots = find_spots(pattern, np.ones(pattern.shape, bool), 4.0)
    assert len(spots) == 5
    assert spots[0].center == pytest.approx([60.3, 57.8], abs=0.3)
    assert spots[0].brightness > 2 * spots[1].brightness


def test_nothing_but_noise_has_no_bright_spots() -> None:
    flat = np.random.default_rng(0).poisson(1000.0, (64, 64)).astype(float)
    assert find_spots(flat, np.ones(flat.shape, bool), 4.0) == []


def test_territories_part_the_detector() -> None:
    pattern = _disks(SYMMETRIC)
    use = np.ones(pattern.shape, bool)
    spots = find_spots(pattern, use, 4.0)
    parts = [territory(spots, spot.center, use) for spot in spots]
    np.testing.assert_array_equal(np.sum(parts, axis=0), 1)
    assert all(part[tuple(s.center.astype(int))] for part, s in zip(parts, spots, strict=True))


def test_neighbors_correct_a_disk_that_is_shaded_on_one_side() -> None:
    pattern = _disks(SYMMETRIC)
    alone = Edge(60.6, 57.5, 4.0, 0.5)
    use = np.ones(pattern.shape, bool)
    found = on_lattice(pattern, use, find_spots(pattern, use, 4.0), alone)
    assert found is not None
    assert (found.center_y, found.center_x) == pytest.approx((60.3, 57.8), abs=0.03)
    assert found.radius == pytest.approx(4.0, rel=0.02)


def test_no_lattice_of_few_disks() -> None:
    pattern = _disks({(0, 0): 100.0, (0, 1): 30.0})
    use = np.ones(pattern.shape, bool)
    spots = find_spots(pattern, use, 4.0)
    assert on_lattice(pattern, use, spots, Edge(60.3, 57.8, 4.0, 0.5)) is None


def test_a_much_brighter_disk_off_the_middle_is_the_direct_beam() -> None:
    """A beam that was shifted on purpose: diffracted disks near the middle are faint."""
    disk = measure_disk(_disks({(1, 1): 100.0, (0, 1): 20.0, (1, 0): 20.0, (0, 0): 15.0}))
    assert disk.center_px == pytest.approx((75.3, 72.8), abs=0.08)
    assert disk.warnings == ()
