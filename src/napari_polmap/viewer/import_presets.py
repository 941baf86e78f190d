"""Presets for opening scans: options under a name, offered for files of the same kind."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from napari_polmap.errors import PolmapError, reason, unwritable
from napari_polmap.scan import Scan

PRESET_OPTIONS = (
    "nav_shape",
    "dataset",
    "index",
    "axes",
    "flyback",
    "bad_pixels",
    "rotation_deg",
    "flip",
)
"""Options of `napari_polmap.load_scan` that a preset keeps."""
_PAIRS = ("nav_shape", "index")
_FORMAT = "napari-polmap import presets"
_VERSION = 1
_INSTRUMENT = ("microscope", "instrument", "manufacturer", "camera")
_DETECTOR = ("detector_type", "detector", "camera", "name")


@dataclass(frozen=True)
class FileKind:
    """What files of one instrument and detector have in common.

    Parameters
    ----------
    format : str
        The file's ending without its dot, or "folder".
    detector : tuple of int
        Rows and columns of the detector.
    instrument : str
        What the file says of microscope and detector, "" where it says nothing.
    """

    format: str
    detector: tuple[int, int]
    instrument: str = ""

    @classmethod
    def of(cls, path: Path, scan: Scan) -> FileKind:
        """The kind of a file that was opened."""
        ending = "folder" if path.is_dir() and not path.suffix else path.suffix.lower()[1:]
        return cls(ending, scan.detector_shape, _instrument(scan.metadata))

    def holds(self, path: Path, scan: Scan) -> bool:
        """Whether a file is of this kind, in whichever order its axes were taken so far."""
        other = FileKind.of(path, scan)
        if (self.format, self.instrument) != (other.format, other.instrument):
            return False
        return not Counter(self.detector) - Counter(scan.shape)

    def __str__(self) -> str:
        parts = [self.format, f"{self.detector[0]} × {self.detector[1]} px", self.instrument]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Preset:
    """Options under a name.

    Parameters
    ----------
    name : str
    kind : FileKind
        Files it is offered for.
    options : mapping of str to Any
        Of `napari_polmap.load_scan`, those of `PRESET_OPTIONS`.
    """

    name: str
    kind: FileKind
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        options = {
            name: str(value) if isinstance(value, Path) else value
            for name, value in self.options.items()
            if name in PRESET_OPTIONS
        }
        return {"name": self.name, "kind": dict(vars(self.kind)), "options": options}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preset:
        """Inverse of `to_dict`; unknown options are left out."""
        kind = dict(values["kind"])
        rows, columns = (int(n) for n in kind["detector"])
        known = FileKind(str(kind["format"]), (rows, columns), str(kind.get("instrument", "")))
        options = {k: v for k, v in dict(values["options"]).items() if k in PRESET_OPTIONS}
        for name in _PAIRS:
            if name in options:
                options[name] = tuple(int(n) for n in options[name])
        if "bad_pixels" in options:
            options["bad_pixels"] = Path(str(options["bad_pixels"]))
        return cls(str(values["name"]), known, options)


def presets_path() -> Path:
    """The file of presets; ``POLMAP_CONFIG`` names another folder for it."""
    from platformdirs import user_config_path

    named = os.environ.get("POLMAP_CONFIG")
    return (Path(named) if named else user_config_path("napari-polmap")) / "import_presets.json"


def load_presets() -> list[Preset]:
    """All presets by name.

    Raises
    ------
    PolmapError
        If the file of presets cannot be read.
    """
    path = presets_path()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        presets = [Preset.from_dict(values) for values in content["presets"]]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PolmapError(
            f"The import presets {path} cannot be read ({reason(error)}); correct that file or "
            "delete it."
        ) from error
    return sorted(presets, key=lambda preset: preset.name.casefold())


def save_preset(preset: Preset) -> None:
    """Keep a preset, instead of one of the same name.

    Raises
    ------
    PolmapError
        If the file of presets cannot be read or written.
    """
    _write([*(other for other in load_presets() if other.name != preset.name), preset])


def delete_preset(name: str) -> None:
    """Forget a preset.

    Raises
    ------
    PolmapError
        If the file of presets cannot be read or written.
    """
    _write([preset for preset in load_presets() if preset.name != name])


def _write(presets: list[Preset]) -> None:
    path = presets_path()
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "presets": [preset.to_dict() for preset in presets],
    }
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise PolmapError(unwritable(f"The file of import presets {path}", path, error)) from error


def _instrument(metadata: Mapping[str, Any]) -> str:
    """Microscope and detector in HyperSpy's metadata."""
    acquisition = metadata.get("Acquisition_instrument")
    microscope = acquisition.get("TEM") if isinstance(acquisition, Mapping) else None
    if not isinstance(microscope, Mapping):
        return ""
    found = [microscope[key] for key in _INSTRUMENT if isinstance(microscope.get(key), str)]
    detectors = microscope.get("Detector")
    for detector in detectors.values() if isinstance(detectors, Mapping) else ():
        if isinstance(detector, Mapping):
            found += [detector[key] for key in _DETECTOR if isinstance(detector.get(key), str)]
    return ", ".join(dict.fromkeys(text.strip() for text in found if text.strip()))
