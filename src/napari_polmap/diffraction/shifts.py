"""Where the beam stands on the detector at each probe position: the descan, in groups."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration

Shift = tuple[float, float]
"""How far the beam stands from `Calibration.center_px`: (ky, kx) in detector pixels."""

_COARSE_PX = 1 / 8
_FINE_RADII, _COARSE_RADII = 0.004, 0.008


def steps_per_px(calibration: Calibration) -> int:
    """Steps of a pixel in which patterns that are classified follow the beam.

    The center is then right to 0.2 % of R where a pixel is less, and to 0.4 % where an eighth of a
    pixel is more than that: within the error of the center with which classifiers are trained.
    """
    radius = calibration.radius_px
    step = _COARSE_PX
    if radius is not None:
        step = max(_FINE_RADII * radius, min(_COARSE_PX, _COARSE_RADII * radius))
    return int(np.ceil(1 / step))


def beam_shifts(
    calibration: Calibration,
    rows: slice,
    columns: slice,
    scan_shape: tuple[int, int],
    step_px: float,
) -> Iterator[tuple[Shift, npt.NDArray[np.bool_]]]:
    """Positions of a block in groups over which the beam stands still, but for a fraction of a px.

    Parameters
    ----------
    calibration : Calibration
    rows, columns : slice
        The block's place in the scan.
    scan_shape : (int, int)
        Rows and columns of the whole scan.
    step_px : float
        Shifts are rounded to multiples of it, so that a group's shift is right to half of it.

    Yields
    ------
    shift : (float, float)
        Beam from the calibration's center, (ky, kx) in pixels; (0, 0) without a descan.
    positions : ndarray of bool, shape (rows, columns)
        The block's positions with that shift; every position is in one group.
    """
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    for (ky, kx), indices in shift_groups(calibration, rows, columns, scan_shape, step_px):
        positions = np.zeros(shape, bool)
        positions.reshape(-1)[indices] = True
        yield (ky * step_px, kx * step_px), positions


def shift_groups(
    calibration: Calibration,
    rows: slice,
    columns: slice,
    scan_shape: tuple[int, int],
    step_px: float,
) -> Iterator[tuple[tuple[int, int], npt.NDArray[np.intp] | slice]]:
    """As `beam_shifts`, with shifts in whole steps and positions as flat indices of the block.

    The indices are a slice where all positions are in one group.
    """
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    if calibration.descan_px is None or not any(calibration.descan_px):
        yield (0, 0), slice(0, shape[0] * shape[1])
        return
    plane = dataclasses.replace(calibration, center_px=(0.0, 0.0)).center_at(
        np.arange(rows.start, rows.stop)[:, None],
        np.arange(columns.start, columns.stop)[None, :],
        scan_shape,
    )
    steps = np.rint(plane / step_px).astype(np.int64).reshape(-1, 2)
    low = steps.min(axis=0)
    codes = (steps[:, 0] - low[0]) * (int(np.ptp(steps[:, 1])) + 1) + steps[:, 1] - low[1]
    # Sorted once, so that many small groups cost no more than few large ones.
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order])) + 1
    for indices in np.split(order, starts):
        ky, kx = steps[indices[0]]
        yield (int(ky), int(kx)), indices


def centered(
    patterns: npt.NDArray[Any], shift: Shift, bad_pixels: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[Any]:
    """Patterns moved so that the beam stands at the calibration's center, bilinearly.

    For patterns that are averaged before they are cropped. What comes from beyond the detector
    repeats its edge, and bad pixels take the value of the nearest good one.

    Parameters
    ----------
    patterns : ndarray, shape (..., ky, kx)
    shift : (float, float)
        Of the beam in these patterns, from `beam_shifts`.
    bad_pixels : ndarray of bool, shape (ky, kx), optional

    Returns
    -------
    ndarray, shape (..., ky, kx)
        The patterns themselves where there is no shift, else floats.
    """
    if shift == (0.0, 0.0):
        return patterns
    if bad_pixels is not None:
        patterns = patterns.copy()
        rows, columns, good_rows, good_columns = nearest_good(bad_pixels)
        patterns[..., rows, columns] = patterns[..., good_rows, good_columns]
    moved = patterns.astype(np.result_type(patterns.dtype, np.float32))
    for axis, part in zip((-2, -1), shift, strict=True):
        pixels = moved.shape[axis]
        low = int(np.floor(part))
        share = part - low
        first = np.clip(np.arange(pixels) + low, 0, pixels - 1)
        second = np.clip(first + 1, 0, pixels - 1)
        moved = (1 - share) * moved.take(first, axis) + share * moved.take(second, axis)
    return np.asarray(moved)


def nearest_good(bad_pixels: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Rows and columns of the bad pixels, and of the good pixel nearest to each.

    Parameters
    ----------
    bad_pixels : ndarray of bool, shape (ky, kx)
        Not all of them.

    Returns
    -------
    ndarray of int, shape (4, n)
    """
    from scipy.ndimage import distance_transform_edt

    rows, columns = np.nonzero(bad_pixels)
    if not len(rows):
        return np.empty((4, 0), np.intp)
    nearest = distance_transform_edt(bad_pixels, return_distances=False, return_indices=True)
    return np.stack([rows, columns, *nearest[:, rows, columns]]).astype(np.intp)
