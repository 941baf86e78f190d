"""The disk from a vacuum scan or image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.vacuum import measure_vacuum
from napari_polmap.errors import CalibrationError, PolmapError, ScanError
from napari_polmap.scan import Scan

CENTER, RADIUS, ELLIPSE = (30.4, 33.2), 18.0, (1.03, 25.0)


def vacuum(ellipse: tuple[float, float] | None = ELLIPSE, counts: float = 3e5) -> np.ndarray:
    calibration = Calibration(center_px=CENTER, radius_px=RADIUS, ellipse=ellipse)
    ky, kx = np.indices((64, 68))
    disk = ndtr((RADIUS - calibration.disk_distance(ky, kx)) / 0.5)
    disk *= 1 + 0.1 * (kx - CENTER[1]) / RADIUS  # the illumination is never quite even
    return np.random.default_rng(0).poisson(counts * disk / disk.sum() + 0.02)


@pytest.fixture
def scan() -> Scan:
    return Scan(np.zeros((2, 2, 64, 68), np.uint16))


def check(disk) -> None:
    assert disk.center_px == pytest.approx(CENTER, abs=0.05)
    assert disk.radius_px == pytest.approx(RADIUS, abs=0.01 * RADIUS)
    assert disk.ellipse[0] == pytest.approx(ELLIPSE[0], abs=3 * disk.ellipse_error)
    assert disk.ellipse[1] == pytest.approx(ELLIPSE[1], abs=3)
    assert disk.ellipse_error < 0.004
    assert disk.warnings == ()


@pytest.mark.parametrize("ending", [".npy", ".tif", ".png"])
def test_images(ending: str, scan: Scan, tmp_path: Path) -> None:
    path, pattern = tmp_path / f"vacuum{ending}", vacuum().astype(np.uint16)
    if ending == ".npy":
        np.save(path, pattern)
    elif ending == ".tif":
        import tifffile

        tifffile.imwrite(path, pattern)
    else:
        from matplotlib import image

        bright = (255 * (pattern / pattern.max())).astype(np.uint8)
        image.imsave(path, bright, cmap="gray", vmin=0, vmax=255)
    check(measure_vacuum(path, scan))


@pytest.mark.parametrize("axes", [3, 4])
def test_scans_and_stacks(axes: int, scan: Scan, tmp_path: Path) -> None:
    frames = np.random.default_rng(1).poisson(np.broadcast_to(vacuum() / 6, (6, 64, 68)))
    stack = frames.astype(np.uint16) if axes == 3 else frames.reshape(2, 3, 64, 68)
    np.save(tmp_path / "vacuum.npy", stack)
    check(measure_vacuum(tmp_path / "vacuum.npy", scan))
    if axes == 4:
        check(measure_vacuum(Scan(stack), scan))
        check(measure_vacuum(stack, scan))


def test_another_detector(scan: Scan) -> None:
    with pytest.raises(CalibrationError, match=r"shape \(64, 64\).*has \(64, 68\)"):
        measure_vacuum(vacuum()[:, :64], scan)


def test_a_specimen_is_told() -> None:
    with np.load(Path(__file__).parents[1] / "data" / "disk_means.npz") as stored:
        means = stored["mean"].astype(np.float64)
    scan = Scan(np.zeros((1, 1, *means.shape[1:]), np.uint16))
    rng = np.random.default_rng(0)
    for mean in means:
        pattern = rng.poisson(mean / mean.sum() * 1e6)
        (warning,) = measure_vacuum(pattern, scan).warnings
        assert warning.startswith("This does not look like a vacuum")


@pytest.mark.parametrize("counts", [2e4, 1e6])
def test_a_round_vacuum_is_round(counts: float, scan: Scan) -> None:
    disk = measure_vacuum(vacuum(None, counts), scan)
    assert disk.ellipse is None or disk.ellipse[0] < 1.01
    assert disk.ellipse_error is not None
    assert disk.warnings == ()


def test_what_is_no_image(scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(ScanError, match=r"broken.png cannot be read"):
        measure_vacuum(tmp_path / "broken.png", scan)
    np.save(tmp_path / "line.npy", np.ones(5))
    for path in (tmp_path / "line.npy", tmp_path / "missing.hspy"):
        with pytest.raises(PolmapError) as caught:
            measure_vacuum(path, scan)
        assert "\n" not in str(caught.value)
