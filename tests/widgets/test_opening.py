"""Scans and maps come into a real window: reader, sample, question, errors."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_polmap import save_map
from napari_polmap.errors import PolmapError
from napari_polmap.scan import Scan
from napari_polmap.viewer.reader import get_reader
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.tags import MAP_ROLES, Role, role_of
from tests.synthetic import CALIBRATION, make_patterns, two_domains
from tests.viewer.scenes import filled_map
from tests.widgets.conftest import Window

PLUGIN = "napari-polmap"
LEFT = Qt.MouseButton.LeftButton


def open_docks(viewer: Any) -> list[str]:
    return list(viewer.window.dock_widgets)


def roles(viewer: Any) -> list[Role | None]:
    return [role_of(layer) for layer in viewer.layers]


@pytest.fixture
def bare(make_napari_viewer: Any, qtbot: Any) -> Window:
    """A window in which nothing of the plugin is open yet."""
    return Window(make_napari_viewer(show=True), qtbot)


def test_a_dropped_scan_brings_image_dock_and_calibration(bare: Window, scan_file: Path) -> None:
    (layer,) = bare.viewer.open(str(scan_file), plugin=PLUGIN)
    assert role_of(layer) is Role.VIRTUAL
    assert layer.source.reader_plugin == PLUGIN
    assert bare.session.scan.shape == (48, 56, 32, 32)
    assert any("Polarization map" in name for name in open_docks(bare.viewer))
    bare.settle()
    assert bare.session.calibration.sources["center_px"] == "measured"
    assert layer.name == "domains: bright field"
    assert roles(bare.viewer) == [Role.VIRTUAL]


def test_opening_gigabytes_takes_a_moment(bare: Window, tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    # A file with holes: its size is real, its place on the disk is not.
    large = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint16, shape=(256, 256, 128, 128))
    large[::64, ::64] = 1
    del large
    bare.viewer.open(str(path), plugin=PLUGIN)
    bare.dock.controller.close()
    bare.viewer.layers.clear()
    start = time.perf_counter()
    bare.viewer.open(str(path), plugin=PLUGIN)
    # Half a second on a quiet machine (benchmarks/responsiveness.py measures it).
    assert time.perf_counter() - start < 3


def test_the_sample_is_in_the_menu(bare: Window) -> None:
    menu = bare.viewer.window.file_menu
    bare.viewer.window._update_file_menu_state()
    samples = next(action.menu() for action in menu.actions() if action.text() == "Open Sample")
    (action,) = (a for a in samples.actions() if "KNN domains (simulated)" in a.text())
    action.trigger()
    bare.settle()
    assert bare.session.scan.scan_shape == (64, 64)
    assert roles(bare.viewer) == [Role.VIRTUAL]


def test_a_stack_asks_for_its_shape(bare: Window, tmp_path: Path) -> None:
    path = tmp_path / "stack.npy"
    patterns = make_patterns(two_domains((24, 16)))
    np.save(path, patterns.reshape(-1, 32, 32))
    dock = bare.dock
    dock.controller.open_scan(path)
    bare.settle()
    question = dock.scan_section.question
    assert bare.session.scan is None
    assert question.isVisible()
    choices = [question.shape.itemText(index) for index in range(question.shape.count())]
    assert "24 × 16" in choices
    question.shape.setEditText("7")
    QTest.mouseClick(question.open, LEFT)
    assert "two numbers" in question.message.text()
    question.shape.setEditText("24 x 16")
    QTest.mouseClick(question.open, LEFT)
    bare.settle()
    assert bare.session.scan.scan_shape == (24, 16)
    assert not question.isVisible()
    np.testing.assert_array_equal(bare.session.scan.pattern(3, 5), patterns[3, 5])


def test_pictures_are_left_to_napari(tmp_path: Path) -> None:
    np.save(tmp_path / "picture.npy", np.zeros((5, 6)))
    np.save(tmp_path / "volume.npy", np.zeros((4, 5, 6)))
    assert get_reader(str(tmp_path / "picture.npy")) is None
    assert get_reader(str(tmp_path / "volume.npy")) is None
    assert get_reader([str(tmp_path / "picture.npy"), str(tmp_path / "volume.npy")]) is None


@pytest.mark.parametrize("damage", ["short", "empty"])
def test_a_damaged_file_is_told_once(
    bare: Window, scan_file: Path, damage: str, told: list[str]
) -> None:
    whole = scan_file.read_bytes()
    if damage == "short":
        scan_file.write_bytes(whole[: len(whole) // 2])
        assert bare.viewer.open(str(scan_file), plugin=PLUGIN) == []
    else:
        scan_file.write_bytes(b"")
        bare.dock.controller.open_scan(scan_file)
        bare.settle()
    assert len(told) == 1
    assert scan_file.name in told[0]
    assert len(bare.viewer.layers) == 0
    assert bare.session.scan is None


def test_without_a_window_errors_are_raised(scan_file: Path) -> None:
    read = get_reader(str(scan_file))
    scan_file.write_bytes(scan_file.read_bytes()[:50_000])
    with pytest.raises(PolmapError):
        read(str(scan_file))


def test_without_a_window_layers_are_given(scan_file: Path, scan: Scan, tmp_path: Path) -> None:
    ((image, _, kind),) = get_reader(str(scan_file))(str(scan_file))
    assert (kind, image.shape) == ("image", (48, 56))
    saved = save_map(filled_map(scan), tmp_path / "map.zarr")
    layers = get_reader(str(saved))(str(saved))
    assert [kind for _, _, kind in layers] == ["labels", "image", "image", "vectors"]
    # A dock that opens later takes them over.
    viewer = ViewerModel()
    for data in layers:
        viewer._add_layer_from_data(*data)
    from napari_polmap.viewer.manager import LayerManager

    LayerManager.of(viewer)
    assert Session.of(viewer).map is not None
    assert len(viewer.layers) == 4


def test_a_saved_map_opens_with_its_scan(bare: Window, scan: Scan, tmp_path: Path) -> None:
    made = filled_map(scan)
    saved = save_map(made, tmp_path / "map.zarr")
    bare.viewer.open(str(saved), plugin=PLUGIN)
    assert set(MAP_ROLES) <= set(roles(bare.viewer))
    bare.settle()
    session = bare.session
    np.testing.assert_array_equal(session.map.direction, made.direction)
    assert session.scan is not None, "the scan still lies where it was"
    assert session.scan.calibration.center_px == CALIBRATION.center_px
    assert Role.VIRTUAL in roles(bare.viewer)
    assert roles(bare.viewer).count(Role.POLARIZATION) == 1


def test_a_saved_map_opens_without_its_scan(
    bare: Window, scan: Scan, scan_file: Path, tmp_path: Path, told: list[str]
) -> None:
    saved = save_map(filled_map(scan), tmp_path / "map.zarr")
    scan_file.unlink()
    bare.viewer.open(str(saved), plugin=PLUGIN)
    bare.settle()
    assert bare.session.scan is None
    assert bare.session.map is not None
    assert "Open that scan" in bare.dock.scan_section.facts.text()
    assert not bare.dock.run_section.run.isEnabled()
    assert told == []
