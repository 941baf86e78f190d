"""Defects of a crystal. Places are (row, column) in Å in the crystal's frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import screen_vectors
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.crystal import Crystal, Symbols
from napari_polmap.simulation.random_crystal import natural
from napari_polmap.simulation.unit_cell import UnitCell

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

CLOSEST_ANGSTROM = 1.2
"""Atoms that a defect brings closer than this are not both kept."""


@dataclass(frozen=True)
class Defect:
    """What a defect does to a crystal, and where it shows; this one does nothing."""

    @property
    def crystalline(self) -> bool:
        """Whether there is still a crystal with a direction where the defect shows."""
        return True

    @property
    def empty(self) -> bool:
        """Whether there is nothing at all where it shows."""
        return False

    def reach_angstrom(self, cell: UnitCell) -> float:  # noqa: ARG002 - others need it
        """How far an atom can come to lie from its place in the perfect crystal."""
        return 0.0

    def occupy(self, crystal: Crystal) -> Crystal:
        """The crystal with other atoms on its sites."""
        return crystal

    def place(
        self,
        symbols: Symbols,
        positions: Floats,
        depth_angstrom: float,  # noqa: ARG002
        cell: UnitCell,  # noqa: ARG002
    ) -> tuple[Symbols, Floats]:
        """The atoms moved, taken out or added."""
        return symbols, positions

    def marks(self, points: npt.ArrayLike, cell: UnitCell) -> Bools:  # noqa: ARG002
        """Where the defect shows, for points (row, column) of shape (..., 2)."""
        return np.zeros(np.asarray(points).shape[:-1], bool)


@dataclass(frozen=True)
class ColumnDefect(Defect):
    """A column of atoms of one site that partly miss or are others.

    Parameters
    ----------
    cell : tuple of int
        Row and column of the cell.
    site : str
        Name of the site.
    share : float
        Probability that an atom of the column is replaced.
    element : str
        What stands there instead; empty for nothing.
    seed : int
        Decides which atoms, not negative.

    Raises
    ------
    PolmapError
        If the share is outside 0..1.
    """

    cell: tuple[int, int]
    site: str
    share: float = 1.0
    element: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise PolmapError(
                f"The share of replaced atoms must be in 0..1, but is {self.share}; correct it."
            )

    def occupy(self, crystal: Crystal) -> Crystal:
        """The crystal with the column's atoms replaced, if it is in this block."""
        row, column = (
            place - first for place, first in zip(self.cell, crystal.origin, strict=True)
        )
        rows, columns, depth = crystal.shape
        site = crystal.cell.site(self.site)
        if not (0 <= row < rows and 0 <= column < columns):
            return crystal
        key = [self.seed, natural(self.cell[0]), natural(self.cell[1]), site]
        replaced = np.random.default_rng(key).random(depth) < self.share
        species = crystal.species.copy()
        species[row, column, replaced, site] = self.element
        return replace(crystal, species=species)

    def marks(self, points: npt.ArrayLike, cell: UnitCell) -> Bools:
        """Within half a cell of the column."""
        lengths = np.array(cell.lengths_angstrom[:2])
        middle = (np.array(self.cell) + cell.sites[cell.site(self.site)].position[:2]) * lengths
        return np.linalg.norm(np.asarray(points) - middle, axis=-1) <= lengths.mean() / 2


@dataclass(frozen=True)
class AntiphaseBoundary(Defect):
    """A plane along the beam behind which the crystal is shifted by a part of a cell.

    Where the shift is not along the plane, the crystal behind it is cut or goes on so that there is
    no gap, and atoms that come closer than `CLOSEST_ANGSTROM` to one before it are left out.

    Parameters
    ----------
    position : tuple of float
        A point on the plane.
    normal_deg : float
        Angle of its normal, counter-clockwise from +x; it points behind the plane.
    shift : tuple of float
        Shift (row, column, beam) in shares of the cell's edges.
    """

    position: tuple[float, float]
    normal_deg: float
    shift: tuple[float, float, float] = (0.5, 0.5, 0.0)

    def reach_angstrom(self, cell: UnitCell) -> float:
        """The shift's length in the plane."""
        return float(np.hypot(*np.multiply(self.shift, cell.lengths_angstrom)[:2]))

    def _behind(self, points: Floats) -> Bools:
        return (points[..., :2] - self.position) @ screen_vectors([self.normal_deg])[0] > 0

    def place(
        self,
        symbols: Symbols,
        positions: Floats,
        depth_angstrom: float,
        cell: UnitCell,
    ) -> tuple[Symbols, Floats]:
        """The atoms before the plane, and those that the shift brings behind it."""
        moved = positions + np.multiply(self.shift, cell.lengths_angstrom)
        moved[:, 2] %= depth_angstrom
        before, behind = ~self._behind(positions), self._behind(moved)
        apart = ~close_to(moved[behind], positions[before])
        return (
            np.concatenate([symbols[before], symbols[behind][apart]]),
            np.concatenate([positions[before], moved[behind][apart]]),
        )

    def marks(self, points: npt.ArrayLike, cell: UnitCell) -> Bools:
        """Within half a cell of the plane."""
        normal = screen_vectors([self.normal_deg])[0]
        distance = (np.asarray(points, float) - self.position) @ normal
        return np.abs(distance) <= np.mean(cell.lengths_angstrom[:2]) / 2


