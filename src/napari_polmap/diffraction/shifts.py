"""Where the beam stands on the detector at each probe position: the descan, in groups."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration

Shift = tuple[float, float]
"""How far the beam stands from `Calibration.center_px`: (ky, kx) in detector pixels."""


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
