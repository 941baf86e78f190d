"""Random specimens for training, with the direction independent of everything else.

A specimen is one arrangement of K and Na; it is simulated once with every direction. What must not
give the direction away (tilt, defocus, magnitude) is drawn for each run from a random stream of
its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.crystal import (
    THERMAL_SIGMAS,
    perovskite,
    random_a_sites,
    uniform_displacement,
    vibrate,
)
from napari_polmap.simulation.multislice import (
    Microscope,
    Patterns,
    scan_positions,
    simulate_patterns,
)

if TYPE_CHECKING:
    from ase import Atoms

THERMAL_MODES = ("none", "debye-waller", "frozen phonon")
"""Atoms at rest, potentials damped by the vibration, or one frozen configuration."""

# Names of the random streams that follow a specimen's seed.
_DRAW, _ARRANGEMENT, _VIBRATION, _RUN = range(4)


@dataclass(frozen=True)
class Ranges:
    """From what specimens and runs are drawn, all uniformly.

    Parameters
    ----------
    lattice_angstrom, share, displacement_angstrom, defocus_nm : tuple of float
        Lowest and highest lattice parameter, share of the displacement that is the B cation's,
        length of the displacement, and defocus.
    tilt_mrad : float
        Radius of the disk of tilts.
    thickness_nm : tuple of float
        Thicknesses of every run, each rounded to whole cells.
    cells : int
        Cells across the simulated specimen, in rows as in columns.
    positions : int
        Probe positions along the edge of the one cell that is scanned. The probe passes spatial
        frequencies up to 2α/λ, 7.6 per cell at 200 kV and 24 mrad: eight positions average a cell
        exactly, six leave twice the polarization's own asymmetry.
    """

    lattice_angstrom: tuple[float, float] = (3.93, 4.01)
    share: tuple[float, float] = (0.5, 1.0)
    displacement_angstrom: tuple[float, float] = (0.08, 0.25)
    defocus_nm: tuple[float, float] = (-5.0, 5.0)
    tilt_mrad: float = 3.2
    thickness_nm: tuple[float, ...] = (10, 15, 20, 25, 30, 35, 40, 45, 50)
    cells: int = 6
    positions: int = 8


@dataclass(frozen=True)
class Specimen:
    """What the runs of one specimen share.

    Parameters
    ----------
    seed : int
        Decides everything below, and the arrangement and vibration of the atoms.
    lattice_angstrom : float
        Lattice parameter.
    share : float
        Part of the displacement that is the B cation's.
    thermal : str
        One of `THERMAL_MODES`.
    origin : tuple of float
        First probe position (row, column) in cells.
    """

    seed: int
    lattice_angstrom: float
    share: float
    thermal: str
    origin: tuple[float, float]


@dataclass(frozen=True)
class Run:
    """One specimen with one direction of the polarization.

    Parameters
    ----------
    direction : str
        Name of the direction.
    angle_deg : float
        Its angle.
    displacement_angstrom : float
        Length of the displacement of the B cation relative to the oxygen.
    tilt_mrad : tuple of float
        Zone axis in the pattern as (x, y), +y up.
    defocus_nm : float
        Defocus.
    """

    direction: str
    angle_deg: float
    displacement_angstrom: float
    tilt_mrad: tuple[float, float]
    defocus_nm: float


def draw_specimen(seed: int, ranges: Ranges) -> Specimen:
    """The specimen of a seed. The thermal mode goes through `THERMAL_MODES` seed by seed."""
    rng = np.random.default_rng([seed, _DRAW])
    row, column = rng.uniform(0, ranges.cells, 2)
    return Specimen(
        seed=seed,
        lattice_angstrom=rng.uniform(*ranges.lattice_angstrom),
        share=rng.uniform(*ranges.share),
        thermal=THERMAL_MODES[seed % len(THERMAL_MODES)],
        origin=(row, column),
    )


def draw_runs(seed: int, ranges: Ranges, directions: DirectionSet) -> Iterator[Run]:
    """The runs of a specimen, one for every direction.

    Raises
    ------
    PolmapError
        If a direction has no in-plane angle.
    """
    for index, (name, angle) in enumerate(
        zip(directions.names, directions.angles_deg, strict=True)
    ):
        if angle is None:
            raise PolmapError(
                f"The direction {name!r} has no in-plane angle to simulate; leave it out."
            )
        rng = np.random.default_rng([seed, _RUN, index])
        radius = ranges.tilt_mrad * np.sqrt(rng.random())
        azimuth = rng.uniform(0, 2 * np.pi)
        yield Run(
            direction=name,
            angle_deg=angle,
            displacement_angstrom=rng.uniform(*ranges.displacement_angstrom),
            tilt_mrad=(float(radius * np.cos(azimuth)), float(radius * np.sin(azimuth))),
            defocus_nm=rng.uniform(*ranges.defocus_nm),
        )


def rounded_thickness(lattice_angstrom: float, ranges: Ranges) -> tuple[float, ...]:
    """The thicknesses in nm, rounded to whole cells."""
    edge = lattice_angstrom / 10
    return tuple(round(t / edge) * edge for t in ranges.thickness_nm)


def run_atoms(specimen: Specimen, run: Run, ranges: Ranges) -> Atoms:
    """The atoms of a run, vibrating where the specimen does as a frozen configuration.

    Parameters
    ----------
    specimen, run, ranges : Specimen, Run, Ranges
        As for `simulate_run`.
    """
    edge = specimen.lattice_angstrom
    depth = round(rounded_thickness(edge, ranges)[-1] * 10 / edge)
    shape = (ranges.cells, ranges.cells, depth)
    atoms = perovskite(
        a_sites=random_a_sites(shape, np.random.default_rng([specimen.seed, _ARRANGEMENT])),
        displacement=uniform_displacement(shape[:2], run.angle_deg, run.displacement_angstrom),
        lattice_angstrom=edge,
        share=specimen.share,
    ).atoms()
    if specimen.thermal == "frozen phonon":
        # The same vibration with every direction, as part of the arrangement.
        atoms = vibrate(atoms, THERMAL_SIGMAS, np.random.default_rng([specimen.seed, _VIBRATION]))
    return atoms


def simulate_run(
    specimen: Specimen, run: Run, ranges: Ranges, microscope: Microscope | None = None
) -> tuple[npt.NDArray[np.float32], Patterns]:
    """Simulate a run at all its thicknesses.

    Parameters
    ----------
    specimen, run : Specimen, Run
        As `draw_specimen` and `draw_runs` make them.
    ranges : Ranges
        Size of the simulation; the same that they were drawn from.
    microscope : Microscope, optional
        Voltage and semi-angle; its defocus and tilt are replaced by the run's.

    Returns
    -------
    scans : numpy.ndarray of float32, shape (thicknesses, y, x, ky, kx)
        One cell, its last row and column not repeated; the incident beam sums to 1.
    patterns : Patterns
        The same patterns with their calibration.
    """
    base = Microscope() if microscope is None else microscope
    edge = specimen.lattice_angstrom
    row, column = specimen.origin
    count = ranges.positions
    patterns = simulate_patterns(
        run_atoms(specimen, run, ranges),
        scan_positions((row * edge, column * edge), (count, count), edge / count),
        Microscope(base.energy_kv, base.semi_angle_mrad, run.defocus_nm, run.tilt_mrad),
        rounded_thickness(edge, ranges),
        slice_angstrom=edge / 2,
        sigmas=THERMAL_SIGMAS if specimen.thermal == "debye-waller" else None,
    )
    data = patterns.data
    return data.reshape(len(data), count, count, *data.shape[-2:]), patterns
