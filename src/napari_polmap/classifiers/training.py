"""Training: labelled scans in, a calibrated classifier with its card out."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.classifiers.augmentation import Augmenter
from napari_polmap.classifiers.card import card_of, conditions_of, validation_figures
from napari_polmap.classifiers.classifier import Classifier
from napari_polmap.classifiers.ensemble import Ensemble
from napari_polmap.classifiers.models import FitProgress, Model, model_class
from napari_polmap.classifiers.models.features import Floats
from napari_polmap.classifiers.probabilities import (
    ProbabilityCalibration,
    choose_threshold,
    fit_calibration,
)
from napari_polmap.classifiers.recipes import Recipe, learns_by_epochs, preset_of
from napari_polmap.classifiers.reference import make_reference
from napari_polmap.classifiers.samples import Sampler
from napari_polmap.classifiers.splits import Split, folds, held_out
from napari_polmap.classifiers.training_set import TrainingSet, iter_training_set, scan_directions
from napari_polmap.errors import DatasetError
from napari_polmap.io.datasets import LabelledDataset, load_dataset
from napari_polmap.steps import finish

_STEPS = 1000
_READING = {False: 0.7, True: 0.1}
"""Share of the time that reading takes, of models that learn in one step and of networks."""
_LEAST_SHARE = 0.01

Stop = Callable[[], bool]


@dataclass(frozen=True)
class Curves:
    """How the fit of a network went, one value a pass over the patterns.

    Parameters
    ----------
    epochs : list of int
    loss, validation_loss, validation_accuracy : list of float
        NaN where not known.
    """

    epochs: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)

    def after(self, step: FitProgress) -> Curves:
        """With one pass more, or with the latest of the same pass."""
        kept = sum(epoch < step.epoch for epoch in self.epochs)
        return Curves(
            [*self.epochs[:kept], step.epoch],
            [*self.loss[:kept], _known(step.loss)],
            [*self.validation_loss[:kept], _known(step.validation_loss)],
            [*self.validation_accuracy[:kept], _known(step.validation_accuracy)],
        )


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is.

    Parameters
    ----------
    done, total : int
        Thousandths.
    message : str
        What is being done.
    remaining_s : float or None
        Expected remaining time in seconds, where it is known.
    curves : Curves or None
        Of the network that is learning.
    """

    done: int
    total: int
    message: str
    remaining_s: float | None = None
    curves: Curves | None = None


