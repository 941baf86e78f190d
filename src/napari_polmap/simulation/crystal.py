"""Perovskite crystals along [001] with an in-plane polarization.

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

if TYPE_CHECKING:
    from ase import Atoms

Floats = npt.NDArray[np.float64]

THERMAL_SIGMAS: Mapping[str, float] = {"K": 0.12, "Na": 0.12, "Nb": 0.08, "O": 0.10}
"""Root-mean-square displacement of each element along one axis at room temperature, in Å.

Typical of the isotropic displacement parameters B = 8π²σ² refined for (K,Na)NbO3: about 1.1 Å² (K,
Na), 0.5 Å² (Nb) and 0.8 Å² (O).
"""

# Places of the atoms in a cell as shares of its edge: the A site at the corner, the B site in the
# middle. The two layers lie in the middle of two slices of half a cell each, so that no vibration
# carries an atom into another slice.
_A_SITE = (0.0, 0.0, 0.25)
_B_SITE = (0.5, 0.5, 0.75)
_ANIONS = ((0.5, 0.5, 0.25), (0.5, 0.0, 0.75), (0.0, 0.5, 0.75))


@dataclass(frozen=True)
class Perovskite:
    """A block of cubic-based ABO3 cells, each column of cells with its own displacement.

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
    b_present : numpy.ndarray of bool, shape (rows, columns, depth), optional
        False where the B atom is missing; by default none is.
    b_element, anion : str
        Elements of the other sites.

    Raises
    ------
    PolmapError
        If the shapes do not fit, or the lattice parameter or the share is out of range.
    """

    a_sites: npt.NDArray[np.str_]
    displacement: Floats
    lattice_angstrom: float = 3.96
    share: float = 0.7
    b_present: npt.NDArray[np.bool_] | None = None
    b_element: str = "Nb"
    anion: str = "O"

    def __post_init__(self) -> None:
        shape = self.a_sites.shape
        if len(shape) != 3 or self.displacement.shape != (*shape[:2], 2):
            raise PolmapError(
                f"A crystal of A sites of shape {shape} needs displacements of shape (rows, "
                f"columns, 2), but they have {self.displacement.shape}; give one per cell column."
            )
        if self.b_present is not None and self.b_present.shape != shape:
            raise PolmapError(
                f"The B sites have shape {self.b_present.shape}, but the A sites {shape}; "
                "give both for the same cells."
            )
        if not (self.lattice_angstrom > 0 and 0 <= self.share <= 1):
            raise PolmapError(
                f"A crystal needs a positive lattice parameter and a share in 0..1, but has "
                f"{self.lattice_angstrom} Å and {self.share}; correct them."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells along (rows, columns, depth)."""
        rows, columns, depth = self.a_sites.shape
        return rows, columns, depth

    def block(self, row: int, column: int, rows: int, columns: int) -> Perovskite:
        """The cells from (row, column) on, as a crystal of its own that starts at zero.

        Raises
        ------
        PolmapError
            If the block reaches beyond the crystal.
        """
        if not (
            row >= 0
            and column >= 0
            and row + rows <= self.shape[0]
            and column + columns <= self.shape[1]
        ):
            raise PolmapError(
                f"A block of {rows} x {columns} cells from ({row}, {column}) reaches beyond the "
                f"crystal of {self.shape[0]} x {self.shape[1]} cells; choose one inside."
            )
        cut = np.s_[row : row + rows, column : column + columns]
        return replace(
            self,
            a_sites=self.a_sites[cut],
            displacement=self.displacement[cut],
            b_present=None if self.b_present is None else self.b_present[cut],
        )

    def atoms(self) -> Atoms:
        """The atoms, periodic in all three directions.

        Returns
        -------
        ase.Atoms
            ``positions[:, 0]`` runs down the displayed rows, ``positions[:, 1]`` along the
            columns; the atoms' edge positions wrap around.
        """
        from ase import Atoms

        rows, columns, depth = self.shape
        corners = np.moveaxis(np.indices(self.shape), 0, -1).astype(np.float64)
        shift = np.zeros((rows, columns, 1, 3))
        shift[..., 0, :2] = self.displacement
        a = self.lattice_angstrom

        present = np.ones(self.shape, bool) if self.b_present is None else self.b_present
        symbols = [self.a_sites.ravel()]
        positions = [((corners + _A_SITE) * a).reshape(-1, 3)]
        positions.append(((corners + _B_SITE) * a + self.share * shift)[present])
        symbols.append(np.full(len(positions[-1]), self.b_element))
        for site in _ANIONS:
            moved = (corners + site) * a - (1 - self.share) * shift
            positions.append(moved.reshape(-1, 3))
            symbols.append(np.full(len(positions[-1]), self.anion))

        cell = np.array([rows, columns, depth]) * a
        return Atoms(
            symbols=[str(symbol) for symbol in np.concatenate(symbols)],
            positions=np.concatenate(positions) % cell,
            cell=cell,
            pbc=True,
        )


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
) -> npt.NDArray[np.str_]:
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


