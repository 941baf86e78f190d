"""Merlin .mib files: every frame counted, the scan's shape never guessed silently."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import ScanError
from napari_polmap.io.axes import Axis
from napari_polmap.io.frames import FrameStack, check_scan_shape, left_out
from napari_polmap.io.merlin_raw import RawFrames, raw_bytes
from napari_polmap.io.opened import Opened, unreadable
from napari_polmap.io.records import Records, check_complete

_HEADER_BYTES = 768
_DTYPES = {"U08": ">u1", "U16": ">u2", "U32": ">u4", "U64": ">u8"}
_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.?\d*")
_STAMPED_FRAMES = 4096
"""How many frames' time stamps are looked at for the length of a row."""
_REGULAR = 0.9
"""Share of the rows' ends at which the pause must be longer, and of longer pauses at rows' ends."""


@dataclass(frozen=True)
class _Header:
    """What a frame's header says.

    Parameters
    ----------
    nbytes : int
        Of the header itself.
    shape : (int, int)
        Rows and columns of the frame.
    kind : str
        ``U08``, ``U16``, ``U32`` or ``R64``.
    quad : bool
        Whether four chips make the detector.
    depth : int
        Bits of the counter.
    """

    nbytes: int
    shape: tuple[int, int]
    kind: str
    quad: bool
    depth: int


def open_mib(path: Path, nav_shape: tuple[int, int] | None) -> Opened:
    """Open a .mib file as a memory map.

    Parameters
    ----------
    path : Path
    nav_shape : (int, int), optional
        Rows and columns; by default as the frames' time stamps suggest, with a warning.

    Raises
    ------
    ScanShapeError
        If the scan's shape is not known or does not fit the number of frames.
    ScanError
        If the file is not what its header says.

    Notes
    -----
    RosettaSciIO drops the frames that do not fit a shape; here they are counted first. As there,
    detector rows are reversed, because the file stores them from the bottom up.
    """
    header = _header(path)
    raw = header.kind == "R64"
    shape = (1, raw_bytes(header.shape, header.depth)) if raw else header.shape
    dtype = np.dtype("u1" if raw else _DTYPES[header.kind])
    records = Records(shape, dtype, before=header.nbytes)
    found, rest = records.count(path)
    if not found:
        raise unreadable(path, EOFError("it ends within its first frame"))
    described = _described(path)
    recorded = _number(described, "Frames in Acquisition (Number)")
    hints: list[tuple[int, int]] = []
    if nav_shape is None:
        columns = _number(described, "Frames per Trigger (Number)")
        columns = columns if columns > 1 else _row_length(path, records, found)
        hints = [(found // columns, columns)] if 1 < columns < found else []
    notes = check_complete(str(path), found, recorded, bool(rest), nav_shape, hints)
    if nav_shape is None:
        fits = [hint for hint in hints if hint[0] * hint[1] == found and hint[0] > 1]
        nav_shape = fits[0] if fits else check_scan_shape(str(path), found, None, hints)
        notes.append(
            f"The scan's shape {nav_shape} comes from the frames' time stamps or triggers; give "
            "nav_shape as (rows, columns) if it is wrong."
        )
    elif not notes:
        nav_shape = check_scan_shape(str(path), found, nav_shape)
        notes += left_out(str(path), found, nav_shape)
    mapped = records.map(path, nav_shape[0] * nav_shape[1])
    data: Any
    if raw:
        frames = RawFrames(mapped[:, 0], header.shape, header.depth, quad=header.quad)
        data = FrameStack(frames, nav_shape)
    else:
        data = mapped.reshape(*nav_shape, *shape)[:, :, ::-1, :]
    return Opened(data, (Axis(),) * 4, {"General": {"title": path.stem}}, notes, (1, 1))


def _header(path: Path) -> _Header:
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER_BYTES)
    except OSError as error:
        raise unreadable(path, error) from error
    fields = start.decode("latin-1").split(",")
    try:
        nbytes, chips = int(fields[2]), int(fields[3])
        columns, rows, kind = int(fields[4]), int(fields[5]), fields[6].strip()
        layout = fields[7].strip().upper()
        own = [field.strip("\0 ") for field in start[:nbytes].decode("latin-1").split(",")]
        depth = int(next(field for field in reversed(own) if field)) if kind == "R64" else 0
    except (IndexError, ValueError, StopIteration):
        nbytes = 0
    if not start.startswith(b"MQ1") or min(nbytes, len(start)) < nbytes or not nbytes:
        raise ScanError(
            f"{path} cannot be read as a Merlin file (it has no header that begins with MQ1); "
            "check that it is complete and of the kind its ending says."
        )
    quad = chips == 4 and layout.startswith("2X2")
    if kind == "R64" and ((chips > 1 and not quad) or (quad and depth == 24)):
        raise ScanError(
            f"{path} holds raw counts of {chips} chips ({layout.lower()}, {depth} bits), which "
            "cannot be put together; save it from the Merlin program as processed images."
        )
    if (kind not in _DTYPES and kind != "R64") or min(rows, columns) < 1:
        raise ScanError(
            f"{path} holds frames of the kind {kind!r} of {rows} x {columns} pixels, which cannot "
            "be read; save it from the Merlin program as U08, U16 or U32."
        )
    if quad and kind == "R64" and rows < columns:
        # Raw rows are those of the four chips one after another.
        rows, columns = 2 * rows, columns // 2
    elif depth == 24:
        columns //= 2
    return _Header(nbytes, (rows, columns), kind, quad, depth)


def _described(path: Path) -> dict[str, str]:
    """What the .hdr file beside a .mib file says; empty if there is none."""
    for ending in (".hdr", ".HDR"):
        try:
            lines = path.with_suffix(ending).read_text(encoding="latin-1").splitlines()
        except OSError:
            continue
        pairs = (line.split("\t", 1) for line in lines if "\t" in line)
        return {key.strip().rstrip(":"): value.strip() for key, value in pairs}
    return {}


def _number(described: dict[str, str], key: str) -> int:
    try:
        return int(described[key])
    except (KeyError, ValueError):
        return 0


def _row_length(path: Path, records: Records, count: int) -> int:
    """Frames of a row, after which the time stamps show the beam's flyback; 0 where none does."""
    stamps = []
    with path.open("rb") as file:
        for number in range(min(count, _STAMPED_FRAMES)):
            file.seek(number * records.nbytes)
            found = _STAMP.search(file.read(records.before))
            if found is None:
                return 0
            stamps.append(found[0].decode())
    pauses = np.diff(np.array(stamps, "datetime64[ns]")).astype(np.int64)
    if len(pauses) < 2:
        return 0
    # The pause may be longer by a hundredth of a percent only, or by far and once more than that.
    for threshold in ((np.median(pauses) + pauses.max()) / 2, pauses.mean()):
        ends: npt.NDArray[np.intp] = np.flatnonzero(pauses > threshold) + 1
        if not len(ends):
            continue
        length = int(ends[0])
        regular = np.mean(ends % length == 0) >= _REGULAR
        if regular and len(ends) >= _REGULAR * (len(pauses) // length) and length > 1:
            return length
    return 0
