"""Stacks of frames as scans: the scan's shape, and lazy reshaping."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import ScanShapeError
from napari_polmap.scan import in_memory

_CANDIDATES = 6


def scan_shapes(frames: int) -> tuple[tuple[int, int], ...]:
    """Likely scan shapes (rows, columns) of a number of frames, near-square ones first."""
    shapes = []
    for rows in range(1, math.isqrt(frames) + 1):
        if frames % rows == 0:
            columns = frames // rows
            shapes += [(rows, columns), (columns, rows)] if rows != columns else [(rows, columns)]
    shapes.sort(key=lambda shape: (abs(math.log(shape[0] / shape[1])), shape))
    real = [shape for shape in shapes if min(shape) > 1] or shapes
    return tuple(real[:_CANDIDATES])


def check_scan_shape(
    name: str, frames: int, nav_shape: tuple[int, int] | None, why: str = ""
) -> tuple[int, int]:
    """The scan's shape, if it is given and fits the number of frames.

    Parameters
    ----------
    name : str
        The file, for people.
    frames : int
        How many there are.
    nav_shape : (int, int) or None
        Rows and columns.
    why : str
        What the file says, added to the sentence.

    Raises
    ------
    ScanShapeError
        If it is not given or does not fit; with the likely shapes.
    """
    candidates = scan_shapes(frames)
    likely = ", ".join(f"({rows}, {columns})" for rows, columns in candidates)
    if nav_shape is None:
        raise ScanShapeError(
            f"{name} holds {frames} frames, but not the scan's shape{why}; give nav_shape as "
            f"(rows, columns), likely one of {likely}.",
            candidates,
        )
    if nav_shape[0] * nav_shape[1] != frames:
        raise ScanShapeError(
            f"{name} holds {frames} frames, which do not fit a scan of {nav_shape[0]} x "
            f"{nav_shape[1]} = {nav_shape[0] * nav_shape[1]} positions{why}; give a nav_shape as "
            f"(rows, columns) that fits, likely one of {likely}.",
            candidates,
        )
    return nav_shape


class FrameStack:
    """A lazy ``(y, x, ky, kx)`` view of frames ``(n, ky, kx)`` recorded row by row.

    Parameters
    ----------
    frames : array-like, shape (n, ky, kx)
        Indexed with three slices of positive step when read.
    scan_shape : (int, int)
        Rows and columns; their product is n.
    """

    ndim = 4

    def __init__(self, frames: Any, scan_shape: tuple[int, int]) -> None:
        self._frames = frames
        self.shape = (*scan_shape, *(int(n) for n in frames.shape[1:]))
        self.dtype = np.dtype(frames.dtype)

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        slices, finish = forward_slices(key, self.shape)
        rows, columns = (
            range(*s.indices(n)) for s, n in zip(slices[:2], self.shape[:2], strict=True)
        )
        width = self.shape[1]
        detector = slices[2:]
        if len(columns) == width and rows.step == 1:
            part = _part(self._frames, (slice(rows.start * width, rows.stop * width), *detector))
            out = part.reshape(len(rows), width, *part.shape[1:])
        else:
            parts = [
                _part(self._frames, (_shifted(columns, row * width), *detector)) for row in rows
            ]
            sizes = (
                len(range(*s.indices(n))) for s, n in zip(detector, self.shape[2:], strict=True)
            )
            out = np.stack(parts) if parts else np.empty((0, len(columns), *sizes), self.dtype)
        return out[finish]


class Flattened:
    """The patterns of a ``(y, x, ky, kx)`` array as lazy frames ``(n, ky, kx)``, row by row.

    Reshaping the array itself would copy one that is not stored row by row.
    """

    ndim = 3

    def __init__(self, data: Any) -> None:
        self._data = data
        rows, columns, *detector = (int(n) for n in data.shape)
        self._width = columns
        self.shape = (rows * columns, *detector)
        self.dtype = np.dtype(data.dtype)

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        (frames, *detector), finish = forward_slices(key, self.shape)
        numbers = range(*frames.indices(self.shape[0]))
        parts = []
        if len(numbers):
            for row in range(numbers[0] // self._width, numbers[-1] // self._width + 1):
                low = row * self._width
                first = low + max(0, numbers.start - low)
                first += (numbers.start - first) % numbers.step
                stop = min(numbers.stop, low + self._width)
                if first < stop:
                    columns = slice(first - low, stop - low, numbers.step)
                    parts.append(_part(self._data, (slice(row, row + 1), columns, *detector))[0])
        sizes = (len(range(*s.indices(n))) for s, n in zip(detector, self.shape[1:], strict=True))
        out = np.concatenate(parts) if parts else np.empty((0, *sizes), self.dtype)
        return out[finish]


def _shifted(columns: range, by: int) -> slice:
    return slice(columns.start + by, columns.stop + by, columns.step)


def _part(source: Any, key: tuple[slice, ...]) -> npt.NDArray[Any]:
    """A part of an array, computed if it is lazy."""
    part = source[key]
    return in_memory(part) if hasattr(part, "compute") else np.asarray(part)


def forward_slices(
    key: Any, shape: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[int | slice, ...]]:
    """Any basic index as slices of positive step, and the index that then finishes the job."""
    key = key if isinstance(key, tuple) else (key,)
    if Ellipsis in key:
        at = key.index(Ellipsis)
        key = (*key[:at], *[slice(None)] * (len(shape) - len(key) + 1), *key[at + 1 :])
    key = (*key, *[slice(None)] * (len(shape) - len(key)))
    slices: list[slice] = []
    finish: list[int | slice] = []
    for item, size in zip(key, shape, strict=True):
        if isinstance(item, slice):
            indices = range(*item.indices(size))
            forward = indices if indices.step > 0 else indices[::-1]
            stop = forward[-1] + 1 if len(forward) else forward.start
            slices.append(slice(forward.start, stop, forward.step))
            finish.append(slice(None, None, 1 if indices.step > 0 else -1))
        else:
            position = range(size)[item]
            slices.append(slice(position, position + 1, 1))
            finish.append(0)
    return tuple(slices), tuple(finish)
