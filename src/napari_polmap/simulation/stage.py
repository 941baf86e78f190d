"""Scenes and how they are scanned, from a description and a seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.errors import PolmapError, reason
from napari_polmap.simulation.blocks import BlockScan
from napari_polmap.simulation.cells import directions_of, make_cell, make_microscope
from napari_polmap.simulation.defects import (
    AntiphaseBoundary,
    ColumnDefect,
    Defect,
    EdgeDislocation,
)
from napari_polmap.simulation.domains import (
    Domains,
    LabelledDomains,
    OneDomain,
    TwoDomains,
    Wall,
)
from napari_polmap.simulation.random_crystal import RandomCrystal
from napari_polmap.simulation.ranges import draw
from napari_polmap.simulation.recording import Recording, make_recording
from napari_polmap.simulation.regions import AmorphousPatch, Vacuum
from napari_polmap.simulation.scanning import ScanGrid
from napari_polmap.simulation.scenes import Bend, Scene, Surface
from napari_polmap.simulation.sections import MOST_TILT_MRAD, DefectSpec, SceneSpec
from napari_polmap.simulation.spec import Spec
from napari_polmap.simulation.specimens import thermal_mode
from napari_polmap.simulation.unit_cell import UnitCell


@dataclass(frozen=True, eq=False)
class Stage:
    """A scene that is ready to be scanned.

    Parameters
    ----------
    blocks : BlockScan
        The scene, its positions and the microscope.
    grid : ScanGrid
        The scan.
    recording : Recording
        How its patterns are stored.
    thermal : str
        How the atoms vibrate.
    magnitude_angstrom : float
        Of the polarization.
    drawn : dict
        What was drawn for the crystal.
    """

    blocks: BlockScan
    grid: ScanGrid
    recording: Recording
    thermal: str
    magnitude_angstrom: float
    drawn: dict[str, float]

    @property
    def thickness_nm(self) -> tuple[float, ...]:
        """Thicknesses of the scans; of a wedge its mean."""
        thickness = self.blocks.scene.thickness_nm
        if isinstance(thickness, Surface):
            return (float(self.blocks.scene.thickness_at(self.blocks.positions).mean()),)
        return tuple(float(t) for t in thickness)


def make_stage(spec: Spec, seed: int) -> Stage:
    """The scene of a seed, and its scan.

    Raises
    ------
    PolmapError
        If the scene's fields do not fit each other.
    """
    wanted = spec.scene
    assert wanted is not None
    cell, drawn = make_cell(spec, seed)
    rows, columns = spec.scan.shape
    down, along = spec.scan.origin_nm
    grid = ScanGrid(
        shape=(rows, columns),
        step_nm=spec.scan.step_nm,
        origin_angstrom=(down * 10, along * 10),
        crystal_angle_deg=draw(spec.scan.crystal_angle_deg, seed, "crystal_angle_deg"),
        noise_angstrom=spec.scan.noise_angstrom,
        drift_angstrom=_pair(spec.scan.drift_angstrom),
        seed=seed,
    )
    positions = grid.crystal_frame()
    given = spec.crystal.magnitude_angstrom
    magnitude = cell.magnitude_angstrom if given is None else given
    magnitude = draw(magnitude, seed, "magnitude_angstrom", 0)
    scene = _scene(spec, wanted, cell, seed, positions, magnitude)
    microscope = make_microscope(spec, seed)
    thermal = thermal_mode(spec, seed)
    phonons = spec.crystal.phonons if thermal == "frozen phonon" else 0
    options: dict[str, Any] = {
        "sampling_angstrom": spec.numerics.sampling_angstrom,
        "sigmas": None if thermal == "none" else cell.sigmas,
        "phonons": phonons,
        "step_vectors": grid.step_vectors(),
    }
    blocks = BlockScan(
        scene,
        positions,
        microscope,
        size=spec.numerics.block,
        padding_angstrom=spec.numerics.padding_angstrom,
        seed=seed,
        options=options,
    )
    _, lengths = blocks.window(blocks.blocks()[0])
    pixel_y, pixel_x = (microscope.wavelength_angstrom / edge * 1e3 for edge in lengths)
    recording = make_recording(spec, seed, 0, microscope, (pixel_y, pixel_x))
    # The simulated pixels must not depend on the block; they do not, as all windows are alike.
    options["half_width"] = recording.half_width(spec, microscope)
    return Stage(blocks, grid, recording, thermal, magnitude, drawn)


def _scene(
    spec: Spec,
    wanted: SceneSpec,
    cell: UnitCell,
    seed: int,
    positions: np.ndarray[Any, Any],
    magnitude_angstrom: float,
) -> Scene:
    names = cell.directions.names
    listed = (
        wanted.thickness_nm if isinstance(wanted.thickness_nm, tuple) else (wanted.thickness_nm,)
    )
    thickness: Any = listed
    edge = cell.lengths_angstrom[2]
    deepest = max(listed) * 10
    if any(wanted.wedge_nm_per_nm):
        if len(listed) > 1:
            raise PolmapError(
                "scene.thickness_nm holds several thicknesses, but a wedge starts from one; give "
                "one, or leave wedge_nm_per_nm out."
            )
        thickness = Surface(listed[0], _pair(wanted.wedge_nm_per_nm))
        deepest = float(thickness.at(positions).max()) * 10
    depth = max(1, int(np.ceil(deepest / edge - 1e-6)))
    crystal = RandomCrystal(
        cell,
        _domains(spec, wanted, directions_of(spec).names, seed),
        magnitude_angstrom,
        depth,
        seed,
        spec.crystal.order == "in turn",
    )
    bend = Bend(
        Surface(0.0, _pair(wanted.bend_x_mrad_per_nm)),
        Surface(0.0, _pair(wanted.bend_y_mrad_per_nm)),
    )
    bent = float(np.linalg.norm(bend.at(positions), axis=-1).max())
    if bent > MOST_TILT_MRAD:
        raise PolmapError(
            f"scene.bend_x_mrad_per_nm and bend_y_mrad_per_nm tilt the scan by up to {bent:.0f} "
            f"mrad, but at most {MOST_TILT_MRAD:g} can be simulated; lower them or the scan's "
            "field."
        )
    defects = tuple(
        make_defect(defect, seed + index) for index, defect in enumerate(wanted.defects)
    )
    for defect in wanted.defects:
        if defect.site is not None:
            cell.site(defect.site)
        if defect.element is not None and defect.element not in cell.sigmas:
            _need_vibration(spec, defect.element)
    for name in _named(wanted):
        if name not in names:
            raise PolmapError(
                f"The scene names the direction {name!r}, but this crystal has {', '.join(names)}."
            )
    return Scene(crystal, thickness, defects, bend)


def _need_vibration(spec: Spec, element: str) -> None:
    if spec.crystal.thermal != "none":
        raise PolmapError(
            f"crystal.sigmas_angstrom names no vibration of {element}, which scene.defects.element "
            'puts into the crystal; give it in Å, or set thermal = "none".'
        )


def _named(wanted: SceneSpec) -> list[str]:
    single = wanted.direction or ()
    return [*((single,) if isinstance(single, str) else single), *(wanted.directions or ())]


def _domains(spec: Spec, wanted: SceneSpec, names: tuple[str, ...], seed: int) -> Domains:
    if wanted.labels is not None:
        if wanted.label_pixel_nm is None:
            raise PolmapError("scene.label_pixel_nm is missing; give the edge of a label's pixel.")
        return LabelledDomains(
            _label_image(spec.root / wanted.labels),
            wanted.directions or names,
            wanted.label_pixel_nm * 10,
            width=wanted.label_wall_angstrom,
        )
    if wanted.directions is not None:
        if len(wanted.directions) != 2 or wanted.wall is None:
            raise PolmapError(
                f"scene.directions holds {len(wanted.directions)} names; give two with "
                "[scene.wall], or an image in labels."
            )
        row, column = _pair(wanted.wall.position_nm)
        wall = Wall(
            (row * 10, column * 10),
            wanted.wall.normal_deg,
            wanted.wall.width_angstrom,
            wanted.wall.profile,
        )
        first, second = wanted.directions
        return TwoDomains((first, second), wall)
    if wanted.direction is None:
        raise PolmapError(
            "[scene] has no direction; give direction, directions with a wall, or labels."
        )
    if isinstance(wanted.direction, str):
        return OneDomain(wanted.direction)
    return OneDomain(wanted.direction[seed % len(wanted.direction)])


def make_defect(wanted: DefectSpec, seed: int) -> Defect:
    """A defect from its description.

    Raises
    ------
    PolmapError
        If a field that it needs is missing, or its element is none.
    """
    from ase.data import chemical_symbols

    def needed(name: str) -> Any:
        value = getattr(wanted, name)
        if value is None:
            raise PolmapError(f"scene.defects.{name} is missing; the {wanted.kind} needs it.")
        return value

    def place() -> tuple[float, float]:
        row, column = needed("position_nm")
        return row * 10, column * 10

    if wanted.kind == "column":
        if wanted.element is not None and wanted.element not in chemical_symbols[1:]:
            raise PolmapError(
                f"scene.defects.element is {wanted.element!r}, but must be the symbol of an "
                "element, such as Sr."
            )
        return ColumnDefect(
            tuple(needed("cell")), needed("site"), wanted.share, wanted.element or "", seed
        )
    if wanted.kind == "antiphase":
        row, column, beam = wanted.shift
        return AntiphaseBoundary(place(), needed("normal_deg"), (row, column, beam))
    if wanted.kind == "dislocation":
        return EdgeDislocation(place(), _pair(needed("burgers_angstrom")), wanted.poisson)
    if wanted.kind == "amorphous":
        return AmorphousPatch(place(), needed("radius_nm") * 10, seed)
    radius = None if wanted.radius_nm is None else wanted.radius_nm * 10
    return Vacuum(place(), wanted.normal_deg, radius)


def _label_image(path: Path) -> np.ndarray[Any, Any]:
    import tifffile

    try:
        if path.suffix == ".npy":
            labels = np.load(path, allow_pickle=False)
        else:
            labels = tifffile.imread(path)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise PolmapError(
            f"scene.labels names {path}, which cannot be read ({reason(error)}); give a TIFF or "
            ".npy image."
        ) from error
    found = np.asarray(labels)
    if found.dtype.kind not in "biuf" or (found != np.floor(found)).any():
        raise PolmapError(
            f"scene.labels names {path}, whose values are no whole numbers; give the index of the "
            "direction of each pixel."
        )
    return found.astype(np.int64)


def _pair(values: tuple[float, ...]) -> tuple[float, float]:
    first, second = values
    return first, second
