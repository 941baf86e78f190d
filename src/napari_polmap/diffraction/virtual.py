"""Virtual images and centers of mass, block by block, several in one pass over the data."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.detectors import Weighting
from napari_polmap.diffraction.shifts import Shift, beam_shifts
from napari_polmap.errors import CalibrationError
from napari_polmap.scan import CHUNK_BYTES, Scan, in_memory
from napari_polmap.steps import finish

Floats = npt.NDArray[np.float32]
Box = tuple[slice, slice]

_PREVIEW_BYTES = 16 * 2**20
"""Of float32 patterns at once."""

_STEP_PX = 0.25
"""Detectors follow the descan in steps of this."""

CENTER_OF_MASS = "center of mass"
"""Name of the center-of-mass image among those of `iter_virtual`."""


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
    scan: Scan, detectors: Mapping[str, Weighting | Floats], *, center_of_mass: bool = False
) -> Generator[VirtualProgress, None, dict[str, Floats]]:
    """Virtual images of several detectors in one pass over the scan.

    Detectors follow the beam where the calibration knows its descan (to an eighth of a pixel), and
    bad pixels count nothing.

    Parameters
    ----------
    scan : Scan
    detectors : mapping of str to Weighting or ndarray of shape (ky, kx)
        A detector of `napari_polmap.diffraction.detectors`, or the weight of each detector pixel,
        by the image's name.
    center_of_mass : bool
        Add the image `CENTER_OF_MASS`, shape ``(y, x, 2)``: offset (row, column) in detector pixels
        of the intensity's center of mass from the disk's center at that position (from the
        detector's middle where that is not known).

    Yields
    ------
    VirtualProgress

    Returns
    -------
    dict of str to ndarray
        Images of shape ``(y, x)``; zero where a pattern is empty, NaN where it is not finite.

    Raises
    ------
    CalibrationError
        If a detector has another shape than the patterns, or needs what is not known.
    ScanError
        If the patterns cannot be read.
    """
    weights = _Weights(scan, detectors, center_of_mass)
    images = {name: np.full(scan.scan_shape, np.nan, np.float32) for name in detectors}
    if center_of_mass:
        images[CENTER_OF_MASS] = np.full((*scan.scan_shape, 2), np.nan, np.float32)
    total, done = scan.scan_shape[0] * scan.scan_shape[1], 0
    for rows, columns in pieces(scan):
        block = scan.read(rows, columns)[:, :, weights.box[0], weights.box[1]]
        shape = block.shape[:2]
        patterns = np.ascontiguousarray(block, dtype=np.float32).reshape(*shape, -1)
        sums = np.empty((*shape, weights.count), np.float32)
        groups = beam_shifts(scan.calibration, rows, columns, scan.scan_shape, _STEP_PX)
        for shift, positions in groups:
            if positions.all():
                flat = patterns.reshape(-1, patterns.shape[-1])
                sums[...] = (flat @ weights.at(shift).T).reshape(sums.shape)
            else:
                sums[positions] = patterns[positions] @ weights.at(shift).T
        for index, name in enumerate(detectors):
            images[name][rows, columns] = sums[..., index]
        if center_of_mass:
            offsets = _offsets(sums[..., len(detectors) :])
            images[CENTER_OF_MASS][rows, columns] = offsets - _wander(scan, rows, columns)
        done += shape[0] * shape[1]
        yield VirtualProgress(done, total, rows, columns, images)
    return images


def virtual_image(scan: Scan, detector: Weighting | Floats) -> Floats:
    """The image ``(y, x)`` of one virtual detector, see `iter_virtual`."""
    return finish(iter_virtual(scan, {"image": detector}))["image"]


def center_of_mass(scan: Scan) -> Floats:
    """Center of mass of each pattern, shape ``(y, x, 2)``, see `iter_virtual`."""
    return finish(iter_virtual(scan, {}, center_of_mass=True))[CENTER_OF_MASS]


def detector_mask(scan: Scan, detector: Weighting | Floats) -> Floats:
    """Weights ``(ky, kx)`` of a detector on a scan's patterns in its middle; bad pixels have none.

    Raises
    ------
    CalibrationError
        If the detector has another shape than the patterns, or needs what is not known.
    """
    return _without_bad(scan, _mask_at(scan, detector, (0.0, 0.0)))


def _mask_at(scan: Scan, detector: Weighting | Floats, shift: Shift) -> Floats:
    if not isinstance(detector, np.ndarray):
        return detector.mask(scan.detector_shape, scan.calibration, shift)
    if detector.shape != scan.detector_shape:
        raise CalibrationError(
            f"A virtual detector has shape {detector.shape}, but the scan's detector has "
            f"{scan.detector_shape}; draw it on this detector."
        )
    if any(shift):
        from scipy.ndimage import shift as moved

        return np.asarray(moved(detector.astype(np.float32), shift, order=1))
    return np.asarray(detector, np.float32)


def _without_bad(scan: Scan, mask: Floats) -> Floats:
    if scan.bad_pixels is None:
        return mask
    return np.asarray(np.where(scan.bad_pixels, 0, mask), np.float32)


def _wander(scan: Scan, rows: slice, columns: slice) -> npt.NDArray[np.float64] | float:
    """How far the beam stands from the calibration's center at each position of a block."""
    center = scan.calibration.center_px
    if scan.calibration.descan_px is None:
        return 0.0
    known = (
        scan.calibration
        if center is not None
        else Calibration(center_px=(0.0, 0.0), descan_px=scan.calibration.descan_px)
    )
    return known.center_at(
        np.arange(rows.start, rows.stop)[:, None],
        np.arange(columns.start, columns.stop)[None],
        scan.scan_shape,
    ) - (center or (0.0, 0.0))


class _Weights:
    """All detectors, then sum, row and column offset; within the box that has any weight."""

    def __init__(
        self, scan: Scan, detectors: Mapping[str, Weighting | Floats], center_of_mass: bool
    ) -> None:
        self._scan = scan
        self._detectors = list(detectors.values())
        self._moments = _moments(scan) if center_of_mass else []
        self.count = len(self._detectors) + len(self._moments)
        self._known: dict[Shift, Floats] = {}
        self.box = _box(np.abs(self._stack((0.0, 0.0))))
        if scan.calibration.descan_px is not None:
            self.box = _grown(self.box, _reach(scan), scan.detector_shape)

    def at(self, shift: Shift) -> Floats:
        """Weights for a shift of the beam, shape ``(count, pixels of the box)``."""
        if shift not in self._known:
            stack = self._stack(shift)[:, self.box[0], self.box[1]]
            self._known[shift] = np.ascontiguousarray(stack.reshape(len(stack), -1))
        return self._known[shift]

    def _stack(self, shift: Shift) -> Floats:
        # The moments need not follow the beam: its way is taken off their result, exactly.
        masks = [_mask_at(self._scan, detector, shift) for detector in self._detectors]
        return np.stack([_without_bad(self._scan, mask) for mask in (*masks, *self._moments)])


def _moments(scan: Scan) -> list[Floats]:
    shape = scan.detector_shape
    center = scan.calibration.center_px or tuple((n - 1) / 2 for n in shape)
    rows, columns = np.indices(shape, dtype=np.float32)
    return [np.ones(shape, np.float32), rows - center[0], columns - center[1]]


def _reach(scan: Scan) -> tuple[int, int]:
    """How far the beam stands from its center at most, in whole pixels along ky and kx."""
    a, b, c, d = scan.calibration.descan_px or (0.0, 0.0, 0.0, 0.0)
    rows, columns = (n / 2 for n in scan.scan_shape)
    down, across = abs(a) * rows + abs(b) * columns, abs(c) * rows + abs(d) * columns
    return math.ceil(down) + 1, math.ceil(across) + 1


def _grown(box: Box, margins: tuple[int, int], shape: tuple[int, int]) -> Box:
    grown = [
        slice(max(0, part.start - margin), min(size, part.stop + margin))
        for part, margin, size in zip(box, margins, shape, strict=True)
    ]
    return grown[0], grown[1]


def preview(scan: Scan, detector: Weighting | Floats, positions: int = 4096) -> Floats:
    """A quick image of the scan's shape from a few positions, repeated over their surroundings.

    Parameters
    ----------
    scan : Scan
    detector : Weighting or ndarray of float32, shape (ky, kx)
        It stays in its place, whatever the descan.
    positions : int
        About how many patterns are read.
    """
    mask = detector_mask(scan, detector)
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


def _box(weights: Floats) -> Box:
    """The rows and columns of the detector that have any weight."""
    used = (weights != 0).any(axis=0)
    if not used.any():
        return slice(0, 1), slice(0, 1)
    rows, columns = np.nonzero(used.any(axis=1))[0], np.nonzero(used.any(axis=0))[0]
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _offsets(sums: Floats) -> Floats:
    total = sums[..., :1]
    return np.asarray(sums[..., 1:] / np.where(total == 0, 1, total), np.float32)


def pieces(scan: Scan) -> Iterator[tuple[slice, slice]]:
    """The scan's blocks (rows, columns), cut so that a float32 copy stays small too."""
    pattern_bytes = int(np.prod(scan.detector_shape)) * 4
    for rows, columns in scan.blocks():
        height = max(1, CHUNK_BYTES // (pattern_bytes * (columns.stop - columns.start)))
        for top in range(rows.start, rows.stop, height):
            yield slice(top, min(rows.stop, top + height)), columns
