"""The sections of a simulation's description, with all their fields."""

# The defaults of a description's fields are what `entry` makes, as `dataclasses.field` does.
# ruff: noqa: RUF009

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from napari_polmap.simulation.fields import (
    drawn,
    drawn_vector,
    either,
    entry,
    flag,
    inner,
    listed,
    one_of,
    real,
    seeds,
    sign,
    table,
    text,
    whole,
)
from napari_polmap.simulation.materials import MATERIALS
from napari_polmap.simulation.ranges import Number, Range, Vector

THERMAL_MODES = ("none", "debye-waller", "frozen phonon")
"""Atoms at rest, potentials damped by the vibration, or frozen configurations."""

MOST_TILT_MRAD = 50.0
"""Largest tilt."""

_POSITIVE = real(0, above=True)
_THICKNESS = real(0, 1000, above=True)
_PAIR = listed(real(), 2)
_TRIPLE = listed(real(), 3)
_INDICES = listed(whole(-1000), 3)
_FILE = text("a file, from the folder of this description")


@dataclass(frozen=True)
class CrystalSpec:
    """What the specimen is made of."""

    material: str | None = entry(
        one_of(*MATERIALS), "A built-in perovskite along [001]; or give file or files.", None
    )
    file: str | None = entry(
        _FILE,
        "A structure without polarization (CIF, POSCAR, extended XYZ); with displacements.",
        None,
    )
    files: Mapping[str, str] | None = entry(
        table(_FILE), "Or one structure file for each direction.", None
    )
    zone_axis: tuple[int, ...] = entry(
        _INDICES, "Direction [u, v, w] of the structure file along the beam.", (0, 0, 1)
    )
    horizontal: tuple[int, ...] | None = entry(
        _INDICES, "Direction [u, v, w] to the right of the displayed image.", None, "found"
    )
    frame: str = entry(
        one_of("image", "crystal"),
        "What displacements count: (row, column, beam), or along the file's edges a, b, c.",
        "image",
    )
    sublattices: Mapping[str, tuple[int, ...]] | None = entry(
        table(listed(whole())),
        "Atoms of each sublattice by their index in the file, from 0.",
        None,
        "one for each element",
    )
    displacements: Mapping[str, Mapping[str, tuple[float, ...]]] | None = entry(
        table(table(_TRIPLE)),
        "For each direction the displacement of each sublattice that moves, in Å.",
        None,
    )
    sigmas_angstrom: Mapping[str, float] | None = entry(
        table(real(0)),
        "Root-mean-square vibration of each element along one axis, also of what defects bring.",
        None,
        "the material's",
    )
    lattice_angstrom: Number | None = entry(
        drawn(real(2, 10)), "Edge of a material's cell, per specimen.", None, "the material's"
    )
    lattice_scale: Number = entry(
        drawn(real(0.5, 2)), "Factor on all edges of the cell, per specimen.", 1.0
    )
    b_share: Number | None = entry(
        drawn(real(0, 1)),
        "Share of the displacement that is the B cation's, per specimen; the oxygen moves the "
        "rest of it the other way.",
        None,
        "the material's",
    )
    beam_sign: int = entry(
        sign(),
        "Sense of a polarization's component along the beam.",
        1,
    )
    magnitude_angstrom: Number | None = entry(
        drawn(real(0, 2)),
        "Displacement of the B cation against the oxygen, or the largest of two sublattices, "
        "per run.",
        None,
        "the material's",
    )
    order: str = entry(
        one_of("random", "in turn"),
        "How elements stand on a mixed site: at random from the seed, or like on a chessboard.",
        "random",
    )
    thermal: str | tuple[str, ...] = entry(
        either(one_of(*THERMAL_MODES), listed(one_of(*THERMAL_MODES))),
        "Vibration of the atoms; a list is gone through seed by seed.",
        "debye-waller",
    )
    phonons: int = entry(
        whole(1), "Configurations averaged where the vibration is a frozen phonon.", 1
    )


@dataclass(frozen=True)
class DirectionsSpec:
    """Directions of the polarization that are simulated."""

    names: tuple[str, ...] | None = entry(
        listed(text("a name")), "Their names.", None, "all the crystal has"
    )
    angles_deg: tuple[float | str, ...] | None = entry(
        listed(either(real(), one_of("none"))),
        'Angle of each, counter-clockwise from the right, or "none".',
        None,
        "known for RM, RU, MU, LU, LM, LD, MD, RD",
    )
    by_symmetry: bool = entry(
        flag(),
        "Make directions a quarter turn apart from one simulation, where the crystal allows it.",
        False,
    )


