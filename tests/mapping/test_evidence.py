"""Evidence shows what the map was made from."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.classifiers import Classifier
from napari_polmap.errors import MapError
from napari_polmap.mapping import classify, evidence, region_evidence
from napari_polmap.scan import Scan
from napari_polmap.viewer.contrast import Contrast
from napari_polmap.viewer.patterns import iter_region_pattern
from tests.synthetic import CALIBRATION, make_scan, two_domains

LABELS = two_domains()


@pytest.mark.parametrize("position", [(0, 0), (24, 10), (47, 55), (20, 27)])
@pytest.mark.parametrize("window", [None, 0.7, 0.0])
def test_evidence_agrees_with_the_map(
    classifier: Classifier, position: tuple[int, int], window: float | None
) -> None:
    scan = make_scan(LABELS, seed=55)
    result = classify(scan, classifier, window=window)
    found = evidence(scan, classifier, position, window=window)
    assert found.direction == result.direction[position]
    assert found.confidence == pytest.approx(float(result.confidence[position]), abs=2e-3)
    np.testing.assert_array_equal(found.pattern, scan.pattern(*position))
    assert found.seen.shape == found.class_means.shape[1:] == (16, 16)
    assert found.seen.mean() == pytest.approx(1, rel=1e-3)


def test_seen_pattern_resembles_its_class_mean_most(classifier: Classifier) -> None:
    found = evidence(make_scan(LABELS, seed=56, dose=2e4), classifier, (24, 10))
    odd = (found.seen - found.seen[::-1, ::-1]).ravel()
    means = (found.class_means - found.class_means[:, ::-1, ::-1]).reshape(8, -1)
    assert int(np.argmax(means @ odd / np.linalg.norm(means, axis=1))) == found.direction


def test_region_mean(classifier: Classifier) -> None:
    scan = make_scan(LABELS, seed=57)
    mean = scan.read(slice(8, 24), slice(0, 16)).mean((0, 1))
    found = region_evidence(scan, classifier, mean)
    assert found.direction == LABELS[10, 5]
    np.testing.assert_array_equal(found.pattern, mean)


WANDERING = CALIBRATION.updated("user", descan_px=(0.055, 0.01, -0.01, 0.055), ellipse=(1.05, 30.0))


@pytest.mark.parametrize("position", [(0, 0), (24, 10), (47, 55)])
def test_evidence_follows_the_beam(classifier: Classifier, position: tuple[int, int]) -> None:
    scan = make_scan(LABELS, seed=55, dose=1e6, calibration=WANDERING)
    result = classify(scan, classifier)
    found = evidence(scan, classifier, position)
    assert found.direction == result.direction[position]
    assert found.confidence == pytest.approx(float(result.confidence[position]), abs=2e-3)
    np.testing.assert_array_equal(found.pattern, scan.pattern(*position))
    # What was seen is what is seen without a descan.
    still = evidence(make_scan(LABELS, seed=55, dose=1e6), classifier, position)
    assert np.abs(found.seen - still.seen).mean() < 0.03


def test_region_mean_far_from_the_scans_middle(classifier: Classifier) -> None:
    """The mean as it is shown is centered; the mean of the raw patterns is not."""
    scan = make_scan(LABELS, seed=57, calibration=WANDERING)
    region = np.zeros(LABELS.shape, bool)
    region[:16, :16] = True
    *_, shown = iter_region_pattern(scan, region, Contrast())
    assert region_evidence(scan, classifier, shown.values).direction == LABELS[5, 5]
    raw = scan.read(slice(0, 16), slice(0, 16)).mean((0, 1))
    assert region_evidence(scan, classifier, raw).direction != LABELS[5, 5]


def test_no_data_and_outside(classifier: Classifier) -> None:
    patterns = np.array(make_scan(LABELS, seed=58).data.compute())
    patterns[24, 10] = 0
    scan = Scan(patterns, CALIBRATION)
    found = evidence(scan, classifier, (24, 10))
    assert found.direction is None
    assert np.isnan(found.seen).all()
    with pytest.raises(MapError, match="outside the scan"):
        evidence(scan, classifier, (48, 0))
