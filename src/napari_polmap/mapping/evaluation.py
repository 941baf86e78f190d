"""A classifier against labelled scans."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers.classifier import Classifier
from napari_polmap.directions import NOT_COMPUTED, DirectionSet
from napari_polmap.errors import DatasetError
from napari_polmap.io.datasets import LabelledDataset, LabelledScan, load_dataset
from napari_polmap.mapping.engine import iter_classify
from napari_polmap.metrics import (
    angular_error_deg,
    by_condition,
    confusion_matrix,
    coverage,
    expected_calibration_error,
    is_right,
    reliability,
    selective_accuracy,
)
from napari_polmap.polarization_map import PolarizationMap


@dataclass(frozen=True)
class EvaluationProgress:
    """How far an evaluation is.

    Parameters
    ----------
    done : float
        Scans that are classified, the one at work by its share.
    total : int
        Scans of the data set.
    remaining_s : float or None
        Expected remaining time in seconds.
    entry, map : LabelledScan, PolarizationMap or None
        The scan that has just been finished, and its map.
    """

    done: float
    total: int
    remaining_s: float | None
    entry: LabelledScan | None = None
    map: PolarizationMap | None = None


@dataclass(frozen=True)
class Judged:
    """The labelled positions of a scan.

    Parameters
    ----------
    direction : ndarray of int, shape (n,)
        Index of the most probable direction.
    confidence : ndarray of float, shape (n,)
    allowed : ndarray of bool, shape (n, n_directions)
        Which directions count as right.
    """

    direction: npt.NDArray[np.intp]
    confidence: npt.NDArray[np.float32]
    allowed: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        direction: npt.NDArray[np.uint8],
        confidence: npt.NDArray[np.float32],
        entry: LabelledScan,
        labels: DirectionSet,
        directions: DirectionSet,
    ) -> Judged:
        """The positions of a map that the data set labels.

        Parameters
        ----------
        direction : ndarray of int, shape (y, x)
            Index of the most probable direction; 255 where not computed.
        confidence : ndarray of float, shape (y, x)
        entry : LabelledScan
            The scan.
        labels : DirectionSet
            The data set's, all of them in `directions`.
        directions : DirectionSet
            The classifier's.
        """
        truth = entry.truth_mask(labels, direction.shape)
        labelled = truth.any(axis=-1) & (direction != NOT_COMPUTED)
        allowed = np.zeros((int(labelled.sum()), len(directions)), bool)
        allowed[:, [directions.index(name) for name in labels.names]] = truth[labelled]
        return cls(direction[labelled].astype(np.intp), confidence[labelled], allowed)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether each prediction is a right one."""
        return is_right(self.direction, self.allowed)

    def figures(self, directions: DirectionSet, threshold: float) -> dict[str, Any]:
        """Accuracy and the other figures; ``None`` where one is not defined.

        Parameters
        ----------
        directions : DirectionSet
            The classifier's.
        threshold : float
            Confidence below which a position is undecided.
        """
        right, confidence = self.right, self.confidence
        if not len(right):
            return dict.fromkeys(_FIGURES)
        errors = angular_error_deg(self.direction, self.allowed, directions)
        known = errors[~np.isnan(errors)]
        decided = bool(np.any(confidence >= threshold))
        return {
            "accuracy": float(right.mean()),
            "ece": expected_calibration_error(confidence, right),
            "coverage": coverage(confidence, threshold),
            "selective_accuracy": selective_accuracy(confidence, right, threshold)
            if decided
            else None,
            "mean_angular_error_deg": float(known.mean()) if len(known) else None,
        }

    def confusion(self) -> npt.NDArray[np.int64]:
        """Counts ``[true, predicted]``."""
        return confusion_matrix(self.allowed, self.direction, self.allowed.shape[1])


_FIGURES = ("accuracy", "ece", "coverage", "selective_accuracy", "mean_angular_error_deg")


