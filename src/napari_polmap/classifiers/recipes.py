"""Recipes: everything that is chosen before training, from presets, TOML files and options."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_polmap.classifiers.augmentation import Augmentation
from napari_polmap.classifiers.context import Context
from napari_polmap.classifiers.ensemble import VOTES
from napari_polmap.classifiers.model_settings import read_settings, settings_taken
from napari_polmap.classifiers.models import MODELS
from napari_polmap.classifiers.probabilities import METHODS
from napari_polmap.classifiers.samples import Sampling
from napari_polmap.diffraction.preprocessing import Preprocessing
from napari_polmap.errors import DatasetError, PolmapError, reason
from napari_polmap.simulation.fields import (
    Kind,
    either,
    flag,
    listed,
    one_of,
    read_value,
    real,
    unknown,
    whole,
)

NETWORKS = "networks"
"""Table of a recipe's model settings that holds for every network."""


@dataclass(frozen=True)
class Recipe:
    """Everything that is chosen before training.

    Parameters
    ----------
    preprocessing : Preprocessing
    window_cells : float
        Width of the window when classifying.
    sampling : Sampling
        How training patterns are drawn.
    folds : int
        Parts, by group, of the cross-validation of the models on principal components.
    context : Context or None
        How neighboring windows speak together when classifying.
    settings : mapping
        The model's own parameters, where they are not its defaults; tables named as a model, or
        ``networks``, hold for these alone.
    augmentation : Augmentation
        How the drawn patterns are changed.
    validation_share : float
        Networks: share of the groups on which the fit is stopped early, and again of those on
        which the probabilities are calibrated and the figures measured.
    calibration : {"temperature", "isotonic"}
        See `fit_calibration`.
    max_patterns : int or None
        Training patterns drawn at most, the validation's included.
    vote : {"mean", "majority"}
        How the members of an ensemble speak together.
    """

    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    window_cells: float = 1.0
    sampling: Sampling = field(default_factory=Sampling)
    folds: int = 4
    context: Context | None = field(default_factory=Context)
    settings: Mapping[str, Any] = field(default_factory=dict)
    augmentation: Augmentation = field(default_factory=Augmentation)
    validation_share: float = 0.15
    calibration: str = "temperature"
    max_patterns: int | None = None
    vote: str = "mean"

    def settings_of(self, kind: str) -> dict[str, Any]:
        """The settings that a model of a kind takes from this recipe.

        Raises
        ------
        DatasetError
            If there is one that the model does not have, or it is not what it takes.
        """
        told = {k: v for k, v in self.settings.items() if not isinstance(v, Mapping)}
        if "epochs" in settings_taken(kind):
            told = {**self.settings.get(NETWORKS, {}), **told}
        told |= self.settings.get(kind, {})
        return read_settings(kind, told)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `recipe_from` reads them."""
        values = dataclasses.asdict(self)
        return _plain(
            {
                "preprocessing": values["preprocessing"],
                "window": {"cells": self.window_cells},
                "sampling": values["sampling"] | {"max_patterns": self.max_patterns},
                "augmentation": values["augmentation"],
                "validation": {
                    "folds": self.folds,
                    "share": self.validation_share,
                    "calibration": self.calibration,
                },
                "context": values["context"] or {"use": False},
                "ensemble": {"vote": self.vote},
                # Without this the preset's table would be taken again.
                "model": {NETWORKS: {}, **self.settings},
            }
        )


PRESETS = {
    "robust": Recipe(settings={NETWORKS: {"standardize": True}}),
    "paper": Recipe(
        preprocessing=Preprocessing(
            size=64, extent=None, center="percentile", normalization="minmax"
        ),
        window_cells=0.0,
        sampling=Sampling(
            patterns=65_536,
            width_cells=(0.0, 0.0),
            dose=None,
            center_jitter=0.0,
            radius_jitter=0.0,
            rotation_jitter_deg=0.0,
            blur=(0.0, 0.0),
            filter=True,
        ),
        context=None,
        augmentation=Augmentation(
            symmetry=False, blur_share=0.5, brightness_share=0.3, noise_share=0.2
        ),
        vote="majority",
    ),
    # Disks that do not overlap: patterns do not change within the cell, so that there is nothing
    # to average; six pixels from disk to disk, seven orders across.
    "nanobeam": Recipe(
        preprocessing=Preprocessing(size=42, extent=3.5, unit="lattice"),
        window_cells=0.0,
        sampling=Sampling(
            width_cells=(0.0, 0.0),
            dose=(500.0, 1e6),
            center_jitter=0.02,
            radius_jitter=0.015,
            blur=(0.0, 0.1),
        ),
        context=None,
        settings={NETWORKS: {"standardize": True}},
    ),
}
"""Recipes by name: ours for disks that overlap, the paper's (Martinc et al. 2026), and ours for
disks that do not."""


def _or_none(kind: Kind) -> Kind:
    """A kind, or the text "none"."""
    other = one_of("none")
    return either(kind, Kind(other.words, lambda value: other.read(value) and None))


def _rising(kind: Kind) -> Kind:
    """Two values, the second not below the first."""
    pair = listed(kind, 2)

    def read(value: Any) -> tuple[Any, ...]:
        low, high = pair.read(value)
        if high < low:
            raise ValueError
        return low, high

    return Kind(f"the lowest and the highest of a range, each {kind.words}", read)


_SHARE = real(0, 1)
FIELDS: Mapping[str, Mapping[str, tuple[Kind, str]]] = {
    "preprocessing": {
        "size": (whole(8), "Rows and columns of the pattern that the model sees."),
        "extent": (
            _or_none(real(0, above=True)),
            'Half width of the crop in units of `unit`; "none": `size` detector pixels.',
        ),
        "center": (
            one_of("disk", "percentile"),
            "The calibrated disk, or the mean pattern's pixels above the 95th percentile.",
        ),
        "normalization": (
            one_of("sum", "minmax"),
            "By the sum of the windowed pattern, or every single pattern to 0..1.",
        ),
        "unit": (
            one_of("radius", "lattice"),
            "What `extent` counts: radii of the disk, or distances of neighboring disks.",
        ),
    },
    "window": {
        "cells": (real(0, 20), "Width in unit cells when classifying; 0 for single patterns."),
    },
    "sampling": {
        "per_scan": (
            _or_none(whole(1)),
            'Patterns drawn from each scan; "none": as many as make `patterns` in all.',
        ),
        "patterns": (whole(1), "Patterns drawn from all scans together."),
        "max_patterns": (_or_none(whole(2)), "Patterns of all scans together at most."),
        "width_cells": (
            _rising(real(0, 20)),
            "Width of the window in unit cells; [0, 0] for single patterns.",
        ),
        "dose": (
            _or_none(_rising(real(0, above=True))),
            'Electrons in the windowed pattern; "none" leaves the patterns as they are.',
        ),
        "center_jitter": (real(0, 0.5), "Error of the disk's center, in units of its radius."),
        "radius_jitter": (real(0, 0.2), "Error of the disk's radius, as a share."),
        "rotation_jitter_deg": (real(0, 45), "Error of the detector's rotation in degrees."),
        "blur": (_rising(real(0, 1)), "Point spread of the detector, in units of the radius."),
        "filter": (
            flag(),
            "Only single patterns whose center of mass departs more than the scan's mean.",
        ),
        "operators": (whole(1), "Different errors drawn per detector geometry."),
    },
    "augmentation": {
        "symmetry": (flag(), "Turn and mirror patterns together with their directions."),
        "rotation_deg": (real(0, 45), "Small rotations up to this that leave the direction."),
        "blur_px": (_rising(real(0, above=True)), "Gaussian blur in pixels of the pattern."),
        "blur_share": (_SHARE, "Share of the patterns that are blurred."),
        "brightness": (_SHARE, "Largest offset, as a share of the brightest pixel."),
        "contrast": (_SHARE, "Largest change of the scale."),
        "brightness_share": (_SHARE, "Share of the patterns with another brightness."),
        "noise": (_rising(real(0)), "Gaussian noise, as a share of the brightest pixel."),
        "noise_share": (_SHARE, "Share of the patterns that get it."),
        "copies": (whole(0), "Changed copies for the models on principal components."),
    },
    "validation": {
        "folds": (whole(2), "Parts of the groups for models on principal components."),
        "share": (
            real(0.02, 0.4),
            "Networks: share of the groups for early stopping, and again for calibration.",
        ),
        "calibration": (one_of(*METHODS), "How the probabilities are calibrated."),
    },
    "context": {
        "use": (flag(), "Whether neighboring windows speak together when classifying."),
        "reach": (real(0, above=True), "How far, in widths of the window."),
        "agreement": (real(0), "How much those count that say something else."),
        "trust": (real(0), "How much those count that look unlike the training."),
        "gain": (real(0), "How much surer those that agree make each other."),
    },
    "ensemble": {"vote": (one_of(*VOTES), "How the members speak together.")},
}
"""What a recipe's file may hold, besides ``preset`` and the table ``model``."""


