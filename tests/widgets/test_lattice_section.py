"""The lattice in a real window: measured, shown, dragged with the mouse, undone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_polmap.scan import Scan
from napari_polmap.viewer.lattice_overlay import FIRST, LAYERS, ORIGIN, SECOND
from napari_polmap.viewer.layers import geometry
from napari_polmap.viewer.picking import PositionPicker
from napari_polmap.widgets.calibration_dock import CalibrationDock
from tests.synthetic import CALIBRATION, CELL, STEP_NM
from tests.widgets.conftest import Window
from tests.widgets.mouse import canvas_point, move

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


class Bench:
    """A window with a scan's image and the calibration's dock."""

    def __init__(self, window: Window) -> None:
        self.window, self.session, self.viewer = window, window.session, window.viewer
        self.dock: CalibrationDock = window.dock.show_calibration()
        self.section = self.dock.lattice_section
        self.overlay = self.section.overlay

    @property
    def canvas(self) -> Any:
        window = self.viewer.window
        return getattr(window, "__wrapped__", window)._qt_viewer.canvas

    @property
    def native(self) -> Any:
        return self.canvas.native

    def point(self, place: Any) -> QPoint:
        """Place of a probe position (row, column) on the canvas."""
        world = np.asarray(place) * geometry(self.session.calibration)["scale"]
        return canvas_point(self.viewer, self.canvas, world)

    def drag(self, *places: Any, modifier: Any = NONE, release: bool = True) -> None:
        points = [self.point(place) for place in places]
        QTest.mouseMove(self.native, points[0])
        self.window.qtbot.wait(20)
        QTest.mousePress(self.native, LEFT, modifier, points[0])
        for point in points[1:]:
            move(self.native, point, modifier)
            self.window.qtbot.wait(30)
        if release:
            QTest.mouseRelease(self.native, LEFT, modifier, points[-1])
            self.window.qtbot.wait(30)

    def measure(self) -> None:
        QTest.mouseClick(self.section.measure, LEFT)
        self.window.wait(lambda: not self.dock.calibrator.busy)


@pytest.fixture
def bench(window: Window, scan: Scan) -> Bench:
    window.viewer.window.resize(1500, 900)
    window.session.open(scan)
    window.settle()
    made = Bench(window)
    window.qtbot.wait(100)
    window.viewer.reset_view()
    window.qtbot.wait(100)
    return made


@pytest.fixture
def shown(bench: Bench) -> Bench:
    """With the vectors shown."""
    QTest.mouseClick(bench.section.vectors, LEFT)
    assert bench.overlay.shown
    bench.window.qtbot.wait(50)
    return bench


def test_measured_with_errors_and_undone(bench: Bench) -> None:
    bench.session.set_calibration(lattice_nm=0.5)
    assert "not known" not in bench.section.state.text()
    bench.measure()
    calibration = bench.session.calibration
    assert calibration.lattice_nm == pytest.approx(STEP_NM * CELL, rel=3e-3)
    assert calibration.sources["lattice_nm"] == "measured"
    assert calibration.crystal_angle_deg == 0.0
    text = bench.section.state.text()
    assert "± 0.00" in text
    assert "8.0" in text
    assert "positions per cell" in text
    assert bench.section.notice.text() == ""
    # Another cell, then the measured one again.
    QTest.mouseClick(bench.section.cells[0], LEFT)
    assert bench.session.calibration.lattice_nm == pytest.approx(STEP_NM * CELL * 2**0.5, rel=3e-3)
    assert abs(bench.session.calibration.crystal_angle_deg) == pytest.approx(45, abs=0.5)
    QTest.mouseClick(bench.section.cells[0], LEFT)
    assert bench.session.calibration.lattice_nm == pytest.approx(STEP_NM * CELL, rel=3e-3)
    for _ in range(3):
        QTest.mouseClick(bench.dock.undo, LEFT)
    assert bench.session.calibration.lattice_nm == 0.5


def test_it_says_where_there_is_none(bench: Bench) -> None:
    noise = np.random.default_rng(0).poisson(4, (24, 24, 16, 16)).astype(np.uint16)
    bench.session.open(Scan(noise, step_nm=0.05, center_px=(7.5, 7.5), radius_px=5.0))
    bench.window.wait(lambda: not bench.dock.calibrator.busy)
    bench.measure()
    assert "No square lattice is seen" in bench.section.notice.text()
    assert bench.session.calibration.lattice_nm is None
    assert not bench.section.cells[0].isVisible()


def test_the_drawn_region_is_measured(bench: Bench) -> None:
    region = np.zeros(bench.session.scan_shape, bool)
    region[4:40, 10:50] = True
    bench.session.set_region(region)
    bench.section.refresh()
    assert bench.section.measure.text() == "Measure in region"
    assert bench.section._region() == (slice(4, 40), slice(10, 50))
    bench.measure()
    assert bench.session.calibration.lattice_nm == pytest.approx(STEP_NM * CELL, rel=0.01)


@pytest.mark.parametrize("part", [FIRST, SECOND])
def test_an_end_is_dragged(shown: Bench, part: str) -> None:
    session, overlay, viewer = shown.session, shown.overlay, shown.viewer
    camera, steps = viewer.scene.camera, []
    center = camera.center
    session.scan_changed.connect(lambda: steps.append(session.calibration.lattice_nm))
    before = session.calibration
    periods, ends = overlay.periods, overlay.ends()
    arm = ends[part] - ends[ORIGIN]
    # Turned by about 20 degrees counter-clockwise, and a fifth longer.
    turn = np.radians(20)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    target = ends[ORIGIN] + 1.2 * matrix @ arm
    way = [ends[part] + share * (target - ends[part]) for share in (0, 0.2, 0.5, 0.8, 1)]
    shown.drag(*way, release=False)
    # Drawn and told at once, taken when it is let go.
    assert steps == []
    assert session.calibration == before
    assert overlay.angle_deg == pytest.approx(20, abs=1.0)
    assert f"{overlay.period:.2f} positions" in shown.section.state.text()
    np.testing.assert_allclose(
        viewer.layers[LAYERS[0]].data[0, 1], overlay.ends()[FIRST] - ends[ORIGIN]
    )
    QTest.mouseRelease(shown.native, LEFT, NONE, shown.point(target))
    shown.window.qtbot.wait(50)
    calibration = session.calibration
    assert len(steps) == 1
    assert calibration.cell_positions == pytest.approx(1.2 * CELL, rel=0.02)
    assert calibration.crystal_angle_deg == pytest.approx(20, abs=1.0)
    assert calibration.sources["crystal_angle_deg"] == "user"
    assert overlay.periods * overlay.period < 1.3 * periods * CELL
    assert session.position is None
    np.testing.assert_allclose(camera.center, center)
    # One undo takes it back, in the picture too.
    QTest.mouseClick(shown.dock.undo, LEFT)
    assert session.calibration == before
    np.testing.assert_allclose(overlay.ends()[part], ends[part])


def test_the_origin_is_dragged_to_an_atom(shown: Bench) -> None:
    session, overlay = shown.session, shown.overlay
    before, origin = session.calibration, overlay.ends()[ORIGIN]
    way = np.array([-4, 3])
    shown.drag(origin, origin + way / 2, origin + way)
    assert session.calibration == before
    assert not session.can_undo_calibration
    np.testing.assert_allclose(overlay.ends()[ORIGIN], origin + way, atol=0.15)


def test_clicks_and_drags_elsewhere_are_as_ever(shown: Bench) -> None:
    session, overlay, viewer = shown.session, shown.overlay, shown.viewer
    picker = PositionPicker(viewer, session)
    before, ends = session.calibration, overlay.ends()
    try:
        for place in ((3, 4), tuple(np.round(ends[FIRST]).astype(int))):
            # Also on an end: it is not dragged.
            QTest.mouseClick(shown.native, LEFT, NONE, shown.point(place))
            shown.window.qtbot.wait(30)
            assert session.position == place
        center = viewer.scene.camera.center
        shown.drag((40, 5), (40, 8), (38, 12))
        assert not np.allclose(viewer.scene.camera.center, center), "pans"
        # Following the mouse: with Shift over an end too, but not while an end is dragged.
        shown.drag(ends[FIRST], ends[FIRST] + 2, modifier=SHIFT)
        np.testing.assert_allclose(session.position, ends[FIRST] + 2, atol=0.6)
        picker.follow, position = True, session.position
        assert session.calibration == before
        shown.drag(ends[FIRST], ends[FIRST] - 2, ends[FIRST] - 4)
        assert session.position == position
        assert session.calibration != before
    finally:
        picker.close()


def test_a_drawing_tool_keeps_the_mouse(shown: Bench) -> None:
    before, ends = shown.session.calibration, shown.overlay.ends()
    shapes = shown.viewer.add_shapes(ndim=2, **geometry(before))
    shapes.mode = "add_rectangle"
    shown.drag(ends[FIRST], ends[FIRST] + 3, ends[FIRST] + 6)
    assert shown.session.calibration == before
    assert shapes.nshapes == 1


def test_without_a_step_vectors_wait(bench: Bench) -> None:
    bench.session.set_calibration(step_nm=None)
    assert not bench.section.vectors.isEnabled()
    assert "Give the scan step" in bench.section.notice.text()
    bench.measure()
    assert f"{CELL:.1f}" in bench.section.state.text()
    bench.session.set_calibration(step_nm=CALIBRATION.step_nm)
    assert bench.section.vectors.isEnabled()
    QTest.mouseClick(bench.section.vectors, LEFT)
    QTest.mouseClick(bench.section.vectors, LEFT)
    assert not bench.overlay.shown
