"""Training and evaluating for a window: generators, without threads and without Qt."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_polmap.classifiers import (
    Classifier,
    Entry,
    TrainingProgress,
    add_classifier,
    iter_train,
    read_classifier,
    remove_classifier,
    rename_classifier,
    save_classifier,
)
from napari_polmap.classifiers.card import dataset_sha256
from napari_polmap.errors import ClassifierError, PolmapError, unwritable
from napari_polmap.io.datasets import load_dataset
from napari_polmap.viewer.training import free_name, installed_path
from napari_polmap.viewer.training_report import Report, evaluation_report, training_report
from napari_polmap.viewer.training_store import KeptTraining

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_polmap.mapping.evaluation import EvaluationProgress


@dataclass(frozen=True, eq=False)
class Trained:
    """A classifier that was trained and is in the user's library.

    Parameters
    ----------
    classifier : Classifier
        As read from there.
    report : Report
    kept : KeptTraining or None
        Where it was cancelled: what can be gone on with.
    """

    classifier: Classifier
    report: Report
    kept: KeptTraining | None


def iter_training(
    training: KeptTraining, stop: Callable[[], bool]
) -> Generator[TrainingProgress, None, Trained]:
    """Train, or go on, and add the classifier to the user's library.

    Closed before its end, or failing after a network has begun to learn, it leaves its folder to
    go on from.

    Parameters
    ----------
    training : KeptTraining
    stop : callable
        Once it says so the training ends with the best so far, which is added to the library.

    Raises
    ------
    PolmapError
        If something does not serve, or it was stopped before there was anything to keep.
    """
    choices = training.choices
    try:
        with training.at_work() as beat, leaving_a_core(choices.by_epochs):
            steps = iter_train(
                choices.dataset,
                choices.model,
                objective=choices.objective if choices.by_epochs else "classification",
                preset=_recipe_name(training),
                recipe=training.recipe,
                seeds=choices.seeds,
                name=choices.name,
                weights=None if choices.weights is None else Path(choices.weights),
                device=choices.device,
                checkpoint=training.checkpoint,
                stop=stop,
            )
            passed = 0
            with closing(steps):
                while True:
                    try:
                        step = next(steps)
                    except StopIteration as finished:
                        classifier: Classifier = finished.value
                        break
                    beat.tell()
                    epochs = 0 if step.curves is None else len(step.curves.epochs)
                    if epochs != passed:
                        passed = epochs
                        training = replace(training, reached=f"after {_passes(epochs)}")
                        training.save()
                    yield step
            installed = _install(classifier, training)
    except PolmapError:
        if not training.has_checkpoint:
            training.discard()
        raise
    report = training_report(installed)
    if not classifier.card["training"]["stopped"]:
        training.discard()
        return Trained(installed, report, None)
    again = replace(choices, name=installed.name)
    kept = replace(training, choices=again, kept_sha256=installed.sha256)
    kept.save()
    return Trained(installed, report, kept)


def iter_evaluation(
    path: Path, dataset: Path
) -> Generator[EvaluationProgress | None, None, Report]:
    """Evaluate a classifier's file on a labelled data set.

    Raises
    ------
    PolmapError
        If they do not fit each other.
    """
    from napari_polmap.mapping.evaluation import iter_evaluate

    yield None
    classifier = read_classifier(path)
    labelled = load_dataset(dataset)
    with leaving_a_core(classifier.card.get("objective") is not None):
        figures = yield from iter_evaluate(classifier, labelled)
    same = classifier.card.get("dataset_sha256") == dataset_sha256(labelled)
    return evaluation_report(path.stem, classifier.directions, labelled.name, figures, same)


def iter_import(path: Path) -> Generator[None, None, Entry]:
    """Copy a classifier file into the user's library."""
    yield
    return add_classifier(path)


def iter_rename(old: str, new: str) -> Generator[None, None, Entry]:
    """Give a classifier of the user's another name."""
    yield
    return rename_classifier(old, new)


def iter_remove(name: str) -> Generator[None, None, str]:
    """Delete a classifier of the user's; returns its name."""
    yield
    remove_classifier(name)
    return name


@contextmanager
def leaving_a_core(networks: bool) -> Iterator[None]:
    """Let torch compute on all cores but one meanwhile, so that the window keeps drawing.

    Parameters
    ----------
    networks : bool
        Without networks nothing is done.
    """
    if not networks:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, (os.cpu_count() or 1) - 1)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _install(classifier: Classifier, training: KeptTraining) -> Classifier:
    """Put it into the user's library, in the place of what this training has put there before."""
    name = training.choices.name
    own = installed_path(name)
    if training.kept_sha256 is None or _sha256(own) != training.kept_sha256:
        name = free_name(name)
    place = installed_path(name)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ClassifierError(unwritable(f"The classifier {place}", place, error)) from error
    save_classifier(replace(classifier, name=name), place)
    return read_classifier(place)


def _recipe_name(training: KeptTraining) -> str:
    """What the card calls the recipe."""
    path = training.choices.recipe_file
    return training.choices.preset if path is None else Path(path).stem


def _passes(epochs: int) -> str:
    return f"{epochs} epoch{'s' * (epochs != 1)}"


def _sha256(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
