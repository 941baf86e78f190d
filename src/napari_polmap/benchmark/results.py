"""What a benchmark found, read from its folder: figures of each cell, and votes over seeds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.benchmark.exposure import scans_of
from napari_polmap.benchmark.protocol import Benchmark, Column, Test
from napari_polmap.benchmark.store import Run, Store
from napari_polmap.directions import NOT_COMPUTED, DirectionSet
from napari_polmap.mapping.evaluation import Judged

FIGURES = ("accuracy", "ece", "coverage", "selective_accuracy", "mean_angular_error_deg", "worst")
"""What each cell tells; ``worst`` is the accuracy on the worst scan."""


@dataclass(frozen=True)
class Outcome:
    """A cell of the table: one way to train on one row.

    Parameters
    ----------
    test : Test
        The row.
    column : Column
    seeds : mapping of int to mapping
        For each seed that was measured the `FIGURES`, ``n``, ``training_s`` (seconds that the
        training took), ``majority`` (the direction most positions were given), and the ``shares``
        of the positions by predicted direction and by their ``truth``.
    vote : mapping or None
        ``accuracy``, ``worst`` and ``majority`` of the majority vote over the seeds, where there
        are several.
    reason : str
        Why it was not measured; empty where it was.
    """

    test: Test
    column: Column
    seeds: Mapping[int, Mapping[str, Any]]
    vote: Mapping[str, Any] | None = None
    reason: str = ""

    def values(self, figure: str) -> list[float]:
        """A figure of each seed that has it."""
        found = [figures.get(figure) for figures in self.seeds.values()]
        return [float(value) for value in found if value is not None]

    def mean(self, figure: str) -> float | None:
        """Its mean over the seeds."""
        values = self.values(figure)
        return float(np.mean(values)) if values else None

    def deviation(self, figure: str) -> float | None:
        """Its standard deviation over the seeds (of the sample); None for a single seed."""
        values = self.values(figure)
        return float(np.std(values, ddof=1)) if len(values) > 1 else None

    @property
    def majority(self) -> str | None:
        """The direction that most seeds give to most positions."""
        names = [f["majority"] for f in self.seeds.values() if f.get("majority") is not None]
        return Counter(names).most_common(1)[0][0] if names else None


@dataclass(frozen=True)
class Results:
    """All cells of a benchmark.

    Parameters
    ----------
    benchmark : Benchmark
    outcomes : tuple of Outcome
        Row by row, in the order of the columns.
    directions : DirectionSet or None
        The classifiers'; None where nothing is measured.
    """

    benchmark: Benchmark
    outcomes: tuple[Outcome, ...]
    directions: DirectionSet | None

    @property
    def tests(self) -> tuple[Test, ...]:
        """The rows."""
        return self.benchmark.tests

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns in which something is measured; all of them where nothing is."""
        measured = {outcome.column.key for outcome in self.outcomes if outcome.seeds}
        every = self.benchmark.columns
        return tuple(column for column in every if column.key in measured) or every

    def of(self, test: Test) -> list[Outcome]:
        """The cells of a row, in the order of `columns`."""
        cells = {o.column.key: o for o in self.outcomes if o.test is test}
        return [cells[column.key] for column in self.columns]

    def best(self, test: Test, figure: str = "accuracy", *, lowest: bool = False) -> set[str]:
        """Keys of the columns that are best on a row, to a thousandth."""
        means = {o.column.key: o.mean(figure) for o in self.of(test)}
        known = {key: round(value, 3) for key, value in means.items() if value is not None}
        top = (min if lowest else max)(known.values(), default=None)
        return {key for key, value in known.items() if value == top}


def collect(
    benchmark: Benchmark, folder: Path, reasons: Mapping[str, Mapping[str, str]]
) -> Results:
    """Read the figures of all that is measured.

    Parameters
    ----------
    benchmark : Benchmark
    folder : Path
        Where `iter_benchmark` wrote.
    reasons : mapping of str to mapping of str to str
        For each run's key and each test's key, why it was not measured.

    Returns
    -------
    Results
    """
    store = Store(folder)
    outcomes: list[Outcome] = []
    directions: DirectionSet | None = None
    for test in benchmark.tests:
        for column in benchmark.columns:
            told = [reasons.get(Run(column, seed).key, {}).get(test.key) for seed in column.seeds]
            read = {seed: _read(store, Run(column, seed), test, reasons) for seed in column.seeds}
            seeds = {seed: figures for seed, figures in read.items() if figures is not None}
            if seeds and directions is None:
                directions = DirectionSet.from_dict(next(iter(seeds.values()))["directions"])
            vote = None
            if directions is not None and len(seeds) > 1:
                vote = _vote(store, column, test, directions, list(seeds))
            reason = "" if seeds else next((t for t in told if t), "it has not been run")
            shown = {seed: _figures(figures) for seed, figures in seeds.items()}
            outcomes.append(Outcome(test, column, shown, vote, reason))
    return Results(benchmark, tuple(outcomes), directions)