def evaluate(
    classifier: Classifier,
    dataset: LabelledDataset | str | Path,
    *,
    window: float | None = None,
    threshold: float | None = None,
    force: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
    """Accuracy, confusion, calibration error and coverage on labelled scans.

    Parameters
    ----------
    classifier : Classifier
    dataset : LabelledDataset, str or Path
        Labelled scans, or the TOML file that lists them.
    window, threshold, force
        See `iter_classify`.
    progress : callable, optional
        Called with the scans done and their number.

    Returns
    -------
    dict
        See `iter_evaluate`.

    Raises
    ------
    DatasetError
        If the data set's directions are not the classifier's, or no position is labelled.
    """
    steps = iter_evaluate(classifier, dataset, window=window, threshold=threshold, force=force)
    while True:
        try:
            step = next(steps)
        except StopIteration as finished:
            figures: dict[str, Any] = finished.value
            return figures
        if progress is not None and step.entry is not None:
            progress(int(step.done), step.total)


def iter_evaluate(
    classifier: Classifier,
    dataset: LabelledDataset | str | Path,
    *,
    window: float | None = None,
    threshold: float | None = None,
    force: bool = False,
) -> Generator[EvaluationProgress, None, dict[str, Any]]:
    """Evaluate a classifier step by step.

    Parameters
    ----------
    classifier, dataset, window, threshold, force
        See `evaluate`.

    Yields
    ------
    EvaluationProgress

    Returns
    -------
    dict
        Plain values. Over all labelled positions: ``accuracy`` of the most probable direction,
        undecided ones included; ``ece`` with 15 equal-width bins; ``coverage``, the share that is
        not undecided at ``threshold``, and ``selective_accuracy`` on those;
        ``mean_angular_error_deg``; ``n``; ``confusion`` as counts ``[true][predicted]`` in the
        order of ``directions``; ``reliability`` and, for each condition that is stated as a
        number, ``by``, with the rows of `napari_polmap.metrics.reliability` and `by_condition`.
        In ``scans`` the same figures for each scan, with its ``path``, ``n``, ``majority``,
        ``directions`` (positions per predicted direction), ``confusion`` (counts that are not
        zero, by the names of true and predicted direction), ``conditions``, and the ``warnings``
        of its map. ``None`` where a figure is not defined.

    Raises
    ------
    DatasetError
        If the data set's directions are not the classifier's, or no position is labelled.
    """
    if not isinstance(dataset, LabelledDataset):
        dataset = load_dataset(dataset)
    foreign = [n for n in dataset.directions.names if n not in classifier.directions.names]
    if foreign:
        raise DatasetError(
            f"The data set has directions that the classifier {classifier.name!r} does not know "
            f"({', '.join(foreign)}); choose a classifier with the same directions."
        )
    limit = classifier.threshold if threshold is None else threshold
    total, start = len(dataset.scans), time.monotonic()
    judged: list[Judged] = []
    warnings: list[list[str]] = []
    yield EvaluationProgress(0, total, None)
    for index, entry in enumerate(dataset.scans):
        steps = iter_classify(
            entry.open(), classifier, window=window, threshold=threshold, force=force
        )
        result = None
        while result is None:
            try:
                step = next(steps)
            except StopIteration as finished:
                result = finished.value
                break
            done = index + min(step.done / max(step.total, 1), 0.999)
            yield EvaluationProgress(done, total, _left(start, done, total))
        found = result.direction, result.confidence
        judged.append(Judged.of(*found, entry, dataset.directions, classifier.directions))
        warnings.append(result.warnings)
        left = _left(start, index + 1, total)
        yield EvaluationProgress(index + 1, total, left, entry, result)
    return summary(dataset.scans, judged, warnings, classifier.directions, limit, dataset.name)


def summary(
    entries: Sequence[LabelledScan],
    judged: Sequence[Judged],
    warnings: Sequence[Sequence[str]],
    directions: DirectionSet,
    threshold: float,
    name: str,
) -> dict[str, Any]:
    """Figures per scan and over all, see `iter_evaluate`.

    Parameters
    ----------
    entries : sequence of LabelledScan
    judged : sequence of Judged
        Of each.
    warnings : sequence of sequence of str
        Of the map of each.
    directions : DirectionSet
        The classifier's.
    threshold : float
        Confidence below which a position is undecided.
    name : str
        Of the data set.

    Raises
    ------
    DatasetError
        If no position is labelled.
    """
    every = Judged(
        np.concatenate([part.direction for part in judged]),
        np.concatenate([part.confidence for part in judged]),
        np.concatenate([part.allowed for part in judged]),
    )
    if not len(every.direction):
        raise DatasetError(
            f"The data set {name!r} labels no position that could be classified; check its label "
            "images."
        )
    return {
        **every.figures(directions, threshold),
        "n": len(every.direction),
        "threshold": threshold,
        "directions": directions.to_dict(),
        "confusion": every.confusion().tolist(),
        "reliability": reliability(every.confidence, every.right),
        "by": _by_conditions(entries, judged),
        "scans": [
            {**_of_scan(entry, part, directions, threshold), "warnings": list(told)}
            for entry, part, told in zip(entries, judged, warnings, strict=True)
        ],
    }


def warnings_of(figures: Mapping[str, Any], most: int = 3) -> list[str]:
    """What the maps of an evaluation warn of, each sentence once, for people.

    Parameters
    ----------
    figures : mapping
        Of `evaluate`.
    most : int
        Sentences at most; one more says how many there are.
    """
    scans = figures["scans"]
    counts = Counter(told for scan in scans for told in dict.fromkeys(scan["warnings"]))
    lines = [
        told if len(scans) == 1 else f"{count:,} of {len(scans):,} scans: {told}"
        for told, count in counts.most_common(most)
    ]
    if len(counts) > most:
        lines.append(f"There are {len(counts) - most:,} more warnings of single scans.")
    return lines


def _of_scan(
    entry: LabelledScan, judged: Judged, directions: DirectionSet, threshold: float
) -> dict[str, Any]:
    names = directions.names
    counts = np.bincount(judged.direction, minlength=len(names))
    confusion = judged.confusion()
    return {
        "path": str(entry.path),
        "n": len(judged.direction),
        **judged.figures(directions, threshold),
        "majority": names[int(counts.argmax())] if len(judged.direction) else None,
        "directions": {name: int(counts[k]) for k, name in enumerate(names) if counts[k]},
        "confusion": {
            name: {names[k]: int(row[k]) for k in np.flatnonzero(row)}
            for name, row in zip(names, confusion, strict=True)
            if row.any()
        },
        "conditions": dict(entry.conditions),
    }


def _by_conditions(
    entries: Sequence[LabelledScan], judged: Sequence[Judged]
) -> dict[str, list[list[float]]]:
    """Accuracy over each condition that some scan states as a number."""
    right = np.concatenate([part.right for part in judged])
    counts = [len(part.direction) for part in judged]
    found: dict[str, list[list[float]]] = {}
    for name in dict.fromkeys(key for entry in entries for key in entry.conditions):
        values = [_number(entry.conditions, name) for entry in entries]
        if np.isfinite(values).any():
            found[name] = by_condition(np.repeat(values, counts), right)
    return found


def _number(conditions: Mapping[str, Any], name: str) -> float:
    value = conditions.get(name)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and value is not None else np.nan


def _left(start: float, done: float, total: int) -> float | None:
    return (time.monotonic() - start) * (total - done) / done if done else None
