"""Making a classifier for the open scan, in a real window and with real abTEM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_polmap import list_classifiers
from napari_polmap.viewer.making import Wish, iter_outlook
from napari_polmap.viewer.tags import Role, role_of
from tests.mapping.made import few_patterns, make_scan, tiny_values
from tests.widgets.conftest import Window

pytest.importorskip("abtem")
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(autouse=True)
def _simulations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is simulated apart from the user's."""
    folder = "napari_polmap.viewer.simulation_results.simulations_folder"
    monkeypatch.setattr(folder, lambda: tmp_path / "simulations")


@pytest.fixture
def ready(window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The section, reached by its button, for a scan that is made for in seconds."""
    few_patterns(monkeypatch)
    monkeypatch.setattr(Wish, "values", lambda _, scan: tiny_values(scan))
    window.session.open(make_scan(tmp_path / "disk.npy"))
    window.settle()
    QTest.mouseClick(window.dock.classifier_section.make, LEFT)
    dock = window.viewer.window.dock_widgets["Simulate (napari-polmap)"]
    section = getattr(dock, "__wrapped__", dock).make_section
    section.processes = 1
    window.wait(section.make.isEnabled)
    return section


def test_from_the_button_to_the_map(ready: Any, window: Window) -> None:
    assert ready.header.isChecked()
    assert ready.isVisible()
    assert "voltage: 200 kV" in ready.taken.text()
    window.wait(lambda: "about" in ready.cost.text())
    assert "memory" in ready.cost.text()
    before = {entry.name for entry in list_classifiers()}
    QTest.mouseClick(ready.make, LEFT)
    assert ready.running
    assert ready.cancel.isVisible()
    assert not ready.form.isEnabled()
    window.wait(lambda: ready.made is not None and not ready.cancel.isVisible())
    assert [bar.format() for bar in ready.stages.bars.values()] == ["done"] * 4
    added = {entry.name for entry in list_classifiers()} - before
    assert added == {"knn-200kv-24mrad-0.8nm"}
    assert "On 1 specimen that it had never seen" in ready.state.text()
    assert window.session.classifier.name in added
    assert window.dock.classifier_section.names.currentText() in added
    assert window.session.map.complete
    assert Role.POLARIZATION in {role_of(layer) for layer in window.viewer.layers}
    assert not ready.make.isEnabled()


@pytest.mark.slow
def test_cancel_keeps_and_go_on_finishes(ready: Any, window: Window) -> None:
    QTest.mouseClick(ready.make, LEFT)
    window.wait(lambda: list(ready.outlook.folder.rglob("*.npy")))
    QTest.mouseClick(ready.cancel, LEFT)
    window.wait(lambda: not ready.running)
    assert "Go on" in ready.state.text()
    assert any("stopped" in bar.format() for bar in ready.stages.bars.values())
    kept = {p: p.stat().st_mtime_ns for p in ready.outlook.folder.rglob("*.npy")}
    window.wait(lambda: ready.make.isEnabled() and ready.make.text() == "Go on")
    QTest.mouseClick(ready.make, LEFT)
    window.wait(lambda: ready.made is not None and not ready.cancel.isVisible())
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    assert window.session.map.complete


@pytest.mark.slow
def test_another_scan_is_not_mapped_by_it(ready: Any, window: Window, tmp_path: Path) -> None:
    QTest.mouseClick(ready.make, LEFT)
    window.session.open(make_scan(tmp_path / "other.npy"))
    window.wait(lambda: ready.made is not None)
    assert window.session.map is None


def test_it_says_what_to_do_first(window: Window) -> None:
    dock = window.dock.show_make_classifier()
    section = dock.make_section
    assert "Open a scan first" in section.taken.text()
    assert not section.make.isEnabled()
    assert not section.form.isEnabled()
    window.session.open(make_scan(energy_kv=None))
    window.settle()
    window.wait(lambda: section.problem.text())
    assert "does not tell the acceleration voltage" in section.problem.text()
    assert "Calibration dock" in section.problem.text()
    assert "voltage: not known" in section.taken.text()
    assert not section.make.isEnabled()
    window.session.set_calibration(energy_kv=200.0)
    section.form.thickest.setValue(30)
    window.wait(section.make.isEnabled)
    assert not section.problem.text()
    assert "voltage: 200 kV (entered)" in section.taken.text()
    # The whole description can be seen and changed below.
    QTest.mouseClick(section.show_values, LEFT)
    assert dock.spec_values()["specimens"]["thickness_nm"] == [20, 25, 30]
    section.form.material.setCurrentText("as described below")
    assert section.form.wish().material["material"] == "KNN"
    outlook = next(iter_outlook(window.session.scan, section.form.wish(), None))
    assert outlook.values["microscope"]["energy_kv"] == 200
