from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.diffraction.symmetry import (
    mirror_angle,
    mirror_center,
    mirror_patterns,
    mirror_scan,
    rotate_angle,
    rotate_center,
    rotate_patterns,
    rotate_scan,
)
from napari_polmap.directions import screen_vectors
from napari_polmap.errors import PolmapError


def spot(shape: tuple[int, int], place: tuple[int, int]) -> np.ndarray:
    image = np.zeros(shape)
    image[place] = 1
    return image


def test_a_spot_turns_with_its_angle() -> None:
    # A spot to the right of the beam (0°), then above it (90°).
    pattern = spot((5, 5), (2, 4))
    for turns in range(-1, 5):
        dy, dx = 2 * screen_vectors([rotate_angle(0.0, turns)])[0]
        expected = spot((5, 5), (2 + round(dy), 2 + round(dx)))
        assert (rotate_patterns(pattern, turns) == expected).all()


def test_a_spot_is_mirrored_with_its_angle() -> None:
    pattern = spot((5, 5), (1, 3))
    dy, dx = np.sqrt(2) * screen_vectors([mirror_angle(45.0)])[0]
    assert (mirror_patterns(pattern) == spot((5, 5), (2 + round(dy), 2 + round(dx)))).all()


def test_scan_and_detector_turn_together() -> None:
    scan = np.random.default_rng(0).random((2, 3, 4, 5, 7))
    turned = rotate_scan(scan, 1)
    assert turned.shape == (2, 4, 3, 7, 5)
    # Counter-clockwise: the upper right corner comes to the upper left.
    assert (turned[:, 0, 0] == rotate_patterns(scan[:, 0, -1], 1)).all()
    assert (rotate_scan(turned, 3) == scan).all()


def test_mirroring_reverses_scan_and_detector_columns() -> None:
    scan = np.random.default_rng(0).random((3, 4, 5, 7))
    mirrored = mirror_scan(scan)
    assert (mirrored[1, 0] == scan[1, -1, :, ::-1]).all()
    assert (mirror_scan(mirrored) == scan).all()


def test_mirror_and_turn_make_the_symmetry_of_the_square() -> None:
    # Mirror, turn, mirror is the turn backwards, for data and for angles.
    scan = np.random.default_rng(0).random((3, 3, 5, 5))
    assert (mirror_scan(rotate_scan(mirror_scan(scan), 1)) == rotate_scan(scan, -1)).all()
    assert mirror_angle(rotate_angle(mirror_angle(30.0), 1)) == rotate_angle(30.0, -1)


@pytest.mark.parametrize("turns", range(4))
def test_center_moves_with_the_pixels(turns: int) -> None:
    pattern = spot((4, 7), (3, 1))
    place = np.argwhere(rotate_patterns(pattern, turns))[0]
    assert rotate_center((3, 1), (4, 7), turns) == tuple(place)
    assert mirror_center((3, 1), (4, 7)) == tuple(np.argwhere(mirror_patterns(pattern))[0])


def test_middle_of_an_odd_detector_stays() -> None:
    assert rotate_center((3, 3), (7, 7), 1) == (3, 3)
    assert mirror_center((3, 3), (7, 7)) == (3, 3)


def test_missing_axes_are_refused() -> None:
    with pytest.raises(PolmapError, match="at least 4 axes"):
        rotate_scan(np.zeros((3, 3, 3)), 1)
    with pytest.raises(PolmapError, match="at least 2 axes"):
        mirror_patterns(np.zeros(3))
