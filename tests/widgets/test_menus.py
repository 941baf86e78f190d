"""The menus of napari that this plugin adds to."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtWidgets import QFileDialog, QMenu

from napari_polmap.scan import Scan
from napari_polmap.widgets.import_dialog import ImportDialog
from tests.viewer.scenes import filled_map
from tests.widgets.conftest import Window


@pytest.fixture
def bare(make_napari_viewer: Any, qtbot: Any) -> Window:
    return Window(make_napari_viewer(show=True), qtbot)


def entries(menu: QMenu) -> dict[str, Any]:
    """All actions below a menu, by text."""
    found: dict[str, Any] = {}
    for action in menu.actions():
        if action.menu() is not None:
            found.update(entries(action.menu()))
        elif action.text():
            found[action.text().replace("&&", "&")] = action
    return found


def trigger(menu: QMenu, text: str) -> None:
    (action,) = (action for label, action in entries(menu).items() if text in label)
    action.trigger()


def test_both_docks_are_among_the_layers_menus(bare: Window) -> None:
    trigger(bare.viewer.window.layers_menu, "Polarization map")
    trigger(bare.viewer.window.layers_menu, "Diffraction")
    trigger(bare.viewer.window.layers_menu, "Calibration")
    names = list(bare.viewer.window.dock_widgets)
    assert any(name.startswith("Polarization map") for name in names)
    assert any(name.startswith("Diffraction") for name in names)


def test_open_and_export_are_among_the_file_utilities(
    bare: Window, scan: Scan, told: list[str]
) -> None:
    trigger(bare.viewer.window.file_menu, "Open 4D-STEM scan with options")
    (dialog,) = bare.dock.findChildren(ImportDialog)
    assert dialog.isVisible()
    dialog.reject()
    trigger(bare.viewer.window.file_menu, "Export polarization map")
    assert bare.dock.findChildren(QFileDialog) == [], "there is no map yet"
    bare.session.open(scan)
    bare.settle()
    bare.session.start_map(filled_map(scan))
    trigger(bare.viewer.window.file_menu, "Export polarization map")
    (dialog,) = bare.dock.findChildren(QFileDialog)
    assert dialog.isVisible()
    dialog.reject()
    assert told == []


def test_docks_stand_side_by_side(bare: Window) -> None:
    dock = bare.dock
    patterns = dock.show_patterns()
    bare.qtbot.wait(100)
    left, right = patterns.parentWidget().geometry(), dock.parentWidget().geometry()
    assert left.right() < right.left()
    assert abs(left.top() - right.top()) < 5
    assert right.width() >= 350
