"""The result: per probe position a direction, its probabilities, confidence and status."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.directions import NOT_COMPUTED, DirectionSet
from napari_polmap.errors import MapError
from napari_polmap.scan import ScanIdentity

STATUS_NOT_COMPUTED = 0
STATUS_CLASSIFIED = 1
STATUS_BY_HAND = 2
STATUS_EXCLUDED = 3
STATUS_NO_DATA = 4
STATUS_EDGE_WINDOW = 0x80
"""Flag beside the status: the window had to slide inward (scan's edge, missing positions)."""
STATUS_MASK = 0x7F

ARRAYS = (
    "direction",
    "status",
    "probabilities",
    "confidence",
    "novelty",
    "defects",
    "local_threshold",
)
"""Names of a map's arrays, in files and here."""


@dataclass(frozen=True)
class HistoryStep:
    """One change of a map: what was done, where, and the arrays' values before and after.

    Parameters
    ----------
    action : str
        What was done, for people.
    parameters : mapping
        Plain values that tell how.
    rows, columns : (int, int)
        Bounding rectangle of the changed positions.
    mask : ndarray of bool, shape (rows, columns)
        The changed positions within the rectangle.
    before, after : mapping of str to ndarray
        Values of the map's arrays at those positions, shape ``(n, ...)``.
    time : str
        ISO 8601 time in UTC.
    """

    action: str
    parameters: Mapping[str, Any]
    rows: tuple[int, int]
    columns: tuple[int, int]
    mask: npt.NDArray[np.bool_]
    before: Mapping[str, npt.NDArray[Any]]
    after: Mapping[str, npt.NDArray[Any]]
    time: str


@dataclass
class PolarizationMap:
    """Directions of polarization over a scan, with what they rest on.

    Parameters
    ----------
    directions : DirectionSet
        The classes, angles in the crystal's frame.
    direction : ndarray of uint8, shape (y, x)
        Index of the most probable direction, 255 where not computed.
    status : ndarray of uint8, shape (y, x)
        ``STATUS_...``, with the flag `STATUS_EDGE_WINDOW`.
    probabilities : ndarray of float16, shape (y, x, n_directions)
    confidence : ndarray of float32, shape (y, x)
        Calibrated probability that the direction is right; NaN where not computed.
    novelty : ndarray of float32, shape (y, x)
        Distance from the classifier's training data, 1 at its 99th percentile; NaN where not
        computed.
    defects : ndarray of float32, shape (y, x)
        Defect score, a robust z-score; NaN where not computed.
    local_threshold : ndarray of float32, shape (y, x)
        Threshold of positions reclassified with one of their own; NaN elsewhere.
    threshold : float
        Confidence below which a position is undecided.
    calibration : Calibration
        The scan's.
    scan : ScanIdentity
        Which scan.
    classifier : mapping
        Name, SHA-256, card and preprocessing of the classifier, plain values.
    warnings : list of str
        What the user must know before trusting the map.
    confidence_calibrated : bool
        False where the scan lies outside the classifier's card or training data.
    complete : bool
        False while positions of the requested region are missing.
    software : mapping of str to str
        Versions.
    history : list of HistoryStep
    undone : int
        How many steps at the end of the history are undone at present.
    """

    directions: DirectionSet
    direction: npt.NDArray[np.uint8]
    status: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float16]
    confidence: npt.NDArray[np.float32]
    novelty: npt.NDArray[np.float32]
    defects: npt.NDArray[np.float32]
    local_threshold: npt.NDArray[np.float32]
    threshold: float
    calibration: Calibration
    scan: ScanIdentity
    classifier: Mapping[str, Any]
    warnings: list[str] = field(default_factory=list)
    confidence_calibrated: bool = True
    complete: bool = False
    software: Mapping[str, str] = field(default_factory=dict)
    history: list[HistoryStep] = field(default_factory=list)
    undone: int = 0

    @classmethod
    def empty(
        cls, shape: tuple[int, int], directions: DirectionSet, **attributes: Any
    ) -> PolarizationMap:
        """A map with nothing computed yet."""
        return cls(
            directions=directions,
            direction=np.full(shape, NOT_COMPUTED, np.uint8),
            status=np.zeros(shape, np.uint8),
            probabilities=np.zeros((*shape, len(directions)), np.float16),
            confidence=np.full(shape, np.nan, np.float32),
            novelty=np.full(shape, np.nan, np.float32),
            defects=np.full(shape, np.nan, np.float32),
            local_threshold=np.full(shape, np.nan, np.float32),
            **attributes,
        )

    def __repr__(self) -> str:
        done = int(np.count_nonzero(self.status))
        return (
            f"<PolarizationMap {self.shape[0]} x {self.shape[1]}, {done} positions computed, "
            f"{len(self.directions)} directions, {'complete' if self.complete else 'incomplete'}>"
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.direction.shape

    @property
    def shown_directions(self) -> DirectionSet:
        """The directions with angles in the scan's frame (class angle + crystal angle)."""
        return self.directions.rotated(self.calibration.crystal_angle_deg)

    @property
    def computed(self) -> npt.NDArray[np.bool_]:
        """Positions that have a direction."""
        return self.direction != NOT_COMPUTED

    @property
    def undecided(self) -> npt.NDArray[np.bool_]:
        """Positions with a direction whose confidence is below the threshold."""
        by_hand = (self.status & STATUS_MASK) == STATUS_BY_HAND
        own = np.isfinite(self.local_threshold)
        limit = np.where(own, self.local_threshold, np.float32(self.threshold))
        return self.computed & ~by_hand & ~(self.confidence >= limit)

    def labels(self, threshold: float | None = None) -> npt.NDArray[np.uint8]:
        """What is shown: the direction's index, 255 where undecided or not computed.

        Parameters
        ----------
        threshold : float, optional
            Instead of the map's own.
        """
        shown = self if threshold is None else dataclasses.replace(self, threshold=threshold)
        return np.where(shown.undecided, np.uint8(NOT_COMPUTED), self.direction)

    def counts(self) -> dict[str, int]:
        """Positions per shown direction; undecided ones are not counted."""
        counts = np.bincount(self.labels().ravel(), minlength=256)
        return {name: int(counts[index]) for index, name in enumerate(self.directions.names)}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by name."""
        return {name: getattr(self, name) for name in ARRAYS}

    def copy(self) -> PolarizationMap:
        """A map with arrays and history of its own."""
        twin = dataclasses.replace(self, warnings=list(self.warnings), history=list(self.history))
        for name, array in self.arrays().items():
            setattr(twin, name, array.copy())
        return twin

    def apply(self, step: HistoryStep) -> None:
        """Make a change and add it to the history; steps undone before are forgotten."""
        if self.undone:
            del self.history[-self.undone :]
            self.undone = 0
        self._write(step, step.after)
        self.history.append(step)

    def undo(self) -> HistoryStep:
        """Take the last change back, bit for bit.

        Raises
        ------
        MapError
            If there is nothing to undo.
        """
        if self.undone >= len(self.history):
            raise MapError("There is no change to undo in this map.")
        step = self.history[-1 - self.undone]
        self._write(step, step.before)
        self.undone += 1
        return step

    def redo(self) -> HistoryStep:
        """Make the change undone last again, bit for bit.

        Raises
        ------
        MapError
            If there is nothing to redo.
        """
        if not self.undone:
            raise MapError("There is no undone change to redo in this map.")
        step = self.history[-self.undone]
        self._write(step, step.after)
        self.undone -= 1
        return step

    def _write(self, step: HistoryStep, values: Mapping[str, npt.NDArray[Any]]) -> None:
        for name, value in values.items():
            getattr(self, name)[slice(*step.rows), slice(*step.columns)][step.mask] = value

    def save(self, path: str | Path) -> Path:
        """Write the map as a zarr group, see :func:`napari_polmap.save_map`."""
        from napari_polmap import save_map

        return save_map(self, path)

    def to_image(self, path: str | Path, **options: Any) -> Path:
        """Draw the map with legend and scale bar, see :func:`napari_polmap.export_image`."""
        from napari_polmap import export_image

        return export_image(self, path, **options)
