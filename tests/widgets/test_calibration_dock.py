"""The calibration's dock in a real window: values, disk, descan, bad pixels, undo, keeping."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QScrollArea

from napari_polmap.diffraction.measure import measured
from napari_polmap.io.scans import load_scan
from napari_polmap.io.sidecar import save_sidecar, sidecar_path
from napari_polmap.scan import Scan
from napari_polmap.viewer.disk_handle import CENTER, RIM
from napari_polmap.viewer.session import BAD_PIXELS, DISK
from napari_polmap.widgets.arrange import dock_of
from napari_polmap.widgets.calibration_dock import CalibrationDock
from napari_polmap.widgets.diffraction_dock import DiffractionDock
from tests.synthetic import CALIBRATION, make_patterns, two_domains
from tests.widgets.conftest import LONG, Window
from tests.widgets.mouse import canvas_point, move

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
CENTER_PX, RADIUS_PX = CALIBRATION.center_px, CALIBRATION.radius_px


class Bench:
    """A window with a scan, the calibration's dock and, once asked for, the diffraction view."""

    def __init__(self, window: Window) -> None:
        self.window, self.session = window, window.session
        self.dock: CalibrationDock = window.dock.show_calibration()

    @property
    def patterns(self) -> DiffractionDock:
        widget = self.window.viewer.window.add_plugin_dock_widget("napari-polmap", "Diffraction")[1]
        return getattr(widget, "__wrapped__", widget)

    @property
    def native(self):
        return self.patterns.qt_viewer.canvas.native

    def point(self, ky: float, kx: float) -> QPoint:
        """Place of a detector pixel on the diffraction view."""
        model = self.patterns.controller.model
        world = model.layers["pattern"].data_to_world((ky, kx))
        return canvas_point(model, self.patterns.qt_viewer.canvas, world)

    def drag(self, *places: tuple[float, float]) -> None:
        """Drag over detector pixels with the mouse, in small steps."""
        points = [self.point(*place) for place in places]
        QTest.mouseMove(self.native, points[0])
        self.window.qtbot.wait(20)
        QTest.mousePress(self.native, LEFT, NONE, points[0])
        for point in points[1:]:
            move(self.native, point, NONE)
            self.window.qtbot.wait(30)
        QTest.mouseRelease(self.native, LEFT, NONE, points[-1])
        self.window.qtbot.wait(30)

    def settle(self) -> None:
        self.window.settle()
        self.window.qtbot.wait(20)


@pytest.fixture
def bench(window: Window, scan: Scan) -> Bench:
    window.viewer.window.resize(1500, 900)
    window.session.open(scan)
    window.settle()
    return Bench(window)


@pytest.fixture
def viewing(bench: Bench) -> Bench:
    """With the diffraction view and the circle to drag."""
    QTest.mouseClick(bench.dock.disk_section.drag, LEFT)
    bench.session.set_position((4, 4))
    patterns = bench.patterns
    bench.window.wait(lambda: patterns.controller.shown is not None)
    seen: list[tuple[object, ...]] = []

    def still() -> bool:
        """Whether the docks have found their places and the view is fitted."""
        camera = patterns.controller.model.scene.camera
        seen.append((patterns.qt_viewer.canvas.size, camera.zoom, camera.center))
        return len(seen) > 20 and len(set(seen[-20:])) == 1

    bench.window.wait(still)
    assert bench.session.editing == DISK
    return bench


def test_the_calibrate_button_opens_it_over_the_maps_dock(window: Window, scan: Scan) -> None:
    window.session.open(scan)
    window.settle()
    section = window.dock.scan_section
    assert "Not known: detector rotation" in section.doubts.text()
    QTest.mouseClick(section.calibrate, LEFT)
    dock = window.dock.show_calibration()
    window.wait(dock.isVisible)
    assert dock.form.fields["step_nm"].value() == pytest.approx(CALIBRATION.step_nm)
    assert dock.form.sources["step_nm"].text() == "user"


def test_it_fits_a_narrow_dock(bench: Bench) -> None:
    for section in bench.dock.sections:
        section.header.setChecked(True)
    bench.session.take_measured("disk", {"radius_px": 9.1}, {"radius_px": 0.043})
    bench.window.qtbot.wait(50)
    bench.dock.form.ratio.setValue(1.02)  # with a way back beside it
    bench.settle()
    assert bench.dock.form.resets["ellipse"].isVisible()
    assert "±0.04 px" in bench.dock.form.sources["radius_px"].text()
    area = bench.dock.findChild(QScrollArea)
    assert bench.dock.minimumWidth() <= 360
    assert area.viewport().width() >= area.widget().minimumSizeHint().width()


