"""Does a path hold a 4D-STEM scan or a map? A quick look at headers and names, never the data."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Literal

Kind = Literal["scan", "map"]

# Formats of this field, which nobody else opens: the ending tells.
_BY_ENDING = {".mib", ".blo", ".app5", ".tvips", ".zspy", ".dm3", ".dm4"}
_HDF5 = {".hspy", ".h5", ".hdf5", ".emd", ".nxs", ".mat"}
_TIFF = {".tif", ".tiff"}
FEWEST_TIFFS = 256
"""A folder of fewer TIFF files is taken for a stack of pictures."""
_MOST_NODES = 2000
_SCAN_DIMENSIONS = (4, 5, 6)


def kind_of(path: str | os.PathLike[str]) -> Kind | None:
    """What a file or folder holds, None where it is nothing of this program's.

    Pictures and volumes (two or three dimensions) are left to other readers. Never raises.

    Parameters
    ----------
    path : path-like
    """
    where = Path(path)
    try:
        if where.is_dir():
            return _kind_of_folder(where)
        return "scan" if where.is_file() and _is_scan_file(where) else None
    except (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError):
        # Damaged, half written, or of another kind: not for us to open unasked.
        return None


def _kind_of_folder(folder: Path) -> Kind | None:
    from napari_polmap.io.maps import is_map

    if (folder / "zarr.json").is_file() and is_map(folder):
        return "map"
    if folder.suffix.lower() == ".zspy":
        return "scan"
    return "scan" if _is_tiff_scan(folder) else None


def _is_tiff_scan(folder: Path) -> bool:
    from tifffile import TiffFile

    with os.scandir(folder) as entries:
        tiffs = (entry for entry in entries if Path(entry.name).suffix.lower() in _TIFF)
        found = list(itertools.islice(tiffs, FEWEST_TIFFS))
    if len(found) < FEWEST_TIFFS:
        return False
    with TiffFile(found[0].path) as first:
        shape = first.series[0].shape
    return len(shape) == 2 or (len(shape) == 3 and shape[0] == 1)


def _is_scan_file(path: Path) -> bool:
    ending = path.suffix.lower()
    if ending in _BY_ENDING:
        return True
    if ending == ".npy":
        return _npy_dimensions(path) in _SCAN_DIMENSIONS
    if ending in _HDF5:
        return _hdf5_has_scan(path)
    if ending == ".xml":
        # The description of an EMPAD scan names its raw file.
        return b"<raw_file" in path.read_bytes()[: 64 * 1024]
    if ending == ".mrc":
        # A movie with its scan's description; other .mrc files are volumes.
        return path.with_name(f"{path.stem.removesuffix('_movie')}_info.txt").is_file()
    return False


def _npy_dimensions(path: Path) -> int:
    import numpy as np

    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        return len(read[version[0]](file)[0])


def _hdf5_has_scan(path: Path) -> bool:
    import h5py

    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        if "entry/data/data_000001" in file:
            return True  # a detector's master file, its frames in others
        groups: list[h5py.Group] = [file]
        for _ in range(_MOST_NODES):
            if not groups:
                return False
            for item in groups.pop(0).values():
                if isinstance(item, h5py.Group):
                    groups.append(item)
                elif isinstance(item, h5py.Dataset) and item.ndim in _SCAN_DIMENSIONS:
                    return True
    return False
