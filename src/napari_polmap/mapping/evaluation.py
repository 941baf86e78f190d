"""A classifier against labelled scans."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.classifiers.classifier import Classifier
from napari_polmap.errors import DatasetError
from napari_polmap.io.datasets import LabelledDataset, load_dataset
from napari_polmap.mapping.engine import classify
from napari_polmap.metrics import (
    coverage,
    expected_calibration_error,
    is_right,
    selective_accuracy,
)
from napari_polmap.steps import finish


def evaluate(
    classifier: Classifier,
    dataset: LabelledDataset | str | Path,
    *,
    window: float | None = None,
    threshold: float | None = None,
    force: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, Any]:
    """Accuracy, calibration error and coverage, per scan and over all labelled positions.

    Parameters
    ----------
    classifier : Classifier
    dataset, window, threshold, force
        See `iter_evaluate`.
    progress : callable, optional
        Called with the scans done and their number.

    Returns
    -------
    dict
        See `iter_evaluate`.
    """
    steps = iter_evaluate(classifier, dataset, window=window, threshold=threshold, force=force)
    return finish(steps, None if progress is None else lambda step: progress(*step))


def iter_evaluate(
    classifier: Classifier,
    dataset: LabelledDataset | str | Path,
    *,
    window: float | None = None,
    threshold: float | None = None,
    force: bool = False,
) -> Generator[tuple[int, int], None, dict[str, Any]]:
    """Evaluate a classifier scan by scan.

    Parameters
    ----------
    classifier : Classifier
    dataset : LabelledDataset, str or Path
        Labelled scans, or the TOML file that lists them.
    window, threshold, force
        See `iter_classify`.

    Yields
    ------
    (int, int)
        The scans done and their number.

    Returns
    -------
    dict
        ``accuracy`` of the most probable direction over all labelled positions, undecided ones
        included; ``ece`` with 15 equal-width bins; ``coverage``, the share that is not undecided,
        and ``selective_accuracy`` on those; the same per scan in ``scans``, with ``path``, ``n``,
        ``majority`` and ``directions`` (positions per predicted direction). ``None`` where a
        figure is not defined.

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
    columns = [classifier.directions.index(name) for name in dataset.directions.names]
    limit = classifier.threshold if threshold is None else threshold
    names = classifier.directions.names
    scans, confidences, rights = [], [], []
    for index, entry in enumerate(dataset.scans):
        scan = entry.open()
        truth = entry.truth_mask(dataset.directions, scan.scan_shape)
        result = classify(scan, classifier, window=window, threshold=threshold, force=force)
        labelled = truth.any(axis=-1) & result.computed
        allowed = np.zeros((int(labelled.sum()), len(names)), bool)
        allowed[:, columns] = truth[labelled]
        direction, confidence = result.direction[labelled], result.confidence[labelled]
        right = is_right(direction, allowed)
        counts = np.bincount(direction, minlength=len(names))
        scans.append(
            {
                "path": str(entry.path),
                "n": len(direction),
                **_figures(right, confidence, limit),
                "majority": names[int(counts.argmax())] if len(direction) else None,
                "directions": {name: int(counts[k]) for k, name in enumerate(names) if counts[k]},
                "conditions": dict(entry.conditions),
            }
        )
        confidences.append(confidence)
        rights.append(right)
        yield index + 1, len(dataset.scans)
    right, confidence = np.concatenate(rights), np.concatenate(confidences)
    if not len(right):
        raise DatasetError(
            f"The data set {dataset.name!r} labels no position that could be classified; check its "
            "label images."
        )
    return {**_figures(right, confidence, limit), "threshold": limit, "scans": scans}


def _figures(
    right: np.ndarray[Any, Any], confidence: np.ndarray[Any, Any], threshold: float
) -> dict[str, float | None]:
    return {
        "accuracy": float(right.mean()) if len(right) else None,
        "ece": expected_calibration_error(confidence, right) if len(right) else None,
        "coverage": coverage(confidence, threshold) if len(right) else None,
        "selective_accuracy": selective_accuracy(confidence, right, threshold)
        if np.any(confidence >= threshold)
        else None,
    }
