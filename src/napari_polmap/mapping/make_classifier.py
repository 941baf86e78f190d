"""A classifier for a scan in one go: simulate, train, test, and classify the scan."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from napari_polmap.classifiers import (
    Classifier,
    add_classifier,
    iter_train,
    list_classifiers,
    load_classifier,
    save_classifier,
)
from napari_polmap.classifiers.library import check_name
from napari_polmap.classifiers.models import DEFAULT_MODEL
from napari_polmap.classifiers.recipes import Recipe
from napari_polmap.errors import MapError
from napari_polmap.io.datasets import load_dataset
from napari_polmap.io.maps import load_map
from napari_polmap.mapping.engine import iter_classify
from napari_polmap.mapping.evaluation import iter_evaluate
from napari_polmap.mapping.scan_spec import (
    TEST,
    TRAIN,
    checked_spec,
    classifier_name,
    recipe_for_scan,
)
from napari_polmap.polarization_map import PolarizationMap
from napari_polmap.scan import Scan
from napari_polmap.simulation.cells import make_cell
from napari_polmap.simulation.dataset import write_json
from napari_polmap.simulation.estimate import Estimate
from napari_polmap.simulation.run import MEMORY_MB, estimate, iter_simulate
from napari_polmap.simulation.spec import Spec

STAGES = ("simulate", "train", "test", "classify")
"""Names of the stages, in their order."""
Step = TypeVar("Step")
Result = TypeVar("Result")
_SEED = 0
# Seconds on one core: to train on principal components, for each scan of that, and to test on one.
_FIT_S = 240.0
_TRAIN_S = 0.01
_TEST_S = 0.04


@dataclass(frozen=True)
class MakeProgress:
    """How far the making of a classifier is.

    Parameters
    ----------
    stage : str
        One of `stages`, the one at work.
    stages : tuple of str
        Those that are gone through, in their order.
    done, total : int
        Steps of this stage.
    message : str
        What is being done, for people.
    remaining_s : float or None
        Expected remaining time of this stage.
    """

    stage: str
    stages: tuple[str, ...]
    done: int
    total: int
    message: str
    remaining_s: float | None


@dataclass(frozen=True)
class Made:
    """A classifier that was made for a scan.

    Parameters
    ----------
    classifier : Classifier
    path : Path
        Its file in the user's library.
    figures : dict
        On the specimens for testing, see `napari_polmap.mapping.evaluation.iter_evaluate`; with
        their number as ``groups``.
    map : PolarizationMap or None
        Of the scan; ``None`` where it was not classified.
    """

    classifier: Classifier
    path: Path
    figures: dict[str, Any]
    map: PolarizationMap | None


def iter_make_classifier(
    scan: Scan,
    spec_values: Mapping[str, Any],
    folder: str | Path,
    *,
    name: str | None = None,
    model: str = DEFAULT_MODEL,
    jobs: int = 1,
    device: str = "auto",
    memory_mb: float = MEMORY_MB,
    overwrite: bool = False,
    classify: bool = True,
    out_map: str | Path | None = None,
) -> Generator[MakeProgress, None, Made]:
    """Simulate, train, test, add to the user's library, and classify the scan, step by step.

    What is finished stays when it is cancelled (the generator closed) or fails: called again with
    the same folder it goes on after the last finished specimen; a classifier that was trained on
    the same data in the same way is not trained again, nor tested again, and an incomplete map is
    continued.

    Parameters
    ----------
    scan : Scan
        See `spec_for_scan`.
    spec_values : mapping
        Of `spec_for_scan`, or others with the sets ``train`` and ``test``.
    folder : str or Path
        For the simulated scans, the classifier, its figures and the map.
    name : str, optional
        The classifier's, by default `classifier_name`; where another one of that name is
        installed, a number is appended.
    model : str
        See `napari_polmap.classifiers.train`.
    jobs, device, memory_mb, overwrite
        See `napari_polmap.simulation.run.iter_simulate`.
    classify : bool
        Whether the scan is classified at the end.
    out_map : str or Path, optional
        Where its map grows, by default in `folder`.

    Yields
    ------
    MakeProgress
        The first one at once.

    Raises
    ------
    PolmapError
        If the description or the name is impossible, a stage fails, or nothing can be written.
    """
    folder = Path(folder).expanduser()
    stages = STAGES if classify else STAGES[:-1]
    wanted = classifier_name(spec_values) if name is None else name
    check_name(wanted)
    spec = checked_spec(spec_values)
    recipe = recipe_for_scan(scan, _lattice_nm(spec))
    yield MakeProgress("simulate", stages, 0, 0, "preparing the simulation", None)

    simulated = yield from _told(
        iter_simulate(
            spec, folder, jobs=jobs, device=device, memory_mb=memory_mb, overwrite=overwrite
        ),
        lambda step: MakeProgress(
            "simulate",
            stages,
            step.done,
            step.total,
            f"{step.pieces_done} of {step.pieces} runs simulated",
            step.remaining_s,
        ),
    )
    datasets = {path.stem: path for path in simulated.datasets}
    trained = yield from _training(datasets[TRAIN], folder, wanted, model, recipe, stages)
    figures = yield from _testing(trained, datasets[TEST], stages)
    added = _add(trained.path)
    classifier = load_classifier(added)
    if not classify:
        return Made(classifier, added, figures, None)
    out = (
        folder / f"{scan.name}-{str(trained.sha256)[:8]}.zarr" if out_map is None else Path(out_map)
    )
    out = out.expanduser()
    result = yield from _mapped(scan, classifier, out, stages)
    return Made(classifier, added, figures, result)


def estimate_classifier(
    spec_values: Mapping[str, Any],
    folder: str | Path | None = None,
    *,
    jobs: int = 1,
    device: str = "auto",
    memory_mb: float = MEMORY_MB,
    measure: bool = True,
) -> tuple[Estimate, float | None]:
    """What the simulation will cost, and the time of all stages but the last in seconds.

    Parameters
    ----------
    spec_values, folder, jobs, device, memory_mb
        As for `iter_make_classifier`; what is finished in the folder is not counted.
    measure : bool
        Simulate a small batch, once in this process, to tell the time.

    Raises
    ------
    PolmapError
        If the description is impossible, or a piece does not fit into the memory.
    """
    spec = checked_spec(spec_values)
    where = None if folder is None else Path(folder).expanduser()
    cost = estimate(spec, where, jobs=jobs, device=device, memory_mb=memory_mb, measure=measure)
    if cost.seconds is None:
        return cost, None
    assert spec.specimens is not None
    every = estimate(spec, memory_mb=memory_mb, measure=False)
    numbers = {name: len(seeds) for name, seeds in spec.specimens.sets.items()}
    each = every.scans / sum(numbers.values())
    further = _FIT_S + each * (_TRAIN_S * numbers[TRAIN] + _TEST_S * numbers[TEST])
    return cost, cost.seconds + further


def figures_text(figures: Mapping[str, Any]) -> str:
    """What the test showed, in words.

    Parameters
    ----------
    figures : mapping
        Of `Made`.
    """
    groups = figures["groups"]
    text = (
        f"On {groups} specimen{'s' if groups > 1 else ''} that it had never seen, it named the "
        f"right direction at {figures['accuracy']:.0%} of the positions of noise-free simulated "
        "scans"
    )
    coverage, selective = figures["coverage"], figures["selective_accuracy"]
    if selective is None:
        return f"{text}; it was sure of none of them, and would leave them undecided."
    return f"{text}; it was sure of {coverage:.0%} of them, and right at {selective:.0%} of these."


@dataclass(frozen=True)
class _Trained:
    """A classifier's file in the folder, and beside it what it was made from and its figures."""

    path: Path

    @property
    def record(self) -> Path:
        return self.path.with_suffix(".json")

    @property
    def sha256(self) -> str | None:
        return _sha256(self.path)

    def read(self) -> dict[str, Any]:
        """The record; empty where there is none of this file."""
        try:
            values = json.loads(self.record.read_text(encoding="utf-8"))
            return dict(values) if values["sha256"] == self.sha256 else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _told(
    steps: Generator[Step, None, Result], progress: Callable[[Step], MakeProgress]
) -> Generator[MakeProgress, None, Result]:
    """Go through a stage, telling each of its steps; closed together with it."""
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as finished:
                result: Result = finished.value
                return result
            yield progress(step)


