from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Shapes

from napari_polmap.scan import Scan
from napari_polmap.viewer.manager import LayerManager
from napari_polmap.viewer.regions import RegionWatcher, region_mask
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.tags import Role

SQUARE = np.array([[2.0, 3.0], [2.0, 8.0], [7.0, 8.0], [7.0, 3.0]])
RIGHT = np.array([0.0, 9.0])


@pytest.fixture
def over() -> Image:
    return Image(np.zeros((12, 20), np.float32), scale=(0.05, 0.05), units=("nm", "nm"))


@pytest.mark.parametrize("kind", ["polygon", "rectangle", "ellipse", "path", "line"])
def test_mask_is_that_of_napari(over: Image, kind: str) -> None:
    vertices = SQUARE[:2] if kind == "line" else SQUARE
    shapes = Shapes([vertices * 0.05], shape_type=kind)
    expected = Shapes([vertices], shape_type=kind).to_masks((12, 20))[0]
    np.testing.assert_array_equal(region_mask(shapes, over), expected)
    assert expected.any()


def test_square_covers_the_positions_inside(over: Image) -> None:
    mask = region_mask(Shapes([SQUARE * 0.05], shape_type="polygon"), over)
    inside = np.zeros((12, 20), bool)
    inside[3:7, 4:8] = True
    assert (mask & inside).sum() == inside.sum()
    assert not mask[:2].any()
    assert not mask[8:].any()


def test_scale_and_place_of_the_drawing_count(over: Image) -> None:
    plain = Shapes([SQUARE], shape_type="polygon", scale=(0.05, 0.05))
    moved = Shapes([SQUARE - 1], shape_type="polygon", scale=(0.05, 0.05), translate=(0.05, 0.05))
    np.testing.assert_array_equal(region_mask(plain, over), region_mask(moved, over))


def test_several_shapes_add_up_and_those_outside_do_not_count(over: Image) -> None:
    shapes = Shapes(
        [SQUARE * 0.05, (SQUARE + RIGHT) * 0.05, SQUARE * 0.05 + 100], shape_type="polygon"
    )
    one = region_mask(Shapes([SQUARE * 0.05], shape_type="polygon"), over)
    mask = region_mask(shapes, over)
    assert mask.sum() == 2 * one.sum()


@pytest.fixture
def watcher(viewer: ViewerModel, scan: Scan) -> RegionWatcher:
    LayerManager.of(viewer)
    Session.of(viewer).open(scan, {Role.VIRTUAL: np.zeros(scan.scan_shape, np.float32)})
    return RegionWatcher(viewer)


def test_the_region_follows_the_drawing(viewer: ViewerModel, watcher: RegionWatcher) -> None:
    session = watcher.session
    told = []
    session.region_changed.connect(lambda: told.append(session.region))
    layer = watcher.start_drawing()
    assert layer.mode == "add_polygon"
    assert tuple(layer.scale) == (0.05, 0.05)
    assert viewer.layers.selection.active is layer
    assert session.region is None
    layer.add(SQUARE, shape_type="polygon")
    first = session.region
    assert first is not None
    assert first[4, 5]
    layer.add(SQUARE + RIGHT, shape_type="ellipse")
    assert session.region.sum() > first.sum()
    layer.selected_data = {0, 1}
    layer.remove_selected()
    assert session.region is None
    assert len(told) == 3
    assert watcher.start_drawing() is layer, "the same layer is drawn in again"


def test_any_shapes_layer_counts_the_chosen_one_first(
    viewer: ViewerModel, watcher: RegionWatcher
) -> None:
    session = watcher.session
    first = viewer.add_shapes([SQUARE * 0.05], shape_type="polygon")
    second = viewer.add_shapes([(SQUARE + RIGHT) * 0.05], shape_type="rectangle")
    assert watcher.layer is second
    assert session.region[4, 14]
    assert not session.region[4, 5]
    viewer.layers.selection.active = first
    assert session.region[4, 5]
    viewer.layers.remove(first)
    assert watcher.layer is second
    viewer.layers.remove(second)
    assert session.region is None


def test_a_drawing_is_there_before_the_scan(viewer: ViewerModel, scan: Scan) -> None:
    viewer.add_shapes([SQUARE * 0.05], shape_type="polygon")
    LayerManager.of(viewer)
    watcher = RegionWatcher(viewer)
    assert watcher.session.region is None
    watcher.session.open(scan, {Role.VIRTUAL: np.zeros(scan.scan_shape, np.float32)})
    watcher.update()
    assert watcher.session.region is not None
    watcher.close()
    viewer.layers[0].data = []
    assert watcher.session.region is not None, "closed: no longer listening"
