"""Virtual images and centers of mass, block by block, several in one pass over the data."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.errors import CalibrationError
from napari_polmap.scan import CHUNK_BYTES, Scan, in_memory
from napari_polmap.steps import finish

Floats = npt.NDArray[np.float32]

PRESETS = ("bright field", "annular bright field", "annular dark field")
"""Names of the virtual detectors of `preset_mask`."""
_RADII = {
    "bright field": (0.0, 1.0),
    "annular bright field": (0.5, 1.0),
    "annular dark field": (1.1, np.inf),
}
"""Inner and outer radius in units of the bright-field disk's."""

_PREVIEW_BYTES = 16 * 2**20
"""Of float32 patterns at once."""

CENTER_OF_MASS = "center of mass"
"""Name of the center-of-mass image among those of `iter_virtual`."""


def preset_mask(kind: str, calibration: Calibration, detector_shape: tuple[int, int]) -> Floats:
    """Weight of each detector pixel for a named virtual detector.

    Parameters
    ----------
    kind : str
        One of `PRESETS`: the disk, its outer half of the radius, or all beyond 1.1 radii.
    calibration : Calibration
        With the disk's center and radius.
    detector_shape : (int, int)

    Returns
    -------
    ndarray of float32, shape (ky, kx)
        Share of each pixel that lies within, 0 to 1.

    Raises
    ------
    CalibrationError
        If there is no such detector, or the disk is not known.
    """
    if kind not in _RADII:
        raise CalibrationError(
            f"There is no virtual detector {kind!r}; choose {', '.join(PRESETS)}, or draw one."
        )
    if calibration.center_px is None or calibration.radius_px is None:
        raise CalibrationError(
            f"The {kind} detector needs the bright-field disk's center and radius, which are not "
            "known; set them, or draw a detector."
        )
    rows, columns = np.indices(detector_shape, dtype=np.float32)
    distance = np.hypot(rows - calibration.center_px[0], columns - calibration.center_px[1])
    inner, outer = (limit * calibration.radius_px for limit in _RADII[kind])
    # Half a pixel on either side of the edge counts in part.
    within = np.clip(outer - distance + 0.5, 0, 1)
    beyond = np.clip(distance - inner + 0.5, 0, 1) if inner else np.ones_like(distance)
    return np.asarray(within * beyond, np.float32)


@dataclass(frozen=True)
class VirtualProgress:
    """How far the images are.

    Parameters
    ----------
    done, total : int
        Positions.
    rows, columns : slice
        Positions that have just been filled.
    images : dict of str to ndarray
        The growing images, NaN where not computed yet.
    """

    done: int
    total: int
    rows: slice
    columns: slice
    images: dict[str, Floats]


def iter_virtual(
    scan: Scan, masks: Mapping[str, Floats], *, center_of_mass: bool = False
) -> Generator[VirtualProgress, None, dict[str, Floats]]:
    """Virtual images of several detectors in one pass over the scan.

    Parameters
    ----------
    scan : Scan
    masks : mapping of str to ndarray, shape (ky, kx)
        Weight of each detector pixel, by the image's name.
    center_of_mass : bool
        Add the image `CENTER_OF_MASS`, shape ``(y, x, 2)``: offset (row, column) in detector pixels
        of the intensity's center of mass from the disk's center (from the detector's middle where
        that is not known).

    Yields
    ------
    VirtualProgress

    Returns
    -------
    dict of str to ndarray
        Images of shape ``(y, x)``; zero where a pattern is empty, NaN where it is not finite.
    """
    weights = _weights(scan, masks, center_of_mass)
    box = _box(weights)
    flat = weights[:, box[0], box[1]].reshape(len(weights), -1)
    images = {name: np.full(scan.scan_shape, np.nan, np.float32) for name in masks}
    if center_of_mass:
        images[CENTER_OF_MASS] = np.full((*scan.scan_shape, 2), np.nan, np.float32)
    total, done = scan.scan_shape[0] * scan.scan_shape[1], 0
    for rows, columns in _pieces(scan):
        block = scan.read(rows, columns)[:, :, box[0], box[1]]
        shape = block.shape[:2]
        patterns = np.ascontiguousarray(block, dtype=np.float32).reshape(-1, flat.shape[1])
        sums = (patterns @ flat.T).reshape(*shape, -1)
        for index, name in enumerate(masks):
            images[name][rows, columns] = sums[..., index]
        if center_of_mass:
            images[CENTER_OF_MASS][rows, columns] = _offsets(sums[..., len(masks) :])
        done += shape[0] * shape[1]
        yield VirtualProgress(done, total, rows, columns, images)
    return images


