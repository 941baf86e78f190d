"""The numbers of an HDF5 data set, read when they are needed."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import ScanError
from napari_polmap.io.frames import forward_slices

_FILTERS = {
    307: "bzip2",
    32000: "LZF",
    32001: "Blosc",
    32004: "LZ4",
    32008: "bitshuffle",
    32013: "ZFP",
    32015: "Zstandard",
    32017: "SZ",
    32026: "Blosc2",
}


class Hdf5Array:
    """A data set of an HDF5 file as a lazy array.

    The file is opened at the first reading and stays open as long as the array lives; h5py lets one
    thread at a time read. A copy in another process opens the file anew.

    Parameters
    ----------
    path : str
        The HDF5 file.
    name : str
        The data set's path in it.
    shape : tuple of int
    dtype : dtype
    chunks : tuple of int or None
        How the file stores it.
    """

    def __init__(
        self,
        path: str,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        chunks: tuple[int, ...] | None,
    ) -> None:
        self._path = path
        self._name = name
        self.shape = shape
        self.ndim = len(shape)
        self.dtype = dtype
        self.chunksize = chunks or (1,) * len(shape)
        self._lock = threading.Lock()
        self._opened: tuple[int, Any] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Hdf5Array, (self._path, self._name, self.shape, self.dtype, self.chunksize)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        slices, finish = forward_slices(key, self.shape)
        part: npt.NDArray[Any] = self._dataset()[slices]
        return part[finish]

    def _dataset(self) -> Any:
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = os.getpid(), open_read_only(Path(self._path))[self._name]
            return self._opened[1]


def open_read_only(path: Path) -> Any:
    """An HDF5 file, opened for reading, also where the file system knows no locks."""
    import h5py

    try:
        return h5py.File(path, "r")
    except OSError as error:
        # A lock that another program holds is another matter.
        if "unable to lock file" not in str(error) or error.errno in (errno.EAGAIN, errno.EACCES):
            raise
        return h5py.File(path, "r", locking=False)


def lazy_array(dataset: Any) -> Any:
    """The numbers of a data set as a memory map where they lie in one piece, else an `Hdf5Array`.

    Parameters
    ----------
    dataset : h5py.Dataset
        Of an open file, which may be closed afterwards.

    Raises
    ------
    ScanError
        If it is compressed in a way that cannot be read here, or parts of it are missing.
    """
    check_filters(dataset)
    path = Path(dataset.file.filename)
    _check_sources(dataset, path)
    offset = None if dataset.chunks or dataset.external else dataset.id.get_offset()
    shape = tuple(int(n) for n in dataset.shape)
    if offset is not None and not dataset.is_virtual and 0 not in shape:
        data = _mapped(dataset, path, offset, shape)
        if data is not None:
            return data
    return as_lazy(dataset)


def as_lazy(dataset: Any) -> Hdf5Array:
    """A data set as an array that opens its file again when it is read."""
    path = str(Path(dataset.file.filename).absolute())
    shape = tuple(int(n) for n in dataset.shape)
    return Hdf5Array(path, dataset.name, shape, dataset.dtype, dataset.chunks)


def check_filters(dataset: Any) -> None:
    """See that a data set's compression can be undone.

    Raises
    ------
    ScanError
        If it needs a filter that is not installed.
    """
    missing = _missing_filters(dataset)
    if missing:
        import hdf5plugin  # noqa: F401  (registers its filters)

        missing = _missing_filters(dataset)
    if missing:
        names = " and ".join(missing)
        raise ScanError(
            f"{dataset.name} in {dataset.file.filename} is compressed with {names}, which cannot "
            "be read here; save the data with gzip."
        )


def _missing_filters(dataset: Any) -> list[str]:
    import h5py

    properties = dataset.id.get_create_plist()
    numbers = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    return [
        _FILTERS.get(number, f"the filter {number}")
        for number in numbers
        if not h5py.h5z.filter_avail(number)
    ]


def _check_sources(dataset: Any, path: Path) -> None:
    """The files a virtual data set is made of: HDF5 gives zeros where one is missing."""
    import h5py

    if not dataset.is_virtual:
        return
    sources = {(source.file_name, source.dset_name) for source in dataset.virtual_sources()}
    missing = []
    for number, (name, inner) in enumerate(sorted(sources)):
        if "%" in name:  # a pattern for names of any number of files
            continue
        if name != "." and not (path.parent / name).exists():
            missing.append(name)
        elif number == 0:
            with h5py.File(path if name == "." else path.parent / name, "r") as file:
                check_filters(file[inner])
    if missing:
        raise missing_files(path, missing)


def missing_files(path: Path, names: list[str]) -> ScanError:
    """The sentence for a file whose data lie in other files that are not there."""
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return ScanError(
        f"{path} refers to data files that are missing: {shown}; copy them into the same folder."
    )


def _mapped(
    dataset: Any, path: Path, offset: int, shape: tuple[int, ...]
) -> npt.NDArray[Any] | None:
    try:
        data = np.memmap(path, dtype=dataset.dtype, mode="r", offset=offset, shape=shape)
    except (OSError, ValueError, TypeError):
        return None
    # Where a user block shifts the offsets, the numbers are not there.
    for place in ((0,) * (len(shape) - 1), tuple(n - 1 for n in shape[:-1])):
        if data[place].tobytes() != dataset[place].tobytes():
            return None
    return data
