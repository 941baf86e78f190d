"""MRC files of frames, such as Direct Electron's movies with their ``_info.txt``."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.errors import ScanError, reason
from napari_polmap.io.axes import Axis
from napari_polmap.io.frames import check_scan_shape
from napari_polmap.io.opened import Opened, unreadable
from napari_polmap.io.records import Records, check_complete

_HEADER_BYTES = 1024
_DTYPES = {0: "u1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_MOST_PIXELS = 2**15


def open_mrc(path: Path, nav_shape: tuple[int, int] | None) -> Opened:
    """Open an MRC file as a memory map.

    Parameters
    ----------
    path : Path
    nav_shape : (int, int), optional
        Rows and columns, where no ``_info.txt`` beside the file tells them.

    Raises
    ------
    ScanError
        If the file is damaged, of a kind that holds no counts, or of a scan that is no raster.
    ScanShapeError
        If the scan's shape is not known or does not fit.

    Notes
    -----
    The header is that of MRC2014 (Cheng et al., J. Struct. Biol. 192, 146, 2015). RosettaSciIO
    sets the scales of Direct Electron's info files to 1; here they are read from it.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise unreadable(path, error) from error
    records, recorded = _records(path, header)
    found, rest = records.count(path)
    info = _info(path)
    hints = _scan_shapes(path, info)
    complete = min(found, recorded) if recorded else found
    notes = check_complete(
        str(path), complete, recorded, bool(rest) and found < recorded, nav_shape, hints
    )
    frames = records.map(path, complete)
    axes = _axes(info)
    metadata = _metadata(path, info)
    if nav_shape is None:
        fits = [shape for shape in hints if shape[0] * shape[1] == complete]
        if not fits:
            check_scan_shape(str(path), complete, None, hints)
        nav_shape = fits[0]
    if notes:
        frames = frames[: nav_shape[0] * nav_shape[1]]
    if nav_shape[0] * nav_shape[1] == len(frames):
        data: Any = frames.reshape(*nav_shape, *records.shape)
        return Opened(data, axes, metadata, notes, (1, 1))
    return Opened(frames, (Axis(), *axes[2:]), metadata, notes)


def _records(path: Path, header: bytes) -> tuple[Records, int]:
    """Where the frames lie, and how many the header tells of."""
    for order in "<>":
        if len(header) < _HEADER_BYTES:
            break
        columns, rows, frames, mode = struct.unpack(f"{order}4i", header[:16])
        extended = struct.unpack(f"{order}i", header[92:96])[0]
        sides = 0 < rows <= _MOST_PIXELS and 0 < columns <= _MOST_PIXELS
        if not sides or frames < 0 or not 0 <= mode < 128 or extended < 0:
            continue
        if mode not in _DTYPES:
            raise ScanError(
                f"{path} holds values of MRC's mode {mode}, which are no plain counts; save it as "
                "integers or floats."
            )
        dtype = np.dtype(order + _DTYPES[mode])
        return Records((rows, columns), dtype, _HEADER_BYTES + extended), frames
    raise ScanError(
        f"{path} is not an MRC file, although its name ends in .mrc; choose another file."
    )


def _info(path: Path) -> dict[str, str]:
    """What the file that Direct Electron's program writes beside a movie says."""
    from rsciio.mrc._api import find_related_de_files

    place = find_related_de_files(str(path))["info_file"]
    if place is None:
        return {}
    try:
        lines = Path(place).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ScanError(
            f"{place}, which belongs to {path.name}, cannot be read ({reason(error)}); copy it "
            "again."
        ) from error
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _scan_shapes(path: Path, info: dict[str, str]) -> list[tuple[int, int]]:
    if info.get("Scan - Enable", "Disable") != "Enable":
        return []
    if info.get("Scan - Type", "Raster") != "Raster":
        raise ScanError(
            f"{path} is of a scan of type {info['Scan - Type']!r}, whose positions make no rows "
            "and columns; record a raster scan."
        )
    kind = "ROI Size" if info.get("Scan - ROI Enable", "Disable") == "Enable" else "Size"
    rows, columns = (int(_number(info, f"Scan - {kind} {axis}") or 0) for axis in "YX")
    return [(rows, columns)] if rows and columns else []


def _axes(info: dict[str, str]) -> tuple[Axis, Axis, Axis, Axis]:
    def axis(key: str, units: str) -> Axis:
        scale = _number(info, key)
        return Axis() if scale is None else Axis(units=units, scale=scale)

    return (
        axis("Specimen Pixel Size Y (nanometers)", "nm"),
        axis("Specimen Pixel Size X (nanometers)", "nm"),
        axis("Diffraction Pixel Size Y", "1/nm"),
        axis("Diffraction Pixel Size X", "1/nm"),
    )


def _metadata(path: Path, info: dict[str, str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"General": {"title": path.stem}}
    volts = _number(info, "Instrument Accelerating Voltage (V)")
    if volts is not None:
        metadata["Acquisition_instrument"] = {"TEM": {"beam_energy": volts / 1000}}
    return metadata


def _number(info: dict[str, str], key: str) -> float | None:
    """A positive number; -1 stands for what is not known."""
    try:
        value = float(info[key])
    except (KeyError, ValueError):
        return None
    return value if value > 0 else None
