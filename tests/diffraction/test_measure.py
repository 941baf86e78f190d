"""What is measured of a scan whose file tells little."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.measure import measured
from napari_polmap.errors import ScanError
from napari_polmap.scan import Scan
from tests.synthetic import CALIBRATION, make_patterns, moved, two_domains

PATTERNS = make_patterns(two_domains((56, 64)), seed=81)


def test_disk_lattice_and_pixel_are_filled_in() -> None:
    scan = measured(Scan(PATTERNS, step_nm=0.0495, semi_angle_mrad=24.0, energy_kv=200.0))
    found = scan.calibration
    assert found.center_px == pytest.approx(CALIBRATION.center_px, abs=0.2)
    assert found.radius_px == pytest.approx(9.0, abs=0.3)
    assert found.lattice_nm == pytest.approx(0.396, rel=0.01)
    assert found.mrad_per_pixel == pytest.approx(24 / 9, rel=0.04)
    assert found.sources["radius_px"] == found.sources["lattice_nm"] == "measured"
    assert found.sources["step_nm"] == "user"
    assert scan.warnings == ()


def test_a_wandering_beam_is_measured_and_told() -> None:
    shape = (64, 64)
    ky, kx = np.mgrid[:48, :48]
    y, x = np.mgrid[: shape[0], : shape[1]]
    center_y, center_x = 23 + 0.02 * (y - 31.5), 24 - 0.03 * (x - 31.5)
    distance = np.hypot(ky - center_y[..., None, None], kx - center_x[..., None, None])
    disk = 200 / (1 + np.exp(3 * (distance - 12)))
    patterns = np.random.default_rng(5).poisson(disk).astype(np.uint16)
    scan = measured(Scan(patterns, step_nm=0.05))
    assert scan.calibration.descan_px == pytest.approx((0.02, 0, 0, -0.03), abs=0.001)
    assert scan.calibration.sources["descan_px"] == "measured"
    assert scan.calibration.center_px == pytest.approx((23, 24), abs=0.05)
    assert scan.calibration.radius_px == pytest.approx(12, abs=0.15)
    assert "The beam wanders" in scan.warnings[0]
    own = measured(Scan(patterns, step_nm=0.05, descan_px=(0, 0, 0, 0)))
    assert own.calibration.descan_px == (0, 0, 0, 0)
    assert own.warnings == ()


def test_known_values_stay() -> None:
    scan = measured(Scan(PATTERNS, center_px=(14.0, 15.0), radius_px=8.0, lattice_nm=0.4))
    assert scan.calibration.center_px == (14.0, 15.0)
    assert scan.calibration.sources["center_px"] == "user"


def test_semi_angle_follows_from_the_pixel() -> None:
    scan = measured(Scan(PATTERNS, mrad_per_pixel=2.0, radius_px=9.0, center_px=(15.6, 15.2)))
    assert scan.calibration.semi_angle_mrad == pytest.approx(18.0)


def test_what_cannot_be_measured_is_told() -> None:
    rng = np.random.default_rng(0)
    noise = Scan(rng.poisson(3, (20, 20, 32, 32)), step_nm=0.05)
    scan = measured(noise)
    assert scan.calibration == Calibration(step_nm=0.05, sources={"step_nm": "user"})
    assert len(scan.warnings) == 1
    assert "disk" in scan.warnings[0]


def test_nan_patterns_are_left_out_and_told() -> None:
    patterns = PATTERNS.astype(np.float32)
    patterns[::2] = np.nan
    scan = measured(Scan(patterns, step_nm=0.0495))
    assert scan.calibration.radius_px is None or scan.calibration.radius_px == pytest.approx(
        9, abs=0.4
    )
    assert "not finite" in scan.warnings[0]


def test_long_periods_are_no_unit_cells() -> None:
    assert measured(Scan(PATTERNS, step_nm=3.0)).calibration.lattice_nm is None


def test_center_of_the_files_axes_where_there_is_no_disk() -> None:
    noise = np.random.default_rng(0).poisson(3, (20, 20, 32, 32))
    hint = {"axes_center_px": (14.5, 16.0)}
    found = measured(Scan(noise, metadata=hint))
    assert found.calibration.center_px == (14.5, 16.0)
    assert found.calibration.sources == {"center_px": "file"}
    assert "axes" in found.warnings[1]
    outside = measured(Scan(noise, metadata={"axes_center_px": (-40.0, 16.0)}))
    assert outside.calibration.center_px is None
    # The measured disk is more than a hint.
    better = measured(Scan(PATTERNS, metadata=hint)).calibration
    assert better.sources["center_px"] == "measured"


def test_contradicting_values_are_told() -> None:
    scan = measured(Scan(PATTERNS, mrad_per_pixel=2.0, semi_angle_mrad=24.0))
    assert "correct one of them" in scan.warnings[0]
    assert measured(Scan(PATTERNS, mrad_per_pixel=2.67, semi_angle_mrad=24.0)).warnings == ()


@pytest.mark.parametrize("known", [{}, {"center_px": (15.0, 15.0), "radius_px": 9.0}])
@pytest.mark.parametrize(("value", "message"), [(0.0, "zero"), (np.nan, "not finite")])
def test_nothing_in_the_patterns(known: dict, value: float, message: str) -> None:
    with pytest.raises(ScanError, match=message):
        measured(Scan(np.full((5, 6, 32, 32), value, np.float32), **known))


def test_more_patterns_of_faint_scans() -> None:
    """Of one electron a pattern, all of a small scan's patterns make the disk."""
    faint = np.random.default_rng(1).random(PATTERNS.shape) < PATTERNS / PATTERNS.sum() * 50000
    scan = measured(Scan(faint.astype(np.uint8)))
    assert scan.calibration.center_px == pytest.approx(CALIBRATION.center_px, abs=0.3)
    assert scan.calibration.radius_px == pytest.approx(9.0, abs=0.4)


