"""Training: labelled scans in, a calibrated classifier with its card out."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.classifiers.card import card_of, conditions_of, validation_figures
from napari_polmap.classifiers.classifier import Classifier
from napari_polmap.classifiers.ensemble import Ensemble
from napari_polmap.classifiers.models import DEFAULT_MODEL, Model
from napari_polmap.classifiers.models.features import Floats
from napari_polmap.classifiers.probabilities import (
    ProbabilityCalibration,
    choose_threshold,
    fit_calibration,
)
from napari_polmap.classifiers.recipes import Recipe, preset_of
from napari_polmap.classifiers.reference import make_reference
from napari_polmap.classifiers.samples import Sampler
from napari_polmap.classifiers.training_job import Job, Stop
from napari_polmap.classifiers.training_progress import Curves, Pace, TrainingProgress
from napari_polmap.classifiers.training_set import TrainingSet, iter_training_set, scan_directions
from napari_polmap.errors import DatasetError
from napari_polmap.io.datasets import LabelledDataset, load_dataset
from napari_polmap.steps import finish


def train(
    dataset: LabelledDataset | str | Path,
    model: str | Sequence[str] = DEFAULT_MODEL,
    *,
    progress: Callable[[TrainingProgress], object] | None = None,
    **options: Any,
) -> Classifier:
    """Train a classifier; see `iter_train` for the options.

    Parameters
    ----------
    dataset : LabelledDataset, str or Path
    model : str or sequence of str
    progress : callable, optional
        Called with each `TrainingProgress`.
    **options
        See `iter_train`.
    """
    return finish(iter_train(dataset, model, **options), progress)


def iter_train(
    dataset: LabelledDataset | str | Path,
    model: str | Sequence[str] = DEFAULT_MODEL,
    *,
    objective: str = "classification",
    preset: str = "robust",
    recipe: Recipe | None = None,
    seed: int = 0,
    seeds: Sequence[int] | None = None,
    name: str | None = None,
    weights: Path | None = None,
    device: str = "auto",
    checkpoint: Path | None = None,
    stop: Stop | None = None,
    max_patterns: int | None = None,
) -> Generator[TrainingProgress, None, Classifier]:
    """Train a classifier step by step.

    Probabilities are calibrated, the threshold is chosen, and the figures on the card are measured
    on groups that the model has not seen. Models on principal components, and `parity`: each fold
    of the groups is judged by a model of the others, and the one that is kept learns from all.
    Other networks: some groups say when to stop and others are judged; neither is learned from.

    Where every direction is of one group only, the patterns of each scan are parted instead, and
    the card says so (``validation.split`` is "positions"): its figures are then too good.

    Parameters
    ----------
    dataset : LabelledDataset, str or Path
        Labelled scans, or the TOML file that lists them.
    model : str or sequence of str
        Names of `MODELS`; several make an ensemble.
    objective : {"classification", "regression", "prototype"}
        What networks learn.
    preset : {"robust", "paper"}
    recipe : Recipe, optional
        Instead of a preset's; `preset` is then only its name on the card.
    seed : int
        Same seed, same classifier (on a CPU).
    seeds : sequence of int, optional
        One model each, as an ensemble; the first one also draws the patterns.
    name : str, optional
        The classifier's name; by default the data set's.
    weights : Path, optional
        A file that networks begin from.
    device : {"auto", "cpu", "cuda"}
        Where networks learn.
    checkpoint : Path, optional
        A ``.safetensors`` file kept up to date, from which the same training goes on.
    stop : callable, optional
        Asked at each step: once it says so the training ends with the best so far.
    max_patterns : int, optional
        Patterns drawn at most, instead of the recipe's.

    Yields
    ------
    TrainingProgress

    Returns
    -------
    Classifier

    Raises
    ------
    DatasetError
        If the data set or the recipe does not serve.
    ClassifierError
        If there is no such model, or it cannot learn this.
    TrainingStoppedError
        If it was stopped before there was anything to keep.
    """
    if not isinstance(dataset, LabelledDataset):
        dataset = load_dataset(dataset)
    if recipe is None:
        recipe = preset_of(preset)
    if max_patterns is not None:
        recipe = replace(recipe, max_patterns=max_patterns)
    seeds = (seed,) if seeds is None else tuple(seeds)
    job = Job(dataset, _kinds(model), recipe, seeds, objective, weights, device, stop)
    job.check()
    run = Pace(job.by_epochs, job.names_of_members)
    rng = np.random.default_rng(seeds[0])
    sampler = Sampler(recipe.preprocessing, recipe.sampling, rng)
    entries = scan_directions(dataset)
    groups = [entry.group for entry in dataset.scans]
    splits = job.splits(groups, entries, rng)
    clean: frozenset[str] = frozenset()
    if splits is not None and job.exposes:
        clean = splits[0].fit if job.stops_early else frozenset(groups)
    samples, parts = None, iter_training_set(dataset, sampler, recipe.max_patterns, clean, stop)
    while samples is None:
        try:
            share, message = next(parts)
        except StopIteration as finished:
            samples = finished.value
        else:
            yield run.reading(share, message)
    kind_of_split = "groups"
    if splits is None:
        kind_of_split, job = "positions", replace(job, noisy=True)
        samples = samples.parted()
        told = [frozenset([int(k)]) for k in samples.directions]
        splits = job.splits(samples.groups.tolist(), told, rng)
        assert splits is not None
    probabilities: list[Floats] = []
    novelties: list[Floats] = []
    judged: list[TrainingSet] = []
    fitted: Model | None = None
    fits = 1 if job.stops_early else len(splits) + 1
    curves: list[Curves] = []
    for number, split in enumerate(splits):
        if number and _asked(stop):
            break
        part = samples.of(split.fit)
        steps = job.iter_fit(part, samples.of(split.early), _own(checkpoint, number, fits))
        latest = yield from run.fitting(steps, number, fits, curves)
        if number and job.by_epochs and _asked(stop):
            # The network of the fold before has learned to its end, this one has not.
            break
        fitted = latest
        unseen = samples.of(split.judged)
        if clean & split.judged:
            unseen = job.exposed(unseen, number)
        probabilities.append(fitted.predict_proba(unseen.patterns))
        reference = make_reference(fitted, *job.shown(part), recipe.preprocessing.size, rng)
        novelties.append(reference.novelty_seen(fitted, unseen.patterns))
        judged.append(unseen)
    if not job.stops_early and not (job.by_epochs and _asked(stop)):
        steps = job.iter_fit(samples, None, checkpoint)
        latest = yield from run.fitting(steps, fits - 1, fits, curves)
        if not (job.by_epochs and _asked(stop)):
            fitted = latest
            reference = make_reference(fitted, *job.shown(samples), recipe.preprocessing.size, rng)
    assert fitted is not None
    yield run.at(0.99, "calibrating")
    unseen = TrainingSet.joined(judged)
    raw = np.concatenate(probabilities)
    calibration, threshold, figures = _calibrated(raw, unseen, dataset, recipe.calibration)
    stopped = _asked(stop)
    scale = float(np.percentile(np.concatenate(novelties), 99))
    members = len(fitted.members) if isinstance(fitted, Ensemble) else 1
    card = card_of(
        dataset,
        recipe,
        models=job.kinds_of_members[:members],
        preset=preset,
        seeds=seeds,
        objective=objective,
        weights=None if weights is None else Path(weights).name,
        counts={"drawn": len(samples), "judged": len(unseen)},
        training={"stopped": stopped, "curves": [_listed(one) for one in curves]},
        validation={"split": kind_of_split, **figures},
    )
    return Classifier(
        name=name or dataset.name,
        directions=dataset.directions,
        preprocessing=recipe.preprocessing,
        window_cells=recipe.window_cells,
        model=fitted,
        calibration=calibration,
        threshold=threshold,
        card=card,
        reference=replace(reference, novelty_scale=max(scale, 1e-6)),
        context=recipe.context,
    )


def _asked(stop: Stop | None) -> bool:
    return stop is not None and stop()


def checkpoint_files(checkpoint: Path) -> list[Path]:
    """The files that trainings with a checkpoint keep: its own, of folds, of an ensemble's members.

    Parameters
    ----------
    checkpoint : Path
        As given to `iter_train`.
    """
    name = re.compile(
        rf"{re.escape(checkpoint.stem)}(-fold-\d+)?(-\d+)?{re.escape(checkpoint.suffix)}"
    )
    return [path for path in checkpoint.parent.glob("*") if name.fullmatch(path.name)]


def _own(checkpoint: Path | None, number: int, fits: int) -> Path | None:
    """The checkpoint of one fit of several; the last one has the name itself."""
    if checkpoint is None or number == fits - 1:
        return checkpoint
    return checkpoint.with_name(f"{checkpoint.stem}-fold-{number + 1}{checkpoint.suffix}")


def _calibrated(
    probabilities: Floats, unseen: TrainingSet, dataset: LabelledDataset, method: str
) -> tuple[ProbabilityCalibration, float, dict[str, Any]]:
    """Calibration and threshold from all judged groups; figures by halves of them.

    Each half is judged with the calibration of the other one.
    """
    calibration = fit_calibration(probabilities, unseen.directions, method)
    halves = unseen.halves()
    crossed = calibration.apply(probabilities)
    if halves.any() and not halves.all():
        for half in (halves, ~halves):
            other = fit_calibration(probabilities[~half], unseen.directions[~half], method)
            crossed[half] = other.apply(probabilities[half])
    right = crossed.argmax(axis=1) == unseen.directions
    threshold = choose_threshold(crossed.max(axis=1), right)
    conditions = {name: v[unseen.scans] for name, v in conditions_of(dataset).items()}
    conditions["electrons"] = unseen.electrons
    figures = validation_figures(
        crossed, unseen.directions, dataset.directions, threshold, conditions
    )
    return calibration, threshold, figures


def _kinds(model: str | Sequence[str]) -> tuple[str, ...]:
    kinds = (model,) if isinstance(model, str) else tuple(model)
    if not kinds:
        raise DatasetError("There is no model to train; give the name of one.")
    return kinds


def _listed(curves: Curves) -> Mapping[str, list[float | None]]:
    return {
        name: [None if value != value else round(value, 5) for value in values]
        for name, values in vars(curves).items()
    }
