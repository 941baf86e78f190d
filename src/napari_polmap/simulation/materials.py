"""Perovskites ABO3 along [001]: lattice, displacements and vibrations, with their sources.

The polarization is the displacement of the B cation relative to the oxygen octahedron, which moves
as a whole (shifts of its oxygen atoms that a refinement tells apart are averaged). A material
says what part of it each sublattice moves: the B cations their share, the oxygen that share less 1,
the A cations a share of their own; a shift common to all three is nothing that can be seen and is
chosen such that the A cations or the oxygen stay. Cells are pseudo-cubic: the spontaneous strain
(1 % in BaTiO3, 6 % in PbTiO3) is left out, so that domains of all directions fit together.

Of the numbers, all of BiFeO3 were compared with the paper's own CIF, and the lattice parameter of
SrTiO3 with a later study by γ-ray diffraction (3.9053 Å at 293 K, IUCr paper sh5025). The phases of
Na0.5K0.5NbO3 were compared with the paper's abstract. The others are what is commonly quoted from
the papers named, whose tables could not be consulted: the coordinates of BaTiO3, PbTiO3 and KNbO3,
and the B factors of SrTiO3. Lattice parameter, magnitude and shares of KNN are chosen within what
its phases and end members show; no paper states them so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.unit_cell import SLICE_ANGSTROM, Site, UnitCell

OUT_OF_PLANE = "OUT"
"""Name of the direction along the beam, which has no angle."""

# Places of the atoms in a cell as shares of its edge: the A site at the corner, the B site in the
# middle. The two layers lie in the middle of two slices of half a cell each, so that no vibration
# carries an atom into another slice.
_A_SITE = (0.0, 0.0, 0.25)
_B_SITE = (0.5, 0.5, 0.75)
_ANIONS = ((0.5, 0.5, 0.25), (0.5, 0.0, 0.75), (0.0, 0.5, 0.75))

_EIGHT = DirectionSet.default().names
_AXES = ("RM", "MU", "LM", "MD")
_DIAGONALS = ("RU", "LU", "LD", "RD")


@dataclass(frozen=True)
class Material:
    """A perovskite with a polarization.

    Parameters
    ----------
    name, formula : str
        Short name, and what is simulated.
    lattice_angstrom : float
        Edge of the pseudo-cubic cell.
    lattice_range : tuple of float
        Edges that training spans.
    a_site, b_site : mapping of str to float
        Probability of each element.
    magnitude_angstrom : float
        Displacement of the B cation relative to the oxygen octahedron; 0 for a non-polar material.
    magnitude_range : tuple of float
        Magnitudes that training spans.
    a_share, b_share : float
        Displacement of the A and B cations per Å of the magnitude; the anions move
        ``b_share - 1``.
    sigmas : mapping of str to float
        Root-mean-square vibration of each element along one axis at room temperature, in Å; where
        no source names them, such as refinements typically find.
    sources : tuple of str
        Where the values are from.
    in_plane : tuple of str
        Names of the directions with an angle.
    elevation_deg : float
        Angle between the polarization and the plane of the image.
    anion : str
        Element of the anions.
    """

    name: str
    formula: str
    lattice_angstrom: float
    lattice_range: tuple[float, float]
    a_site: Mapping[str, float]
    b_site: Mapping[str, float]
    magnitude_angstrom: float
    magnitude_range: tuple[float, float]
    a_share: float
    b_share: float
    sigmas: Mapping[str, float]
    sources: tuple[str, ...]
    in_plane: tuple[str, ...] = _EIGHT
    elevation_deg: float = 0.0
    anion: str = "O"

    def directions(self, out_of_plane: bool = False) -> DirectionSet:
        """Directions of the polarization seen along [001].

        Parameters
        ----------
        out_of_plane : bool
            With a direction along the beam, which has no angle, as the last one.
        """
        chosen = DirectionSet.from_names(self.in_plane)
        if not out_of_plane:
            return chosen
        return DirectionSet((*chosen.names, OUT_OF_PLANE), (*chosen.angles_deg, None))

    def axis(self, direction: str, beam_sign: int = 1) -> npt.NDArray[np.float64]:
        """Unit vector (row, column, beam) of a direction.

        Parameters
        ----------
        direction : str
            A name of ``directions(out_of_plane=True)``.
        beam_sign : int
            1 where the component along the beam points with it, -1 where against it.
        """
        directions = self.directions(out_of_plane=True)
        index = directions.index(direction)
        if directions.angles_deg[index] is None:
            return np.array([0.0, 0.0, float(beam_sign)])
        elevation = np.deg2rad(self.elevation_deg)
        in_plane = np.cos(elevation) * directions.vectors[index]
        return np.array([*in_plane, beam_sign * np.sin(elevation)])

    def unit_cell(
        self,
        lattice_angstrom: float | None = None,
        *,
        b_share: float | None = None,
        beam_sign: int = 1,
        out_of_plane: bool = False,
    ) -> UnitCell:
        """The cell, with sites ``A``, ``B``, ``X1`` (above the B site), ``X2``, ``X3``.

        Parameters
        ----------
        lattice_angstrom, b_share : float, optional
            Other values than the material's.
        beam_sign : int
            Sense of the polarization's component along the beam, 1 or -1. Both look the same in
            the image's plane.
        out_of_plane : bool
            With the direction along the beam.

        Raises
        ------
        PolmapError
            If the lattice parameter is not positive or the share is outside 0..1.
        """
        edge = self.lattice_angstrom if lattice_angstrom is None else lattice_angstrom
        share = self.b_share if b_share is None else b_share
        if not (edge > 0 and 0 <= share <= 1):
            raise PolmapError(
                f"A crystal needs a positive lattice parameter and a share in 0..1, but has "
                f"{edge} Å and {share}; correct them."
            )
        sites = (
            Site("A", "A", _A_SITE, self.a_site),
            Site("B", "B", _B_SITE, self.b_site),
            *(
                Site(f"X{number}", "X", place, {self.anion: 1.0})
                for number, place in enumerate(_ANIONS, start=1)
            ),
        )
        shares = {"A": self.a_share, "B": share, "X": share - 1}
        moves = np.array([shares[site.sublattice] for site in sites])[:, None]
        directions = self.directions(out_of_plane)
        return UnitCell(
            lengths_angstrom=(edge, edge, edge),
            sites=sites,
            directions=directions,
            modes={name: moves * self.axis(name, beam_sign) for name in directions.names},
            magnitude_angstrom=self.magnitude_angstrom,
            slices=max(1, round(edge / SLICE_ANGSTROM)),
            sigmas=self.sigmas,
        )


def get_material(name: str) -> Material:
    """A built-in material by its name.

    Raises
    ------
    PolmapError
        If there is none of that name.
    """
    if name not in MATERIALS:
        raise PolmapError(
            f"There is no material {name!r}; the built-in ones are {', '.join(MATERIALS)}, any "
            "other comes from a structure file."
        )
    return MATERIALS[name]


# B = 8π²σ² of about 1.1 Å² (K, Na), 0.5 Å² (Nb) and 0.8 Å² (O), typical of refined niobates.
_NIOBATE = {"K": 0.12, "Na": 0.12, "Nb": 0.08, "O": 0.10}
_HEWAT = (
    "A. W. Hewat, J. Phys. C 6 (1973) 2559: KNbO3, Amm2, a = 3.973, b = 5.695, c = 5.721 Å, Nb "
    "about 0.20 Å off the middle of its octahedron along [110], 0.08 Å of it against K"
)
_ORAYECH = (
    "B. Orayech et al., J. Appl. Cryst. 48 (2015) 318: Na0.5K0.5NbO3, Amm2 at room temperature, "
    "P4mm above 465 K, which together give the eight directions"
)
_KWEI = (
    "G. H. Kwei, A. C. Lawson, S. J. L. Billinge, S.-W. Cheong, J. Phys. Chem. 97 (1993) 2368: "
    "P4mm, against Ba the Ti moves about 0.09 Å along c and the oxygen, on average, 0.06 Å back"
)
_NELMES = (
    "R. J. Nelmes, W. F. Kuhs, Solid State Commun. 54 (1985) 721: P4mm, a = 3.902, c = 4.156 Å, "
    "against the oxygen, on average, Ti moves about 0.32 Å and Pb 0.48 Å along c"
)
_PALEWICZ = (
    "A. Palewicz, R. Przeniosło, I. Sosnowska, A. W. Hewat, Acta Cryst. B63 (2007) 537: R3c at "
    "298 K, a = 5.5788, c = 13.8693 Å, z(Fe) = 0.2202, z(O) = 0.9518 with Bi at 0; "
    "U = 0.0054 (Bi), 0.0047 (Fe), 0.0081 Å² (O)"
)
_ABRAMOV = (
    "Yu. A. Abramov, V. G. Tsirelson, V. E. Zavodnik, S. A. Ivanov, I. D. Brown, Acta Cryst. "
    "B51 (1995) 942: Pm-3m, B about 0.62 (Sr), 0.44 (Ti), 0.73 Å² (O)"
)

_LIST = (
    Material(
        name="KNN",
        formula="(K,Na)NbO3",
        lattice_angstrom=3.96,
        lattice_range=(3.93, 4.01),
        a_site={"K": 0.5, "Na": 0.5},
        b_site={"Nb": 1.0},
        magnitude_angstrom=0.16,
        magnitude_range=(0.08, 0.25),
        a_share=0.0,
        b_share=0.7,
        sigmas=_NIOBATE,
        sources=(_ORAYECH, _HEWAT),
    ),
    Material(
        name="BaTiO3",
        formula="BaTiO3",
        # Cube root of the cell's volume: a = 3.99 Å, c = 4.035 Å.
        lattice_angstrom=4.006,
        lattice_range=(3.98, 4.04),
        a_site={"Ba": 1.0},
        b_site={"Ti": 1.0},
        magnitude_angstrom=0.15,
        magnitude_range=(0.08, 0.22),
        a_share=0.0,
        b_share=0.6,
        sigmas={"Ba": 0.065, "Ti": 0.08, "O": 0.085},
        sources=(_KWEI,),
        in_plane=_AXES,
    ),
    Material(
        name="PbTiO3",
        formula="PbTiO3",
        # Cube root of the cell's volume: a = 3.902 Å, c = 4.156 Å.
        lattice_angstrom=3.985,
        lattice_range=(3.95, 4.02),
        a_site={"Pb": 1.0},
        b_site={"Ti": 1.0},
        magnitude_angstrom=0.32,
        magnitude_range=(0.20, 0.40),
        # The oxygen stays: Ti 0.32 Å, Pb 0.48 Å.
        a_share=1.5,
        b_share=1.0,
        sigmas={"Pb": 0.11, "Ti": 0.065, "O": 0.085},
        sources=(_NELMES,),
        in_plane=_AXES,
    ),
    Material(
        name="KNbO3",
        formula="KNbO3",
        # Cube root of half the orthorhombic cell's volume.
        lattice_angstrom=4.015,
        lattice_range=(3.98, 4.05),
        a_site={"K": 1.0},
        b_site={"Nb": 1.0},
        magnitude_angstrom=0.20,
        magnitude_range=(0.10, 0.28),
        a_share=0.0,
        b_share=0.4,
        sigmas=_NIOBATE,
        sources=(_HEWAT,),
    ),
    Material(
        name="BiFeO3",
        formula="BiFeO3 (pseudo-cubic)",
        # Cube root of a sixth of the hexagonal cell's volume, 373.83 Å³.
        lattice_angstrom=3.965,
        lattice_range=(3.93, 4.00),
        a_site={"Bi": 1.0},
        b_site={"Fe": 1.0},
        magnitude_angstrom=0.25,
        magnitude_range=(0.15, 0.35),
        # The oxygen stays: Fe 0.25 Å, Bi 0.67 Å. The octahedra's rotation is left out.
        a_share=2.6,
        b_share=1.0,
        sigmas={"Bi": 0.073, "Fe": 0.069, "O": 0.090},
        sources=(_PALEWICZ, "F. Kubel, H. Schmid, Acta Cryst. B46 (1990) 698"),
        in_plane=_DIAGONALS,
        elevation_deg=float(np.rad2deg(np.arctan(1 / np.sqrt(2)))),
    ),
    Material(
        name="SrTiO3",
        formula="SrTiO3",
        lattice_angstrom=3.905,
        lattice_range=(3.88, 3.93),
        a_site={"Sr": 1.0},
        b_site={"Ti": 1.0},
        magnitude_angstrom=0.0,
        magnitude_range=(0.0, 0.0),
        a_share=0.0,
        b_share=0.7,
        sigmas={"Sr": 0.089, "Ti": 0.075, "O": 0.096},
        sources=(_ABRAMOV,),
    ),
)

MATERIALS: Mapping[str, Material] = {material.name: material for material in _LIST}
"""Built-in materials by name."""
