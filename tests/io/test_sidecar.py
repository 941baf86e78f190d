"""How a scan is read and its calibration are kept beside it and used again."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from napari_polmap.errors import ScanError, ScanShapeError
from napari_polmap.io.scans import load_scan
from napari_polmap.io.sidecar import load_sidecar, save_sidecar, sidecar_path, user_sidecar_path
from napari_polmap.scan import Scan
from tests.synthetic import make_patterns, two_domains


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user"))


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A stack of frames (100, ky, kx), whose scan shape only the user knows."""
    path = tmp_path / "frames.npy"
    patterns = make_patterns(two_domains())
    np.save(path, patterns[:10, :12].reshape(-1, *patterns.shape[2:]))
    return path


@pytest.fixture
def bad() -> np.ndarray:
    mask = np.zeros((32, 32), bool)
    mask[3, 4:9] = mask[:, 31] = True
    return mask


def _keep(path: Path, **options: object) -> Scan:
    scan = load_scan(path, measure=False, **options)
    save_sidecar(scan)
    return scan


def test_opens_without_a_question_the_second_time(frames: Path) -> None:
    with pytest.raises(ScanShapeError):
        load_scan(frames)
    kept = _keep(frames, nav_shape=(10, 12), step_nm=0.03)
    again = load_scan(frames, measure=False)
    assert again.scan_shape == (10, 12)
    assert again.reading == kept.reading == {"nav_shape": (10, 12)}
    assert again.calibration == kept.calibration
    assert again.calibration.sources["step_nm"] == "user"
    assert again.warnings == ()
    assert again.kept_in == sidecar_path(frames)
    assert kept.kept_in is None


def test_values_given_win_over_those_kept(frames: Path, bad: np.ndarray) -> None:
    _keep(frames, nav_shape=(10, 12), step_nm=0.03, radius_px=9.0, bad_pixels=_fit(frames, bad))
    again = load_scan(frames, measure=False, radius_px=8.0, bad_pixels=~_fit(frames, bad) & False)
    assert (again.calibration.step_nm, again.calibration.radius_px) == (0.03, 8.0)
    assert not again.bad_pixels.any()


def test_bad_pixels_and_all_values_come_back(frames: Path, bad: np.ndarray) -> None:
    mask = _fit(frames, bad)
    scan = load_scan(frames, measure=False, nav_shape=(10, 12), bad_pixels=mask)
    scan = scan.calibrated("measured", center_px=(15.2, 16.1), ellipse=(1.02, 30.0))
    scan = scan.calibrated("user", descan_px=(0.1, 0, 0, -0.1), flip=True, rotation_deg=12.5)
    save_sidecar(scan)
    again = load_scan(frames, measure=False)
    assert again.calibration == scan.calibration
    np.testing.assert_array_equal(again.bad_pixels, mask)


def test_what_the_user_struck_out_stays_unknown(tmp_path: Path) -> None:
    import hyperspy.api as hs

    signal = hs.signals.Signal2D(make_patterns(two_domains())[:4, :5])
    signal.axes_manager[0].scale = signal.axes_manager[1].scale = 0.2
    signal.axes_manager[0].units = signal.axes_manager[1].units = "nm"
    path = tmp_path / "scan.hspy"
    signal.save(path)
    scan = load_scan(path, measure=False)
    assert scan.calibration.step_nm == pytest.approx(0.2)
    save_sidecar(scan.calibrated("user", step_nm=None))
    again = load_scan(path, measure=False)
    assert again.calibration.step_nm is None
    assert again.file_calibration.step_nm == pytest.approx(0.2)
    assert load_scan(path, measure=False, sidecar=False).calibration.step_nm == pytest.approx(0.2)


def test_other_data_of_the_same_name(frames: Path) -> None:
    _keep(frames, nav_shape=(10, 12), step_nm=0.03)
    patterns = np.load(frames)
    np.save(frames, patterns[::-1])
    with pytest.raises(ScanShapeError):
        load_scan(frames)
    scan = load_scan(frames, measure=False, nav_shape=(10, 12))
    assert scan.calibration.step_nm is None
    assert any("other data" in warning for warning in scan.warnings)


