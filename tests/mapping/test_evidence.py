"""Evidence shows what the map was made from."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.classifiers import Classifier
from napari_polmap.errors import MapError
from napari_polmap.mapping import classify, evidence, region_evidence
from napari_polmap.scan import Scan
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


def test_no_data_and_outside(classifier: Classifier) -> None:
    patterns = np.array(make_scan(LABELS, seed=58).data.compute())
    patterns[24, 10] = 0
    scan = Scan(patterns, CALIBRATION)
    found = evidence(scan, classifier, (24, 10))
    assert found.direction is None
    assert np.isnan(found.seen).all()
    with pytest.raises(MapError, match="outside the scan"):
        evidence(scan, classifier, (48, 0))
