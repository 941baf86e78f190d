"""PolarizationMap: what is shown, and a history that goes back bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.directions import NOT_COMPUTED, DirectionSet
from napari_polmap.errors import MapError
from napari_polmap.polarization_map import (
    ARRAYS,
    STATUS_BY_HAND,
    STATUS_CLASSIFIED,
    STATUS_EDGE_WINDOW,
    HistoryStep,
    PolarizationMap,
)
from napari_polmap.scan import ScanIdentity


@pytest.fixture
def pmap() -> PolarizationMap:
    rng = np.random.default_rng(0)
    result = PolarizationMap.empty(
        (6, 7),
        DirectionSet.default(),
        threshold=0.6,
        calibration=Calibration(crystal_angle_deg=10),
        scan=ScanIdentity(None, None, None, (6, 7, 4, 4), "uint8", "00"),
        classifier={"name": "default"},
    )
    result.direction[:5] = rng.integers(0, 8, (5, 7))
    result.status[:5] = STATUS_CLASSIFIED
    result.probabilities[:5] = rng.dirichlet(np.ones(8), (5, 7))
    result.confidence[:5] = rng.uniform(0.2, 1, (5, 7))
    result.defects[:5] = rng.normal(size=(5, 7))
    return result


def step(pmap: PolarizationMap, value: int) -> HistoryStep:
    mask = np.zeros((2, 3), bool)
    mask[0, 1] = mask[1, 2] = True
    before = {n: getattr(pmap, n)[1:3, 2:5][mask].copy() for n in ("direction", "confidence")}
    after = {
        "direction": np.full(2, value, np.uint8),
        "confidence": np.full(2, np.nan, np.float32),
    }
    return HistoryStep("test", {"value": value}, (1, 3), (2, 5), mask, before, after, "now")


def contents(pmap: PolarizationMap) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in pmap.arrays().items()}


def test_empty_map_says_that_nothing_is_computed() -> None:
    pmap = PolarizationMap.empty(
        (2, 3),
        DirectionSet.from_names(["a", "b"]),
        threshold=0.5,
        calibration=Calibration(),
        scan=ScanIdentity(None, None, None, (2, 3, 1, 1), "uint8", ""),
        classifier={},
    )
    assert set(pmap.arrays()) == set(ARRAYS)
    assert pmap.shape == (2, 3)
    assert (pmap.direction == NOT_COMPUTED).all()
    assert pmap.probabilities.shape == (2, 3, 2)
    assert not pmap.computed.any()
    assert not pmap.undecided.any()
    assert pmap.counts() == {"a": 0, "b": 0}
    assert np.isnan(pmap.confidence).all()
    assert "incomplete" in repr(pmap)


def test_threshold_hides_the_undecided(pmap: PolarizationMap) -> None:
    undecided = pmap.computed & (pmap.confidence < 0.6)
    np.testing.assert_array_equal(pmap.undecided, undecided)
    labels = pmap.labels()
    assert (labels[undecided] == NOT_COMPUTED).all()
    np.testing.assert_array_equal(labels[~undecided], pmap.direction[~undecided])
    assert (pmap.labels(0.0)[:5] == pmap.direction[:5]).all()
    assert (pmap.labels(1.1) == NOT_COMPUTED).all()
    assert pmap.threshold == 0.6
    assert sum(pmap.counts().values()) == (labels != NOT_COMPUTED).sum()
    assert pmap.counts()["RU"] == (labels == 1).sum()


def test_positions_by_hand_are_decided(pmap: PolarizationMap) -> None:
    pmap.confidence[0, 0] = 0.1
    pmap.status[0, 0] = STATUS_BY_HAND | STATUS_EDGE_WINDOW
    assert pmap.labels()[0, 0] == pmap.direction[0, 0]


def test_missing_confidence_is_undecided(pmap: PolarizationMap) -> None:
    pmap.confidence[0, 0] = np.nan
    assert pmap.undecided[0, 0]


def test_shown_angles_include_the_crystals(pmap: PolarizationMap) -> None:
    assert pmap.shown_directions.angles_deg[:2] == (10.0, 55.0)
    assert pmap.directions.angles_deg[0] == 0.0


def test_undo_and_redo_bit_for_bit(pmap: PolarizationMap) -> None:
    states = [contents(pmap)]
    for value in (3, 5):
        pmap.apply(step(pmap, value))
        states.append(contents(pmap))
    assert pmap.undo().parameters == {"value": 5}
    assert contents(pmap) == states[1]
    assert pmap.undo().parameters == {"value": 3}
    assert contents(pmap) == states[0]
    assert pmap.undone == 2
    with pytest.raises(MapError, match="no change to undo"):
        pmap.undo()
    pmap.redo()
    assert contents(pmap) == states[1]
    pmap.redo()
    assert contents(pmap) == states[2]
    with pytest.raises(MapError, match="no undone change"):
        pmap.redo()
    assert len(pmap.history) == 2


def test_a_change_after_undo_forgets_what_was_undone(pmap: PolarizationMap) -> None:
    pmap.apply(step(pmap, 3))
    pmap.apply(step(pmap, 5))
    pmap.undo()
    pmap.apply(step(pmap, 7))
    assert [s.parameters["value"] for s in pmap.history] == [3, 7]
    assert pmap.undone == 0
    with pytest.raises(MapError):
        pmap.redo()


def test_only_the_masked_positions_change(pmap: PolarizationMap) -> None:
    before = pmap.direction.copy()
    pmap.apply(step(pmap, 6))
    changed = np.argwhere(pmap.direction != before).tolist()
    assert set(map(tuple, changed)) <= {(1, 3), (2, 4)}
    assert pmap.direction[1, 3] == pmap.direction[2, 4] == 6


def test_copies_are_independent(pmap: PolarizationMap) -> None:
    pmap.warnings.append("one")
    other = pmap.copy()
    other.apply(step(other, 2))
    other.warnings.append("two")
    other.confidence[:] = 0
    assert pmap.history == []
    assert pmap.warnings == ["one"]
    assert pmap.confidence[0, 0] > 0
