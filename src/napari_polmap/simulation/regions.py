"""Regions without a crystal: what is amorphous, and vacuum. Places are (row, column) in Å."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import screen_vectors
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.crystal import Symbols
from napari_polmap.simulation.defects import Bools, Defect, Floats, close_to
from napari_polmap.simulation.unit_cell import UnitCell


@dataclass(frozen=True)
class AmorphousPatch(Defect):
    """A cylinder along the beam of as many atoms as the crystal's, at random.

    Parameters
    ----------
    center : tuple of float
        Middle, (row, column) in Å.
    radius_angstrom : float
        Radius.
    seed : int
        Decides where the atoms are, not negative.
    closest_angstrom : float
        No two of them are closer than this; up to 1.8 Å in a perovskite.

    Raises
    ------
    PolmapError
        If the radius is not positive.
    """

    center: tuple[float, float]
    radius_angstrom: float
    seed: int = 0
    closest_angstrom: float = 1.6

    def __post_init__(self) -> None:
        if not self.radius_angstrom > 0:
            raise PolmapError(
                f"An amorphous patch needs a positive radius, not {self.radius_angstrom} Å."
            )

    @property
    def crystalline(self) -> bool:
        """Nothing has a direction there."""
        return False

    def place(
        self, symbols: Symbols, positions: Floats, depth_angstrom: float, cell: UnitCell
    ) -> tuple[Symbols, Floats]:
        """The crystal around the patch, and the whole patch."""
        outside = ~self.marks(positions[:, :2], cell)
        elements, places = self._fill(depth_angstrom, cell)
        return (
            np.concatenate([symbols[outside], elements]),
            np.concatenate([positions[outside], places]),
        )

    def marks(self, points: npt.ArrayLike, cell: UnitCell) -> Bools:  # noqa: ARG002
        """Within the patch."""
        distance = np.linalg.norm(np.asarray(points, float) - self.center, axis=-1)
        return distance <= self.radius_angstrom

    def _fill(self, depth: float, cell: UnitCell) -> tuple[Symbols, Floats]:
        """Atoms added one after the other wherever there is room."""
        rng = np.random.default_rng([self.seed, 1])
        # Half the closest distance stays free towards the crystal around.
        radius = max(self.radius_angstrom - self.closest_angstrom / 2, 0.0)
        wanted = round(cell.density * np.pi * radius**2 * depth)
        places = np.empty((0, 3))
        for _ in range(200):
            tries = rng.random((max(wanted - len(places), 1) * 2, 3)) * (
                2 * radius,
                2 * radius,
                depth,
            )
            tries[:, :2] -= radius
            tries = tries[np.hypot(tries[:, 0], tries[:, 1]) <= radius]
            tries = tries[~close_to(tries, places, self.closest_angstrom)]
            places = np.concatenate([places, tries[_first_apart(tries, self.closest_angstrom)]])
            if len(places) >= wanted:
                break
        else:
            raise PolmapError(
                f"An amorphous patch as dense as the crystal has no room for atoms "
                f"{self.closest_angstrom} Å apart; make the distance smaller."
            )
        places = places[:wanted]
        places[:, :2] += self.center
        weights: dict[str, float] = {}
        for site in cell.sites:
            for element, share in site.species.items():
                weights[element] = weights.get(element, 0.0) + share
        shares = np.array(list(weights.values()))
        return rng.choice(np.array(list(weights)), wanted, p=shares / shares.sum()), places


@dataclass(frozen=True)
class Vacuum(Defect):
    """No atoms: behind a plane along the beam, or within a hole.

    Parameters
    ----------
    position : tuple of float
        A point on the plane, or the hole's middle, (row, column) in Å.
    normal_deg : float, optional
        Angle of the plane's normal, counter-clockwise from +x; it points into the vacuum.
    radius_angstrom : float, optional
        Radius of the hole.

    Raises
    ------
    PolmapError
        If not one of the two is given.
    """

    position: tuple[float, float]
    normal_deg: float | None = None
    radius_angstrom: float | None = None

    def __post_init__(self) -> None:
        if (self.normal_deg is None) == (self.radius_angstrom is None):
            raise PolmapError(
                "Vacuum is either behind a plane or within a hole; give the plane's normal or the "
                "hole's radius."
            )

    @property
    def crystalline(self) -> bool:
        """Nothing has a direction there."""
        return False

    @property
    def empty(self) -> bool:
        """There is nothing."""
        return True

    def place(
        self,
        symbols: Symbols,
        positions: Floats,
        depth_angstrom: float,  # noqa: ARG002
        cell: UnitCell,
    ) -> tuple[Symbols, Floats]:
        """The atoms outside the vacuum."""
        kept = ~self.marks(positions[:, :2], cell)
        return symbols[kept], positions[kept]

    def marks(self, points: npt.ArrayLike, cell: UnitCell) -> Bools:  # noqa: ARG002
        """Within the vacuum."""
        offset = np.asarray(points, float) - self.position
        if self.radius_angstrom is not None:
            return np.linalg.norm(offset, axis=-1) <= self.radius_angstrom
        assert self.normal_deg is not None
        return offset @ screen_vectors([self.normal_deg])[0] > 0


def _first_apart(points: Floats, distance: float) -> Bools:
    """Points that are not close to an earlier one."""
    from scipy.spatial import cKDTree

    kept = np.ones(len(points), bool)
    if len(points):
        pairs = cKDTree(points).query_pairs(distance, output_type="ndarray")
        kept[pairs.max(axis=1)] = False
    return kept
