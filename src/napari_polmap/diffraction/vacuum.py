"""The bright-field disk from a scan or an image of the vacuum beside the specimen."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.diffraction.disk import Disk, measure_disk
from napari_polmap.errors import CalibrationError, ScanError, ScanShapeError, reason
from napari_polmap.scan import Scan

Floats = npt.NDArray[np.float64]

_READ_BYTES = 64 * 2**20
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_STACKS = (".npy", ".tif", ".tiff")
_FLAT = 0.05
"""Relative standard deviation over the disk, of structure larger than pixels, in a vacuum."""
_SCATTERED = 0.015
"""Of the disk's intensity, found around it: what a specimen scatters, and a vacuum does not."""
_BLOCK = 0.15
"""Size in radii of the structure that is looked for."""


def measure_vacuum(source: str | Path | Scan | npt.ArrayLike, scan: Scan) -> Disk:
    """Measure the disk, with its ellipse, where there is no specimen.

    Parameters
    ----------
    source : path, Scan or array-like
        A readable scan, an image (``.npy``, TIFF, PNG, ...), or an array ``(ky, kx)``; what has
        more axes is averaged over all but the last two.
    scan : Scan
        The scan that the disk is measured for: its detector's shape and bad pixels.

    Returns
    -------
    Disk
        With a warning if it does not look like a vacuum.

    Raises
    ------
    ScanError
        If the file cannot be read.
    CalibrationError
        If the detector has another shape, or there is no disk.
    """
    pattern = _pattern(source)
    if pattern.shape != scan.detector_shape:
        raise CalibrationError(
            f"The vacuum's patterns have shape {pattern.shape}, but the scan's detector has "
            f"{scan.detector_shape}; choose a vacuum recorded with the same detector and binning."
        )
    disk = measure_disk(pattern, scan.bad_pixels, ellipse=True)
    contrast, scattered = _departures(pattern, disk, scan.bad_pixels)
    if contrast < _FLAT and scattered < _SCATTERED:
        return disk
    why = (
        f"its disk is not flat (it varies by {contrast:.0%})"
        if contrast >= _FLAT
        else f"{scattered:.0%} of the disk's intensity is around it"
    )
    warning = (
        f"This does not look like a vacuum: {why}; center and radius may be off, choose a place "
        "without specimen."
    )
    return dataclasses.replace(disk, warnings=(*disk.warnings, warning))


def _pattern(source: str | Path | Scan | npt.ArrayLike) -> Floats:
    """The mean pattern of a vacuum."""
    if isinstance(source, Scan):
        return _mean_of(source)
    if not isinstance(source, str | Path):
        return _flattened(np.asarray(source))
    path = Path(source).expanduser()
    ending = path.suffix.lower()
    if path.is_file() and ending in (*_IMAGES, *_STACKS):
        image = _image(path, ending)
        if image is not None:
            return image
    return _mean_of(_opened(path))


def _opened(path: Path) -> Scan:
    from napari_polmap import load_scan

    options: dict[str, Any] = {"measure": False, "sidecar": False}
    try:
        scan: Scan = load_scan(path, **options)
    except ScanShapeError as error:
        if not error.frames:
            raise
        # The order of the frames does not matter here.
        scan = load_scan(path, nav_shape=(1, error.frames), **options)
    return scan


def _image(path: Path, ending: str) -> Floats | None:
    """An image or a stack of a few; None for what is better read as a scan."""
    try:
        if ending == ".npy":
            data = np.load(path, mmap_mode="r", allow_pickle=False)
            return None if data.ndim > 2 else _flattened(np.asarray(data))
        if ending in _STACKS:
            import tifffile

            with tifffile.TiffFile(path) as file:
                if len(file.series[0].shape) > 2:
                    return None
                return _flattened(file.asarray())
        from matplotlib import image

        pixels = np.asarray(image.imread(path), np.float64)
        # Colors alike, and maybe an opacity.
        return pixels if pixels.ndim == 2 else pixels[..., :3].mean(axis=-1)
    except (OSError, ValueError, EOFError, TypeError, IndexError, SyntaxError) as error:
        raise ScanError(
            f"The image {path} cannot be read ({reason(error)}); give a scan, or an image as .npy, "
            "TIFF or PNG."
        ) from error


