"""The dock "Simulate": the description's fields, preview, estimate, run, result."""

from __future__ import annotations

import multiprocessing
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QLineEdit

from napari_polmap import load_dataset
from napari_polmap.directions import angle_color
from napari_polmap.simulation.installed import INSTALL
from napari_polmap.simulation.materials import MATERIALS
from napari_polmap.simulation.spec import read_spec
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.simulation_values import PRESETS, preset_values
from napari_polmap.widgets import simulate_preview, simulate_run
from napari_polmap.widgets.simulate_crystal import FILE
from napari_polmap.widgets.simulate_dock import SimulateDock
from napari_polmap.widgets.simulate_preview import PATTERNS
from napari_polmap.widgets.simulate_scope import LABELS, ONE, SPECIMENS, TWO
from tests.simulation.specs import SCENE, small
from tests.widgets.conftest import LONG

EXAMPLES = Path(__file__).parents[2] / "examples"
pytest.importorskip("abtem")


@pytest.fixture
def dock(qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulateDock]:
    """The dock beside a viewer without a window; one process, which needs no start."""
    monkeypatch.setenv("XDG_DOCUMENTS_DIR", str(tmp_path / "documents"))
    viewer = ViewerModel()
    made = SimulateDock(viewer)
    made.viewer_kept = viewer  # the dock itself keeps none alive
    qtbot.addWidget(made)
    made.run_section.processes.setValue(1)
    made.show()
    yield made
    made.close_dock()


def write(line: QLineEdit, text: str) -> None:
    line.setText(text)
    line.editingFinished.emit()


def all_examples() -> list[dict[str, Any]]:
    texts = [path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.glob("*.toml"))]
    return [tomllib.loads(text) for text in texts]


def ready(dock: SimulateDock, qtbot: Any) -> None:
    """Wait for the estimate."""
    section = dock.run_section
    qtbot.waitUntil(lambda: section.outlook is not None, timeout=LONG)
    qtbot.waitUntil(section.run.isEnabled, timeout=LONG)


def settle(dock: SimulateDock, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not dock.run_section.jobs.busy, timeout=LONG)


def test_the_description_and_its_file_are_one(dock: SimulateDock, tmp_path: Path) -> None:
    for values in [*all_examples(), *(preset_values(name) for name in PRESETS)]:
        dock.fill(values, EXAMPLES)
        assert dock.spec_values() == values
        dock.preset_bar.save_file(str(tmp_path / "saved.toml"))
        dock.fill(small())
        dock.preset_bar.open_file(str(tmp_path / "saved.toml"))
        spec = read_spec(tmp_path / "saved.toml")
        assert dock.values.spec() == spec
        if "file" not in values["crystal"]:
            assert dock.spec_values() == values


def test_only_what_is_edited_changes(dock: SimulateDock) -> None:
    values = preset_values("KNN, quick")
    dock.fill(values)
    voltage = dock.microscope_section.form.fields["microscope.energy_kv"]
    assert voltage.line.text() == "200"
    write(voltage.line, "300")
    values["microscope"]["energy_kv"] = 300
    assert dock.spec_values() == values
    voltage.choose("normal")
    write(voltage.low, "290")
    write(voltage.high, "310")
    values["microscope"]["energy_kv"] = {"min": 290, "max": 310, "distribution": "normal"}
    assert dock.spec_values() == values
    voltage.choose("value")
    assert dock.spec_values()["microscope"]["energy_kv"] == 300
    tilt = dock.microscope_section.form.fields["microscope.tilt_mrad"]
    assert (tilt.high.text(), tilt.mode.text()) == ("1", "disk")
    tilt.choose("value")
    write(tilt.line, "0.5, -1")
    assert dock.spec_values()["microscope"]["tilt_mrad"] == [0.5, -1]
    defocus = dock.microscope_section.form.fields["microscope.defocus_nm"]
    defocus.choose("value")
    write(defocus.line, "")
    assert "defocus_nm" not in dock.spec_values()["microscope"]
    assert defocus.line.text() == "0"
    sets = dock.scope_section.specimens.fields["specimens.sets"]
    sets.counts["train"].setValue(5)
    assert dock.spec_values()["specimens"]["sets"] == {"train": "1-5", "test": "1001-1004"}


def test_what_cannot_be_is_said_at_its_field(dock: SimulateDock, qtbot: Any) -> None:
    dock.fill(small())
    ready(dock, qtbot)
    angle = dock.microscope_section.form.fields["microscope.semi_angle_mrad"]
    write(angle.line, "wide")
    assert "'wide' is no number" in angle.line.toolTip()
    assert "border" in angle.line.styleSheet()
    qtbot.waitUntil(dock.run_section.problem.isVisible, timeout=LONG)
    assert "Semi-angle: 'wide' is no number" in dock.run_section.problem.text()
    assert not dock.run_section.run.isEnabled()
    write(angle.line, "500")
    assert "at most 200" in angle.line.toolTip()
    assert dock.spec_values() == small()
    write(angle.line, "20")
    assert angle.line.styleSheet() == ""
    ready(dock, qtbot)
    assert not dock.run_section.problem.isVisible()


