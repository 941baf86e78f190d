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
    assert [row[2] for row in table] == [2, 2]


def test_reliability_rows_hold_limits_counts_and_means():
    table = metrics.reliability([0.2, 0.4, 0.9], [True, False, True], bins=4)
    assert [row[:3] for row in table] == [
        [0, 0.25, 1],
        [0.25, 0.5, 1],
        [0.5, 0.75, 0],
        [0.75, 1, 1],
    ]
    assert [row[3:] for row in table] == [[0.2, 1.0], [0.4, 0.0], [None, None], [0.9, 1.0]]


def test_confusion_counts_true_against_predicted():
    counts = metrics.confusion_matrix([0, 0, 1, 2], [0, 1, 1, 0], 3)
    np.testing.assert_array_equal(counts, [[1, 1, 0], [0, 1, 0], [1, 0, 0]])


def test_confusion_of_several_right_directions():
    allowed = np.zeros((3, 4), dtype=bool)
    allowed[:, [1, 3]] = True
    counts = metrics.confusion_matrix(allowed, [3, 1, 0], 4)
    assert counts[3, 3] == counts[1, 1] == counts[1, 0] == 1
    assert counts.sum() == 3


def test_mean_angular_error_leaves_out_what_has_no_angle():
    directions = DirectionSet(("a", "b", "vacuum"), (0.0, 90.0, None))
    error = metrics.mean_angular_error_deg([0, 1, 2], [1, 1, 0], directions)
    assert error == pytest.approx(45.0)
    assert np.isnan(metrics.mean_angular_error_deg([2], [0], directions))


def test_accuracy_by_condition_of_few_values():
    rows = metrics.by_condition([10, 50, 10, np.nan], [True, False, False, True])
    assert rows == [[10.0, 10.0, 2, 0.5], [50.0, 50.0, 1, 0.0]]


def test_accuracy_by_condition_in_bins():
    values = np.arange(100.0)
    rows = metrics.by_condition(values, values < 50)
    assert [row[2] for row in rows] == [17, 16, 17, 16, 17, 17]
    assert rows[0] == [0.0, 16.5, 17, 1.0]
    assert rows[-1][1] == 99.0
    assert sum(row[2] * row[3] for row in rows) == 50
    wide = metrics.by_condition(np.geomspace(1, 1e6, 60), np.ones(60, bool))
    assert len(wide) == 6
    assert wide[0][1] == pytest.approx(10.0)
    flat = metrics.by_condition(np.linspace(1e-4, 4, 60), np.ones(60, bool))
    assert flat[0][1] == pytest.approx(4 / 6, rel=0.01)
    given = metrics.by_condition([0, 1, 2, 3, 9], [True] * 5, edges=[1, 2, 3])
    assert given == [[1.0, 2.0, 1, 1.0], [2.0, 3.0, 2, 1.0]]


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
