"""What the map or the classifier says at one position (or region), as plain values and text."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import NOT_COMPUTED, DirectionSet
from napari_polmap.polarization_map import (
    STATUS_BY_HAND,
    STATUS_EDGE_WINDOW,
    STATUS_MASK,
    PolarizationMap,
)

if TYPE_CHECKING:
    from napari_polmap.mapping import Evidence


@dataclass(frozen=True)
class Reading:
    """Probabilities of the directions and what is concluded from them.

    Parameters
    ----------
    directions : DirectionSet
        With the angles on the displayed scan image.
    probabilities : ndarray of float, shape (n,)
    direction : int
        Index of the direction.
    confidence : float
    undecided : bool
        Whether the confidence is below the threshold.
    calibrated : bool
        False where the scan lies outside the classifier's card or training data.
    notes : tuple of str
        What else the user must know: set by hand, window at an edge.
    """

    directions: DirectionSet
    probabilities: npt.NDArray[np.floating]
    direction: int
    confidence: float
    undecided: bool = False
    calibrated: bool = True
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """One line, for instance ``RU 45° · confidence 0.97``."""
        name = self.directions.label(self.direction)
        parts = [f"undecided, most likely {name}" if self.undecided else name]
        if np.isfinite(self.confidence):
            parts.append(
                f"confidence {self.confidence:.2f}" + ("" if self.calibrated else " (uncalibrated)")
            )
        return " · ".join((*parts, *self.notes))


def map_reading(polarization: PolarizationMap, y: int, x: int) -> Reading | None:
    """The map's own values at a position; None where nothing is computed."""
    direction = int(polarization.direction[y, x])
    if direction == NOT_COMPUTED:
        return None
    here = {name: array[y : y + 1, x : x + 1] for name, array in polarization.arrays().items()}
    undecided = bool(dataclasses.replace(polarization, **here).undecided[0, 0])
    status = int(polarization.status[y, x])
    by_hand = (status & STATUS_MASK) == STATUS_BY_HAND
    notes = ("set by hand",) if by_hand else ()
    if status & STATUS_EDGE_WINDOW:
        notes = (*notes, "window at an edge")
    return Reading(
        polarization.shown_directions,
        polarization.probabilities[y, x].astype(np.float32),
        direction,
        float(polarization.confidence[y, x]),
        undecided=undecided,
        calibrated=polarization.confidence_calibrated,
        notes=notes,
    )


def evidence_reading(
    evidence: Evidence,
    directions: DirectionSet,
    threshold: float,
    *,
    calibrated: bool = True,
    notes: tuple[str, ...] = (),
) -> Reading:
    """What the classifier says of the pattern it saw; `directions` as on the displayed scan."""
    return Reading(
        directions,
        np.asarray(evidence.probabilities, dtype=np.float32),
        evidence.direction,
        evidence.confidence,
        undecided=not evidence.confidence >= threshold,
        calibrated=calibrated,
        notes=notes,
    )
