"""Patterns read from a scan and made ready to be drawn; called in background threads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.diffraction.shifts import beam_shifts, centered, steps_per_px
from napari_polmap.scan import Scan
from napari_polmap.viewer.contrast import Contrast, grey_values

Limits = tuple[float, float]


@dataclass(frozen=True)
class ShownPattern:
    """A pattern as it is shown.

    Parameters
    ----------
    title : str
        What it is the pattern of.
    values : ndarray, shape (ky, kx)
        Intensities of one position as in the file, or their mean over a region.
    grey : ndarray of uint8, shape (ky, kx)
        As drawn.
    limits : tuple of float
        Intensities drawn black and white.
    position : (int, int) or None
        None for a region.
    done, total : int
        Positions read, and to be read.
    """

    title: str
    values: npt.NDArray[Any]
    grey: npt.NDArray[np.uint8]
    limits: Limits
    position: tuple[int, int] | None = None
    done: int = 1
    total: int = 1

    @property
    def complete(self) -> bool:
        """Whether all positions have been read."""
        return self.done == self.total


def position_pattern(
    scan: Scan, position: tuple[int, int], contrast: Contrast, limits: Limits | None = None
) -> ShownPattern:
    """The pattern of one position (y, x).

    Parameters
    ----------
    scan : Scan
    position : (int, int)
    contrast : Contrast
    limits : tuple of float, optional
        Intensities drawn black and white.

    Raises
    ------
    ScanError
        If the file cannot be read there.
    """
    values = scan.pattern(*position)
    title = f"Row {position[0]}, column {position[1]}"
    return ShownPattern(title, values, *_drawn(scan, values, contrast, limits), position)


def iter_region_pattern(
    scan: Scan, region: npt.NDArray[np.bool_], contrast: Contrast, limits: Limits | None = None
) -> Iterator[ShownPattern]:
    """Mean pattern over a region, block by block; each step shows the mean so far.

    With a descan, patterns are averaged with the beam at the calibration's center.

    Parameters
    ----------
    scan : Scan
    region : ndarray of bool, shape (y, x)
        At least one position.
    contrast : Contrast
    limits : tuple of float, optional
        Intensities drawn black and white.

    Raises
    ------
    ScanError
        If the file cannot be read there.
    """
    total = int(np.count_nonzero(region))
    summed = np.zeros(scan.detector_shape)
    for done, parts in _region_parts(scan, region):
        for patterns, shift in parts:
            part = patterns.sum(axis=0, dtype=np.float64)
            summed += centered(part, shift, scan.bad_pixels)
        values = (summed / done).astype(np.float32)
        drawn = _drawn(scan, values, contrast, limits)
        title = f"Mean of {total:,} positions"
        yield ShownPattern(title, values, *drawn, done=done, total=total)


def iter_maximum_pattern(
    scan: Scan, region: npt.NDArray[np.bool_], contrast: Contrast, limits: Limits | None = None
) -> Iterator[ShownPattern]:
    """The largest intensity of each detector pixel over a region, block by block.

    With a descan, patterns are compared with the beam at the calibration's center. For parameters
    and errors see `iter_region_pattern`.
    """
    total = int(np.count_nonzero(region))
    largest: npt.NDArray[Any] | None = None
    for done, parts in _region_parts(scan, region):
        for patterns, shift in parts:
            part = centered(patterns.max(axis=0), shift, scan.bad_pixels)
            largest = part if largest is None else np.fmax(largest, part)
        assert largest is not None
        drawn = _drawn(scan, largest, contrast, limits)
        title = f"Maximum of {total:,} positions"
        yield ShownPattern(title, largest, *drawn, done=done, total=total)


def _region_parts(
    scan: Scan, region: npt.NDArray[np.bool_]
) -> Iterator[tuple[int, Iterator[tuple[npt.NDArray[Any], tuple[float, float]]]]]:
    """How many positions there are so far, and the new patterns ``(n, ky, kx)`` by beam shift."""
    rows, columns = np.nonzero(region)
    box = (
        slice(int(rows.min()), int(rows.max()) + 1),
        slice(int(columns.min()), int(columns.max()) + 1),
    )
    step, done = 1 / steps_per_px(scan.calibration), 0
    for block in scan.blocks(box):
        chosen = region[block]
        if not chosen.any():
            continue
        patterns = scan.read(*block)
        done += int(np.count_nonzero(chosen))
        groups = beam_shifts(scan.calibration, *block, scan.scan_shape, step)
        yield (
            done,
            (
                (patterns[chosen & positions], shift)
                for shift, positions in groups
                if (chosen & positions).any()
            ),
        )


def redrawn(shown: ShownPattern, scan: Scan, contrast: Contrast) -> ShownPattern:
    """The same pattern with another contrast."""
    grey, limits = _drawn(scan, shown.values, contrast, None)
    return dataclasses.replace(shown, grey=grey, limits=limits)


def _drawn(
    scan: Scan, values: npt.NDArray[Any], contrast: Contrast, limits: Limits | None
) -> tuple[npt.NDArray[np.uint8], Limits]:
    good = values.astype(np.float32)
    if scan.bad_pixels is not None:
        good[scan.bad_pixels] = np.nan
    limits = contrast.limits(good) if limits is None else limits
    return grey_values(good, contrast, limits), limits
