"""Reclassify: only the region changes, and every step can be taken back bit for bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from napari_polmap.classifiers import Classifier
from napari_polmap.directions import DirectionSet
from napari_polmap.errors import MapError
from napari_polmap.io import load_map
from napari_polmap.mapping import classify, iter_reclassify, reclassify
from napari_polmap.polarization_map import PolarizationMap
from napari_polmap.scan import Scan
from tests.synthetic import make_scan, two_domains

LABELS = two_domains()


@pytest.fixture(scope="module")
def scan() -> Scan:
    """Two domains."""
    return make_scan(LABELS, seed=53)


@pytest.fixture(scope="module")
def result(scan: Scan, classifier: Classifier) -> PolarizationMap:
    """Their map, classified with too wide a window."""
    return classify(scan, classifier, window=2.0)


def _mask() -> np.ndarray:
    y, x = np.mgrid[: LABELS.shape[0], : LABELS.shape[1]]
    return (np.abs(y - 20) < 9) & (np.abs(x - 28) < 7) & ((x + y) % 5 > 0)


def _same(first: PolarizationMap, second: PolarizationMap, where: np.ndarray) -> bool:
    return all(
        a[where].tobytes() == second.arrays()[name][where].tobytes()
        for name, a in first.arrays().items()
    )


def test_only_the_region_changes(
    scan: Scan, result: PolarizationMap, classifier: Classifier
) -> None:
    before = result.copy()
    mask = _mask()
    changed = reclassify(result, scan, mask, classifier, window=1.0, threshold=0.99)
    everywhere = np.ones_like(mask)
    assert _same(result, before, everywhere)
    assert _same(changed, result, ~mask)
    assert not _same(changed, result, mask)
    narrow = classify(scan, classifier, window=1.0)
    np.testing.assert_array_equal(changed.direction[mask], narrow.direction[mask])
    assert (changed.local_threshold[mask] == np.float32(0.99)).all()
    assert changed.history[-1].parameters["window_cells"] == 1.0
    changed.undo()
    assert _same(changed, result, everywhere)
    changed.redo()
    assert not _same(changed, result, mask)


def test_history_is_saved_with_the_map(
    scan: Scan, result: PolarizationMap, classifier: Classifier, tmp_path: Path
) -> None:
    changed = reclassify(result, scan, _mask(), classifier, window=1.0)
    again = load_map(changed.save(tmp_path / "map.zarr"))
    assert again.history[0].action == changed.history[0].action
    again.undo()
    assert _same(again, result, np.ones(LABELS.shape, bool))


def test_a_new_change_forgets_undone_ones(
    scan: Scan, result: PolarizationMap, classifier: Classifier
) -> None:
    changed = reclassify(result, scan, _mask(), classifier, window=1.0)
    changed.undo()
    again = reclassify(changed, scan, _mask(), classifier, window=0.8)
    assert len(again.history) == 1
    with pytest.raises(MapError, match="redo"):
        again.redo()
    again.undo()
    with pytest.raises(MapError, match="undo"):
        again.undo()


def test_cancelled_leaves_no_trace(
    scan: Scan, result: PolarizationMap, classifier: Classifier
) -> None:
    before = result.copy()
    steps = iter_reclassify(result, scan, _mask(), classifier)
    next(steps)
    steps.close()
    assert _same(result, before, np.ones(LABELS.shape, bool))
    assert result.history == before.history


def test_bad_regions_scans_and_classifiers(
    scan: Scan, result: PolarizationMap, classifier: Classifier
) -> None:
    with pytest.raises(MapError, match="holds no position"):
        reclassify(result, scan, np.zeros(LABELS.shape, bool), classifier)
    with pytest.raises(MapError, match="mask has shape"):
        reclassify(result, scan, np.ones((3, 3), bool), classifier)
    with pytest.raises(MapError, match="not made from"):
        reclassify(result, make_scan(LABELS, seed=54), _mask(), classifier)
    names = DirectionSet.from_names(list("abcdefgh"), [45.0 * k for k in range(8)])
    other = dataclasses.replace(classifier, directions=names)
    with pytest.raises(MapError, match="other directions"):
        reclassify(result, scan, _mask(), other)
