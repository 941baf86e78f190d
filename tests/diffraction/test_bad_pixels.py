"""Bad pixels found, and none where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_polmap import load_scan
from napari_polmap.diffraction.bad_pixels import find_bad_pixels
from napari_polmap.errors import ScanError
from napari_polmap.scan import Scan

DATA = Path(__file__).parents[1] / "data"
DEMO = Path(__file__).parents[2] / "src/napari_polmap/data/demo_knn.hspy"
MIDDLE = 38
ROWS, COLUMNS = np.indices((77, 77))
distance = np.hypot(ROWS - MIDDLE, COLUMNS - MIDDLE)


def counts(electrons: float, specimen: int = 3, seed: int = 0) -> np.ndarray:
    """A scan of a simulated crystal's mean pattern, brighter and darker as crystals are."""
    with np.load(DATA / "disk_means.npz") as stored:
        mean = stored["mean"][specimen].astype(np.float64)
    rng = np.random.default_rng(seed)
    tilt = rng.normal(0, 0.3, (18, 20, 2, 1, 1))
    slope = 1 + (tilt[:, :, 0] * (ROWS - MIDDLE) + tilt[:, :, 1] * (COLUMNS - MIDDLE)) / 38
    return rng.poisson(mean / mean.sum() * electrons * np.clip(slope, 0, None)).astype(np.uint16)


def test_none_in_the_demo_scan() -> None:
    assert not find_bad_pixels(load_scan(DEMO, measure=False, sidecar=False)).mask.any()


@pytest.mark.parametrize("electrons", [50, 500, 4000, 1e6])
@pytest.mark.parametrize("specimen", [0, 7, 15])
def test_none_in_clean_scans(electrons: float, specimen: int) -> None:
    assert not find_bad_pixels(Scan(counts(electrons, specimen))).mask.any()


@pytest.mark.parametrize("electrons", [5000, 1e6])
@pytest.mark.parametrize("width", [0.5, 0.7, 1.2, 2.5])
def test_lattice_spots_are_none(electrons: float, width: float) -> None:
    pattern = np.zeros((77, 77))
    for row in range(-4, 5):
        for column in range(-4, 5):
            spot = np.hypot(ROWS - 38.3 - 8.2 * row, COLUMNS - 37.6 - 8.2 * column)
            pattern += np.exp(-((spot / width) ** 2) / 2 - (row**2 + column**2) / 4)
    rng = np.random.default_rng(0)
    thickness = rng.gamma(3, 1 / 3, (16, 16, 1, 1))
    scan = rng.poisson(thickness * pattern / pattern.sum() * electrons + 0.05)
    assert find_bad_pixels(Scan(scan.astype(np.uint32))).mask.sum() <= 2


def test_other_gains_and_readout_noise() -> None:
    rng = np.random.default_rng(0)
    adu = 137 * counts(800).astype(np.float32) + 20
    adu += rng.normal(0, 12, adu.shape).astype(np.float32)
    assert not find_bad_pixels(Scan(adu)).mask.any()
    adu[:, :, 40, 41] = 20
    adu[:, :, 12, 60] += 3000
    found = find_bad_pixels(Scan(adu))
    assert np.argwhere(found.mask).tolist() == [[12, 60], [40, 41]]


def some_pixels(within: float, number: int = 12) -> tuple[np.ndarray, np.ndarray]:
    places = np.argwhere(distance < within)
    chosen = np.random.default_rng(4).choice(len(places), number, replace=False)
    return tuple(places[chosen].T)


def telegraph(patterns: np.ndarray, where: tuple) -> None:
    switched = np.random.default_rng(1).random((*patterns.shape[:2], len(where[0]))) < 0.1
    patterns[:, :, where[0], where[1]] += (120 * switched).astype(np.uint16)


def stuck(patterns: np.ndarray, where: tuple) -> None:
    patterns[:, :, where[0], where[1]] = 4095


