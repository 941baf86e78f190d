"""Names, angles and colors of directions."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from napari_polmap.directions import DirectionSet, angle_color, screen_vectors
from napari_polmap.errors import DatasetError

DEFAULT = DirectionSet.default()

# Machado, Oliveira and Fernandes, IEEE Trans. Vis. Comput. Graph. 15 (2009) 1291, severity 1; on
# linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(colors: np.ndarray, vision: str = "normal") -> np.ndarray:
    """CIELAB (D65) of sRGB colors as seen."""
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.transpose(VISION[vision]), 0, 1)
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    ratio = linear @ np.transpose(to_xyz) / [0.95047, 1.0, 1.08883]
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1
    )


def smallest_difference(colors: np.ndarray, vision: str) -> float:
    """Smallest distance (CIE76) of any two colors."""
    seen = lab(colors, vision)
    return min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2))


@pytest.mark.parametrize(
    ("vision", "least"),
    [("normal", 25), ("protanopia", 15), ("deuteranopia", 15), ("tritanopia", 15)],
)
def test_colors_stay_apart(vision: str, least: float) -> None:
    assert smallest_difference(DEFAULT.colors, vision) > least


@pytest.mark.parametrize("vision", list(VISION))
def test_grey_stays_apart(vision: str) -> None:
    grey = DirectionSet.from_names(["vacuum"]).colors
    assert smallest_difference(np.concatenate([DEFAULT.colors, grey]), vision) > 12


def test_lightness_steps_are_moderate() -> None:
    angles = np.arange(0, 360, 5.0)
    lightness = lab(np.array([angle_color(angle) for angle in angles]))[:, 0]
    assert lightness.min() > 45
    assert lightness.max() < 88
    steps = np.abs(np.diff(np.append(lightness, lightness[0])))
    assert steps.max() < 4  # 5 degrees
    eight = lab(DEFAULT.colors)[:, 0]
    assert np.abs(np.diff(np.append(eight, eight[0]))).max() < 19


def test_colors_are_cyclic_and_continuous() -> None:
    assert angle_color(360.0) == angle_color(0.0)
    assert angle_color(-45.0) == angle_color(315.0)
    fine = np.array([angle_color(angle) for angle in np.arange(0, 361, 1.0)])
    assert np.abs(np.diff(fine, axis=0)).max() < 0.03
    assert (fine >= 0).all()
    assert (fine <= 1).all()


def test_default_set() -> None:
    assert DEFAULT.names == ("RM", "RU", "MU", "LU", "LM", "LD", "MD", "RD")
    assert DEFAULT.angles_deg == (0, 45, 90, 135, 180, 225, 270, 315)
    assert len(DEFAULT) == 8
    assert DEFAULT.label(1) == "RU 45°"
    assert DEFAULT.index("LD") == 5


def test_vectors_point_on_the_screen() -> None:
    vectors = DEFAULT.vectors
    np.testing.assert_allclose(vectors[0], [0, 1], atol=1e-12)  # right
    np.testing.assert_allclose(vectors[2], [-1, 0], atol=1e-12)  # up: towards smaller rows
    np.testing.assert_allclose(vectors[4], [0, -1], atol=1e-12)
    np.testing.assert_allclose(vectors[7], [np.sqrt(0.5), np.sqrt(0.5)], atol=1e-12)
    assert np.isnan(screen_vectors([None])).all()


def test_other_sets() -> None:
    directions = DirectionSet.from_names(["RM", "out", "own"], [0, None, 400.0])
    assert directions.angles_deg == (0.0, None, 40.0)
    assert directions.label(1) == "out"
    assert len({tuple(c) for c in directions.colors[1:2]}) == 1
    assert np.ptp(directions.colors[1]) == 0  # grey
    assert DirectionSet.from_names(["LM", "vacuum"]).angles_deg == (180.0, None)
    turned = directions.rotated(350.0)
    assert turned.angles_deg == (350.0, None, 30.0)
    assert DirectionSet.from_dict(directions.to_dict()) == directions


def test_same_angle_has_the_same_color_in_any_set() -> None:
    two = DirectionSet.from_names(["down", "RU"], [270, 45])
    np.testing.assert_array_equal(two.colors[0], DEFAULT.colors[6])
    np.testing.assert_array_equal(two.colors[1], DEFAULT.colors[1])


def test_bad_sets() -> None:
    with pytest.raises(DatasetError, match="2 names and 1 angles"):
        DirectionSet(("a", "b"), (0.0,))
    with pytest.raises(DatasetError, match="unique"):
        DirectionSet.from_names(["a", "a"])
    with pytest.raises(DatasetError, match="not empty"):
        DirectionSet.from_names(["a", ""])
    with pytest.raises(DatasetError):
        DirectionSet.from_names([])
    with pytest.raises(DatasetError, match="at most 200"):
        DirectionSet.from_names([str(n) for n in range(201)])
    with pytest.raises(DatasetError, match=r"'XX'.*RM, RU"):
        DEFAULT.index("XX")
