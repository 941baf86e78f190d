"""The description of a simulation as plain values that are edited one by one; no Qt.

The values are those of the TOML file, and nothing else: what is not edited stays as it was read.
"""

from __future__ import annotations

import copy
import dataclasses
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from psygnal import Signal

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.fields import read_value
from napari_polmap.simulation.ranges import Choice, Disk, Range
from napari_polmap.simulation.spec import INNER, SECTIONS, Spec, read_spec, spec_from
from napari_polmap.simulation.spec_text import write_spec

PRESETS: Mapping[str, str] = {
    "KNN, quick": "knn_quick.toml",
    "KNN, for training": "knn_training.toml",
    "BaTiO3, a 90° wall": "batio3.toml",
}
"""Bundled descriptions by name."""

_EMPTY_MEANS_SOMETHING = ("crystal", "specimens", "scene", "detector")
"""Sections that are there or not; all others are left out when they are empty."""


def preset_values(name: str) -> dict[str, Any]:
    """The values of a bundled description."""
    folder = files("napari_polmap") / "data" / "simulations"
    return tomllib.loads((folder / PRESETS[name]).read_text(encoding="utf-8"))


def field_of(name: str) -> dataclasses.Field[Any]:
    """The field of a dotted name such as ``microscope.energy_kv`` or ``scene.wall.width_angstrom``.

    Raises
    ------
    KeyError
        If there is none.
    """
    section, _, field = name.rpartition(".")
    fields = dataclasses.fields({**SECTIONS, **INNER}[section])
    return {one.name: one for one in fields}[field]


def plain(value: Any) -> Any:
    """A value of a description's object as TOML has it."""
    if isinstance(value, Range):
        made: dict[str, Any] = {"min": value.low, "max": value.high}
        if value.distribution != "uniform":
            made["distribution"] = value.distribution
        return made
    if isinstance(value, Disk):
        return {"max": value.radius, "distribution": "disk"}
    if isinstance(value, Choice):
        return [plain(part) for part in value.values]
    return [plain(part) for part in value] if isinstance(value, tuple) else value


class SimulationValues:
    """The values that a window edits.

    Parameters
    ----------
    values : mapping, optional
        By default those of the first preset.
    """

    changed = Signal(str)
    """Dotted name of the field or section that is another; empty for all."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self.values: dict[str, Any] = {}
        self.root: Path | None = None
        self.errors: dict[str, str] = {}
        """What is wrong, by the name of its field: the value shown there was not taken."""
        self._parked: dict[str, Any] = {}
        self.fill(preset_values(next(iter(PRESETS))) if values is None else values)

    # All at once

    def fill(self, values: Mapping[str, Any], root: Path | None = None) -> None:
        """Take another description.

        Parameters
        ----------
        values : mapping
            As for `spec_from`.
        root : Path, optional
            Folder that files are named from.

        Raises
        ------
        PolmapError
            If a field is unknown, missing or impossible; nothing is changed then.
        """
        spec_from(values, root)
        self.values = copy.deepcopy(dict(values))
        self.root = root
        self.errors, self._parked = {}, {}
        self.changed.emit("")

    def read(self, path: Path) -> None:
        """Take the description of a TOML file.

        Raises
        ------
        PolmapError
            If it cannot be read or is impossible; nothing is changed then.
        """
        spec = read_spec(path)
        self.fill({"name": spec.name, **spec.values}, spec.root)

    def write(self, path: Path) -> Path:
        """Write the description as a TOML file, from where it finds the same files.

        Raises
        ------
        PolmapError
            If it cannot be written, or is impossible.
        """
        self.spec()
        return write_spec(path, self.values, self.root)

    def spec(self) -> Spec:
        """The simulation that is described.

        Raises
        ------
        PolmapError
            If it is impossible, or a field holds what it does not take.
        """
        if self.errors:
            raise PolmapError(next(iter(self.errors.values())))
        return spec_from(copy.deepcopy(self.values), self.root)

    # One by one

    def has(self, section: str) -> bool:
        """Whether a section, or a table within one, is there."""
        return isinstance(self.get(section), Mapping)

    def get(self, name: str) -> Any:
        """The value of a field, or a section, by its dotted name; None where it is left out."""
        value: Any = self.values
        for part in name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return None
            value = value[part]
        return value

    def shown(self, name: str) -> Any:
        """The value of a field, or what it is where it is left out (None: not told)."""
        value = self.get(name)
        if value is not None:
            return value
        default = field_of(name).default
        return None if default is dataclasses.MISSING else plain(default)

    def set(self, name: str, value: Any) -> bool:
        """Change a field; None leaves it out.

        Returns
        -------
        bool
            False where the field does not take the value; `errors` says why, and the value before
            stays.
        """
        if name != "name":
            field = field_of(name)
            try:
                if value is not None:
                    read_value(field.metadata["kind"], value, name)
            except PolmapError as error:
                return self.refuse(name, str(error))
        elif not value:
            return self.refuse(name, "The simulation needs a name; give one.")
        self.errors.pop(name, None)
        self._put(name, value)
        self.changed.emit(name)
        return True

    def refuse(self, name: str, why: str) -> bool:
        """Note that what stands in a field cannot be taken."""
        self.errors[name] = why
        self.changed.emit(name)
        return False

    def choose(self, *, leave_out: tuple[str, ...] = (), **sections: Mapping[str, Any]) -> None:
        """Bring sections in, as they were when they were last left out, and leave others out.

        Parameters
        ----------
        leave_out : tuple of str
            Dotted names of what goes.
        **sections
            What comes in where it is not there and never was, ``__`` for a dot in its name.
        """
        for name in leave_out:
            value = self.get(name)
            if value is not None:
                self._parked[name] = value
                self._put(name, None)
            for field in [f for f in self.errors if f == name or f.startswith(f"{name}.")]:
                del self.errors[field]
        for key, fields in sections.items():
            name = key.replace("__", ".")
            if self.get(name) is None:
                self._put(name, copy.deepcopy(self._parked.pop(name, fields)))
        self.changed.emit("")

    def _put(self, name: str, value: Any) -> None:
        *sections, field = name.split(".")
        tables = [self.values]
        for section in sections:
            tables.append(tables[-1].setdefault(section, {}))
        if value is None:
            tables[-1].pop(field, None)
        else:
            tables[-1][field] = value
        for table, section in reversed(list(zip(tables, sections, strict=False))):
            if not table[section] and section not in _EMPTY_MEANS_SOMETHING:
                del table[section]
