"""Stacks of frames as scans: the scan's shape, and lazy reshaping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import ScanShapeError
from napari_polmap.scan import in_memory

_CANDIDATES = 8
_MOST_FLYBACK = 8
_FEW = 16
"""Rows and columns below which no flyback is guessed."""


class ScanShape(NamedTuple):
    """A likely shape of a scan.

    Parameters
    ----------
    rows, columns : int
        As recorded.
    flyback : int
        How many of the columns are flyback, to be cut from the end of each row.
    """

    rows: int
    columns: int
    flyback: int = 0


def scan_shapes(frames: int, hints: Sequence[Sequence[int]] = ()) -> list[ScanShape]:
    """Likely shapes of a scan of a number of frames, the likeliest first.

    Parameters
    ----------
    frames : int
    hints : sequence of (rows, columns) or (rows, columns, flyback), optional
        What the file suggests; those that fit the frames come first.

    Notes
    -----
    All exact factorizations are ranked by how far they are from square (in octaves) and by how
    round rows and columns are (powers of two first); those whose columns are a few more than a
    round number, or than the rows, are taken for rows with flyback too. The largest square counts
    too where it leaves out less than a row of frames at the end.
    """
    hinted = [ScanShape(*(int(n) for n in hint)) for hint in hints]
    found = list(dict.fromkeys(h for h in hinted if h.rows * h.columns == frames and min(h[:2])))
    shapes = []
    for rows in _divisors(frames):
        columns = frames // rows
        shapes.append(ScanShape(rows, columns))
        shapes += [
            ScanShape(rows, columns, flyback)
            for flyback in range(1, _MOST_FLYBACK + 1)
            if columns - flyback > 1 and _looks_cut(rows, columns - flyback)
        ]
    lines = all(min(shape[:2]) == 1 for shape in shapes)
    shapes = [shape for shape in shapes if lines or min(shape.rows, shape.columns) > 1]
    side = math.isqrt(frames)
    if 0 < frames - side * side < side:
        shapes.append(ScanShape(side, side))
    shapes.sort(key=lambda shape: (round(_unlikely(shape, frames), 9), shape))
    return [*found, *(shape for shape in shapes if shape not in found)][:_CANDIDATES]


def _divisors(number: int) -> list[int]:
    small = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})


def _looks_cut(rows: int, columns: int) -> bool:
    return rows >= _FEW and columns >= _FEW and (columns == rows or _roughness(columns) == 0)


def _unlikely(shape: ScanShape, frames: int) -> float:
    used = shape.columns - shape.flyback
    lost = 0.5 + 0.05 * shape.flyback if shape.flyback else 0.0
    lost += 1.0 if shape.rows * shape.columns < frames else 0.0
    return abs(math.log2(shape.rows / used)) + _roughness(shape.rows) + _roughness(used) + lost


def _roughness(length: int) -> float:
    if length & (length - 1) == 0:
        return 0.0
    for divisor, cost in ((32, 0.15), (50, 0.15), (8, 0.3), (10, 0.3)):
        if length % divisor == 0:
            return cost
    return 0.6


def check_scan_shape(
    name: str,
    frames: int,
    nav_shape: tuple[int, int] | None,
    hints: Sequence[Sequence[int]] = (),
) -> tuple[int, int]:
    """The scan's shape, if it is given and fits the number of frames.

    A shape that leaves out less than one row of frames at the end fits too, see `left_out`.

    Parameters
    ----------
    name : str
        The file, for people.
    frames : int
        How many there are.
    nav_shape : (int, int) or None
        Rows and columns.
    hints : sequence of (rows, columns), optional
        What the file suggests.

    Raises
    ------
    ScanShapeError
        If it is not given or does not fit; with the likely shapes.
    """
    if nav_shape is not None and 0 <= frames - nav_shape[0] * nav_shape[1] < nav_shape[1]:
        return nav_shape
    candidates = tuple(dict.fromkeys(shape[:2] for shape in scan_shapes(frames, hints)))
    likely = ", ".join(f"({rows}, {columns})" for rows, columns in candidates)
    if nav_shape is None:
        raise ScanShapeError(
            f"{name} holds {frames} frames, but not the scan's shape; give nav_shape as "
            f"(rows, columns), likely one of {likely}.",
            candidates,
            frames,
        )
    raise ScanShapeError(
        f"{name} holds {frames} frames, which do not fit a scan of {nav_shape[0]} x "
        f"{nav_shape[1]} = {nav_shape[0] * nav_shape[1]} positions; give a nav_shape as "
        f"(rows, columns) that fits, likely one of {likely}.",
        candidates,
        frames,
    )


def left_out(name: str, frames: int, shape: tuple[int, int]) -> list[str]:
    """What to tell of frames at the end that a scan's shape leaves out."""
    rest = frames - shape[0] * shape[1]
    if not rest:
        return []
    last = f"The last {rest} of {frames} frames are" if rest > 1 else f"The last of {frames} is"
    return [f"{last} left out: {name} is opened as {shape[0]} rows of {shape[1]}."]


class FrameStack:
    """A lazy ``(y, x, ky, kx)`` view of frames ``(n, ky, kx)`` recorded row by row.

    Parameters
    ----------
    frames : array-like, shape (n, ky, kx)
        Indexed with three slices of positive step when read.
    scan_shape : (int, int)
        Rows and columns; frames beyond their product are left out.
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
            part = read_part(
                self._frames, (slice(rows.start * width, rows.stop * width), *detector)
            )
            out = part.reshape(len(rows), width, *part.shape[1:])
        else:
            parts = [
                read_part(self._frames, (_shifted(columns, row * width), *detector)) for row in rows
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
                    parts.append(
                        read_part(self._data, (slice(row, row + 1), columns, *detector))[0]
                    )
        sizes = (len(range(*s.indices(n))) for s, n in zip(detector, self.shape[1:], strict=True))
        out = np.concatenate(parts) if parts else np.empty((0, *sizes), self.dtype)
        return out[finish]


def _shifted(columns: range, by: int) -> slice:
    return slice(columns.start + by, columns.stop + by, columns.step)


def read_part(source: Any, key: tuple[slice, ...]) -> npt.NDArray[Any]:
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
