"""Writes small files in Gatan's DM4 format: a tree of tags, lengths of 8 bytes, big-endian
structure around data of either byte order."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_TYPES = {"i2": 2, "i4": 3, "u2": 4, "u4": 5, "f4": 6, "f8": 7, "u1": 10, "i8": 11, "u8": 12}
_DATA_TYPES = {"i2": 1, "f4": 2, "u1": 6, "i4": 7, "i1": 9, "u2": 10, "u4": 11, "f8": 12}


def write_dm4(
    path: Path,
    data: np.ndarray | _Hole,
    *,
    tags: Mapping[str, Any] | None = None,
    units: Sequence[str] = (),
    scales: Sequence[float] = (),
    origins: Sequence[float] = (),
    byte_order: str = "<",
) -> Path:
    """One image (after a thumbnail), `data` slowest axis first; units and scales fastest first."""
    thumbnail = _image(np.zeros((4, 4), "u1"), {}, (), (), ())
    image = _image(data, tags or {}, units, scales, origins)
    root = {
        "DocumentObjectList": {},
        "ImageList": [thumbnail, image],
        "Thumbnails": [{"ImageIndex": 0}],
    }
    body = _group(root, byte_order)
    header = struct.pack(">iqi", 4, len(body), byte_order == "<")
    path.write_bytes(header + body + bytes(8))
    return path


def write_sparse_dm4(path: Path, shape: tuple[int, ...], dtype: str, **options: Any) -> Path:
    """A large image of zeros of which nothing is stored, for timing; options as of `write_dm4`."""
    hole = _Hole(shape, np.dtype(dtype))
    write_dm4(path, hole, **options)
    before, after = path.read_bytes().split(hole.tobytes())
    with path.open("wb") as file:
        file.write(before)
        file.seek(hole.size * hole.dtype.itemsize, 1)
        file.write(after)
    return path


class _Hole:
    """Stands for an array that is not written."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype
        self.ndim = len(shape)
        self.size = int(np.prod(shape))

    def astype(self, _: Any) -> _Hole:
        return self

    def tobytes(self) -> bytes:
        return b"the array's bytes"


def _image(
    data: np.ndarray | _Hole,
    tags: Mapping[str, Any],
    units: Sequence[str],
    scales: Sequence[float],
    origins: Sequence[float],
) -> dict[str, Any]:
    count = data.ndim
    units = [*units, *[""] * (count - len(units))]
    scales = [*scales, *[1.0] * (count - len(scales))]
    origins = [*origins, *[0.0] * (count - len(origins))]
    return {
        "ImageData": {
            "Calibrations": {
                "Brightness": {"Origin": 0.0, "Scale": 1.0, "Units": ""},
                "Dimension": [
                    {"Origin": float(o), "Scale": float(s), "Units": u}
                    for o, s, u in zip(origins, scales, units, strict=True)
                ],
            },
            "Data": data,
            "DataType": _DATA_TYPES[data.dtype.str[1:]],
            "Dimensions": [int(n) for n in reversed(data.shape)],
            "PixelDepth": data.dtype.itemsize,
        },
        "ImageTags": dict(tags),
        "Name": "Diffraction SI",
    }


def _group(content: Any, order: str) -> bytes:
    entries = content.items() if isinstance(content, Mapping) else (("", v) for v in content)
    written = [_entry(name, value, order) for name, value in entries]
    return struct.pack(">bbq", 1, 0, len(written)) + b"".join(written)


def _entry(name: str, value: Any, order: str) -> bytes:
    is_group = isinstance(value, Mapping | list)
    body = _group(value, order) if is_group else _value(value, order)
    start = struct.pack(">bh", 20 if is_group else 21, len(name)) + name.encode("latin-1")
    return start + struct.pack(">q", len(body)) + body


def _value(value: Any, order: str) -> bytes:
    if isinstance(value, np.ndarray | _Hole):
        kind = _TYPES[value.dtype.str[1:]]
        info = (20, kind, value.size)
        content = value.astype(value.dtype.newbyteorder(order)).tobytes()
    elif isinstance(value, str):
        info = (20, 4, len(value))  # an array of characters of two bytes
        content = b"".join(struct.pack(order + "H", ord(c)) for c in value)
    elif isinstance(value, bool):
        info, content = (8,), struct.pack("b", value)
    elif isinstance(value, int):
        info, content = (5,), struct.pack(order + "I", value)
    else:
        info, content = (7,), struct.pack(order + "d", value)
    return b"%%%%" + struct.pack(f">{len(info) + 1}q", len(info), *info) + content