def _training(
    dataset: Path, folder: Path, wanted: str, model: str, recipe: Recipe, stages: tuple[str, ...]
) -> Generator[MakeProgress, None, _Trained]:
    """Train, unless the same has been trained before."""
    origin = {"dataset": _sha256(dataset), "model": model, "recipe": repr(recipe), "seed": _SEED}
    installed = {entry.name: entry.path for entry in list_classifiers()}
    for number in count(1):
        name = wanted if number == 1 else f"{wanted}-{number}"
        trained = _Trained(folder / f"{name}.safetensors")
        other = name in installed and _sha256(installed[name]) != trained.sha256
        if not other and trained.read().get("trained") == origin:
            return trained
        if name not in installed:
            break
    checkpoint = folder / f"{name}-checkpoint.safetensors"
    classifier = yield from _told(
        iter_train(dataset, model, recipe=recipe, seed=_SEED, name=name, checkpoint=checkpoint),
        lambda step: MakeProgress(
            "train", stages, step.done, step.total, step.message, step.remaining_s
        ),
    )
    save_classifier(classifier, trained.path)
    for part in folder.glob(f"{glob.escape(checkpoint.stem)}*"):
        part.unlink(missing_ok=True)
    write_json(trained.record, {"sha256": trained.sha256, "trained": origin})
    return trained


