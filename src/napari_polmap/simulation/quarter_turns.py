"""Which directions follow from others by quarter turns, checked on the structure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.diffraction.symmetry import rotate_angle
from napari_polmap.directions import DirectionSet
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.unit_cell import UnitCell

TOLERANCE_ANGSTROM = 1e-3
"""How far atoms of the turned crystal may lie from those of the turned polarization."""

_SAME_ANGLE_DEG = 1e-3


@dataclass(frozen=True)
class Family:
    """A direction that is simulated, and those that are made from it.

    Parameters
    ----------
    number : int
        Index of the simulated direction.
    members : tuple of (str, int)
        Names, the simulated one first, and how many quarter turns counter-clockwise each is away.
    """

    number: int
    members: tuple[tuple[str, int], ...]


def families(directions: DirectionSet, by_symmetry: bool) -> list[Family]:
    """The directions to simulate.

    Parameters
    ----------
    directions : DirectionSet
        All directions.
    by_symmetry : bool
        Whether those that lie quarter turns apart are made from one; otherwise each is simulated.
    """
    found: list[Family] = []
    taken: set[str] = set()
    for number, (name, angle) in enumerate(
        zip(directions.names, directions.angles_deg, strict=True)
    ):
        if name in taken:
            continue
        members = [(name, 0)]
        if by_symmetry and angle is not None:
            for turns in (1, 2, 3):
                wanted = rotate_angle(angle, turns)
                members += [
                    (other, turns)
                    for other, at in zip(directions.names, directions.angles_deg, strict=True)
                    if at is not None
                    and abs((at - wanted + 180) % 360 - 180) < _SAME_ANGLE_DEG
                    and other not in taken
                ]
        taken |= {member for member, _ in members}
        found.append(Family(number, tuple(members)))
    return found


def check_families(
    cell: UnitCell, cells: tuple[int, int], found: list[Family], magnitude_angstrom: float
) -> None:
    """See that turning the crystal gives the crystal with the turned polarization.

    Parameters
    ----------
    cell : UnitCell
        The cell.
    cells : tuple of int
        Cells (rows, columns) of the specimen.
    found : list of Family
        From `families`.
    magnitude_angstrom : float
        Of the polarization that is compared.

    Raises
    ------
    PolmapError
        If the cell or the specimen is not square, or the atoms do not coincide.
    """
    turning = [family for family in found if len(family.members) > 1]
    if not turning:
        return
    height, width = cell.lengths_angstrom[:2]
    if abs(height - width) > TOLERANCE_ANGSTROM or cells[0] != cells[1]:
        raise PolmapError(
            f"directions.by_symmetry needs a square cell and as many rows as columns of them, but "
            f"the cell is {height:.4g} x {width:.4g} Å and there are {cells[0]} x {cells[1]}; set "
            "it to false."
        )
    for family in turning:
        first = family.members[0][0]
        for name, turns in family.members[1:]:
            off = _mismatch(cell, first, name, turns, magnitude_angstrom)
            if off > TOLERANCE_ANGSTROM:
                raise PolmapError(
                    f"directions.by_symmetry is not allowed for this crystal: turned by "
                    f"{90 * turns}°, {first} is not {name} (atoms lie {off:.3g} Å apart); set it "
                    "to false."
                )


def _mismatch(cell: UnitCell, first: str, second: str, turns: int, magnitude: float) -> float:
    """Largest distance in Å of an atom of the turned crystal from the nearest of its kind."""
    lengths = np.array(cell.lengths_angstrom)
    rest = np.array([site.position for site in cell.sites]) * lengths
    source = rest + cell.displacement(first, magnitude)
    target = rest + cell.displacement(second, magnitude)
    for _ in range(turns):
        # Counter-clockwise on the displayed image: (row, column) goes to (-column, row).
        source = np.stack([-source[:, 1], source[:, 0], source[:, 2]], axis=1)
    kinds = [tuple(sorted(site.species.items())) for site in cell.sites]
    best = np.inf
    for index, kind in enumerate(kinds):
        if kind != kinds[0]:
            continue
        # The place that the crystal is turned about is free, its height is not.
        shift = target[index] - source[0]
        shift[2] = 0.0
        best = min(best, _farthest(source + shift, target, kinds, lengths))
    return float(best)


def _farthest(
    source: npt.NDArray[np.float64],
    target: npt.NDArray[np.float64],
    kinds: list[tuple[tuple[str, float], ...]],
    lengths: npt.NDArray[np.float64],
) -> float:
    same = np.array([[a == b for b in kinds] for a in kinds])
    apart = source[:, None] - target[None]
    apart -= np.round(apart / lengths) * lengths
    distance = np.where(same, np.linalg.norm(apart, axis=-1), np.inf)
    return float(max(distance.min(axis=0).max(), distance.min(axis=1).max()))