def map_of(
    folder: Path, column: Column, test: Test, seeds: Sequence[int]
) -> npt.NDArray[np.uint8] | None:
    """The map of a test's first scan: of one seed, or the majority vote of several.

    Parameters
    ----------
    folder : Path
        Where `iter_benchmark` wrote.
    column : Column
    test : Test
    seeds : sequence of int
        Those that are measured.

    Returns
    -------
    ndarray of uint8, shape (y, x), or None
        Index of the direction, 255 where not computed; None where there is no map.
    """
    store = Store(folder)
    read = [_maps(store, Run(column, seed), test) for seed in seeds]
    found = [maps[0] for maps in read if maps]
    if not found:
        return None
    return found[0][0] if len(found) == 1 else majority_vote(found)[0]


def truth_of(test: Test, shape: tuple[int, int], directions: DirectionSet) -> npt.NDArray[np.uint8]:
    """The true directions of a test's first scan; 255 where there is none, or there are several.

    Parameters
    ----------
    test : Test
    shape : (int, int)
        Positions of the scan.
    directions : DirectionSet
        The classifiers', whose indices are given.
    """
    dataset = scans_of(test)
    mask = dataset.scans[0].truth_mask(dataset.directions, shape)
    index = np.array([directions.index(name) for name in dataset.directions.names])
    single = mask.sum(axis=-1) == 1
    return np.where(single, index[mask.argmax(axis=-1)], NOT_COMPUTED).astype(np.uint8)


def majority_vote(
    maps: Sequence[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """The direction that most maps give to a position; ties go to the larger sum of confidence.

    Parameters
    ----------
    maps : sequence of (ndarray of uint8, ndarray of float)
        Directions and confidence, each of shape (y, x).

    Returns
    -------
    direction : ndarray of uint8, shape (y, x)
        255 where no map has one.
    confidence : ndarray of float32, shape (y, x)
        Mean over all maps of the confidence that each has in it.
    """
    directions = np.stack([direction for direction, _ in maps])
    confidence = np.nan_to_num(np.stack([value for _, value in maps])).astype(np.float32)
    given = directions[directions != NOT_COMPUTED]
    count = int(given.max()) + 1 if given.size else 1
    scores = np.zeros((count, *directions.shape[1:]), np.float32)
    sums = np.zeros_like(scores)
    for index in range(count):
        chosen = directions == index
        scores[index] = chosen.sum(axis=0)
        sums[index] = (confidence * chosen).sum(axis=0)
    winner = (scores + sums / (sums.max() + 1) / 2).argmax(axis=0)
    voted = np.where(scores.max(axis=0) > 0, winner, NOT_COMPUTED).astype(np.uint8)
    trust = np.take_along_axis(sums, winner[None], axis=0)[0] / len(maps)
    return voted, trust


def _read(
    store: Store, run: Run, test: Test, reasons: Mapping[str, Mapping[str, str]]
) -> dict[str, Any] | None:
    """The figures of an evaluation, unless it is one of an earlier time that no longer holds."""
    if test.key in reasons.get(run.key, {}):
        return None
    try:
        figures: dict[str, Any] = json.loads(store.figures(run, test).read_text(encoding="utf-8"))
        trained = json.loads(store.classifier(run).with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return {**figures, "training_s": trained["training_s"]}


def _figures(figures: Mapping[str, Any]) -> dict[str, Any]:
    scans = figures["scans"]
    counts = Counter[str]()
    for scan in scans:
        counts.update(scan["directions"])
    accuracies = [scan["accuracy"] for scan in scans if scan["accuracy"] is not None]
    total = max(1, sum(counts.values()))
    return {
        **{name: figures.get(name) for name in FIGURES},
        "worst": min(accuracies, default=None),
        "n": figures["n"],
        "training_s": figures["training_s"],
        # Of scans of several directions it would tell nothing.
        "majority": scans[0]["majority"] if len(scans) == 1 else None,
        "shares": {name: count / total for name, count in counts.items()},
        "truth": {
            name: sum(row) / total
            for name, row in zip(figures["directions"]["names"], figures["confusion"], strict=True)
        },
    }


def _maps(
    store: Store, run: Run, test: Test
) -> list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]]:
    try:
        with np.load(store.maps(run, test), allow_pickle=False) as file:
            return [
                (file[f"direction_{k}"], file[f"confidence_{k}"].astype(np.float32))
                for k in range(len(file.files) // 2)
            ]
    except (OSError, ValueError, KeyError):
        return []


def _vote(
    store: Store, column: Column, test: Test, directions: DirectionSet, seeds: Sequence[int]
) -> dict[str, Any] | None:
    """Accuracy, over all and on the worst scan, and majority direction of the vote."""
    dataset = scans_of(test)
    members = [_maps(store, Run(column, seed), test) for seed in seeds]
    if any(len(maps) != len(dataset.scans) for maps in members):
        return None
    judged = [
        Judged.of(
            *majority_vote([maps[number] for maps in members]),
            entry,
            dataset.directions,
            directions,
        )
        for number, entry in enumerate(dataset.scans)
    ]
    right = [part.right for part in judged if len(part.right)]
    if not right:
        return None
    counts = np.bincount(judged[0].direction, minlength=len(directions))
    return {
        "accuracy": float(np.concatenate(right).mean()),
        "worst": float(min(part.mean() for part in right)),
        "majority": directions.names[int(counts.argmax())] if len(judged) == 1 else None,
    }
