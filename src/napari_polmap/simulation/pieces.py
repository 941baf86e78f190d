"""The pieces that a simulation is done in: a run of a specimen, or a block of a scene.

Each is simulated and written by itself. Its record comes last, so that a piece that was cut off is
made again; what has a record is not.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.diffraction.symmetry import rotate_scan
from napari_polmap.directions import DirectionSet
from napari_polmap.simulation.cells import directions_of
from napari_polmap.simulation.dataset import write_image, write_json, write_scan
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.multislice import Patterns
from napari_polmap.simulation.quarter_turns import Family
from napari_polmap.simulation.ranges import stream
from napari_polmap.simulation.recording import Recording, make_recording
from napari_polmap.simulation.spec import Spec
from napari_polmap.simulation.specimens import (
    Specimen,
    cells_across,
    draw_runs,
    draw_specimen,
    scan_grid,
    simulate_run,
    turned,
)
from napari_polmap.simulation.stage import Stage, make_stage

BAD_PIXELS = "bad_pixels.npy"
"""Name of the mask of dead and hot pixels in the data set's folder."""

_ABERRATIONS = (
    "astigmatism_nm",
    "spherical_aberration_mm",
    "source_size_angstrom",
    "focal_spread_nm",
)


@dataclass(frozen=True)
class Effort:
    """With what a piece is computed.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    memory_mb : float
        Memory of one piece.
    progress : callable, optional
        Called with the share of the piece that is done; what it raises ends it.
    """

    device: str = "cpu"
    memory_mb: float = 1000.0
    progress: Callable[[float], None] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of `simulate_patterns`."""
        return {
            "device": self.device,
            "memory_mb": self.memory_mb,
            "progress": self.progress,
        }


@dataclass(frozen=True)
class RunPiece:
    """A run of a specimen, and the directions that are made from it by quarter turns.

    Parameters
    ----------
    seed : int
        The specimen.
    family : Family
        Its directions.
    """

    seed: int
    family: Family

    def record(self, folder: Path) -> Path:
        """The file that says that it is done; it holds the entries of its scans."""
        name = file_name(self.family.members[0][0], self.family.number)
        return folder / "scans" / f"seed-{self.seed:04d}" / f"{name}.json"

    def make(self, spec: Spec, folder: Path, effort: Effort) -> None:
        """Simulate and write the scans, then the record."""
        directions = directions_of(spec)
        specimen = draw_specimen(spec, self.seed)
        run = draw_runs(spec, specimen, directions)[self.family.number]
        cells = cells_across(_specimens(spec))
        height, width = np.multiply(cells, specimen.cell.lengths_angstrom[:2])
        wavelength = run.microscope.wavelength_angstrom * 1e3
        pixel = (wavelength / height, wavelength / width)
        recordings = {
            name: make_recording(spec, self.seed, directions.index(name), run.microscope, pixel)
            for name, _ in self.family.members
        }
        half_width = max(r.half_width(spec, run.microscope) for r in recordings.values())
        patterns = simulate_run(spec, specimen, run, half_width=half_width, **effort.options)
        (rows, columns), _ = scan_grid(spec, specimen.cell)
        scans = patterns.data.reshape(len(patterns.data), rows, columns, *patterns.data.shape[2:])
        entries = []
        for name, turns in self.family.members:
            copy = rotate_scan(scans, turns).reshape(patterns.data.shape)
            entries += self._write(
                spec,
                folder,
                specimen,
                turned(run, name, turns).microscope,
                name,
                run.magnitude_angstrom,
                replace(patterns, data=np.ascontiguousarray(copy)),
                recordings[name],
                directions,
            )
        write_json(self.record(folder), entries)

    def _write(
        self,
        spec: Spec,
        folder: Path,
        specimen: Specimen,
        microscope: Microscope,
        name: str,
        magnitude: float,
        patterns: Patterns,
        recording: Recording,
        directions: DirectionSet,
    ) -> list[dict[str, Any]]:
        number = directions.index(name)
        stored = recording.store(patterns, stream(self.seed, "noise", number))
        (rows, columns), steps = scan_grid(spec, specimen.cell)
        step_nm = math.sqrt(steps[0] * steps[1]) / 10
        entries = []
        for data, nominal, thickness in zip(
            stored, specimen.thickness_nm, patterns.thickness_nm, strict=True
        ):
            file = f"{file_name(name, number)}_{nominal:g}nm.{spec.output.format}"
            path = self.record(folder).with_name(file)
            entry = {
                "path": path.relative_to(folder).as_posix(),
                "direction": name,
                "group": f"seed-{self.seed}",
                "step_nm": step_nm,
                **_values(recording, patterns, microscope, specimen.cell.lengths_angstrom),
                "thickness_nm": thickness,
                **_conditions(microscope, magnitude, specimen.thermal, specimen.drawn),
                **_exposure(recording),
            }
            write_scan(
                path,
                data.reshape(rows, columns, *data.shape[-2:]),
                entry,
                f"{spec.name}, {name}, {nominal:g} nm",
                _description(spec),
            )
            entries.append(entry)
        return entries


@dataclass(frozen=True)
class BlockPiece:
    """A block of positions of a scene.

    Parameters
    ----------
    seed : int
        The scene.
    index : int
        Of the block.
    """

    seed: int
    index: int

    def record(self, folder: Path) -> Path:
        """The file that says that it is done."""
        return scene_folder(folder, self.seed) / "blocks" / f"{self.index:05d}.json"

    def make(self, spec: Spec, folder: Path, effort: Effort) -> None:
        """Simulate the block and write it into the scene's array, then the record."""
        stage = make_stage(spec, self.seed)
        blocks = replace(stage.blocks, options={**stage.blocks.options, **effort.options})
        rows, columns = blocks.blocks()[self.index]
        patterns = blocks.simulate_block((rows, columns))
        rng = stream(self.seed, "noise", self.index)
        stored = stage.recording.store(patterns, rng)
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        whole = np.load(scene_array(folder, self.seed), mmap_mode="r+")
        whole[:, rows, columns] = stored.reshape(len(stored), *shape, *stored.shape[-2:])
        whole.flush()
        values = _values(
            stage.recording,
            patterns,
            blocks.microscope,
            blocks.scene.crystal.cell.lengths_angstrom,
        )
        write_json(self.record(folder), values)


