"""Random specimens for training, with the direction independent of everything else.

A specimen is one arrangement of atoms; it is simulated once with every direction. What must not
give the direction away (tilt, defocus, magnitude) is drawn for each run from random streams of its
own, which know the run's number but not what its direction means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import DirectionSet
from napari_polmap.simulation.cells import make_cell, make_microscope
from napari_polmap.simulation.crystal import Crystal, vibrate
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.multislice import Patterns, simulate_patterns
from napari_polmap.simulation.ranges import ARRANGEMENT, VIBRATION, draw, stream, unit_number
from napari_polmap.simulation.sections import SpecimensSpec
from napari_polmap.simulation.spec import Spec
from napari_polmap.simulation.unit_cell import UnitCell

if TYPE_CHECKING:
    from ase import Atoms

_MOST_UNEQUAL = 0.005


@dataclass(frozen=True, eq=False)
class Specimen:
    """What the runs of one specimen share.

    Parameters
    ----------
    seed : int
        Decides everything below, and the arrangement and vibration of the atoms.
    cell : UnitCell
        The cell with its lattice parameter and shares.
    thermal : str
        One of `napari_polmap.simulation.sections.THERMAL_MODES`.
    origin : tuple of float
        First probe position (row, column) in cells.
    thickness_nm : tuple of float
        Nominal thicknesses.
    drawn : mapping of str to float
        What was drawn, by the names of the description's fields.
    """

    seed: int
    cell: UnitCell
    thermal: str
    origin: tuple[float, float]
    thickness_nm: tuple[float, ...]
    drawn: dict[str, float]

    @property
    def whole_thickness_nm(self) -> tuple[float, ...]:
        """The thicknesses rounded to whole cells, at least one."""
        edge = self.cell.lengths_angstrom[2] / 10
        return tuple(max(1, round(t / edge)) * edge for t in self.thickness_nm)

    @property
    def depth(self) -> int:
        """Cells along the beam."""
        edge = self.cell.lengths_angstrom[2]
        return max(1, round(max(self.thickness_nm) * 10 / edge))


@dataclass(frozen=True)
class Run:
    """One specimen with one direction of the polarization.

    Parameters
    ----------
    number : int
        Index of the direction.
    direction : str
        Its name.
    magnitude_angstrom : float
        Length of the displacement.
    microscope : Microscope
        Illumination and tilt.
    """

    number: int
    direction: str
    magnitude_angstrom: float
    microscope: Microscope


def draw_specimen(spec: Spec, seed: int) -> Specimen:
    """The specimen of a seed."""
    wanted = _specimens(spec)
    cell, drawn = make_cell(spec, seed)
    cells = cells_across(wanted)
    row, column = (
        count * unit_number(seed, name)
        for count, name in zip(cells, ("origin_row", "origin_column"), strict=True)
    )
    thickness = draw(wanted.thickness_nm, seed, "thickness_nm")
    listed = thickness if isinstance(thickness, tuple) else (thickness,)
    return Specimen(seed, cell, thermal_mode(spec, seed), (row, column), listed, drawn)


def draw_runs(spec: Spec, specimen: Specimen, directions: DirectionSet) -> list[Run]:
    """The runs of a specimen, one for every direction."""
    cell, seed = specimen.cell, specimen.seed
    given = spec.crystal.magnitude_angstrom
    magnitude = cell.magnitude_angstrom if given is None else given
    return [
        Run(
            number=number,
            direction=name,
            magnitude_angstrom=draw(magnitude, seed, "magnitude_angstrom", number),
            microscope=make_microscope(spec, seed, number),
        )
        for number, name in enumerate(directions.names)
    ]


def thermal_mode(spec: Spec, seed: int) -> str:
    """How the atoms of a specimen vibrate; of several modes each in turn, seed by seed."""
    modes = spec.crystal.thermal
    return modes if isinstance(modes, str) else modes[seed % len(modes)]


def cells_across(specimens: SpecimensSpec) -> tuple[int, int]:
    """Cells (rows, columns) of the simulated specimen."""
    if isinstance(specimens.cells, int):
        return specimens.cells, specimens.cells
    rows, columns = specimens.cells
    return rows, columns


def run_atoms(spec: Spec, specimen: Specimen, run: Run) -> Atoms:
    """The atoms of a run, vibrating where the specimen does as one frozen configuration.

    Parameters
    ----------
    spec, specimen, run : Spec, Specimen, Run
        As for `simulate_run`.
    """
    cell = specimen.cell
    shape = (*cells_across(_specimens(spec)), specimen.depth)
    moved = np.broadcast_to(
        cell.displacement(run.direction, run.magnitude_angstrom),
        (*shape[:2], len(cell.sites), 3),
    )
    species = _arrangement(spec, cell, shape, specimen.seed)
    atoms = Crystal(cell, species, moved).atoms()
    if specimen.thermal == "frozen phonon" and spec.crystal.phonons == 1:
        # The same vibration with every direction, as part of the arrangement.
        atoms = vibrate(atoms, cell.sigmas, stream(specimen.seed, VIBRATION))
    return atoms


def _arrangement(
    spec: Spec, cell: UnitCell, shape: tuple[int, int, int], seed: int
) -> npt.NDArray[np.str_]:
    """Element on every site of every cell; mixed sites from the specimen's stream."""
    rng = stream(seed, ARRANGEMENT)
    species = np.empty((*shape, len(cell.sites)), dtype="<U2")
    for index, site in enumerate(cell.sites):
        elements = dict(site.species)
        missing = 1 - sum(elements.values())
        if missing > 1e-9:
            elements[""] = missing
        names = np.array(list(elements))
        if len(names) == 1:
            species[..., index] = names[0]
        elif spec.crystal.order == "in turn":
            species[..., index] = names[np.indices(shape).sum(axis=0) % len(names)]
        else:
            shares = np.array(list(elements.values()))
            species[..., index] = rng.choice(names, size=shape, p=shares / shares.sum())
    return species