def test_a_descan_is_taken_out_and_told() -> None:
    plane = (0.03, 0.0, 0.01, -0.04)
    scan = Scan(moved(make_patterns(two_domains((56, 64)), dose=50_000), plane), step_nm=0.0495)
    found = measured(scan)
    assert found.calibration.descan_px == pytest.approx(plane, abs=0.002)
    assert found.calibration.center_px == pytest.approx(CALIBRATION.center_px, abs=0.1)
    assert found.calibration.radius_px == pytest.approx(9.0, abs=0.3)
    assert found.calibration.lattice_nm == pytest.approx(0.396, rel=0.01)
    assert found.calibration.sources["descan_px"] == "measured"
    (warning,) = found.warnings
    assert "beam wanders 3.5 pixels" in warning
    # What the user says stays.
    still = measured(scan.calibrated("user", descan_px=(0, 0, 0, 0)))
    assert still.calibration.descan_px == (0, 0, 0, 0)
    assert still.warnings == ()
    known = measured(scan.calibrated("user", center_px=(15.0, 15.0), radius_px=8.8))
    assert known.calibration.center_px == (15.0, 15.0)
    assert known.calibration.radius_px == 8.8
    assert known.calibration.descan_px == pytest.approx(plane, abs=0.002)


def test_a_disk_smeared_by_a_large_descan() -> None:
    plane = (0.25, 0.0, 0.0, 0.2)
    patterns = make_patterns(np.zeros((56, 64), int), dose=50_000, detector=64)
    found = measured(Scan(moved(patterns, plane)))
    assert found.calibration.descan_px == pytest.approx(plane, abs=0.003)
    assert found.calibration.center_px == pytest.approx((31.6, 31.2), abs=0.1)
    assert found.calibration.radius_px == pytest.approx(9.0, abs=0.3)
    assert len(found.warnings) == 1
