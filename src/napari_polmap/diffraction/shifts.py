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

_STEP_PX = 1 / 16
_STEP_RADII = 0.004


def steps_per_px(calibration: Calibration) -> int:
    """Steps of a pixel to which patterns that are classified follow the beam.

    The center is then right to 0.2 % of R or, on small disks, to 1/32 of a pixel: far within the
    error of the center with which classifiers are trained.
    """
    return int(np.ceil(1 / max(_STEP_PX, _STEP_RADII * (calibration.radius_px or 0.0))))


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
    if calibration.descan_px is None or not any(calibration.descan_px):
        yield (0.0, 0.0), np.ones(shape, bool)
        return
    plane = dataclasses.replace(calibration, center_px=(0.0, 0.0)).center_at(
        np.arange(rows.start, rows.stop)[:, None],
        np.arange(columns.start, columns.stop)[None, :],
        scan_shape,
    )
    steps = np.rint(plane / step_px).astype(np.int64).reshape(-1, 2)
    groups, member = np.unique(steps, axis=0, return_inverse=True)
    member = member.reshape(shape)
    for index, (ky, kx) in enumerate(groups):
        yield (float(ky * step_px), float(kx * step_px)), member == index


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
    if bad_pixels is not None and bad_pixels.any() and not bad_pixels.all():
        from scipy.ndimage import distance_transform_edt

        nearest = distance_transform_edt(bad_pixels, return_distances=False, return_indices=True)
        patterns = patterns[..., nearest[0], nearest[1]]
    moved = patterns.astype(np.result_type(patterns.dtype, np.float32))
    for axis, part in zip((-2, -1), shift, strict=True):
        pixels = moved.shape[axis]
        low = int(np.floor(part))
        share = part - low
        first = np.clip(np.arange(pixels) + low, 0, pixels - 1)
        second = np.clip(first + 1, 0, pixels - 1)
        moved = (1 - share) * moved.take(first, axis) + share * moved.take(second, axis)
    return np.asarray(moved)
