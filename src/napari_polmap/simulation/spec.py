"""The description of a simulation, `SPEC.toml`, as typed and checked objects.

All fields are documented where they are defined, in `napari_polmap.simulation.sections`;
`field_table` and ``polmap simulate --fields`` print them.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_polmap.errors import PolmapError, reason
from napari_polmap.simulation.contradictions import (
    check_crystal,
    check_detector,
    check_scene,
    check_sets,
)
from napari_polmap.simulation.fields import FieldRow, read_section, rows_of, unknown
from napari_polmap.simulation.sections import (
    CrystalSpec,
    DefectSpec,
    DetectorSpec,
    DirectionsSpec,
    MicroscopeSpec,
    NumericsSpec,
    OutputSpec,
    ScanSpec,
    SceneSpec,
    SpecimensSpec,
    WallSpec,
)

SECTIONS: Mapping[str, type[Any]] = {
    "crystal": CrystalSpec,
    "directions": DirectionsSpec,
    "specimens": SpecimensSpec,
    "scene": SceneSpec,
    "scan": ScanSpec,
    "microscope": MicroscopeSpec,
    "detector": DetectorSpec,
    "numerics": NumericsSpec,
    "output": OutputSpec,
}
"""The sections of a description by name."""
INNER: Mapping[str, type[Any]] = {"scene.wall": WallSpec, "scene.defects": DefectSpec}
"""Sections within a section."""
_SEEDS = (("specimens", "sets"), ("scene", "seeds"))


@dataclass(frozen=True)
class Spec:
    """A simulation.

    Parameters
    ----------
    name : str
        Of the data set.
    crystal, directions, microscope, numerics, output
        See their classes.
    specimens : SpecimensSpec or None
        Single cells for training ...
    scene, scan : SceneSpec or None, ScanSpec
        ... or a scene and how it is scanned.
    detector : DetectorSpec or None
        What the patterns are recorded on.
    root : Path
        Folder that files are named from.
    values : mapping
        The description as it was read.
    """

    name: str
    crystal: CrystalSpec
    directions: DirectionsSpec = field(default_factory=DirectionsSpec)
    specimens: SpecimensSpec | None = None
    scene: SceneSpec | None = None
    scan: ScanSpec = field(default_factory=ScanSpec)
    microscope: MicroscopeSpec = field(default_factory=MicroscopeSpec)
    detector: DetectorSpec | None = None
    numerics: NumericsSpec = field(default_factory=NumericsSpec)
    output: OutputSpec = field(default_factory=OutputSpec)
    root: Path = Path()
    values: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        check_crystal(self.crystal)
        if self.detector is not None:
            check_detector(self.detector)
        if (self.specimens is None) == (self.scene is None):
            raise PolmapError(
                "A simulation has either [specimens] (single cells for training) or [scene] (a "
                "scan with truth images); give one of the two."
            )
        if self.scene is not None:
            check_scene(self.scene)
        if self.specimens is not None:
            check_sets(self.specimens.sets)
            every = [seed for part in self.specimens.sets.values() for seed in part]
            if len(set(every)) != len(every):
                raise PolmapError(
                    "specimens.sets names a seed in two sets, but training and test must not "
                    "share a specimen; change one of them."
                )

    @property
    def sha256(self) -> str:
        """Hash of what decides the scans of a seed: not of the name, nor of which seeds there are.

        The structure files and label images that are named count with their contents.
        """
        values = {
            section: {key: value for key, value in fields.items() if (section, key) not in _SEEDS}
            for section, fields in self.values.items()
            if isinstance(fields, Mapping)
        }
        code = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
        files = [self.crystal.file, *(self.crystal.files or {}).values()]
        files.append(None if self.scene is None else self.scene.labels)
        for name in files:
            if name is not None and (self.root / name).is_file():
                code.update((self.root / name).read_bytes())
        return code.hexdigest()


def read_spec(path: str | Path) -> Spec:
    """Read the description of a simulation.

    Raises
    ------
    PolmapError
        If it cannot be read, or a field is unknown, missing or impossible.
    """
    path = Path(path).expanduser()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolmapError(
            f"The description {path} cannot be read ({reason(error)}); check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise PolmapError(
            f"{path} is not a text file, but a simulation is described by a TOML file; choose one."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise PolmapError(f"{path.name} is not a TOML file: {error}; correct it.") from error
    return spec_from(values, path.parent, path.stem)


def spec_from(values: Mapping[str, Any], root: Path | None = None, name: str = "scans") -> Spec:
    """A simulation from plain values, as TOML has them.

    Parameters
    ----------
    values : mapping
        Sections by name, each with its fields; and ``name``.
    root : Path, optional
        Folder that files are named from; by default the current one.
    name : str
        Where `values` have none.

    Raises
    ------
    PolmapError
        If a field is unknown, missing or impossible.
    """
    sections: dict[str, Any] = {}
    for key, value in values.items():
        if key == "name":
            continue
        if key not in SECTIONS:
            raise PolmapError(unknown("The description", key, ["name", *SECTIONS]))
        sections[key] = read_section(SECTIONS[key], value, key)
    if "crystal" not in sections:
        raise PolmapError("The description has no [crystal]; say what is simulated.")
    title = values.get("name", name)
    if not isinstance(title, str) or not title:
        raise PolmapError(f"name is {title!r}, but must be a text.")
    return Spec(name=title, root=Path(root or "."), values=dict(values), **sections)


def field_table() -> list[FieldRow]:
    """All fields of a description, section by section."""
    rows = [FieldRow("", "name", "a text", "the file's name", "Name of the data set.")]
    for name, section in {**SECTIONS, **INNER}.items():
        rows += rows_of(section, name)
    return rows


def field_text() -> str:
    """The table of all fields as Markdown."""
    lines: list[str] = []
    section: str | None = None
    about = {name: part.__doc__ for name, part in {**SECTIONS, **INNER}.items()}
    for row in field_table():
        if row.section != section:
            section = row.section
            if section:
                lines += ["", f"### [{section}]", "", str(about[section]), ""]
            lines += ["| field | takes | default | |", "|---|---|---|---|"]
        lines.append(f"| `{row.name}` | {row.takes} | {row.default} | {row.about} |")
    return "\n".join(lines) + "\n"
