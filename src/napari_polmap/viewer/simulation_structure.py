"""What a simulation's crystal looks like along the beam: atoms, cells, polarization; no Qt.

Places are (row, column) in Å; those of a scene count from its scan's first position, in the frame
of the scan's image.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import DirectionSet
from napari_polmap.simulation.cells import directions_of, make_cell
from napari_polmap.simulation.domains import INSIDE
from napari_polmap.simulation.installed import need_abtem
from napari_polmap.simulation.ranges import Choice, Disk, Range
from napari_polmap.simulation.scanning import ScanGrid
from napari_polmap.simulation.spec import Spec
from napari_polmap.simulation.stage import make_stage

Floats = npt.NDArray[np.float64]

ENLARGED = 3.0
"""Displacements are drawn so many times as large."""
_SHOWN_CELLS = 2
_MOST_CELLS = 12
_MOST_ARROWS = 40
_GREY = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Atoms:
    """Columns of atoms of the same kind.

    Parameters
    ----------
    species : mapping of str to float
        Share of each element.
    places : numpy.ndarray, shape (n, 2)
        In Å.
    radius : float
        In Å.
    """

    species: Mapping[str, float]
    places: Floats
    radius: float


@dataclass(frozen=True, eq=False)
class Structure:
    """What is drawn.

    Parameters
    ----------
    low, high : numpy.ndarray, shape (2,)
        Corners of what is shown.
    atoms : list of Atoms
        Bottom to top; none where there are too many to be seen.
    cells : numpy.ndarray, shape (n, 4, 2)
        Outlines of cells.
    arrows : numpy.ndarray, shape (n, 2, 2)
        Middle and vector; all of the same length inside of domains.
    colors : numpy.ndarray, shape (n, 3)
        Of the arrows; grey in walls.
    along_beam : numpy.ndarray of bool, shape (n,)
        Where the polarization points along the beam, so that there is no arrow.
    labels : numpy.ndarray of uint8, shape (rows, columns), or None
        A scene's true directions at the positions of the scan, 255 where there is none.
    defects, vacuum : numpy.ndarray of bool, shape (rows, columns), or None
        Where a defect shows, and where there is nothing.
    step_angstrom : float
        Of the scan.
    directions : DirectionSet
        With the angles on the image.
    text : str
        What is seen.
    elements : tuple of str
        Of the crystal.
    """

    low: Floats
    high: Floats
    atoms: list[Atoms]
    cells: Floats
    arrows: Floats
    colors: Floats
    along_beam: npt.NDArray[np.bool_]
    directions: DirectionSet
    text: str
    labels: npt.NDArray[np.uint8] | None = None
    defects: npt.NDArray[np.bool_] | None = None
    vacuum: npt.NDArray[np.bool_] | None = None
    step_angstrom: float = 1.0
    elements: tuple[str, ...] = field(default=())


def typical(parameter: Any) -> Any:
    """A value in the middle of what a parameter is drawn from."""
    if isinstance(parameter, Range):
        if parameter.distribution == "log-uniform":
            return float(np.sqrt(parameter.low * parameter.high))
        return (parameter.low + parameter.high) / 2
    if isinstance(parameter, Disk):
        return (0.0, 0.0)
    return parameter.values[0] if isinstance(parameter, Choice) else parameter


def typical_spec(spec: Spec) -> Spec:
    """A description without chance: what is drawn is in the middle of its range, without tilt."""

    def middle(section: Any) -> Any:
        values = {f.name: typical(getattr(section, f.name)) for f in dataclasses.fields(section)}
        return dataclasses.replace(section, **values)

    modes = spec.crystal.thermal
    thermal = modes if isinstance(modes, str) else modes[0]
    if thermal == "frozen phonon" or "debye-waller" in (modes if modes != thermal else ()):
        thermal = "debye-waller"
    return dataclasses.replace(
        spec,
        crystal=dataclasses.replace(middle(spec.crystal), thermal=thermal, phonons=1),
        microscope=dataclasses.replace(middle(spec.microscope), tilt_mrad=(0.0, 0.0)),
    )


def see_structure(spec: Spec, direction: str | None = None) -> Structure:
    """What is going to be simulated.

    Parameters
    ----------
    spec : Spec
        The description.
    direction : str, optional
        Of specimens: which direction is shown; by default the first.

    Raises
    ------
    PolmapError
        If the description is impossible, or abTEM and ASE are not installed.
    """
    need_abtem()
    spec = typical_spec(spec)
    return _see_cell(spec, direction) if spec.scene is None else _see_scene(spec)


def _see_cell(spec: Spec, direction: str | None) -> Structure:
    directions = directions_of(spec)
    name = direction if direction in directions.names else directions.names[0]
    assert spec.specimens is not None
    seed = next(iter(next(iter(spec.specimens.sets.values()))))
    cell, _ = make_cell(spec, seed)
    magnitude = spec.crystal.magnitude_angstrom
    moved = cell.displacement(name, None if magnitude is None else float(magnitude))
    polar = bool(np.abs(moved).max() > 0)
    edges = np.array(cell.lengths_angstrom[:2])
    corners = np.stack(np.indices((_SHOWN_CELLS, _SHOWN_CELLS)), -1).reshape(-1, 2) * edges
    atoms = []
    for site, move in zip(cell.sites, moved[:, :2], strict=True):
        place = np.mod(site.position[:2], 1) * edges
        # What stands on a cell's edge is shown on the opposite edge too.
        more = 1 + (np.mod(site.position[:2], 1) == 0)
        shape = np.multiply(_SHOWN_CELLS, 1) + more - 1
        every = np.stack(np.indices(shape), -1).reshape(-1, 2) * edges
        atoms.append(Atoms(site.species, every + place + ENLARGED * move, _radius(site.species)))
    index = directions.index(name)
    vector = directions.vectors[index]
    along_beam = directions.angles_deg[index] is None
    polar = bool(
        np.abs(cell.displacement(name, None if magnitude is None else float(magnitude))).max() > 0
    )
    arrow = np.zeros(2) if along_beam else 0.6 * edges.min() * vector
    middles = corners + edges / 2
    count = len(middles) if polar else 0
    return Structure(
        low=np.zeros(2) - 0.35 * edges.min(),
        high=_SHOWN_CELLS * edges + 0.35 * edges.min(),
        atoms=sorted(atoms, key=lambda one: -one.radius),
        cells=_outlines(corners, edges),
        arrows=np.stack([middles, np.broadcast_to(arrow, middles.shape)], 1)[:count],
        colors=np.broadcast_to(directions.colors[index], (count, 3)),
        along_beam=np.full(count, along_beam),
        directions=directions,
        text=_cell_text(name, edges, magnitude, cell.magnitude_angstrom),
        elements=cell.elements,
    )


def _cell_text(name: str, edges: Floats, magnitude: Any, own: float) -> str:
    length = own if magnitude is None else float(magnitude)
    return (
        f"{name}: cells of {edges[0]:.3g} x {edges[1]:.3g} Å; displacement {length:.3g} Å, drawn "
        f"{ENLARGED:g} times as large"
    )


def _see_scene(spec: Spec) -> Structure:
    assert spec.scene is not None
    seed = spec.scene.seeds[0]
    cell, _ = make_cell(spec, seed)
    # One cell along the beam is seen; the truth comes from the scene itself.
    stage = make_stage(spec, seed)
    thin = dataclasses.replace(
        spec.scene, thickness_nm=cell.lengths_angstrom[2] / 10, wedge_nm_per_nm=(0.0, 0.0)
    )
    scene = make_stage(dataclasses.replace(spec, scene=thin), seed).blocks.scene
    grid = stage.grid
    to_scan, origin = _frame(grid)
    size = np.multiply(grid.shape, grid.step_angstrom)
    edges = np.array(cell.lengths_angstrom[:2])
    border = np.array([[0, 0], [0, size[1]], [size[0], size[1]], [size[0], 0]]) @ to_scan + origin
    first = np.floor(border.min(axis=0) / edges).astype(int)
    last = np.ceil(border.max(axis=0) / edges).astype(int)
    counts = last - first
    stride = max(1, int(np.ceil(counts.max() / _MOST_ARROWS)))
    places = np.stack(
        np.meshgrid(
            *(np.arange(a, b, stride) for a, b in zip(first, last, strict=True)), indexing="ij"
        ),
        -1,
    ).reshape(-1, 2)
    middles = (places + 0.5) * edges
    directions = directions_of(spec)
    shares = scene.crystal.domains.shares(middles, directions)
    shown = directions.rotated(grid.crystal_angle_deg)
    vectors = np.nan_to_num(shown.vectors)
    length = 0.7 * stride * edges.min()
    best = shares.argmax(-1)
    inside = shares.max(-1) >= INSIDE
    on_image = (middles - origin) @ to_scan.T
    near = ((on_image > -0.5 * edges.min()) & (on_image < size + 0.5 * edges.min())).all(-1)
    truth = stage.blocks.scene.truth(stage.blocks.positions)
    nearest = np.round(on_image / grid.step_angstrom).astype(int)
    row, column = np.clip(nearest, 0, np.array(grid.shape) - 1).T
    near &= truth.thickness_nm[row, column] > 0
    atoms: list[Atoms] = []
    if counts.max() <= _MOST_CELLS:
        atoms = _scene_atoms(scene, first * edges, counts * edges, to_scan, origin, size)
    polar = stage.magnitude_angstrom > 0
    chosen = near & polar
    rows, columns = grid.shape
    return Structure(
        low=np.full(2, -grid.step_angstrom / 2),
        high=size - grid.step_angstrom / 2,
        atoms=atoms,
        cells=np.zeros((0, 4, 2)),
        arrows=np.stack([on_image, length * (shares @ vectors)], 1)[chosen],
        colors=np.where(inside[:, None], shown.colors[best], _GREY)[chosen],
        along_beam=np.array([shown.angles_deg[index] is None for index in best])[chosen],
        directions=shown,
        text=f"{rows} x {columns} positions, {size[0] / 10:.3g} x {size[1] / 10:.3g} nm, about "
        f"{counts[0]} x {counts[1]} cells",
        labels=np.asarray(truth.direction, dtype=np.uint8),
        defects=truth.defects,
        vacuum=truth.thickness_nm == 0,
        step_angstrom=grid.step_angstrom,
        elements=cell.elements,
    )


def _frame(grid: ScanGrid) -> tuple[Floats, Floats]:
    """Axes of the scan (rows of a matrix) and its first position, in the crystal's frame."""
    corner = ScanGrid((2, 2), 0.1, grid.origin_angstrom, grid.crystal_angle_deg).crystal_frame()
    return np.stack([corner[1, 0] - corner[0, 0], corner[0, 1] - corner[0, 0]]), corner[0, 0]


