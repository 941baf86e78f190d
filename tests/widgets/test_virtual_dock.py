"""The dock "Virtual imaging" in a real window: choosing, dragging, showing and saving."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QCheckBox

from napari_polmap.diffraction.center_of_mass import color_wheel, in_scan_frame, integrated
from napari_polmap.diffraction.detectors import DiskDetector, PolygonDetector, preset
from napari_polmap.diffraction.virtual import center_of_mass, virtual_image
from napari_polmap.scan import Scan
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.tags import Role
from napari_polmap.viewer.virtual_detector import VirtualDetector
from napari_polmap.widgets.diffraction_dock import DiffractionDock
from napari_polmap.widgets.virtual_dock import VirtualDock
from tests.synthetic import CALIBRATION
from tests.widgets.conftest import LONG
from tests.widgets.mouse import canvas_point, move

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


class Bench:
    """A window with the dock, the diffraction view and a scan whose detector is turned."""

    def __init__(self, viewer: Any, qtbot: Any, scan: Scan) -> None:
        self.viewer, self.qtbot, self.scan = viewer, qtbot, scan
        viewer.window.resize(1500, 900)
        self.session = Session.of(viewer)
        opened = viewer.window.add_plugin_dock_widget("napari-polmap", "Virtual imaging")[1]
        self.dock: VirtualDock = getattr(opened, "__wrapped__", opened)
        self.imager = self.dock.imager
        self.shapes, self.images = self.dock.shape_section, self.dock.image_section
        self.session.open(scan)
        self.settle()

    def settle(self) -> None:
        self.qtbot.waitUntil(lambda: not self.imager.busy, timeout=LONG)

    def layer(self, role: Role) -> Any:
        return self.imager.manager.get(role)

    def check(self, box: QCheckBox, on: bool = True) -> None:
        if box.isChecked() != on:
            QTest.mouseClick(box, LEFT, NONE, QPoint(8, box.height() // 2))
        assert box.isChecked() == on
        self.settle()

    def choose(self, kind: str) -> None:
        index = self.shapes.kind.findData(kind)
        self.shapes.kind.setCurrentIndex(index)
        self.shapes.kind.activated.emit(index)
        self.settle()

    def patterns(self) -> DiffractionDock:
        QTest.mouseClick(self.shapes.patterns, LEFT)
        self.settle()
        found = self.viewer.window._qt_window.findChild(DiffractionDock, "polmap-diffraction")
        self.qtbot.waitUntil(found.isVisible, timeout=LONG)
        self.qtbot.wait(100)
        self.settle()
        return found


@pytest.fixture
def turned(scan_file: Path) -> Scan:
    calibration = CALIBRATION.updated("user", flip=True, rotation_deg=25.0)
    return Scan(np.load(scan_file, mmap_mode="r"), calibration, path=scan_file)


@pytest.fixture
def bench(make_napari_viewer: Any, qtbot: Any, turned: Scan) -> Iterator[Bench]:
    made = Bench(make_napari_viewer(show=True), qtbot, turned)
    yield made
    made.dock.close_dock()
    qtbot.wait(50)
    vars(made).clear()


def test_presets_and_numbers_make_the_exact_image(bench: Bench) -> None:
    session = bench.session
    assert session.detector == VirtualDetector("bright field", preset("bright field", CALIBRATION))
    np.testing.assert_allclose(
        session.images[Role.VIRTUAL],
        virtual_image(bench.scan, session.detector.shape),
        rtol=1e-5,
    )
    bench.choose("annular dark field")
    layer = bench.layer(Role.VIRTUAL)
    assert layer.name.endswith("annular dark field")
    np.testing.assert_allclose(
        layer.data, virtual_image(bench.scan, preset("annular dark field", CALIBRATION)), rtol=1e-5
    )
    fields = bench.shapes.fields
    assert fields.fields["outer"].text() == "∞"
    assert fields.units["inner"].text() == "26.40 mrad · 1.10 R"
    fields.fields["inner"].setValue(4.0)
    fields.fields["outer"].setValue(7.5)
    bench.settle()
    shape = session.detector.shape
    assert (shape.inner, shape.outer) == (4.0, 7.5)
    assert shape.center == CALIBRATION.center_px  # not touched, not rounded
    assert bench.shapes.kind.currentData() == "annulus"
    np.testing.assert_allclose(layer.data, virtual_image(bench.scan, shape), rtol=1e-5)
    fields.fields["inner"].setValue(9.0)  # past the outer one
    assert session.detector.shape == shape
    assert fields.fields["inner"].value() == 4.0
    bench.choose("wedge")
    assert fields.fields["width_deg"].isVisible()
    assert not fields.fields["radius"].isVisible()


def test_a_drawn_detector_waits_for_its_drawing(bench: Bench) -> None:
    bench.choose("drawn")
    assert "Draw a polygon" in bench.shapes.notice.text()
    assert bench.session.detector.kind == "bright field"
    triangle = PolygonDetector((((5, 5), (5, 25), (25, 15)),))
    bench.session.set_detector(VirtualDetector.free(triangle))
    bench.settle()
    assert not bench.shapes.notice.isVisible()
    assert bench.layer(Role.VIRTUAL).name.endswith("drawn")


def test_a_pair_makes_a_difference_image(bench: Bench) -> None:
    bench.choose("wedge")
    bench.check(bench.shapes.paired)
    layer = bench.layer(Role.VIRTUAL)
    assert layer.name.endswith("wedge, pair")
    assert layer.colormap.name == "PiYG"
    low, high = layer.contrast_limits
    assert low == -high
    shape = bench.session.detector.shape
    mirrored = virtual_image(bench.scan, shape.mirrored(CALIBRATION.center_px))
    expected = virtual_image(bench.scan, shape) - mirrored
    np.testing.assert_allclose(layer.data, expected, atol=0.1)
    bench.check(bench.shapes.paired, False)
    assert layer.colormap.name == "gray"


def test_images_of_the_center_of_mass(bench: Bench) -> None:
    boxes = bench.images.boxes
    for role in (Role.COM_X, Role.COM_COLORS, Role.COM_INTEGRATED):
        bench.check(boxes[role])
    offsets = center_of_mass(bench.scan)
    vectors = in_scan_frame(offsets, bench.scan.calibration)
    np.testing.assert_allclose(bench.layer(Role.COM_X).data, vectors[..., 0], atol=1e-4)
    assert bench.layer(Role.COM_COLORS).rgb
    np.testing.assert_allclose(
        bench.layer(Role.COM_COLORS).data.astype(int), color_wheel(vectors), atol=2
    )
    step = bench.scan.calibration.step_nm
    exact = integrated(vectors, step)
    np.testing.assert_allclose(bench.layer(Role.COM_INTEGRATED).data, exact, atol=1e-3)
    bench.images.high_pass.setValue(12)
    bench.settle()
    filtered = integrated(vectors, step, 12)
    np.testing.assert_allclose(bench.layer(Role.COM_INTEGRATED).data, filtered, atol=1e-3)
    bench.check(bench.images.about_mean)
    assert abs(bench.layer(Role.COM_X).data.mean()) < 1e-4
    # The detector's turn reaches the images without reading the scan again.
    bench.session.set_calibration(rotation_deg=115.0)
    bench.settle()
    turned = in_scan_frame(offsets, bench.session.calibration)[..., 0]
    np.testing.assert_allclose(bench.layer(Role.COM_X).data, turned - turned.mean(), atol=1e-3)
    bench.check(boxes[Role.COM_X], False)
    assert not bench.layer(Role.COM_X).visible
    # The layer removed by hand is no longer shown, and comes back when it is asked for.
    bench.viewer.layers.remove(bench.layer(Role.COM_COLORS))
    assert not boxes[Role.COM_COLORS].isChecked()
    bench.check(boxes[Role.COM_COLORS])
    assert bench.layer(Role.COM_COLORS).visible


def test_contrast_of_each_image(bench: Bench) -> None:
    images = bench.images
    values = bench.layer(Role.VIRTUAL).data.copy()
    images.low.setValue(10)
    images.high.setValue(90)
    np.testing.assert_allclose(
        bench.layer(Role.VIRTUAL).contrast_limits, np.percentile(values, (10, 90)), rtol=1e-5
    )
    index = images.mode.findData("log")
    images.mode.setCurrentIndex(index)
    images.mode.activated.emit(index)
    assert bench.layer(Role.VIRTUAL).colormap.name == "gray, log"
    np.testing.assert_array_equal(bench.layer(Role.VIRTUAL).data, values)
    bench.check(images.boxes[Role.COM_MAGNITUDE])
    assert images.chosen is Role.COM_MAGNITUDE
    assert images.mode.currentData() == "linear"
    bench.choose("annular bright field")
    assert bench.layer(Role.VIRTUAL).colormap.name == "gray, log"  # it stays with its image


def test_the_image_follows_the_mouse_and_is_exact_when_released(bench: Bench) -> None:
    patterns = bench.patterns()
    assert bench.imager.reduced is not None
    bench.session.set_detector(VirtualDetector.free(DiskDetector((12.0, 12.0), 4.0)))
    bench.settle()
    controller, canvas = patterns.controller, patterns.qt_viewer.canvas
    pattern = controller.model.layers["pattern"]

    def point(ky: float, kx: float) -> QPoint:
        return canvas_point(controller.model, canvas, pattern.data_to_world((ky, kx)))

    seen: list[np.ndarray] = []
    bench.session.images_changed.connect(lambda _: seen.append(bench.session.images[Role.VIRTUAL]))
    QTest.mouseMove(canvas.native, point(12, 12))
    QTest.mousePress(canvas.native, LEFT, NONE, point(12, 12))
    for place in ((13, 13), (15, 16), (17, 18)):
        before = len(seen)
        move(canvas.native, point(*place), NONE)
        bench.qtbot.waitUntil(lambda before=before: len(seen) > before, timeout=LONG)
        # While it is dragged, the numbers and the image belong to where it is.
        assert not bench.imager.running("images")
        shape = bench.session.detector.shape
        assert bench.shapes.fields.fields["center_kx"].value() == pytest.approx(
            shape.center[1], abs=0.01
        )
        np.testing.assert_allclose(seen[-1], virtual_image(bench.scan, shape), rtol=1e-3, atol=0.1)
    QTest.mouseRelease(canvas.native, LEFT, NONE, point(17, 18))
    bench.settle()
    shape = bench.session.detector.shape
    np.testing.assert_allclose(shape.center, (17, 18), atol=0.3)
    exact = virtual_image(bench.scan, shape)
    np.testing.assert_allclose(bench.layer(Role.VIRTUAL).data, exact, rtol=1e-5)
    assert bench.shapes.fields.fields["center_ky"].value() == pytest.approx(
        shape.center[0], abs=0.01
    )


def test_an_image_is_saved_with_its_calibration(bench: Bench, tmp_path: Path) -> None:
    bench.choose("annulus")
    bench.images.save_to(tmp_path / "ring")
    bench.settle()
    with tifffile.TiffFile(tmp_path / "ring.tif") as file:
        saved, about = file.asarray(), json.loads(file.pages[0].description)
        resolution = file.pages[0].tags["XResolution"].value
    np.testing.assert_allclose(saved, bench.layer(Role.VIRTUAL).data)
    assert about["title"] == "annulus"
    assert about["detector"]["form"] == "annulus"
    assert about["calibration"]["rotation_deg"] == 25.0
    assert resolution[0] / resolution[1] == pytest.approx(1e7 / CALIBRATION.step_nm, rel=1e-3)
    bench.check(bench.images.boxes[Role.COM_COLORS])
    bench.images.save_to(tmp_path / "colors.tif")
    bench.settle()
    assert tifffile.imread(tmp_path / "colors.tif").shape == (48, 56, 3)


def test_another_scan_begins_anew_and_closing_ends_everything(bench: Bench, turned: Scan) -> None:
    bench.check(bench.images.boxes[Role.COM_X])
    bench.choose("wedge")
    bench.patterns()
    bench.session.open(Scan(turned.data[:20, :24], CALIBRATION))
    bench.settle()
    assert bench.session.detector.kind == "bright field"
    assert not bench.images.boxes[Role.COM_X].isChecked()
    assert bench.session.images[Role.VIRTUAL].shape == (20, 24)
    assert bench.imager.reduced.scan_shape == (20, 24)


def test_without_the_disk_it_says_so(bench: Bench, turned: Scan) -> None:
    unknown = CALIBRATION.updated("user", center_px=None, radius_px=None)
    bench.session.open(Scan(turned.data, unknown))
    bench.settle()
    assert "not known" in bench.shapes.notice.text()
    assert not bench.shapes.paired.isEnabled()
    bench.choose("disk")
    assert bench.session.detector.shape.center == (15.5, 15.5)
    assert np.isfinite(bench.session.images[Role.VIRTUAL]).all()
