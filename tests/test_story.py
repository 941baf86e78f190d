"""The whole way in one window, with real mouse events: from a scan to an exported map."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog

from napari_polmap import load_map
from napari_polmap.viewer.sample import demo_path
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.tags import MAP_ROLES, Role, role_of
from napari_polmap.widgets.export_section import PIXELS

LEFT = Qt.MouseButton.LeftButton
REAL = Path(os.environ.get("POLMAP_REAL_DATA", Path(__file__).parents[2] / "shared/data/real"))
CRYO = REAL / "hdf5" / "cryo_24x40.hspy"


class Stage:
    """A window and what a user does in it."""

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        viewer.window.resize(1500, 900)
        self.session = Session.of(viewer)

    @property
    def dock(self) -> Any:
        return self.viewer.window.add_plugin_dock_widget("napari-polmap", "Polarization map")[1]

    def wait(self, condition: Callable[[], Any]) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=120_000)

    def settle(self) -> None:
        self.wait(lambda: not self.dock.controller.busy)
        self.qtbot.wait(100)

    def press(self, button: Any) -> None:
        assert button.isEnabled()
        self.dock.window().findChild(type(button), button.objectName())
        QTest.mouseClick(button, LEFT)

    def point(self, y: float, x: float) -> QPoint:
        """Where a position lies on the canvas."""
        canvas, camera = self.viewer.window._qt_viewer.canvas, self.viewer.scene.camera
        scale = self.session.calibration.step_nm or 1.0
        middle = np.asarray(camera.center)[-2:]
        down, right = (np.array([y, x]) * scale - middle) * camera.zoom
        height, width = canvas.size
        return QPoint(round(width / 2 + right), round(height / 2 + down))

    def click(self, y: float, x: float) -> None:
        native = self.viewer.window._qt_viewer.canvas.native
        QTest.mouseMove(native, self.point(y, x))
        self.qtbot.wait(30)
        QTest.mouseClick(native, LEFT, pos=self.point(y, x))
        self.qtbot.wait(30)

    def drag_slider(self, slider: Any, by: float) -> None:
        """Drag a slider's handle to the right by a share of its length."""
        groove = slider._slider
        share = (slider.value() - slider.minimum()) / (slider.maximum() - slider.minimum())
        margin = 8
        start = QPoint(round(margin + share * (groove.width() - 2 * margin)), groove.height() // 2)
        end = start + QPoint(round(by * groove.width()), 0)
        QTest.mousePress(groove, LEFT, pos=start)
        for step in (0.25, 0.5, 0.75, 1.0):
            QTest.mouseMove(groove, start + (end - start) * step)
            self.qtbot.wait(20)
        QTest.mouseRelease(groove, LEFT, pos=end)
        self.qtbot.wait(20)

    def draw_polygon(self, corners: list[tuple[float, float]]) -> None:
        """Click the corners; a double click at the last one ends the polygon."""
        native = self.viewer.window._qt_viewer.canvas.native
        for corner in corners:
            self.click(*corner)
        QTest.mouseDClick(native, LEFT, pos=self.point(*corners[-1]))
        self.qtbot.wait(50)


@pytest.fixture
def stage(
    make_napari_viewer: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("POLMAP_CLASSIFIERS", str(tmp_path / "classifiers"))
    made = Stage(make_napari_viewer(show=True), qtbot)
    yield made
    made.dock.close_dock()
    # pytest keeps this object until after the viewer's own check for leaks.
    vars(made).clear()


def open_sample(viewer: Any) -> None:
    """File > Open Sample > KNN domains (simulated)."""
    menu = viewer.window.file_menu
    samples = next(action.menu() for action in menu.actions() if action.text() == "Open Sample")
    next(a for a in samples.actions() if "KNN domains (simulated)" in a.text()).trigger()


def test_from_the_sample_to_an_exported_map(stage: Stage, tmp_path: Path) -> None:
    viewer, session = stage.viewer, stage.session

    # Open the sample: an image at once, calibration and classifier follow.
    open_sample(viewer)
    assert [role_of(layer) for layer in viewer.layers] == [Role.VIRTUAL]
    stage.settle()
    assert session.calibration.sources["center_px"] == "measured"
    assert session.classifier is not None
    dock = stage.dock
    assert not dock.classifier_section.mismatch.isVisible()

    # Run: layers appear while it works.
    appeared: dict[Any, bool] = {}
    viewer.layers.events.inserted.connect(
        lambda event: appeared.setdefault(role_of(event.value), dock.runs.running)
    )
    stage.press(dock.run_section.run)
    stage.settle()
    assert appeared[Role.POLARIZATION], "while it works"
    assert set(MAP_ROLES) <= {role_of(layer) for layer in viewer.layers}
    assert session.map.complete
    truth = tifffile.imread(demo_path().with_name("demo_knn_truth.tif"))
    decided = session.map.labels() != 255
    assert decided.mean() > 0.5
    assert (session.map.direction == truth)[decided].mean() > 0.8

    # Click a position: its pattern and the evidence.
    patterns = dock.show_patterns()
    stage.qtbot.wait(200)
    viewer.reset_view()
    stage.qtbot.wait(50)
    stage.click(20, 14)
    assert session.position == (20, 14)
    view = patterns.controller
    stage.wait(lambda: view.evidence is not None and view.shown is not None)
    np.testing.assert_array_equal(view.shown.values, session.scan.pattern(20, 14))
    assert view.reading.direction == session.map.direction[20, 14]
    name = session.map.shown_directions.label(int(session.map.direction[20, 14]))
    assert name in view.reading.text
    assert view.evidence.probabilities.argmax() == session.map.direction[20, 14]
    layer = dock.controller.manager.get(Role.POLARIZATION)
    world = np.array([20, 14]) * session.calibration.step_nm
    assert view.reading.text in layer.get_status(world, world=True)["value"]

    # The threshold works at once.
    slider = dock.legend_section.threshold
    before = (layer.data == 255).sum()
    stage.drag_slider(slider, 0.2)
    assert slider.value() > 0.65
    assert session.map.threshold == slider.value()
    assert (layer.data == 255).sum() > before
    slider.setValue(0.5)
    np.testing.assert_array_equal(layer.data, session.map.labels())

    # Draw a polygon and reclassify it, then undo.
    stage.press(dock.region_section.draw)
    stage.draw_polygon([(10, 30), (10, 55), (40, 55), (40, 30)])
    region = session.region
    assert region is not None
    assert region[25, 40]
    assert not region[25, 20]
    kept = {name: array.copy() for name, array in session.map.arrays().items()}
    dock.run_section.window.setValue(0.5)
    stage.press(dock.region_section.reclassify)
    stage.settle()
    changed = session.map.confidence != kept["confidence"]
    assert changed[region].any()
    assert not changed[~region].any()
    assert dock.region_section.history.count() == 1
    stage.press(dock.region_section.undo)
    for name, array in session.map.arrays().items():
        np.testing.assert_array_equal(array, kept[name])
    stage.settle()
    assert load_map(session.map_path).undone == 1, "the history is saved with the map"

    # Export what is shown.
    section = dock.export_section
    section.kind.setCurrentIndex(section.kind.findData(PIXELS))
    section.beneath.setChecked(False)
    stage.press(section.save)
    (dialog,) = section.findChildren(QFileDialog)
    dialog.setDirectory(str(tmp_path))
    dialog.selectFile("map.png")
    dialog.accept()
    stage.settle()
    picture = np.rint(255 * matplotlib.image.imread(tmp_path / "map.png")).astype(int)
    assert picture.shape == (64, 64, 4)
    for other in viewer.layers:
        other.visible = other is layer
    layer.opacity = 1.0
    viewer.scale_bar.visible = False
    stage.qtbot.wait(100)
    canvas = viewer.screenshot(canvas_only=True, flash=False)
    ratio = canvas.shape[1] / viewer.window._qt_viewer.canvas.size[1]
    for y, x in [(5, 5), (20, 14), (30, 50), (60, 60), (45, 20), (12, 33)]:
        place = stage.point(y, x)
        shown = canvas[round(place.y() * ratio), round(place.x() * ratio), :3].astype(int)
        wanted = picture[y, x, :3] if picture[y, x, 3] else np.zeros(3)
        assert np.abs(shown - wanted).max() <= 2, (y, x)


@pytest.mark.skipif(not CRYO.exists(), reason="the real files are not here")
def test_an_experimental_scan_of_another_microscope(stage: Stage, tmp_path: Path) -> None:
    viewer, session = stage.viewer, stage.session
    # A copy: what is changed of the calibration is kept beside the file.
    copy = shutil.copyfile(CRYO, tmp_path / CRYO.name)
    (image,) = viewer.open(str(copy), plugin="napari-polmap")
    assert role_of(image) is Role.VIRTUAL
    stage.settle()
    assert session.scan.shape == (24, 40, 128, 128)
    dock = stage.dock
    assert image.name.endswith("bright field")
    assert np.isfinite(image.data).all()
    assert image.data.std() > 0
    for role in (Role.COM_X, Role.COM_Y):
        dock.controller.imager.want(role, True)
    stage.settle()
    center = session.calibration.center_px
    ky = center[0] - dock.controller.manager.get(Role.COM_Y).data  # y points up
    kx = center[1] + dock.controller.manager.get(Role.COM_X).data
    assert ky.mean() == pytest.approx(63.8, abs=0.1)
    assert kx.mean() == pytest.approx(62.8, abs=0.1)

    # The classifier was made for another microscope: it says so, and no map is painted.
    mismatch, unsure = dock.classifier_section.mismatch, dock.classifier_section.unsure
    assert mismatch.isVisible()
    assert "does not apply" in mismatch.text()
    assert "3.125 nm" in mismatch.text()
    assert "voltage and convergence semi-angle" in unsure.text()
    dock.show_calibration().form.fields["energy_kv"].setValue(300.0)
    dock.show_calibration().form.fields["semi_angle_mrad"].setValue(1.03)
    stage.settle()
    assert "300 kV" in mismatch.text()
    assert not unsure.isVisible()
    assert not dock.run_section.run.isEnabled()
    QTest.mouseClick(dock.run_section.run, LEFT)
    stage.settle()
    assert session.map is None
    assert not set(MAP_ROLES) & {role_of(layer) for layer in viewer.layers}
