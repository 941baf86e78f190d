"""The pattern a classifier sees: crop, resampling, frames, bad pixels."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.preprocessing import Preprocessing, minmax, percentile_center
from napari_polmap.errors import CalibrationError

DETECTOR = (90, 84)


def _calibration(**values: object) -> Calibration:
    return Calibration(center_px=(44.3, 41.8), radius_px=24.0).updated("user", **values)


def _spot(dy: float, dx: float, sigma: float = 2.0) -> np.ndarray:
    """A spot at (dy, dx) pixels from the center, in the detector's own frame."""
    ky, kx = np.mgrid[: DETECTOR[0], : DETECTOR[1]]
    return np.exp(-((ky - 44.3 - dy) ** 2 + (kx - 41.8 - dx) ** 2) / (2 * sigma**2))[None]


def _seen(pattern: np.ndarray, calibration: Calibration) -> tuple[float, float]:
    """Center of mass (row, column) of the resampled pattern in units of R."""
    preprocessing = Preprocessing()
    seen = preprocessing.operator(calibration, DETECTOR).apply(pattern).reshape(32, 32)
    axis = (np.arange(32) - 15.5) / 16 * 1.3
    return float((seen.sum(1) * axis).sum() / seen.sum()), float(
        (seen.sum(0) * axis).sum() / seen.sum()
    )


def test_linear_ramp_is_resampled_exactly() -> None:
    ky, kx = np.mgrid[: DETECTOR[0], : DETECTOR[1]]
    operator = Preprocessing().operator(_calibration(), DETECTOR)
    seen = operator.apply((0.5 * (ky - 44.3) + 2 * (kx - 41.8))[None]).reshape(32, 32)
    axis = (np.arange(32) - 15.5) * 2 * 1.3 * 24 / 32
    np.testing.assert_allclose(seen, 0.5 * axis[:, None] + 2 * axis, atol=1e-3)


@pytest.mark.parametrize("radius", [8.0, 12.0, 24.0, 31.0])
def test_crop_is_in_units_of_the_radius(radius: float) -> None:
    spot = _spot(0, 0.5 * radius)
    row, column = _seen(spot, _calibration(radius_px=radius))
    assert row == pytest.approx(0, abs=0.02)
    assert column == pytest.approx(0.5, abs=0.02)


def test_flip_then_rotation_then_crystal_angle() -> None:
    # A spot to the right on the detector (column +10).
    assert _seen(_spot(0, 10), _calibration()) == pytest.approx((0, 10 / 24), abs=0.02)
    # Turned counter-clockwise by 90° it points up: rows decrease.
    turned = _seen(_spot(0, 10), _calibration(rotation_deg=90))
    assert turned == pytest.approx((-10 / 24, 0), abs=0.02)
    # A spot up is down after the flip; turned by 90° then, it points right.
    flipped = _seen(_spot(-10, 0), _calibration(flip=True, rotation_deg=90))
    assert flipped == pytest.approx((0, 10 / 24), abs=0.02)
    # A crystal turned counter-clockwise by 30°: what lies along its [100] appears to the right.
    angle = np.deg2rad(30)
    crystal = _seen(
        _spot(-10 * np.sin(angle), 10 * np.cos(angle)), _calibration(crystal_angle_deg=30)
    )
    assert crystal == pytest.approx((0, 10 / 24), abs=0.02)


def test_bad_pixels_have_no_weight() -> None:
    flat = np.ones((1, *DETECTOR))
    bad = np.zeros(DETECTOR, bool)
    bad[40:44, 50] = True
    flat[0, bad] = 1e6
    seen = Preprocessing().operator(_calibration(), DETECTOR, bad).apply(flat)
    np.testing.assert_allclose(seen, 1, rtol=1e-5)


def test_crop_beyond_the_detector_is_refused() -> None:
    with pytest.raises(CalibrationError, match="the detector has 90 x 84 pixels"):
        Preprocessing().operator(_calibration(center_px=(20.0, 41.0)), DETECTOR)


