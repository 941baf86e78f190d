"""The beam's shift over the scan, in groups of positions."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.shifts import beam_shifts, centered, nearest_good, steps_per_px

ROWS, COLUMNS = slice(3, 20), slice(10, 42)
SCAN = (40, 64)


@pytest.mark.parametrize("descan", [None, (0.0, 0.0, 0.0, 0.0)])
def test_without_a_descan_there_is_one_group(descan) -> None:
    calibration = Calibration(descan_px=descan)
    ((shift, positions),) = beam_shifts(calibration, ROWS, COLUMNS, SCAN, 0.1)
    assert shift == (0.0, 0.0)
    assert positions.shape == (17, 32)
    assert positions.all()


def test_every_position_is_in_the_group_of_its_shift() -> None:
    calibration = Calibration(center_px=(30.0, 31.0), descan_px=(0.05, -0.02, 0.01, 0.08))
    centers = calibration.center_at(np.arange(3, 20)[:, None], np.arange(10, 42)[None, :], SCAN)
    counts = np.zeros((17, 32), int)
    seen = set()
    for shift, positions in beam_shifts(calibration, ROWS, COLUMNS, SCAN, 0.125):
        counts += positions
        assert positions.any()
        error = centers[positions] - calibration.center_px - shift
        assert np.abs(error).max() <= 0.125 / 2 + 1e-9
        assert np.allclose(np.array(shift) * 8, np.rint(np.array(shift) * 8))
        seen.add(shift)
    assert (counts == 1).all()
    assert len(seen) > 10


def test_the_shift_vanishes_in_the_middle_of_the_scan_and_needs_no_center() -> None:
    calibration = Calibration(descan_px=(0.5, 0.0, 0.0, -0.5))
    ((shift, _),) = beam_shifts(calibration, slice(20, 21), slice(32, 33), (41, 65), 0.01)
    assert shift == (0.0, 0.0)
    ((shift, _),) = beam_shifts(calibration, slice(22, 23), slice(30, 31), (41, 65), 0.01)
    assert shift == pytest.approx((1.0, 1.0))


def test_centered_patterns_have_the_beam_at_the_center() -> None:
    ky, kx = np.mgrid[:40, :44]

    def spots(row: float, column: float) -> np.ndarray:
        return np.exp(-((ky - row) ** 2 + (kx - column) ** 2) / 50)

    patterns = np.stack([spots(21.25, 18.5), 3 * spots(21.25, 18.5)])
    moved = centered(patterns, (1.25, -2.5))
    np.testing.assert_allclose(moved[0], spots(20, 21), atol=0.01)
    np.testing.assert_allclose(moved[1], 3 * moved[0])
    # Whole pixels are exact, in any dtype; the edge is repeated.
    counts = np.random.default_rng(0).integers(0, 9, (3, 40, 44)).astype(np.uint8)
    moved = centered(counts, (2.0, -1.0))
    np.testing.assert_array_equal(moved[:, :38, 1:], counts[:, 2:, :43])
    np.testing.assert_array_equal(moved[:, 38:, 1:], np.repeat(counts[:, 39:, :43], 2, axis=1))
    assert centered(counts, (0.0, 0.0)) is counts


def test_bad_pixels_are_not_moved_along() -> None:
    flat = np.full((20, 20), 7.0)
    bad = np.zeros((20, 20), bool)
    bad[8:11, 5] = bad[0] = True
    flat[bad] = 1e6
    np.testing.assert_allclose(centered(flat, (0.5, 1.25), bad), 7.0)


def test_the_nearest_good_pixel() -> None:
    bad = np.zeros((6, 8), bool)
    bad[:, :3] = bad[4, 6] = True
    rows, columns, good_rows, good_columns = nearest_good(bad)
    assert sorted(zip(rows, columns, strict=True)) == [tuple(pixel) for pixel in np.argwhere(bad)]
    assert not bad[good_rows, good_columns].any()
    gap = columns < 3
    np.testing.assert_array_equal(good_rows[gap], rows[gap])
    assert (good_columns[gap] == 3).all()
    assert np.hypot(good_rows[~gap] - 4, good_columns[~gap] - 6) == pytest.approx([1.0])
    assert nearest_good(np.zeros((4, 4), bool)).shape == (4, 0)


@pytest.mark.parametrize("radius", [2.0, 9.0, 15.0, 30.0, 60.0, 300.0])
def test_steps_are_small_against_the_radius(radius: float) -> None:
    half = 0.5 / steps_per_px(Calibration(radius_px=radius))
    assert half <= 0.004 * radius
    assert steps_per_px(Calibration()) == 8
