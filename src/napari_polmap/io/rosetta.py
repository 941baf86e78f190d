"""Files that RosettaSciIO reads: the right reader, the 4D signal among several, the axes' order."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.errors import ScanChoiceError, ScanError
from napari_polmap.io.axes import Axis
from napari_polmap.io.hdf5 import hdf5_reader, open_hdf5
from napari_polmap.io.kinds import is_hdf5, reader_name
from napari_polmap.io.opened import READER_ERRORS, Opened, unreadable

_logger = logging.getLogger(__name__)

# Readers whose files store blocks of positions compressed together.
_HIERARCHICAL = ("ZSPY", "USID", "Delmic")


def open_file(path: Path, nav_shape: tuple[int, int] | None, dataset: str | None) -> Opened:
    """Open a file lazily with the reader that fits its contents.

    Parameters
    ----------
    path : Path
        An existing file, or the folder of a .zspy.
    nav_shape : (int, int), optional
        Rows and columns, for formats whose readers need it to calibrate the axes.
    dataset : str, optional
        Name (title, path in the file) or number of the signal in a file with several.

    Raises
    ------
    ScanError
        If no reader can, or the file holds no scan.
    """
    if is_hdf5(path):
        name = hdf5_reader(path)
        if name is None:
            return open_hdf5(path, nav_shape, dataset)
        try:
            return _open(path, name, dataset)
        except ScanError:
            # Only its names looked like that layout.
            return open_hdf5(path, nav_shape, dataset)
    return _open(path, reader_name(path), dataset)


def _open(path: Path, name: str, dataset: str | None) -> Opened:
    try:
        chosen = _choose(path, _read(path, name), dataset)
    except READER_ERRORS as error:
        raise unreadable(path, error) from error
    opened = _ordered(chosen)
    if opened.data.ndim >= 4:
        chunks = getattr(opened.data, "chunksize", ()) if name in _HIERARCHICAL else ()
        opened.storage = (int(chunks[-4]), int(chunks[-3])) if chunks else (1, 1)
    return opened


def _read(path: Path, name: str) -> list[dict[str, Any]]:
    from rsciio import IO_PLUGINS

    plugin = next(plugin for plugin in IO_PLUGINS if plugin["name"] == name)
    reader = import_module(str(plugin["api"])).file_reader
    options: dict[str, Any] = {}
    if name == "ZSPY":
        options["mode"] = "r"
    if "show_progressbar" in inspect.signature(reader).parameters:
        options["show_progressbar"] = False
    with quiet_readers():
        try:
            signals: list[dict[str, Any]] = reader(str(path), lazy=True, **options)
        except NotImplementedError:
            _logger.info("%s files are read into memory: the reader cannot read lazily", name)
            signals = reader(str(path), **options)
    return signals


def _choose(path: Path, signals: Sequence[dict[str, Any]], dataset: str | None) -> dict[str, Any]:
    titles = [_title(signal, number) for number, signal in enumerate(signals)]
    if dataset is not None:
        wanted = [
            signal
            for number, (title, signal) in enumerate(zip(titles, signals, strict=True))
            if str(dataset) in (title, str(number)) or str(dataset).split("/")[-1] == title
        ]
        if not wanted:
            raise ScanError(
                f"{path} has no dataset {dataset!r}; it holds {_listed(titles, signals)}."
            )
        return wanted[0]
    real = [(t, s) for t, s in zip(titles, signals, strict=True) if _is_real(s)]
    for most, least in ((4, 4), (5, 5), (9, 6), (3, 3)):
        fitting = [(t, s) for t, s in real if least <= _dimensions(s) <= most]
        if fitting:
            # The scan is by far the largest; preview stacks are small.
            largest = max(int(np.prod(s["data"].shape)) for _, s in fitting)
            best = {t: s for t, s in fitting if int(np.prod(s["data"].shape)) == largest}
            if len(best) > 1:
                listed = _listed(list(best), list(best.values()))
                raise ScanChoiceError(
                    f"{path} holds several data sets that may be the scan, {listed}; choose one by "
                    "its name with dataset.",
                    datasets=tuple(best),
                )
            return next(iter(best.values()))
    raise ScanError(
        f"{path} holds no 4D-STEM scan but {_listed(titles, signals) or 'nothing'}; a scan has "
        "rows and columns of two-dimensional patterns."
    )


def _dimensions(signal: Mapping[str, Any]) -> int:
    """Axes that matter: an axis of length one beyond the fourth does not."""
    shape = signal["data"].shape
    extra = sum(1 for n in shape if n == 1)
    return max(len(shape) - extra, min(len(shape), 4))


def _is_real(signal: Mapping[str, Any]) -> bool:
    return np.dtype(signal["data"].dtype).kind in "uifbc"


def _title(signal: Mapping[str, Any], number: int) -> str:
    general = signal.get("metadata", {}).get("General", {})
    return str(general.get("title") or number)


def _listed(titles: Sequence[str], signals: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(
        f"{title!r} of shape {tuple(signal['data'].shape)}"
        for title, signal in zip(titles, signals, strict=True)
    )


def _ordered(signal: Mapping[str, Any]) -> Opened:
    """The array with its axes in the order (..., y, x, ky, kx)."""
    data = signal["data"]
    described = list(signal["axes"])
    by_place = sorted(described, key=lambda axis: axis.get("index_in_array", described.index(axis)))
    axes = [Axis.from_mapping(values) for values in by_place]
    axes += [Axis()] * (data.ndim - len(axes))
    order = list(range(data.ndim))
    navigate = [bool(values.get("navigate", False)) for values in by_place]
    if sum(navigate) == data.ndim - 2:
        order = sorted(order, key=lambda i: not navigate[i])
    if order != sorted(order):
        data = data.transpose(order)
    axes = [axes[i] for i in order]
    if data.ndim > 4:
        single = [i for i, n in enumerate(data.shape[:-4]) if n == 1]
        data = data[tuple(0 if i in single else slice(None) for i in range(data.ndim))]
        axes = [axis for i, axis in enumerate(axes) if i not in single]
    return Opened(data, tuple(axes), _plain(signal.get("metadata", {})))


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        str(key): _plain(value) if isinstance(value, Mapping) else value
        for key, value in metadata.items()
    }


@contextmanager
def quiet_readers() -> Iterator[None]:
    """Readers log and warn of what is handled here, or told in the scan's own warnings."""
    loggers = [logging.getLogger(name) for name in ("rsciio", "tifffile")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
