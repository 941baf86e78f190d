"""Orthogonal unit cells with named sites and a displacement of the atoms for every direction.

Lengths are in Å. Vectors and positions are (row, column, beam): component 0 runs down the rows of
the displayed scan image, component 1 along its columns, component 2 with the beam. The three are
right-handed, so that the image is seen with the beam coming towards the viewer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import PolmapError

Floats = npt.NDArray[np.float64]

SLICE_ANGSTROM = 2.0
"""Slices of the multislice are about this thick."""


@dataclass(frozen=True)
class Site:
    """A place for one atom in the cell.

    Parameters
    ----------
    name : str
        Unique in its cell, such as ``B`` or ``O2``.
    sublattice : str
        What moves together under the polarization, such as ``A``, ``B`` or ``X``.
    position : tuple of float
        Shares of the cell's edges (row, column, beam).
    species : mapping of str to float
        Probability of each element there; what is missing to 1 leaves the site empty.
    """

    name: str
    sublattice: str
    position: tuple[float, float, float]
    species: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class UnitCell:
    """An orthogonal cell, the directions of its polarization, and what moves with each.

    Parameters
    ----------
    lengths_angstrom : tuple of float
        Edges (rows, columns, beam).
    sites : tuple of Site
        Atoms of the cell.
    directions : DirectionSet
        Directions that the polarization can have.
    modes : mapping of str to numpy.ndarray, shape (sites, 3)
        Displacement of every site for each direction, in Å per Å of the polarization's magnitude.
    magnitude_angstrom : float
        Magnitude of the polarization where none is given.
    slices : int
        Slices along the beam that the cell is cut into; no atom should lie where two of them meet.
    sigmas : mapping of str to float
        Root-mean-square vibration of each element along one axis, in Å.

    Raises
    ------
    PolmapError
        If an edge is not positive, there are no sites, names repeat, probabilities are no
        probabilities, or a direction has no displacement of every site.
    """

    lengths_angstrom: tuple[float, float, float]
    sites: tuple[Site, ...]
    directions: DirectionSet
    modes: Mapping[str, Floats]
    magnitude_angstrom: float = 0.0
    slices: int = 2
    sigmas: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.sites and min(self.lengths_angstrom) > 0 and self.slices >= 1):
            raise PolmapError(
                f"A unit cell needs sites, positive edges and at least one slice, but has "
                f"{len(self.sites)} sites, edges {self.lengths_angstrom} Å and {self.slices} "
                "slices; correct them."
            )
        names = [site.name for site in self.sites]
        if len(set(names)) != len(names):
            raise PolmapError(
                f"Names of sites must be unique, but are {names}; rename the repeated ones."
            )
        for site in self.sites:
            shares = list(site.species.values())
            if not shares or min(shares) < 0 or sum(shares) > 1 + 1e-6:
                raise PolmapError(
                    f"The site {site.name} has the probabilities {dict(site.species)}, but they "
                    "must be at least 0 and sum to at most 1; correct them."
                )
        for name in self.directions.names:
            mode = self.modes.get(name)
            if mode is None or mode.shape != (len(self.sites), 3):
                raise PolmapError(
                    f"The direction {name!r} needs a displacement (row, column, beam) of each of "
                    f"the {len(self.sites)} sites; give it."
                )

    def displacement(self, direction: str, magnitude_angstrom: float | None = None) -> Floats:
        """Displacements of the sites in Å, shape (sites, 3).

        Parameters
        ----------
        direction : str
            Name of the direction.
        magnitude_angstrom : float, optional
            Magnitude of the polarization; by default the cell's own.

        Raises
        ------
        DatasetError
            If there is no such direction.
        """
        magnitude = self.magnitude_angstrom if magnitude_angstrom is None else magnitude_angstrom
        return self.modes[self.directions.names[self.directions.index(direction)]] * magnitude

    def site(self, name: str) -> int:
        """Index of a site.

        Raises
        ------
        PolmapError
            If there is none of that name.
        """
        names = [site.name for site in self.sites]
        if name not in names:
            raise PolmapError(
                f"There is no site {name!r}; the sites of this cell are {', '.join(names)}."
            )
        return names.index(name)

    @property
    def elements(self) -> tuple[str, ...]:
        """All elements, in the order in which they first appear."""
        return tuple(dict.fromkeys(e for site in self.sites for e in site.species))

    @property
    def slice_angstrom(self) -> float:
        """Thickness of a slice."""
        return self.lengths_angstrom[2] / self.slices

    @property
    def density(self) -> float:
        """Atoms per Å³ on average."""
        atoms = sum(sum(site.species.values()) for site in self.sites)
        return atoms / float(np.prod(self.lengths_angstrom))

    def seam(self) -> Floats:
        """Shares (row, column) of the cell's edges where a cut passes farthest from all sites."""
        cuts = []
        for axis in (0, 1):
            places = np.unique(np.array([site.position[axis] for site in self.sites]) % 1)
            gaps = np.diff(places, append=places[0] + 1)
            widest = int(gaps.argmax())
            cuts.append((places[widest] + gaps[widest] / 2) % 1)
        return np.array(cuts)
