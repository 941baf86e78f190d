"""Writing the description of a simulation, `SPEC.toml`; the inverse of `spec.read_spec`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_polmap.simulation.dataset import write_text

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def spec_text(values: Mapping[str, Any], comment: str = "") -> str:
    """A description as TOML.

    Parameters
    ----------
    values : mapping
        As for `spec_from`.
    comment : str
        Lines at the top.

    Returns
    -------
    str
        What `tomllib` reads as exactly these values.
    """
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    lines += [f"{_key(k)} = {_toml(v)}" for k, v in values.items() if not isinstance(v, Mapping)]
    for name, fields in values.items():
        if isinstance(fields, Mapping):
            lines += _table(_key(name), fields)
    return "\n".join(lines) + "\n"


def write_spec(path: str | Path, values: Mapping[str, Any], root: Path | None = None) -> Path:
    """Write a description; files that it names are still found from where it lies.

    Parameters
    ----------
    path : str or Path
        The file; ``.toml`` is added where it is missing.
    values : mapping
        As for `spec_from`.
    root : Path, optional
        Folder that files were named from; by default the current one.

    Raises
    ------
    PolmapError
        If it cannot be written.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() != ".toml":
        path = path.with_name(f"{path.name}.toml")
    write_text(path, spec_text(rooted(values, root or Path(), path.parent)))
    return path


def rooted(values: Mapping[str, Any], root: Path, new_root: Path) -> dict[str, Any]:
    """A description whose files are named from another folder."""

    def moved(name: Any) -> Any:
        if not isinstance(name, str) or Path(name).is_absolute():
            return name
        if root.absolute() == new_root.absolute():
            return name
        target = (root / name).absolute()
        try:
            return Path(os.path.relpath(target, new_root.absolute())).as_posix()
        except ValueError:  # on another drive
            return str(target)

    made = {name: dict(v) if isinstance(v, Mapping) else v for name, v in values.items()}
    for section, field in (("crystal", "file"), ("scene", "labels")):
        fields = made.get(section)
        if isinstance(fields, dict) and field in fields:
            fields[field] = moved(fields[field])
    crystal = made.get("crystal")
    if isinstance(crystal, dict) and isinstance(crystal.get("files"), Mapping):
        crystal["files"] = {name: moved(file) for name, file in crystal["files"].items()}
    return made


def _table(name: str, fields: Mapping[str, Any]) -> list[str]:
    lines = ["", f"[{name}]"]
    inner: list[str] = []
    for key, value in fields.items():
        where = f"{name}.{_key(key)}"
        if isinstance(value, Mapping) and _deep(value):
            inner += _table(where, value)
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            for part in value:
                inner += ["", f"[[{where}]]", *(f"{_key(k)} = {_toml(v)}" for k, v in part.items())]
        else:
            lines.append(f"{_key(key)} = {_toml(value)}")
    return [*lines, *inner]


def _deep(fields: Mapping[str, Any]) -> bool:
    """Whether a table reads better by itself than within a line."""
    return len(fields) > 3 or any(isinstance(value, Mapping) for value in fields.values())


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    if isinstance(value, float):
        return repr(value)
    # Strings, numbers and truth values are written as in JSON, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
