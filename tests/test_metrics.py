from __future__ import annotations

import numpy as np
import pytest

from napari_polmap import metrics
from napari_polmap.directions import DirectionSet
from napari_polmap.errors import DatasetError

EIGHT = DirectionSet.default()


def test_accuracy_counts_right_predictions():
    assert metrics.accuracy([0, 1, 2, 3], [0, 1, 2, 0]) == 0.75


def test_any_of_several_right_directions_counts():
    right = np.zeros((3, 8), dtype=bool)
    right[:, [0, 7]] = True
    np.testing.assert_array_equal(metrics.is_right([0, 7, 1], right), [True, True, False])


def test_nothing_to_judge_is_nan():
    assert np.isnan(metrics.accuracy([], []))
    assert np.isnan(metrics.expected_calibration_error([], []))
    assert np.isnan(metrics.coverage([], 0.5))
    assert np.isnan(metrics.selective_accuracy([0.2], [True], 0.5))


def test_truth_of_another_length_is_refused():
    with pytest.raises(DatasetError, match="one truth per prediction"):
        metrics.accuracy([0, 1, 2], [0, 1])


@pytest.mark.parametrize(
    ("predicted", "truth", "error"), [("RM", "RD", 45), ("RM", "LM", 180), ("RD", "MU", 135)]
)
def test_angular_error_takes_the_short_way_round(predicted, truth, error):
    result = metrics.angular_error_deg([EIGHT.index(predicted)], [EIGHT.index(truth)], EIGHT)
    np.testing.assert_allclose(result, [error])


def test_angular_error_uses_the_angles_of_the_set():
    directions = DirectionSet(("a", "b", "vacuum"), (10.0, 350.0, None))
    errors = metrics.angular_error_deg([0, 2, 2, 1], [1, 2, 0, 2], directions)
    np.testing.assert_allclose(errors, [20.0, 0.0, np.nan, np.nan])


def test_angular_error_to_the_nearest_right_direction():
    right = np.zeros((1, 8), dtype=bool)
    right[0, [0, 4]] = True
    np.testing.assert_allclose(metrics.angular_error_deg([3], right, EIGHT), [45.0])


def test_calibration_error_of_two_bins_by_hand():
    # Bin 0.6..0.667: confidence 0.65, accuracy 0.5; bin 0.933..1: confidence 1, accuracy 1.
    confidence = [0.65, 0.65, 1.0, 1.0, 1.0, 1.0]
    right = [True, False, True, True, True, True]
    expected = (0.15 * 2 + 0.0 * 4) / 6
    assert metrics.expected_calibration_error(confidence, right) == pytest.approx(expected)


def test_confidences_at_an_edge_fall_into_the_lower_bin():
    table = metrics.reliability([0.0, 0.5, 0.51, 1.0], [True] * 4, bins=2)
    np.testing.assert_array_equal(table.count, [2, 2])


def test_calibrated_predictions_have_a_small_error():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.2, 1.0, 50_000)
    right = rng.uniform(size=confidence.size) < confidence
    assert metrics.expected_calibration_error(confidence, right) < 0.01
    assert metrics.expected_calibration_error(confidence**2, right) > 0.1


def test_confidence_that_was_not_computed_is_refused():
    with pytest.raises(DatasetError, match="between 0 and 1"):
        metrics.reliability([0.5, np.nan], [True, True])


def test_coverage_and_selective_accuracy():
    confidence, right = [0.9, 0.8, 0.79, 0.2], [True, False, True, False]
    assert metrics.coverage(confidence, 0.8) == 0.5
    assert metrics.selective_accuracy(confidence, right, 0.8) == 0.5
    assert metrics.selective_accuracy(confidence, right, 0.85) == 1.0
