"""Writing simulated scans as labelled data sets."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.directions import DirectionSet
from napari_polmap.simulation.multislice import Microscope
from napari_polmap.simulation.specimens import (
    Ranges,
    Run,
    Specimen,
    draw_runs,
    draw_specimen,
    simulate_run,
)

INCIDENT = 10_000.0
"""Sum over the incident beam in written scans, so that float16 does not underflow."""


def specimen_folder(folder: Path, seed: int) -> Path:
    """Where the scans of a specimen lie."""
    return folder / "scans" / f"seed-{seed:04d}"


def write_specimen(
    folder: Path,
    seed: int,
    ranges: Ranges,
    microscope: Microscope,
    directions: DirectionSet,
) -> list[dict[str, Any]]:
    """Simulate a specimen with every direction and write one scan per run and thickness.

    Runs that are there already are not simulated again.

    Parameters
    ----------
    folder : Path
        The data set's folder.
    seed : int
        The specimen.
    ranges : Ranges
        From what the specimen is drawn.
    microscope : Microscope
        Voltage and semi-angle.
    directions : DirectionSet
        One run is made for each.

    Returns
    -------
    list of dict
        The ``[[scan]]`` entries of the specimen, their paths relative to `folder`.
    """
    specimen = draw_specimen(seed, ranges)
    place = specimen_folder(folder, seed)
    place.mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, Any]] = []
    for run in draw_runs(seed, ranges, directions):
        record = place / f"{run.direction}.json"
        if not record.exists():
            # The record comes last: a run that was cut off is made again.
            made = _write_run(place, specimen, run, ranges, microscope)
            _replace(record, json.dumps(made, indent=1).encode())
        for entry in json.loads(record.read_text(encoding="utf-8")):
            path = (place / entry["path"]).relative_to(folder).as_posix()
            entries.append({**entry, "path": path})
    return entries


def _write_run(
    place: Path, specimen: Specimen, run: Run, ranges: Ranges, microscope: Microscope
) -> list[dict[str, Any]]:
    scans, patterns = simulate_run(specimen, run, ranges, microscope)
    tilt_x, tilt_y = run.tilt_mrad
    entries = []
    for scan, nominal, thickness in zip(
        scans, ranges.thickness_nm, patterns.thickness_nm, strict=True
    ):
        name = f"{run.direction}_{nominal:g}nm.npy"
        write_array(place / name, (scan * INCIDENT).astype(np.float16))
        entries.append(
            {
                "path": name,
                "direction": run.direction,
                "group": f"seed-{specimen.seed}",
                "step_nm": specimen.lattice_angstrom / 10 / ranges.positions,
                "mrad_per_pixel": patterns.mrad_per_pixel,
                "center": list(patterns.center),
                "radius_px": patterns.radius_px,
                "energy_kv": microscope.energy_kv,
                "semi_angle_mrad": microscope.semi_angle_mrad,
                "lattice_nm": specimen.lattice_angstrom / 10,
                "thickness_nm": thickness,
                "tilt_mrad": math.hypot(tilt_x, tilt_y),
                "tilt_azimuth_deg": math.degrees(math.atan2(tilt_y, tilt_x)) % 360,
                "defocus_nm": run.defocus_nm,
                "displacement_angstrom": run.displacement_angstrom,
                "thermal": specimen.thermal,
            }
        )
    return entries


def write_array(path: Path, array: np.ndarray[Any, Any]) -> None:
    """Write a ``.npy`` file to a temporary name and move it into place."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    part.replace(path)


def write_dataset(
    path: Path,
    name: str,
    directions: Sequence[str],
    entries: Iterable[Mapping[str, Any]],
    comment: str = "",
) -> None:
    """Write a labelled data set's TOML file; paths of the entries are relative to its folder.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of the data set.
    directions : sequence of str
        Names of the directions, in the order of label images.
    entries : iterable of mapping
        Keys and values of each ``[[scan]]``.
    comment : str
        Line at the top of the file.
    """
    lines = [f"# {comment}"] if comment else []
    lines += [f"name = {_toml(name)}", f"directions = {_toml(list(directions))}", 'root = "."']
    for entry in entries:
        lines += ["", "[[scan]]"]
        lines += [f"{key} = {_toml(value)}" for key, value in entry.items()]
    _replace(path, ("\n".join(lines) + "\n").encode())


def _toml(value: Any) -> str:
    """A TOML value; strings, numbers and lists are written as in JSON, floats shortened."""
    if isinstance(value, float):
        return repr(float(f"{value:.8g}"))
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)
