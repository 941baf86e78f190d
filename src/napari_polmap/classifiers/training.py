"""Training: labelled scans in, a calibrated classifier with its card out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers.classifier import Classifier
from napari_polmap.classifiers.context import Context
from napari_polmap.classifiers.matching import TOLERANCES, overlap
from napari_polmap.classifiers.models import Model, model_class
from napari_polmap.classifiers.probabilities import ProbabilityCalibration
from napari_polmap.classifiers.reference import Reference
from napari_polmap.classifiers.samples import Sampler, Sampling, with_symmetry
from napari_polmap.diffraction.preprocessing import Preprocessing
from napari_polmap.directions import DirectionSet
from napari_polmap.errors import DatasetError
from napari_polmap.io.datasets import LabelledDataset, LabelledScan, load_dataset
from napari_polmap.metrics import coverage, expected_calibration_error, selective_accuracy
from napari_polmap.steps import finish

_VECTORS_PER_CLASS = 512
_WANTED_ACCURACY = 0.9
_THRESHOLDS = (0.3, 0.6)
"""Above the highest a calibrated direction is more likely right than wrong: never hide that."""


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
        Parts, by group, of the cross-validation that calibrates the probabilities.
    context : Context or None
        How neighboring windows speak together when classifying.
    settings : mapping
        The model's own parameters, where they are not its defaults.
    """

    preprocessing: Preprocessing
    window_cells: float
    sampling: Sampling
    folds: int = 4
    context: Context | None = field(default_factory=Context)
    settings: Mapping[str, Any] = field(default_factory=dict)


