"""``polmap classifiers``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_polmap.cli.options import Json
from napari_polmap.cli.output import (
    note,
    plain,
    print_json,
    print_pairs,
    print_table,
    warn,
)

if TYPE_CHECKING:
    from napari_polmap.classifiers import Classifier

classifiers = typer.Typer(
    help="List, show, add, rename and remove classifiers. Without a subcommand: list.",
    rich_markup_mode="rich",
)

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]


@classifiers.callback(invoke_without_command=True)
def _classifiers(context: typer.Context, json: Json = False) -> None:
    if context.invoked_subcommand is None:
        _list(json)


@classifiers.command("list")
def list_command(json: Json = False) -> None:
    """List the installed classifiers and what they were made for."""
    _list(json)


def _list(json: bool) -> None:
    from napari_polmap import list_classifiers, load_classifier
    from napari_polmap.errors import PolmapError

    found, unreadable = [], []
    for entry in list_classifiers():
        try:
            found.append((entry, load_classifier(entry.path)))
        except PolmapError as error:
            unreadable.append(str(error))
    if json:
        listed = [
            {"name": entry.name, "path": entry.path, "origin": entry.origin, **_about(classifier)}
            for entry, classifier in found
        ]
        print_json({"classifiers": listed, "warnings": unreadable})
    else:
        rows = [
            (
                entry.name,
                classifier.model.kind,
                str(len(classifier.directions)),
                _unit(classifier.card.get("energy_kv"), "kV"),
                _unit(classifier.card.get("semi_angle_mrad"), "mrad"),
                f"{classifier.window_cells:g} cells",
                entry.origin,
            )
            for entry, classifier in found
        ]
        head = ("name", "model", "directions", "voltage", "semi-angle", "window", "origin")
        print_table(head, rows)
    warn(unreadable)


@classifiers.command("show")
def show(name: Name, json: Json = False) -> None:
    """Show a classifier's card: what it was trained on, its ranges and its figures."""
    from napari_polmap import load_classifier

    classifier = load_classifier(name)
    about = {"name": classifier.name, "path": classifier.path, **_about(classifier)}
    if json:
        print_json(about)
    else:
        print_pairs(_flat(plain(about)))


@classifiers.command("add")
def add(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .safetensors file.", show_default=False)
    ],
) -> None:
    """Copy a classifier file into your library, under its file name."""
    from napari_polmap.classifiers import add_classifier

    entry = add_classifier(file)
    note(f"Added {entry.name!r} as {entry.path}.")


@classifiers.command("rename")
def rename(
    old: Annotated[str, typer.Argument(metavar="OLD", show_default=False)],
    new: Annotated[str, typer.Argument(metavar="NEW", show_default=False)],
) -> None:
    """Give one of your classifiers another name."""
    from napari_polmap.classifiers import rename_classifier

    entry = rename_classifier(old, new)
    note(f"Renamed {old!r} to {entry.name!r}.")


@classifiers.command("remove")
def remove(name: Name) -> None:
    """Delete one of your classifiers from your library."""
    from napari_polmap.classifiers import remove_classifier

    remove_classifier(name)
    note(f"Removed {name!r}.")


def _about(classifier: Classifier) -> dict[str, Any]:
    return {
        "sha256": classifier.sha256,
        "model": classifier.model.kind,
        "directions": classifier.directions.to_dict(),
        "window_cells": classifier.window_cells,
        "threshold": classifier.threshold,
        "card": classifier.card,
    }


def _unit(value: float | list[float] | None, unit: str) -> str:
    if value is None:
        return "any"
    ends = value if isinstance(value, list) else [value]
    return f"{' to '.join(f'{end:.3g}' for end in ends)} {unit}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{name}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            if isinstance(value, list) and value and isinstance(value[0], list | Mapping):
                text = f"a table of {len(value)} rows, see --json"
            pairs.append((f"{prefix}{name}", text))
    return pairs
