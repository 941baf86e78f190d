"""A file's data as its reader gives it, and the sentence for a file that cannot be read."""

from __future__ import annotations

import dataclasses
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import ScanError
from napari_polmap.io.axes import Axis

READER_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RuntimeError,
    AssertionError,
    EOFError,
    ImportError,
    SyntaxError,  # XML
    ZeroDivisionError,
    MemoryError,
    struct.error,
)
"""What readers raise on files they cannot read."""


@dataclass
class Opened:
    """A file's data before its scan shape is settled.

    Parameters
    ----------
    data : array-like
        Axes ``(..., y, x, ky, kx)`` or ``(frames, ky, kx)``.
    axes : tuple of Axis
        One for each of them.
    metadata : dict
        In HyperSpy's layout.
    warnings : list of str
    storage : (int, int), optional
        Rows and columns of positions that are stored (compressed) together.
    bad_pixels : ndarray of bool, shape (ky, kx), optional
        What the file itself says of its detector.
    """

    data: Any
    axes: tuple[Axis, ...]
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    warnings: list[str] = dataclasses.field(default_factory=list)
    storage: tuple[int, int] | None = None
    bad_pixels: npt.NDArray[np.bool_] | None = None


def unreadable(path: Path, error: BaseException) -> ScanError:
    """The sentence for a file that its reader cannot read."""
    if isinstance(error, ScanError):
        return error
    reason = " ".join(str(error).split()) or type(error).__name__
    return ScanError(
        f"{path} cannot be read ({reason[:200]}); check that it is complete and of the kind its "
        "ending says."
    )
