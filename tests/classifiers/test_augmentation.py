"""Changes of training patterns: what they change, and that the direction goes along."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_polmap.classifiers.augmentation import Augmentation, Augmenter
from napari_polmap.classifiers.symmetries import symmetries
from napari_polmap.diffraction.preprocessing import Preprocessing
from napari_polmap.directions import DirectionSet
from tests.synthetic import DIRECTIONS

SIZE = 9
ARROWS = np.zeros((8, SIZE, SIZE), np.float32)
for _index, (_dy, _dx) in enumerate(DIRECTIONS.vectors):
    ARROWS[_index, round(4 + 3 * _dy), round(4 + 3 * _dx)] = 1
"""An arrow in the pattern that points where the polarization points."""
FLAT = ARROWS.reshape(8, -1)
NONE = Augmentation(symmetry=False)
PAPER = Preprocessing(size=SIZE, normalization="minmax")


def _augmenter(augmentation: Augmentation, **options: object) -> Augmenter:
    return Augmenter(augmentation, PAPER, DIRECTIONS, **options)  # type: ignore[arg-type]


def test_symmetry_turns_the_direction_with_the_pattern() -> None:
    turned, classes = _augmenter(Augmentation()).turned(FLAT, np.arange(8))
    assert len(turned) == 64
    np.testing.assert_array_equal(turned, FLAT[classes])


def test_each_batch_is_turned_at_random() -> None:
    rng = np.random.default_rng(0)
    patterns, classes = np.tile(FLAT, (40, 1)), np.tile(np.arange(8), 40)
    turned, drawn = _augmenter(Augmentation())(patterns, classes, rng)
    np.testing.assert_array_equal(turned, FLAT[drawn])
    assert 0.15 < np.mean(drawn == classes) < 0.4  # one in eight, and two under a mirror
    np.testing.assert_array_equal(patterns, np.tile(FLAT, (40, 1)))


def test_symmetry_only_where_the_set_allows_it() -> None:
    halves = DirectionSet.from_names(["right", "left", "none"], [0.0, 180.0, None])
    moves = symmetries(halves)
    # Identity, 180°, mirror left-right and mirror up-down; no quarter turns.
    assert [(m.mirrored, m.turns) for m in moves] == [(False, 0), (False, 2), (True, 0), (True, 2)]
    np.testing.assert_array_equal(moves[1].classes, [1, 0, 2])


def test_blur_is_a_gaussian_of_the_width_asked_for() -> None:
    patterns = np.random.default_rng(1).random((5, SIZE, SIZE)).astype(np.float32)
    blurred, _ = _augmenter(dataclasses.replace(NONE, blur_px=(1.5, 1.5), blur_share=1.0))(
        patterns.reshape(5, -1), np.arange(5), np.random.default_rng(0)
    )
    expected = [gaussian_filter(pattern, 1.5, mode="nearest") for pattern in patterns]
    np.testing.assert_allclose(blurred.reshape(5, SIZE, SIZE), expected, atol=1e-3)


def test_shares_of_the_patterns_are_changed() -> None:
    rng = np.random.default_rng(2)
    patterns = np.full((1000, SIZE * SIZE), 0.5, np.float32)
    patterns[:, 0] = 1
    bright = dataclasses.replace(NONE, brightness_share=0.3)
    changed, _ = _augmenter(bright)(patterns, np.zeros(1000, int), rng)
    moved = np.abs(changed - patterns).max(axis=1) > 1e-6
    assert 0.25 < moved.mean() < 0.35
    # Scaled by 0.85 to 1.15 and shifted by up to 0.15.
    assert 0.27 < changed[:, 1].min() < changed[:, 1].max() < 0.73
    noisy, _ = _augmenter(dataclasses.replace(NONE, noise=(0.02, 0.02), noise_share=0.2))(
        patterns, np.zeros(1000, int), rng
    )
    spread = (noisy - patterns)[:, 1:].std(axis=1)
    assert 0.15 < (spread > 0).mean() < 0.25
    assert spread[spread > 0].mean() == pytest.approx(0.02, rel=0.05)


def test_small_rotations_leave_the_direction() -> None:
    arrows = np.tile(np.eye(1, SIZE * SIZE, 4 * SIZE + 7, dtype=np.float32), (200, 1))
    turned, classes = _augmenter(dataclasses.replace(NONE, rotation_deg=20.0))(
        arrows, np.zeros(200, int), np.random.default_rng(3)
    )
    axis = np.arange(SIZE) - 4
    square = turned.reshape(-1, SIZE, SIZE)
    up = -(square.sum(2) @ axis) / square.sum((1, 2))
    right = (square.sum(1) @ axis) / square.sum((1, 2))
    angle = np.rad2deg(np.arctan2(up, right))
    assert (classes == 0).all()
    assert 15 < angle.max() < 23
    assert -23 < angle.min() < -15


def test_a_dose_gives_counting_noise_anew() -> None:
    sum_ = Preprocessing(size=SIZE)
    patterns = np.ones((300, SIZE * SIZE), np.float32)
    augmenter = Augmenter(NONE, sum_, DIRECTIONS, dose=(8100, 8100))
    rng = np.random.default_rng(4)
    noisy, _ = augmenter(patterns, np.zeros(300, int), rng)
    assert noisy.std() == pytest.approx(0.1, rel=0.05)  # 100 electrons a pixel
    np.testing.assert_allclose(noisy.mean(axis=1), 1, rtol=1e-5)
    again, _ = augmenter(patterns, np.zeros(300, int), rng)
    assert (again != noisy).mean() > 0.5


def test_copies_beforehand_keep_the_patterns_themselves() -> None:
    several = dataclasses.replace(Augmentation(), copies=2, noise_share=1.0)
    patterns, classes = _augmenter(several).beforehand(FLAT, np.arange(8), np.random.default_rng(5))
    assert len(patterns) == 8 * 3 * 8
    np.testing.assert_array_equal(patterns[:8], FLAT)
    np.testing.assert_array_equal(patterns.argmax(axis=1), FLAT[classes].argmax(axis=1))
