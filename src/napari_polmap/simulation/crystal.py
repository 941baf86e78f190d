"""Blocks of unit cells: what stands on every site, and how far each column of cells is displaced.

Lengths are in Å. Positions follow the displayed scan image: component 0 runs down its rows,
component 1 along its columns, component 2 with the beam; a polarization at angle θ
(counter-clockwise from +x, +y up) is therefore the vector (-sin θ, cos θ).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import screen_vectors
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.materials import MATERIALS
from napari_polmap.simulation.unit_cell import UnitCell

if TYPE_CHECKING:
    from ase import Atoms

Floats = npt.NDArray[np.float64]
Symbols = npt.NDArray[np.str_]

THERMAL_SIGMAS: Mapping[str, float] = MATERIALS["KNN"].sigmas
"""Root-mean-square displacement of each element of KNN along one axis, in Å."""


@dataclass(frozen=True, eq=False)
class Crystal:
    """A block of unit cells, periodic in all three directions.

    Parameters
    ----------
    cell : UnitCell
        The cell.
    species : numpy.ndarray of str, shape (rows, columns, depth, sites)
        Element on every site of every cell; empty where there is no atom.
    displacement : numpy.ndarray, shape (rows, columns, sites, 3)
        How far the sites of each column of cells are moved, in Å.
    origin : tuple of int
        Row and column of the first cell, counted in cells of the whole crystal.

    Raises
    ------
    PolmapError
        If the shapes do not fit.
    """

    cell: UnitCell
    species: Symbols
    displacement: Floats
    origin: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        shape, sites = self.species.shape, len(self.cell.sites)
        fits = len(shape) == 4 and shape[3] == sites
        if not fits or self.displacement.shape != (*shape[:2], sites, 3):
            raise PolmapError(
                f"A crystal of {sites} sites a cell needs species of shape (rows, columns, depth, "
                f"{sites}) and displacements of shape (rows, columns, {sites}, 3), but they have "
                f"{shape} and {self.displacement.shape}; give both for the same cells."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells along (rows, columns, depth)."""
        rows, columns, depth, _ = self.species.shape
        return rows, columns, depth

    @property
    def depth(self) -> int:
        """Cells along the beam."""
        return self.shape[2]

    def block(self, row: int, column: int, rows: int, columns: int) -> Crystal:
        """The cells from (row, column) of the whole crystal on; it goes on periodically."""
        chosen = np.ix_(
            (np.arange(row, row + rows) - self.origin[0]) % self.shape[0],
            (np.arange(column, column + columns) - self.origin[1]) % self.shape[1],
        )
        return replace(
            self,
            species=self.species[chosen],
            displacement=self.displacement[chosen],
            origin=(row, column),
        )

    def placed(self) -> tuple[Symbols, Floats]:
        """Elements and positions (row, column, beam) of all atoms, in the whole crystal's frame.

        Returns
        -------
        symbols : numpy.ndarray of str, shape (atoms,)
            Site by site of the cell, and for each cell by cell.
        positions : numpy.ndarray, shape (atoms, 3)
            In Å; displaced atoms may lie outside the block.
        """
        corners = np.moveaxis(np.indices(self.shape), 0, -1).astype(np.float64)
        corners += (*self.origin, 0)
        lengths = np.array(self.cell.lengths_angstrom)
        symbols, positions = [], []
        for index, site in enumerate(self.cell.sites):
            here = self.species[..., index]
            moved = (corners + site.position) * lengths + self.displacement[:, :, None, index]
            symbols.append(here[here != ""])
            positions.append(moved[here != ""])
        return np.concatenate(symbols), np.concatenate(positions)

    def atoms(self) -> Atoms:
        """The atoms, periodic in all three directions.

        Returns
        -------
        ase.Atoms
            ``positions[:, 0]`` runs down the displayed rows, ``positions[:, 1]`` along the
            columns, from the block's first cell on; the atoms' edge positions wrap around.
        """
        from ase import Atoms

        symbols, positions = replace(self, origin=(0, 0)).placed()
        size = np.array(self.shape) * self.cell.lengths_angstrom
        return Atoms(
            symbols=[str(symbol) for symbol in symbols],
            positions=positions % size,
            cell=size,
            pbc=True,
        )