def scan_grid(spec: Spec, cell: UnitCell) -> tuple[tuple[int, int], tuple[float, float]]:
    """Probe positions over one cell, and their distances (rows, columns) in Å.

    They lie in equal parts of the cell's edges. Where these differ, the numbers along both are
    chosen such that the two distances are as equal as can be.
    """
    count = _specimens(spec).positions
    height, width = cell.lengths_angstrom[:2]
    if abs(height - width) <= _MOST_UNEQUAL * height:
        return (count, count), (height / count, width / count)
    short, long = sorted((height, width))
    along = min(
        range(count, 2 * count + 1),
        key=lambda n: abs(math.log(long / n / (short / max(1, round(n * short / long))))),
    )
    across = max(1, round(along * short / long))
    rows, columns = (along, across) if height > width else (across, along)
    return (rows, columns), (height / rows, width / columns)


def simulate_run(spec: Spec, specimen: Specimen, run: Run, **options: Any) -> Patterns:
    """Simulate a run at all its thicknesses.

    Parameters
    ----------
    spec : Spec
        The description, with ``specimens``.
    specimen, run : Specimen, Run
        As `draw_specimen` and `draw_runs` make them from it.
    **options
        More keyword arguments of `simulate_patterns`, such as ``device`` and ``progress``.

    Returns
    -------
    Patterns
        Positions of one cell row by row, see `scan_grid`; the cell's last row and column are not
        repeated. The incident beam sums to 1.
    """
    cell, phonons = specimen.cell, spec.crystal.phonons
    (rows, columns), steps = scan_grid(spec, cell)
    origin = np.multiply(specimen.origin, cell.lengths_angstrom[:2])
    grid = np.moveaxis(np.indices((rows, columns)), 0, -1).reshape(-1, 2)
    several = specimen.thermal == "frozen phonon" and phonons > 1
    vibrates = several or specimen.thermal == "debye-waller"
    return simulate_patterns(
        run_atoms(spec, specimen, run),
        origin + grid * steps,
        run.microscope,
        specimen.whole_thickness_nm,
        **{
            "slice_angstrom": cell.slice_angstrom,
            "sampling_angstrom": spec.numerics.sampling_angstrom,
            "half_width": spec.numerics.half_width,
            "sigmas": cell.sigmas if vibrates else None,
            "phonons": phonons if several else 0,
            "rng": stream(specimen.seed, VIBRATION) if several else None,
            "step_vectors": np.diag(steps) if steps[0] == steps[1] else None,
            **options,
        },
    )


def turned(run: Run, direction: str, quarter_turns: int) -> Run:
    """The run whose specimen, tilt and astigmatism are turned counter-clockwise."""
    x, y = run.microscope.tilt_mrad
    for _ in range(quarter_turns % 4):
        x, y = -y, x
    angle = run.microscope.astigmatism_angle_deg + 90.0 * quarter_turns
    microscope = replace(
        run.microscope, tilt_mrad=(x, y), astigmatism_angle_deg=(angle + 90.0) % 180.0 - 90.0
    )
    return replace(run, direction=direction, microscope=microscope)


def _specimens(spec: Spec) -> SpecimensSpec:
    assert spec.specimens is not None
    return spec.specimens
