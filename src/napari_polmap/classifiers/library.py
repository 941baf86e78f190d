"""The installed classifiers: those that come with the program and the user's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from napari_polmap.calibration import Calibration
from napari_polmap.classifiers.classifier import Classifier
from napari_polmap.classifiers.files import read_card, read_classifier
from napari_polmap.classifiers.matching import mismatches, unknowns
from napari_polmap.errors import ClassifierError, reason, unwritable

_SUFFIX = ".safetensors"
DEFAULT = "default"
"""Name under which the recommended bundled classifier is found as well."""
_DEFAULT_NAME = "knn-200kv-24mrad"


@dataclass(frozen=True)
class Entry:
    """An installed classifier.

    Parameters
    ----------
    name : str
        Name to load it by.
    path : Path
    origin : {"bundled", "user"}
    """

    name: str
    path: Path
    origin: Literal["bundled", "user"]


def user_folder() -> Path:
    """Where the user's own classifiers lie; ``POLMAP_CLASSIFIERS`` names another folder."""
    from platformdirs import user_data_path

    named = os.environ.get("POLMAP_CLASSIFIERS")
    return Path(named) if named else user_data_path("napari-polmap") / "classifiers"


def list_classifiers() -> list[Entry]:
    """The bundled classifiers, the default first, then the user's by name."""
    bundled = Path(__file__).parents[1] / "data" / "classifiers"
    entries = [Entry(p.stem, p, "bundled") for p in sorted(bundled.glob(f"*{_SUFFIX}"))]
    entries.sort(key=lambda entry: entry.name != _DEFAULT_NAME)
    entries += [Entry(p.stem, p, "user") for p in sorted(user_folder().glob(f"*{_SUFFIX}"))]
    return entries


def load_classifier(name_or_path: str | Path) -> Classifier:
    """A classifier by its name in the library, or by its file's path.

    Parameters
    ----------
    name_or_path : str or Path
        ``"default"``, a name of `list_classifiers`, or a ``.safetensors`` file.

    Raises
    ------
    ClassifierError
        If there is none of that name, or the file is not a classifier.
    """
    name = _DEFAULT_NAME if name_or_path == DEFAULT else str(name_or_path)
    for entry in list_classifiers():
        if entry.name == name:
            return read_classifier(entry.path)
    path = Path(name_or_path)
    if path.exists() or path.suffix == _SUFFIX or len(path.parts) > 1:
        return read_classifier(path)
    names = ", ".join([DEFAULT, *(entry.name for entry in list_classifiers())])
    raise ClassifierError(
        f"There is no classifier named {str(name_or_path)!r}; choose one of {names}, or give a "
        "file."
    )


def suggest_classifier(calibration: Calibration, instead_of: Path | None = None) -> Entry | None:
    """An installed classifier that applies to a scan, the bundled ones first.

    Parameters
    ----------
    calibration : Calibration
        The scan's; without voltage and semi-angle nothing is suggested.
    instead_of : Path, optional
        File of a classifier that is not meant.
    """
    for entry in list_classifiers():
        if instead_of is not None and entry.path == instead_of:
            continue
        try:
            card = _card(entry.path, entry.path.stat().st_mtime_ns)
        except (OSError, ClassifierError):
            continue
        stated = all(card.get(name) is not None for name in ("energy_kv", "semi_angle_mrad"))
        if stated and not unknowns(card, calibration) and not mismatches(card, calibration):
            return entry
    return None


@lru_cache(maxsize=256)
def _card(path: Path, _changed: int) -> Mapping[str, Any]:
    """A classifier's card; read once as long as the file does not change."""
    return read_card(path)


def add_classifier(path: str | Path) -> Entry:
    """Copy a classifier file into the user's library, under its file name.

    Raises
    ------
    ClassifierError
        If it is not a classifier, or the name is taken.
    """
    source = Path(path)
    read_classifier(source)
    target = _free(source.stem)
    part = target.with_suffix(".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, part)
        part.replace(target)
    except OSError as error:
        if part.parent.is_dir():
            part.unlink(missing_ok=True)
        raise ClassifierError(unwritable(f"The classifier {target}", target, error)) from error
    return Entry(target.stem, target, "user")


def rename_classifier(old: str, new: str) -> Entry:
    """Give a classifier of the user's another name."""
    entry = _users(old)
    target = _free(new)
    with _changing(entry):
        entry.path.rename(target)
    return Entry(target.stem, target, "user")


def remove_classifier(name: str) -> None:
    """Delete a classifier of the user's from the library."""
    entry = _users(name)
    with _changing(entry):
        entry.path.unlink()


@contextmanager
def _changing(entry: Entry) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ClassifierError(
            f"The classifier {entry.path} cannot be changed ({reason(error)}); check who may write "
            "in its folder."
        ) from error


def _users(name: str) -> Entry:
    name = _DEFAULT_NAME if name == DEFAULT else name
    for entry in list_classifiers():
        if entry.name == name and entry.origin == "user":
            return entry
        if entry.name == name:
            raise ClassifierError(
                f"{name!r} comes with the program and cannot be changed; copy its file under "
                "another name and add that."
            )
    raise ClassifierError(
        f"There is no classifier named {name!r}; list the installed ones with 'polmap classifiers'."
    )


def check_name(name: str) -> None:
    """See that a classifier can have a name.

    Raises
    ------
    ClassifierError
        If it cannot.
    """
    if name in ("", ".", "..", DEFAULT) or Path(name).name != name:
        raise ClassifierError(
            f"{name!r} cannot be a classifier's name; choose one without slashes, other than "
            f"{DEFAULT!r}."
        )


def _free(name: str) -> Path:
    check_name(name)
    if any(entry.name == name for entry in list_classifiers()):
        raise ClassifierError(
            f"A classifier named {name!r} is installed already; rename or remove that first."
        )
    return user_folder() / f"{name}{_SUFFIX}"
