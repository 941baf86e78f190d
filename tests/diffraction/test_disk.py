"""The bright-field disk, measured on simulated and experimental mean patterns.

``tests/data/disk_means.npz`` holds the mean patterns of 16 abTEM specimens of (K,Na)NbO3 (200 kV,
24 mrad, 10 to 50 nm thick, tilted by 1 to 3 mrad; single cells as examples/knn_training.toml
makes them) with their true radius; the center is the middle pixel.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.disk import follow_disk, measure_disk
from napari_polmap.errors import CalibrationError

MIDDLE = 38


@pytest.fixture(scope="module")
def simulated() -> list[tuple[np.ndarray, float]]:
    with np.load(Path(__file__).parents[1] / "data" / "disk_means.npz") as stored:
        means = stored["mean"].astype(np.float64)
        return list(zip(means, stored["radius_px"], strict=True))


def errors(
    pattern: np.ndarray, center: tuple[float, float], radius: float, **options: object
) -> np.ndarray:
    """Errors of center and radius as shares of the radius."""
    disk = measure_disk(pattern, **options)
    found = np.array([*disk.center_px, disk.radius_px])
    return np.abs(found - [*center, radius]) / radius


def test_half_a_percent_on_thick_tilted_crystals(simulated) -> None:
    found = [errors(mean, (MIDDLE, MIDDLE), radius) for mean, radius in simulated]
    assert np.percentile(found, 95) < 0.005
    assert np.max(found) < 0.006


def test_with_noise_and_off_center(simulated) -> None:
    rng = np.random.default_rng(0)
    found = []
    for mean, radius in simulated:
        shift = rng.integers(-9, 10, 2)
        moved = np.roll(mean, shift, (0, 1))
        counts = rng.poisson(moved / moved.sum() * 1e6)
        found.append(errors(counts, tuple(MIDDLE + shift), radius))
    assert np.sqrt(np.mean(np.square(found))) < 0.003
    assert np.max(found) < 0.009


@pytest.mark.parametrize(("factor", "limit"), [(2, 0.02), (3, 0.035)])
def test_coarse_detectors(simulated, factor: int, limit: float) -> None:
    found = []
    for mean, radius in simulated:
        size = len(mean) // factor
        cut = mean[: size * factor, : size * factor]
        coarse = cut.reshape(size, factor, size, factor).mean((1, 3))
        center = (MIDDLE + 0.5) / factor - 0.5
        found.append(errors(coarse, (center, center), radius / factor))
    assert np.max(found) < limit
    assert np.sqrt(np.mean(np.square(found))) < limit / 2


def test_large_disks_are_binned(simulated) -> None:
    mean, radius = simulated[6]
    center = (MIDDLE + 0.5) * 5 - 0.5
    assert np.max(errors(np.kron(mean, np.ones((5, 5))), (center, center), radius * 5)) < 0.006


def test_hot_dead_and_masked_pixels(simulated) -> None:
    rng = np.random.default_rng(1)
    mean, radius = simulated[3]
    dirty = rng.poisson(mean / mean.sum() * 1e6).astype(float)
    for factor in (50, 20, 5, 3):
        dirty[tuple(rng.integers(0, 77, 2))] = factor * dirty.max()
    dirty[tuple(rng.integers(25, 50, (2, 4)))] = 0
    assert np.max(errors(dirty, (MIDDLE, MIDDLE), radius)) < 0.006
    bad = np.zeros(mean.shape, bool)
    bad[:, 30:33] = True
    broken = mean.copy()
    broken[:, 30:33] = 7.0
    assert np.max(errors(broken, (MIDDLE, MIDDLE), radius, bad_pixels=bad)) < 0.006
    broken[bad] = np.nan
    assert np.max(errors(broken, (MIDDLE, MIDDLE), radius)) < 0.006


def ideal(radius: float, center: tuple[float, float], size: int = 64, blur: float = 0.4):
    from scipy.special import ndtr

    rows, columns = np.indices((size, size))
    return ndtr((radius - np.hypot(rows - center[0], columns - center[1])) / blur)


@pytest.mark.parametrize("radius", [5.0, 8.0, 14.3, 27.0])
@pytest.mark.parametrize("blur", [0.4, 0.7, 1.0])
def test_ideal_disks(radius: float, blur: float) -> None:
    center = (30.3, 32.8)
    pattern = 100 * ideal(radius, center, blur=blur) + 1
    disk = measure_disk(pattern)
    assert disk.center_px == pytest.approx(center, abs=0.01)
    # Up to half a percent is added for simulated apertures, see the function's notes.
    assert 0 < disk.radius_px / radius - 1 < 0.006
    assert disk.contrast == pytest.approx(100 / 101, abs=0.02)
    assert disk.blur_px == pytest.approx(blur, abs=0.2)


def test_part_of_the_disk_beyond_the_detector() -> None:
    disk = measure_disk(50 * ideal(20.0, (15.0, 32.0)) + 1)
    assert disk.center_px == pytest.approx((15.0, 32.0), abs=0.1)
    assert disk.radius_px == pytest.approx(20.0, abs=0.2)


def test_other_disks_beside_it() -> None:
    pattern = ideal(9.0, (30.0, 31.0))
    for center in ((30.0, 51.0), (30.0, 11.0), (10.0, 31.0), (50.0, 31.0)):
        pattern += 0.4 * ideal(9.0, center)
    disk = measure_disk(pattern)
    assert disk.center_px == pytest.approx((30.0, 31.0), abs=0.05)
    assert disk.radius_px == pytest.approx(9.0, abs=0.15)


@pytest.mark.parametrize(("ratio", "angle"), [(1.01, 20.0), (1.03, 130.0), (1.1, 75.0)])
@pytest.mark.parametrize("radius", [10.0, 23.0])
def test_ellipses(ratio: float, angle: float, radius: float) -> None:
    from scipy.special import ndtr

    truth = Calibration(center_px=(33.2, 30.6), radius_px=radius, ellipse=(ratio, angle))
    rows, columns = np.indices((64, 64))
    clean = ndtr((radius - truth.disk_distance(rows, columns)) / 0.5)
    pattern = np.random.default_rng(0).poisson(2000 * clean + 2)
    disk = measure_disk(pattern, ellipse=True)
    assert disk.center_px == pytest.approx(truth.center_px, abs=0.03)
    assert disk.radius_px == pytest.approx(radius, rel=0.01)
    assert disk.ellipse[0] == pytest.approx(ratio, abs=max(3 * disk.ellipse_error, 0.001))
    assert disk.ellipse[1] == pytest.approx(angle, abs=90 * disk.ellipse_error / (ratio - 1))
    assert measure_disk(pattern).ellipse is None


def test_crystals_make_no_ellipse(simulated) -> None:
    """Crystals disturb the edge; the standard errors tell it, of the center too."""
    rng = np.random.default_rng(2)
    departures = []
    for mean, _ in simulated:
        counts = rng.poisson(mean / mean.sum() * 1e6)
        disk = measure_disk(counts, ellipse=True)
        assert disk.ellipse is None
        assert 0.001 < disk.ellipse_error < 0.02
        departures.append((np.array(disk.center_px) - MIDDLE) / disk.error_px)
        assert disk.center_px == measure_disk(counts).center_px
    assert 0.3 < np.std(departures) < 1.5


def test_ellipses_of_crystals(simulated) -> None:
    from scipy.ndimage import affine_transform

    back = np.linalg.inv(Calibration(ellipse=(1.06, 30.0)).distortion())
    offset = np.array([MIDDLE, MIDDLE]) - back @ [MIDDLE, MIDDLE]
    for mean, radius in simulated[::3]:
        disk = measure_disk(affine_transform(mean, back, offset, mode="nearest"), ellipse=True)
        assert disk.ellipse[0] == pytest.approx(1.06, abs=0.02)
        assert disk.ellipse[1] == pytest.approx(30, abs=8)
        assert disk.center_px == pytest.approx((MIDDLE, MIDDLE), abs=0.006 * radius)


def test_a_disk_is_followed(simulated) -> None:
    mean, radius = simulated[5]
    start = measure_disk(mean)
    for shift in ((2, -1), (-5, 5)):
        disk = follow_disk(np.roll(mean, shift, (0, 1)), start)
        expected = np.array([MIDDLE, MIDDLE]) + shift
        assert disk.center_px == pytest.approx(tuple(expected), abs=0.005 * radius)
        large = np.kron(np.roll(mean, shift, (0, 1)), np.ones((4, 4)))
        found = follow_disk(large, measure_disk(np.kron(mean, np.ones((4, 4)))))
        assert found.center_px == pytest.approx(
            tuple((expected + 0.5) * 4 - 0.5), abs=0.02 * radius
        )
    with pytest.raises(CalibrationError):
        follow_disk(np.ones((77, 77)), start)


def test_a_beam_stop_is_left_out(simulated) -> None:
    mean, radius = simulated[8]
    stop = np.zeros(mean.shape, bool)
    stop[:44, 34:41] = True
    shadowed = np.where(stop, 0.01 * mean, mean)
    assert np.max(errors(shadowed, (MIDDLE, MIDDLE), radius, bad_pixels=stop)) < 0.008


ROWS, COLUMNS = np.indices((64, 64))
DISTANCE = np.hypot(ROWS - 32, COLUMNS - 32)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("zeros", np.zeros((64, 64))),
        ("nan", np.full((64, 64), np.nan)),
        ("flat", np.ones((64, 64))),
        ("noise", np.random.default_rng(0).poisson(2, (128, 128))),
        ("sparse noise", np.random.default_rng(0).poisson(0.01, (256, 256))),
        ("gradient", ROWS + 3.0),
        ("too large", 5.0 * (DISTANCE < 60) + 1),
        ("too small", 5.0 * (DISTANCE < 1.5)),
        ("half outside", 5.0 * (np.hypot(ROWS - 1, COLUMNS - 32) < 25)),
        ("spot", np.exp(-((DISTANCE / 8) ** 2))),
        ("peak", np.exp(-DISTANCE / 8)),
    ],
)
def test_no_disk(name: str, pattern: np.ndarray) -> None:
    with pytest.raises(CalibrationError) as caught:
        measure_disk(pattern)
    assert "disk" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_pattern() -> None:
    with pytest.raises(CalibrationError, match=r"shape \(4, 4\)"):
        measure_disk(np.ones((4, 4)))