def test_unknown_disk_is_refused() -> None:
    with pytest.raises(CalibrationError, match="center and radius"):
        Preprocessing().operator(Calibration(), DETECTOR)


def test_all_pixels_bad_is_refused() -> None:
    with pytest.raises(CalibrationError, match="mask of bad pixels"):
        Preprocessing().operator(_calibration(), DETECTOR, np.ones(DETECTOR, bool))


def test_papers_crop_takes_pixels_as_they_are() -> None:
    rng = np.random.default_rng(0)
    pattern = rng.random((1, 100, 100))
    paper = Preprocessing(size=64, extent=None, center="percentile", normalization="minmax")
    operator = paper.operator(Calibration(center_px=(50.5, 48.5)), (100, 100))
    np.testing.assert_allclose(
        operator.apply(pattern)[0].reshape(64, 64), pattern[0, 19:83, 17:81], rtol=1e-5
    )


def test_percentile_center_and_minmax() -> None:
    disk = _spot(0, 0, sigma=8)[0]
    assert percentile_center(disk) == pytest.approx((44.3, 41.8), abs=0.3)
    with pytest.raises(CalibrationError, match="flat"):
        percentile_center(np.ones((10, 10)))
    scaled = minmax(np.array([[1.0, 3.0, 2.0], [5.0, 5.0, 5.0]], np.float32))
    np.testing.assert_array_equal(scaled, [[0, 1, 0.5], [0, 0, 0]])


def test_large_detector_is_binned_to_the_same_pattern() -> None:
    ky, kx = np.mgrid[:400, :380]
    rows, columns = ky - 203.3, kx - 187.6
    smooth = np.exp(-((rows - 30) ** 2 + (columns + 20) ** 2) / (2 * 25.0**2))
    calibration = Calibration(center_px=(203.3, 187.6), radius_px=110.0)
    binned = Preprocessing().operator(calibration, (400, 380))
    plain = Preprocessing().operator(calibration, (400, 380), np.zeros((400, 380), bool))
    assert (binned.binning, plain.binning) == (3, 1)
    np.testing.assert_allclose(binned.apply(smooth[None]), plain.apply(smooth[None]), atol=2e-3)


@pytest.mark.parametrize("rotation", [{}, {"flip": True, "rotation_deg": 35.0}])
@pytest.mark.parametrize(("size", "extent"), [(32, 1.3), (10, 1.3), (64, None)])
def test_an_elliptical_disk_becomes_round(size: int, extent: float | None, rotation: dict) -> None:
    """R stays: the half axes are longer and shorter by the same factor."""
    ky, kx = np.mgrid[: DETECTOR[0], : DETECTOR[1]]
    calibration = _calibration(ellipse=(1.1, 30.0), **rotation)
    # The longer axis 30° counter-clockwise from +kx, rows pointing down.
    along = (kx - 41.8) * np.cos(np.pi / 6) - (ky - 44.3) * np.sin(np.pi / 6)
    across = (kx - 41.8) * np.sin(np.pi / 6) + (ky - 44.3) * np.cos(np.pi / 6)
    edge = np.hypot(along / (24 * 1.1**0.5), across / (24 / 1.1**0.5))
    disk = 1 / (1 + np.exp((edge - 1) * 60))
    preprocessing = Preprocessing(size=size, extent=extent)
    half = size / 2 if extent is None else extent * 24

    def moments(values: Calibration) -> np.ndarray:
        """Principal second moments of the seen disk, in pixels squared."""
        seen = preprocessing.operator(values, DETECTOR).apply(disk[None]).reshape(size, size)
        axis = (np.arange(size) - (size - 1) / 2) * 2 * half / size
        row, column = np.meshgrid(axis, axis, indexing="ij")
        weights = seen / seen.sum()
        mixed = (weights * row * column).sum()
        return np.linalg.eigvalsh(
            [[(weights * row**2).sum(), mixed], [mixed, (weights * column**2).sum()]]
        )

    found, plain = moments(calibration), moments(calibration.updated("user", ellipse=None))
    assert plain[1] / plain[0] == pytest.approx(1.1**2, rel=0.02)
    assert found[1] / found[0] == pytest.approx(1, abs=0.005)
    # The second moment of a disk is R²/4.
    assert 2 * found.mean() ** 0.5 == pytest.approx(24, rel=0.03 if size == 10 else 0.01)


