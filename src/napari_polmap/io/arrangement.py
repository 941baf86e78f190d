"""How the array in a file becomes a scan's ``(y, x, ky, kx)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import ScanChoiceError, ScanError
from napari_polmap.io.axes import Axis
from napari_polmap.io.frames import (
    Flattened,
    FrameStack,
    check_scan_shape,
    forward_slices,
    left_out,
    read_part,
)
from napari_polmap.io.records import read_no_more

AXES = ("y", "x", "ky", "kx")


@dataclass(frozen=True)
class Arrangement:
    """How the array in a file becomes ``(y, x, ky, kx)``; `Arrangement.of` checks the values.

    Parameters
    ----------
    nav_shape : (int, int), optional
        Rows and columns of probe positions as they were recorded, flyback columns included; by
        default as the file says.
    dataset : str, optional
        Name or number of the data set, in a file with several.
    index : tuple of int, optional
        Which entry of the axes before the last four, in a file with more.
    axes : str, optional
        The file's last four axes in the order they are stored (in a stack of frames: y and x
        stand for the frames), such as ``"ky,kx,y,x"``; a minus sign reverses an axis, as in
        ``"-y,x,ky,kx"``. By default ``"y,x,ky,kx"``.
    flyback : int
        Columns cut from the end of each row, as it was recorded.
    """

    nav_shape: tuple[int, int] | None = None
    dataset: str | None = None
    index: tuple[int, ...] | None = None
    axes: str | None = None
    flyback: int = 0

    @classmethod
    def of(
        cls,
        nav_shape: Sequence[int] | None = None,
        dataset: str | None = None,
        index: int | Sequence[int] | None = None,
        axes: str | None = None,
        flyback: int = 0,
    ) -> Arrangement:
        """An arrangement from what a user gives.

        Raises
        ------
        ScanError
            If a value is impossible.
        """
        if isinstance(flyback, bool) or not isinstance(flyback, int | np.integer) or flyback < 0:
            raise ScanError(
                f"flyback must be a number of columns, 0 or more, but is {flyback!r}; correct it."
            )
        chosen = None if index is None else (index,) if isinstance(index, int) else tuple(index)
        order = parse_axes(axes)
        text = ",".join("-" * reverse + name for name, reverse in order)
        return cls(
            _scan_shape(nav_shape),
            None if dataset is None else str(dataset),
            chosen,
            None if text == ",".join(AXES) else text,
            int(flyback),
        )

    def options(self) -> dict[str, Any]:
        """The options of `load_scan` that are not the default, as plain values."""
        return {
            name: value
            for name, value in vars(self).items()
            if value is not None and (name, value) != ("flyback", 0)
        }

    def apply(
        self,
        name: str,
        data: Any,
        axes: tuple[Axis, ...],
        storage: tuple[int, int] | None = None,
    ) -> Arranged:
        """Put an array's axes in order, without reading it.

        Parameters
        ----------
        name : str
            The file, for people.
        data : array-like
            Shape ``(..., y, x, ky, kx)`` or ``(frames, ky, kx)``, or as `axes` of the arrangement
            says.
        axes : tuple of Axis
            One for each axis of `data`.
        storage : (int, int), optional
            Entries of the third and fourth last axis that are stored together.

        Raises
        ------
        ScanError
            If the arrangement does not fit the array.
        ScanChoiceError
            If the array has more axes and no index is given.
        ScanShapeError
            If a stack of frames has no or another scan shape.
        """
        data, axes = _indexed(name, data, axes, self.index)
        if data.ndim not in (3, 4):
            raise ScanError(
                f"{name} has {data.ndim} axes (shape {tuple(data.shape)}), but a scan has four "
                "axes (y, x, ky, kx), or three (frames, ky, kx) with nav_shape; choose a 4D-STEM "
                "file."
            )
        stored = parse_axes(self.axes)
        names = [axis for axis, _ in stored]
        if data.ndim == 3:
            # y and x stand for the frames, wherever these are.
            slow = min(names.index("y"), names.index("x"))
            if abs(names.index("y") - names.index("x")) != 1:
                raise ScanError(
                    f"{name} has three axes (shape {tuple(data.shape)}), so y and x, which stand "
                    f"for its frames, must be neighbors in axes, but it is {self.axes!r}; correct "
                    "it."
                )
            data, axes = _moved(data, axes, [slow, *(i for i in range(3) if i != slow)])
            shape = check_scan_shape(name, int(data.shape[0]), self.nav_shape)
            notes = left_out(name, int(data.shape[0]), shape)
            storage = _frames_together(data, shape[1])
            data, axes = FrameStack(data, shape), (Axis(), Axis(), *axes[1:])
        else:
            first = [i for i, axis in enumerate(names) if axis in ("y", "x")]
            order = [*first, *(i for i in range(4) if i not in first)]
            if order != [0, 1, 2, 3]:
                storage = _stored_together(data, first, storage)
            data, axes = _moved(data, axes, order)
            notes = []
            if self.nav_shape is not None and self.nav_shape != tuple(data.shape[:2]):
                frames = int(data.shape[0]) * int(data.shape[1])
                shape = check_scan_shape(name, frames, self.nav_shape)
                notes, storage = left_out(name, frames, shape), None
                data, axes = FrameStack(Flattened(data), shape), (Axis(), Axis(), *axes[2:])
        scan_names = [axis for axis in names if axis in ("y", "x")]
        detector_names = [axis for axis in names if axis in ("ky", "kx")]
        now = scan_names + detector_names
        columns = int(data.shape[1])
        if self.flyback >= columns:
            raise ScanError(
                f"Cutting {self.flyback} flyback columns leaves nothing of the {columns} columns "
                f"of {name}; give a smaller flyback."
            )
        order = [now.index(axis) for axis in AXES]
        lengths = [int(n) for n in data.shape]
        lengths[1] -= self.flyback
        reverse = dict(stored)
        turned = [reverse[axis] for axis in AXES]
        if order != [0, 1, 2, 3] or any(turned) or self.flyback:
            data = ArrangedView(data, order, turned, [lengths[i] for i in order])
            axes = tuple(
                _reversed(axes[i], lengths[i]) if back else axes[i]
                for i, back in zip(order, turned, strict=True)
            )
            if storage is not None and order[0] == 1:
                storage = storage[::-1]
        return Arranged(data, (axes[0], axes[1], axes[2], axes[3]), storage, notes)


@dataclass(frozen=True)
class Arranged:
    """A file's data as a scan.

    Parameters
    ----------
    data : array-like
        Axes ``(y, x, ky, kx)``, lazy.
    axes : tuple of four Axis
    storage : (int, int) or None
        Rows and columns of positions that are stored together, where it is known.
    warnings : list of str
    """

    data: Any
    axes: tuple[Axis, Axis, Axis, Axis]
    storage: tuple[int, int] | None
    warnings: list[str]


class ArrangedView:
    """A lazy view of an array with axes in another order, reversed or cut at the end.

    Parameters
    ----------
    source : array-like
        Indexed with slices of positive step when read.
    order : sequence of int
        Which axis of `source` each axis of the view is.
    reverse : sequence of bool
        Whether each axis of the view runs backwards.
    shape : sequence of int
        Lengths of the view's axes; a shorter one leaves out the end of the source's.
    """

    def __init__(
        self, source: Any, order: Sequence[int], reverse: Sequence[bool], shape: Sequence[int]
    ) -> None:
        self._source = source
        self._order = tuple(order)
        self._reverse = tuple(reverse)
        self.shape = tuple(shape)
        self.ndim = len(self.shape)
        self.dtype = np.dtype(source.dtype)

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        slices, finish = forward_slices(key, self.shape)
        wanted = [slice(None)] * self.ndim
        for axis, back, part, size in zip(
            self._order, self._reverse, slices, self.shape, strict=True
        ):
            wanted[axis] = _mirrored(part, size) if back else part
        out = read_part(self._source, tuple(wanted)).transpose(self._order)
        turned: npt.NDArray[Any] = out[
            tuple(slice(None, None, -1 if back else 1) for back in self._reverse)
        ]
        return turned[finish]


class Entry:
    """One entry of an array's first axes, lazily.

    Parameters
    ----------
    source : array-like
        Indexed with slices of positive step when read.
    index : sequence of int
        Where it is along each of the first axes.
    """

    def __init__(self, source: Any, index: Sequence[int]) -> None:
        self._source = source
        self._index = tuple(slice(i, i + 1) for i in index)
        self.shape = tuple(int(n) for n in source.shape[len(index) :])
        self.ndim = len(self.shape)
        self.dtype = np.dtype(source.dtype)
        chunks = getattr(source, "chunksize", None)
        if chunks is not None:
            self.chunksize = tuple(int(n) for n in chunks[len(index) :])

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        slices, finish = forward_slices(key, self.shape)
        part = read_part(self._source, (*self._index, *slices))
        out: npt.NDArray[Any] = part[(0,) * len(self._index)][finish]
        return out


def parse_axes(text: str | None) -> list[tuple[str, bool]]:
    """Names of the stored axes and whether each is reversed, from a text like ``"-y,x,ky,kx"``.

    Raises
    ------
    ScanError
        If the text does not name each of the four once.
    """
    if text is None:
        return [(name, False) for name in AXES]
    parts = [part.strip() for part in text.split(",")] if isinstance(text, str) else []
    found = [(part.removeprefix("-"), part.startswith("-")) for part in parts]
    if sorted(name for name, _ in found) != sorted(AXES):
        raise ScanError(
            f"axes must name y, x, ky and kx once each, in the order the file stores them, such as "
            f"'ky,kx,y,x', with a minus sign before a reversed one, but is {text!r}; correct it."
        )
    return found


def _indexed(
    name: str, data: Any, axes: tuple[Axis, ...], index: tuple[int, ...] | None
) -> tuple[Any, tuple[Axis, ...]]:
    chosen = index or ()
    extra = data.ndim - 4
    if len(chosen) != max(0, extra):
        shape = tuple(data.shape)
        if extra > 0:
            raise ScanChoiceError(
                f"{name} has {data.ndim} axes (shape {shape}), but a scan has four; choose one by "
                "index, one number for each axis before these, which have the lengths "
                f"{', '.join(str(n) for n in shape[:extra])}.",
                lengths=tuple(int(n) for n in shape[:extra]),
            )
        raise ScanError(
            f"{name} has no further axes (shape {shape}) to take index {list(chosen)} of; leave "
            "index out."
        )
    if not chosen:
        return data, axes
    if any(not -n <= i < n for i, n in zip(chosen, data.shape, strict=False)):
        raise ScanError(
            f"{name} has no index {list(chosen)}: its first axes have "
            f"{list(data.shape[:extra])} entries; choose smaller numbers."
        )
    return Entry(data, [i % n for i, n in zip(chosen, data.shape, strict=False)]), axes[extra:]


def _moved(data: Any, axes: tuple[Axis, ...], order: Sequence[int]) -> tuple[Any, tuple[Axis, ...]]:
    if list(order) == sorted(order):
        return data, axes
    view = ArrangedView(data, order, [False] * len(order), [int(data.shape[i]) for i in order])
    return view, tuple(axes[i] for i in order)


def _stored_together(
    data: Any, scan_axes: Sequence[int], storage: tuple[int, int] | None
) -> tuple[int, int] | None:
    """Entries of the two scan axes, as they are stored, that lie together."""
    chunks = getattr(data, "chunksize", None)
    if chunks is not None and storage not in (None, (1, 1)):
        return int(chunks[scan_axes[0]]), int(chunks[scan_axes[1]])
    if scan_axes[1] == 3:
        # A pattern's pixels lie far apart, those of neighboring positions side by side.
        read_no_more(data)
        return 1, int(data.shape[3])
    return storage


def _frames_together(frames: Any, columns: int) -> tuple[int, int] | None:
    """Rows and columns that are stored together, where a file keeps frames in chunks."""
    count = int(getattr(frames, "chunksize", (1,))[0])
    return (max(1, count // columns), min(count, columns)) if count > 1 else None


def _mirrored(part: slice, size: int) -> slice:
    """The source's slice, of positive step, for a slice of an axis that runs backwards."""
    numbers = range(*part.indices(size))
    if not numbers:
        return slice(0, 0, 1)
    return slice(size - 1 - numbers[-1], size - numbers[0], numbers.step)


def _reversed(axis: Axis, length: int) -> Axis:
    return replace(axis, scale=-axis.scale, offset=axis.offset + axis.scale * (length - 1))


def _scan_shape(nav_shape: Sequence[int] | None) -> tuple[int, int] | None:
    if nav_shape is None:
        return None
    shape = tuple(int(n) for n in nav_shape)
    if len(shape) != 2 or min(shape) < 1:
        raise ScanError(
            f"nav_shape must be two positive numbers (rows, columns), but is {list(nav_shape)}; "
            "correct it."
        )
    return shape[0], shape[1]
