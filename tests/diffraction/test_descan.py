"""The beam's way over a scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_polmap import load_scan
from napari_polmap.diffraction.descan import Descan, iter_descan, measure_descan
from napari_polmap.scan import Scan
from tests.synthetic import CALIBRATION, make_patterns, moved, two_domains

DEMO = Path(__file__).parents[2] / "src/napari_polmap/data/demo_knn.hspy"


def corner_error(
    found: Descan, plane: tuple[float, ...], center: np.ndarray, shape: tuple[int, int]
) -> float:
    """Largest error of the beam's place at the corners, as a share of the radius."""
    half = (np.array(shape) - 1) / 2
    wrong = np.reshape(found.descan_px, (2, 2)) - np.reshape(plane, (2, 2))
    offset = np.array(found.center_px) - center
    corners = half * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    return float(np.hypot(*(offset + corners @ wrong.T).T).max()) / found.radius_px


@pytest.fixture(scope="module")
def demo() -> tuple[np.ndarray, np.ndarray]:
    """Every second position of the demo scan, and its beam's true place."""
    scan = load_scan(DEMO, measure=False, sidecar=False)
    return scan.read(slice(0, 64), slice(0, 64)), np.array([44.8, 42.7])


def test_none_in_the_demo_scan(demo) -> None:
    found = measure_descan(Scan(demo[0], step_nm=0.0495, lattice_nm=0.396))
    assert not found.significant
    assert found.range_px < 0.005 * found.radius_px
    assert found.center_px == pytest.approx(tuple(demo[1]), abs=0.15)


@pytest.mark.parametrize("way", [(1.0, -0.5, 0.5, 1.0), (6.0, 2.0, -3.0, 8.0)])
def test_half_a_percent_at_the_corners(demo, way) -> None:
    patterns, _ = demo
    still = measure_descan(Scan(patterns))
    plane = tuple(part / 63 for part in way)
    found = measure_descan(Scan(moved(patterns, plane)))
    assert found.significant
    assert corner_error(found, plane, np.array(still.center_px), (64, 64)) < 0.005
    assert found.radius_px == pytest.approx(still.radius_px, rel=0.004)
    assert found.error_px < 0.003 * found.radius_px
    half = np.reshape(way, (2, 2))
    longest = max(np.hypot(*(half @ [1, 1])), np.hypot(*(half @ [1, -1])))
    assert found.range_px == pytest.approx(longest, abs=0.15)


def test_a_few_positions() -> None:
    patterns = make_patterns(np.zeros((5, 6), int), dose=200_000)
    plane = (0.5, 0.1, -0.2, 0.4)
    found = measure_descan(Scan(moved(patterns, plane)))
    assert found.significant
    assert found.descan_px == pytest.approx(plane, abs=0.05)
    assert not measure_descan(Scan(patterns)).significant
    assert measure_descan(Scan(patterns[:3])) is None


def test_domains_make_no_descan() -> None:
    for seed in range(3):
        scan = Scan(make_patterns(two_domains((24, 32)), seed=seed), CALIBRATION)
        assert not measure_descan(scan).significant


def test_no_disk_no_descan() -> None:
    noise = np.random.default_rng(0).poisson(3, (8, 8, 32, 32)).astype(np.uint16)
    assert measure_descan(Scan(noise)) is None
    assert measure_descan(Scan(np.zeros((8, 8, 32, 32), np.uint16))) is None


def test_outliers_and_missing_patterns() -> None:
    patterns = make_patterns(two_domains((24, 32)), dose=20_000)
    plane = (0.06, 0.0, 0.0, -0.05)
    broken = moved(patterns, plane).astype(np.float32)
    broken[:8, :8] = np.roll(broken[:8, :8], 3, axis=2)  # the beam jumped
    broken[16:, 24:28] = np.nan
    found = measure_descan(Scan(broken))
    assert found.descan_px == pytest.approx(plane, abs=0.006)


def test_progress_and_bounded_reading() -> None:
    patterns = moved(make_patterns(np.zeros((64, 64), int), dose=20_000), (0.03, 0, 0, 0.03))
    read = 0

    class Counted:
        shape, dtype, ndim = patterns.shape, patterns.dtype, 4

        def __getitem__(self, key):
            nonlocal read
            part = patterns[key]
            read += part.nbytes
            return part

    steps, limit = iter_descan(Scan(Counted()), read_bytes=patterns.nbytes // 4), []
    while True:
        try:
            limit.append(next(steps))
        except StopIteration as end:
            found = end.value
            break
    assert [step.done for step in limit] == list(range(1, 65))
    assert {step.total for step in limit} == {64}
    assert 0 < read < 1.2 * patterns.nbytes / 4
    assert found.descan_px == pytest.approx((0.03, 0, 0, 0.03), abs=0.003)


def test_stored_blocks_are_read_whole() -> None:
    patterns = moved(make_patterns(np.zeros((48, 48), int), dose=20_000), (0.03, 0, 0, 0.03))
    found = measure_descan(Scan(patterns, storage=(8, 8)), read_bytes=patterns.nbytes // 6)
    assert found.descan_px == pytest.approx((0.03, 0, 0, 0.03), abs=0.004)
