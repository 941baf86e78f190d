"""A reduced copy of a scan in memory, from which virtual images follow a detector at once.

Detector pixels are binned, and where that is not enough only every n-th position is taken. An
image is the product of the detector's weights and the binned pixels; while a detector is dragged,
only pixels whose weight changes are summed.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.diffraction.shifts import beam_shifts
from napari_polmap.diffraction.virtual import pieces
from napari_polmap.errors import ScanError
from napari_polmap.scan import Scan

Floats = npt.NDArray[np.float32]

MOST_BYTES = 512 * 2**20
"""Of memory for the reduced copy, where nothing else is chosen."""
ACROSS = 48
"""Binned pixels across the detector at most: what an outline on the screen can tell apart."""
_FEWEST_ACROSS = 32
"""Below this, positions are left out instead."""


@dataclass(frozen=True)
class Reduction:
    """How a scan is reduced.

    Parameters
    ----------
    binning : int
        Detector pixels along each side of a binned pixel.
    stride : int
        Distance of the positions taken.
    """

    binning: int
    stride: int

    def binned_shape(self, detector_shape: tuple[int, int]) -> tuple[int, int]:
        """Binned rows and columns of the detector."""
        return -(-detector_shape[0] // self.binning), -(-detector_shape[1] // self.binning)

    def positions(self, size: int) -> npt.NDArray[np.intp]:
        """Rows (or columns) of a scan of `size` that are taken."""
        return np.arange(min(self.stride // 2, size - 1), size, self.stride)


def reduction(
    shape: tuple[int, int, int, int], most_bytes: int = MOST_BYTES, across: int = ACROSS
) -> Reduction:
    """The mildest reduction that fits into memory.

    Parameters
    ----------
    shape : tuple of int
        Of the scan, ``(y, x, ky, kx)``.
    most_bytes : int
        Of the copy.
    across : int
        Binned pixels along the longer side of the detector at most.
    """
    detector = shape[2:]
    for stride in itertools.count(1):
        positions = -(-shape[0] // stride) * -(-shape[1] // stride)
        binning = max(1, math.ceil(max(detector) / across))
        while 4 * positions * math.prod(
            Reduction(binning, stride).binned_shape(detector)
        ) > most_bytes and binning < max(detector):
            binning += 1
        found = Reduction(binning, stride)
        enough = max(found.binned_shape(detector)) >= min(_FEWEST_ACROSS, max(detector))
        if enough or positions == 1:
            return found
    raise AssertionError  # the count never ends


@dataclass(frozen=True)
class ReducedProgress:
    """How far the reduction is.

    Parameters
    ----------
    done, total : int
        Positions.
    """

    done: int
    total: int


class ReducedScan:
    """Binned patterns of a scan, with the beam in one place and without bad pixels.

    Parameters
    ----------
    values : ndarray of float32, shape (pixels, y, x)
        Sums over the binned pixels, at the positions taken.
    how : Reduction
    scan_shape, detector_shape : (int, int)
        Of the whole scan.
    """

    def __init__(
        self,
        values: Floats,
        how: Reduction,
        scan_shape: tuple[int, int],
        detector_shape: tuple[int, int],
    ) -> None:
        self.values = values
        self.how = how
        self.scan_shape = scan_shape
        self.detector_shape = detector_shape
        self._weights: Floats | None = None
        self._sums = np.zeros(int(np.prod(values.shape[1:])))
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return int(self.values.nbytes)

    def image(self, mask: Floats) -> Floats:
        """The virtual image of a detector; from the one before where few pixels changed.

        Parameters
        ----------
        mask : ndarray of float32, shape (ky, kx)
            Weight of each detector pixel with the beam at the calibration's center.

        Returns
        -------
        ndarray of float32, shape (y, x)
            Of the scan's shape; exact where the mask is even over each binned pixel.
        """
        weights = _binned(np.asarray(mask, np.float32)[None], self.how.binning)[0].ravel()
        pixels = _binned(np.ones((1, *mask.shape), np.float32), self.how.binning)[0].ravel()
        weights = weights / pixels
        rows, columns = self.values.shape[1], self.values.shape[2]
        with self._lock:
            coarse = self._summed(weights).astype(np.float32).reshape(rows, columns)
        if self.how.stride == 1:
            return coarse
        y = np.minimum(np.arange(self.scan_shape[0]) // self.how.stride, rows - 1)
        x = np.minimum(np.arange(self.scan_shape[1]) // self.how.stride, columns - 1)
        return np.asarray(coarse[np.ix_(y, x)])

    def _summed(self, weights: Floats) -> npt.NDArray[np.float64]:
        changes = weights if self._weights is None else weights - self._weights
        if np.count_nonzero(weights) <= np.count_nonzero(changes):
            self._sums[:] = 0
            changes = weights
        flat = self.values.reshape(len(weights), -1)
        for start, stop in _runs(changes != 0):
            self._sums += changes[start:stop] @ flat[start:stop]
        self._weights = weights
        return self._sums


def iter_reduce(
    scan: Scan, most_bytes: int = MOST_BYTES
) -> Generator[ReducedProgress, None, ReducedScan]:
    """Read a scan once into a reduced copy.

    Parameters
    ----------
    scan : Scan
        Its bad pixels count nothing; with a descan, patterns are moved back by whole pixels.
    most_bytes : int
        Of the copy.

    Yields
    ------
    ReducedProgress

    Returns
    -------
    ReducedScan

    Raises
    ------
    ScanError
        If the patterns cannot be read, or there is not enough memory.
    """
    how = reduction(scan.shape, most_bytes)
    taken_y, taken_x = (how.positions(n) for n in scan.scan_shape)
    pixels = math.prod(how.binned_shape(scan.detector_shape))
    try:
        values = np.zeros((pixels, len(taken_y), len(taken_x)), np.float32)
    except MemoryError as error:
        raise ScanError(
            f"There is not enough memory for a reduced copy of {scan.name}; lower its size in the "
            "preferences."
        ) from error
    done, total = 0, math.prod(scan.scan_shape)
    for rows, columns in pieces(scan):
        inside_y = np.nonzero((taken_y >= rows.start) & (taken_y < rows.stop))[0]
        inside_x = np.nonzero((taken_x >= columns.start) & (taken_x < columns.stop))[0]
        if len(inside_y) and len(inside_x):
            first_y, first_x = int(taken_y[inside_y[0]]), int(taken_x[inside_x[0]])
            block = scan.read(
                slice(first_y, rows.stop, how.stride), slice(first_x, columns.stop, how.stride)
            )
            if scan.bad_pixels is not None:
                block = np.where(scan.bad_pixels, block.dtype.type(0), block)
            binned = _at_rest(scan, block, (rows, columns), (first_y, first_x), how)
            values[:, inside_y[0] : inside_y[-1] + 1, inside_x[0] : inside_x[-1] + 1] = (
                binned.reshape(*block.shape[:2], pixels).transpose(2, 0, 1)
            )
        done += (rows.stop - rows.start) * (columns.stop - columns.start)
        yield ReducedProgress(done, total)
    return ReducedScan(values, how, scan.scan_shape, scan.detector_shape)


def _at_rest(
    scan: Scan,
    block: npt.NDArray[np.generic],
    place: tuple[slice, slice],
    first: tuple[int, int],
    how: Reduction,
) -> Floats:
    """Binned patterns of a block, each moved so that the beam stands at its center."""
    height, width = block.shape[:2]
    flat = block.reshape(height * width, *scan.detector_shape)
    if scan.calibration.descan_px is None:
        return _binned(flat, how.binning)
    binned = np.zeros((len(flat), *how.binned_shape(scan.detector_shape)), np.float32)
    for shift, positions in beam_shifts(scan.calibration, *place, scan.scan_shape, 1.0):
        below, right = first[0] - place[0].start, first[1] - place[1].start
        members = positions[below :: how.stride, right :: how.stride].ravel()
        if members.any():
            binned[members] = _binned(_moved(flat[members], shift), how.binning)
    return binned


def _moved(
    patterns: npt.NDArray[np.generic], shift: tuple[float, float]
) -> npt.NDArray[np.generic]:
    """Patterns ``(n, ky, kx)`` moved back by whole pixels, zero where nothing was recorded."""
    down, across = (round(s) for s in shift)
    moved = np.zeros_like(patterns)
    height, width = patterns.shape[1:]
    to_y, to_x = (slice(max(0, -s), n - max(0, s)) for s, n in ((down, height), (across, width)))
    from_y, from_x = (slice(max(0, s), n + min(0, s)) for s, n in ((down, height), (across, width)))
    moved[:, to_y, to_x] = patterns[:, from_y, from_x]
    return moved


def _binned(patterns: npt.NDArray[np.generic], binning: int) -> Floats:
    """Sums over squares of pixels of patterns ``(n, ky, kx)``; the last ones may be smaller."""
    if binning == 1:
        return np.asarray(patterns, np.float32)
    count, height, width = patterns.shape
    rows, columns = -(-height // binning), -(-width // binning)
    # Row by row, then column by column: far faster than one sum over reshaped axes.
    tall = np.zeros((count, rows, width), np.float32)
    for offset in range(min(binning, height)):
        part = patterns[:, offset::binning]
        tall[:, : part.shape[1]] += part
    small = np.zeros((count, rows, columns), np.float32)
    for offset in range(min(binning, width)):
        part = tall[:, :, offset::binning]
        small[:, :, : part.shape[2]] += part
    return small


def _runs(chosen: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Starts and stops of runs of neighbors that are chosen."""
    edges = np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8))
    starts, stops = np.nonzero(edges == 1)[0], np.nonzero(edges == -1)[0]
    return list(zip(starts.tolist(), stops.tolist(), strict=True))