@dataclass(frozen=True)
class SpecimensSpec:
    """Specimens for training: one cell of each is scanned with every direction."""

    sets: Mapping[str, tuple[int, ...]] = entry(
        table(seeds()),
        "Seeds of each data set; DIR/NAME.toml lists the scans of the set NAME.",
    )
    thickness_nm: float | tuple[float, ...] | Range = entry(
        either(either(_THICKNESS, listed(_THICKNESS)), drawn(_THICKNESS)),
        "Thicknesses, all of a list from one pass, each rounded to whole cells; or a range, of "
        "which each specimen has one.",
    )
    cells: int | tuple[int, ...] = entry(
        either(whole(1), listed(whole(1), 2)),
        "Cells across the simulated specimen, or [rows, columns]; wide enough for the probe.",
        6,
    )
    positions: int = entry(
        whole(1),
        "Probe positions along the edge of the scanned cell. The patterns of a cell change with "
        "spatial frequencies up to 2α/λ; more positions than that average it exactly.",
        8,
    )


@dataclass(frozen=True)
class WallSpec:
    """Where two domains meet; places are (row, column) in nm on the crystal, see scan.origin_nm."""

    position_nm: tuple[float, ...] = entry(_PAIR, "A point on the wall.")
    normal_deg: float = entry(
        real(), "Angle of the wall's normal, which points into the second domain."
    )
    width_angstrom: float = entry(_POSITIVE, "Width of the transition.", 4.0)
    profile: str = entry(one_of("tanh", "linear"), "Its shape.", "tanh")


@dataclass(frozen=True)
class DefectSpec:
    """A defect; places are (row, column) in nm on the crystal, see scan.origin_nm."""

    kind: str = entry(
        one_of("column", "antiphase", "dislocation", "amorphous", "vacuum"), "Which one."
    )
    cell: tuple[int, ...] | None = entry(
        listed(whole(-100_000), 2), "column: row and column of the cell.", None
    )
    site: str | None = entry(text("a name"), "column: the site, such as B.", None)
    share: float = entry(real(0, 1), "column: share of its atoms that are replaced.", 1.0)
    element: str | None = entry(
        text("a symbol"), "column: what stands there instead.", None, "nothing"
    )
    position_nm: tuple[float, ...] | None = entry(
        _PAIR, "A point on the plane; the dislocation's core; the middle of a patch or hole.", None
    )
    normal_deg: float | None = entry(
        real(), "antiphase, vacuum: angle of the plane's normal, which points behind it.", None
    )
    radius_nm: float | None = entry(_POSITIVE, "amorphous, vacuum: radius.", None)
    shift: tuple[float, ...] = entry(
        _TRIPLE, "antiphase: shift (row, column, beam) in cells.", (0.5, 0.5, 0.0)
    )
    burgers_angstrom: tuple[float, ...] | None = entry(
        _PAIR, "dislocation: Burgers vector (row, column).", None
    )
    poisson: float = entry(real(0, 0.499), "dislocation: Poisson's ratio.", 0.25)


@dataclass(frozen=True)
class SceneSpec:
    """A scene that is scanned as a whole, with truth images."""

    thickness_nm: float | tuple[float, ...] = entry(
        either(_THICKNESS, listed(_THICKNESS)), "Thicknesses, all of a list from one pass."
    )
    seeds: tuple[int, ...] = entry(seeds(), "One scene is simulated for each seed.", (1,))
    direction: str | tuple[str, ...] | None = entry(
        either(text("a name"), listed(text("a name"))),
        "The direction, where it is one domain; a list is gone through seed by seed.",
        None,
    )
    directions: tuple[str, ...] | None = entry(
        listed(text("a name")), "Two directions with a wall; or the names of the labels.", None
    )
    wall: WallSpec | None = entry(inner(WallSpec), "The wall between two domains.", None)
    labels: str | None = entry(
        text("an image of the labels (TIFF or .npy)"),
        "Index of the direction of each pixel, in the order of directions.",
        None,
    )
    label_pixel_nm: float | None = entry(_POSITIVE, "Edge of a pixel of the labels.", None)
    label_wall_angstrom: float = entry(_POSITIVE, "Width of the walls between labels.", 4.0)
    wedge_nm_per_nm: tuple[float, ...] = entry(
        _PAIR, "Growth of the thickness down the rows and along the columns.", (0.0, 0.0)
    )
    bend_x_mrad_per_nm: tuple[float, ...] = entry(
        _PAIR, "Growth of the tilt's x down the rows and along the columns.", (0.0, 0.0)
    )
    bend_y_mrad_per_nm: tuple[float, ...] = entry(
        _PAIR, "The same of the tilt's y (+y up).", (0.0, 0.0)
    )
    defects: tuple[DefectSpec, ...] = entry(
        listed(inner(DefectSpec)), "Defects, one after the other: [[scene.defects]].", ()
    )