def read_recipe(path: str | Path, preset: str | None = None) -> Recipe:
    """Read a recipe from a TOML file.

    Parameters
    ----------
    path : str or Path
        Tables as in `FIELDS`, each with some of its fields; ``preset`` names the recipe that the
        rest is taken from ("robust" by default), ``[model]`` holds the model's own settings.
    preset : str, optional
        Instead of the file's.

    Raises
    ------
    DatasetError
        If it cannot be read, or a field is unknown or not what it takes.
    """
    path = Path(path).expanduser()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(
            f"The recipe {path} cannot be read ({reason(error)}); check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path} is not a text file, but a recipe is a TOML file; choose one."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise DatasetError(f"{path.name} is not a TOML file: {error}; correct it.") from error
    if preset is not None:
        values["preset"] = preset
    try:
        return recipe_from(values)
    except PolmapError as error:
        raise DatasetError(f"{path.name}: {error}") from error


def preset_of(name: Any) -> Recipe:
    """A preset by its name.

    Raises
    ------
    DatasetError
        If there is none.
    """
    if name not in PRESETS:
        raise DatasetError(f"There is no preset {name!r}; choose {' or '.join(PRESETS)}.")
    return PRESETS[name]


def recipe_from(values: Mapping[str, Any]) -> Recipe:
    """A recipe from plain values, as TOML has them; see `read_recipe`.

    Raises
    ------
    DatasetError
        If a field is unknown or not what it takes.
    """
    base = preset_of(values.get("preset", "robust"))
    tables = {key: value for key, value in values.items() if key != "preset"}
    settings = tables.pop("model", {})
    try:
        told = {name: _read_table(name, table) for name, table in tables.items()}
    except DatasetError:
        raise
    except PolmapError as error:
        raise DatasetError(str(error)) from error
    if not isinstance(settings, Mapping):
        raise DatasetError(f"[model] is {settings!r}, but must be a table of settings.")
    for name, value in settings.items():
        if isinstance(value, Mapping) and name not in (NETWORKS, *MODELS):
            raise DatasetError(
                f"[model.{name}] is for no model; write one of {', '.join((NETWORKS, *MODELS))}."
            )
    sampling, checked = told.get("sampling", {}), told.get("validation", {})
    recipe = Recipe(
        preprocessing=dataclasses.replace(base.preprocessing, **told.get("preprocessing", {})),
        window_cells=told.get("window", {}).get("cells", base.window_cells),
        sampling=dataclasses.replace(
            base.sampling, **{k: v for k, v in sampling.items() if k != "max_patterns"}
        ),
        folds=checked.get("folds", base.folds),
        context=_context(base.context, told.get("context", {})),
        settings={**base.settings, **settings},
        augmentation=dataclasses.replace(base.augmentation, **told.get("augmentation", {})),
        validation_share=checked.get("share", base.validation_share),
        calibration=checked.get("calibration", base.calibration),
        max_patterns=sampling.get("max_patterns", base.max_patterns),
        vote=told.get("ensemble", {}).get("vote", base.vote),
    )
    if recipe.sampling.filter and recipe.sampling.width_cells[1] > 0:
        raise DatasetError(
            "sampling.filter is true, but it tells single patterns apart; set "
            "sampling.width_cells to [0, 0], or the filter to false."
        )
    return recipe


def field_text() -> str:
    """The table of all fields with the presets' values, as Markdown."""
    presets = {name: recipe.to_dict() for name, recipe in PRESETS.items()}
    lines: list[str] = []
    for table, fields in FIELDS.items():
        lines += ["", f"### [{table}]", "", f"| field | takes | {' | '.join(presets)} | |"]
        lines.append("|---" * (3 + len(presets)) + "|")
        for name, (kind, about) in fields.items():
            own = [str(values[table].get(name, "")) for values in presets.values()]
            lines.append(f"| `{name}` | {kind.words} | {' | '.join(own)} | {about} |")
    models = [f"`{kind}`: {', '.join(settings_taken(kind))}" for kind in MODELS]
    lines += ["", "### [model]", "", "Settings of the model, or tables named as a model, or"]
    lines += ["`networks`, for these alone.", "", *(f"- {line}" for line in models)]
    return "\n".join(lines[1:]) + "\n"


def _read_table(table: str, values: Any) -> dict[str, Any]:
    if table not in FIELDS:
        raise DatasetError(unknown("The recipe", table, ["preset", *FIELDS, "model"]))
    if not isinstance(values, Mapping):
        raise DatasetError(f"[{table}] is {values!r}, but must be a table of fields.")
    known = FIELDS[table]
    for name in values:
        if name not in known:
            raise DatasetError(unknown(f"[{table}]", str(name), list(known)))
    return {
        name: read_value(known[name][0], value, f"{table}.{name}") for name, value in values.items()
    }


def _context(base: Context | None, told: Mapping[str, Any]) -> Context | None:
    if not told.get("use", base is not None or bool(told)):
        return None
    rest = {key: value for key, value in told.items() if key != "use"}
    return dataclasses.replace(base or Context(), **rest)


def _plain(value: Any) -> Any:
    """Without ``None`` and tuples, which TOML and JSON do not have."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return "none" if value is None else value
