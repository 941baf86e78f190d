"""Calibration of probabilities by a temperature or a curve, and the threshold."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.classifiers.ensemble import Ensemble
from napari_polmap.classifiers.models import PcaLda
from napari_polmap.classifiers.probabilities import (
    ProbabilityCalibration,
    choose_threshold,
    fit_calibration,
)
from napari_polmap.metrics import expected_calibration_error
from tests.synthetic import DIRECTIONS


def _overconfident(n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are sharper than they may be, and the directions drawn from true ones."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, 4)) * 1.5
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    directions = (rng.random((n, 1)) > true.cumsum(1)).sum(1)
    sharp = np.exp(3 * logits) / np.exp(3 * logits).sum(1, keepdims=True)
    return sharp.astype(np.float32), directions


def test_temperature_keeps_the_order() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0]], np.float32)
    softer = ProbabilityCalibration(3.0).apply(probabilities)
    np.testing.assert_array_equal(softer.argmax(1), [0, 1])
    assert softer[0, 0] < 0.7
    np.testing.assert_allclose(softer.sum(1), 1, rtol=1e-6)
    same = ProbabilityCalibration(1.0, floor=1e-9).apply(probabilities)
    np.testing.assert_allclose(same, probabilities, atol=1e-6)


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_calibrated_confidence_is_the_share_that_is_right(method: str) -> None:
    probabilities, directions = _overconfident()
    half = slice(0, 2000), slice(2000, None)
    calibration = fit_calibration(probabilities[half[0]], directions[half[0]], method)
    calibrated = calibration.apply(probabilities[half[1]])
    right = calibrated.argmax(1) == directions[half[1]]
    before = probabilities[half[1]].max(1)
    assert expected_calibration_error(before, right) > 0.15
    assert expected_calibration_error(calibrated.max(1), right) < 0.05
    np.testing.assert_allclose(calibrated.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(calibrated.argmax(1), probabilities[half[1]].argmax(1))
    again = ProbabilityCalibration.from_dict(calibration.to_dict())
    np.testing.assert_array_equal(
        again.apply(probabilities[:9]), calibration.apply(probabilities[:9])
    )


def test_threshold_from_which_on_nine_tenths_are_right() -> None:
    confidence = np.linspace(0.2, 1, 801)
    rng = np.random.default_rng(1)
    right = rng.random(801) < np.where(confidence < 0.45, 0.3, 0.95)
    assert 0.4 <= choose_threshold(confidence, right) <= 0.47
    assert choose_threshold(confidence, right | True) == 0.3
    assert choose_threshold(confidence, right & False) == 0.6


def test_majority_vote_and_mean() -> None:
    class Says(PcaLda):
        def predict_proba(self, patterns: np.ndarray) -> np.ndarray:
            return np.tile(np.array(self.said, np.float32), (len(patterns), 1))

    members = [Says(DIRECTIONS, size=4) for _ in range(3)]
    rest = [0.0] * 6
    for member, said in zip(
        members, ([0.51, 0.49, *rest], [0.51, 0.49, *rest], [0.0, 1.0, *rest]), strict=True
    ):
        member.said = said
    one = np.zeros((1, 16), np.float32)
    mean = Ensemble(DIRECTIONS, members, "mean").predict_proba(one)
    vote = Ensemble(DIRECTIONS, members, "majority").predict_proba(one)
    assert (mean.argmax(), vote.argmax()) == (1, 0)
    assert vote[0, 0] == pytest.approx(2 / 3, abs=1e-3)
    tie = Ensemble(DIRECTIONS, members[1:], "majority").predict_proba(one)
    assert tie.argmax() == 1
    np.testing.assert_allclose([mean.sum(), vote.sum(), tie.sum()], 1, rtol=1e-6)