def _scene_atoms(
    scene: Any, low: Floats, lengths: Floats, to_scan: Floats, origin: Floats, size: Floats
) -> list[Atoms]:
    atoms = scene.atoms(low, lengths)
    places = (atoms.positions[:, :2] + low - origin) @ to_scan.T
    symbols = np.array(atoms.get_chemical_symbols())
    inside = ((places > -0.5) & (places < size + 0.5)).all(axis=1)
    made = [
        Atoms({str(symbol): 1.0}, places[inside & (symbols == symbol)], _radius({str(symbol): 1.0}))
        for symbol in np.unique(symbols)
    ]
    return sorted(made, key=lambda one: -one.radius)


def _outlines(corners: Floats, edges: Floats) -> Floats:
    shape = np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) * edges
    return corners[:, None] + shape


def _radius(species: Mapping[str, float]) -> float:
    """A third of the covalent radius, larger for what else could not be seen."""
    from ase.data import atomic_numbers, covalent_radii

    return float(0.12 + 0.22 * max(covalent_radii[atomic_numbers[name]] for name in species))


def element_color(name: str) -> tuple[float, float, float]:
    """The color of an element."""
    from ase.data import atomic_numbers
    from ase.data.colors import jmol_colors

    if name in _COLORS:
        return _COLORS[name]
    red, green, blue = jmol_colors[atomic_numbers[name]]
    return float(red), float(green), float(blue)


# Elements that stand on the same sites must not look alike.
_COLORS = {"Na": (0.98, 0.83, 0.35)}
