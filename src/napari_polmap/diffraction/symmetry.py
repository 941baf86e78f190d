"""Exact four-fold rotation and mirror of scans and patterns together with their direction.

Turning specimen, scan and detector by 90° is a mere permutation of the array: the turned data are
those of the turned specimen, and every polarization angle grows by 90°. A detector with an odd
number of pixels and the beam on the middle one keeps its center; on any other detector the center
moves with the pixels, as `rotate_center` says. Arrays have their rows downward, angles run
counter-clockwise from +x with +y up.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import PolmapError

Scalar = TypeVar("Scalar", bound=np.generic)

_SCAN_AXES = (-4, -3)
_DETECTOR_AXES = (-2, -1)


def rotate_scan(data: npt.NDArray[Scalar], quarter_turns: int) -> npt.NDArray[Scalar]:
    """Turn specimen, scan and detector counter-clockwise by quarter turns.

    Parameters
    ----------
    data : numpy.ndarray, shape (..., y, x, ky, kx)
        A scan, or several.
    quarter_turns : int
        Number of turns by 90°; the polarization's angle grows by 90° each (`rotate_angle`).

    Returns
    -------
    numpy.ndarray
        A view, shape (..., y, x, ky, kx) with both pairs of axes turned.

    Raises
    ------
    PolmapError
        If there are fewer than four axes.
    """
    _need_axes(data, 4, "A scan")
    return np.rot90(np.rot90(data, quarter_turns, _SCAN_AXES), quarter_turns, _DETECTOR_AXES)


def mirror_scan(data: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Mirror specimen, scan and detector left to right; angles θ become 180° - θ (`mirror_angle`).

    Parameters
    ----------
    data : numpy.ndarray, shape (..., y, x, ky, kx)
        A scan, or several.

    Raises
    ------
    PolmapError
        If there are fewer than four axes.
    """
    _need_axes(data, 4, "A scan")
    return np.flip(data, (_SCAN_AXES[1], _DETECTOR_AXES[1]))


def rotate_patterns(patterns: npt.NDArray[Scalar], quarter_turns: int) -> npt.NDArray[Scalar]:
    """Turn patterns, shape (..., ky, kx), counter-clockwise by quarter turns.

    For patterns that stand alone or are averaged already. Their angle grows by 90° a turn.

    Raises
    ------
    PolmapError
        If there are fewer than two axes.
    """
    _need_axes(patterns, 2, "A pattern")
    return np.rot90(patterns, quarter_turns, _DETECTOR_AXES)


def mirror_patterns(patterns: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Mirror patterns, shape (..., ky, kx), left to right; angles θ become 180° - θ.

    Raises
    ------
    PolmapError
        If there are fewer than two axes.
    """
    _need_axes(patterns, 2, "A pattern")
    return np.flip(patterns, _DETECTOR_AXES[1])


def rotate_angle(angle_deg: float, quarter_turns: int) -> float:
    """Angle in 0..360 degrees of a direction after quarter turns counter-clockwise."""
    return (angle_deg + 90.0 * quarter_turns) % 360.0


def mirror_angle(angle_deg: float) -> float:
    """Angle in 0..360 degrees of a direction after mirroring left to right."""
    return (180.0 - angle_deg) % 360.0


def rotate_center(
    center: tuple[float, float], shape: tuple[int, int], quarter_turns: int
) -> tuple[float, float]:
    """Where the beam lies after quarter turns of a detector.

    Parameters
    ----------
    center : tuple of float
        The beam as (ky, kx) in pixels.
    shape : tuple of int
        Detector (rows, columns) before turning.
    quarter_turns : int
        Number of turns by 90° counter-clockwise.
    """
    (row, column), (rows, columns) = center, shape
    for _ in range(quarter_turns % 4):
        row, column = columns - 1 - column, row
        rows, columns = columns, rows
    return row, column


def mirror_center(center: tuple[float, float], shape: tuple[int, int]) -> tuple[float, float]:
    """Where the beam lies after mirroring a detector left to right; see `rotate_center`."""
    return center[0], shape[1] - 1 - center[1]


def _need_axes(data: npt.NDArray[Scalar], axes: int, what: str) -> None:
    if data.ndim < axes:
        raise PolmapError(
            f"{what} has at least {axes} axes, but the array has {data.ndim}; give the whole array."
        )
