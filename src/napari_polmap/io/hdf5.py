"""HDF5 files: the scan among what they hold, its axes in order, nothing read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.errors import ScanChoiceError, ScanError
from napari_polmap.io.arrangement import ArrangedView
from napari_polmap.io.axes import Axis
from napari_polmap.io.eiger import eiger_parts, open_eiger
from napari_polmap.io.hdf5_array import open_read_only
from napari_polmap.io.hdf5_layouts import (
    Candidate,
    described_candidates,
    hyperspy_candidates,
    matlab_candidates,
    prismatic_candidates,
    velox_candidates,
)
from napari_polmap.io.opened import READER_ERRORS, Opened, unreadable
from napari_polmap.io.topspin import topspin_candidates
from napari_polmap.scan import scan_chunks

_LAYOUTS = (
    hyperspy_candidates,
    velox_candidates,
    topspin_candidates,
    prismatic_candidates,
    matlab_candidates,
)
_MOST_LISTED = 8
_FEW_NAMES = 50
_SLOW_BYTES = 2**28
"""Read for a single pattern, from where the user should hear of it."""


def open_hdf5(path: Path, nav_shape: tuple[int, int] | None, dataset: str | None) -> Opened:
    """Open an HDF5 file, whoever wrote it.

    Parameters
    ----------
    path : Path
    nav_shape : (int, int), optional
        Rows and columns, as the user gives them.
    dataset : str, optional
        The path in the file, its end, its title or its number, where several would do.

    Returns
    -------
    Opened

    Raises
    ------
    ScanError
        If the file holds no scan, or several that would do as well, or cannot be read.
    """
    try:
        with open_read_only(path) as file:
            if dataset is None and (opened := open_eiger(path, file, nav_shape)) is not None:
                return opened
            found = _candidates(file)
            if dataset is not None and dataset.strip("/") in file:
                found = [*found, *described_candidates(file)]
            return _opened(choose(path, found, dataset))
    except READER_ERRORS as error:
        raise _hdf5_unreadable(path, error) from error


def hdf5_reader(path: Path) -> str | None:
    """The reader of RosettaSciIO that an HDF5 file is left to; None for all others.

    Raises
    ------
    ScanError
        If the file cannot be read.
    """
    try:
        with open_read_only(path) as file:
            # Names that are no text are bytes.
            names = [str(name) for name in islice(file, _FEW_NAMES)]
    except READER_ERRORS as error:
        raise _hdf5_unreadable(path, error) from error
    for start, reader in (("Measurement_", "USID"), ("Acquisition", "Delmic")):
        if any(re.fullmatch(rf"{start}\d+", name) for name in names):
            return reader
    return None


def list_hdf5(path: Path) -> list[Candidate]:
    """What an HDF5 file holds that may be a scan, the largest first; nothing of it is read.

    Raises
    ------
    ScanError
        If the file cannot be read.
    """
    try:
        with open_read_only(path) as file:
            # The parts of a master file are no scans by themselves.
            found = [] if eiger_parts(file) else _candidates(file)
    except READER_ERRORS as error:
        raise _hdf5_unreadable(path, error) from error
    return sorted(found, key=lambda c: -np.prod(c.shape, dtype=np.float64))


def _candidates(file: Any) -> list[Candidate]:
    for layout in _LAYOUTS:
        if found := layout(file):
            return found
    return described_candidates(file)


def choose(path: Path, candidates: Sequence[Candidate], dataset: str | None) -> Candidate:
    """The candidate that is the scan: as the user says, else the largest of four axes.

    Raises
    ------
    ScanError
        If there is none, or no single one.
    """
    if dataset is not None:
        for fits in (_is_path, _is_title, _is_end):
            named = [candidate for candidate in candidates if fits(candidate, dataset)]
            if named:
                return named[0]
        if dataset.isdecimal() and int(dataset) < len(candidates):
            return candidates[int(dataset)]
        raise ScanError(
            f"{path} has no dataset {dataset!r} of three axes or more; it holds "
            f"{_listed(candidates) or 'none'}."
        )
    real = [candidate for candidate in candidates if candidate.dtype.kind in "uifb"]
    for most, least in ((4, 4), (5, 5), (99, 6), (3, 3)):
        fitting = [c for c in real if least <= _dimensions(c.shape) <= most]
        if not fitting:
            continue
        # The scan is by far the largest; preview stacks are small.
        largest = max(np.prod(c.shape, dtype=np.float64) for c in fitting)
        best = [c for c in fitting if np.prod(c.shape, dtype=np.float64) == largest]
        best = [c for c in best if c.preferred] or best
        if len(best) > 1:
            raise ScanChoiceError(
                f"{path} holds several data sets that may be the scan, {_listed(best)}; choose "
                "one by its name with dataset.",
                datasets=tuple(c.name.strip("/") for c in best),
            )
        return best[0]
    if any(candidate.dtype.kind in "cV" for candidate in candidates):
        raise ScanError(
            f"{path} holds complex numbers ({_listed(candidates)}), but patterns must be real; "
            "save their intensities instead, the squared absolute values."
        )
    raise ScanError(
        f"{path} holds no 4D-STEM scan but {_listed(candidates) or 'nothing like it'}; a scan has "
        "rows and columns of two-dimensional patterns."
    )


def _is_path(candidate: Candidate, dataset: str) -> bool:
    return candidate.name.strip("/") == dataset.strip("/")


def _is_title(candidate: Candidate, dataset: str) -> bool:
    return candidate.title == dataset.split("/")[-1] != ""


def _is_end(candidate: Candidate, dataset: str) -> bool:
    return candidate.name.endswith("/" + dataset.strip("/"))


def _dimensions(shape: Sequence[int]) -> int:
    """Axes that matter: an axis of length one beyond the fourth does not."""
    extra = sum(1 for n in shape if n == 1)
    return max(len(shape) - extra, min(len(shape), 4))


def _listed(candidates: Sequence[Candidate]) -> str:
    shown = ", ".join(f"{c.name!r} of shape {c.shape}" for c in candidates[:_MOST_LISTED])
    rest = len(candidates) - _MOST_LISTED
    return shown + (f" and {rest} more" if rest > 0 else "")


def _opened(chosen: Candidate) -> Opened:
    """The chosen data with their axes in the order (..., y, x, ky, kx)."""
    data, axes = chosen.data(), chosen.axes
    chunks = getattr(data, "chunksize", None) or (1,) * data.ndim
    order = chosen.order or list(range(data.ndim))
    if order != sorted(order):
        if hasattr(data, "transpose"):
            data = data.transpose(order)
        else:
            shape = [int(data.shape[i]) for i in order]
            data = ArrangedView(data, order, [False] * len(order), shape)
        axes = tuple(axes[i] for i in order)
        chunks = tuple(chunks[i] for i in order)
    warnings = list(chosen.warnings)
    if data.ndim < 4:
        return Opened(data, axes, chosen.metadata, warnings)
    storage = (
        min(int(chunks[-4]), int(data.shape[-4])),
        min(int(chunks[-3]), int(data.shape[-3])),
    )
    pattern = int(np.prod(data.shape[-2:])) * np.dtype(data.dtype).itemsize
    if storage[0] * storage[1] * pattern > _SLOW_BYTES:
        warnings.append(
            f"The file stores {storage[0]} x {storage[1]} positions together, so reading a single "
            "pattern is slow; save the scan as .npy, or in smaller chunks."
        )
    if data.ndim > 4:
        data, axes = _without_single_axes(data, axes, storage)
    return Opened(data, axes, chosen.metadata, warnings, storage)


def _without_single_axes(
    data: Any, axes: tuple[Axis, ...], storage: tuple[int, int]
) -> tuple[Any, tuple[Axis, ...]]:
    """A lazy array without the axes of length one before the last four."""
    if not isinstance(data, np.ndarray):
        import dask.array as da

        if not isinstance(data, da.Array):
            last = scan_chunks(data.shape[-4:], np.dtype(data.dtype).itemsize, storage=storage)
            sizes = (1,) * (data.ndim - 4) + last
            data = da.from_array(data, chunks=sizes, name=False, asarray=False)
    single = {i for i, n in enumerate(data.shape[:-4]) if n == 1}
    data = data[tuple(0 if i in single else slice(None) for i in range(data.ndim))]
    return data, tuple(axis for i, axis in enumerate(axes) if i not in single)


def _hdf5_unreadable(path: Path, error: BaseException) -> ScanError:
    said = str(error)
    if cut := re.search(r"truncated file: eof = (\d+).*stored_eof = (\d+)", said):
        return ScanError(
            f"{path} cannot be read (it is cut off: {cut[1]} of {cut[2]} bytes are there); copy it "
            "again."
        )
    if "unable to lock file" in said or "already open for write" in said:
        return ScanError(
            f"{path} cannot be read (another program is writing it, or was stopped while it did); "
            "close the file there, or repair it with h5clear -s."
        )
    return unreadable(path, error)
