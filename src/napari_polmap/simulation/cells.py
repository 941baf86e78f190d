"""Unit cells, directions and microscopes from a description and a seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.materials import OUT_OF_PLANE, get_material
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.ranges import draw
from napari_polmap.simulation.sections import CrystalSpec
from napari_polmap.simulation.spec import Spec
from napari_polmap.simulation.structure_files import unit_cell_from_file, unit_cell_from_files
from napari_polmap.simulation.unit_cell import UnitCell

_PER_SPECIMEN = ("energy_kv", "semi_angle_mrad")
_OF_MATERIALS = ("lattice_angstrom", "b_share")


def directions_of(spec: Spec) -> DirectionSet:
    """The directions that are simulated, in the order of the labels.

    Raises
    ------
    PolmapError
        If one is not known, or has no displacement.
    """
    wanted = spec.directions
    crystal = spec.crystal
    angles = None
    if wanted.angles_deg is not None:
        angles = [None if isinstance(angle, str) else angle for angle in wanted.angles_deg]
        if wanted.names is None or len(wanted.names) != len(angles):
            raise PolmapError(
                f"directions.angles_deg holds {len(angles)} angles, but must hold one for each of "
                "directions.names; give both in the same order."
            )
    if crystal.material is None:
        own = list(crystal.displacements or {}) or list(crystal.files or {})
        names = list(wanted.names) if wanted.names is not None else own
        if not names:
            raise PolmapError(
                "[directions] has no names; give the directions of this structure's polarization."
            )
        return DirectionSet.from_names(names, angles)
    known = get_material(crystal.material).directions(out_of_plane=True)
    chosen = wanted.names or get_material(crystal.material).directions().names
    for name in chosen:
        if name not in known.names:
            raise PolmapError(
                f"directions.names holds {name!r}, but {crystal.material} has the directions "
                f"{', '.join(known.names)}."
            )
    given = angles or [known.angles_deg[known.index(name)] for name in chosen]
    if any(known.angles_deg[known.index(n)] != a for n, a in zip(chosen, given, strict=True)):
        raise PolmapError(
            f"directions.angles_deg is not what {crystal.material} has; leave it out."
        )
    return DirectionSet(tuple(chosen), tuple(given))


def make_cell(spec: Spec, seed: int) -> tuple[UnitCell, dict[str, float]]:
    """The cell of a specimen, and what was drawn for it.

    Raises
    ------
    PolmapError
        If the crystal's fields do not fit each other, or a file cannot be read.
    """
    crystal = spec.crystal
    drawn: dict[str, float] = {}
    for name in (*_OF_MATERIALS, "lattice_scale"):
        parameter = getattr(crystal, name)
        if parameter is not None:
            drawn[name] = draw(parameter, seed, name)
    if crystal.material is not None:
        material = get_material(crystal.material)
        cell = material.unit_cell(
            drawn.get("lattice_angstrom"),
            b_share=drawn.get("b_share"),
            beam_sign=crystal.beam_sign,
            out_of_plane=OUT_OF_PLANE in directions_of(spec).names,
        )
    else:
        cell = _from_files(spec)
    # Labels count the directions that are simulated.
    cell = replace(cell, directions=directions_of(spec))
    scale = drawn.pop("lattice_scale")
    if scale != 1:
        height, width, depth = (edge * scale for edge in cell.lengths_angstrom)
        cell = replace(cell, lengths_angstrom=(height, width, depth))
        drawn["lattice_scale"] = scale
    if crystal.sigmas_angstrom is not None:
        cell = replace(cell, sigmas={**cell.sigmas, **crystal.sigmas_angstrom})
    unknown = sorted(set(cell.elements) - set(cell.sigmas))
    if unknown and crystal.thermal != "none":
        raise PolmapError(
            f"crystal.sigmas_angstrom names no vibration of {', '.join(unknown)}; give it in Å, "
            'or set thermal = "none".'
        )
    return cell, drawn


def make_microscope(spec: Spec, seed: int, run: int = 0) -> Microscope:
    """The microscope of a run."""
    values = {
        field.name: draw(
            getattr(spec.microscope, field.name),
            seed,
            field.name,
            None if field.name in _PER_SPECIMEN else run,
        )
        for field in dataclasses.fields(spec.microscope)
    }
    return Microscope(**values)


def _from_files(spec: Spec) -> UnitCell:
    # Plain values, so that each structure is read once.
    return _read(_Key(spec.crystal, directions_of(spec), spec.root))


class _Key:
    """A crystal's fields as a key of the cache: equal where the files and fields are."""

    def __init__(self, crystal: CrystalSpec, directions: DirectionSet, root: Path) -> None:
        self.crystal, self.directions, self.root = crystal, directions, root
        files = [crystal.file, *(crystal.files or {}).values()]
        times = [
            (root / name).stat().st_mtime_ns if (root / name).is_file() else 0
            for name in files
            if name is not None
        ]
        self._text = repr((crystal, directions, root.absolute(), times))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


@lru_cache(maxsize=4)
def _read(key: _Key) -> UnitCell:
    crystal, directions, root = key.crystal, key.directions, key.root
    common: Mapping[str, Any] = {
        "zone_axis": crystal.zone_axis,
        "horizontal": crystal.horizontal,
        "sigmas": crystal.sigmas_angstrom,
    }
    if crystal.files is not None:
        paths = {name: root / path for name, path in crystal.files.items()}
        return unit_cell_from_files(paths, directions, **common)
    assert crystal.file is not None
    if crystal.displacements is None:
        raise PolmapError(
            "crystal.displacements is missing; give the displacement of each sublattice for each "
            "direction, or one structure file for each direction in crystal.files."
        )
    return unit_cell_from_file(
        root / crystal.file,
        directions,
        crystal.displacements,
        frame=crystal.frame,
        sublattices=crystal.sublattices,
        **common,
    )