@dataclass(frozen=True)
class ScenePiece:
    """What is left when all blocks of a scene are there: its scans and truth images.

    Parameters
    ----------
    seed : int
        The scene.
    """

    seed: int

    def record(self, folder: Path) -> Path:
        """The file that says that it is done; it holds the entries of its scans."""
        return scene_folder(folder, self.seed) / "scene.json"

    def make(self, spec: Spec, folder: Path, effort: Effort) -> None:  # noqa: ARG002
        """Write the scans, the truth images and the record; the blocks go."""
        import dask.array as da

        stage = make_stage(spec, self.seed)
        place = scene_folder(folder, self.seed)
        first = BlockPiece(self.seed, 0).record(folder)
        values = json.loads(first.read_text(encoding="utf-8"))
        whole = np.load(scene_array(folder, self.seed), mmap_mode="r")
        entries = []
        for index, thickness in enumerate(stage.thickness_nm):
            name = "scan" if len(stage.thickness_nm) == 1 else f"scan_{thickness:.3g}nm"
            path = place / f"{name}.{spec.output.format}"
            truth = _write_truth(stage, place, name, index)
            entry = {
                "path": path.relative_to(folder).as_posix(),
                "truth": truth.relative_to(folder).as_posix(),
                "group": f"seed-{self.seed}",
                "step_nm": spec.scan.step_nm,
                **values,
                "thickness_nm": thickness,
                **_conditions(
                    stage.blocks.microscope,
                    stage.magnitude_angstrom,
                    stage.thermal,
                    stage.drawn,
                ),
                **_exposure(stage.recording),
            }
            if stage.recording.crystal_angle_deg:
                entry["crystal_angle_deg"] = stage.recording.crystal_angle_deg
            # Rows are read one strip after the other: the whole scan need not fit into memory.
            lazy = da.from_array(_Rows(whole, index), chunks=(8, -1, -1, -1), name=False)
            write_scan(path, lazy, entry, spec.name, _description(spec))
            entries.append(entry)
        del whole, lazy
        write_json(self.record(folder), entries)
        shutil.rmtree(scene_array(folder, self.seed).parent, ignore_errors=True)