def test_values_typed_are_steps_to_undo(bench: Bench) -> None:
    dock, session = bench.dock, bench.session
    assert not dock.undo.isEnabled()
    dock.form.fields["rotation_deg"].setValue(12.0)
    dock.form.ratio.setValue(1.02)
    dock.form.angle.setValue(30.0)
    assert session.calibration.ellipse == (1.02, 30.0)
    assert "elliptical distortion" in dock.undo.toolTip()
    for _ in range(3):
        QTest.mouseClick(dock.undo, LEFT)
    assert session.calibration == CALIBRATION
    assert dock.form.fields["rotation_deg"].value() == 0
    for _ in range(3):
        QTest.mouseClick(dock.redo, LEFT)
    assert session.calibration.rotation_deg == 12.0
    QTest.mouseClick(dock.form.resets["rotation_deg"], LEFT)
    assert session.calibration.rotation_deg == 0.0
    assert "rotation_deg" not in session.calibration.sources
    bench.settle()


def test_undo_keys_belong_to_the_dock_with_the_focus(bench: Bench) -> None:
    dock, session = bench.dock, bench.session
    bench.window.activate()
    field = dock.form.fields["energy_kv"]
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, "300")
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert session.calibration.energy_kv == 300.0
    QTest.keyClick(field.lineEdit(), Qt.Key.Key_Z, CONTROL)
    assert session.calibration.energy_kv == CALIBRATION.energy_kv
    QTest.keyClick(field.lineEdit(), Qt.Key.Key_Z, CONTROL | SHIFT)
    assert session.calibration.energy_kv == 300.0
    dock.disk_section.measure.setFocus()
    QTest.keyClick(dock.disk_section.measure, Qt.Key.Key_Z, CONTROL)
    assert session.calibration.energy_kv == CALIBRATION.energy_kv
    bench.settle()


def test_an_impossible_value_is_told(bench: Bench, told: list[str]) -> None:
    bench.dock.form.value_changed.emit("energy_kv", 99_999.0)
    assert len(told) == 1
    assert "energy_kv" in told[0]
    assert bench.session.calibration.energy_kv == CALIBRATION.energy_kv
    assert bench.dock.form.fields["energy_kv"].value() == CALIBRATION.energy_kv


def test_measured_disk_is_one_step(bench: Bench) -> None:
    dock, session = bench.dock, bench.session
    dock.form.center_ky.setValue(19.0)
    QTest.mouseClick(dock.disk_section.measure, LEFT)
    bench.settle()
    assert session.calibration.sources["center_px"] == "measured"
    np.testing.assert_allclose(session.calibration.center_px, CENTER_PX, atol=0.15)
    assert dock.form.sources["center_px"].text().startswith("measured<br>")
    assert "Found: center" in dock.disk_section.result.text()
    QTest.mouseClick(dock.undo, LEFT)
    assert session.calibration.center_px[0] == 19.0


def test_the_disk_comes_from_a_vacuum_image(bench: Bench, tmp_path: Path, told: list[str]) -> None:
    session, section = bench.session, bench.dock.disk_section
    ky, kx = np.indices(session.scan.detector_shape)
    outside = np.hypot(ky - 14.0, (kx - 16.5) / 1.06) - 8.5
    np.save(tmp_path / "vacuum.npy", 1000 / (1 + np.exp(4 * outside)))
    section.start(tmp_path / "vacuum.npy")
    bench.settle()
    np.testing.assert_allclose(session.calibration.center_px, (14.0, 16.5), atol=0.1)
    assert "vacuum.npy" in bench.dock.undo.toolTip()
    assert "elliptical distortion" in section.ellipse.text()
    assert session.calibration.ellipse is None, "offered, not taken"
    QTest.mouseClick(section.apply, LEFT)
    assert session.calibration.ellipse[0] == pytest.approx(1.06, abs=0.02)
    QTest.mouseClick(section.remove, LEFT)
    assert session.calibration.ellipse is None
    np.save(tmp_path / "other.npy", np.ones((5, 7)))
    section.start(tmp_path / "other.npy")
    bench.settle()
    assert "same detector" in told[-1]


