"""NanoMegas .blo files: the header is checked before RosettaSciIO trusts it."""

from __future__ import annotations

import struct
from pathlib import Path

from napari_polmap.errors import ScanError

# Identifier, two bytes, offset of the image, offset of the patterns, four bytes, size of a pattern,
# its rotation, columns and rows of the scan.
_HEADER = struct.Struct("<6s2xII4xHHHH")
_MARK_BYTES = 6
"""Bytes before each pattern."""


def check_blockfile(path: Path) -> None:
    """See that a file is a blockfile and holds all its patterns.

    RosettaSciIO takes any file for one, and then plans to read patterns without end.

    Raises
    ------
    ScanError
        If it is none, or is cut off.
    """
    with path.open("rb") as file:
        start = file.read(_HEADER.size)
    if len(start) < _HEADER.size or not start.startswith(b"IMGBLO"):
        raise ScanError(
            f"{path} is not a blockfile, although its name ends in .blo; choose another file."
        )
    _, _, offset, size, _, columns, rows = _HEADER.unpack(start)
    pattern_bytes = size * size + _MARK_BYTES
    found = max(0, path.stat().st_size - offset) // pattern_bytes
    if found < rows * columns or not rows * columns * size:
        raise ScanError(
            f"{path} holds {found} of the {rows * columns} patterns its header tells of; copy the "
            "file again."
        )
