"""Crystals without end, whose mixed sites follow a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.crystal import Crystal, Symbols
from napari_polmap.simulation.domains import Domains
from napari_polmap.simulation.unit_cell import UnitCell


@dataclass(frozen=True, eq=False)
class RandomCrystal:
    """Cells in all directions, of which any block can be made.

    Every column of cells has a random stream of its own, which follows from the seed and the
    column's place: blocks cut anywhere agree where they overlap, and a thicker crystal begins as a
    thinner one.

    Parameters
    ----------
    cell : UnitCell
        The cell.
    domains : Domains
        Where the polarization points, in Å.
    magnitude_angstrom : float
        Magnitude of the polarization; mixed directions within walls add up.
    depth : int
        Cells along the beam.
    seed : int
        Decides what stands on mixed sites, not negative.
    ordered : bool
        Put the elements of a mixed site in turn, like on a chessboard, instead of at random.

    Raises
    ------
    PolmapError
        If there is no cell along the beam, or elements are to be in turn that are not equally
        frequent.
    """

    cell: UnitCell
    domains: Domains
    magnitude_angstrom: float
    depth: int
    seed: int = 0
    ordered: bool = False

    def __post_init__(self) -> None:
        if self.depth < 1 or self.seed < 0:
            raise PolmapError(
                f"A crystal needs at least one cell along the beam and a seed that is not "
                f"negative, but has {self.depth} and {self.seed}; correct them."
            )
        for site in self.cell.sites:
            shares = list(site.species.values())
            if self.ordered and not np.allclose(shares, 1 / len(shares)):
                raise PolmapError(
                    f"Only equally frequent elements can be in turn, but the site {site.name} has "
                    f"{dict(site.species)}; make the probabilities equal, or the order random."
                )

    def block(self, row: int, column: int, rows: int, columns: int) -> Crystal:
        """The cells from (row, column) on."""
        down, along = np.arange(row, row + rows), np.arange(column, column + columns)
        middles = np.stack(np.meshgrid(down + 0.5, along + 0.5, indexing="ij"), axis=-1)
        shares = self.domains.shares(middles * self.cell.lengths_angstrom[:2], self.cell.directions)
        moves = np.stack(
            [
                self.cell.displacement(name, self.magnitude_angstrom)
                for name in self.cell.directions.names
            ]
        )
        return Crystal(
            self.cell,
            self._species(down, along),
            np.tensordot(shares, moves, axes=1),
            (row, column),
        )

    def _species(self, rows: npt.NDArray[np.integer], columns: npt.NDArray[np.integer]) -> Symbols:
        sites = self.cell.sites
        species = np.empty((len(rows), len(columns), self.depth, len(sites)), dtype="<U2")
        mixed = [index for index, site in enumerate(sites) if not _pure(site.species)]
        for index in set(range(len(sites))) - set(mixed):
            species[..., index] = next(iter(sites[index].species))
        if self.ordered:
            turn = rows[:, None, None] + columns[:, None] + np.arange(self.depth)
            for index in mixed:
                elements = np.array(list(sites[index].species))
                species[..., index] = elements[turn % len(elements)]
        elif mixed:
            for place in np.ndindex(len(rows), len(columns)):
                key = [self.seed, natural(int(rows[place[0]])), natural(int(columns[place[1]]))]
                draws = np.random.default_rng(key).random((self.depth, len(mixed)))
                for draw, index in zip(draws.T, mixed, strict=True):
                    species[(*place, slice(None), index)] = _choose(sites[index].species, draw)
        return species


def natural(number: int) -> int:
    """One natural number for each integer, as seeds must not be negative."""
    return int(2 * number if number >= 0 else -2 * number - 1)


def _pure(species: Mapping[str, float]) -> bool:
    return len(species) == 1 and next(iter(species.values())) >= 1 - 1e-9


def _choose(species: Mapping[str, float], draws: npt.NDArray[np.float64]) -> Symbols:
    """The element of each draw from 0..1; none beyond the sum of the probabilities."""
    bounds = np.cumsum(list(species.values()))
    if bounds[-1] > 1 - 1e-9:
        bounds[-1] = np.inf
    return np.array([*species, ""])[np.searchsorted(bounds, draws, side="right")]