def test_dragging_the_rim_changes_the_radius(viewing: Bench) -> None:
    session, (ky, kx) = viewing.session, CENTER_PX
    changes: list[float] = []
    session.scan_changed.connect(lambda: changes.append(session.calibration.radius_px))
    radii = np.linspace(RADIUS_PX, 11.0, 6)
    viewing.drag(*[(ky, kx + radius) for radius in radii])
    assert session.calibration.radius_px == pytest.approx(11.0, abs=0.1)
    assert session.calibration.center_px == CENTER_PX
    assert len(changes) == 1, "nothing is committed before it is let go"
    circle = viewing.patterns.controller.model.layers["bright-field disk"].data[0]
    np.testing.assert_allclose(np.ptp(circle, axis=0) / 2, session.calibration.radius_px, rtol=0.01)
    session.undo_calibration()
    assert session.calibration.radius_px == RADIUS_PX


def test_the_circle_is_drawn_while_it_is_dragged(viewing: Bench) -> None:
    (ky, kx), native = CENTER_PX, viewing.native
    circle = viewing.patterns.controller.model.layers["bright-field disk"]
    points = [viewing.point(ky, kx + offset) for offset in (0.0, 1.0, 2.0)]
    QTest.mouseMove(native, points[0])
    QTest.mousePress(native, LEFT, NONE, points[0])
    for point in points[1:]:
        viewing.window.qtbot.wait(30)
        move(native, point, NONE)
    viewing.window.qtbot.wait(30)
    assert viewing.session.calibration.center_px == CENTER_PX
    assert circle.data[0].mean(axis=0)[1] == pytest.approx(kx + 2, abs=0.1)
    assert "center" in viewing.patterns.readout.text()
    QTest.mouseRelease(native, LEFT, NONE, points[-1])
    viewing.window.qtbot.wait(30)
    assert viewing.session.calibration.center_px[1] == pytest.approx(kx + 2, abs=0.1)
    assert viewing.session.calibration.center_px[0] == pytest.approx(ky, abs=0.1)


def test_dragging_beside_the_handles_moves_the_view_only(viewing: Bench) -> None:
    camera = viewing.patterns.controller.model.scene.camera
    ky, kx = CENTER_PX
    before = camera.center
    viewing.drag((ky + 4, kx + 3), (ky + 5, kx + 5), (ky + 6, kx + 7))
    assert viewing.session.calibration == CALIBRATION
    assert camera.center != before
    viewing.drag((ky, kx), (ky, kx + 1))
    assert camera.mouse_pan is False, "still over the handle"
    QTest.mouseMove(viewing.native, viewing.point(ky + 5, kx + 4))
    viewing.window.qtbot.wait(30)
    assert camera.mouse_pan is True


def test_arrow_keys_nudge_what_was_clicked(viewing: Bench) -> None:
    session, native, (ky, kx) = viewing.session, viewing.native, CENTER_PX
    handle = viewing.patterns.handles[0]
    viewing.window.activate()
    native.setFocus()
    viewing.drag((ky, kx))
    assert handle.chosen == CENTER
    QTest.keyClick(native, Qt.Key.Key_Up)
    QTest.keyClick(native, Qt.Key.Key_Right, SHIFT)
    np.testing.assert_allclose(session.calibration.center_px, (ky - 0.1, kx + 1.0))
    viewing.drag((ky - 0.1 - RADIUS_PX, kx + 1.0))
    assert handle.chosen == RIM
    QTest.keyClick(native, Qt.Key.Key_Right)
    assert session.calibration.radius_px == pytest.approx(RADIUS_PX + 0.1)
    for _ in range(3):
        QTest.keyClick(native, Qt.Key.Key_Z, CONTROL)
    assert session.calibration == CALIBRATION


def test_the_view_stays_where_the_user_zoomed_to(viewing: Bench) -> None:
    model, (ky, kx) = viewing.patterns.controller.model, CENTER_PX
    model.scene.camera.zoom *= 2
    layer = model.layers["pattern"]
    before = layer.world_to_data(model.scene.camera.center[-2:])
    viewing.drag((ky, kx), (ky, kx + 0.5), (ky, kx + 1.0))
    assert viewing.session.calibration.center_px != CENTER_PX
    after = layer.world_to_data(model.scene.camera.center[-2:])
    np.testing.assert_allclose(after, before, atol=0.05)


