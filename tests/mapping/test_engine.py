"""The engine: maps, regions, progress, cancel, resume, warnings, bounded memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_polmap.classifiers import Classifier, save_classifier
from napari_polmap.errors import (
    CalibrationError,
    ClassifierMismatchError,
    MapError,
    ScanError,
)
from napari_polmap.io import load_map
from napari_polmap.mapping import classify, iter_classify
from napari_polmap.polarization_map import (
    STATUS_CLASSIFIED,
    STATUS_EDGE_WINDOW,
    STATUS_MASK,
    STATUS_NO_DATA,
)
from napari_polmap.scan import Scan
from tests.synthetic import CALIBRATION, make_patterns, make_scan, two_domains

LABELS = two_domains()


@pytest.fixture(scope="module")
def scan() -> Scan:
    """Two domains and a defect."""
    return make_scan(LABELS, seed=50, defect=(24, 12))


def test_two_domains_and_a_wall(scan: Scan, classifier: Classifier) -> None:
    result = classify(scan, classifier)
    assert result.complete
    assert result.confidence_calibrated
    assert result.warnings == []
    columns = np.arange(LABELS.shape[1])
    far = np.broadcast_to(np.abs(columns - LABELS.shape[1] / 2 + 0.5) > 8, LABELS.shape)
    assert (result.direction == LABELS)[far].mean() > 0.98
    status = result.status & STATUS_MASK
    assert (status == STATUS_CLASSIFIED).all()
    edge = (result.status & STATUS_EDGE_WINDOW) > 0
    assert edge[0].all()
    assert not edge[24, 28]
    np.testing.assert_array_equal(result.direction, result.probabilities.astype(float).argmax(-1))
    y, x = np.unravel_index(np.nanargmax(result.defects), result.defects.shape)
    assert np.hypot(y - 24, x - 12) < 4


def test_region_is_what_the_whole_gives(scan: Scan, classifier: Classifier) -> None:
    whole = classify(scan, classifier)
    part = classify(scan, classifier, region=(slice(10, 21), slice(5, 30)))
    inside = (slice(10, 21), slice(5, 30))
    np.testing.assert_array_equal(part.direction[inside], whole.direction[inside])
    np.testing.assert_allclose(part.confidence[inside], whole.confidence[inside], atol=1e-3)
    assert np.count_nonzero(part.status) == 11 * 25


def test_chunks_do_not_matter(scan: Scan, classifier: Classifier) -> None:
    whole = classify(scan, classifier)
    for chunks in [(7, 56), (48, 11), (5, 13)]:
        chunked = Scan(scan.data.rechunk((*chunks, 32, 32)), CALIBRATION)
        # Chunks that small are merged; whatever remains must not show.
        result = classify(chunked, classifier)
        np.testing.assert_array_equal(result.direction, whole.direction)
        np.testing.assert_array_equal(result.status, whole.status)
        np.testing.assert_allclose(result.defects, whole.defects, rtol=0.02, atol=0.05)


def test_narrow_bands_do_not_matter(
    scan: Scan, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_polmap.mapping import run

    whole = classify(scan, classifier)
    monkeypatch.setattr(run, "_BUFFER_BYTES", 1)
    result = classify(scan, classifier)
    np.testing.assert_array_equal(result.direction, whole.direction)
    np.testing.assert_array_equal(result.status, whole.status)


def test_map_fills_in_and_progress_ends_at_the_total(scan: Scan, classifier: Classifier) -> None:
    shown = []
    for step in iter_classify(scan, classifier):
        shown.append((step.done, step.total, int(np.count_nonzero(step.map.status))))
    assert shown[0] == (0, LABELS.size, 0)
    assert shown[-1][0] == shown[-1][1] == shown[-1][2] == LABELS.size
    filled = [count for _, _, count in shown]
    assert len(set(filled)) >= 6
    assert filled == sorted(filled)


def _until(steps: Iterator, positions: int):  # type: ignore[no-untyped-def, type-arg]
    for step in steps:
        if np.count_nonzero(step.map.status) >= positions:
            return step
    raise AssertionError("never that far")


def test_cancel_keeps_what_is_done_and_resume_finishes(
    scan: Scan, classifier: Classifier, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    steps = iter_classify(scan, classifier, out=out)
    partial = _until(steps, 800).map
    steps.close()
    assert not partial.complete
    kept = load_map(out)
    assert not kept.complete
    done = kept.status > 0
    assert 800 <= done.sum() < LABELS.size
    np.testing.assert_array_equal(kept.direction[done], partial.direction[done])
    with pytest.raises(MapError, match="already a map"):
        classify(scan, classifier, out)
    read = []
    result = classify(scan, classifier, out, resume=True, progress=lambda s: read.append(s.total))
    assert read[0] == LABELS.size - done.sum()
    whole = classify(scan, classifier)
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(load_map(out).arrays()[name], result.arrays()[name])
        np.testing.assert_allclose(result.arrays()[name], array, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(result.direction, whole.direction)


def test_resume_refuses_another_scan_or_window(
    scan: Scan, classifier: Classifier, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    classify(scan, classifier, out, region=(slice(0, 5), slice(0, 5)))
    other = make_scan(LABELS, seed=51)
    with pytest.raises(MapError, match="another scan, calibration, classifier or window"):
        classify(other, classifier, out, resume=True)
    with pytest.raises(MapError, match="another scan, calibration, classifier or window"):
        classify(scan, classifier, out, resume=True, window=0.7)


WANDERING = CALIBRATION.updated("user", descan_px=(0.055, 0.01, -0.01, 0.055), ellipse=(1.05, 30.0))
"""The beam goes more than 3 px over the scan, a third of R."""


@pytest.fixture(scope="module")
def wandering() -> Scan:
    """The same with a descan and an elliptical distortion, many counts."""
    return make_scan(LABELS, seed=50, defect=(24, 12), dose=3e6, calibration=WANDERING)


def test_descan_and_ellipse_do_not_show_in_the_map(wandering: Scan, classifier: Classifier) -> None:
    """The classifier was trained without; the file keeps what it was made with."""
    still = classify(make_scan(LABELS, seed=50, defect=(24, 12), dose=3e6), classifier)
    result = classify(wandering, classifier)
    assert (result.direction == still.direction).mean() > 0.99
    assert result.confidence_calibrated
    assert result.warnings == []
    known = np.isfinite(still.defects)
    assert np.corrcoef(result.defects[known], still.defects[known])[0, 1] > 0.95
    blind = classify(wandering.with_calibration(CALIBRATION), classifier)
    assert (blind.direction == still.direction).mean() < 0.5
    assert not blind.confidence_calibrated


def test_an_ellipse_left_in_looks_unlike_the_training_data(classifier: Classifier) -> None:
    strong = CALIBRATION.updated("user", ellipse=(1.15, 30.0))
    scan = make_scan(LABELS, dose=3e6, calibration=strong)
    assert np.median(classify(scan, classifier).novelty) < 0.5
    assert np.median(classify(scan.with_calibration(CALIBRATION), classifier).novelty) > 1.5


def test_regions_and_bands_know_where_the_beam_stands(
    wandering: Scan, classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_polmap.mapping import run

    whole = classify(wandering, classifier)
    inside = (slice(10, 21), slice(35, 50))
    part = classify(wandering, classifier, region=inside)
    np.testing.assert_array_equal(part.direction[inside], whole.direction[inside])
    np.testing.assert_allclose(part.confidence[inside], whole.confidence[inside], atol=1e-3)
    monkeypatch.setattr(run, "_BUFFER_BYTES", 1)
    chunked = Scan(wandering.data.rechunk((5, 13, 32, 32)), WANDERING)
    banded = classify(chunked, classifier)
    np.testing.assert_array_equal(banded.direction, whole.direction)
    np.testing.assert_allclose(banded.confidence, whole.confidence, atol=1e-3)


def test_resume_follows_the_beam_and_refuses_another_descan(
    wandering: Scan, classifier: Classifier, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    steps = iter_classify(wandering, classifier, out=out)
    _until(steps, 800)
    steps.close()
    other = wandering.calibrated(descan_px=(0.055, 0.01, -0.01, 0.05))
    with pytest.raises(MapError, match="another scan, calibration"):
        classify(other, classifier, out, resume=True)
    result = classify(wandering, classifier, out, resume=True)
    whole = classify(wandering, classifier)
    np.testing.assert_array_equal(result.direction, whole.direction)
    loaded = load_map(out)
    assert loaded.calibration == WANDERING
    assert loaded.calibration.sources["descan_px"] == "user"


def test_a_descan_beyond_the_detector_is_told_before_anything_is_read(
    wandering: Scan, classifier: Classifier, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    with pytest.raises(CalibrationError, match="corner of the scan"):
        classify(wandering.calibrated(descan_px=(0.3, 0, 0, 0.3)), classifier, out)
    assert not out.exists()


def test_other_voltage_is_refused_unless_forced(scan: Scan, classifier: Classifier) -> None:
    foreign = scan.calibrated(energy_kv=300.0)
    with pytest.raises(ClassifierMismatchError, match="voltage is 300 kV"):
        classify(foreign, classifier)
    forced = classify(foreign, classifier, force=True, region=(slice(0, 4), slice(0, 4)))
    assert not forced.confidence_calibrated
    assert "300 kV" in forced.warnings[0]


def test_unlike_training_data_is_told(classifier: Classifier) -> None:
    rng = np.random.default_rng(0)
    ky, kx = np.mgrid[:32, :32]
    ring = 40 * np.exp(-((np.hypot(ky - 15.6, kx - 15.2) - 7) ** 2) / 4)
    foreign = Scan(rng.poisson(np.broadcast_to(ring, (30, 30, 32, 32))), CALIBRATION)
    result = classify(foreign, classifier)
    assert not result.confidence_calibrated
    assert "do not look like the classifier's training data" in result.warnings[-1]


def test_positions_without_data(classifier: Classifier) -> None:
    patterns = make_patterns(LABELS, seed=52).astype(np.float32)
    patterns[5, 6] = np.nan
    patterns[30:33, 40:42] = 0
    result = classify(Scan(patterns, CALIBRATION), classifier)
    missing = (result.status & STATUS_MASK) == STATUS_NO_DATA
    assert missing.sum() == 7
    assert (result.direction[missing] == 255).all()
    assert np.isnan(result.confidence[missing]).all()
    assert (result.direction == LABELS)[~missing].mean() > 0.85


@pytest.mark.parametrize("fill", [0.0, np.nan])
def test_nothing_to_map(classifier: Classifier, fill: float) -> None:
    patterns = make_patterns(LABELS, seed=55).astype(np.float32)
    patterns[:, :28] = fill
    scan = Scan(patterns, CALIBRATION)
    result = classify(scan, classifier, region=(slice(0, 20), slice(0, 20)))
    assert (result.direction == 255).all()
    assert not result.confidence_calibrated
    assert "holds data" in result.warnings[-1]
    with pytest.raises(ScanError, match="All sampled patterns"):
        classify(Scan(np.full((20, 20, 32, 32), fill, np.float32), CALIBRATION), classifier)


def test_unknown_step_is_asked_for(scan: Scan, classifier: Classifier) -> None:
    unknown = scan.calibrated(step_nm=None)
    with pytest.raises(CalibrationError, match="scan step is not known"):
        classify(unknown, classifier)
    assert classify(unknown, classifier, window=0).computed.all()


@pytest.mark.parametrize("window", [-1.0, float("nan"), 1000.0])
def test_impossible_window(scan: Scan, classifier: Classifier, window: float) -> None:
    with pytest.raises(CalibrationError, match="0 to 20 unit cells"):
        classify(scan, classifier, window=window)


def test_region_outside(scan: Scan, classifier: Classifier) -> None:
    with pytest.raises(ScanError, match="holds no position"):
        classify(scan, classifier, region=(slice(100, 120), slice(0, 5)))


def test_threshold_is_not_stored_in_directions(scan: Scan, classifier: Classifier) -> None:
    strict = classify(scan, classifier, threshold=1.1)
    assert strict.undecided.all()
    assert (strict.labels() == 255).all()
    assert (strict.labels(threshold=0.0) == strict.direction).all()
    assert sum(strict.counts().values()) == 0


def test_anonymous_memory_stays_bounded(classifier: Classifier, tmp_path: Path) -> None:
    """A scan of 0.8 GB, larger than all that may be added."""
    path = tmp_path / "scan.npy"
    small = make_patterns(two_domains((24, 96)), seed=60, detector=64)
    big = np.lib.format.open_memmap(path, "w+", small.dtype, (960, 96, 64, 64))
    for top in range(0, 960, 24):
        big[top : top + 24] = small
    big.flush()
    del big
    model = save_classifier(classifier, tmp_path / "c.safetensors")
    script = """
import sys, threading, time
import napari_polmap as polmap
def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1e3 for line in status if line.startswith("RssAnon"))
scan = polmap.load_scan(sys.argv[1], step_nm=0.0495, energy_kv=200, semi_angle_mrad=24,
                        center_px=(31.6, 31.2), radius_px=9.0, lattice_nm=0.396, measure=False)
classifier = polmap.load_classifier(sys.argv[2])
peaks = [anonymous()]
polmap.classify(scan, classifier, sys.argv[3], progress=lambda step: peaks.append(anonymous()))
print(max(peaks))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, path, model, tmp_path / "map.zarr"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert float(done.stdout) < 700
