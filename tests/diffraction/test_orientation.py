"""Rotation and flip of the detector, on the demo scan turned by known angles."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.orientation import (
    NO_FIELD,
    NO_LATTICE,
    Candidate,
    iter_rotation,
    measure_rotation,
)
from napari_polmap.scan import Scan
from tests.diffraction.test_lattice import demo

CENTER = (44.8, 42.7)


@cache
def counts() -> np.ndarray:
    return np.asarray(demo().data)[8:56, 8:56]


def recorded(rotation_deg: float, flip: bool) -> Scan:
    """The demo scan on a detector that must be brought back by this rotation and flip."""
    onto = Calibration(rotation_deg=rotation_deg, flip=flip).to_detector(crystal_frame=False)
    back = np.linalg.inv(onto)
    patterns = counts().astype(np.float32)
    offset = np.array(CENTER) - back @ np.array(CENTER)
    turned = np.empty_like(patterns)
    for position in np.ndindex(*patterns.shape[:2]):
        turned[position] = affine_transform(patterns[position], back, offset, order=1)
    return Scan(turned, center_px=CENTER, radius_px=24.08, step_nm=0.0495)


def off(found: float, true: float, period: float = 180.0) -> float:
    return abs((found - true + period / 2) % period - period / 2)


@pytest.mark.parametrize(("rotation", "flip"), [(0.0, False), (33.0, False), (-75.0, True)])
def test_rotation_and_flip_but_for_half_a_turn(rotation: float, flip: bool) -> None:
    found = measure_rotation(recorded(rotation, flip))
    assert found.reason == ""
    assert found.flip_known
    assert [candidate.flip for candidate in found.candidates] == [flip, flip]
    first, second = (candidate.rotation_deg for candidate in found.candidates)
    assert off(first, rotation) < 2.5
    assert off(first, rotation) < 3 * found.error_deg
    assert off(first, second, 360) == pytest.approx(180)
    assert min(off(first, rotation, 360), off(second, rotation, 360)) < 2.5
    assert found.curl[int(flip)] < 0.1 < 0.25 < found.curl[int(not flip)]


@pytest.mark.parametrize("turns", [1, 2])
def test_quarter_turns_are_exact(turns: int) -> None:
    """A pattern turned clockwise must be turned back counter-clockwise."""
    plain = measure_rotation(Scan(counts(), center_px=CENTER, radius_px=24.08))
    turned = np.rot90(counts(), -turns, axes=(2, 3))
    ky, kx = CENTER
    center = {1: (kx, 87 - ky), 2: (87 - ky, 87 - kx)}[turns]
    found = measure_rotation(Scan(turned, center_px=center, radius_px=24.08))
    expected = plain.candidates[0].rotation_deg + 90 * turns
    assert off(found.candidates[0].rotation_deg, expected, 360) < 0.1
    assert found.candidates[0].flip == plain.candidates[0].flip


def test_descan_does_not_matter() -> None:
    still = measure_rotation(Scan(counts(), center_px=CENTER, radius_px=24.08))
    wandering = counts().copy()
    for row in range(48):
        wandering[row] = np.roll(counts()[row], row // 12, axis=2)
    found = measure_rotation(Scan(wandering, center_px=CENTER, radius_px=24.08))
    assert off(found.candidates[0].rotation_deg, still.candidates[0].rotation_deg) < 4


def test_a_field_of_atoms_that_attract_is_hinted_at() -> None:
    """A phase object's center of mass points to its columns, which the dark field shows."""
    y, x = np.indices((40, 40))
    ky, kx = np.indices((24, 24)) - 11.5
    waves = [(1, 0), (0, 1), (1, 1), (1, -1)]
    phases = [2 * np.pi * (m * x + n * y) / 8 for m, n in waves]
    potential = sum(np.cos(phase) for phase in phases)
    pull_x = -sum(m * np.sin(phase) for (m, _), phase in zip(waves, phases, strict=True))
    pull_y = -sum(n * np.sin(phase) for (_, n), phase in zip(waves, phases, strict=True))
    radius = np.hypot(ky, kx)
    slope = 0.02 * (pull_y[..., None, None] * ky + pull_x[..., None, None] * kx)
    disk = (radius < 6) * (1 + slope) + 0.02 * (radius > 8) * (5 + potential[..., None, None])
    patterns = np.random.default_rng(0).poisson(50 * disk).astype(np.uint16)
    found = measure_rotation(Scan(patterns, center_px=(11.5, 11.5), radius_px=6.0))
    assert found.hint > 0.9
    assert off(found.candidates[0].rotation_deg, 0.0, 360) < 2
    upside = measure_rotation(Scan(patterns[:, :, ::-1, ::-1], center_px=(11.5, 11.5), radius_px=6))
    assert off(upside.candidates[0].rotation_deg, 180.0, 360) < 2


def test_it_says_where_it_cannot_tell() -> None:
    rng = np.random.default_rng(0)
    nanobeam = Scan(rng.poisson(50, (24, 24, 16, 16)), center_px=(7.5, 7.5), radius_px=5.0)
    found = measure_rotation(nanobeam)
    assert found.candidates == ()
    assert found.reason == NO_LATTICE
    # A lattice in the dark field, and no field.
    y, x = np.indices((48, 48))
    ky, kx = np.indices((16, 16)) - 7.5
    radius = np.hypot(ky, kx)
    bright = 3 + np.cos(2 * np.pi * x / 6) + np.cos(2 * np.pi * y / 6)
    rates = 20 * (radius < 4) + 4 * (radius > 6) * bright[..., None, None]
    found = measure_rotation(Scan(rng.poisson(rates), center_px=(7.5, 7.5), radius_px=4.0))
    assert found.reason == NO_FIELD
    assert found.harmonics < 3


def test_progress_comes_in_pieces() -> None:
    scan = Scan(counts(), center_px=CENTER, radius_px=24.08)
    steps = list(iter_rotation(scan))
    assert len(steps) > 2
    assert steps[-1] == (48 * 48, 48 * 48)


def test_what_a_candidate_makes_of_a_direction() -> None:
    now = Calibration(rotation_deg=30.0)
    assert Candidate(30.0, False).implied_angle(45.0, now) == pytest.approx(45.0)
    assert Candidate(-150.0, False).implied_angle(45.0, now) == pytest.approx(225.0)
    # A flip mirrors on the detector's horizontal axis before the rotation.
    assert Candidate(0.0, True).implied_angle(45.0, Calibration()) == pytest.approx(315.0)
    assert Candidate(90.0, True).implied_angle(10.0, Calibration(flip=True)) == pytest.approx(100.0)