def _flattened(data: npt.NDArray[Any]) -> Floats:
    if data.ndim < 2 or data.dtype.kind not in "uifb":
        raise CalibrationError(
            f"A vacuum pattern has two axes of real numbers, but this has shape {data.shape} and "
            f"dtype {data.dtype}; give an image of the detector."
        )
    return np.asarray(data.reshape(-1, *data.shape[-2:]).mean(axis=0, dtype=np.float64))


def _mean_of(scan: Scan) -> Floats:
    pattern_bytes = int(np.prod(scan.detector_shape)) * scan.dtype.itemsize
    patterns = scan.strided(int(np.clip(_READ_BYTES // pattern_bytes, 16, 4096)))
    if patterns.dtype.kind == "f":
        patterns = patterns[np.isfinite(patterns).all(axis=(1, 2))]
    if not len(patterns):
        raise ScanError(
            f"All sampled patterns of {scan.name} hold values that are not finite (NaN); choose "
            "another vacuum."
        )
    return _flattened(patterns)


def _departures(
    pattern: Floats, disk: Disk, bad_pixels: npt.NDArray[np.bool_] | None
) -> tuple[float, float]:
    """Contrast of coarse structure in the disk, and the share of its intensity just around it.

    Averaged over cells a thin crystal's disk is flat to a few percent too; what is scattered tells
    it from a vacuum then.
    """
    from scipy import ndimage

    good = np.isfinite(pattern)
    if bad_pixels is not None:
        good &= ~bad_pixels
    background = float(np.percentile(pattern[good], 2))
    rows, columns = np.indices(pattern.shape)
    v = (rows - disk.center_px[0]) / disk.radius_px
    u = (columns - disk.center_px[1]) / disk.radius_px
    distance, blur = np.hypot(v, u), 3 * disk.blur_px / disk.radius_px
    inside = good & (distance < max(0.9 - blur, 0.5))
    around = good & (distance > 1.05 + blur) & (distance < 1.35 + blur)
    level = float(np.median(pattern[inside])) - background
    if level <= 0:
        level = float(pattern[inside].mean()) - background
    if level <= 0:
        return 1.0, 1.0
    scattered = 0.0
    if around.any():
        # Without the few brightest, which may be hot.
        values = np.sort(pattern[around])[: max(1, int(0.98 * around.sum()))]
        scattered = (float(values.mean()) - background) / level
    design = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=-1)[inside]
    weights = np.linalg.lstsq(design, pattern[inside], rcond=None)[0]
    rest = np.zeros(pattern.shape)
    rest[inside] = pattern[inside] - design @ weights
    limit = 5 * float(np.std(rest[inside]))
    rest = np.clip(rest, -limit, limit)
    # Sums over blocks of pixels: what counting leaves in them follows from the pixels' variance.
    size = max(2, round(_BLOCK * disk.radius_px))
    sums, counts = (
        ndimage.uniform_filter(array, size, mode="constant")[::size, ::size] * size**2
        for array in (rest, inside.astype(float))
    )
    full = counts > 0.9 * size**2
    if full.sum() < 8:
        return 0.0, scattered
    differences = (rest[:, 1:] - rest[:, :-1])[inside[:, 1:] & inside[:, :-1]]
    noise = float((differences**2).mean()) / 2 / size**2
    # Of so many sums the mean square is known to this only.
    noise *= 1 + 3 * float(np.sqrt(2 / full.sum()))
    means = sums[full] / counts[full]
    return float(np.sqrt(max(0.0, float((means**2).mean()) - noise))) / level, scattered