def test_not_turned_but_undistorted() -> None:
    calibration = _calibration(ellipse=(1.1, 0.0), rotation_deg=90.0)
    operator = Preprocessing().operator(calibration, DETECTOR, rotate=False)
    seen = operator.apply(_spot(0, 10)).reshape(32, 32)
    axis = (np.arange(32) - 15.5) / 16 * 1.3 * 24
    assert (seen.sum(0) * axis).sum() / seen.sum() == pytest.approx(10 / 1.1**0.5, abs=0.1)
    assert (seen.sum(1) * axis).sum() / seen.sum() == pytest.approx(0, abs=0.1)


def _disks(calibration: Calibration, shape: tuple[int, int]) -> np.ndarray:
    """Disks of radius R with their neighbors of the square lattice; one is brighter."""
    assert calibration.radius_px is not None
    assert calibration.center_px is not None
    assert calibration.reciprocal_px is not None
    ky, kx = np.indices(shape) - np.array(calibration.center_px)[:, None, None]
    pattern = np.zeros(shape)
    for row in (-1, 0, 1):
        for column in (-1, 0, 1):
            distance = np.hypot(
                ky - row * calibration.reciprocal_px, kx - column * calibration.reciprocal_px
            )
            weight = 1 + ((row, column) == (-1, 1))
            pattern += weight * np.clip(calibration.radius_px + 0.5 - distance, 0, 1)
    return pattern[None]


@pytest.mark.parametrize("semi_angle", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("pixel", [0.1, 0.23])
def test_crop_in_lattice_units_finds_disks_at_the_same_places(
    semi_angle: float, pixel: float
) -> None:
    calibration = Calibration(
        center_px=(120.3, 118.8),
        radius_px=semi_angle / pixel,
        energy_kv=200.0,
        semi_angle_mrad=semi_angle,
        lattice_nm=0.397,
    )
    # 2.508 pm / 0.397 nm = 6.317 mrad.
    assert calibration.reciprocal_px == pytest.approx(6.317 / pixel, rel=1e-3)
    nanobeam = Preprocessing(size=30, extent=1.5, unit="lattice")
    seen = nanobeam.operator(calibration, (240, 240)).apply(_disks(calibration, (240, 240)))
    cells = seen.reshape(3, 10, 3, 10)
    shares = cells.sum((1, 3)) / cells.sum() * 10
    np.testing.assert_allclose(shares, [[1, 1, 2], [1, 1, 1], [1, 1, 1]], rtol=0.02)
    axis = np.arange(10) - 4.5
    for profiles in (cells.sum((2, 3)), cells.sum((0, 1))):
        np.testing.assert_allclose(profiles @ axis / profiles.sum(1), 0, atol=0.08)


def test_crop_in_lattice_units_names_what_is_missing() -> None:
    nanobeam = Preprocessing(size=30, extent=1.5, unit="lattice")
    with pytest.raises(CalibrationError, match="voltage and convergence semi-angle and lattice"):
        nanobeam.operator(_calibration(), DETECTOR)
    known = _calibration(energy_kv=200.0, semi_angle_mrad=2.0)
    with pytest.raises(CalibrationError, match="the scan's lattice period is not known"):
        nanobeam.operator(known, DETECTOR)


def test_older_files_have_crops_in_units_of_the_radius() -> None:
    values = Preprocessing().to_dict()
    del values["unit"]
    assert Preprocessing.from_dict(values) == Preprocessing()
