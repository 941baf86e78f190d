"""NanoMegas .blo files."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.errors import ScanError
from napari_polmap.io.axes import Axis
from napari_polmap.io.opened import Opened, unreadable
from napari_polmap.io.records import Records

# Identifier, two bytes, offsets of image and patterns, four bytes, size of a pattern, its
# rotation, columns and rows of the scan, its rotation, its steps in x and y (nm), volts, pixels of
# the detector per meter.
_HEADER = struct.Struct("<6s2xII4xHHHHHddIH")
_MARK_BYTES = 6
"""Bytes before each pattern."""


def open_blockfile(path: Path) -> Opened:
    """Open a blockfile as a memory map.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ScanError
        If it is none, or is cut off.

    Notes
    -----
    The header is RosettaSciIO's (``rsciio.blockfile``), which takes any file for a blockfile.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER.size)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(start) < _HEADER.size or not start.startswith(b"IMGBLO"):
        raise ScanError(
            f"{path} is not a blockfile, although its name ends in .blo; choose another file."
        )
    _, _, offset, size, _, columns, rows, _, step_x, step_y, volts, per_meter = _HEADER.unpack(
        start
    )
    records = Records((size, size), np.dtype("u1"), offset, _MARK_BYTES)
    found, _ = records.count(path)
    if found < rows * columns or not rows * columns * size:
        raise ScanError(
            f"{path} holds {found} of the {rows * columns} patterns its header tells of; copy the "
            "file again."
        )
    data = records.map(path, rows * columns).reshape(rows, columns, size, size)
    pixel = Axis(units="cm", scale=100 / per_meter) if per_meter else Axis()
    axes = (*(Axis(units="nm", scale=step) if step else Axis() for step in (step_y, step_x)),)
    metadata: dict[str, Any] = {"General": {"title": path.stem}}
    if volts:
        metadata["Acquisition_instrument"] = {"TEM": {"beam_energy": volts / 1000}}
    return Opened(data, (*axes, pixel, pixel), metadata, storage=(1, 1))