class _Rows:
    """One thickness of a memory map, without the ``copy`` by which dask would read it whole."""

    def __init__(self, array: npt.NDArray[Any], index: int) -> None:
        self._array, self._index = array, index
        self.shape, self.dtype, self.ndim = array.shape[1:], array.dtype, array.ndim - 1

    def __getitem__(self, key: Any) -> Any:
        return np.asarray(self._array[self._index][key])


Piece = RunPiece | BlockPiece | ScenePiece


def scene_folder(folder: Path, seed: int) -> Path:
    """Where the files of a scene lie."""
    return folder / "scans" / f"seed-{seed:04d}"


def scene_array(folder: Path, seed: int) -> Path:
    """The array that the blocks of a scene are written into."""
    return scene_folder(folder, seed) / "blocks" / "patterns.npy"


def make_scene_array(spec: Spec, folder: Path, seed: int, detector: tuple[int, int]) -> None:
    """Make the array of a scene's blocks, where it is not there."""
    path = scene_array(folder, seed)
    if path.exists():
        return
    stage = make_stage(spec, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (len(stage.thickness_nm), *stage.blocks.positions.shape[:2], *detector)
    part = path.with_name(f"part_{path.name}")
    np.lib.format.open_memmap(part, "w+", stage.recording.dtype, shape).flush()
    part.replace(path)


def file_name(name: str, number: int) -> str:
    """A direction's name as part of a file's."""
    plain = re.sub(r"[^A-Za-z0-9+-]", "_", name)
    return plain if plain == name else f"{plain}_{number}"


def read_entries(folder: Path, pieces: Sequence[RunPiece | ScenePiece]) -> list[dict[str, Any]]:
    """The entries of all scans of finished pieces."""
    entries: list[dict[str, Any]] = []
    for piece in pieces:
        record = piece.record(folder)
        if record.exists():
            entries += json.loads(record.read_text(encoding="utf-8"))
    return entries


def _write_truth(stage: Stage, place: Path, name: str, index: int) -> Path:
    truth = stage.blocks.scene.truth(stage.blocks.positions, index)
    path = place / f"{name}_truth.tif"
    write_image(path, truth.direction.astype(np.uint8))
    write_image(place / f"{name}_defects.tif", truth.defects.astype(np.uint8))
    write_image(place / f"{name}_thickness_nm.tif", truth.thickness_nm.astype(np.float32))
    if truth.tilt_mrad.any():
        tilt = np.moveaxis(truth.tilt_mrad, -1, 0).astype(np.float32)
        write_image(place / f"{name}_bending_mrad.tif", tilt)
    return path


def _values(
    recording: Recording,
    patterns: Patterns,
    microscope: Microscope,
    edges: tuple[float, float, float],
) -> dict[str, Any]:
    return {
        **recording.calibration(patterns),
        "energy_kv": microscope.energy_kv,
        "semi_angle_mrad": microscope.semi_angle_mrad,
        "lattice_nm": math.sqrt(edges[0] * edges[1]) / 10,
    }


def _conditions(
    microscope: Microscope, magnitude: float, thermal: str, drawn: Mapping[str, float]
) -> dict[str, Any]:
    tilt_x, tilt_y = microscope.tilt_mrad
    told = [name for name in _ABERRATIONS if getattr(microscope, name)]
    if microscope.astigmatism_nm:
        told.append("astigmatism_angle_deg")
    return {
        "tilt_mrad": math.hypot(tilt_x, tilt_y),
        "tilt_azimuth_deg": math.degrees(math.atan2(tilt_y, tilt_x)) % 360,
        "defocus_nm": microscope.defocus_nm,
        "displacement_angstrom": magnitude,
        "thermal": thermal,
        **{name: value for name, value in drawn.items() if name != "lattice_angstrom"},
        **{name: getattr(microscope, name) for name in told},
    }


def _exposure(recording: Recording) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if recording.dose is not None:
        values["dose"] = recording.dose
    if recording.bad_pixels is not None:
        values["mask"] = BAD_PIXELS
    return values


def _description(spec: Spec) -> dict[str, Any]:
    from napari_polmap import __version__

    return {
        "description": json.dumps(spec.values),
        "software": f"napari-polmap {__version__}",
    }


def _specimens(spec: Spec) -> Any:
    assert spec.specimens is not None
    return spec.specimens
