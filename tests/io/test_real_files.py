"""Files that instruments and other programs wrote, where they are at hand.

They lie in ``shared/data/real`` beside the repository, or where ``POLMAP_REAL_DATA`` points.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import pytest

from napari_polmap import io
from napari_polmap.errors import ScanError, ScanShapeError

FOLDER = Path(
    os.environ.get("POLMAP_REAL_DATA", Path(__file__).parents[3] / "shared" / "data" / "real")
)
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no real files here")

# Whatever someone kept beside them.
load_scan = functools.partial(io.load_scan, sidecar=False)


@pytest.mark.parametrize(
    ("name", "options", "shape", "dtype"),
    [
        ("hdf5/cryo_24x40.hspy", {}, (24, 40, 128, 128), "u1"),
        ("hdf5/fpd_file_test.hdf5", {}, (2, 2, 256, 256), ">u2"),
        ("mib/001_4x2_6bit.mib", {}, (2, 4, 256, 256), "u1"),
        ("mib/002_4x2_6bit_roi128.mib", {}, (2, 4, 128, 256), "u1"),
        ("blo/test1.blo", {}, (3, 2, 144, 144), "u1"),
        ("app5/topspin_test_C.app5", {}, (3, 5, 16, 16), "f4"),
        ("emd/py4DSTEM_size2x3x4x5.h5", {}, (2, 3, 4, 5), "f4"),
        ("emd/Si100_4D.emd", {"index": 1}, (11, 11, 8, 8), "f4"),
        ("empad/map4x4.xml", {}, (4, 4, 128, 128), "f4"),
        ("mrc/20241021_00405_movie.mrc", {}, (4, 8, 4, 8), "u2"),
        ("tvips/test_tvips_2345_split_000.tvips", {"nav_shape": (2, 3)}, (2, 3, 4, 5), "u2"),
    ],
)
def test_shape_and_dtype(name: str, options: dict, shape: tuple[int, ...], dtype: str) -> None:
    scan = load_scan(FOLDER / name, measure=False, sidecar=False, **options)
    assert scan.shape == shape
    assert scan.dtype == np.dtype(dtype)
    assert np.isfinite(scan.read(slice(0, 2), slice(0, 2))).all()


def test_experiment_of_known_calibration() -> None:
    scan = load_scan(
        FOLDER / "hdf5/cryo_24x40.hspy", energy_kv=300, semi_angle_mrad=1.03, sidecar=False
    )
    found = scan.calibration
    assert found.step_nm == pytest.approx(3.125)
    assert found.sources["step_nm"] == "file"
    assert found.mrad_per_pixel == pytest.approx(0.0331, rel=0.01)
    assert found.center_px == pytest.approx((62.2, 63.8), abs=0.3)
    assert found.radius_px == pytest.approx(29.4, abs=0.5)
    assert found.sources["radius_px"] == "measured"
    # By the scale in the file that is 0.98 mrad, by the README 1.03.
    assert found.radius_px * found.mrad_per_pixel == pytest.approx(1.0, abs=0.04)


def test_calibration_of_other_formats() -> None:
    assert load_scan(FOLDER / "blo/test1.blo", measure=False).calibration.step_nm == 12.8
    empad = load_scan(FOLDER / "empad/map4x4.xml", measure=False).calibration
    assert empad.step_nm == pytest.approx(1141.6, rel=1e-4)
    emd = load_scan(FOLDER / "emd/py4DSTEM_size2x3x4x5.h5", measure=False, energy_kv=200)
    assert emd.calibration.mrad_per_pixel == pytest.approx(1.11, rel=0.01)


def test_frames_without_a_shape() -> None:
    with pytest.raises(ScanShapeError, match="6 frames"):
        load_scan(FOLDER / "tvips/test_tvips_2345_split_000.tvips", sidecar=False)
    with pytest.raises(ScanShapeError, match="8 frames"):
        load_scan(FOLDER / "mib/001_4x2_6bit.mib", nav_shape=(3, 3))


def test_more_axes_than_four() -> None:
    with pytest.raises(ScanError, match="index"):
        load_scan(FOLDER / "emd/Si100_4D.emd", sidecar=False)


def test_missing_part_of_a_format_of_two_files(tmp_path: Path) -> None:
    (tmp_path / "map4x4.xml").write_bytes((FOLDER / "empad/map4x4.xml").read_bytes())
    with pytest.raises(ScanError, match=r"scan_x4_y4\.raw, but that file is not beside it"):
        load_scan(tmp_path / "map4x4.xml")
    raw = (FOLDER / "empad/scan_x4_y4.raw").read_bytes()
    (tmp_path / "scan_x4_y4.raw").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(ScanShapeError, match=r"8 of 16 frames.*nav_shape such as \(2, 4\)"):
        load_scan(tmp_path / "map4x4.xml")
    scan = load_scan(tmp_path / "map4x4.xml", nav_shape=(2, 4), measure=False)
    assert scan.shape == (2, 4, 128, 128)
    assert "only the first 2 x 4" in scan.warnings[0]


@pytest.mark.parametrize("share", [0.01, 0.3, 0.95])
def test_truncated_blockfile(tmp_path: Path, share: float) -> None:
    content = (FOLDER / "blo/test1.blo").read_bytes()
    (tmp_path / "a.blo").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ScanError, match="of the 6 patterns"):
        load_scan(tmp_path / "a.blo")


def test_choosing_a_dataset() -> None:
    path = FOLDER / "hdf5/fpd_file_test.hdf5"
    assert load_scan(path, dataset="fpd_data", measure=False).shape == (2, 2, 256, 256)
    with pytest.raises(ScanError, match="no dataset 'nothing'"):
        load_scan(path, dataset="nothing")
    with pytest.raises(ScanError):
        load_scan(path, dataset="fpd_sum_im")
