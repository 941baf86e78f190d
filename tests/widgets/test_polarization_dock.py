"""The dock in a real window, with a real classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_polmap import load_map
from napari_polmap.scan import Scan
from napari_polmap.viewer.tags import Role, role_of
from tests.synthetic import CALIBRATION, CELL, DIRECTIONS, two_domains
from tests.widgets.conftest import TILES, Window

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def ready(window: Window, scan: Scan, classifier_file: Path) -> Window:
    """A window with scan and classifier."""
    window.session.open(scan)
    window.dock.controller.load_classifier(classifier_file)
    window.settle()
    return window


@pytest.fixture
def mapped(ready: Window) -> Window:
    """A window with a finished map."""
    QTest.mouseClick(ready.dock.run_section.run, LEFT)
    ready.settle()
    return ready


def far_from_wall(shape: tuple[int, int]) -> np.ndarray:
    columns = np.arange(shape[1])
    walls = np.array([0, shape[1] / 2, shape[1]])  # scans of this shape stand side by side
    inside = np.abs(columns[:, None] - walls).min(axis=1) > 1.5 * CELL
    return np.broadcast_to(inside, shape)


def test_an_empty_dock_asks_for_a_scan(window: Window) -> None:
    dock = window.dock
    assert "No scan yet" in dock.scan_section.facts.text()
    assert not dock.run_section.run.isEnabled()
    assert not dock.export_section.body.isEnabled()
    assert not dock.detector_section.imaging.isEnabled()


def test_the_dock_fits_its_width(mapped: Window) -> None:
    dock = mapped.dock
    dock.classifier_section.card.header.setChecked(True)
    mapped.qtbot.wait(50)
    for section in (
        dock.scan_section,
        dock.detector_section,
        dock.classifier_section,
        dock.run_section,
        dock.legend_section,
        dock.region_section,
        dock.export_section,
    ):
        assert section.minimumSizeHint().width() < 330, type(section).__name__


def test_opening_a_file_measures_and_images_it(
    window: Window, scan_file: Path, classifier_file: Path
) -> None:
    known = {name: getattr(CALIBRATION, name) for name in ("step_nm", "energy_kv")}
    window.dock.controller.open_scan(scan_file, **known)
    window.settle()
    scan = window.session.scan
    sources = scan.calibration.sources
    assert sources["step_nm"] == "user"
    assert sources["center_px"] == "measured"
    np.testing.assert_allclose(scan.calibration.center_px, CALIBRATION.center_px, atol=0.15)
    assert scan.calibration.radius_px == pytest.approx(CALIBRATION.radius_px, rel=0.03)
    (layer,) = window.viewer.layers
    assert role_of(layer) is Role.VIRTUAL
    assert layer.name == "domains: bright field"
    assert "48 × 56 positions, 32 × 32 px" in window.dock.scan_section.facts.text()
    form = window.dock.show_calibration().form
    assert form.sources["center_px"].text() == "measured"
    assert form.center_ky.value() == pytest.approx(scan.calibration.center_px[0], abs=0.01)


def test_virtual_image_follows_the_center(ready: Window) -> None:
    dock, session = ready.dock, ready.session
    first = session.images[Role.VIRTUAL].copy()
    assert dock.detector_section.shown.toolTip() == "Bright field"
    dock.show_calibration().form.center_ky.setValue(18.0)
    ready.settle()
    assert session.calibration.center_px == (18.0, 15.2)
    assert not np.allclose(first, session.images[Role.VIRTUAL])


def test_the_dock_leads_to_virtual_imaging(ready: Window) -> None:
    QTest.mouseClick(ready.dock.detector_section.imaging, LEFT)
    names = {name for name in ready.viewer.window.dock_widgets if "Virtual imaging" in name}
    assert names


def test_run_fills_the_layers_and_the_legend(ready: Window, large_scan: Scan) -> None:
    dock, session = ready.dock, ready.session
    session.open(large_scan)
    ready.settle()
    shown: list[int] = []
    session.map_changed.connect(lambda _: shown.append(int(session.map.computed.sum())))
    assert dock.run_section.window.value() == session.classifier.window_cells
    QTest.mouseClick(dock.run_section.run, LEFT)
    assert dock.run_section.cancel.isEnabled()
    assert not dock.run_section.run.isEnabled()
    ready.settle()
    assert session.map.complete
    # It was seen to grow.
    assert any(0 < number < session.map.direction.size for number in shown)
    truth = np.tile(two_domains(), (TILES, TILES))
    right = session.map.direction == truth
    inside = np.tile(far_from_wall(two_domains().shape), (TILES, TILES))
    assert right[inside].mean() > 0.97
    layer = dock.controller.manager.get(Role.POLARIZATION)
    np.testing.assert_array_equal(layer.data, session.map.labels())
    counts = dict(
        zip(
            (label.text() for label in dock.legend_section.names),
            (label.text() for label in dock.legend_section.counts),
            strict=True,
        )
    )
    for name, number in session.map.counts().items():
        label = session.map.shown_directions.label(DIRECTIONS.index(name))
        assert counts[label].startswith(f"{number:,} ")
    # It is kept where it grew.
    kept = load_map(session.map_path)
    np.testing.assert_array_equal(kept.direction, session.map.direction)
    assert kept.complete


def test_cancel_keeps_what_is_done_and_it_can_go_on(ready: Window, large_scan: Scan) -> None:
    dock, session = ready.dock, ready.session
    run = dock.run_section
    session.open(large_scan)
    ready.settle()

    def cancel(changed: object) -> None:
        if changed is not None:
            dock.runs.cancel()

    session.map_changed.connect(cancel)
    QTest.mouseClick(run.run, LEFT)
    ready.settle()
    session.map_changed.disconnect(cancel)
    done = int(session.map.computed.sum())
    assert 0 < done < session.map.direction.size
    assert not session.map.complete
    assert "incomplete" in run.state.text()
    kept = load_map(session.map_path)
    assert not kept.complete
    assert int(kept.computed.sum()) >= done
    first = session.map_path
    QTest.mouseClick(run.go_on, LEFT)
    ready.settle()
    assert session.map.complete
    assert session.map_path == first
    assert not run.go_on.isVisible()


def test_threshold_works_at_once(mapped: Window) -> None:
    dock, session = mapped.dock, mapped.session
    layer = dock.controller.manager.get(Role.POLARIZATION)
    before = session.map.direction.copy()
    dock.legend_section.threshold.setValue(1.0)
    assert not dock.controller.running("map")
    assert session.map.threshold == 1.0
    np.testing.assert_array_equal(layer.data, session.map.labels())
    undecided = (layer.data == 255).sum()
    assert undecided > 0
    dock.legend_section.threshold.setValue(0.0)
    assert (layer.data != 255).sum() == session.map.computed.sum()
    np.testing.assert_array_equal(session.map.direction, before)


def test_reclassify_changes_the_region_only_and_undo_is_bit_for_bit(mapped: Window) -> None:
    dock, session = mapped.dock, mapped.session
    before = {name: array.copy() for name, array in session.map.arrays().items()}
    regions = dock.controller.regions.start_drawing()
    regions.add([[10, 10], [10, 30], [30, 30], [30, 10]], shape_type="rectangle")
    mask = session.region
    assert mask.sum() > 300
    dock.run_section.window.setValue(0.25)
    QTest.mouseClick(dock.region_section.reclassify, LEFT)
    mapped.settle()
    changed = session.map.confidence != before["confidence"]
    assert changed[mask].any()
    assert not changed[~mask].any()
    assert dock.region_section.history.count() == 1
    assert "Reclassified" in dock.region_section.history.item(0).text()
    QTest.mouseClick(dock.region_section.undo, LEFT)
    for name, array in session.map.arrays().items():
        np.testing.assert_array_equal(array, before[name])
    item = dock.region_section.history.item(0)
    assert not item.flags() & Qt.ItemFlag.ItemIsEnabled
    QTest.mouseClick(dock.region_section.redo, LEFT)
    assert (session.map.confidence != before["confidence"])[mask].any()
    mapped.settle()
    kept = load_map(session.map_path)
    assert len(kept.history) == 1
    np.testing.assert_array_equal(kept.direction, session.map.direction)


def test_undo_has_keys(mapped: Window) -> None:
    dock, session = mapped.dock, mapped.session
    layer = dock.controller.regions.start_drawing()
    layer.add([[5, 5], [5, 20], [20, 20], [20, 5]], shape_type="ellipse")
    QTest.mouseClick(dock.region_section.reclassify, LEFT)
    mapped.settle()
    mapped.activate()
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
    QTest.keyClick(dock.window(), Qt.Key.Key_Z, modifiers)
    assert session.map.undone == 1
    QTest.keyClick(dock.window(), Qt.Key.Key_Z, modifiers | Qt.KeyboardModifier.ShiftModifier)
    assert session.map.undone == 0


def test_only_the_drawn_region_is_run(ready: Window) -> None:
    dock, session = ready.dock, ready.session
    layer = dock.controller.regions.start_drawing()
    layer.add([[8, 8], [8, 20], [24, 20], [24, 8]], shape_type="rectangle")
    dock.run_section.where.setCurrentIndex(1)
    QTest.mouseClick(dock.run_section.run, LEFT)
    ready.settle()
    rows, columns = np.nonzero(session.map.computed)
    drawn_rows, drawn_columns = np.nonzero(session.region)
    assert (rows.min(), rows.max()) == (drawn_rows.min(), drawn_rows.max())
    assert (columns.min(), columns.max()) == (drawn_columns.min(), drawn_columns.max())


def test_a_classifier_that_does_not_apply_says_so_at_once(ready: Window) -> None:
    dock, session = ready.dock, ready.session
    dock.show_calibration().form.fields["energy_kv"].setValue(300.0)
    notice = dock.classifier_section.mismatch
    assert notice.isVisible()
    assert "does not apply" in notice.text()
    assert "300 kV" in notice.text()
    assert not dock.run_section.run.isEnabled()
    assert dock.run_section.force.isVisible()
    QTest.mouseClick(dock.run_section.run, LEFT)
    assert session.map is None
    dock.run_section.force.setChecked(True)
    QTest.mouseClick(dock.run_section.run, LEFT)
    ready.settle()
    assert session.map is not None
    assert not session.map.confidence_calibrated
    assert "not calibrated" in dock.run_section.warnings.text()
    dock.show_calibration().form.reset.emit("energy_kv")


def test_changed_calibration_marks_the_map_as_stale(mapped: Window) -> None:
    dock = mapped.dock
    dock.show_calibration().form.fields["crystal_angle_deg"].setValue(10.0)
    mapped.settle()
    assert "changed since this map was made" in dock.run_section.warnings.text()


def test_removing_layers_in_the_middle_of_a_run_breaks_nothing(ready: Window) -> None:
    dock, session = ready.dock, ready.session
    removed: list[object] = []

    def remove(_: object) -> None:
        layer = dock.controller.manager.get(Role.POLARIZATION)
        if layer is not None and not removed:
            removed.append(layer)
            ready.viewer.layers.remove(layer)
            shapes = ready.viewer.add_shapes(None, ndim=2)
            shapes.mode = "add_polygon"

    session.map_changed.connect(remove)
    QTest.mouseClick(dock.run_section.run, LEFT)
    ready.settle()
    session.map_changed.disconnect(remove)
    assert removed
    assert session.map.complete
    assert dock.controller.manager.get(Role.POLARIZATION) is None
    assert not dock.legend_section.layers[Role.POLARIZATION].isChecked()
    QTest.mouseClick(dock.legend_section.layers[Role.POLARIZATION], LEFT)
    layer = dock.controller.manager.get(Role.POLARIZATION)
    np.testing.assert_array_equal(layer.data, session.map.labels())


def test_closing_the_dock_ends_its_work_and_reopening_goes_on(
    ready: Window, classifier_file: Path
) -> None:
    dock, session = ready.dock, ready.session
    QTest.mouseClick(dock.run_section.run, LEFT)
    ready.wait(lambda: session.map is not None)
    ready.viewer.window.remove_dock_widget(dock)
    assert not dock.controller.busy
    again = ready.dock
    assert again is not dock
    assert again.session is session
    again.controller.load_classifier(classifier_file)
    ready.settle()
    QTest.mouseClick(again.run_section.run, LEFT)
    ready.settle()
    assert session.map.complete
    assert [role_of(layer) for layer in ready.viewer.layers].count(Role.POLARIZATION) == 1


def test_directions_of_the_map_are_in_the_status_bar(mapped: Window) -> None:
    viewer, session = mapped.viewer, mapped.session
    layer = mapped.dock.controller.manager.get(Role.POLARIZATION)
    y, x = 12, 6
    status = layer.get_status((y * CALIBRATION.step_nm, x * CALIBRATION.step_nm), world=True)
    name = session.map.shown_directions.label(int(session.map.direction[y, x]))
    assert name in status["value"]
    assert f"confidence {session.map.confidence[y, x]:.2f}" in status["value"]
    assert DIRECTIONS.names[int(session.map.direction[y, x])] == "RU"
    assert viewer.layers.selection.active == layer
