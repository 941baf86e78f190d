"""How good predictions are: accuracy, angular error, calibration error, coverage.

All functions take labelled positions only. A truth is the index of the right direction, or, where
several count as right, a row of booleans over the directions. Where there is nothing to judge the
result is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import DatasetError

CALIBRATION_BINS = 15
"""Equal-width bins of the expected calibration error."""


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


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy in equal-width bins, for a reliability diagram.

    Parameters
    ----------
    edges : ndarray of float, shape (bins + 1,)
    count : ndarray of int, shape (bins,)
    confidence, accuracy : ndarray of float, shape (bins,)
        Mean confidence and share of right predictions; NaN in empty bins.
    """

    edges: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]


def reliability(
    confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = CALIBRATION_BINS
) -> Reliability:
    """Confidence against accuracy in equal-width bins over 0..1.

    Parameters
    ----------
    confidence : array-like of float, shape (n,)
        Probability given to the predicted direction.
    right : array-like of bool, shape (n,)
    bins : int

    Notes
    -----
    Bin m holds confidences in ((m - 1) / bins, m / bins], the first one also 0: Guo et al.,
    "On Calibration of Modern Neural Networks", ICML 2017, section 2.
    """
    confidence, right = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
    if confidence.shape != right.shape or not ((confidence >= 0) & (confidence <= 1)).all():
        raise DatasetError(
            "Confidences must lie between 0 and 1, one per prediction; "
            "leave out positions that were not computed."
        )
    edges = np.linspace(0.0, 1.0, bins + 1)
    index = np.digitize(confidence, edges[1:-1], right=True)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(index, weights=confidence, minlength=bins) / count
        share_right = np.bincount(index, weights=right, minlength=bins) / count
    return Reliability(edges, count, mean_confidence, share_right)


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
    table = reliability(confidence, right, bins)
    if not table.count.sum():
        return float("nan")
    gaps = np.abs(table.accuracy - table.confidence)
    filled = table.count > 0
    return float((gaps[filled] * table.count[filled]).sum() / table.count.sum())


def coverage(confidence: npt.ArrayLike, threshold: float) -> float:
    """Share of positions that are not undecided: confidence at or above the threshold."""
    return _mean(np.asarray(confidence) >= threshold)


def selective_accuracy(confidence: npt.ArrayLike, right: npt.ArrayLike, threshold: float) -> float:
    """Share of right predictions among those that are not undecided."""
    return _mean(np.asarray(right, dtype=bool)[np.asarray(confidence) >= threshold])


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")