PRESETS = {
    "robust": Recipe(Preprocessing(), 1.0, Sampling()),
    "paper": Recipe(
        Preprocessing(size=64, extent=None, center="percentile", normalization="minmax"),
        0.0,
        Sampling(
            per_scan=8,
            width_cells=(0.0, 0.0),
            dose=None,
            center_jitter=0.0,
            radius_jitter=0.0,
            symmetry=False,
        ),
        context=None,
    ),
}
"""Recipes by name: ours, and the paper's patterns (Martinc et al. 2026)."""


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is.

    Parameters
    ----------
    done, total : int
        Steps.
    message : str
        What is being done.
    """

    done: int
    total: int
    message: str


def train(
    dataset: LabelledDataset | str | Path,
    model: str = "pca-lda",
    *,
    preset: str = "robust",
    recipe: Recipe | None = None,
    seed: int = 0,
    name: str | None = None,
    progress: Callable[[TrainingProgress], object] | None = None,
) -> Classifier:
    """Train a classifier; see `iter_train`."""
    steps = iter_train(dataset, model, preset=preset, recipe=recipe, seed=seed, name=name)
    return finish(steps, progress)


def iter_train(
    dataset: LabelledDataset | str | Path,
    model: str = "pca-lda",
    *,
    preset: str = "robust",
    recipe: Recipe | None = None,
    seed: int = 0,
    name: str | None = None,
) -> Generator[TrainingProgress, None, Classifier]:
    """Train a classifier step by step.

    The probabilities are calibrated, and the threshold chosen, on groups that the model of each
    fold has not seen; the model that is kept then learns from all groups.

    Parameters
    ----------
    dataset : LabelledDataset, str or Path
        Labelled scans, or the TOML file that lists them.
    model : str
        A name of `MODELS`.
    preset : {"robust", "paper"}
    recipe : Recipe, optional
        Instead of a preset's.
    seed : int
        Same seed, same classifier.
    name : str, optional
        The classifier's name; by default the data set's.

    Raises
    ------
    DatasetError
        If a scan has no single direction, or a direction has no scan.
    """
    if not isinstance(dataset, LabelledDataset):
        dataset = load_dataset(dataset)
    if recipe is None:
        if preset not in PRESETS:
            raise DatasetError(f"There is no preset {preset!r}; choose {' or '.join(PRESETS)}.")
        recipe = PRESETS[preset]
    rng = np.random.default_rng(seed)
    sampler = Sampler(recipe.preprocessing, recipe.sampling, rng)
    total = len(dataset.scans) + recipe.folds + 2
    patterns, directions, origins = [], [], []
    for index, entry in enumerate(dataset.scans):
        if index % 20 == 0:
            yield TrainingProgress(index, total, f"reading scan {index + 1}")
        drawn = sampler.draw(entry.open())
        patterns.append(drawn)
        directions += [_single_direction(entry, dataset.directions)] * len(drawn)
        origins += [index] * len(drawn)
    samples = _Samples(
        np.concatenate(patterns),
        np.array(directions),
        np.array([entry.group for entry in dataset.scans])[origins],
    )
    _need_all(samples.directions, dataset.directions)
    if len(set(samples.groups)) < 2:
        raise DatasetError(
            f"All scans of {dataset.name!r} are of one group, but calibration needs specimens "
            "that training has not seen; add scans of another specimen and name it in `group`."
        )
    probabilities, components = np.zeros((len(samples), len(dataset.directions)), np.float32), []
    for fold, held_out in enumerate(_folds(samples.groups, recipe.folds, rng)):
        yield TrainingProgress(len(dataset.scans) + fold, total, "calibrating")
        fitted = _fit(samples.part(~held_out), model, recipe, dataset.directions, seed)
        unseen = samples.patterns[held_out]
        probabilities[held_out] = fitted.predict_proba(unseen)
        reference = _reference(fitted, samples.part(~held_out), dataset.directions, recipe, rng)
        components.append(reference.novelty(fitted.features.project(unseen)))
    yield TrainingProgress(total - 2, total, "fitting")
    fitted = _fit(samples, model, recipe, dataset.directions, seed)
    reference = _reference(fitted, samples, dataset.directions, recipe, rng)
    scale = float(np.percentile(np.concatenate(components), 99))
    calibration, threshold, figures = _calibrate(probabilities, samples.directions)
    yield TrainingProgress(total - 1, total, "finishing")
    return Classifier(
        name=name or dataset.name,
        directions=dataset.directions,
        preprocessing=recipe.preprocessing,
        window_cells=recipe.window_cells,
        model=fitted,
        calibration=calibration,
        threshold=threshold,
        card=_card(dataset, recipe, model, preset, seed, figures, len(samples)),
        reference=replace(reference, novelty_scale=scale * reference.novelty_scale),
        context=recipe.context,
    )


@dataclass(frozen=True)
class _Samples:
    patterns: npt.NDArray[np.float32]
    directions: npt.NDArray[np.intp]
    groups: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.patterns)

    def part(self, mask: npt.NDArray[np.bool_]) -> _Samples:
        return _Samples(self.patterns[mask], self.directions[mask], self.groups[mask])


def _fit(
    samples: _Samples, model: str, recipe: Recipe, directions: DirectionSet, seed: int
) -> Model:
    patterns, classes = samples.patterns, samples.directions
    if recipe.sampling.symmetry:
        size = recipe.preprocessing.size
        patterns, classes, _ = with_symmetry(patterns, classes, directions, size)
    estimator = model_class(model)(
        directions, size=recipe.preprocessing.size, seed=seed, **recipe.settings
    )
    return estimator.fit(patterns, classes)


def _reference(
    fitted: Model,
    samples: _Samples,
    directions: DirectionSet,
    recipe: Recipe,
    rng: np.random.Generator,
) -> Reference:
    size = recipe.preprocessing.size
    patterns, classes = samples.patterns, samples.directions
    if recipe.sampling.symmetry:
        patterns, classes, _ = with_symmetry(patterns, classes, directions, size)
    means = np.stack([patterns[classes == k].mean(axis=0) for k in range(len(directions))])
    components = fitted.features.project(patterns)
    mean = components.mean(axis=0)
    covariance = np.cov(components.T) + 1e-6 * np.eye(components.shape[1])
    values, vectors = np.linalg.eigh(covariance)
    whitening = (vectors / np.sqrt(values)).T
    kept = np.concatenate(
        [
            rng.permutation(np.nonzero(classes == k)[0])[:_VECTORS_PER_CLASS]
            for k in range(len(directions))
        ]
    )
    return Reference(
        class_means=means.reshape(-1, size, size).astype(np.float32),
        vectors=components[kept].astype(np.float32),
        directions=classes[kept].astype(np.uint8),
        mean=mean.astype(np.float32),
        whitening=whitening.astype(np.float32),
        novelty_scale=1.0,
    )


def _calibrate(
    probabilities: npt.NDArray[np.float32], directions: npt.NDArray[np.intp]
) -> tuple[ProbabilityCalibration, float, dict[str, float]]:
    """Temperature of least cross-entropy, threshold, and figures, on unseen groups."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        calibrated = ProbabilityCalibration(float(np.exp(log_temperature))).apply(probabilities)
        own = calibrated[np.arange(len(directions)), directions]
        return float(-np.log(np.maximum(own, 1e-9)).mean())

    best = minimize_scalar(loss, bounds=(np.log(0.2), np.log(20)), method="bounded")
    calibration = ProbabilityCalibration(float(np.exp(best.x)))
    calibrated = calibration.apply(probabilities)
    confidence = calibrated.max(axis=1)
    right = calibrated.argmax(axis=1) == directions
    threshold = _THRESHOLDS[1]
    for candidate in np.arange(*_THRESHOLDS, 0.01):
        if selective_accuracy(confidence, right, candidate) >= _WANTED_ACCURACY:
            threshold = float(round(candidate, 2))
            break
    decided = coverage(confidence, threshold)
    figures = {
        "accuracy": float(right.mean()),
        "ece": expected_calibration_error(confidence, right),
        "coverage": decided,
        "selective_accuracy": selective_accuracy(confidence, right, threshold) if decided else 0.0,
    }
    return calibration, threshold, {key: round(value, 4) for key, value in figures.items()}


