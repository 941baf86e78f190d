"""Single TIFF files that hold a whole scan: stacks, hyperstacks, OME-TIFF."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import ScanChoiceError, ScanError
from napari_polmap.io.axes import Axis
from napari_polmap.io.frames import FrameStack, forward_slices
from napari_polmap.io.opened import Opened
from napari_polmap.io.rosetta import quiet_readers
from napari_polmap.io.tiff_folder import TIFF_ERRORS, unreadable_tiff


def open_stack(path: Path, dataset: str | None) -> Opened:
    """Open the frames of one TIFF file, lazily.

    Parameters
    ----------
    path : Path
    dataset : str, optional
        Name or number of the series in a file with several; by default the largest.

    Returns
    -------
    Opened
        A memory map where the pixels lie contiguously, else pages are read when asked for. Axes of
        length one are left out.

    Raises
    ------
    ScanError
        If the file is no TIFF, holds one image only, or colors.

    Notes
    -----
    Dimensions come in the order they are stored; the last two are the detector's. Steps are those
    of OME-TIFF (``PhysicalSize``) or ImageJ (resolution, ``spacing`` and ``unit``).
    """
    import tifffile

    try:
        with quiet_readers(), tifffile.TiffFile(path) as tiff:
            number = _choose(path, tiff, dataset)
            series = tiff.series[number]
            shape, names, dtype = tuple(series.shape), series.axes, np.dtype(series.dtype)
            plain = series.dataoffset is not None
            _check(path, shape, names)
            axes = _axes(tiff, number, names)
            dtype = dtype.newbyteorder(tiff.byteorder)
        if plain:
            data: Any = tifffile.memmap(path, series=number, mode="r").reshape(shape)
        else:
            data = _stacked(TiffPages(path, number, shape, dtype.newbyteorder("=")), shape)
    except TIFF_ERRORS as error:
        raise unreadable_tiff(path, error) from error
    storage = (1, 1) if len(shape) > 3 else None
    return Opened(data, axes, {"General": {"title": path.stem}}, [], storage)


class TiffPages:
    """Pages of one TIFF file as lazy frames ``(n, ky, kx)``.

    Parameters
    ----------
    path : Path
    series : int
        Which of the file's series.
    shape : tuple of int
        Of the series; the last two are a page's.
    dtype : numpy.dtype
        In the machine's byte order.
    """

    ndim = 3

    def __init__(
        self, path: Path, series: int, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._path = path
        self._series = series
        self.shape = (int(np.prod(shape[:-2])), *shape[-2:])
        self.dtype = dtype
        self._file: Any = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        (frames, rows, columns), finish = forward_slices(key, self.shape)
        numbers = range(*frames.indices(self.shape[0]))
        height = len(range(*rows.indices(self.shape[1])))
        width = len(range(*columns.indices(self.shape[2])))
        out = np.empty((len(numbers), height, width), self.dtype)
        with self._lock:
            for place, number in enumerate(numbers):
                out[place] = self._page(number)[rows, columns]
        return out[finish]

    def _page(self, number: int) -> npt.NDArray[Any]:
        import tifffile

        try:
            if self._file is None:  # opened once: finding a page takes a walk through the file
                with quiet_readers():
                    self._file = tifffile.TiffFile(self._path)
            page = self._file.series[self._series].pages[number]
            plane: npt.NDArray[Any] = np.asarray(page.asarray()).reshape(self.shape[1:])
        except TIFF_ERRORS as error:
            raise unreadable_tiff(self._path, error) from error
        return plane


class _Entries:
    """Pages of more than four dimensions."""

    def __init__(self, pages: TiffPages, shape: tuple[int, ...]) -> None:
        self._pages = pages
        self.shape = shape
        self.ndim = len(shape)
        self.dtype = pages.dtype

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        slices, finish = forward_slices(key, self.shape)
        rows, columns = self.shape[-4:-2]
        first = [range(*s.indices(n)) for s, n in zip(slices, self.shape[:-4], strict=False)]
        parts = []
        for index in itertools.product(*first):
            entry = int(np.ravel_multi_index(index, self.shape[:-4]))
            stack = FrameStack(_From(self._pages, entry * rows * columns), (rows, columns))
            parts.append(stack[slices[-4:]])
        whole = np.stack(parts).reshape(*(len(r) for r in first), *parts[0].shape)
        out: npt.NDArray[Any] = whole[finish]
        return out


class _From:
    """Pages from a certain one on."""

    def __init__(self, pages: TiffPages, first: int) -> None:
        self._pages = pages
        self._first = first
        self.shape = (pages.shape[0] - first, *pages.shape[1:])
        self.dtype = pages.dtype

    def __getitem__(self, key: tuple[slice, ...]) -> npt.NDArray[Any]:
        start, stop, step = key[0].indices(self.shape[0])
        moved = slice(start + self._first, stop + self._first, step)
        return self._pages[(moved, *key[1:])]


def _stacked(pages: TiffPages, shape: tuple[int, ...]) -> Any:
    if len(shape) == 3:
        return pages
    if len(shape) == 4:
        return FrameStack(pages, (shape[0], shape[1]))
    return _Entries(pages, shape)


def _choose(path: Path, tiff: Any, dataset: str | None) -> int:
    names = [str(series.name or number) for number, series in enumerate(tiff.series)]
    if dataset is not None:
        for number, name in enumerate(names):
            if dataset in (name, str(number)):
                return number
        listed = ", ".join(
            f"{name!r} of shape {tuple(series.shape)}"
            for name, series in zip(names, tiff.series, strict=True)
        )
        raise ScanChoiceError(
            f"{path} has no dataset {dataset!r}; it holds {listed}.", datasets=tuple(names)
        )
    sizes = [
        (min(len(series.shape), 4) if "S" not in series.axes else 0, series.size)
        for series in tiff.series
    ]
    return sizes.index(max(sizes))


def _check(path: Path, shape: tuple[int, ...], names: str) -> None:
    if "S" in names:
        raise ScanError(f"{path} is a color image; a scan needs the detector's counts.")
    if len(shape) < 3:
        raise ScanError(
            f"{path} is one image of shape {shape}, not a scan; open the folder that holds one "
            "file per pattern."
        )


def _axes(tiff: Any, number: int, names: str) -> tuple[Axis, ...]:
    """The axes as the file calibrates them, by their letters."""
    steps = _ome_steps(tiff, number) if tiff.is_ome else _imagej_steps(tiff)
    return tuple(
        Axis(units=steps[name][1], scale=steps[name][0]) if name in steps else Axis()
        for name in names
    )


def _ome_steps(tiff: Any, number: int) -> dict[str, tuple[float, str]]:
    from xml.etree import ElementTree

    try:
        root = ElementTree.fromstring(tiff.ome_metadata)
        pixels = [element for element in root.iter() if element.tag.endswith("}Pixels")][number]
    except (ElementTree.ParseError, IndexError):
        return {}
    steps = {}
    for name in "XYZ":
        size = _number(pixels.get(f"PhysicalSize{name}"))
        if size:
            steps[name] = (size, pixels.get(f"PhysicalSize{name}Unit", "um"))
    return steps


def _imagej_steps(tiff: Any) -> dict[str, tuple[float, str]]:
    described = tiff.imagej_metadata or {}
    unit = str(described.get("unit") or "").replace("\\u00B5", "u")
    steps = {}
    for name in "XY":
        tag = tiff.pages[0].tags.get(f"{name}Resolution")
        if unit and tag is not None and tag.value[0]:
            steps[name] = (tag.value[1] / tag.value[0], unit)
    spacing = _number(described.get("spacing"))
    if unit and spacing:
        steps["Z"] = (spacing, str(described.get("zunit") or unit))
    return steps


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
