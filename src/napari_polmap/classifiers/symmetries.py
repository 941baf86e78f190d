"""The square's operations that map a set of directions onto itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_polmap.diffraction.symmetry import mirror_angle, rotate_angle
from napari_polmap.directions import DirectionSet

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Symmetry:
    """An operation of the square that maps a set of directions onto itself.

    Parameters
    ----------
    mirrored : bool
        Left to right, before turning.
    turns : int
        Quarter turns counter-clockwise.
    classes : ndarray of int, shape (n_directions,)
        Where each class goes.
    """

    mirrored: bool
    turns: int
    classes: npt.NDArray[np.intp]

    def patterns(self, square: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """Patterns ``(n, size, size)`` under the operation."""
        moved = np.flip(square, axis=2) if self.mirrored else square
        return np.rot90(moved, self.turns, axes=(1, 2))


def symmetries(directions: DirectionSet) -> list[Symmetry]:
    """The operations of the square that map the set's angles onto itself, the identity first."""
    found = []
    for mirrored in (False, True):
        for turns in range(4):
            classes = _mapped_classes(directions, mirrored, turns)
            if classes is not None:
                found.append(Symmetry(mirrored, turns, classes))
    return found


def _mapped_classes(
    directions: DirectionSet, mirrored: bool, turns: int
) -> npt.NDArray[np.intp] | None:
    """Where each class goes under the operation, or None if the set is not closed under it."""
    angles = directions.angles_deg
    classes = []
    for index, angle in enumerate(angles):
        if angle is None:
            classes.append(index)
            continue
        moved = rotate_angle(mirror_angle(angle) if mirrored else angle, turns)
        hits = [k for k, a in enumerate(angles) if a is not None and _apart(a, moved) < 1e-3]
        if not hits:
            return None
        classes.append(hits[0])
    return np.array(classes)


def _apart(first: float, second: float) -> float:
    return abs((first - second + 180) % 360 - 180)
