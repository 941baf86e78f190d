"""The diffraction dock in a real window, with real mouse events."""

from __future__ import annotations

import gc
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from napari._qt.qt_viewer import QtViewer
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget, QPushButton, QTextEdit

from napari_polmap.diffraction.detectors import (
    AnnulusDetector,
    DiskDetector,
    RectangleDetector,
    WedgeDetector,
)
from napari_polmap.directions import DirectionSet
from napari_polmap.scan import Scan
from napari_polmap.viewer.layers import geometry
from napari_polmap.viewer.picking import MARK_NAME
from napari_polmap.viewer.reading import Reading
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.virtual_detector import VirtualDetector
from napari_polmap.widgets.diffraction_dock import DiffractionDock
from napari_polmap.widgets.evidence import EvidencePanel, antisymmetric
from tests.viewer.scenes import filled_map
from tests.widgets.mouse import canvas_point, move

SHAPE = (20, 30, 32, 32)
LEFT = Qt.MouseButton.LeftButton
NONE, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier


def make_scan() -> Scan:
    data = np.random.default_rng(2).poisson(4, SHAPE).astype(np.uint16)
    known = {"step_nm": 0.05, "center_px": (15.5, 15.5), "radius_px": 8.0}
    return Scan(data, semi_angle_mrad=24.0, energy_kv=200.0, **known)


class Stage:
    """A shown window with the dock and a scan's image."""

    def __init__(self, viewer, qtbot) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        viewer.window.resize(1100, 750)
        self.session = Session.of(viewer)
        self.dock = DiffractionDock(viewer)
        viewer.window.add_dock_widget(self.dock, name="Diffraction", area="right")
        self.scan = make_scan()
        image = np.asarray(self.scan.data.sum(axis=(2, 3)), np.float32)
        self.image = viewer.add_image(image, **geometry(self.scan.calibration))
        self.session.open(self.scan)
        viewer.reset_view()
        qtbot.wait(50)

    @property
    def map_canvas(self):
        return self.viewer.window._qt_viewer.canvas

    def map_point(self, y: float, x: float) -> QPoint:
        return canvas_point(self.viewer, self.map_canvas, (y * 0.05, x * 0.05))

    def pattern_point(self, ky: float, kx: float) -> QPoint:
        model, layer = self.dock.controller.model, self.dock.controller.model.layers["pattern"]
        return canvas_point(model, self.dock.qt_viewer.canvas, layer.data_to_world((ky, kx)))

    def click(self, y: int, x: int) -> None:
        QTest.mouseClick(self.map_canvas.native, LEFT, NONE, self.map_point(y, x))

    def drag(self, canvas, points, modifier=NONE) -> None:
        native = canvas.native
        QTest.mouseMove(native, points[0])
        QTest.mousePress(native, LEFT, modifier, points[0])
        for point in points[1:]:
            move(native, point, modifier)
            self.qtbot.wait(20)
        QTest.mouseRelease(native, LEFT, modifier, points[-1])
        self.qtbot.wait(20)

    def wait_shown(self, position) -> None:
        def shown() -> bool:
            pattern = self.dock.controller.shown
            return pattern is not None and pattern.position == position

        self.qtbot.waitUntil(shown, timeout=5000)


@pytest.fixture
def stage(make_napari_viewer, qtbot):
    stage = Stage(make_napari_viewer(show=True), qtbot)
    yield stage
    vars(stage).clear()  # pytest keeps the object until after the viewer's own check for leaks


def test_click_shows_the_pattern(stage):
    assert "Click" in stage.dock.title.text()
    stage.click(-3, 5)  # beside the scan
    assert stage.session.position is None
    stage.click(4, 21)
    stage.wait_shown((4, 21))
    assert stage.session.position == (4, 21)
    expected = stage.scan.data[4, 21].compute()
    np.testing.assert_array_equal(stage.dock.controller.shown.values, expected)
    assert "Row 4, column 21" in stage.dock.title.text()
    drawn = stage.dock.qt_viewer.canvas._scene_canvas.render()
    assert drawn[..., :3].std() > 10
    # Whichever layer is the active one.
    labels = stage.viewer.add_labels(
        np.zeros(SHAPE[:2], np.uint8), **geometry(stage.scan.calibration)
    )
    assert stage.viewer.layers.selection.active is labels
    stage.click(7, 8)
    stage.wait_shown((7, 8))
    stage.viewer.layers.selection.active = stage.image
    stage.click(8, 9)
    stage.wait_shown((8, 9))


