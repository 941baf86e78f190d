"""Files that RosettaSciIO reads: the right reader, the 4D signal among several, the axes' order."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.errors import ScanError
from napari_polmap.io.axes import Axis
from napari_polmap.io.blockfile import check_blockfile

READER_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RuntimeError,
    AssertionError,
    EOFError,
    ImportError,
    SyntaxError,  # XML
    ZeroDivisionError,
    MemoryError,
    struct.error,
)
"""What readers raise on files they cannot read."""

_logger = logging.getLogger(__name__)

_ADVICE = {
    ".raw": "cannot be read by itself; open the .xml file beside it (EMPAD), or save it as .npy",
    ".hdr": "holds no patterns; open the .mib file beside it",
    ".seq": "cannot be read; convert it to .hspy or .npy",
    ".mat": "cannot be read; save the array as .npy",
    ".npz": "cannot be read; save the array as .npy",
    ".data": "cannot be read; save the data as .npy",
    ".bin": "cannot be read without its shape; save the data as .npy",
    ".dat": "cannot be read without its shape; save the data as .npy",
    ".gtg": "holds no patterns; open the .dm4 file beside it",
    ".gatan": "holds no patterns; open the .dm4 file beside it",
    ".zarr": "is not a scan of a known kind; open a scan, or a polarization map with load_map",
    ".safetensors": "looks like a classifier, not a scan; choose a scan",
    ".toml": "looks like a labelled data set, not a scan; choose one of its scans",
}
KNOWN = (
    ".hspy, .zspy, .mib, .blo, .npy, .emd, .h5, .hdf5, .mrc, .tvips, .app5, .dm4, EMPAD's .xml, or "
    "a folder of TIFF files"
)
# Readers that load everything, although asked not to.
_IN_MEMORY = ("TVIPS", "Topspin")
_LARGE_BYTES = 2**30
# Readers whose files store blocks of positions compressed together.
_HIERARCHICAL = ("HSPY", "ZSPY", "EMD", "NeXus", "USID", "Arina", "Delmic", "Topspin")


@dataclass
class Opened:
    """A file's data before its scan shape is settled.

    Parameters
    ----------
    data : array-like
        Axes ``(..., y, x, ky, kx)`` or ``(frames, ky, kx)``.
    axes : tuple of Axis
        One for each of them.
    metadata : dict
        In HyperSpy's layout.
    warnings : list of str
    storage : (int, int), optional
        Rows and columns of positions that are stored (compressed) together.
    """

    data: Any
    axes: tuple[Axis, ...]
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    warnings: list[str] = dataclasses.field(default_factory=list)
    storage: tuple[int, int] | None = None


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
    name = reader_name(path)
    if name == "Blockfile":
        check_blockfile(path)
    try:
        signals = _read(path, name, {})
        chosen = _choose(path, signals, dataset)
        if name == "TVIPS" and nav_shape is not None:
            frames = int(np.prod(chosen["data"].shape[:-2]))
            if nav_shape[0] * nav_shape[1] == frames:
                chosen = _choose(path, _read(path, name, {"scan_shape": nav_shape}), dataset)
        if _splits_detector(chosen["data"]) and name in ("Blockfile", "MRC", "DigitalMicrograph"):
            chunks = ("auto",) * (chosen["data"].ndim - 2) + (-1, -1)
            chosen = _choose(path, _read(path, name, {"chunks": chunks}), dataset)
    except READER_ERRORS as error:
        raise unreadable(path, error) from error
    opened = _ordered(path, chosen)
    if name in _IN_MEMORY and path.stat().st_size > _LARGE_BYTES:
        opened.warnings.append(
            f"{path.suffix} files are read into memory whole; save large scans as .npy or .hspy."
        )
    if opened.data.ndim >= 4:
        chunks = getattr(opened.data, "chunksize", ()) if name in _HIERARCHICAL else ()
        opened.storage = (int(chunks[-4]), int(chunks[-3])) if chunks else (1, 1)
    return opened


def reader_name(path: Path) -> str:
    """Which of RosettaSciIO's readers a file is for, by its contents where endings clash.

    Raises
    ------
    ScanError
        If none is.
    """
    from rsciio import IO_PLUGINS

    ending = path.suffix.lower()
    if ending in _ADVICE:
        raise ScanError(f"{path} {_ADVICE[ending]}.")
    names = [
        str(plugin["name"])
        for plugin in IO_PLUGINS
        if ending[1:] in [str(e).lower() for e in plugin["file_extensions"]]
    ]
    if _starts(path, b"\x89HDF\r\n\x1a\n"):
        found = _hdf5_reader(path)
        if found is not None:
            return found
    if ending == ".xml":
        return "EMPAD" if _contains(path, b"raw_file") else "JobinYvon"
    if ending == ".mrc":
        return "MRC"
    if not names:
        ending = f"the ending {ending}" if ending else "no ending"
        raise ScanError(f"{path} has {ending}, which no reader knows; open one of {KNOWN}.")
    return names[0]


def _hdf5_reader(path: Path) -> str | None:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            attributes = dict(file.attrs)
            groups = [key for key in file if isinstance(file.get(key, getlink=False), h5py.Group)]
            below = [dict(file[key].attrs) for key in groups]
            if str(attributes.get("file_format", "")).lower() == "hyperspy":
                return "HSPY"
            if "entry" in groups and "data" in file["entry"]:
                data = file["entry/data"]
                if isinstance(data, h5py.Group) and "data_000001" in data:
                    return "Arina"
            marks = ("version_major", "emd_group_type")
            if any(mark in found for mark in marks for found in (attributes, *below)):
                return "EMD"
            if "Data" in groups and "Image" in file["Data"]:
                return "EMD"  # Velox
            if any("NX_class" in found for found in (attributes, *below)):
                return "NeXus"
            if any(key.startswith("Measurement_") for key in groups):
                return "USID"
            if any(key.startswith("Acquisition") for key in groups):
                return "Delmic"
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise unreadable(path, error) from error
    if path.suffix.lower() in (".h5", ".hdf5"):
        raise ScanError(
            f"{path} is an HDF5 file of no layout known here; save the 4D array as .npy or .hspy."
        )
    return None


def _read(path: Path, name: str, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    from rsciio import IO_PLUGINS

    plugin = next(plugin for plugin in IO_PLUGINS if plugin["name"] == name)
    reader = import_module(str(plugin["api"])).file_reader
    options = dict(options)
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
    for most, least in ((4, 4), (5, 5), (9, 6), (3, 3)):
        fitting = [s for s in signals if least <= _dimensions(s) <= most and _is_real(s)]
        if fitting:
            # The scan is by far the largest; preview stacks are small.
            return max(fitting, key=lambda signal: int(np.prod(signal["data"].shape)))
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


def _ordered(path: Path, signal: Mapping[str, Any]) -> Opened:
    """The array with its axes in the order (..., y, x, ky, kx)."""
    data = signal["data"]
    described = list(signal["axes"])
    by_place = sorted(described, key=lambda axis: axis.get("index_in_array", described.index(axis)))
    axes = [Axis.from_mapping(values) for values in by_place]
    axes += [Axis()] * (data.ndim - len(axes))
    order = list(range(data.ndim))
    names = [axis.name for axis in axes]
    if {"scanY", "scanX", "detY", "detX"} <= set(names):  # fpd
        last = [names.index(name) for name in ("scanY", "scanX", "detY", "detX")]
        order = [i for i in order if i not in last] + last
    elif names[-4:] == ["R_x", "R_y", "Q_x", "Q_y"] and _is_prismatic(path):
        order = [*order[:-4], order[-3], order[-4], order[-1], order[-2]]
    else:
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


def _is_prismatic(path: Path) -> bool:
    import h5py

    with h5py.File(path, "r") as file:
        return "4DSTEM_simulation" in file


def _splits_detector(data: Any) -> bool:
    return any(len(chunks) > 1 for chunks in getattr(data, "chunks", ())[-2:])


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        str(key): _plain(value) if isinstance(value, Mapping) else value
        for key, value in metadata.items()
    }


def _starts(path: Path, magic: bytes) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _contains(path: Path, text: bytes) -> bool:
    with path.open("rb") as file:
        return text in file.read(2**20)


@contextmanager
def quiet_readers() -> Iterator[None]:
    """Readers log and warn of what is handled here, or told in the scan's own warnings."""
    logger = logging.getLogger("rsciio")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def unreadable(path: Path, error: BaseException) -> ScanError:
    """The sentence for a file that its reader cannot read."""
    if isinstance(error, ScanError):
        return error
    reason = " ".join(str(error).split()) or type(error).__name__
    return ScanError(
        f"{path} cannot be read ({reason[:200]}); check that it is complete and of the kind its "
        "ending says."
    )