def train(
    dataset: LabelledDataset | str | Path,
    model: str | Sequence[str] = "pca-lda",
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
    model: str | Sequence[str] = "pca-lda",
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
    job = _Job(dataset, _kinds(model), recipe, seeds, objective, weights, device, stop)
    job.check()
    run = _Pace(job.by_epochs)
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
        if number and stop is not None and stop():
            break
        part = samples.of(split.fit)
        steps = job.iter_fit(part, samples.of(split.early), _own(checkpoint, number, fits))
        fitted = yield from run.fitting(steps, number, fits, curves)
        unseen = samples.of(split.judged)
        if clean & split.judged:
            unseen = job.exposed(unseen, number)
        probabilities.append(fitted.predict_proba(unseen.patterns))
        reference = make_reference(fitted, *job.shown(part), recipe.preprocessing.size, rng)
        novelties.append(reference.novelty_seen(fitted, unseen.patterns))
        judged.append(unseen)
    if not job.stops_early:
        steps = job.iter_fit(samples, None, checkpoint)
        fitted = yield from run.fitting(steps, fits - 1, fits, curves)
        reference = make_reference(fitted, *job.shown(samples), recipe.preprocessing.size, rng)
    assert fitted is not None
    yield run.at(0.99, "calibrating")
    unseen = TrainingSet.joined(judged)
    raw = np.concatenate(probabilities)
    calibration, threshold, figures = _calibrated(raw, unseen, dataset, recipe.calibration)
    stopped = stop is not None and stop()
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


@dataclass(frozen=True)
class _Job:
    """What stays the same over one training."""

    dataset: LabelledDataset
    kinds: tuple[str, ...]
    recipe: Recipe
    seeds: tuple[int, ...]
    objective: str
    weights: Path | None
    device: str
    stop: Stop | None
    noisy: bool = False

    @property
    def by_epochs(self) -> bool:
        return learns_by_epochs(self.kinds)

    @property
    def stops_early(self) -> bool:
        """Whether groups are kept apart to say when to stop."""
        return any(model_class(kind).stops_early for kind in self.kinds)

    @property
    def exposes(self) -> bool:
        """Whether patterns are drawn without noise, to get it anew in each batch."""
        recipe = self.recipe
        fresh = self.by_epochs and recipe.preprocessing.normalization == "sum"
        return fresh and recipe.sampling.dose is not None and not self.noisy

    @property
    def kinds_of_members(self) -> list[str]:
        return [kind for kind in self.kinds for _ in self.seeds]

    @property
    def augmenter(self) -> Augmenter:
        dose = self.recipe.sampling.dose if self.exposes else None
        return Augmenter(
            self.recipe.augmentation, self.recipe.preprocessing, self.dataset.directions, dose
        )

    def check(self) -> None:
        """Build the models once, so that what they refuse is told before anything is read."""
        if not self.seeds:
            raise DatasetError("There is no seed to train with; give at least one.")
        self._models()
        if not self.by_epochs:
            for label, value in (("objective", self.objective), ("weights", self.weights)):
                if value not in (None, "classification"):
                    raise DatasetError(
                        f"The {label} {str(value)!r} is for networks, and {self.kinds[0]} is none; "
                        f"leave it out, or choose another model."
                    )

    def splits(
        self, groups: Sequence[str], directions: Sequence[frozenset[int]], rng: np.random.Generator
    ) -> list[Split] | None:
        if not self.stops_early:
            return folds(groups, directions, self.recipe.folds, rng)
        one = held_out(groups, directions, self.recipe.validation_share, rng)
        return None if one is None else [one]

    def iter_fit(
        self, part: TrainingSet, early: TrainingSet | None, checkpoint: Path | None
    ) -> Generator[tuple[float, int, FitProgress], None, Model]:
        """Fit the model, or all of an ensemble; yields how far it is and the member's number."""
        part.need_all(self.dataset.directions)
        models = self._models()
        model = models[0]
        if len(models) > 1:
            model = Ensemble(self.dataset.directions, models, self.recipe.vote)
        patterns, directions = part.patterns, part.directions
        augment = self.augmenter if self.by_epochs else None
        if augment is None:
            rng = np.random.default_rng([self.seeds[0], len(patterns)])
            patterns, directions = self.augmenter.beforehand(patterns, directions, rng)
        validation = None
        if early is not None and len(early):
            validation = early.patterns, early.directions
        steps = model.iter_fit(
            patterns,
            directions,
            augment=augment,
            validation=validation,
            checkpoint=checkpoint,
            stop=self.stop,
        )
        while True:
            try:
                step = next(steps)
            except StopIteration as finished:
                fitted: Model = finished.value
                return fitted
            member = model.current if isinstance(model, Ensemble) else 0
            inside = (step.epoch - 1 + step.batch / max(1, step.batches)) / step.epochs
            yield (member + inside) / len(models), member, step

    def exposed(self, part: TrainingSet, number: int) -> TrainingSet:
        """Patterns that were drawn without noise, with it."""
        rng = np.random.default_rng([self.seeds[0], 2, number])
        patterns, electrons = self.augmenter.exposed(part.patterns, rng)
        return replace(part, patterns=patterns, electrons=electrons)

    def shown(self, part: TrainingSet) -> tuple[Floats, Any]:
        """Patterns as a classifier sees them, under all symmetries, for the reference."""
        if self.exposes:
            rng = np.random.default_rng([self.seeds[0], 1])
            patterns, directions = self.augmenter(*part.some(rng), rng)
            return self.augmenter.turned(patterns, directions)
        if self.by_epochs:
            return self.augmenter.turned(*part.some(np.random.default_rng([self.seeds[0], 1])))
        return self.augmenter.turned(part.patterns, part.directions)

    def _models(self) -> list[Model]:
        models: list[Model] = []
        size = self.recipe.preprocessing.size
        for kind in self.kinds:
            settings = self.recipe.settings_of(kind)
            if learns_by_epochs([kind]):
                settings |= {"objective": self.objective, "device": self.device}
                settings["weights"] = self.weights
            models += [
                model_class(kind)(self.dataset.directions, size=size, seed=seed, **settings)
                for seed in self.seeds
            ]
        return models


class _Pace:
    """From what has been done to the progress of the whole."""

    def __init__(self, by_epochs: bool) -> None:
        self._by_epochs = by_epochs
        self._start = time.monotonic()
        self._fit_start: tuple[float, float] | None = None
        self._curves: Curves | None = None

    def at(self, share: float, message: str, remaining_s: float | None = None) -> TrainingProgress:
        return TrainingProgress(int(_STEPS * share), _STEPS, message, remaining_s, self._curves)

    def reading(self, share: float, message: str) -> TrainingProgress:
        whole = share * _READING[self._by_epochs]
        return self.at(whole, message, None if self._by_epochs else self._left(whole))

    def fitting(
        self,
        steps: Generator[tuple[float, int, FitProgress], None, Model],
        number: int,
        fits: int,
        curves: list[Curves],
    ) -> Generator[TrainingProgress, None, Model]:
        """Progress of one fit of several; appends the curves of each network."""
        first = _READING[self._by_epochs]
        span = (0.98 - first) / fits
        what = "fitting" if number == fits - 1 else f"fold {number + 1} of {fits - 1}"
        begin = first + span * number
        yield self.at(begin, what, None if self._by_epochs else self._left(begin))
        last = -1
        while True:
            try:
                share, member, step = next(steps)
            except StopIteration as finished:
                fitted: Model = finished.value
                return fitted
            if self._by_epochs and member != last:
                curves.append(Curves())
                last = member
            if self._by_epochs and step.batch == step.batches:
                curves[-1] = curves[-1].after(step)
            self._curves = curves[-1] if curves else None
            whole = begin + span * share
            remaining = self._left_of_fit(share) if self._by_epochs else self._left(whole)
            yield self.at(whole, _told(step) if self._by_epochs else what, remaining)

    def _left(self, share: float) -> float | None:
        if share < _LEAST_SHARE:
            return None
        return (time.monotonic() - self._start) * (1 - share) / share

    def _left_of_fit(self, share: float) -> float | None:
        now = time.monotonic()
        if self._fit_start is None:
            self._fit_start = now, share
        since, begin = self._fit_start
        if share - begin < _LEAST_SHARE:
            return None
        return (now - since) * (1 - share) / (share - begin)


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


def _told(step: FitProgress) -> str:
    text = f"epoch {step.epoch} of at most {step.epochs}"
    if step.loss is not None:
        text += f", loss {step.loss:.3f}"
    if step.validation_accuracy is not None:
        text += f", validation accuracy {step.validation_accuracy:.3f}"
    return text


def _known(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _listed(curves: Curves) -> Mapping[str, list[float | None]]:
    return {
        name: [None if value != value else round(value, 5) for value in values]
        for name, values in vars(curves).items()
    }