def test_drags_pan_or_follow_or_draw(stage):
    camera = stage.viewer.scene.camera
    center, heard = camera.center, []
    stage.session.position_changed.connect(lambda: heard.append(stage.session.position))
    stage.drag(stage.map_canvas, [stage.map_point(10, x) for x in (5, 9, 14, 20)], SHIFT)
    assert heard[0] == (10, 5)
    assert heard[-1] == (10, 20)
    assert (10, 9) in heard
    stage.wait_shown((10, 20))
    np.testing.assert_allclose(camera.center, center)
    assert camera.mouse_pan
    QTest.mouseClick(stage.dock.follow, LEFT)
    points = [stage.map_point(y, 10) for y in (3, 6, 12)]
    stage.drag(stage.map_canvas, points)
    stage.wait_shown((12, 10))
    np.testing.assert_allclose(camera.center, center)
    assert camera.mouse_pan
    # Without either the drag pans, as ever in napari.
    QTest.mouseClick(stage.dock.follow, LEFT)
    stage.drag(stage.map_canvas, [stage.map_point(3, x) for x in (10, 12, 15)])
    assert stage.session.position == (12, 10)
    assert not np.allclose(camera.center, center)
    # A drawing tool has the mouse for itself.
    shapes = stage.viewer.add_shapes(ndim=2)
    shapes.mode = "add_rectangle"
    stage.drag(stage.map_canvas, [stage.map_point(*p) for p in ((4, 4), (8, 8), (12, 14))])
    stage.click(3, 3)
    assert stage.session.position == (12, 10)
    assert shapes.nshapes >= 1


def choose(stage, shape) -> None:
    stage.session.set_detector(VirtualDetector.free(shape))
    stage.qtbot.wait(20)


def pattern_drag(stage, *points) -> None:
    """Drag over the pattern through detector pixels (ky, kx)."""
    places = [stage.pattern_point(*point) for point in points]
    stage.drag(stage.dock.qt_viewer.canvas, places)


def test_detectors_are_moved_and_resized_with_the_mouse(stage):
    camera = stage.dock.controller.model.scene.camera
    center = camera.center
    dragged = []
    stage.session.detector_dragged.connect(lambda: dragged.append(stage.session.detector))
    choose(stage, DiskDetector((12.0, 12.0), 5.0))
    pattern_drag(stage, (12, 12), (14, 15), (16, 18))
    shape = stage.session.detector.shape
    np.testing.assert_allclose(shape.center, (16, 18), atol=0.3)
    assert shape.radius == 5.0
    assert dragged
    assert isinstance(dragged[0].shape, DiskDetector)
    pattern_drag(stage, (16, 23), (16, 25), (16, 27))  # its rim
    assert stage.session.detector.shape.radius == pytest.approx(9, abs=0.5)
    choose(stage, AnnulusDetector((15.5, 15.5), 5.0, 11.0))
    pattern_drag(stage, (15.5, 10.5), (15.5, 9), (15.5, 8.5))
    shape = stage.session.detector.shape
    assert shape.inner == pytest.approx(7, abs=0.4)
    assert shape.outer == 11.0
    choose(stage, WedgeDetector((15.5, 15.5), 3.0, 13.0, 0.0, 90.0))
    pattern_drag(stage, (15.5 - 5.6, 15.5 + 5.6), (9, 17), (7.5, 15.5))  # its upper side, to 90°
    shape = stage.session.detector.shape
    np.testing.assert_allclose(shape.sides_deg, (-45, 90), atol=3)
    choose(stage, RectangleDetector((15.5, 15.5), 10.0, 12.0))
    pattern_drag(stage, (20.5, 21.5), (22, 23), (24.5, 23.5))  # its corner
    shape = stage.session.detector.shape
    assert (shape.height, shape.width) == pytest.approx((14, 14), abs=0.5)
    np.testing.assert_allclose(shape.center, (17.5, 16.5), atol=0.3)
    # None of this moved the pattern; beside the detector, or with the hand, a drag pans.
    np.testing.assert_allclose(camera.center, center)
    pattern_drag(stage, (3, 3), (6, 6), (8, 8))
    assert not np.allclose(camera.center, center)
    before, moved = stage.session.detector, camera.center
    QTest.mouseClick(stage.dock.tools.button(1), LEFT)
    pattern_drag(stage, (17, 16), (19, 18), (21, 20))
    assert stage.session.detector is before
    assert not np.allclose(camera.center, moved)


