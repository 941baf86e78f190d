from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.errors import CalibrationError, MapError
from napari_polmap.polarization_map import HistoryStep, PolarizationMap
from napari_polmap.scan import Scan
from napari_polmap.viewer.session import Session, ShapeQuestion
from tests.viewer.scenes import filled_map


def heard(session: Session) -> list[str]:
    said: list[str] = []
    for name in ("scan_opened", "scan_changed", "map_started", "map_changed", "region_changed"):
        getattr(session, name).connect(lambda *_, name=name: said.append(name))
    return said


def test_opening_a_scan_lets_everything_else_go(
    scan: Scan, polarization_map: PolarizationMap, tmp_path
) -> None:
    session = Session()
    session.open(scan)
    session.start_map(polarization_map, tmp_path)
    session.set_region(np.ones(scan.scan_shape, bool))
    session.set_position((1, 2))
    session.ask_shape(ShapeQuestion(tmp_path, "?", ((2, 3),)))
    said = heard(session)
    session.open(scan)
    assert said[:2] == ["scan_opened", "scan_changed"]
    state = (session.map, session.map_path, session.region, session.position, session.question)
    assert state == (None, None, None, None, None)


def test_calibration_edits_and_their_way_back() -> None:
    data = np.ones((2, 3, 4, 4), np.uint8)
    from napari_polmap import Calibration

    calibration = Calibration(step_nm=0.1, radius_px=2.0).updated("file", step_nm=0.1)
    calibration = calibration.updated("measured", radius_px=2.0)
    session = Session()
    session.open(Scan(data, calibration.updated("file", step_nm=0.1)))
    session.loaded = Calibration().updated("file", step_nm=0.1)
    session.set_calibration(step_nm=0.2, radius_px=3.0)
    assert session.calibration.sources == {"step_nm": "user", "radius_px": "user"}
    with pytest.raises(CalibrationError):
        session.set_calibration(step_nm=-1.0)
    assert session.calibration.step_nm == 0.2
    assert session.reset_calibration("step_nm") is False
    assert session.calibration.step_nm == 0.1
    assert session.calibration.sources["step_nm"] == "file"
    assert session.reset_calibration("radius_px") is True, "must be measured again"
    assert session.calibration.radius_px is None
    assert "radius_px" not in session.calibration.sources
    session.set_calibration(rotation_deg=30.0)
    assert session.reset_calibration("rotation_deg") is True
    assert session.calibration.rotation_deg == 0.0


def test_undo_and_redo_are_told(scan: Scan, polarization_map: PolarizationMap) -> None:
    session = Session()
    session.open(scan)
    session.start_map(polarization_map)
    before = polarization_map.direction.copy()
    mask = np.ones((2, 3), bool)
    values = {"direction": np.full(6, 7, np.uint8)}
    step = HistoryStep(
        "change",
        {},
        (4, 6),
        (5, 8),
        mask,
        {"direction": before[4:6, 5:8][mask].copy()},
        values,
        "2026-01-01T00:00:00+00:00",
    )
    said = heard(session)
    session.apply(step)
    assert (polarization_map.direction[4:6, 5:8] == 7).all()
    session.undo()
    np.testing.assert_array_equal(polarization_map.direction, before)
    session.redo()
    assert said == ["map_changed"] * 3
    with pytest.raises(MapError):
        session.redo()


def test_a_saved_map_keeps_the_scan_it_was_made_from(tmp_path) -> None:
    path = tmp_path / "scan.npy"
    data = np.ones((3, 4, 5, 5), np.uint8)
    np.save(path, data)
    scan = Scan(data, path=path, step_nm=0.1)
    session = Session()
    session.open(scan)
    session.show_map(filled_map(scan))
    assert session.scan is scan
    other = Scan(np.ones((3, 4, 6, 6), np.uint8), step_nm=0.1)
    saved = filled_map(other)
    session.show_map(saved)
    assert session.scan is None
    assert session.map is saved
    assert session.scan_shape == (3, 4)
    assert session.calibration.step_nm == 0.1
    session.join_scan(other)
    assert session.map is saved
