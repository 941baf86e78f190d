"""The settings that a recipe may give a model: their names, and what each takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from napari_polmap.classifiers.models import model_class
from napari_polmap.errors import DatasetError, PolmapError
from napari_polmap.simulation.fields import (
    Kind,
    either,
    flag,
    one_of,
    read_value,
    real,
    text,
    unknown,
    whole,
)

_NOT_OF_A_RECIPE = ("directions", "size", "seed", "objective", "weights", "device")
_OF_TYPES = {bool: flag(), int: whole(1), float: real(0), str: text()}
_OF_NAMES = {
    "odd": whole(2),
    "products": whole(),
    "depth": whole(),
    "batch": whole(2),
    "dropout": real(0, 1),
    "shrinkage": either(one_of("auto"), real(0, 1)),
}


def settings_taken(kind: str) -> list[str]:
    """Names of the settings that a recipe may give a model of a kind."""
    return list(_kinds(kind))


def learns_by_epochs(kinds: Sequence[str]) -> bool:
    """Whether one of the models passes over its patterns several times, as networks do."""
    return any("epochs" in settings_taken(kind) for kind in kinds)


def read_settings(kind: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a model of a kind, checked.

    Raises
    ------
    DatasetError
        If there is one that the model does not have, or it is not what it takes.
    """
    known = _kinds(kind)
    for name in told:
        if name not in known:
            raise DatasetError(unknown(f"The model {kind}", name, list(known)))
    try:
        return {name: read_value(known[name], v, f"model.{name}") for name, v in told.items()}
    except PolmapError as error:
        raise DatasetError(str(error)) from error


def _kinds(kind: str) -> dict[str, Kind]:
    parameters = inspect.signature(model_class(kind)).parameters
    return {
        name: _OF_NAMES.get(name) or _OF_TYPES[type(parameter.default)]
        for name, parameter in parameters.items()
        if name not in _NOT_OF_A_RECIPE
    }