def test_the_handles_go_with_the_dock(viewing: Bench) -> None:
    model = viewing.patterns.controller.model
    assert model.layers["disk handle"].visible
    QTest.mouseClick(viewing.dock.disk_section.drag, LEFT)
    assert not model.layers["disk handle"].visible
    QTest.mouseClick(viewing.dock.disk_section.drag, LEFT)
    assert model.layers["disk handle"].visible
    dock_of(viewing.window.dock).raise_()  # the map's tab covers this one
    viewing.window.wait(lambda: viewing.session.editing == "")
    assert not model.layers["disk handle"].visible


def test_bad_pixels_are_painted_with_the_brush(viewing: Bench) -> None:
    dock, session = viewing.dock, viewing.session
    section = dock.bad_pixels_section
    section.header.setChecked(True)
    section.brush.setValue(1)
    QTest.mouseClick(section.draw, LEFT)
    assert session.editing == BAD_PIXELS
    assert not dock.disk_section.drag.isChecked()
    viewing.drag((5, 6), (5, 7), (5, 8), (5, 9))
    mask = session.scan.bad_pixels
    assert mask is not None
    assert mask[5, 6:10].all(), np.argwhere(mask)
    assert mask.sum() <= 12
    viewing.drag((20, 6))
    assert session.scan.bad_pixels[20, 6]
    assert "masked" in section.state.text()
    QTest.mouseClick(section.erase, LEFT)
    viewing.drag((20, 6))
    assert not session.scan.bad_pixels[20, 6]
    QTest.mouseClick(dock.undo, LEFT)
    layer = viewing.patterns.controller.model.layers["bad pixels"]
    assert session.scan.bad_pixels[20, 6]
    np.testing.assert_array_equal(layer.data == 1, session.scan.bad_pixels)
    for _ in range(2):
        QTest.mouseClick(dock.undo, LEFT)
    assert session.scan.bad_pixels is None
    assert not layer.data.any()
    viewing.settle()


def test_bad_pixels_from_an_image_change_the_virtual_image(
    bench: Bench, tmp_path: Path, told: list[str]
) -> None:
    session, section = bench.session, bench.dock.bad_pixels_section
    (name,) = (name for name in session.images if "field" in name or "virtual" in name.lower())
    before = session.images[name].copy()
    mask = np.zeros(session.scan.detector_shape, np.uint8)
    mask[12:18, 12:18] = 1
    np.save(tmp_path / "mask.npy", mask)
    section.load_image(tmp_path / "mask.npy")
    bench.settle()
    assert session.scan.bad_pixels.sum() == 36
    assert session.images[name].mean() < before.mean()
    np.save(tmp_path / "mask.npy", mask[:5])
    section.load_image(tmp_path / "mask.npy")
    bench.settle()
    assert "shape" in told[-1]
    assert session.scan.bad_pixels.sum() == 36
    QTest.mouseClick(section.clear, LEFT)
    bench.settle()
    assert session.scan.bad_pixels is None
    np.testing.assert_allclose(session.images[name], before)


def test_found_bad_pixels_are_listed_by_kind(window: Window, scan_file: Path) -> None:
    data = np.load(scan_file)
    data[:, :, 15, 14] = 0
    data[:, :, 3, 4] = 900
    window.session.open(Scan(data, CALIBRATION, path=scan_file))
    window.settle()
    bench = Bench(window)
    section = bench.dock.bad_pixels_section
    section.start()
    bench.settle()
    mask = bench.session.scan.bad_pixels
    assert mask[15, 14]
    assert mask[3, 4]
    texts = [label.text() for label in section.table.findChildren(type(section.state))]
    assert {"dead", "hot"} <= set(texts)