def virtual_image(scan: Scan, mask: Floats) -> Floats:
    """The image ``(y, x)`` of one virtual detector, see `iter_virtual`."""
    return finish(iter_virtual(scan, {"image": mask}))["image"]


def center_of_mass(scan: Scan) -> Floats:
    """Center of mass of each pattern, shape ``(y, x, 2)``, see `iter_virtual`."""
    return finish(iter_virtual(scan, {}, center_of_mass=True))[CENTER_OF_MASS]


def preview(scan: Scan, mask: Floats, positions: int = 4096) -> Floats:
    """A quick image of the scan's shape from a few positions, repeated over their surroundings.

    Parameters
    ----------
    scan : Scan
    mask : ndarray of float32, shape (ky, kx)
    positions : int
        About how many patterns are read.
    """
    rows, columns = scan.scan_shape
    step = max(1, int(np.ceil(np.sqrt(rows * columns / max(1, positions)))))
    box = _box(mask[None])
    weights = np.asarray(mask[box], np.float32).ravel()
    across = slice(step // 2 if columns > step // 2 else 0, columns, step)
    width = len(range(*across.indices(columns)))
    height = max(1, _PREVIEW_BYTES // (4 * width * weights.size)) * step
    parts = []
    for top in range(step // 2 if rows > step // 2 else 0, rows, height):
        part = scan.data[top : min(top + height, rows) : step, across, box[0], box[1]]
        patterns = np.asarray(in_memory(part), dtype=np.float32)
        parts.append(patterns.reshape(*patterns.shape[:2], -1) @ weights)
    coarse = np.concatenate(parts)
    y = np.minimum(np.arange(rows) // step, coarse.shape[0] - 1)
    x = np.minimum(np.arange(columns) // step, coarse.shape[1] - 1)
    return np.asarray(coarse[np.ix_(y, x)], np.float32)


def _weights(scan: Scan, masks: Mapping[str, Floats], center_of_mass: bool) -> Floats:
    """All masks, then those of sum, row and column offset; bad pixels have no weight."""
    layers = [np.asarray(mask, np.float32) for mask in masks.values()]
    if center_of_mass:
        shape = scan.detector_shape
        center = scan.calibration.center_px or tuple((n - 1) / 2 for n in shape)
        rows, columns = np.indices(shape, dtype=np.float32)
        layers += [np.ones(shape, np.float32), rows - center[0], columns - center[1]]
    for layer in layers:
        if layer.shape != scan.detector_shape:
            raise CalibrationError(
                f"A virtual detector has shape {layer.shape}, but the scan's detector has "
                f"{scan.detector_shape}; draw it on this detector."
            )
    stack = np.stack(layers)
    if scan.bad_pixels is not None:
        stack = np.where(scan.bad_pixels, 0, stack)
    return np.asarray(stack, np.float32)


def _box(weights: Floats) -> tuple[slice, slice]:
    """The rows and columns of the detector that have any weight."""
    used = (weights != 0).any(axis=0)
    if not used.any():
        return slice(0, 1), slice(0, 1)
    rows, columns = np.nonzero(used.any(axis=1))[0], np.nonzero(used.any(axis=0))[0]
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _offsets(sums: Floats) -> Floats:
    total = sums[..., :1]
    return np.asarray(sums[..., 1:] / np.where(total == 0, 1, total), np.float32)


def _pieces(scan: Scan) -> Iterator[tuple[slice, slice]]:
    """The scan's blocks, cut so that a float32 copy stays small too."""
    pattern_bytes = int(np.prod(scan.detector_shape)) * 4
    for rows, columns in scan.blocks():
        height = max(1, CHUNK_BYTES // (pattern_bytes * (columns.stop - columns.start)))
        for top in range(rows.start, rows.stop, height):
            yield slice(top, min(rows.stop, top + height)), columns
