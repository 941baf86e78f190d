"""Calibration of a model's probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_polmap.classifiers.models.features import Floats


@dataclass(frozen=True)
class ProbabilityCalibration:
    """Temperature scaling of the model's probabilities (Guo et al. 2017).

    Parameters
    ----------
    temperature : float
        Logarithms of the probabilities are divided by it; above one makes them less confident.
    floor : float
        Smallest probability before the logarithm, so that k-NN votes of zero can be scaled.
    """

    temperature: float = 1.0
    floor: float = 1e-3

    def apply(self, probabilities: Floats) -> Floats:
        """Calibrated probabilities ``(..., n_directions)``."""
        logits = np.log(np.maximum(probabilities, self.floor)) / self.temperature
        logits -= logits.max(axis=-1, keepdims=True)
        exponentials = np.exp(logits)
        return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), np.float32)