def perovskite(
    a_sites: Symbols,
    displacement: Floats,
    lattice_angstrom: float = 3.96,
    share: float = 0.7,
) -> Crystal:
    """A block of cubic niobate cells, each column of cells with its own displacement.

    Parameters
    ----------
    a_sites : numpy.ndarray of str, shape (rows, columns, depth)
        Element of the A site of every cell.
    displacement : numpy.ndarray, shape (rows, columns, 2)
        Displacement of the B cation relative to the oxygen octahedron as (row, column), in Å.
    lattice_angstrom : float
        Edge of the cell.
    share : float
        Part of the displacement that is the B cation moving; the oxygen moves the rest of it the
        other way. The A sites stay.

    Raises
    ------
    PolmapError
        If the shapes do not fit, or the lattice parameter or the share is out of range.
    """
    shape = a_sites.shape
    if len(shape) != 3 or displacement.shape != (*shape[:2], 2):
        raise PolmapError(
            f"A crystal of A sites of shape {shape} needs displacements of shape (rows, "
            f"columns, 2), but they have {displacement.shape}; give one per cell column."
        )
    cell = MATERIALS["KNN"].unit_cell(lattice_angstrom, b_share=share)
    species = np.empty((*shape, len(cell.sites)), dtype="<U2")
    moved = np.zeros((*shape[:2], len(cell.sites), 3))
    for index, site in enumerate(cell.sites):
        if site.sublattice == "A":
            species[..., index] = a_sites
            continue
        species[..., index] = next(iter(site.species))
        moved[:, :, index, :2] = (share if site.sublattice == "B" else share - 1) * displacement
    return Crystal(cell, species, moved)


def polarization_vector(angle_deg: float, magnitude_angstrom: float) -> Floats:
    """Displacement of the B cation as (row, column), in Å.

    Parameters
    ----------
    angle_deg : float
        Counter-clockwise from +x (right) on the displayed image, +y up.
    magnitude_angstrom : float
        Length of the displacement.
    """
    return magnitude_angstrom * screen_vectors([angle_deg])[0]


def random_a_sites(
    shape: tuple[int, int, int],
    rng: np.random.Generator,
    elements: Mapping[str, float] | None = None,
) -> Symbols:
    """A random arrangement of elements on the A sites.

    Parameters
    ----------
    shape : tuple of int
        Cells along (rows, columns, depth).
    rng : numpy.random.Generator
        The source of the arrangement.
    elements : mapping of str to float, optional
        Probability of each element; by default K and Na equally.
    """
    elements = {"K": 0.5, "Na": 0.5} if elements is None else elements
    return rng.choice(np.array(list(elements)), size=shape, p=list(elements.values()))


def uniform_displacement(
    shape: tuple[int, int], angle_deg: float, magnitude_angstrom: float
) -> Floats:
    """The same polarization in every column of cells, shape (rows, columns, 2) in Å."""
    return np.broadcast_to(polarization_vector(angle_deg, magnitude_angstrom), (*shape, 2)).copy()


def vibrate(atoms: Atoms, sigmas: Mapping[str, float], rng: np.random.Generator) -> Atoms:
    """One frozen-phonon configuration: every atom displaced at random (Einstein model).

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal at rest; it is not changed.
    sigmas : mapping of str to float
        Root-mean-square displacement along one axis of each element, in Å.
    rng : numpy.random.Generator
        The source of the displacements.

    Returns
    -------
    ase.Atoms
        The displaced crystal.
    """
    moved = atoms.copy()
    sigma = np.array([sigmas[symbol] for symbol in atoms.get_chemical_symbols()])
    moved.positions += rng.normal(size=(len(atoms), 3)) * sigma[:, None]
    moved.wrap()
    return moved
