"""Calibration of a model's probabilities, and the threshold of what is undecided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers.models.base import Classes, cross_entropy
from napari_polmap.classifiers.models.features import Floats
from napari_polmap.metrics import selective_accuracy

METHODS = ("temperature", "isotonic")
"""How probabilities are calibrated."""

_WANTED_ACCURACY = 0.9
_THRESHOLDS = (0.3, 0.6)
"""Above the highest a calibrated direction is more likely right than wrong: never hide that."""
_TEMPERATURES = (0.2, 20.0)
_AHEAD = 1e-3


@dataclass(frozen=True)
class ProbabilityCalibration:
    """Temperature scaling of the model's probabilities (Guo et al. 2017), or a rising curve.

    Parameters
    ----------
    temperature : float
        Logarithms of the probabilities are divided by it; above one makes them less confident.
    floor : float
        Smallest probability before the logarithm, so that k-NN votes of zero can be scaled.
    knots : tuple of (float, float)
        Points of the curve from the highest probability after the temperature to the share of
        right predictions, straight in between; empty: no curve. The other probabilities keep their
        ratios, and the most probable direction stays the same.
    """

    temperature: float = 1.0
    floor: float = 1e-3
    knots: tuple[tuple[float, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ProbabilityCalibration:
        """Inverse of `to_dict`."""
        knots = tuple((float(x), float(y)) for x, y in values.get("knots", ()))
        return cls(float(values["temperature"]), float(values["floor"]), knots)

    def apply(self, probabilities: Floats) -> Floats:
        """Calibrated probabilities ``(..., n_directions)``."""
        logits = np.log(np.maximum(probabilities, self.floor)) / self.temperature
        logits -= logits.max(axis=-1, keepdims=True)
        exponentials = np.exp(logits)
        scaled = np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), np.float32)
        return self._curved(scaled) if self.knots and scaled.size else scaled

    def _curved(self, probabilities: Floats) -> Floats:
        ordered = np.sort(probabilities, axis=-1)
        top, second = ordered[..., -1:], ordered[..., -2:-1]
        raised = np.interp(top, *np.transpose(self.knots))
        # Not below where the second direction would overtake.
        lowest = second / np.maximum(1 - top + second, 1e-9) + _AHEAD
        raised = np.clip(np.maximum(raised, lowest), 0, 1)
        rest = np.maximum(1 - top, 1e-9)
        result = probabilities * ((1 - raised) / rest)
        np.put_along_axis(result, probabilities.argmax(axis=-1)[..., None], raised, axis=-1)
        return np.asarray(result / result.sum(axis=-1, keepdims=True), np.float32)


def fit_calibration(
    probabilities: Floats, directions: Classes, method: str = "temperature"
) -> ProbabilityCalibration:
    """The calibration of least cross-entropy on patterns that training has not seen.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (n, n_directions)
        The model's.
    directions : ndarray of int, shape (n,)
        The right ones.
    method : {"temperature", "isotonic"}
        The second adds an isotonic regression (Zadrozny and Elkan 2002) of whether the most
        probable direction is right on its probability.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        scaled = ProbabilityCalibration(float(np.exp(log_temperature))).apply(probabilities)
        return cross_entropy(scaled, directions)

    best = minimize_scalar(loss, bounds=tuple(np.log(_TEMPERATURES)), method="bounded")
    calibration = ProbabilityCalibration(float(np.exp(best.x)))
    if method == "temperature":
        return calibration
    from sklearn.isotonic import IsotonicRegression

    scaled = calibration.apply(probabilities)
    right = scaled.argmax(axis=1) == directions
    curve = IsotonicRegression(y_min=0, y_max=1).fit(scaled.max(axis=1), right)
    points = zip(curve.X_thresholds_, curve.y_thresholds_, strict=True)
    knots = tuple((float(x), float(y)) for x, y in points)
    return ProbabilityCalibration(calibration.temperature, calibration.floor, knots)


def choose_threshold(confidence: Floats, right: npt.NDArray[np.bool_]) -> float:
    """The lowest confidence from which on nine tenths of the directions are right, 0.3 to 0.6.

    Parameters
    ----------
    confidence : ndarray of float, shape (n,)
        Calibrated.
    right : ndarray of bool, shape (n,)
    """
    for candidate in np.arange(*_THRESHOLDS, 0.01):
        if selective_accuracy(confidence, right, candidate) >= _WANTED_ACCURACY:
            return float(round(candidate, 2))
    return _THRESHOLDS[1]
