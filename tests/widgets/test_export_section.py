from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog

from napari_polmap import load_map
from napari_polmap.scan import Scan
from napari_polmap.viewer.tags import Role
from napari_polmap.widgets.export_section import FIGURE, LABELS, MAP, PIXELS, TABLE
from tests.viewer.scenes import filled_map
from tests.widgets.conftest import Window


@pytest.fixture
def shown(window: Window, scan: Scan) -> Window:
    window.session.open(scan)
    window.settle()
    window.session.start_map(filled_map(scan))
    return window


def export(window: Window, kind: str, path: Path) -> None:
    section = window.dock.export_section
    section.kind.setCurrentIndex(section.kind.findData(kind))
    section.write(path)
    window.settle()


def test_a_picture_equals_what_is_shown(shown: Window, tmp_path: Path) -> None:
    shown.dock.export_section.beneath.setChecked(False)
    export(shown, PIXELS, tmp_path / "shown.png")
    picture = np.rint(255 * matplotlib.image.imread(tmp_path / "shown.png")).astype(np.uint8)
    layer = shown.dock.controller.manager.get(Role.POLARIZATION)
    np.testing.assert_array_equal(
        picture, np.rint(255 * layer.colormap.map(layer.data)).astype(np.uint8)
    )
    shown.session.set_threshold(1.0)
    export(shown, PIXELS, tmp_path / "shown.png")
    assert (matplotlib.image.imread(tmp_path / "shown.png")[..., 3] == 0).all()


def test_every_format_is_written(shown: Window, tmp_path: Path) -> None:
    for kind, name in (
        (FIGURE, "a.png"),
        (FIGURE, "a.pdf"),
        (PIXELS, "b.png"),
        (LABELS, "c.tif"),
        (TABLE, "d.csv"),
        (MAP, "e.zarr"),
    ):
        export(shown, kind, tmp_path / name)
        assert (tmp_path / name).exists(), name
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "c.tif"), shown.session.map.labels())
    np.testing.assert_array_equal(
        load_map(tmp_path / "e.zarr").confidence, shown.session.map.confidence
    )


def test_the_file_dialog_leads_to_the_file(shown: Window, tmp_path: Path, qtbot: Any) -> None:
    section = shown.dock.export_section
    section.kind.setCurrentIndex(section.kind.findData(LABELS))
    QTest.mouseClick(section.save, Qt.MouseButton.LeftButton)
    (dialog,) = section.findChildren(QFileDialog)
    assert dialog.isVisible()
    dialog.setDirectory(str(tmp_path))
    dialog.selectFile("chosen.tif")
    dialog.accept()
    shown.settle()
    assert (tmp_path / "chosen.tif").exists()


def test_a_target_that_cannot_be_written_is_told_once(
    shown: Window, tmp_path: Path, told: list[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    export(shown, FIGURE, tmp_path / "file" / "a.png")
    assert len(told) == 1
    assert "cannot be written" in told[0]


def test_a_run_s_place_is_chosen_in_a_dialog(shown: Window, tmp_path: Path) -> None:
    section = shown.dock.run_section
    QTest.mouseClick(section.choose, Qt.MouseButton.LeftButton)
    (dialog,) = section.findChildren(QFileDialog)
    dialog.setDirectory(str(tmp_path))
    dialog.selectFile("mine")
    dialog.accept()
    assert section.target.toolTip().endswith("mine.zarr")
