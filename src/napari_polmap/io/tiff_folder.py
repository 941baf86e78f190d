"""Folders of TIFF files, one pattern a file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import ScanError
from napari_polmap.io.frames import forward_slices

ENDINGS = (".tif", ".tiff")
# What tifffile raises on files it cannot read; its own error is a ValueError.
TIFF_ERRORS = (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError)


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sorts ``img2`` before ``img10``."""
    return [
        (int(part), "") if part.isdigit() else (-1, part.lower())
        for part in re.split(r"(\d+)", name)
    ]


def tiff_names(folder: Path) -> list[str]:
    """Names of a folder's TIFF files in natural order; hidden files are left out."""
    with os.scandir(folder) as entries:
        names = [
            entry.name
            for entry in entries
            if entry.name.lower().endswith(ENDINGS) and not entry.name.startswith(".")
        ]
    return sorted(names, key=natural_key)


class TiffFolder:
    """The first planes of a folder's TIFF files as lazy frames ``(n, ky, kx)``.

    Only the first and the last file are opened before frames are read. Files laid out as the
    first one, byte for byte outside the pixels, are read without parsing them.

    Parameters
    ----------
    folder : Path
    names : list of str
        The files, in the order of the scan.

    Attributes
    ----------
    planes : int
        How many planes the first file has.

    Raises
    ------
    ScanError
        If the first or last file cannot be read, or they differ in shape.
    """

    ndim = 3

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder = folder
        self.names = names
        first, self.planes = _first_plane(folder / names[0])
        self.dtype = first.dtype
        self.shape = (len(names), *first.shape)
        self._layout = _Layout.of(folder / names[0])
        if len(names) > 1:
            self._read(len(names) - 1)

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        (frames, rows, columns), finish = forward_slices(key, self.shape)
        numbers = range(*frames.indices(self.shape[0]))
        height = len(range(*rows.indices(self.shape[1])))
        width = len(range(*columns.indices(self.shape[2])))
        out = np.empty((len(numbers), height, width), self.dtype)
        for place, number in enumerate(numbers):
            out[place] = self._read(number)[rows, columns]
        return out[finish]

    def _read(self, number: int) -> npt.NDArray[Any]:
        path = self.folder / self.names[number]
        plane = None
        if self._layout is not None:
            plane = self._layout.read(path)
        if plane is None:
            plane, _ = _first_plane(path)
        if plane.shape != self.shape[1:] or plane.dtype != self.dtype:
            raise ScanError(
                f"{path.name} is {plane.dtype} of {plane.shape[0]} x {plane.shape[1]} pixels, but "
                f"the first file of {self.folder} is {self.dtype} of {self.shape[1]} x "
                f"{self.shape[2]}; a folder holds one scan, move other images away."
            )
        return plane


class _Layout:
    """Where the pixels of a plain (uncompressed, contiguous) TIFF file lie."""

    def __init__(self, content: bytes, offset: int, shape: tuple[int, int], dtype: Any) -> None:
        self.size = len(content)
        self.offset = offset
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.end = offset + int(np.prod(shape)) * self.dtype.itemsize
        self.before = content[:offset]
        self.after = content[self.end :]

    @classmethod
    def of(cls, path: Path) -> _Layout | None:
        """The layout of a file; None if it must be parsed."""
        import tifffile

        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[0]
            if not page.is_contiguous or page.ndim != 2 or page.dtype is None:
                return None
            dtype = page.dtype.newbyteorder(tiff.byteorder)
            offset, shape = page.dataoffsets[0], (page.shape[0], page.shape[1])
        return cls(path.read_bytes(), offset, shape, dtype)

    def read(self, path: Path) -> npt.NDArray[Any] | None:
        """The pixels, if the file is laid out this way."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise unreadable_tiff(path, error) from error
        if (
            len(content) != self.size
            or not content.startswith(self.before)
            or not content.endswith(self.after)
        ):
            return None
        pixels = np.frombuffer(content[self.offset : self.end], self.dtype).reshape(self.shape)
        return pixels.astype(self.dtype.newbyteorder("="), copy=False)


def _first_plane(path: Path) -> tuple[npt.NDArray[Any], int]:
    """The first plane of a TIFF file, and how many it has."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[0]
            if page.axes.endswith("S") and page.ndim == 3:
                raise ScanError(f"{path} is a color image; a pattern needs the detector's counts.")
            plane = np.asarray(page.asarray())
            planes = len(tiff.pages) * int(np.prod(plane.shape[:-2]))
    except TIFF_ERRORS as error:
        raise unreadable_tiff(path, error) from error
    while plane.ndim > 2:
        plane = plane[0]
    return plane.astype(plane.dtype.newbyteorder("="), copy=False), planes


def unreadable_tiff(path: Path, error: BaseException) -> ScanError:
    """The sentence for a file that is no (complete) TIFF file."""
    return ScanError(
        f"{path} cannot be read as a TIFF file ({' '.join(str(error).split())}); check that it "
        "is complete."
    )
