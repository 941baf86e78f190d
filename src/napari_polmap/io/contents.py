"""Which arrays a file holds, so that one can be chosen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_polmap.errors import ScanError
from napari_polmap.io.hdf5 import list_hdf5
from napari_polmap.io.kinds import is_hdf5


@dataclass(frozen=True)
class StoredArray:
    """An array in a file.

    Parameters
    ----------
    name : str
        What `napari_polmap.load_scan` takes as ``dataset``.
    shape : tuple of int
    dtype : str
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


def list_arrays(path: Path) -> tuple[StoredArray, ...]:
    """The arrays of an HDF5 file that may be scans, the largest first; nothing of them is read.

    Parameters
    ----------
    path : Path

    Returns
    -------
    tuple of StoredArray
        Empty for other kinds of files, and where nothing can be listed.
    """
    try:
        found = list_hdf5(path) if is_hdf5(path) else []
    except (ScanError, OSError):
        # Opening it tells what is wrong.
        return ()
    return tuple(
        StoredArray(one.name.strip("/"), one.shape, np.dtype(one.dtype).name) for one in found
    )