def hot(patterns: np.ndarray, where: tuple) -> None:
    rng = np.random.default_rng(2)
    glow = rng.poisson(5 * patterns[:, :, 38, 38].mean() + 1, (*patterns.shape[:2], 12))
    patterns[:, :, where[0], where[1]] += glow.astype(np.uint16)


def dead(patterns: np.ndarray, where: tuple) -> None:
    patterns[:, :, where[0], where[1]] = 0


@pytest.mark.parametrize("electrons", [500, 4000])
@pytest.mark.parametrize(
    ("break_", "within", "kinds"),
    [
        (dead, 20, {"dead"}),
        (stuck, 36, {"hot"}),
        (hot, 36, {"hot"}),
        (telegraph, 36, {"hot", "noisy"}),
    ],
)
def test_single_pixels(electrons: float, break_, within: float, kinds: set[str]) -> None:
    patterns, where = counts(electrons), some_pixels(within)
    break_(patterns, where)
    found = find_bad_pixels(Scan(patterns))
    bad = np.zeros((77, 77), bool)
    bad[where] = True
    assert (found.mask & bad).sum() >= 11
    assert not (found.mask & ~bad).any()
    assert {kind for kind, number in found.counts.items() if number} <= kinds


def test_a_cosmic_ray_is_no_bad_pixel() -> None:
    patterns = counts(500)
    for place, pixel in zip(np.ndindex(3, 4), np.transpose(some_pixels(36)), strict=True):
        patterns[(*place, *pixel)] = 4000
    assert not find_bad_pixels(Scan(patterns)).mask.any()


# Copies agree by chance where almost all counts are zero or one.
@pytest.mark.parametrize(
    ("kind", "electrons"),
    [
        *(("dark", 500), ("dark", 50_000), ("enlarged", 500), ("enlarged", 50_000)),
        *(("copied", 4000), ("copied", 50_000), ("made up", 20_000)),
    ],
)
def test_gaps(kind: str, electrons: float) -> None:
    patterns = counts(electrons)
    expected = np.zeros((77, 77), bool)
    if kind == "dark":
        patterns[:, :, 33:37], patterns[..., 50] = 0, 0
        expected[33:37], expected[:, 50] = True, True
    elif kind == "enlarged":
        patterns[..., 40:42] *= 2
        expected[:, 40:42] = True
    elif kind == "copied":
        patterns[:, :, 41] = patterns[:, :, 40]
        expected[40:42] = True
    else:
        patterns[..., 30] = np.rint((patterns[..., 29] + patterns[..., 31]) / 2)
        expected[:, 30] = True
    found = find_bad_pixels(Scan(patterns))
    np.testing.assert_array_equal(found.gap, expected)
    np.testing.assert_array_equal(found.mask, expected)


@pytest.mark.parametrize("electrons", [500, 4000])
@pytest.mark.parametrize("known", [False, True])
def test_a_beam_stop(electrons: float, known: bool) -> None:
    patterns = counts(electrons)
    stop = (distance < 7) | ((np.abs(COLUMNS - 40) < 4) & (ROWS < 38))
    patterns[:, :, stop] = np.random.default_rng(5).binomial(patterns[:, :, stop], 0.02)
    values = {"center_px": (38.0, 38.0), "radius_px": 22.8} if known else {}
    found = find_bad_pixels(Scan(patterns, **values))
    within = stop & (distance < 22)
    assert (found.beam_stop & within).sum() == within.sum()
    from scipy.ndimage import binary_dilation

    margin = binary_dilation(stop, np.ones((3, 3)), iterations=2)
    assert not (found.mask & ~margin).any()


def test_known_bad_pixels_are_not_told_again() -> None:
    patterns, where = counts(4000), some_pixels(20)
    dead(patterns, where)
    known = np.zeros((77, 77), bool)
    known[where] = True
    assert not find_bad_pixels(Scan(patterns, bad_pixels=known)).mask.any()


def test_too_few_patterns() -> None:
    with pytest.raises(ScanError, match="too few patterns"):
        find_bad_pixels(Scan(counts(500)[:3, :5]))