def test_crystals_and_directions_are_chosen(dock: SimulateDock) -> None:
    dock.fill(small())
    crystal, directions = dock.crystal_section, dock.directions_section
    assert [box.isChecked() for box in directions.boxes.values()].count(True) == 2
    crystal.choose("BaTiO3")
    assert list(directions.boxes) == ["RM", "MU", "LM", "MD", "OUT"]
    assert "magnitude_angstrom" not in dock.spec_values()["crystal"]
    lattice = crystal.form.fields["crystal.lattice_angstrom"]
    assert lattice.line.placeholderText() == f"{MATERIALS['BaTiO3'].lattice_angstrom:g}"
    directions.boxes["OUT"].setChecked(True)
    assert dock.spec_values()["directions"]["names"] == ["RM", "MU", "LM", "MD", "OUT"]
    directions.boxes["OUT"].setChecked(False)
    assert "names" not in dock.spec_values().get("directions", {})
    crystal.choose(FILE)
    file = crystal.file_form.fields["crystal.file"]
    write(file.line, (EXAMPLES / "lead_zirconate_titanate.cif").as_posix())
    table = crystal.displacements.table
    table.item(0, 1).setText("Zr")
    table.item(0, 3).setText("0.3")
    crystal.displacements.add.click()
    table.item(1, 0).setText("MU")
    table.item(1, 1).setText("Zr")
    table.item(1, 2).setText("-0.3")
    assert dock.spec_values()["crystal"]["displacements"] == {
        "RM": {"Zr": [0, 0.3, 0]},
        "MU": {"Zr": [-0.3, 0, 0]},
    }
    assert list(directions.boxes) == ["RM", "MU"]
    write(
        crystal.more_form.fields["crystal.sigmas_angstrom"].line,
        "Pb = 0.11, Zr = 0.07, Ti = 0.07, O = 0.09",
    )
    assert dock.values.spec().crystal.sigmas_angstrom["Pb"] == 0.11
    crystal.choose("KNN")
    assert dock.spec_values()["crystal"]["material"] == "KNN"
    assert "file" not in dock.spec_values()["crystal"]
    assert dock.values.spec().crystal.material == "KNN"


def test_specimens_and_scenes_are_chosen(dock: SimulateDock, tmp_path: Path) -> None:
    dock.fill(small())
    scope = dock.scope_section
    specimens = dock.spec_values()["specimens"]
    for kind in (ONE, TWO, LABELS, TWO, ONE):
        scope.choose(kind)
        assert scope.kind.currentText() == kind
        if kind is LABELS:
            np.save(tmp_path / "labels.npy", np.zeros((3, 3), np.uint8))
            labels = scope.domains.fields["scene.labels"]
            write(labels.line, (tmp_path / "labels.npy").as_posix())
        assert dock.values.spec().scene is not None
    assert not scope.specimens.isVisible()
    for kind in ("column", "antiphase", "dislocation", "amorphous", "vacuum"):
        scope.defects.new.activated.emit(scope.defects.new.findData(kind))
    assert len(dock.values.spec().scene.defects) == 5
    column = scope.defects.editors[0]
    write(column.fields["share"].line, "0.5")
    write(column.fields["cell"].line, "1, 2, 3")
    assert "must be" in column.fields["cell"].line.toolTip()
    write(column.fields["cell"].line, "1, 0")
    assert dock.spec_values()["scene"]["defects"][0] == {
        "kind": "column",
        "cell": [1, 0],
        "site": "B",
        "share": 0.5,
    }
    scope.defects.take_away(0)
    assert dock.spec_values()["scene"]["defects"][0]["kind"] == "antiphase"
    scope.choose(SPECIMENS)
    assert dock.spec_values()["specimens"] == specimens
    dock.detector_section.on.setChecked(True)
    assert dock.detector_section.form.isVisible()
    assert dock.values.spec().detector.pixels == (128, 128)
    dock.detector_section.on.setChecked(False)
    assert dock.spec_values() == small()


def test_patterns_come_one_by_one_and_can_be_cancelled(dock: SimulateDock, qtbot: Any) -> None:
    dock.fill(small(directions={"names": ["RM", "MU"]}))
    preview = dock.preview_section
    qtbot.waitUntil(lambda: preview.view.structure is not None, timeout=LONG)
    assert preview.direction.currentText() == "RM"
    preview.start()
    qtbot.waitUntil(lambda: not preview.jobs.running(PATTERNS), timeout=LONG)
    shown = preview.patterns.shown
    assert [(one.direction, round(one.thickness_nm, 1)) for one in shown] == [
        ("RM", 0.8),
        ("RM", 1.6),
        ("MU", 0.8),
        ("MU", 1.6),
    ]
    preview.start()
    preview.cancel.click()
    qtbot.waitUntil(lambda: not preview.jobs.running(PATTERNS), timeout=LONG)
    assert len(preview.patterns.shown) < 4


