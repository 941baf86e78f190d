"""The lattice's vectors in a headless viewer."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_polmap.scan import Scan
from napari_polmap.viewer.lattice_overlay import FIRST, LAYERS, ORIGIN, SECOND, LatticeOverlay
from napari_polmap.viewer.regions import RegionWatcher
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.tags import Role, role_of


@pytest.fixture
def overlay(viewer: ViewerModel, scan: Scan) -> LatticeOverlay:
    Session.of(viewer).open(scan.calibrated("file", lattice_nm=0.15, crystal_angle_deg=30.0))
    return LatticeOverlay.of(viewer)


def test_vectors_are_the_calibration_s(viewer: ViewerModel, overlay: LatticeOverlay) -> None:
    viewer.add_image(np.zeros((12, 20)), name="image")
    overlay.show()
    assert [layer.name for layer in viewer.layers] == ["image", *LAYERS]
    assert viewer.layers.selection.active is viewer.layers["image"]
    vectors = viewer.layers[LAYERS[0]]
    assert role_of(vectors) is Role.LATTICE
    length = 3 * overlay.periods  # positions per cell
    assert overlay.periods == round(0.4 * 12 / 3)
    first, second = vectors.data[:, 1]
    np.testing.assert_allclose(first, length * np.array([-0.5, np.sqrt(3) / 2]))
    # [010] is [100] turned counter-clockwise on the screen, rows point down.
    np.testing.assert_allclose(second, length * np.array([-np.sqrt(3) / 2, -0.5]))
    nodes = viewer.layers[LAYERS[1]]
    assert len(nodes.data) == 2 * overlay.periods + 1
    labels = [label for label in nodes.features["label"] if label]
    assert labels == ["2 a = 0.3 nm", "2 b"]
    np.testing.assert_allclose(overlay.ends()[FIRST], nodes.data[overlay.periods])
    np.testing.assert_allclose(overlay.ends()[SECOND], nodes.data[-1])
    # In the middle of the scan.
    np.testing.assert_allclose(overlay.ends()[ORIGIN] + (first + second) / 2, (5.5, 9.5))
    np.testing.assert_allclose(vectors.scale, (0.05, 0.05))


def test_they_follow_the_calibration(viewer: ViewerModel, overlay: LatticeOverlay) -> None:
    overlay.show()
    session = Session.of(viewer)
    session.set_calibration(lattice_nm=0.2, crystal_angle_deg=0.0, step_nm=0.04)
    vectors = viewer.layers[LAYERS[0]]
    np.testing.assert_allclose(vectors.data[0, 1], (0, 5 * overlay.periods), atol=1e-9)
    np.testing.assert_allclose(vectors.scale, (0.04, 0.04))
    session.undo_calibration()
    np.testing.assert_allclose(np.hypot(*vectors.data[0, 1]), 3 * overlay.periods)
    # Without a step nothing can be told in nm.
    session.set_calibration(step_nm=None)
    assert not overlay.shown
    assert not overlay.possible
    overlay.show()
    assert len(viewer.layers) == 0


def test_a_typical_cell_where_none_is_known(viewer: ViewerModel, scan: Scan) -> None:
    Session.of(viewer).open(scan)
    overlay = LatticeOverlay.of(viewer)
    overlay.show()
    assert 2 <= overlay.period <= 4  # 0.4 nm would be 8 positions of 12


def test_it_leaves_the_viewer_as_it_was(viewer: ViewerModel, overlay: LatticeOverlay) -> None:
    drags, moves = list(viewer.mouse_drag_callbacks), list(viewer.mouse_move_callbacks)
    heard: list[bool] = []
    overlay.changed.connect(lambda: heard.append(overlay.shown))
    overlay.show()
    overlay.show()
    assert len(viewer.layers) == 2
    overlay.hide()
    assert len(viewer.layers) == 0
    assert heard[-1] is False
    overlay.show()
    viewer.layers.remove(viewer.layers[LAYERS[1]])
    assert not overlay.shown
    assert len(viewer.layers) == 0
    assert (list(viewer.mouse_drag_callbacks), list(viewer.mouse_move_callbacks)) == (drags, moves)


def test_it_is_no_region(viewer: ViewerModel, overlay: LatticeOverlay) -> None:
    watcher = RegionWatcher(viewer)
    overlay.show()
    assert Session.of(viewer).region is None
    assert watcher.layer is None
