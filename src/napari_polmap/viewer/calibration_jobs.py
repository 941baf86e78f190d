"""What the dock "Calibration" measures in the background: generators, without Qt."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_polmap.scan import Scan

if TYPE_CHECKING:
    from napari_polmap.diffraction.bad_pixels import BadPixels
    from napari_polmap.diffraction.disk import Disk


def iter_disk(scan: Scan) -> Generator[None, None, Disk]:
    """Measure the disk, and its ellipse, by the edge in the scan's mean pattern."""
    from napari_polmap.diffraction.disk import measure_disk
    from napari_polmap.diffraction.measure import mean_pattern

    yield
    pattern = mean_pattern(scan, [])
    yield
    return measure_disk(pattern, scan.bad_pixels, ellipse=True)


def iter_vacuum(path: Path, scan: Scan) -> Generator[None, None, Disk]:
    """Measure the disk in a scan or an image without a specimen, on the same detector."""
    from napari_polmap.diffraction.vacuum import measure_vacuum

    yield
    return measure_vacuum(path, scan)


def iter_bad_pixels(scan: Scan) -> Generator[None, None, BadPixels]:
    """Find pixels that do not tell what falls on them."""
    from napari_polmap.diffraction.bad_pixels import find_bad_pixels

    yield
    return find_bad_pixels(scan)


def iter_mask(path: Path) -> Generator[None, None, npt.NDArray[np.bool_]]:
    """Read an image of bad pixels."""
    from napari_polmap.io.scans import load_mask

    yield
    return load_mask(path)


def disk_values(disk: Disk) -> tuple[dict[str, Any], dict[str, Any]]:
    """A measured disk as calibration values, and their standard errors."""
    values = {"center_px": disk.center_px, "radius_px": disk.radius_px}
    error = disk.error_px
    return values, {"center_px": (error, error), "radius_px": error} if error > 0 else {}


def way_px(scan: Scan, descan: tuple[float, float, float, float]) -> float:
    """How far the beam wanders over a scan, from corner to corner along the longer diagonal."""
    rows, columns = scan.scan_shape[0] - 1, scan.scan_shape[1] - 1
    a, b, c, d = descan
    ways = [
        np.hypot(a * rows + sign * b * columns, c * rows + sign * d * columns) for sign in (1, -1)
    ]
    return float(max(ways))