def test_detectors_are_drawn_with_the_mouse(stage):
    native = stage.dock.qt_viewer.canvas.native
    QTest.mouseClick(stage.dock.tools.button(2), LEFT)  # polygon
    for corner in ((6, 6), (6, 20), (20, 20)):
        QTest.mouseClick(native, LEFT, NONE, stage.pattern_point(*corner))
        stage.qtbot.wait(20)
    assert stage.session.detector.kind == "bright field"
    QTest.mouseDClick(native, LEFT, NONE, stage.pattern_point(20, 6))
    stage.qtbot.wait(20)
    detector = stage.session.detector
    assert detector.kind == "drawn"
    mask = detector.mask(stage.scan)
    assert mask[8, 18] == 1
    assert mask[25, 25] == 0
    assert stage.dock.tools.button(0).isChecked()
    zoom = stage.dock.controller.model.scene.camera.zoom
    # A freehand line adds to what is drawn.
    QTest.mouseClick(stage.dock.tools.button(3), LEFT)
    angles = np.linspace(0, 2 * np.pi, 25)
    pattern_drag(stage, *[(25 + 3 * np.sin(a), 25 + 3 * np.cos(a)) for a in angles])
    mask = stage.session.detector.mask(stage.scan)
    assert mask[25, 25] == 1
    assert mask[8, 18] == 1
    assert 15 < mask[20:, 21:].sum() < 40
    assert stage.dock.controller.model.scene.camera.zoom == zoom
    QTest.keyClick(native, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert stage.session.detector == detector
    # An unfinished line is given up with Escape.
    QTest.mouseClick(stage.dock.tools.button(2), LEFT)
    QTest.mouseClick(native, LEFT, NONE, stage.pattern_point(5, 5))
    QTest.mouseClick(native, LEFT, NONE, stage.pattern_point(5, 9))
    QTest.keyClick(native, Qt.Key.Key_Escape)
    QTest.mouseDClick(native, LEFT, NONE, stage.pattern_point(12, 12))
    assert stage.session.detector == detector


def test_keys_nudge_the_detector(stage):
    native = stage.dock.qt_viewer.canvas.native
    choose(stage, DiskDetector((12.0, 12.0), 5.0))
    QTest.mouseClick(native, LEFT, NONE, stage.pattern_point(12, 12))
    assert stage.session.detector.shape == DiskDetector((12.0, 12.0), 5.0)
    QTest.keyClick(native, Qt.Key.Key_Right)
    QTest.keyClick(native, Qt.Key.Key_Down, SHIFT)
    QTest.keyClick(native, Qt.Key.Key_Plus)
    QTest.keyClick(native, Qt.Key.Key_Plus, SHIFT)
    QTest.keyClick(native, Qt.Key.Key_Minus)
    assert stage.session.detector.shape == DiskDetector((22.0, 13.0), 6.0)
    assert stage.dock.undo.isEnabled()
    QTest.mouseClick(stage.dock.undo, LEFT)
    assert stage.session.detector.shape.radius == 7.0
    QTest.mouseClick(stage.dock.redo, LEFT)
    assert stage.session.detector.shape.radius == 6.0


def test_mean_and_maximum_of_the_scan_are_chosen(stage):
    stage.click(4, 4)
    stage.wait_shown((4, 4))
    view = stage.dock.view
    assert view.currentText() == "Position"
    view.setCurrentIndex(3)
    view.activated.emit(3)
    stage.wait_shown(None)
    stage.qtbot.waitUntil(lambda: stage.dock.controller.shown.complete, timeout=5000)
    counts = stage.scan.data.compute()
    np.testing.assert_array_equal(stage.dock.controller.shown.values, counts.max(axis=(0, 1)))
    assert "Maximum of 600 positions" in stage.dock.title.text()
    stage.click(5, 5)
    stage.wait_shown((5, 5))
    assert view.currentText() == "Position"


def test_map_without_its_scan(stage):
    made = filled_map(stage.scan)
    stage.session.open(stage.scan)
    stage.session.scan = None
    stage.session.scan_changed.emit()
    stage.session.start_map(made)
    stage.click(4, 4)
    stage.qtbot.wait(50)
    assert "the scan is not open" in stage.dock.title.text()
    assert stage.dock.evidence.result.text().startswith("RU 45°")


def test_readout_contrast_and_region(stage):
    stage.click(4, 4)
    stage.wait_shown((4, 4))
    native = stage.dock.qt_viewer.canvas.native
    values = stage.dock.controller.shown.values
    expected = f"ky 12  kx 20 px · {values[12, 20]} counts · 17.1 mrad"

    def reads() -> bool:
        move(native, stage.pattern_point(12, 20), NONE, Qt.MouseButton.NoButton)
        return stage.dock.readout.text().startswith(expected)

    stage.qtbot.waitUntil(reads, timeout=3000)
    before = stage.dock.controller.shown.grey.copy()
    stage.dock.mode.setCurrentText("Log")
    stage.qtbot.waitUntil(
        lambda: not np.array_equal(stage.dock.controller.shown.grey, before), timeout=5000
    )
    assert stage.dock.controller.contrast.mode == "log"
    stage.dock.high.setValue(80)
    assert stage.dock.controller.contrast.high == 80
    region = np.zeros(SHAPE[:2], bool)
    region[2:9, 3:12] = True
    stage.session.set_region(region)
    stage.wait_shown(None)
    stage.qtbot.waitUntil(lambda: stage.dock.controller.shown.complete, timeout=5000)
    assert "Mean of 63 positions" in stage.dock.title.text()
    assert not stage.dock.progress.isVisible()


def test_dock_stays_where_it_is(stage):
    frame = stage.dock.parent()
    assert isinstance(frame, QDockWidget)
    features = frame.features()
    assert not features & QDockWidget.DockWidgetFeature.DockWidgetFloatable
    assert not features & QDockWidget.DockWidgetFeature.DockWidgetMovable
    buttons = frame.titleBarWidget().findChildren(QPushButton, "QTitleBarFloatButton")
    assert buttons
    assert all(button.isHidden() for button in buttons)
    assert stage.dock.width() < stage.map_canvas.size[1]  # the map keeps the larger part
    model = stage.dock.controller.model
    model.dims.ndisplay = 3
    assert model.dims.ndisplay == 2
    # The pattern fills its canvas, until the user zooms.
    camera = model.scene.camera
    fitted = camera.zoom
    widen(stage, frame, 480)
    assert camera.zoom > fitted
    camera.zoom = zoomed = camera.zoom * 2
    widen(stage, frame, 400)
    assert camera.zoom == zoomed


def test_dock_moves_beside_another_where_below_is_too_low(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1500, 800)
    other = viewer.window.add_dock_widget(QTextEdit(), name="Other", area="right")
    dock = DiffractionDock(viewer)
    frame = viewer.window.add_dock_widget(dock, name="Diffraction", area="right")
    qtbot.waitUntil(lambda: frame.x() >= other.x() + other.width(), timeout=3000)
    assert frame.y() == other.y()


def widen(stage, frame: QDockWidget, width: int) -> None:
    before = stage.dock.qt_viewer.canvas.size
    frame.window().resizeDocks([frame], [width], Qt.Orientation.Horizontal)
    stage.qtbot.waitUntil(lambda: stage.dock.qt_viewer.canvas.size != before, timeout=2000)
    stage.qtbot.wait(50)


def test_closing_the_dock_lets_everything_go_and_it_opens_again(stage):
    stage.click(4, 4)
    stage.wait_shown((4, 4))
    callbacks = len(stage.viewer.mouse_drag_callbacks)
    canvases = len(QtViewer._instances)
    stage.viewer.window.remove_dock_widget(stage.dock)
    del stage.dock
    stage.qtbot.waitUntil(
        lambda: len(stage.viewer.mouse_drag_callbacks) == callbacks - 1, timeout=2000
    )

    def gone() -> bool:
        gc.collect()
        return len(QtViewer._instances) == canvases - 1

    stage.qtbot.waitUntil(gone, timeout=3000)
    assert MARK_NAME not in stage.viewer.layers
    assert not {t.name for t in threading.enumerate()} & {"polmap-pattern", "polmap-evidence"}
    stage.click(5, 5)
    assert stage.session.position == (4, 4)
    stage.dock = DiffractionDock(stage.viewer)
    stage.viewer.window.add_dock_widget(stage.dock, name="Diffraction", area="right")
    stage.wait_shown((4, 4))
    stage.click(6, 6)
    stage.wait_shown((6, 6))


# Evidence


def reading(direction: int = 1) -> Reading:
    probabilities = np.full(8, 0.01)
    probabilities[direction] = 0.93
    return Reading(DirectionSet.default(), probabilities, direction, 0.93)


def evidence() -> SimpleNamespace:
    rows, columns = np.mgrid[-1:1:32j, -1:1:32j]
    means = np.stack([np.ones((32, 32)) + 0.1 * columns * (i + 1) for i in range(8)])
    return SimpleNamespace(seen=means[1] + 0.05 * rows, class_means=means, direction=1)


def test_bars_have_the_directions_colors(qtbot):
    panel = EvidencePanel()
    qtbot.addWidget(panel)
    panel.resize(300, 400)
    panel.show_reading(reading())
    assert panel.result.text() == "RU 45° · confidence 0.93"
    bars = panel.bars
    bars.resize(300, bars.sizeHint().height())
    picture = bars.grab().toImage()
    height = picture.height() / 8
    line = [picture.pixelColor(150, int(height * (row + 0.5))) for row in range(8)]
    expected = DirectionSet.default().colors[1] * 255
    np.testing.assert_allclose(line[1].getRgb()[:3], expected, atol=2)
    assert line[0].getRgb() == line[5].getRgb() != line[1].getRgb()


def test_pictures_compare_seen_and_class_mean(qtbot):
    panel = EvidencePanel()
    qtbot.addWidget(panel)
    assert panel.empty
    panel.show_reading(reading())
    panel.show_evidence(evidence(), 1, "RU")
    assert not panel.empty
    assert [caption.text() for caption in panel.captions] == ["seen", "mean of RU"]
    panel.view.setCurrentText("Antisymmetric part")
    assert panel.captions[1].text().startswith("mean of RU (±40%")
    panel.view.setCurrentText("Difference")
    assert panel.captions[0].text().startswith("seen − RU (±5%")
    panel.show_evidence(evidence(), 4, "LM")  # the map says otherwise
    assert panel.captions[0].text().startswith("seen − LM")
    panel.show_evidence(None, waiting=True)
    assert not panel.empty
    assert panel.pictures[0].stale
    panel.show_evidence(None)
    panel.show_reading(None)
    assert panel.empty


def test_antisymmetric_part():
    pattern = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(antisymmetric(pattern), [[-8, -6, -4], [-2, 0, 2], [4, 6, 8]])