def test_another_shape_given_by_the_user(frames: Path) -> None:
    _keep(frames, nav_shape=(10, 12), step_nm=0.03)
    scan = load_scan(frames, measure=False, nav_shape=(12, 10))
    assert scan.scan_shape == (12, 10)
    assert scan.calibration.step_nm is None
    assert "10 × 12" in scan.warnings[-1]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": "x"}', '{"format": "napari-polmap scan", "version": 1}']
)
def test_a_broken_file_is_told_and_kept(frames: Path, text: str) -> None:
    sidecar_path(frames).write_text(text)
    scan = load_scan(frames, measure=False, nav_shape=(10, 12))
    assert "cannot be read" in scan.warnings[-1]
    assert sidecar_path(frames).read_text() == text
    save_sidecar(scan.calibrated("user", step_nm=0.1))
    assert Path(f"{sidecar_path(frames)}.broken").read_text() == text
    assert load_scan(frames, measure=False).calibration.step_nm == 0.1


def test_an_impossible_value_is_told(frames: Path) -> None:
    _keep(frames, nav_shape=(10, 12), step_nm=0.03)
    content = json.loads(sidecar_path(frames).read_text())
    content["scans"][0]["calibration"]["step_nm"] = -1
    sidecar_path(frames).write_text(json.dumps(content))
    warnings: list[str] = []
    assert load_sidecar(frames, warnings=warnings) is None
    assert "step_nm" in warnings[0]


def test_a_newer_version_is_not_overwritten(frames: Path) -> None:
    scan = _keep(frames, nav_shape=(10, 12))
    content = json.loads(sidecar_path(frames).read_text())
    sidecar_path(frames).write_text(json.dumps({**content, "version": 99}))
    warnings: list[str] = []
    assert load_sidecar(frames, warnings=warnings) is None
    assert "newer version" in warnings[0]
    with pytest.raises(ScanError, match="newer version"):
        save_sidecar(scan)


@pytest.mark.skipif(os.name == "nt", reason="folders have no such mode on Windows")
def test_in_the_users_folder_where_nothing_can_be_written(frames: Path) -> None:
    # A folder of the sidecar's name stands in the way, for root as well.
    sidecar_path(frames).mkdir()
    scan = load_scan(frames, measure=False, nav_shape=(10, 12), step_nm=0.03)
    frames.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        place = save_sidecar(scan)
    finally:
        frames.parent.chmod(stat.S_IRWXU)
    assert place == user_sidecar_path(frames)
    assert load_scan(frames, measure=False).calibration.step_nm == 0.03
    assert not list(frames.parent.glob("*.partial"))


def test_bundled_data_stay_as_they_came() -> None:
    from importlib.resources import files

    demo = Path(str(files("napari_polmap") / "data" / "demo_knn.hspy"))
    place = save_sidecar(load_scan(demo, measure=False))
    assert place == user_sidecar_path(demo)
    assert not sidecar_path(demo).exists()


def test_several_scans_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "series.npy"
    patterns = make_patterns(two_domains())[:4, :5]
    np.save(path, np.stack([patterns, patterns[::-1]]))
    _keep(path, index=0, step_nm=0.1)
    _keep(path, index=1, step_nm=0.2)
    assert load_scan(path, measure=False, index=0).calibration.step_nm == 0.1
    latest = load_scan(path, measure=False)
    assert (latest.calibration.step_nm, latest.warnings) == (0.2, ())


def test_a_scan_of_arrays_has_no_sidecar() -> None:
    with pytest.raises(ScanError, match="not opened from a file"):
        save_sidecar(Scan(make_patterns(two_domains())[:2, :2]))


def _fit(frames: Path, mask: np.ndarray) -> np.ndarray:
    """The mask, cut or filled up to the detector's shape."""
    shape = np.load(frames, mmap_mode="r").shape[1:]
    full = np.zeros(shape, bool)
    height, width = (min(a, b) for a, b in zip(shape, mask.shape, strict=True))
    full[:height, :width] = mask[:height, :width]
    return full