def _testing(
    trained: _Trained, dataset: Path, stages: tuple[str, ...]
) -> Generator[MakeProgress, None, dict[str, Any]]:
    """Evaluate on the specimens for testing, unless that was done before."""
    record, tested = trained.read(), _sha256(dataset)
    if record.get("tested") == tested:
        return dict(record["figures"])
    labelled = load_dataset(dataset)
    found = yield from _told(
        iter_evaluate(load_classifier(trained.path), labelled),
        lambda step: MakeProgress(
            "test",
            stages,
            int(step.done),
            step.total,
            "testing on specimens never seen",
            step.remaining_s,
        ),
    )
    figures = {**found, "groups": len({entry.group for entry in labelled.scans})}
    write_json(trained.record, {**record, "tested": tested, "figures": figures})
    return figures


def _add(path: Path) -> Path:
    """Add a classifier to the user's library, unless it is there."""
    for entry in list_classifiers():
        if entry.name == path.stem and _sha256(entry.path) == _sha256(path):
            return entry.path
    return add_classifier(path).path


def _mapped(
    scan: Scan, classifier: Classifier, out: Path, stages: tuple[str, ...]
) -> Generator[MakeProgress, None, PolarizationMap]:
    """Classify the scan, or go on with a map that was begun."""
    try:
        before = load_map(out) if out.exists() else None
    except MapError:
        before = None
    if (
        before is not None
        and before.complete
        and before.classifier.get("sha256") == classifier.sha256
        and before.scan.same_data(scan.identity())
    ):
        return before
    return (
        yield from _told(
            iter_classify(
                scan,
                classifier,
                out=out,
                resume=before is not None and not before.complete,
            ),
            lambda step: MakeProgress(
                "classify", stages, step.done, step.total, "classifying the scan", step.remaining_s
            ),
        )
    )


def _lattice_nm(spec: Spec) -> float:
    assert spec.specimens is not None
    cell, _ = make_cell(spec, spec.specimens.sets[TRAIN][0])
    return sum(cell.lengths_angstrom[:2]) / 20


def _sha256(path: Path) -> str | None:
    """Hash of a file; ``None`` where there is none."""
    if not path.exists():
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()
