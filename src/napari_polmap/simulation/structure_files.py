"""Unit cells from CIF, POSCAR, extended XYZ and whatever else ASE reads, along a zone axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import PolmapError, reason
from napari_polmap.simulation.unit_cell import SLICE_ANGSTROM, Site, UnitCell

if TYPE_CHECKING:
    from ase import Atoms

Floats = npt.NDArray[np.float64]
Zone = tuple[int, int, int]

MAX_EDGE_ANGSTROM = 20.0
"""Longest edge across the beam that a cell may need to become orthogonal."""
MAX_STRAIN = 0.01
"""Largest departure of two edges from a right angle, as a cosine, that is strained away."""

# Multiples of the cell's edges that are tried for the edges across the beam.
_REACH = 6


@dataclass(frozen=True, eq=False)
class Orientation:
    """How a crystal's cell lies in the image.

    Parameters
    ----------
    vectors : numpy.ndarray of int, shape (3, 3)
        Edges (rows, columns, beam) of the orthogonal cell, as multiples of the crystal's edges.
    axes : numpy.ndarray, shape (3, 3)
        Unit vectors of these edges in the frame of the file.
    lengths : tuple of float
        Lengths of these edges in Å.
    strain : float
        Largest departure of two of the edges from a right angle, as a cosine, that is left out.
    """

    vectors: npt.NDArray[np.int64]
    axes: Floats
    lengths: tuple[float, float, float]
    strain: float


def orient(
    cell: npt.ArrayLike,
    zone_axis: Zone,
    horizontal: Zone | None = None,
    max_edge_angstrom: float = MAX_EDGE_ANGSTROM,
    max_strain: float = MAX_STRAIN,
) -> Orientation:
    """The smallest orthogonal cell with a zone axis along the beam.

    abTEM's ``orthogonalize_cell`` strains what does not fit without saying so and leaves open which
    of the crystal's axes come to lie along rows and columns; here both are known.

    Parameters
    ----------
    cell : array_like, shape (3, 3)
        Edges of the crystal's cell, one a row, in Å.
    zone_axis : tuple of int
        Direction [uvw] that the beam runs along.
    horizontal : tuple of int, optional
        Direction [uvw] along +x, to the right of the displayed image; by default the edge of the
        found cell that is closest to the first edge of the crystal's.
    max_edge_angstrom, max_strain : float
        Limits of what is found.

    Raises
    ------
    PolmapError
        If there is no such cell within the limits.
    """
    edges = np.asarray(cell, dtype=float)
    beam = np.array(zone_axis, dtype=int)
    if not beam.any():
        raise PolmapError("A zone axis [0 0 0] is no direction; give the direction of the beam.")
    beam //= np.gcd.reduce(beam)
    along = beam @ edges
    multiples = np.arange(-_REACH, _REACH + 1)
    found = np.stack(np.meshgrid(multiples, multiples, multiples, indexing="ij"), -1).reshape(-1, 3)
    vectors = found @ edges
    lengths = np.linalg.norm(vectors, axis=1)
    fits = (lengths > 0) & (lengths <= max_edge_angstrom)
    found, vectors, lengths = found[fits], vectors[fits], lengths[fits]
    across = np.abs(vectors @ along) <= max_strain * lengths * np.linalg.norm(along)
    found, vectors, lengths = found[across], vectors[across], lengths[across]
    units = vectors / lengths[:, None]
    cosines = np.abs(units @ units.T)
    area = np.where(cosines <= max_strain, np.outer(lengths, lengths), np.inf)
    if horizontal is not None:
        wanted = np.asarray(horizontal) @ edges
        aligned = units @ wanted >= (1 - max_strain**2) * np.linalg.norm(wanted)
        area[:, ~aligned] = np.inf
    # Rows x columns point along the beam: both are chosen at once, right-handed.
    handed = np.cross(units[:, None], units[None]) @ along
    area[handed <= 0] = np.inf
    if not np.isfinite(area).any():
        to_the_right = "" if horizontal is None else f" and {list(horizontal)} to the right"
        raise PolmapError(
            f"With the zone axis {list(zone_axis)}{to_the_right} this structure has no orthogonal "
            f"cell with edges up to {max_edge_angstrom:g} Å and angles within {max_strain:g} of a "
            "right one; choose another zone axis, or give an orthogonal cell."
        )
    smallest = area <= area.min() * (1 + 1e-6)
    closeness = units @ edges / np.linalg.norm(edges, axis=1)
    rows, columns = np.nonzero(smallest)
    best = max(zip(rows, columns, strict=True), key=lambda p: tuple(closeness[p[1]].round(6)))
    chosen = np.stack([found[best[0]], found[best[1]], beam])
    axes = np.stack([units[best[0]], units[best[1]], along / np.linalg.norm(along)])
    off = np.abs(axes @ axes.T - np.eye(3)).max()
    return Orientation(
        vectors=chosen,
        axes=axes,
        lengths=(
            float(lengths[best[0]]),
            float(lengths[best[1]]),
            float(np.linalg.norm(along)),
        ),
        strain=float(off),
    )


def unit_cell_from_file(
    path: str | Path,
    directions: DirectionSet,
    displacements: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    zone_axis: Zone = (0, 0, 1),
    horizontal: Zone | None = None,
    frame: str = "image",
    sublattices: Mapping[str, Sequence[int]] | None = None,
    magnitude_angstrom: float | None = None,
    sigmas: Mapping[str, float] | None = None,
    max_edge_angstrom: float = MAX_EDGE_ANGSTROM,
    max_strain: float = MAX_STRAIN,
) -> UnitCell:
    """A cell from one structure without polarization, and what moves with each direction.

    Parameters
    ----------
    path : str or Path
        The file; partial occupancies of a CIF become the probabilities of the elements.
    directions : DirectionSet
        The directions.
    displacements : mapping of str to mapping of str to sequence of float
        For each direction the displacement (three numbers, in Å) of each sublattice that moves.
    zone_axis, horizontal, max_edge_angstrom, max_strain : optional
        As for `orient`.
    frame : str
        What the three numbers count: ``image`` (row, column, beam), or ``crystal`` (along the
        edges a, b, c of the file's cell).
    sublattices : mapping of str to sequence of int, optional
        Atoms of each sublattice by their index in the file, from 0; by default every element is
        one, named by its symbol.
    magnitude_angstrom : float, optional
        Magnitude of the polarization that these displacements belong to; by default the largest
        displacement of two sublattices against each other. Others scale them.
    sigmas : mapping of str to float, optional
        Root-mean-square vibration of each element along one axis, in Å.

    Raises
    ------
    PolmapError
        If the file cannot be read, no orthogonal cell is found, or a displacement is missing or
        names what is not there.
    """
    atoms = _read(Path(path))
    orientation = orient(atoms.cell.array, zone_axis, horizontal, max_edge_angstrom, max_strain)
    names = _sublattices(atoms, sublattices)
    frames = {
        "image": np.eye(3),
        "crystal": (atoms.cell.array / atoms.cell.lengths()[:, None]) @ orientation.axes.T,
    }
    if frame not in frames:
        raise PolmapError(f"Displacements are in the frame 'image' or 'crystal', not {frame!r}.")
    moves: dict[str, dict[str, Floats]] = {}
    for direction in directions.names:
        if direction not in displacements:
            raise PolmapError(
                f"There is no displacement for the direction {direction!r}; give one for each of "
                f"{', '.join(directions.names)}."
            )
        moves[direction] = {}
        for sublattice, vector in displacements[direction].items():
            if sublattice not in names or len(vector) != 3:
                raise PolmapError(
                    f"The displacement {list(vector)} of {sublattice!r} for {direction!r} must be "
                    f"three numbers for one of {', '.join(dict.fromkeys(names))}; correct it."
                )
            moves[direction][sublattice] = np.asarray(vector, float) @ frames[frame]
    origin, places = _cut(atoms, orientation)
    still = np.zeros(3)
    vectors = {
        direction: np.array([moves[direction].get(names[index], still) for index in origin])
        for direction in directions.names
    }
    return _unit_cell(
        atoms, orientation, names, (origin, places), directions, vectors, magnitude_angstrom, sigmas
    )


def unit_cell_from_files(
    paths: Mapping[str, str | Path],
    directions: DirectionSet,
    *,
    zone_axis: Zone = (0, 0, 1),
    horizontal: Zone | None = None,
    magnitude_angstrom: float | None = None,
    sigmas: Mapping[str, float] | None = None,
    max_edge_angstrom: float = MAX_EDGE_ANGSTROM,
    max_strain: float = MAX_STRAIN,
) -> UnitCell:
    """A cell from one structure file for each direction, with the same atoms in the same order.

    The sites are the mean over the files, what each file departs from it the displacement.

    Parameters
    ----------
    paths : mapping of str to str or Path
        File of each direction.
    directions, zone_axis, horizontal, magnitude_angstrom, sigmas, max_edge_angstrom, max_strain
        As for `unit_cell_from_file`.

    Raises
    ------
    PolmapError
        If a file cannot be read, a direction has none, or the files' cells or elements differ.
    """
    missing = [name for name in directions.names if name not in paths]
    if missing:
        raise PolmapError(
            f"There is no structure file for {', '.join(missing)}; give one for each direction."
        )
    structures = {name: _read(Path(paths[name])) for name in directions.names}
    atoms = next(iter(structures.values())).copy()
    offsets = {}
    for name, other in structures.items():
        same = other.get_chemical_symbols() == atoms.get_chemical_symbols()
        if not same or not np.allclose(other.cell.array, atoms.cell.array, atol=1e-3):
            raise PolmapError(
                f"The structure {Path(paths[name]).name} has another cell or other atoms than "
                f"{Path(paths[directions.names[0]]).name}; give files of the same cell with the "
                "atoms in the same order."
            )
        offset = other.get_scaled_positions() - atoms.get_scaled_positions()
        offsets[name] = (offset - np.round(offset)) @ atoms.cell.array
    mean = np.mean(list(offsets.values()), axis=0)
    atoms.positions += mean
    orientation = orient(atoms.cell.array, zone_axis, horizontal, max_edge_angstrom, max_strain)
    origin, places = _cut(atoms, orientation)
    vectors = {
        name: ((offset - mean) @ orientation.axes.T)[origin] for name, offset in offsets.items()
    }
    names = _sublattices(atoms, None)
    return _unit_cell(
        atoms, orientation, names, (origin, places), directions, vectors, magnitude_angstrom, sigmas
    )


def _read(path: Path) -> Atoms:
    try:
        from ase.io import read
    except ImportError as error:
        raise PolmapError(
            'Structure files need ASE, which is not installed; run pip install "napari-polmap'
            '[simulate]".'
        ) from error
    try:
        atoms: Any = read(path)
        periodic = atoms.cell.rank == 3 and len(atoms) > 0
    # ASE's many readers raise whatever they like.
    except Exception as error:
        raise PolmapError(
            f"{path.name} cannot be read as a structure ({reason(error)}); give a CIF, POSCAR or "
            "extended XYZ file."
        ) from error
    if not periodic:
        raise PolmapError(
            f"{path.name} has no cell of three edges with atoms in it; give a periodic structure."
        )
    return atoms


def _sublattices(atoms: Atoms, sublattices: Mapping[str, Sequence[int]] | None) -> list[str]:
    """The sublattice of every atom: as given, its element where nothing is."""
    names = list(atoms.get_chemical_symbols())
    for name, indices in (sublattices or {}).items():
        for index in indices:
            if not 0 <= index < len(names):
                raise PolmapError(
                    f"The sublattice {name!r} names atom {index}, but the file has atoms 0 to "
                    f"{len(names) - 1}; correct it."
                )
            names[index] = name
    return names


def _cut(atoms: Atoms, orientation: Orientation) -> tuple[npt.NDArray[np.int64], Floats]:
    """Atoms of the orthogonal cell: index in the file, and place as shares of its edges."""
    from ase.build import make_supercell

    marked = atoms.copy()
    marked.set_array("origin", np.arange(len(atoms)))
    large = make_supercell(marked, orientation.vectors)
    return large.get_array("origin"), large.get_scaled_positions() % 1


def _unit_cell(
    atoms: Atoms,
    orientation: Orientation,
    names: Sequence[str],
    cut: tuple[npt.NDArray[np.int64], Floats],
    directions: DirectionSet,
    vectors: Mapping[str, Floats],
    magnitude_angstrom: float | None,
    sigmas: Mapping[str, float] | None,
) -> UnitCell:
    origin, places = cut
    slices = max(1, round(orientation.lengths[2] / SLICE_ANGSTROM))
    places[:, 2] = (places[:, 2] - _clear_depth(places[:, 2], slices)) % 1
    numbers: dict[str, int] = {}
    sites = []
    for index, place in zip(origin, places, strict=True):
        symbol = atoms[int(index)].symbol
        numbers[symbol] = numbers.get(symbol, 0) + 1
        species = _species(atoms, int(index))
        row, column, depth = (float(share) for share in place)
        sites.append(
            Site(f"{symbol}{numbers[symbol]}", names[int(index)], (row, column, depth), species)
        )
    largest = max(
        float(np.linalg.norm(moved[:, None] - moved[None], axis=-1).max())
        for moved in vectors.values()
    )
    magnitude = largest if magnitude_angstrom is None else magnitude_angstrom
    if magnitude < 0 or (magnitude == 0 and largest > 0):
        raise PolmapError(
            f"The magnitude that displacements belong to must be positive, but is {magnitude} Å; "
            "correct it."
        )
    return UnitCell(
        lengths_angstrom=orientation.lengths,
        sites=tuple(sites),
        directions=directions,
        modes={name: moved / (magnitude or 1.0) for name, moved in vectors.items()},
        magnitude_angstrom=magnitude,
        slices=slices,
        sigmas=dict(sigmas or {}),
    )


def _clear_depth(depths: Floats, slices: int) -> float:
    """Depth, as a share of the cell, farthest from all atoms of any of its equal slices."""
    places = np.unique(np.round((depths * slices) % 1, 9))
    gaps = np.diff(places, append=places[0] + 1)
    widest = int(gaps.argmax())
    return float((places[widest] + gaps[widest] / 2) / slices)


def _species(atoms: Atoms, index: int) -> dict[str, float]:
    """Probabilities of the elements of an atom's site, from a CIF's occupancies where given."""
    occupancies: Any = atoms.info.get("occupancy")
    if occupancies and "spacegroup_kinds" in atoms.arrays:
        kind = str(atoms.arrays["spacegroup_kinds"][index])
        return {str(symbol): float(share) for symbol, share in occupancies[kind].items()}
    return {atoms[index].symbol: 1.0}
