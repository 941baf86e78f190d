"""Files of equally long records, each one pattern with its own header, as memory maps."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import ScanShapeError
from napari_polmap.io.frames import forward_slices, scan_shapes


@dataclass(frozen=True)
class Records:
    """Where the patterns of a file lie.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of a pattern.
    dtype : numpy.dtype
    offset : int
        Bytes before the first record.
    before, after : int
        Bytes around the pattern in each record.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    offset: int = 0
    before: int = 0
    after: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of a record."""
        return self.before + self.shape[0] * self.shape[1] * self.dtype.itemsize + self.after

    def count(self, path: Path) -> tuple[int, int]:
        """How many whole records a file holds, and how many bytes of one more."""
        return divmod(max(0, path.stat().st_size - self.offset), self.nbytes)

    def map(self, path: Path, count: int) -> npt.NDArray[Any]:
        """The first patterns of a file, shape ``(count, ky, kx)``, as a read-only memory map."""
        if not count:
            return np.empty((0, *self.shape), self.dtype)
        record = np.dtype(
            {
                "names": ["pattern"],
                "formats": [(self.dtype, self.shape)],
                "offsets": [self.before],
                "itemsize": self.nbytes,
            }
        )
        patterns: npt.NDArray[Any] = np.memmap(path, record, "r", self.offset, (count,))["pattern"]
        return patterns


class Joined:
    """Frames of several files, one after another, as lazy frames ``(n, ky, kx)``.

    Parameters
    ----------
    parts : sequence of array
        Of the same frame shape and dtype.
    """

    ndim = 3

    def __init__(self, parts: Sequence[Any]) -> None:
        self._parts = list(parts)
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        self.shape = (int(self._starts[-1]), *parts[0].shape[1:])
        self.dtype = parts[0].dtype
        self.chunksize = getattr(parts[0], "chunksize", (1, *self.shape[1:]))

    def cut(self, start: int, count: int) -> Joined:
        """Some of the frames, of parts that are memory maps."""
        bounds = zip(self._parts, self._starts[:-1].tolist(), strict=True)
        return Joined(
            [part[max(0, start - low) : max(0, start + count - low)] for part, low in bounds]
        )

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        (frames, rows, columns), finish = forward_slices(key, self.shape)
        numbers = range(*frames.indices(self.shape[0]))
        found = []
        for part, low, high in zip(
            self._parts, self._starts[:-1].tolist(), self._starts[1:].tolist(), strict=True
        ):
            first = max(0, -(-(low - numbers.start) // numbers.step))
            mine = numbers[first : max(first, -(-(high - numbers.start) // numbers.step))]
            if mine:
                found.append(part[mine[0] - low : mine[-1] - low + 1 : mine.step, rows, columns])
        if not found:
            return self._parts[0][:0, rows, columns][finish]
        whole = found[0] if len(found) == 1 else np.concatenate(found)
        out: npt.NDArray[Any] = whole[finish]
        return out


def read_no_more(data: Any) -> None:
    """Keep the system from reading on after what is asked for, where that lies scattered.

    Reading on would read the whole file for the pixels of one pattern.

    Parameters
    ----------
    data : array-like
        Nothing is done unless it is a memory map.
    """
    mapped = getattr(data, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_RANDOM"):
        mapped.madvise(mmap.MADV_RANDOM)


def check_complete(
    name: str,
    found: int,
    recorded: int,
    cut: bool,
    nav_shape: tuple[int, int] | None,
    hints: Sequence[Sequence[int]] = (),
) -> list[str]:
    """See that a file holds the frames that were recorded, or at least those of a shape.

    Parameters
    ----------
    name : str
        The file, for people.
    found, recorded : int
        Whole frames in the file, and how many its header tells of (0 if it does not).
    cut : bool
        Whether it ends within a frame.
    nav_shape : (int, int), optional
        Rows and columns the user wants; frames beyond them are left out.
    hints : sequence of (rows, columns), optional
        What the file says of the scan's shape.

    Returns
    -------
    list of str
        What to tell of a file that is not complete.

    Raises
    ------
    ScanShapeError
        If frames are missing and `nav_shape` does not choose complete rows.
    """
    if not cut and found >= recorded:
        return []
    said = f"{found} of {recorded} frames" if found < recorded else f"{found} whole frames"
    told = f"{name} holds {said}" + (", the last one cut off" if cut else "")
    if nav_shape is None or nav_shape[0] * nav_shape[1] > found:
        columns = next((int(hint[1]) for hint in hints if 0 < int(hint[1]) <= found), 0)
        rows = (found // columns, columns) if columns else (1, found)
        raise ScanShapeError(
            f"{told}: the acquisition was stopped or the copy is incomplete; copy the file again, "
            f"or open its complete rows with nav_shape such as {rows}.",
            tuple(dict.fromkeys([rows, *(shape[:2] for shape in scan_shapes(found))])),
            found,
        )
    return [f"{told}; only the first {nav_shape[0]} x {nav_shape[1]} are used."]
