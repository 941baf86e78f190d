from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
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


def _with_file(shape: tuple[int, ...] = (2, 3, 16, 16)) -> Scan:
    file = Calibration().updated("file", step_nm=0.1, semi_angle_mrad=20.0)
    measured = file.updated("measured", radius_px=4.0, mrad_per_pixel=5.0)
    return Scan(np.ones(shape, np.uint8), measured, file_calibration=file)


def test_each_change_of_the_calibration_is_one_step_back() -> None:
    session = Session()
    session.open(_with_file())
    kept: list[Calibration] = []
    session.calibration_edited.connect(lambda: kept.append(session.calibration))
    first = session.calibration
    session.take_measured("disk", {"center_px": (7.5, 7.4), "radius_px": 4.2}, {"radius_px": 0.01})
    assert session.calibration.sources["center_px"] == "measured"
    assert session.errors["radius_px"] == (4.2, 0.01)
    mask = np.zeros((16, 16), bool)
    mask[3, 4] = True
    session.set_bad_pixels(mask)
    session.set_calibration(rotation_deg=10.0)
    assert (session.calibrations.to_undo, len(kept)) == ("detector rotation", 3)
    session.undo_calibration()
    session.undo_calibration()
    assert session.scan.bad_pixels is None
    assert session.calibration.radius_px == 4.2
    session.undo_calibration()
    assert session.calibration == first
    assert not session.can_undo_calibration
    session.undo_calibration()
    for _ in range(3):
        session.redo_calibration()
    assert not session.can_redo_calibration
    assert session.calibration.rotation_deg == 10.0
    np.testing.assert_array_equal(session.scan.bad_pixels, mask)


def test_undo_leaves_alone_what_was_measured_meanwhile() -> None:
    session = Session()
    session.open(_with_file())
    session.set_calibration(step_nm=0.2)
    session.recalibrate(session.scan.calibrated("measured", lattice_nm=0.4))
    session.undo_calibration()
    assert (session.calibration.step_nm, session.calibration.lattice_nm) == (0.1, 0.4)


def test_detector_pixel_follows_the_radius() -> None:
    session = Session()
    session.open(_with_file())
    session.set_calibration(radius_px=5.0)
    assert session.calibration.mrad_per_pixel == pytest.approx(4.0)
    assert session.calibration.sources["mrad_per_pixel"] == "measured"
    session.undo_calibration()
    assert session.calibration.mrad_per_pixel == 5.0
    session.set_calibration(mrad_per_pixel=4.5, radius_px=5.0)
    session.set_calibration(radius_px=6.0)
    assert session.calibration.mrad_per_pixel == 4.5, "the user's own value stays"


def test_back_to_everything_the_file_says() -> None:
    session = Session()
    session.open(_with_file())
    session.set_calibration(step_nm=0.2, flip=True, ellipse=(1.1, 20.0))
    session.set_bad_pixels(np.eye(16, dtype=bool))
    session.reset_all()
    assert session.calibration == session.loaded
    assert session.scan.bad_pixels is None
    session.undo_calibration()
    assert session.calibration.ellipse == (1.1, 20.0)
    assert session.scan.bad_pixels.sum() == 16


def test_the_files_own_bad_pixels_come_back() -> None:
    own = np.eye(16, dtype=bool)
    session = Session()
    session.open(Scan(np.ones((2, 3, 16, 16), np.uint8), bad_pixels=own, file_bad_pixels=own))
    session.set_bad_pixels(None)
    assert session.scan.bad_pixels is None
    session.reset_all()
    np.testing.assert_array_equal(session.scan.bad_pixels, own)


def test_a_map_is_stale_after_other_bad_pixels(
    scan: Scan, polarization_map: PolarizationMap
) -> None:
    session = Session()
    session.open(scan)
    session.start_map(polarization_map)
    session.map.calibration = scan.calibration
    assert session.stale_values == []
    session.map.classifier = {**session.map.classifier, "bad_pixels_sha256": None}
    assert session.stale_values == []
    mask = np.zeros(scan.detector_shape, bool)
    mask[1, 1] = True
    session.set_bad_pixels(mask)
    assert session.stale_values == ["bad_pixels"]
    session.map.classifier = {"bad_pixels_sha256": session.scan.bad_pixels_sha256}
    assert session.stale_values == []


def test_another_scan_has_nothing_to_undo() -> None:
    session = Session()
    session.open(_with_file())
    session.set_calibration(step_nm=0.2)
    session.open(_with_file())
    assert not session.can_undo_calibration