@dataclass(frozen=True)
class Wall:
    """A straight wall between two domains.

    Parameters
    ----------
    position : tuple of float
        A point on the wall as (row, column), in cells.
    normal_deg : float
        Angle of the wall's normal, counter-clockwise from +x on the displayed image; it points
        into the second domain.
    width : float
        Width of the transition in cells: for ``tanh`` the polarization has gone 76 % of the way
        from half a width before the wall to half a width behind it, for ``linear`` all of it.
    profile : str
        ``tanh`` or ``linear``.

    Raises
    ------
    PolmapError
        If the profile is unknown or the width is not positive.
    """

    position: tuple[float, float]
    normal_deg: float
    width: float = 1.0
    profile: str = "tanh"

    def __post_init__(self) -> None:
        if self.profile not in ("tanh", "linear") or not self.width > 0:
            raise PolmapError(
                f"A wall's profile is 'tanh' or 'linear' and its width positive, but they are "
                f"{self.profile!r} and {self.width}; correct them."
            )

    def distance(self, rows: npt.ArrayLike, columns: npt.ArrayLike) -> Floats:
        """Distance in cells from the wall of points given in cells, positive behind it."""
        normal = screen_vectors([self.normal_deg])[0]
        return normal[0] * (np.asarray(rows, float) - self.position[0]) + normal[1] * (
            np.asarray(columns, float) - self.position[1]
        )

    def second_share(self, rows: npt.ArrayLike, columns: npt.ArrayLike) -> Floats:
        """Share of the second domain's polarization, 0..1, at points given in cells."""
        reduced = 2 * self.distance(rows, columns) / self.width
        if self.profile == "tanh":
            return 0.5 * (1 + np.tanh(reduced))
        return np.clip(0.5 * (1 + reduced), 0.0, 1.0)


def two_domains(
    shape: tuple[int, int],
    angles_deg: tuple[float, float],
    magnitude_angstrom: float,
    wall: Wall,
) -> Floats:
    """Displacements of two domains with a wall between them.

    Parameters
    ----------
    shape : tuple of int
        Cells along (rows, columns).
    angles_deg : tuple of float
        Polarization before and behind the wall.
    magnitude_angstrom : float
        Length of the displacement inside the domains; the two are mixed linearly in the wall.
    wall : Wall
        Where the domains meet, in cells of this block.

    Returns
    -------
    numpy.ndarray
        Shape (rows, columns, 2), in Å.
    """
    rows, columns = np.indices(shape) + 0.5
    second = wall.second_share(rows, columns)[..., None]
    first_vector, second_vector = (polarization_vector(a, magnitude_angstrom) for a in angles_deg)
    return (1 - second) * first_vector + second * second_vector


def defect_column(
    shape: tuple[int, int, int],
    column: tuple[int, int],
    missing_share: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.bool_]:
    """B sites with one column of atoms partly missing.

    Parameters
    ----------
    shape : tuple of int
        Cells along (rows, columns, depth).
    column : tuple of int
        Cell (row, column) of the defect.
    missing_share : float
        Probability that an atom of the column is missing.
    rng : numpy.random.Generator
        Decides which atoms are missing.

    Returns
    -------
    numpy.ndarray of bool
        True where the B atom is present.
    """
    present = np.ones(shape, bool)
    present[column] = rng.random(shape[2]) >= missing_share
    return present


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
