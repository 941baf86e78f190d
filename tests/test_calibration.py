"""Calibration values, where they came from, and the frames they define."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_polmap.calibration import Calibration, electron_wavelength_nm
from napari_polmap.errors import CalibrationError


def test_values_and_their_sources() -> None:
    blank = Calibration()
    assert blank.step_nm is None
    file = blank.updated("file", step_nm=0.05, energy_kv=200)
    both = file.updated("user", step_nm=0.06)
    assert both.step_nm == 0.06
    assert both.sources == {"step_nm": "user", "energy_kv": "file"}
    assert file.step_nm == 0.05  # unchanged
    assert both.updated("user", step_nm=None).step_nm is None
    assert "step_nm" not in both.updated("user", step_nm=None).sources


def test_filling_leaves_what_is_known() -> None:
    known = Calibration(radius_px=12.0, rotation_deg=3.0).updated("user", center_px=(1, 2))
    filled = known.filled(
        "measured", center_px=(5, 5), radius_px=9.0, rotation_deg=7.0, lattice_nm=0.4, step_nm=None
    )
    assert filled.center_px == (1, 2)
    assert filled.radius_px == 12
    assert filled.rotation_deg == 3
    assert filled.lattice_nm == 0.4
    assert filled.sources == {"center_px": "user", "lattice_nm": "measured"}
    assert known.filled("measured", center_px=(5, 5)) is known
    turned = Calibration().filled("file", rotation_deg=25.0)
    assert turned.rotation_deg == 25
    assert turned.filled("measured", rotation_deg=1.0).rotation_deg == 25


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"step_nm": 0}, "step_nm must be a positive number"),
        ({"radius_px": -3}, "radius_px must be a positive number"),
        ({"mrad_per_pixel": np.nan}, "mrad_per_pixel"),
        ({"lattice_nm": np.inf}, "lattice_nm"),
        ({"lattice_nm": "large"}, "lattice_nm must be a positive number, but is large"),
        ({"energy_kv": 200000}, "in kV"),
        ({"center_px": (1, np.nan)}, "2 finite numbers"),
        ({"center_px": (1,)}, "2 finite numbers"),
        ({"center_px": (1, 2, 3)}, "2 finite numbers"),
        ({"center_px": 5}, "2 finite numbers"),
        ({"rotation_deg": np.inf}, "rotation_deg"),
        ({"crystal_angle_deg": "left"}, "crystal_angle_deg must be a finite angle"),
        ({"step": 1}, "no calibration value 'step'"),
    ],
)
def test_impossible_values(values: dict, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        Calibration().updated("user", **values)


def test_derived_values() -> None:
    calibration = Calibration(
        step_nm=0.05, lattice_nm=0.4, semi_angle_mrad=24, radius_px=20, mrad_per_pixel=1.0
    )
    assert calibration.cell_positions == pytest.approx(8)
    assert calibration.disk_mrad_per_pixel == pytest.approx(1.2)
    assert Calibration(mrad_per_pixel=1.0).disk_mrad_per_pixel == 1.0
    assert Calibration(step_nm=0.05).cell_positions is None


def test_json_round_trip() -> None:
    calibration = Calibration(rotation_deg=12, flip=True).updated(
        "measured", center_px=(30.25, 31.5), radius_px=10
    )
    values = json.loads(json.dumps(calibration.to_dict()))
    assert Calibration.from_dict(values) == calibration
    assert Calibration.from_dict({**values, "from the future": 1}) == calibration


def test_wavelength() -> None:
    # Reimer and Kohl, Transmission Electron Microscopy, table 2.1.
    assert electron_wavelength_nm(100) == pytest.approx(0.0037014, rel=1e-3)
    assert electron_wavelength_nm(200) == pytest.approx(0.0025079, rel=1e-3)
    assert electron_wavelength_nm(300) == pytest.approx(0.0019687, rel=1e-3)


# What the detector shows of a vector of the scan's frame, (row, column): the design's "flip first,
# then rotation counter-clockwise, bring the pattern into the scan's frame", undone.
UP, RIGHT = (-1.0, 0.0), (0.0, 1.0)


def test_rotation_of_the_detector() -> None:
    # Turning the pattern by 90 degrees counter-clockwise brings it into the scan's frame: what is
    # right in the pattern is up in the scan.
    matrix = Calibration(rotation_deg=90).to_detector()
    np.testing.assert_allclose(matrix @ UP, RIGHT, atol=1e-12)
    np.testing.assert_allclose(matrix @ RIGHT, (1, 0), atol=1e-12)


def test_flip_of_the_detector() -> None:
    matrix = Calibration(flip=True).to_detector()
    np.testing.assert_allclose(matrix @ UP, (1, 0), atol=1e-12)
    np.testing.assert_allclose(matrix @ RIGHT, RIGHT, atol=1e-12)


def test_flip_comes_before_the_rotation() -> None:
    # The pattern's down becomes up by the flip, then left by the rotation.
    matrix = Calibration(flip=True, rotation_deg=90).to_detector()
    np.testing.assert_allclose(matrix @ (0, -1), (1, 0), atol=1e-12)


def test_crystal_frame() -> None:
    # The crystal's [100] points up in the scan, which the detector shows as it is.
    calibration = Calibration(crystal_angle_deg=90)
    np.testing.assert_allclose(calibration.to_detector() @ RIGHT, UP, atol=1e-12)
    np.testing.assert_allclose(calibration.to_detector(crystal_frame=False), np.eye(2), atol=1e-12)
    # Detector and crystal turned alike cancel.
    both = Calibration(crystal_angle_deg=30, rotation_deg=30)
    np.testing.assert_allclose(both.to_detector(), np.eye(2), atol=1e-12)


def test_an_image_turned_by_hand() -> None:
    """The matrix against np.rot90 and np.flip of a pattern."""
    pattern = np.zeros((9, 9))
    pattern[1, 4] = 1  # up, in the scan's frame
    for quarter in range(4):
        for flip in (False, True):
            detector = np.rot90(pattern, -quarter)  # undo the counter-clockwise rotation
            detector = np.flip(detector, 0) if flip else detector
            row, column = np.argwhere(detector)[0] - 4
            matrix = Calibration(rotation_deg=90 * quarter, flip=flip).to_detector()
            np.testing.assert_allclose(matrix @ (-3, 0), (row, column), atol=1e-9)


def test_center_wanders_with_the_descan():
    calibration = Calibration(center_px=(10.0, 20.0), descan_px=(0.1, 0.0, -0.2, 0.05))
    center = calibration.center_at([0, 4, 8], 2, (9, 5))
    np.testing.assert_allclose(center, [[9.6, 20.8], [10.0, 20.0], [10.4, 19.2]])
    assert calibration.center_at(4, 4, (9, 5)) == pytest.approx([10.0, 20.1])
    assert Calibration.from_dict(calibration.to_dict()) == calibration
    with pytest.raises(CalibrationError, match="center is not known"):
        Calibration().center_at(0, 0, (1, 1))


def test_ellipse_keeps_the_radius_on_the_edge():
    calibration = Calibration(center_px=(0.0, 0.0), radius_px=10.0, ellipse=(1.21, 90.0))
    # The longer axis stands upright: 10 * sqrt(1.21) along ky, 10 / sqrt(1.21) along kx.
    np.testing.assert_allclose(calibration.disk_distance([11.0, 0.0], [0.0, 10 / 1.1]), 10.0)
    assert np.linalg.det(calibration.to_detector()) == pytest.approx(1.0)
    slanted = Calibration(center_px=(0.0, 0.0), ellipse=(1.21, 45.0))
    # Counter-clockwise from +kx with +ky up on screen: towards smaller rows.
    assert slanted.disk_distance(-1.0, 1.0) < slanted.disk_distance(1.0, 1.0)
    with pytest.raises(CalibrationError, match="1 to 2"):
        Calibration(ellipse=(0.9, 0.0))
