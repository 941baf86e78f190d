"""TVIPS .tvips files, in one or several parts."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import ScanError, ScanShapeError
from napari_polmap.io.axes import Axis
from napari_polmap.io.frames import check_scan_shape, scan_shapes
from napari_polmap.io.opened import Opened, unreadable
from napari_polmap.io.records import Joined, Records, check_complete

_HEADER = np.dtype(
    [
        ("size", "<u4"),
        ("version", "<u4"),
        ("dimx", "<u4"),
        ("dimy", "<u4"),
        ("bitsperpixel", "<u4"),
        ("offsetx", "<u4"),
        ("offsety", "<u4"),
        ("binx", "<u4"),
        ("biny", "<u4"),
        ("pixelsize", "<u4"),
        ("ht", "<u4"),
        ("magtotal", "<u4"),
        ("frameheaderbytes", "<u4"),
    ]
)
_FRAME_HEADER_V1 = 12
_ROTATION_INDEX = 48
"""Where a frame's header holds the number of its scan position."""
_MOST_PIXELS = 2**15
_PART = re.compile(r"^(?P<stem>.*_)(?P<number>\d{3})$")


def open_tvips(path: Path, nav_shape: tuple[int, int] | None) -> Opened:
    """Open a .tvips file and the parts that belong to it as memory maps.

    Parameters
    ----------
    path : Path
        The first part, ``..._000.tvips``.
    nav_shape : (int, int), optional
        Rows and columns, which the file does not tell.

    Raises
    ------
    ScanError
        If the file is damaged or no first part.
    ScanShapeError
        If the scan's shape is missing or does not fit.

    Notes
    -----
    The structure is RosettaSciIO's (``rsciio.tvips``), which copies all frames on the way to a scan
    shape. The camera's physical pixel, which it gives as the detector's scale, is none.
    """
    paths = _parts(path)
    try:
        header = np.fromfile(path, _HEADER, 1)
    except OSError as error:
        raise unreadable(path, error) from error
    records = _records(path, header)
    parts, cut = [], False
    for number, part in enumerate(paths):
        place = records if number == 0 else Records(**{**vars(records), "offset": 0})
        try:
            found, rest = place.count(part)
            parts.append((part, place, found))
        except OSError as error:
            raise unreadable(part, error) from error
        cut = bool(rest)
        if cut and number < len(paths) - 1:
            raise ScanError(f"{part} is cut off within frame {found}; copy it again.")
    frames = Joined([place.map(part, count) for part, place, count in parts])
    total = frames.shape[0]
    indices = _RotationIndices(parts)
    start, hints = 0, list[tuple[int, int]]()
    if nav_shape is None or nav_shape[0] * nav_shape[1] != total:
        start, hints = indices.scan()
    notes = check_complete(str(path), total, 0, cut, nav_shape, hints)
    if nav_shape is None:
        shapes = scan_shapes(total - start, hints)
        raise ScanShapeError(
            f"{path} holds {total} frames, but not the scan's shape; give nav_shape as (rows, "
            f"columns), likely one of {', '.join(str(tuple(shape[:2])) for shape in shapes)}.",
            tuple(dict.fromkeys(shape[:2] for shape in shapes)),
            total,
        )
    positions = nav_shape[0] * nav_shape[1]
    if notes:
        frames = frames.cut(0, positions)
    elif start and positions <= total - start:
        frames = frames.cut(start, positions)
        notes.append(
            f"The scan begins at frame {start} by the frames' own numbers; {start} frames before "
            f"it and {total - start - positions} after it are left out."
        )
    else:
        check_scan_shape(str(path), total, nav_shape, hints)
    energy = {"beam_energy": float(header["ht"][0])} if header["ht"][0] else {}
    metadata = {
        "General": {"title": path.stem},
        "Acquisition_instrument": {"TEM": energy},
    }
    return Opened(frames, (Axis(),) * 3, metadata, notes)


def _parts(path: Path) -> list[Path]:
    matched = _PART.match(path.stem)
    if matched is None:
        return [path]
    stem, number = matched["stem"], int(matched["number"])
    if number:
        raise ScanError(
            f"{path} is part {number} of a scan that was written in several files; open "
            f"{stem}000{path.suffix} beside it."
        )
    found = {}
    for other in path.parent.glob(f"*{path.suffix}"):
        match = _PART.match(other.stem)
        if match is not None and match["stem"] == stem:
            found[int(match["number"])] = other
    missing = set(range(max(found))) - set(found)
    if missing:
        raise ScanError(
            f"{path} is the first of {max(found) + 1} parts, but {stem}{min(missing):03d}"
            f"{path.suffix} is missing; copy all parts into one folder."
        )
    return [found[number] for number in sorted(found)]


def _records(path: Path, header: npt.NDArray[Any]) -> Records:
    values = {name: int(header[name][0]) for name in _HEADER.names or ()} if len(header) else {}
    sides = (values.get("dimy", 0), values.get("dimx", 0))
    if (
        values.get("version") not in (1, 2)
        or values["bitsperpixel"] not in (8, 16, 32)
        or not all(0 < side <= _MOST_PIXELS for side in sides)
        or values["size"] < _HEADER.itemsize
    ):
        raise ScanError(
            f"{path} is not a TVIPS recording, although its name ends in .tvips; choose another "
            "file."
        )
    before = _FRAME_HEADER_V1 if values["version"] == 1 else values["frameheaderbytes"]
    dtype = np.dtype(f"<u{values['bitsperpixel'] // 8}")
    return Records(sides, dtype, values["size"], before)


class _RotationIndices(Sequence[int]):
    """The numbers of the frames' scan positions, each read when it is asked for."""

    def __init__(self, parts: list[tuple[Path, Records, int]]) -> None:
        self._parts = parts
        self._starts = np.cumsum([0, *(count for _, _, count in parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, number: Any) -> Any:
        part = int(np.searchsorted(self._starts, number, "right")) - 1
        path, place, _ = self._parts[part]
        with path.open("rb") as file:
            own = number - int(self._starts[part])
            file.seek(place.offset + own * place.nbytes + _ROTATION_INDEX)
            return int.from_bytes(file.read(4), "little")

    def scan(self) -> tuple[int, list[tuple[int, int]]]:
        """First frame of the scan, and its shape if it is square; the numbers grow in it only."""
        place = self._parts[0][1]
        if place.before < _ROTATION_INDEX + 4 or len(self) < 2:
            return 0, []
        first, last = self[0], self[len(self) - 1]
        if last <= first:
            return 0, []
        begin = bisect_right(self, first)
        begin -= 1 if first else 0
        end = bisect_left(self, last)
        side = round(np.sqrt(last))
        clean = end - begin + 1 == last and self[begin] == 1
        return begin if clean else 0, [(side, side)] if side * side == last else []