def _card(
    dataset: LabelledDataset,
    recipe: Recipe,
    model: str,
    preset: str,
    seed: int,
    figures: dict[str, float],
    samples: int,
) -> dict[str, Any]:
    """What the classifier was trained on, as plain values."""
    values = [{**entry.calibration, **entry.conditions} for entry in dataset.scans]

    def known(key: str) -> list[float]:
        numbers = [v[key] for v in values if isinstance(v.get(key), int | float)]
        return [float(number) for number in numbers]

    card: dict[str, Any] = {
        "dataset": dataset.name,
        "dataset_sha256": _hash(dataset),
        "scans": len(dataset.scans),
        "groups": len({entry.group for entry in dataset.scans}),
        "patterns": samples,
        "model": model,
        "preset": preset,
        "seed": seed,
        "window_cells": recipe.window_cells,
        "electrons_after_window": recipe.sampling.dose,
        "cross_validation": figures,
        "tolerances": TOLERANCES,
        "software": {p: version(p) for p in ("napari-polmap", "numpy", "scikit-learn")},
    }
    for key in ("energy_kv", "semi_angle_mrad", "lattice_nm"):
        if known(key):
            card[key] = float(np.mean(known(key)))
    for key in (
        "thickness_nm", "tilt_mrad", "defocus_nm", "displacement_angstrom", "dose",
    ):  # fmt: skip
        if known(key):
            card[key] = [min(known(key)), max(known(key))]
    if {"energy_kv", "semi_angle_mrad", "lattice_nm"} <= card.keys():
        card["overlap"] = overlap(card["energy_kv"], card["semi_angle_mrad"], card["lattice_nm"])
        if recipe.window_cells:
            # Steps at which the window averages the lattice out, whatever the step in training.
            card["step_nm"] = [0.002, round(card["lattice_nm"] / 7, 4)]
    return card


def _hash(dataset: LabelledDataset) -> str:
    """Hash over what the data set says of each scan, and the sizes of the files."""
    told = [
        [str(e.group), list(map(str, e.direction or ())), e.calibration, e.conditions]
        for e in dataset.scans
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _single_direction(entry: LabelledScan, directions: DirectionSet) -> int:
    if entry.direction is None or len(entry.direction) != 1:
        raise DatasetError(
            f"{entry.path.name} has no single direction, which training needs; give it "
            'direction = "NAME" or leave the scan out.'
        )
    return directions.index(entry.direction[0])


def _need_all(classes: npt.NDArray[np.intp], directions: DirectionSet) -> None:
    missing = sorted(set(range(len(directions))) - set(classes.tolist()))
    if missing:
        raise DatasetError(
            "The data set has no scan of "
            f"{', '.join(directions.names[k] for k in missing)}; add some or leave these "
            "directions out."
        )


def _folds(
    groups: npt.NDArray[np.str_], folds: int, rng: np.random.Generator
) -> Sequence[npt.NDArray[np.bool_]]:
    """Masks of held-out samples, by group."""
    names = rng.permutation(np.unique(groups))
    return [np.isin(groups, part) for part in np.array_split(names, min(folds, len(names)))]
