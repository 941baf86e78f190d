"""What lies beneath the map is chosen with the mouse, and is what exports show."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from tifffile import imread

from napari_polmap.scan import Scan
from napari_polmap.viewer.tags import Role
from tests.viewer.scenes import filled_map
from tests.widgets.conftest import Window

LEFT = Qt.MouseButton.LeftButton


def choose(window: Window, text: str) -> None:
    """Choose an entry of the opened list with the mouse."""
    choice = window.dock.background_section.choice
    index = choice.findText(text)
    assert index >= 0
    choice.showPopup()
    view = choice.view()
    window.qtbot.waitUntil(view.isVisible)
    # A click that follows the opening at once would be taken for its release.
    window.qtbot.wait(QApplication.doubleClickInterval() + 50)
    place = view.visualRect(view.model().index(index, 0)).center()
    QTest.mouseMove(view.viewport(), place)
    QTest.mouseClick(view.viewport(), LEFT, pos=place)
    window.qtbot.waitUntil(lambda: not view.isVisible())


@pytest.fixture
def haadf(scan: Scan) -> np.ndarray:
    rows, columns = scan.scan_shape
    return np.random.default_rng(5).random((2 * rows, 2 * columns)).astype(np.float32)


def test_a_layer_lies_beneath_the_exported_map(
    window: Window, scan: Scan, haadf: np.ndarray, tmp_path: Path
) -> None:
    window.session.open(scan)
    window.settle()
    polarization_map = filled_map(scan)
    polarization_map.confidence[:] = 0  # undecided: the background alone is seen
    window.session.start_map(polarization_map)
    window.viewer.add_image(haadf, name="HAADF")
    section = window.dock.background_section
    QTest.mouseClick(section.header, LEFT)
    choose(window, "HAADF")
    assert window.viewer.layers[0].name == "HAADF"
    assert section.note.isVisible()
    assert "stretched" in section.note.text()
    export = window.dock.export_section
    export.kind.setCurrentIndex(export.kind.findData("pixels"))
    export.write(tmp_path / "a.tif")
    window.settle()
    shown = imread(tmp_path / "a.tif")[..., 0].astype(float)
    means = haadf.reshape(scan.scan_shape[0], 2, scan.scan_shape[1], 2).mean((1, 3))
    assert np.corrcoef(shown.ravel(), means.ravel())[0, 1] > 0.95
    choose(window, "Virtual image")
    assert window.dock.controller.manager.shown(Role.VIRTUAL)
    assert not section.note.isVisible()


def test_images_of_a_file_are_offered(
    window: Window, scan: Scan, haadf: np.ndarray, tmp_path: Path, told: list[str]
) -> None:
    window.session.open(scan)
    window.settle()
    section = window.dock.background_section
    QTest.mouseClick(section.header, LEFT)
    np.save(tmp_path / "haadf.npy", haadf)
    section.load(tmp_path / "haadf.npy")
    window.settle()
    assert section.background.layer.name == "haadf.npy"
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["haadf"], file["abf"] = haadf, 1 - haadf
    section.load(tmp_path / "two.h5")
    window.settle()
    section.choice.hidePopup()
    assert section.background.layer.name == "haadf.npy", "nothing is chosen among several"
    choose(window, "abf (in the file)")
    np.testing.assert_array_equal(section.background.layer.data, 1 - haadf)
    QTest.mouseClick(section.same, LEFT)
    window.settle()
    assert len(told) == 1
    assert "domains.npy" in told[0], "the scan's own file holds no image"