@dataclass(frozen=True)
class MicroscopeSpec:
    """The illumination; what is not the specimen's is drawn anew for every run."""

    energy_kv: Number = entry(drawn(real(1, 5000)), "Acceleration voltage, per specimen.", 200.0)
    semi_angle_mrad: Number = entry(
        drawn(real(0, 200, above=True)), "Convergence semi-angle, per specimen.", 24.0
    )
    defocus_nm: Number = entry(drawn(real()), "Focus below the entrance surface.", 0.0)
    tilt_mrad: Vector = entry(
        drawn_vector(MOST_TILT_MRAD), "Zone axis in the pattern as [x, y], +y up.", (0.0, 0.0)
    )
    astigmatism_nm: Number = entry(drawn(real(0)), "Twofold astigmatism.", 0.0)
    astigmatism_angle_deg: Number = entry(
        drawn(real()), "Its angle, counter-clockwise from the right.", 0.0
    )
    spherical_aberration_mm: Number = entry(drawn(real()), "Third-order spherical aberration.", 0.0)
    source_size_angstrom: Number = entry(
        drawn(real(0)), "Full width at half maximum of the source's image.", 0.0
    )
    focal_spread_nm: Number = entry(
        drawn(real(0)), "Standard deviation of the focus (chromatic).", 0.0
    )


@dataclass(frozen=True)
class DetectorSpec:
    """The detector; without it the simulated pixels are kept, free of noise."""

    pixels: tuple[int, ...] = entry(listed(whole(1, 4096), 2), "Pixels [ky, kx].")
    mrad_per_pixel: float = entry(_POSITIVE, "Edge of a pixel.")
    beam_offset_px: Vector = entry(
        drawn_vector(10_000.0),
        "The beam's [right, down] from the detector's middle, per run.",
        (0.0, 0.0),
    )
    rotation_deg: Number = entry(drawn(real()), "Detector rotation, per specimen.", 0.0)
    flip: bool = entry(flag(), "Whether ky is reversed before the rotation.", False)
    point_spread_px: Number = entry(
        drawn(real(0)), "Standard deviation of the spread of an electron, per specimen.", 0.0
    )
    gain_variation: float = entry(
        real(0, 0.5), "Standard deviation of the pixels' efficiency.", 0.0
    )
    dead_share: float = entry(real(0, 0.5), "Share of dead pixels.", 0.0)
    hot_share: float = entry(real(0, 0.4), "Share of hot pixels.", 0.0)
    dark_counts: float = entry(real(0), "Mean counts of a pixel without electrons.", 0.0)
    hot_counts: float = entry(real(0), "The same of a hot pixel.", 100.0)
    dose: Number | None = entry(
        drawn(_POSITIVE),
        "Electrons in the incident beam per pattern, per run.",
        None,
        "none: noise-free patterns",
    )


@dataclass(frozen=True)
class ScanSpec:
    """The scan of a scene."""

    shape: tuple[int, ...] = entry(
        listed(whole(1, 4096), 2), "Positions [rows, columns].", (32, 32)
    )
    step_nm: float = entry(_POSITIVE, "Distance of neighboring positions.", 0.05)
    origin_nm: tuple[float, ...] = entry(
        _PAIR,
        "First position (row, column) on the crystal, which counts from the corner of a cell.",
        (0.0, 0.0),
    )
    crystal_angle_deg: Number = entry(
        drawn(real()), "Angle of the crystal's [100] against the scan's +x.", 0.0
    )
    noise_angstrom: float = entry(
        real(0), "Root mean square of random departures from the grid along one axis.", 0.0
    )
    drift_angstrom: tuple[float, ...] = entry(
        _PAIR, "Drift (row, column) during one row of the scan.", (0.0, 0.0)
    )


@dataclass(frozen=True)
class NumericsSpec:
    """How finely it is computed."""

    sampling_angstrom: float = entry(_POSITIVE, "Real-space pixel at most.", 0.1)
    half_width: float = entry(
        real(1, 100), "Half of the stored patterns' width in radii of the disk, at least.", 1.7
    )
    padding_angstrom: float | None = entry(
        real(0), "Crystal around a block of a scene.", None, "what the probe reaches"
    )
    block: int | None = entry(
        whole(1), "Positions along the edge of a block of a scene.", None, "what costs least"
    )


@dataclass(frozen=True)
class OutputSpec:
    """What is written."""

    format: str = entry(
        one_of("hspy", "npy"),
        "HyperSpy files with all parameters, or plain arrays, which open three times as fast and "
        "whose parameters stand in the data set's file and the records beside them.",
        "hspy",
    )
