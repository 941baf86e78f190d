"""The card of a classifier: what it was trained on, and how well it does on unseen groups."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers.matching import TOLERANCES, overlap
from napari_polmap.classifiers.model_settings import learns_by_epochs
from napari_polmap.classifiers.models.base import Classes
from napari_polmap.classifiers.models.features import Floats
from napari_polmap.classifiers.recipes import Recipe
from napari_polmap.directions import DirectionSet
from napari_polmap.io.datasets import LabelledDataset
from napari_polmap.metrics import (
    by_condition,
    confusion_matrix,
    coverage,
    expected_calibration_error,
    mean_angular_error_deg,
    reliability,
    selective_accuracy,
)

_RANGES = (
    "thickness_nm",
    "tilt_mrad",
    "defocus_nm",
    "displacement_angstrom",
    "dose",
    "step_nm",
)
_ALIKE = 0.01
_SIGNIFICANT = 6


def card_of(
    dataset: LabelledDataset,
    recipe: Recipe,
    *,
    models: Sequence[str],
    preset: str,
    seeds: Sequence[int],
    objective: str,
    weights: str | None,
    counts: Mapping[str, int],
    training: Mapping[str, Any],
    validation: Mapping[str, Any],
) -> dict[str, Any]:
    """What a classifier was trained on, as plain values.

    Parameters
    ----------
    dataset : LabelledDataset
    recipe : Recipe
    models : sequence of str
        Kinds, of each member where there are several.
    preset : str
        The recipe's name.
    seeds : sequence of int
    objective : str
        What networks learned.
    weights : str or None
        Name of the file that networks began from.
    counts : mapping
        Patterns by what they served.
    training, validation : mapping
        How the fit went; figures on groups that the model had not seen.
    """
    values = [{**entry.calibration, **entry.conditions} for entry in dataset.scans]
    by_epochs = learns_by_epochs(models)
    packages = ["napari-polmap", "numpy", "scikit-learn", *(["torch"] if by_epochs else [])]
    card: dict[str, Any] = {
        "dataset": dataset.name,
        "dataset_sha256": dataset_sha256(dataset),
        "scans": len(dataset.scans),
        "groups": len({entry.group for entry in dataset.scans}),
        "patterns": dict(counts),
        "model": models[0] if len(set(models)) == 1 else list(models),
        "members": len(models),
        "objective": objective if by_epochs else None,
        "weights": weights,
        "preset": preset,
        "seed": seeds[0] if len(seeds) == 1 else list(seeds),
        "window_cells": recipe.window_cells,
        "crop_unit": recipe.preprocessing.unit,
        "electrons_after_window": recipe.sampling.dose and list(recipe.sampling.dose),
        "recipe": recipe.to_dict(),
        "training": dict(training),
        "validation": dict(validation),
        "tolerances": TOLERANCES,
        "software": {name: version(name) for name in packages},
    }
    for key in ("energy_kv", "semi_angle_mrad"):
        if known := _known(values, key):
            low, high = min(known), max(known)
            card[key] = float(np.mean(known)) if high <= low * (1 + _ALIKE) else [low, high]
    if known := _known(values, "lattice_nm"):
        card["lattice_nm"] = float(np.mean(known))
    for key in _RANGES:
        if known := _known(values, key):
            card[f"trained_{key}" if key == "step_nm" else key] = [min(known), max(known)]
    told = [card.get(key) for key in ("energy_kv", "semi_angle_mrad", "lattice_nm")]
    numbers = [value for value in told if isinstance(value, float)]
    if len(numbers) == len(told):
        card["overlap"] = overlap(*numbers)
        if recipe.window_cells:
            # Steps at which the window averages the lattice out, whatever the step in training.
            card["step_nm"] = [0.002, round(numbers[2] / 7, 4)]
    return card


def validation_figures(
    probabilities: Floats,
    truth: Classes,
    directions: DirectionSet,
    threshold: float,
    conditions: Mapping[str, npt.NDArray[np.float64]],
) -> dict[str, Any]:
    """Figures on groups that the model has not seen, as plain values.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (n, n_directions)
        Calibrated.
    truth : ndarray of int, shape (n,)
    directions : DirectionSet
    threshold : float
        Confidence below which a pattern is undecided.
    conditions : mapping
        Values of each pattern by their names, NaN where not known.

    Returns
    -------
    dict
        ``accuracy``, ``ece``, ``coverage``, ``selective_accuracy``, ``mean_angular_error_deg``,
        ``n``, ``confusion`` as counts ``[true][predicted]``, ``reliability`` and ``by`` condition
        with the rows of `napari_polmap.metrics`; ``None`` where a figure is not defined.
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    confidence = np.minimum(confidence, 1)
    right = predicted == truth
    figures = {
        "accuracy": float(right.mean()),
        "ece": expected_calibration_error(confidence, right),
        "coverage": coverage(confidence, threshold),
        "selective_accuracy": selective_accuracy(confidence, right, threshold),
        "mean_angular_error_deg": mean_angular_error_deg(predicted, truth, directions),
        "n": len(truth),
        "confusion": confusion_matrix(truth, predicted, len(directions)).tolist(),
        "reliability": reliability(confidence, right),
        "by": {
            name: by_condition(values, right)
            for name, values in conditions.items()
            if len(np.unique(values[np.isfinite(values)])) > 1
        },
    }
    rounded: dict[str, Any] = _rounded(figures)
    return rounded


def conditions_of(dataset: LabelledDataset) -> dict[str, npt.NDArray[np.float64]]:
    """Each numeric condition's value for each scan of a data set, NaN where it is not stated."""
    found: dict[str, npt.NDArray[np.float64]] = {}
    for index, entry in enumerate(dataset.scans):
        for name, value in entry.conditions.items():
            if _is_number(value):
                values = found.setdefault(name, np.full(len(dataset.scans), np.nan))
                values[index] = value
    return found


def dataset_sha256(dataset: LabelledDataset) -> str:
    """Hash over what the data set says of each scan, and which part of it counts."""
    told = [
        [
            *(str(e.group), list(map(str, e.direction or ())), e.calibration, e.conditions),
            # Said only where there is one, so that cards of earlier versions still tell the same.
            *([] if e.region is None else [str(e.region)]),
        ]
        for e in dataset.scans
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _known(values: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    return [float(v[key]) for v in values if _is_number(v.get(key))]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _rounded(value: Any) -> Any:
    """Floats with six significant digits, ``None`` instead of NaN."""
    if isinstance(value, Mapping):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.{_SIGNIFICANT}g}") if math.isfinite(value) else None
    return value