def test_descan_is_measured_applied_and_removed(window: Window, scan_file: Path) -> None:
    data = np.load(scan_file)
    rows = data.shape[0]
    # The beam wanders by whole pixels, three in all down the scan.
    for y in range(rows):
        data[y] = np.roll(data[y], round(3 * y / (rows - 1)), axis=1)
    window.session.open(Scan(data, CALIBRATION.updated("measured", center_px=(16.6, 15.2))))
    window.settle()
    bench = Bench(window)
    section = bench.dock.descan_section
    section.header.setChecked(True)
    section.start()
    bench.settle()
    assert "3." in section.state.text() or "2.9" in section.state.text()
    QTest.mouseClick(section.apply, LEFT)
    found = bench.session.calibration.descan_px
    assert found[0] * (rows - 1) == pytest.approx(3.0, abs=0.3)
    assert bench.session.calibration.center_px[0] == pytest.approx(17.1, abs=0.3)
    assert "Taken out" in section.state.text()
    assert "px" in bench.dock.form.descan.text()
    bench.settle()
    QTest.mouseClick(section.remove, LEFT)
    bench.settle()
    # The user's word, so that neither the dock nor the next opening measures it again.
    assert bench.session.calibration.descan_px == (0, 0, 0, 0)
    assert measured(bench.session.scan).calibration.descan_px == (0, 0, 0, 0)
    assert bench.dock.form.descan.text() == "none"
    assert not section.remove.isVisible()
    assert section.apply.isVisible()


def test_changes_are_kept_beside_the_scan(bench: Bench, scan_file: Path) -> None:
    beside = sidecar_path(scan_file)
    bench.window.qtbot.wait(700)
    assert not beside.exists(), "opening alone writes nothing"
    bench.dock.form.fields["crystal_angle_deg"].setValue(7.0)
    bench.dock.form.fields["crystal_angle_deg"].setValue(8.0)
    bench.window.wait(beside.exists)
    bench.window.wait(lambda: "Kept in" in bench.dock.kept.toolTip())
    again = load_scan(scan_file, measure=False)
    assert again.calibration.crystal_angle_deg == 8.0
    bench.session.undo_calibration()
    bench.window.wait(lambda: not bench.dock.calibrator.keeper.waiting)
    assert load_scan(scan_file, measure=False).calibration.crystal_angle_deg == 7.0


def test_a_change_just_before_closing_is_kept(bench: Bench, scan_file: Path) -> None:
    bench.dock.form.fields["crystal_angle_deg"].setValue(9.0)
    bench.window.dock.close_dock()
    bench.dock.close_dock()
    assert load_scan(scan_file, measure=False).calibration.crystal_angle_deg == 9.0


def test_reset_goes_back_to_the_file_not_to_what_was_kept(window: Window, scan_file: Path) -> None:
    known = {"step_nm": 0.2, "center_px": (15.0, 15.0), "radius_px": 9.5}
    save_sidecar(load_scan(scan_file, measure=False, **known))
    window.dock.controller.open_scan(scan_file)
    window.settle()
    assert window.session.calibration.step_nm == 0.2
    dock = window.dock.show_calibration()
    assert "As kept in" in dock.kept.toolTip()
    QTest.mouseClick(dock.reset_all, LEFT)
    window.settle()
    calibration = window.session.calibration
    assert calibration.step_nm is None, "the file does not say"
    assert calibration.sources["center_px"] == "measured"
    QTest.mouseClick(dock.undo, LEFT)
    window.settle()
    assert window.session.calibration.step_nm == 0.2


def test_an_answered_question_is_not_asked_again(window: Window, tmp_path: Path) -> None:
    path = tmp_path / "frames.npy"
    np.save(path, make_patterns(two_domains())[:10, :12].reshape(120, 32, 32))
    dock = window.dock
    dock.controller.open_scan(path)
    window.settle()
    assert window.session.question is not None
    dock.controller.open_scan(path, nav_shape=(10, 12))
    window.settle()
    window.wait(sidecar_path(path).exists)
    window.session.open(Scan(np.ones((2, 2, 8, 8), np.uint8)))
    dock.controller.open_scan(path)
    window.settle()
    assert window.session.question is None
    assert window.session.scan.scan_shape == (10, 12)


def test_works_without_the_maps_dock(make_napari_viewer_proxy, qtbot, scan_file: Path) -> None:
    from napari_polmap.viewer.session import Session

    viewer = make_napari_viewer_proxy(show=True)
    widget = viewer.window.add_plugin_dock_widget("napari-polmap", "Calibration")[1]
    dock = getattr(widget, "__wrapped__", widget)
    Session.of(viewer).open(load_scan(scan_file, measure=False))
    qtbot.waitUntil(lambda: not dock.calibrator.busy, timeout=LONG)
    assert dock.session.calibration.sources["radius_px"] == "measured"
    dock.close_dock()
    assert dock.calibrator.keeper is None
