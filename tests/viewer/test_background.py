"""An image beneath the map lies where the scan lies."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_polmap.io.pictures import Picture
from napari_polmap.scan import Scan
from napari_polmap.viewer.background import MapBackground, resampled
from napari_polmap.viewer.manager import LayerManager
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.tags import Role
from tests.viewer.conftest import SHAPE, STEP_NM

FINE = np.random.default_rng(4).random((SHAPE[0] * 4, SHAPE[1] * 5)).astype(np.float32)


@pytest.fixture
def background(viewer: ViewerModel, scan: Scan) -> MapBackground:
    made = MapBackground(viewer)
    Session.of(viewer).open(scan, {Role.VIRTUAL: np.ones(SHAPE, np.float32)})
    return made


def edges(layer: Image) -> np.ndarray:
    """Upper left and lower right corner, pixels drawn around their centers."""
    scale, translate = np.array(layer.scale), np.array(layer.translate)
    return np.stack(
        [translate - scale / 2, translate + scale * (np.array(layer.data.shape[:2]) - 0.5)]
    )


def test_a_layer_is_stretched_to_the_scan_and_given_back(
    viewer: ViewerModel, background: MapBackground
) -> None:
    layer = viewer.add_image(FINE, name="HAADF", scale=(3, 3), translate=(7, 8))
    manager = LayerManager.of(viewer)
    virtual = manager.get(Role.VIRTUAL)
    assert background.offers == [layer]
    background.choose(layer)
    np.testing.assert_allclose(edges(layer), edges(virtual))
    assert str(layer.units[0]) == "nanometer"
    assert viewer.layers[0] is layer
    assert not virtual.visible
    assert "no calibration of its own" in background.note
    expected = FINE.reshape(SHAPE[0], 4, SHAPE[1], 5).mean((1, 3))
    np.testing.assert_allclose(background.on_positions(), expected, rtol=1e-5)
    # The step changes, and the image with it.
    session = Session.of(viewer)
    session.set_calibration(step_nm=2 * STEP_NM)
    np.testing.assert_allclose(edges(layer), edges(manager.get(Role.VIRTUAL)))
    background.choose(None)
    assert manager.shown(Role.VIRTUAL)
    assert (tuple(layer.scale), tuple(layer.translate)) == ((3, 3), (7, 8))
    assert background.on_positions() is None


@pytest.mark.parametrize(
    ("pixel", "said"),
    [
        ((STEP_NM / 4, STEP_NM / 5), "has the scan's field of view"),
        ((STEP_NM / 2, STEP_NM / 5), "covers 1.2 × 1 nm, the scan 0.6 × 1 nm: it is stretched"),
        (None, "no calibration of its own"),
    ],
)
def test_its_own_calibration_is_compared(
    background: MapBackground,
    viewer: ViewerModel,
    pixel: tuple[float, float] | None,
    said: str,
) -> None:
    background.add(Picture("HAADF", FINE, pixel))
    assert said in background.note
    assert viewer.layers[0] is background.layer
    assert {str(layer.units[0]) for layer in viewer.layers} == {"nanometer"}


def test_a_layer_of_the_viewer_tells_its_own_field_of_view(
    background: MapBackground, viewer: ViewerModel
) -> None:
    layer = Image(FINE, scale=(STEP_NM / 4e3, STEP_NM / 5e3), units=("um", "um"))
    viewer.add_layer(layer)
    background.choose(layer)
    assert "has the scan's field of view" in background.note


def test_it_goes_with_its_layer_and_with_the_scan(
    background: MapBackground, viewer: ViewerModel, scan: Scan
) -> None:
    manager, told = LayerManager.of(viewer), []
    background.changed.connect(lambda: told.append(background.layer))
    background.add(Picture("HAADF", FINE))
    viewer.layers.remove(background.layer)
    assert background.layer is None
    assert manager.shown(Role.VIRTUAL)
    background.add(Picture("HAADF", FINE))
    Session.of(viewer).open(Scan(np.ones((3, 4, 5, 6), np.uint8)), {})
    assert background.layer is None
    assert told[-1] is None
    background.close()
    viewer.add_image(FINE)
    assert told[-1] is None


def test_only_flat_images_are_offered(background: MapBackground, viewer: ViewerModel) -> None:
    viewer.add_image(np.zeros((3, 4, 5)), name="volume")
    viewer.add_labels(np.zeros((3, 4), int))
    viewer.add_image(np.zeros((6, 7, 3), np.uint8), rgb=True, name="colors")
    assert [layer.name for layer in background.offers] == ["colors"]


@pytest.mark.parametrize("shape", [(7, 9), (30, 40), (12, 31), (5, 100)])
def test_resampling_keeps_mean_and_slope(shape: tuple[int, int]) -> None:
    rows, columns = np.indices((20, 33), dtype=np.float32)
    image = rows / 20 + columns / 33
    image[0, 0] = np.nan
    out = resampled(image, shape)
    assert out.shape == shape
    y, x = (np.indices(shape) + 0.5) / np.array(shape)[:, None, None]
    # Half a pixel at the edges, where there is nothing to interpolate with.
    np.testing.assert_allclose(out, y + x - 0.5 / 20 - 0.5 / 33, atol=0.045)
