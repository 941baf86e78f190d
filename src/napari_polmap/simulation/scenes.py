"""What is scanned: a crystal with its domains and defects, its thickness and its bending.

Places are (row, column) in Å in the crystal's frame; see `unit_cell`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import NOT_COMPUTED
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.crystal import Crystal
from napari_polmap.simulation.defects import Defect
from napari_polmap.simulation.domains import labels_at
from napari_polmap.simulation.random_crystal import RandomCrystal

if TYPE_CHECKING:
    from ase import Atoms

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Surface:
    """A quantity that varies over the plane up to the second order: a wedge, a bending.

    Parameters
    ----------
    value : float
        At the origin.
    gradient : tuple of float
        Change per nm (down the rows, along the columns).
    curvature : tuple of float
        Second derivatives per nm²: (rows, columns, mixed).
    origin : tuple of float
        (row, column) in Å.
    """

    value: float
    gradient: tuple[float, float] = (0.0, 0.0)
    curvature: tuple[float, float, float] = (0.0, 0.0, 0.0)
    origin: tuple[float, float] = (0.0, 0.0)

    def at(self, points: npt.ArrayLike) -> Floats:
        """Values at points of shape (..., 2)."""
        offset = (np.asarray(points, float) - self.origin) / 10
        row, column = offset[..., 0], offset[..., 1]
        rows, columns, mixed = self.curvature
        return np.asarray(
            self.value
            + self.gradient[0] * row
            + self.gradient[1] * column
            + 0.5 * (rows * row**2 + columns * column**2)
            + mixed * row * column
        )


@dataclass(frozen=True)
class Bend:
    """Tilt that varies over the specimen and adds to the microscope's.

    Parameters
    ----------
    tilt_x_mrad, tilt_y_mrad : Surface
        As `Microscope.tilt_mrad`: (x, y) of the displayed frame with +y up.
    """

    tilt_x_mrad: Surface = Surface(0.0)
    tilt_y_mrad: Surface = Surface(0.0)

    def at(self, points: npt.ArrayLike) -> Floats:
        """Tilts (x, y) in mrad at points of shape (..., 2)."""
        return np.stack([self.tilt_x_mrad.at(points), self.tilt_y_mrad.at(points)], axis=-1)


@dataclass(frozen=True, eq=False)
class Truth:
    """What a scan of a scene should be found to show.

    Parameters
    ----------
    direction : numpy.ndarray of uint8, shape (y, x)
        Index of the direction in the crystal's frame; 255 in walls, vacuum and what is amorphous.
    defects : numpy.ndarray of bool, shape (y, x)
        Where a defect shows.
    thickness_nm : numpy.ndarray, shape (y, x)
        Thickness; 0 in vacuum.
    tilt_mrad : numpy.ndarray, shape (y, x, 2)
        What bending adds to the tilt, as (x, y).
    """

    direction: npt.NDArray[np.uint8]
    defects: npt.NDArray[np.bool_]
    thickness_nm: Floats
    tilt_mrad: Floats


@dataclass(frozen=True, eq=False)
class Scene:
    """A specimen.

    Parameters
    ----------
    crystal : RandomCrystal or Crystal
        The crystal, at least as thick as the thickest place; a `Crystal` goes on periodically.
    thickness_nm : sequence of float or Surface
        Thicknesses that every position is simulated at, increasing; or one that varies over the
        plane. The crystal begins at the same height everywhere and ends with whole slices.
    defects : sequence of Defect
        One after the other.
    bend : Bend
        Bending.

    Raises
    ------
    PolmapError
        If there is no thickness, or one is thicker than the crystal.
    """

    crystal: RandomCrystal | Crystal
    thickness_nm: Sequence[float] | Surface
    defects: Sequence[Defect] = ()
    bend: Bend = Bend()

    def __post_init__(self) -> None:
        thickness = self.thickness_nm
        if not isinstance(thickness, Surface) and (
            not len(thickness) or max(thickness) > self.depth_angstrom / 10 + 1e-6
        ):
            raise PolmapError(
                f"The thicknesses {list(thickness)} nm must be at least one and at most the "
                f"crystal's {self.depth_angstrom / 10:.2f} nm; change them or the crystal's depth."
            )

    @property
    def depth_angstrom(self) -> float:
        """Thickness of the whole crystal."""
        return self.crystal.depth * self.crystal.cell.lengths_angstrom[2]

    def thickness_at(self, points: npt.ArrayLike, index: int = -1) -> Floats:
        """Thickness in nm at points of shape (..., 2), within 0 and the crystal's.

        Parameters
        ----------
        points : array_like
            Places.
        index : int
            Which of several thicknesses; by default the last.
        """
        shape = np.asarray(points).shape[:-1]
        if isinstance(self.thickness_nm, Surface):
            thickness = np.clip(self.thickness_nm.at(points), 0.0, self.depth_angstrom / 10)
        else:
            thickness = np.full(shape, float(self.thickness_nm[index]))
        return thickness

    def atoms(self, low: npt.ArrayLike, lengths: npt.ArrayLike) -> Atoms:
        """All atoms of a rectangle of the scene, of the crystal's whole depth.

        Parameters
        ----------
        low, lengths : array_like, shape (2,)
            Upper left corner and edges (rows, columns) in Å.

        Returns
        -------
        ase.Atoms
            Positions count from the corner; the cell is periodic, as far as the scene is.
        """
        from ase import Atoms

        corner, size = np.asarray(low, float), np.asarray(lengths, float)
        cell = self.crystal.cell
        edges = np.array(cell.lengths_angstrom[:2])
        reach = sum(defect.reach_angstrom(cell) for defect in self.defects)
        first = np.floor((corner - reach) / edges).astype(int) - 1
        last = np.ceil((corner + size + reach) / edges).astype(int) + 1
        block = self.crystal.block(int(first[0]), int(first[1]), *(int(n) for n in last - first))
        for defect in self.defects:
            block = defect.occupy(block)
        symbols, positions = block.placed()
        for defect in self.defects:
            symbols, positions = defect.place(symbols, positions, self.depth_angstrom, cell)
        positions = positions - (*corner, 0.0)
        inside = ((positions[:, :2] >= 0) & (positions[:, :2] < size)).all(axis=1)
        positions = positions[inside]
        positions[:, 2] %= self.depth_angstrom
        return Atoms(
            symbols=[str(symbol) for symbol in symbols[inside]],
            positions=positions,
            cell=(*size, self.depth_angstrom),
            pbc=True,
        )

    def truth(self, points: npt.ArrayLike, index: int = -1) -> Truth:
        """What a scan of these positions shows.

        Parameters
        ----------
        points : array_like, shape (y, x, 2)
            Probe positions.
        index : int
            Which of several thicknesses.

        Raises
        ------
        PolmapError
            If the crystal is not made of domains.
        """
        if not isinstance(self.crystal, RandomCrystal):
            raise PolmapError(
                "This crystal does not know its domains; make the scene from a RandomCrystal."
            )
        places = np.asarray(points, float)
        cell = self.crystal.cell
        direction = labels_at(self.crystal.domains, places, cell.directions)
        thickness = self.thickness_at(places, index)
        shows = np.zeros(places.shape[:-1], bool)
        for defect in self.defects:
            here = defect.marks(places, cell)
            if not defect.crystalline:
                direction[here] = NOT_COMPUTED
            if defect.empty:
                thickness = np.where(here, 0.0, thickness)
            else:
                shows |= here
        # Less than half a slice is none.
        thickness = np.where(thickness * 10 < cell.slice_angstrom / 2, 0.0, thickness)
        direction[thickness == 0] = NOT_COMPUTED
        return Truth(direction, shows, thickness, self.bend.at(places))
