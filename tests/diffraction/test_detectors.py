"""Each detector's mask against plain NumPy on a fine grid; pairs; presets."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.detectors import (
    FORMS,
    PRESETS,
    AnnulusDetector,
    Detector,
    DiskDetector,
    PairDetector,
    PolygonDetector,
    RectangleDetector,
    WedgeDetector,
    first_shape,
    form_of,
    preset,
)
from napari_polmap.errors import CalibrationError

SHAPE = (40, 46)
CENTER = (18.3, 22.6)
FINE = 10
CALIBRATION = Calibration(center_px=CENTER, radius_px=9.0, ellipse=(1.3, 35.0))
TRIANGLE = ((8.2, 10.0), (30.5, 14.7), (12.0, 38.4))
SHAPES: dict[str, Detector] = {
    "disk": DiskDetector(CENTER, 9.4),
    "off center": DiskDetector((5.0, 40.0), 7.0),
    "annulus": AnnulusDetector(CENTER, 6.2, 12.9),
    "dark field": AnnulusDetector(CENTER, 12.1, math.inf),
    "wedge": WedgeDetector(CENTER, 4.0, 15.0, 30.0, 70.0),
    "wide wedge": WedgeDetector(CENTER, 0.0, 12.0, 250.0, 300.0),
    "rectangle": RectangleDetector(CENTER, 10.4, 17.2),
    "drawn": PolygonDetector((TRIANGLE, ((32.0, 30.0), (32.0, 42.0), (38.0, 42.0)))),
}


def fine_grid() -> tuple[np.ndarray, np.ndarray]:
    """Row and column of 10 x 10 samples in each pixel."""
    places = [(np.arange(n * FINE) + 0.5) / FINE - 0.5 for n in SHAPE]
    return np.meshgrid(*places, indexing="ij")


def inside(shape: Detector, ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
    """What lies within, by the definition of each shape."""
    if isinstance(shape, PolygonDetector):
        from matplotlib.path import Path

        points = np.stack([ky.ravel(), kx.ravel()], 1)
        return np.any([Path(part).contains_points(points) for part in shape.parts], 0).reshape(
            ky.shape
        )
    down, across = ky - shape.center[0], kx - shape.center[1]
    if isinstance(shape, RectangleDetector):
        return (np.abs(down) < shape.height / 2) & (np.abs(across) < shape.width / 2)
    radius = np.hypot(down, across)
    within = (radius >= shape.radii[0]) & (radius < shape.radii[1])
    if isinstance(shape, WedgeDetector):
        turn = (np.rad2deg(np.arctan2(-down, across)) - shape.angle_deg + 180) % 360 - 180
        within &= np.abs(turn) < shape.width_deg / 2
    return within


def binned(fine: np.ndarray) -> np.ndarray:
    return fine.reshape(SHAPE[0], FINE, SHAPE[1], FINE).mean(axis=(1, 3))


@pytest.mark.parametrize("name", SHAPES)
def test_mask_is_the_share_of_each_pixel(name: str) -> None:
    mask = SHAPES[name].mask(SHAPE)
    expected = binned(inside(SHAPES[name], *fine_grid()))
    assert mask.shape == SHAPE
    assert mask.dtype == np.float32
    assert mask.min() >= 0
    assert mask.max() <= 1
    sharp = (expected == 0) | (expected == 1)
    # Along an edge by the distance from it; at corners that is a little off.
    assert np.abs(mask - expected)[sharp].max() < 0.5
    assert np.abs(mask - expected).max() < 0.52
    assert (np.abs(mask - expected) > 0.13).sum() <= 8
    assert mask.sum() == pytest.approx(expected.sum(), rel=0.01)


@pytest.mark.parametrize("name", SHAPES)
def test_moved_shifted_and_mirrored_are_the_same_shape_elsewhere(name: str) -> None:
    shape = SHAPES[name]
    mask = shape.mask(SHAPE)
    np.testing.assert_allclose(shape.moved(3, -2).mask(SHAPE), shape.mask(SHAPE, None, (3, -2)))
    inner = shape.mask(SHAPE, None, (3, -2))[3:, :-2]
    np.testing.assert_allclose(inner, mask[:-3, 2:], atol=1e-5)
    turned = shape.mirrored(((SHAPE[0] - 1) / 2, (SHAPE[1] - 1) / 2)).mask(SHAPE)
    np.testing.assert_allclose(turned, mask[::-1, ::-1], atol=0.05)


@pytest.mark.parametrize("name", ["disk", "annulus", "dark field", "wedge"])
def test_round_shapes_follow_the_distortion(name: str) -> None:
    shape = SHAPES[name]
    ky, kx = fine_grid()
    back = np.linalg.inv(CALIBRATION.distortion())
    down, across = ky - shape.center[0], kx - shape.center[1]
    round_ky = shape.center[0] + back[0, 0] * down + back[0, 1] * across
    round_kx = shape.center[1] + back[1, 0] * down + back[1, 1] * across
    expected = binned(inside(shape, round_ky, round_kx))
    mask = shape.mask(SHAPE, CALIBRATION)
    assert mask.sum() == pytest.approx(expected.sum(), rel=0.01)
    assert np.abs(mask - expected).max() < 0.52
    assert np.abs(mask - shape.mask(SHAPE)).max() > 0.5
    if name == "annulus":
        distance = CALIBRATION.disk_distance(*np.indices(SHAPE))
        assert (mask[(distance > 7) & (distance < 12)] == 1).all()
        assert (mask[(distance < 5.5) | (distance > 13.6)] == 0).all()
        for line, radius in zip(shape.outlines(CALIBRATION), shape.radii, strict=True):
            np.testing.assert_allclose(CALIBRATION.disk_distance(*line.T), radius, rtol=1e-6)


@pytest.mark.parametrize("name", SHAPES)
def test_outlines_run_along_half_weight(name: str) -> None:
    from scipy.ndimage import map_coordinates

    for line in SHAPES[name].outlines():
        np.testing.assert_allclose(line[0], line[-1], atol=1e-9)
        middles = (line[:-1] + line[1:]) / 2
        onto = [m for m in middles if all(1 < c < n - 2 for c, n in zip(m, SHAPE, strict=True))]
        if onto:
            weights = map_coordinates(SHAPES[name].mask(SHAPE), np.transpose(onto), order=1)
            assert np.median(weights) == pytest.approx(0.5, abs=0.1)


def test_a_pair_is_antisymmetric_about_the_beam() -> None:
    calibration = Calibration(center_px=(20.0, 22.0))
    pair = PairDetector(WedgeDetector((20.0, 22.0), 3.0, 12.0, 90.0, 60.0))
    mask = pair.mask((41, 45), calibration)
    np.testing.assert_allclose(mask, -mask[::-1, ::-1], atol=1e-5)
    assert mask[20 - 8, 22] == 1  # up, as the pattern is shown
    assert mask[20 + 8, 22] == -1
    moved = pair.mask((41, 45), calibration, (2, 3))
    np.testing.assert_allclose(moved[2:, 3:], mask[:-2, :-3], atol=1e-5)
    with pytest.raises(CalibrationError, match="mirrored through the disk's center"):
        pair.mask((41, 45))


def test_presets_and_first_shapes() -> None:
    calibration = Calibration(center_px=CENTER, radius_px=8.0)
    assert preset(PRESETS[0], calibration) == DiskDetector(CENTER, 8.0)
    assert preset("outer dark field", calibration).inner == 16.0
    for form in FORMS[:-1]:
        shape = first_shape(form, calibration, SHAPE)
        assert form_of(shape) == form
        assert shape.center == CENTER
        assert shape.mask(SHAPE).sum() > 20
        assert first_shape(form, Calibration(), SHAPE).center == (19.5, 22.5)
    assert form_of(SHAPES["drawn"]) == "drawn"
    with pytest.raises(CalibrationError, match="choose disk, annulus"):
        first_shape("blob", calibration, SHAPE)


@pytest.mark.parametrize(
    "make",
    [
        lambda: DiskDetector(CENTER, 0.0),
        lambda: DiskDetector((math.nan, 0), 3.0),
        lambda: AnnulusDetector(CENTER, 5.0, 5.0),
        lambda: AnnulusDetector(CENTER, -1.0, 5.0),
        lambda: WedgeDetector(CENTER, 1.0, 5.0, 0.0, 0.0),
        lambda: RectangleDetector(CENTER, 3.0, math.inf),
        lambda: PolygonDetector((((0, 0), (1, 1)),)),
        lambda: PolygonDetector(()),
        lambda: PolygonDetector((((0, 0), (1, math.nan), (3, 3)),)),
    ],
)
def test_impossible_shapes_are_told(make) -> None:
    with pytest.raises(CalibrationError, match=r"correct|anew"):
        make()
