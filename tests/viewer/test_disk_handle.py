"""The disk's handles and the overlay of bad pixels without Qt; the mouse is tested in widgets."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_polmap.scan import Scan
from napari_polmap.viewer.bad_pixels_overlay import BadPixelsOverlay
from napari_polmap.viewer.diffraction import DiffractionController
from napari_polmap.viewer.disk_handle import CENTER, RIM, DiskHandle
from napari_polmap.viewer.session import DISK
from tests.viewer.test_diffraction import Window, shows

KNOWN = {"center_px": (11.5, 9.0), "radius_px": 6.0, "mrad_per_pixel": 4.0}


@pytest.fixture
def scan() -> Scan:
    data = np.random.default_rng(1).poisson(5, (7, 9, 24, 20)).astype(np.uint16)
    return Scan(data, **KNOWN)


@pytest.fixture
def window() -> Window:
    return Window()


@pytest.fixture
def controller(window: Window) -> Iterator[DiffractionController]:
    controller = DiffractionController(ViewerModel(), window.deliver)
    yield controller
    controller.close()


@pytest.fixture
def handle(controller: DiffractionController, scan: Scan) -> Iterator[DiskHandle]:
    controller.session.open(scan)
    handle = DiskHandle(controller)
    controller.session.edit(DISK)
    controller.model.scene.camera.zoom = 4.0  # 16 pixels of the screen for each of the detector
    yield handle
    handle.close()


def drag(handle: DiskHandle, *places: tuple[float, float]) -> None:
    """What napari does with the handle's callback while the mouse moves."""
    pattern = handle.controller.layers.pattern_layer
    event = SimpleNamespace(button=1, type="mouse_press", position=pattern.data_to_world(places[0]))
    steps = handle._on_drag(handle.model, event)
    if next(steps, "none") == "none":
        return
    for place in places[1:]:
        event.type, event.position = "mouse_move", pattern.data_to_world(place)
        next(steps)
    event.type = "mouse_release"
    assert next(steps, "end") == "end"


def circle(controller: DiffractionController) -> np.ndarray:
    return controller.model.layers["bright-field disk"].data[0].mean(axis=0)


def test_a_drag_is_one_step(handle: DiskHandle) -> None:
    session = handle.session
    drag(handle, (11.5, 9.0), (12.0, 9.5), (13.0, 10.0))
    np.testing.assert_allclose(session.calibration.center_px, (13.0, 10.0))
    assert session.calibration.sources["center_px"] == "user"
    assert (handle.chosen, session.calibrations.to_undo) == (CENTER, "moved disk center")
    session.undo_calibration()
    assert session.calibration.center_px == (11.5, 9.0)
    np.testing.assert_allclose(circle(handle.controller), (11.5, 9.0), atol=0.01)


def test_a_click_chooses_and_changes_nothing(handle: DiskHandle) -> None:
    drag(handle, (11.5, 15.0))
    assert handle.chosen == RIM
    assert not handle.session.can_undo_calibration
    handle.nudge(-1, 0, 0.1)
    assert handle.session.calibration.radius_px == pytest.approx(6.1)


def test_beside_the_handles_nothing_is_taken(handle: DiskHandle) -> None:
    drag(handle, (11.5, 12.0), (11.5, 13.0))
    assert not handle.session.can_undo_calibration
    handle.session.edit("")
    drag(handle, (11.5, 9.0), (13.0, 10.0))
    assert not handle.session.can_undo_calibration


def test_the_disk_stands_where_the_beam_is(handle: DiskHandle, window: Window) -> None:
    session, controller = handle.session, handle.controller
    session.set_calibration(descan_px=(0.5, 0.0, 0.0, 0.25))
    session.set_position((0, 8))  # three rows above the middle, four columns right of it
    window.run_until(lambda: shows(controller, (0, 8)))
    np.testing.assert_allclose(circle(controller), (10.0, 10.0), atol=0.01)
    np.testing.assert_allclose(controller.model.layers["disk handle"].data[0], (10.0, 10.0))
    drag(handle, (10.0, 10.0), (11.0, 10.0))
    # What is kept is the center in the middle of the scan.
    np.testing.assert_allclose(session.calibration.center_px, (12.5, 9.0))
    np.testing.assert_allclose(circle(controller), (11.0, 10.0), atol=0.01)


def test_the_rim_of_an_ellipse_keeps_its_shape(handle: DiskHandle) -> None:
    session = handle.session
    session.set_calibration(ellipse=(1.21, 0.0))
    drag(handle, (11.5, 9.0 + 6.0 * 1.1), (11.5, 9.0 + 7.0 * 1.1))
    assert session.calibration.radius_px == pytest.approx(7.0)
    corners = handle.model.layers["bright-field disk"].data[0]
    height, width = np.ptp(corners, axis=0) / 2
    np.testing.assert_allclose((height, width), (7 / 1.1, 7 * 1.1), rtol=1e-3)


def test_keys_are_given_back(handle: DiskHandle) -> None:
    session, keymap = handle.session, handle.model.keymap
    during = dict(keymap)
    session.edit("")
    after = dict(keymap)
    session.edit(DISK)
    assert after.keys() == during.keys() == dict(keymap).keys()
    assert all(during[key] is not after[key] for key in during if "Up" in str(key))


def test_bad_pixels_follow_the_scan_and_undo(controller: DiffractionController, scan: Scan) -> None:
    session = controller.session
    overlay = BadPixelsOverlay(controller)
    session.open(scan)
    assert "bad pixels" not in controller.model.layers
    mask = np.zeros(scan.detector_shape, bool)
    mask[2, 3:6] = True
    session.set_bad_pixels(mask)
    layer = controller.model.layers["bad pixels"]
    np.testing.assert_array_equal(layer.data == 1, mask)
    np.testing.assert_allclose(layer.scale, controller.layers.pattern_layer.scale)
    assert controller.model.layers.selection.active is controller.layers.pattern_layer
    session.undo_calibration()
    assert not layer.visible
    smaller = Scan(np.ones((3, 3, 8, 8), np.uint8), bad_pixels=np.eye(8, dtype=bool))
    session.open(smaller)
    assert controller.model.layers["bad pixels"].data.shape == (8, 8)
    overlay.close()
