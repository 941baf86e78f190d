"""The order of a file's axes as two turns, and options as text: pure functions for forms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PLAIN_SCAN, PLAIN_DETECTOR = "y,x", "ky,kx"
TURNS = {
    "y,x": "as stored",
    "x,y": "transposed",
    "-y,x": "upside down",
    "y,-x": "mirrored",
    "-y,-x": "turned by 180°",
    "x,-y": "turned by 90° to the left",
    "-x,y": "turned by 90° to the right",
    "-x,-y": "transposed and turned by 180°",
}
"""What the order of two stored axes does to the stored image, by the scan's part of ``axes``."""
READING_OPTIONS = ("nav_shape", "dataset", "index", "axes", "flyback", "bad_pixels")
"""Options of `napari_polmap.load_scan` that say how a file is read."""


@dataclass(frozen=True)
class AxesOrder:
    """The option ``axes`` of `napari_polmap.load_scan` in two parts.

    Parameters
    ----------
    scan : str
        The scan's axes as they are stored, such as ``"y,x"`` or ``"-x,y"``.
    detector : str
        The detector's, such as ``"ky,kx"``.
    detector_first : bool
        Whether the detector's axes are stored before the scan's.
    """

    scan: str = PLAIN_SCAN
    detector: str = PLAIN_DETECTOR
    detector_first: bool = False

    @property
    def text(self) -> str | None:
        """The option, None for the usual order."""
        parts = (self.detector, self.scan) if self.detector_first else (self.scan, self.detector)
        text = ",".join(parts)
        return None if text == f"{PLAIN_SCAN},{PLAIN_DETECTOR}" else text

    @property
    def scan_swapped(self) -> bool:
        """Whether x is stored before y."""
        return "x" in self.scan.split(",")[0]

    @classmethod
    def parse(cls, text: str | None) -> AxesOrder | None:
        """The parts of an option; None where the scan's axes are not side by side."""
        if text is None:
            return cls()
        parts = [part.strip() for part in text.split(",")]
        first, second = ",".join(parts[:2]), ",".join(parts[2:])
        for scan, detector, detector_first in ((first, second, False), (second, first, True)):
            if scan in TURNS and detector in DETECTOR_TURNS:
                return cls(scan, detector, detector_first)
        return None


def _of_detector(scan: str) -> str:
    return re.sub("[yx]", lambda found: f"k{found[0]}", scan)


DETECTOR_TURNS = {_of_detector(order): text for order, text in TURNS.items()}
"""As `TURNS`, by the detector's part of ``axes``."""


def parse_shape(text: str) -> tuple[int, int] | None:
    """Two positive numbers in a text such as ``128 × 130``, None where there are not two."""
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if len(numbers) != 2 or min(numbers) < 1:
        return None
    return numbers[0], numbers[1]


def same_reading(options: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two sets of options read the same scan of a file."""
    return _reading(options) == _reading(other)


def _reading(options: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: options.get(name) for name in READING_OPTIONS if name != "bad_pixels"}
    for name in ("nav_shape", "index"):
        value = values[name]
        if value is not None:
            values[name] = (value,) if isinstance(value, int) else tuple(value)
    return {name: value for name, value in values.items() if value not in (None, 0)}