@dataclass(frozen=True)
class EdgeDislocation(Defect):
    """An edge dislocation along the beam, by isotropic elasticity.

    With x along the Burgers vector b from the core and y perpendicular to it, atoms move by
    ``u_x = b / 2π [atan2(y, x) + x y / (2 (1 - ν) r²)]`` and
    ``u_y = -b / 2π [(1 - 2ν) / (2 (1 - ν)) ln(r / |b|) - y² / (2 (1 - ν) r²)]``: J. P. Hirth and
    J. Lothe, Theory of Dislocations (1982), section 3.4, in the form of J. D. Eshelby, Brit. J.
    Appl. Phys. 17 (1966) 1131. Where the angle jumps, u_x jumps by b: the crystal closes again if b
    is a vector of its lattice. Within the core the formulas do not hold; r² is increased by
    (b/2)² there, so that they stay finite.

    Parameters
    ----------
    core : tuple of float
        Where the dislocation line passes, (row, column) in Å.
    burgers : tuple of float
        Burgers vector (row, column) in Å.
    poisson : float
        Poisson's ratio ν.

    Raises
    ------
    PolmapError
        If the Burgers vector is zero or Poisson's ratio outside 0..0.5.
    """

    core: tuple[float, float]
    burgers: tuple[float, float]
    poisson: float = 0.25

    def __post_init__(self) -> None:
        if not any(self.burgers) or not 0 <= self.poisson < 0.5:
            raise PolmapError(
                f"An edge dislocation needs a Burgers vector and a Poisson's ratio in 0..0.5, but "
                f"has {self.burgers} Å and {self.poisson}; correct them."
            )

    def reach_angstrom(self, cell: UnitCell) -> float:  # noqa: ARG002
        """One Burgers vector, as far away as 1,000 of them."""
        return float(np.hypot(*self.burgers))

    def field(self, points: npt.ArrayLike) -> Floats:
        """Displacements (row, column) in Å at points of shape (..., 2)."""
        length = float(np.hypot(*self.burgers))
        along = np.array(self.burgers) / length
        # A quarter turn counter-clockwise on the image: the extra half plane lies that way.
        up = np.array([-along[1], along[0]])
        offset = np.asarray(points, float) - self.core
        x, y = offset @ along, offset @ up
        squared = x**2 + y**2 + (length / 2) ** 2
        ratio = 1 / (2 * (1 - self.poisson))
        move_x = np.arctan2(y, x) + ratio * x * y / squared
        move_y = ratio * y**2 / squared - (1 - 2 * self.poisson) * ratio * 0.5 * np.log(
            squared / length**2
        )
        return length / (2 * np.pi) * (move_x[..., None] * along + move_y[..., None] * up)

    def place(
        self,
        symbols: Symbols,
        positions: Floats,
        depth_angstrom: float,  # noqa: ARG002
        cell: UnitCell,  # noqa: ARG002
    ) -> tuple[Symbols, Floats]:
        """All atoms moved by the field."""
        moved = positions.copy()
        moved[:, :2] += self.field(positions[:, :2])
        return symbols, moved

    def marks(self, points: npt.ArrayLike, cell: UnitCell) -> Bools:
        """Within a cell of the core."""
        distance = np.linalg.norm(np.asarray(points, float) - self.core, axis=-1)
        return distance <= np.mean(cell.lengths_angstrom[:2])


def close_to(points: Floats, others: Floats, distance: float = CLOSEST_ANGSTROM) -> Bools:
    """Which points are closer than that to one of the others."""
    from scipy.spatial import cKDTree

    if not len(others) or not len(points):
        return np.zeros(len(points), bool)
    nearest, _ = cKDTree(others).query(points, distance_upper_bound=distance)
    return np.isfinite(nearest)
