"""Changes of a scan's calibration that can be taken back, without Qt."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import VALUE_NAMES, Calibration, Source
from napari_polmap.scan import Scan

Mask = npt.NDArray[np.bool_]
_LONGEST = 200
"""Changes that are kept."""


LABELS = {
    "step_nm": "scan step",
    "mrad_per_pixel": "detector pixel",
    "energy_kv": "voltage",
    "semi_angle_mrad": "semi-angle",
    "center_px": "disk center",
    "radius_px": "disk radius",
    "rotation_deg": "detector rotation",
    "flip": "flip",
    "crystal_angle_deg": "crystal angle",
    "lattice_nm": "lattice period",
    "descan_px": "descan",
    "ellipse": "elliptical distortion",
    "bad_pixels": "bad pixels",
}
"""What calibration values are called."""


def labeled(names: Iterable[str]) -> str:
    """Names of calibration values for people."""
    return ", ".join(LABELS.get(name, name) for name in names)


@dataclass(frozen=True)
class CalibrationChange:
    """One change: values with their sources, and the bad pixels, before and after.

    Parameters
    ----------
    text : str
        What was done, for people.
    before, after : mapping of str to (value, source)
        The values that changed.
    masks : (mask, mask), optional
        Bad pixels before and after, where they changed.
    """

    text: str
    before: Mapping[str, tuple[Any, Source | None]]
    after: Mapping[str, tuple[Any, Source | None]]
    masks: tuple[Mask | None, Mask | None] | None = None

    @classmethod
    def between(cls, before: Scan, after: Scan, text: str) -> CalibrationChange | None:
        """What differs between two states of a scan; None where nothing does."""
        old, new = before.calibration, after.calibration
        names = [name for name in sorted(VALUE_NAMES) if _noted(old, name) != _noted(new, name)]
        masks = None
        if not same_mask(before.bad_pixels, after.bad_pixels):
            masks = (before.bad_pixels, after.bad_pixels)
        if not names and masks is None:
            return None
        return cls(
            text,
            {name: _noted(old, name) for name in names},
            {name: _noted(new, name) for name in names},
            masks,
        )

    def undone(self, scan: Scan) -> Scan:
        """The scan with the values of before; others stay as they are now."""
        return self._with(scan, self.before, 0)

    def done(self, scan: Scan) -> Scan:
        """The scan with the values of after."""
        return self._with(scan, self.after, 1)

    def _with(self, scan: Scan, noted: Mapping[str, tuple[Any, Source | None]], which: int) -> Scan:
        sources = {name: s for name, s in scan.calibration.sources.items() if name not in noted}
        sources |= {name: source for name, (_, source) in noted.items() if source is not None}
        values = {name: value for name, (value, _) in noted.items()}
        scan = scan.with_calibration(
            dataclasses.replace(scan.calibration, **values, sources=sources)
        )
        return scan if self.masks is None else scan.with_bad_pixels(self.masks[which])


class CalibrationHistory:
    """The changes of one scan, and how far they are undone."""

    def __init__(self) -> None:
        self._changes: list[CalibrationChange] = []
        self._undone = 0

    def clear(self) -> None:
        """Forget everything: another scan."""
        self._changes, self._undone = [], 0

    def note(self, before: Scan, after: Scan, text: str) -> bool:
        """Note a change; what was undone before it is forgotten.

        Returns
        -------
        bool
            Whether anything changed.
        """
        change = CalibrationChange.between(before, after, text)
        if change is None:
            return False
        done = self._changes[: len(self._changes) - self._undone]
        self._changes, self._undone = [*done, change][-_LONGEST:], 0
        return True

    @property
    def to_undo(self) -> str:
        """What undoing takes back; empty where there is nothing."""
        done = len(self._changes) - self._undone
        return self._changes[done - 1].text if done else ""

    @property
    def to_redo(self) -> str:
        """What redoing does again; empty where there is nothing."""
        return self._changes[len(self._changes) - self._undone].text if self._undone else ""

    def undo(self, scan: Scan) -> Scan:
        """The scan without the last change; the same where there is none."""
        if not self.to_undo:
            return scan
        self._undone += 1
        return self._changes[len(self._changes) - self._undone].undone(scan)

    def redo(self, scan: Scan) -> Scan:
        """The scan with the change undone last; the same where there is none."""
        if not self.to_redo:
            return scan
        change = self._changes[len(self._changes) - self._undone]
        self._undone -= 1
        return change.done(scan)


def same_mask(one: Mask | None, other: Mask | None) -> bool:
    """Whether two masks mark the same pixels; none at all is the same as an empty one."""
    marked = [mask is not None and bool(mask.any()) for mask in (one, other)]
    return marked == [False, False] or (all(marked) and np.array_equal(one, other))


def _noted(calibration: Calibration, name: str) -> tuple[Any, Source | None]:
    return getattr(calibration, name), calibration.sources.get(name)
