"""What stays the same over one training: its models, how they are fitted and what they see."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.classifiers.augmentation import Augmenter
from napari_polmap.classifiers.ensemble import Ensemble
from napari_polmap.classifiers.model_settings import learns_by_epochs
from napari_polmap.classifiers.models import FitProgress, Model, model_class
from napari_polmap.classifiers.models.features import Floats
from napari_polmap.classifiers.recipes import Recipe
from napari_polmap.classifiers.splits import Split, folds, held_out
from napari_polmap.classifiers.training_set import TrainingSet
from napari_polmap.errors import DatasetError
from napari_polmap.io.datasets import LabelledDataset

Stop = Callable[[], bool]


@dataclass(frozen=True)
class Job:
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
        """Whether a model passes over its patterns several times, as networks do."""
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
        """Kind of each model, one for each seed."""
        return [kind for kind in self.kinds for _ in self.seeds]

    @property
    def names_of_members(self) -> list[str]:
        """Kind of each model, with its seed where there are several, for people."""
        seeds = [f" seed {seed}" for seed in self.seeds] if len(self.seeds) > 1 else [""]
        return [kind + seed for kind in self.kinds for seed in seeds]

    @property
    def augmenter(self) -> Augmenter:
        """The recipe's augmentation for these directions."""
        dose = self.recipe.sampling.dose if self.exposes else None
        return Augmenter(
            self.recipe.augmentation, self.recipe.preprocessing, self.dataset.directions, dose
        )

    def check(self) -> None:
        """Build the models once, so that what they refuse is told before anything is read."""
        if not self.seeds:
            raise DatasetError("There is no seed to train with; give at least one.")
        if min(self.seeds) < 0:
            raise DatasetError(f"The seed {min(self.seeds)} is below 0; give whole numbers from 0.")
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
        """Groups for fitting and judging; ``None`` where they cannot be parted."""
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
