"""How good predictions are: accuracy, angular error, calibration error, coverage.

All functions take labelled positions only. A truth is the index of the right direction, or, where
several count as right, a row of booleans over the directions. Where there is nothing to judge the
result is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import DatasetError

CALIBRATION_BINS = 15
"""Equal-width bins of the expected calibration error."""

_MOST_VALUES, _BINS, _MOST_RATIO = 12, 6, 20


def is_right(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether each prediction is a right one.

    Parameters
    ----------
    predicted : array-like of int, shape (n,)
        Index of the most probable direction.
    truth : array-like, int of shape (n,) or bool of shape (n, n_directions)
        The right direction, or all directions that count as right.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    DatasetError
        If the two do not fit.
    """
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    several = truth.dtype == bool and truth.ndim == 2
    if predicted.ndim != 1 or len(predicted) != len(truth) or not (several or truth.ndim == 1):
        raise DatasetError(
            f"Predictions of shape {predicted.shape} do not fit a truth of shape {truth.shape}; "
            "give one truth per prediction."
        )
    if several:
        right: npt.NDArray[np.bool_] = truth[np.arange(len(predicted)), predicted]
        return right
    return np.asarray(predicted == truth)


def accuracy(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """Share of right predictions (see `is_right`)."""
    return _mean(is_right(predicted, truth))


def angular_error_deg(
    predicted: npt.ArrayLike, truth: npt.ArrayLike, directions: DirectionSet
) -> npt.NDArray[np.float64]:
    """Angle between predicted and right direction, the nearest where several are right.

    Parameters
    ----------
    predicted, truth
        See `is_right`.
    directions : DirectionSet
        Angles of the directions.

    Returns
    -------
    ndarray of float, shape (n,)
        Degrees in 0..180; NaN where the predicted or every right direction has no angle. A right
        prediction without an angle is no error: 0.
    """
    right = is_right(predicted, truth)
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    if truth.ndim == 1:
        truth = truth[:, None] == np.arange(len(directions))
    angles = np.array([np.nan if a is None else a for a in directions.angles_deg])
    turn = np.abs((angles[:, None] - angles + 180.0) % 360.0 - 180.0)
    errors = np.where(truth & ~np.isnan(turn[predicted]), turn[predicted], np.inf).min(axis=1)
    errors[right] = 0.0
    return np.where(np.isinf(errors), np.nan, errors)


def mean_angular_error_deg(
    predicted: npt.ArrayLike, truth: npt.ArrayLike, directions: DirectionSet
) -> float:
    """Mean of `angular_error_deg` over the predictions that have one; NaN if none has."""
    errors = angular_error_deg(predicted, truth, directions)
    return _mean(errors[~np.isnan(errors)])


def confusion_matrix(
    true: npt.ArrayLike, predicted: npt.ArrayLike, n_directions: int
) -> npt.NDArray[np.int64]:
    """How often each direction was taken for each.

    Parameters
    ----------
    true : array-like, int of shape (n,) or bool of shape (n, n_directions)
        The right direction. Where several count as right and the prediction is one of them, it
        counts as that one, otherwise as the first of them.
    predicted : array-like of int, shape (n,)
    n_directions : int

    Returns
    -------
    ndarray of int, shape (n_directions, n_directions)
        Counts, ``[true, predicted]``.

    Raises
    ------
    DatasetError
        If the two do not fit.
    """
    right = is_right(predicted, true)
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.ndim == 2:
        true = np.where(right, predicted, true.argmax(axis=1))
    counts = np.bincount(
        true.astype(np.int64) * n_directions + predicted.astype(np.int64),
        minlength=n_directions**2,
    )
    return counts.reshape(n_directions, n_directions)


def reliability(
    confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = CALIBRATION_BINS
) -> list[list[float | None]]:
    """Confidence against accuracy in equal-width bins over 0..1, for a reliability diagram.

    Parameters
    ----------
    confidence : array-like of float, shape (n,)
        Probability given to the predicted direction.
    right : array-like of bool, shape (n,)
    bins : int

    Returns
    -------
    list of [low, high, n, mean confidence, accuracy]
        One row per bin; the last two are None in empty bins.

    Raises
    ------
    DatasetError
        If a confidence is not a probability.

    Notes
    -----
    Bin m holds confidences in ((m - 1) / bins, m / bins], the first one also 0: Guo et al.,
    "On Calibration of Modern Neural Networks", ICML 2017, section 2.
    """
    given, hits = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
    if given.shape != hits.shape or not ((given >= 0) & (given <= 1)).all():
        raise DatasetError(
            "Confidences must lie between 0 and 1, one per prediction; "
            "leave out positions that were not computed."
        )
    edges = np.linspace(0.0, 1.0, bins + 1)
    index = np.digitize(given, edges[1:-1], right=True)
    rows: list[list[float | None]] = []
    for m in range(bins):
        inside = index == m
        n = int(inside.sum())
        means = [float(v[inside].mean()) if n else None for v in (given, hits)]
        rows.append([float(edges[m]), float(edges[m + 1]), n, *means])
    return rows


def expected_calibration_error(
    confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = CALIBRATION_BINS
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by their counts.

    Parameters
    ----------
    confidence, right, bins
        See `reliability`.

    Returns
    -------
    float
        In 0..1; NaN without predictions.

    Notes
    -----
    Naeini et al., AAAI 2015; Guo et al., ICML 2017, equation 3.
    """
    gaps, counts = [], []
    for _, _, n, mean_confidence, share_right in reliability(confidence, right, bins):
        if n and mean_confidence is not None and share_right is not None:
            gaps.append(abs(share_right - mean_confidence))
            counts.append(n)
    return float(np.average(gaps, weights=counts)) if gaps else float("nan")


def by_condition(
    values: npt.ArrayLike, right: npt.ArrayLike, edges: npt.ArrayLike | None = None
) -> list[list[float]]:
    """Accuracy over the values of a condition such as the thickness.

    Parameters
    ----------
    values : array-like of float, shape (n,)
        Value of the condition for each prediction; predictions where it is NaN are left out.
    right : array-like of bool, shape (n,)
    edges : array-like of float, optional
        Rising edges of the bins, each with its lower edge, the last one with both; values outside
        are left out. By default each value is a row of its own, or, where there are more than
        12 values, 6 bins of equal width (of equal ratio where the values, all positive, span more
        than a factor of 20 and most of them lie in its lowest quarter).

    Returns
    -------
    list of [low, high, n, accuracy]
        Rising, without empty rows; ``low`` equals ``high`` where a row is one value.
    """
    given, hits = np.asarray(values, dtype=float), np.asarray(right, dtype=bool)
    known = np.isfinite(given)
    given, hits = given[known], hits[known]
    distinct = np.unique(given)
    if edges is None and len(distinct) <= _MOST_VALUES:
        masks = [(float(v), float(v), given == v) for v in distinct]
    else:
        limits = _edges(distinct) if edges is None else np.asarray(edges, dtype=float)
        index = np.digitize(given, limits) - 1
        index[given == limits[-1]] = len(limits) - 2
        masks = [
            (float(limits[k]), float(limits[k + 1]), index == k) for k in range(len(limits) - 1)
        ]
    return [
        [low, high, int(inside.sum()), float(hits[inside].mean())]
        for low, high, inside in masks
        if inside.any()
    ]


def _edges(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    low, high = float(values[0]), float(values[-1])
    if 0 < _MOST_RATIO * low < high and np.median(values) < (low + high) / 4:
        edges = np.geomspace(low, high, _BINS + 1)
    else:
        edges = np.linspace(low, high, _BINS + 1)
    edges[[0, -1]] = low, high  # exactly
    return np.asarray(edges)


def coverage(confidence: npt.ArrayLike, threshold: float) -> float:
    """Share of positions that are not undecided: confidence at or above the threshold."""
    return _mean(np.asarray(confidence) >= threshold)


def selective_accuracy(confidence: npt.ArrayLike, right: npt.ArrayLike, threshold: float) -> float:
    """Share of right predictions among those that are not undecided."""
    return _mean(np.asarray(right, dtype=bool)[np.asarray(confidence) >= threshold])


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")
