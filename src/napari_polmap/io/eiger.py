"""Master files of DECTRIS detectors (ARINA, QUADRO, ELA): frames in linked data files."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import ScanError, ScanShapeError
from napari_polmap.io.axes import Axis
from napari_polmap.io.frames import FrameStack, check_scan_shape, scan_shapes
from napari_polmap.io.hdf5_array import as_lazy, check_filters, missing_files
from napari_polmap.io.opened import Opened
from napari_polmap.io.records import Joined

_SETTINGS = "entry/instrument/detector/detectorSpecific"
_MOST_BAD = 0.5


def open_eiger(path: Path, file: Any, nav_shape: tuple[int, int] | None) -> Opened | None:
    """Open a master file, if this is one.

    Parameters
    ----------
    path : Path
    file : h5py.File
        The same file, open.
    nav_shape : (int, int), optional
        Rows and columns; by default triggers and images per trigger, or a square.

    Returns
    -------
    Opened or None
        None if the file has no ``entry/data/data_000001``.

    Raises
    ------
    ScanError
        If linked data files are missing, or compressed in a way that cannot be read here.
    ScanShapeError
        If the scan's shape is not known or does not fit.

    Notes
    -----
    Frames are in the order they were recorded, row by row (RosettaSciIO gives a scan that is not
    square the number of columns as its rows).
    """
    names = eiger_parts(file)
    if not names:
        return None
    group = file["entry/data"]
    datasets, missing = _linked(group, names)
    if missing and (not datasets or missing[0] != names[len(datasets)]):
        raise missing_files(path, [_target(group, name) for name in missing])
    sizes = {(dataset.shape[1:], dataset.dtype.str) for dataset in datasets}
    if len(sizes) > 1 or datasets[0].ndim != 3:
        raise ScanError(
            f"The data files of {path} hold frames of different sizes; check that they belong "
            "together."
        )
    check_filters(datasets[0])
    frames = Joined([as_lazy(dataset) for dataset in datasets])
    found = int(frames.shape[0])
    triggers, images = (_setting(file, name) for name in ("ntrigger", "nimages"))
    recorded = triggers * images
    notes: list[str] = []
    if missing or found < recorded:
        of = f" of {recorded}" if recorded > found else ""
        gone = ", ".join(_target(group, name) for name in missing[:3])
        cut = f"{path} has only {found}{of} frames" + (f" ({gone} missing)" if gone else "")
        if nav_shape is None or nav_shape[0] * nav_shape[1] > found:
            raise ScanShapeError(
                f"{cut}: the acquisition was stopped or data files were not copied; copy them into "
                "the same folder, or open the complete rows with nav_shape.",
                tuple((rows, columns) for rows, columns, *_ in scan_shapes(found)),
            )
        notes.append(f"{cut}; only the first {nav_shape[0]} x {nav_shape[1]} are used.")
    axes = _axes(path)
    mask = _pixel_mask(file, frames.shape[1:])
    if nav_shape is not None:
        return Opened(frames, axes[1:], warnings=notes, bad_pixels=mask)
    side = math.isqrt(found)
    shape: tuple[int, int]
    if min(triggers, images) > 1 and triggers * images == found:
        shape, why = (triggers, images), "its numbers of triggers and of images per trigger"
    elif side * side == found > 1:
        shape, why = (side, side), "the number of frames, as if the scan were square"
    else:
        shape, why = check_scan_shape(str(path), found, None), ""
    notes.append(
        f"The scan's shape {shape} comes from {why}; give nav_shape as (rows, columns) if it is "
        "wrong."
    )
    chunk = int(frames.chunksize[0])
    storage = (max(1, chunk // shape[1]), min(chunk, shape[1]))
    return Opened(FrameStack(frames, shape), axes, {}, notes, storage, mask)


def eiger_parts(file: Any) -> list[str]:
    """Names of a master file's links to its frames, in order; none if it is no master file."""
    group = file.get("entry/data")
    return sorted(n for n in group or () if re.fullmatch(r"data_\d+", n))


def _linked(group: Any, names: list[str]) -> tuple[list[Any], list[str]]:
    """The data sets up to the first that is missing, and the names of all missing ones."""
    datasets, missing = [], []
    for name in names:
        try:
            dataset = group[name]
        except (KeyError, OSError):
            missing.append(name)
            continue
        if not missing:
            datasets.append(dataset)
    # One in the middle is as bad as its frames are needed in order.
    present = [name for name in names if name not in missing]
    if missing and present and present[-1] > missing[0]:
        datasets = []
    return datasets, missing


def _target(group: Any, name: str) -> str:
    import h5py

    link = group.get(name, getlink=True)
    return str(link.filename) if isinstance(link, h5py.ExternalLink) else name


def _setting(file: Any, name: str) -> int:
    value = file.get(f"{_SETTINGS}/{name}")
    try:
        return int(np.ravel(value[()])[0])
    except (TypeError, ValueError, IndexError):
        return 0


def _axes(path: Path) -> tuple[Axis, Axis, Axis, Axis]:
    """The scan's step, from the file of the microscope that some set-ups write beside it."""
    import h5py

    beside = path.with_name(path.name.replace("_master.h5", ".h5"))
    step = Axis()
    if beside != path and beside.is_file():
        try:
            with h5py.File(beside, "r") as file:
                size = float(np.ravel(file["STEM Metadata"].attrs["Pixel Size"])[0])
                step = Axis("scan", "nm", size)
        except (OSError, KeyError, ValueError, IndexError):
            pass
    return step, step, Axis(), Axis()


def _pixel_mask(file: Any, shape: tuple[int, ...]) -> npt.NDArray[np.bool_] | None:
    """Pixels that the detector itself calls dead, noisy or in a gap."""
    for place in ("entry/instrument/detector/pixel_mask", f"{_SETTINGS}/pixel_mask"):
        mask = file.get(place)
        if mask is not None and tuple(mask.shape) == tuple(shape):
            bad: npt.NDArray[np.bool_] = mask[()] != 0
            return bad if 0 < bad.mean() < _MOST_BAD else None
    return None