def test_a_scene_opens_with_its_truth(dock: SimulateDock, qtbot: Any, tmp_path: Path) -> None:
    parts = {**SCENE, "scan": {"shape": [4, 6], "step_nm": 0.2, "crystal_angle_deg": 90}}
    parts["numerics"] = {**SCENE["numerics"], "half_width": 1.0}
    dock.fill({**small(**parts), "name": "A scene: tilted"})
    ready(dock, qtbot)
    section = dock.run_section
    folder = tmp_path / "documents" / "napari-polmap" / "simulations" / "A-scene-tilted"
    assert section.outlook.folder == folder
    assert "24 positions" in section.cost.text()
    section.run.click()
    settle(dock, qtbot)
    qtbot.waitUntil(lambda: len(dock.viewer_kept.layers) == 4, timeout=LONG)
    scan = Session.of(dock.viewer_kept).scan
    assert scan.scan_shape == (4, 6)
    assert scan.calibration.crystal_angle_deg == 90
    truth = next(x for x in dock.viewer_kept.layers if x.name.endswith("true directions"))
    assert truth.data.shape == (4, 6)
    np.testing.assert_allclose(truth.scale, (0.2, 0.2))
    # The first direction, RM, points up in the image.
    np.testing.assert_allclose(truth.colormap.map(0)[:3], angle_color(90.0), atol=1e-5)
    assert list(truth.features["angle in degrees"][:2]) == [90.0, 180.0]
    assert read_spec(folder / "simulation.toml").sha256 == dock.values.spec().sha256
    # The same description finds what is there; another gets a folder of its own.
    qtbot.waitUntil(lambda: section.outlook is not None and not section.outlook.left, timeout=LONG)
    assert section.run.text() == "Open what is there"
    dock.values.set("scene.thickness_nm", 0.4)
    ready(dock, qtbot)
    assert section.outlook.folder == folder.with_name("A-scene-tilted-2")
    section.set_folder(folder)
    qtbot.waitUntil(section.problem.isVisible, timeout=LONG)
    assert "holds another simulation" in section.problem.text()
    assert not section.run.isEnabled()


def test_a_cancelled_simulation_goes_on(dock: SimulateDock, qtbot: Any, tmp_path: Path) -> None:
    dock.fill(small())
    section = dock.run_section
    section.set_folder(tmp_path / "out")
    ready(dock, qtbot)
    section.run.click()
    qtbot.waitUntil(
        lambda: section._last is not None and section._last.pieces_done > 0, timeout=LONG
    )
    section.cancel.click()
    settle(dock, qtbot)
    if section.made is None:  # else it was faster than the click
        assert '"Go on" continues from there' in section.state.text()
        ready(dock, qtbot)
        # The last piece may have been done before the cancel was heard.
        assert section.run.text() == ("Go on" if section.outlook.left else "Open what is there")
        assert section.outlook.left < 4
        section.run.click()
        settle(dock, qtbot)
    assert "4 scans" not in section.state.text()
    assert "8 scans" in section.state.text()
    assert section.train.isVisible()
    with qtbot.waitSignal(dock.dataset_ready) as told:
        section.train.click()
    assert told.args == [tmp_path / "out" / "train.toml"]
    assert len(load_dataset(told.args[0]).scans) == 8


def test_without_abtem_it_says_how_to_install_it(
    dock: SimulateDock, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (simulate_run, simulate_preview):
        monkeypatch.setattr(module, "can_simulate", lambda: False)
    dock.fill(small())
    dock.preview_section.refresh()
    assert dock.run_section.problem.text() == INSTALL
    assert not dock.run_section.run.isEnabled()
    assert not dock.preview_section.run.isEnabled()


@pytest.mark.slow
def test_processes_end_with_the_dock(dock: SimulateDock, qtbot: Any, tmp_path: Path) -> None:
    dock.fill(small(specimens={"sets": {"train": "1-40"}}))
    section = dock.run_section
    section.processes.setValue(2)
    section.set_folder(tmp_path / "out")
    ready(dock, qtbot)
    others = set(multiprocessing.active_children())
    section.run.click()
    qtbot.waitUntil(lambda: bool(set(multiprocessing.active_children()) - others), timeout=LONG)
    qtbot.waitUntil(
        lambda: section._last is not None and section._last.pieces_done > 0, timeout=LONG
    )
    dock.close_dock()
    qtbot.waitUntil(lambda: not set(multiprocessing.active_children()) - others, timeout=LONG)
    done = list((tmp_path / "out").rglob("*.json"))
    assert 1 < len(done) < 81
