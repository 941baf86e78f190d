"""EMPAD scans: the raw file is looked at when the scan is opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_polmap.errors import ScanError, ScanShapeError
from napari_polmap.io import load_scan
from tests.io.dipole import check_dipole, make_dipole

SHAPE = (3, 5, 128, 128)
FIELD = (
    "<iom_measurements><source.get_voltage>200000.0</source.get_voltage>"
    "<optics.get_full_scan_field_of_view>[3e-9, 5e-9]</optics.get_full_scan_field_of_view>"
    "</iom_measurements>"
)


def write(folder: Path, size: str = "<pix_x>5</pix_x><pix_y>3</pix_y>") -> Path:
    """Patterns of 128 rows, each with two more rows that hold no counts."""
    raw = np.full((15, 130, 128), -1, "<f4")
    raw[:, :128] = make_dipole(SHAPE, "f4").reshape(15, 128, 128)
    raw.tofile(folder / "scan_x5_y3.raw")
    path = folder / "a.xml"
    path.write_text(
        f'<root name="a">{size}<raw_file filename="scan_x5_y3.raw"/>'
        f'<scan_parameters mode="acquire"></scan_parameters>{FIELD}</root>'
    )
    return path


@pytest.mark.parametrize("size", ["<pix_x>5</pix_x><pix_y>3</pix_y>", ""])
def test_dipole(tmp_path: Path, size: str) -> None:
    scan = load_scan(write(tmp_path, size), measure=False)
    check_dipole(scan, SHAPE)
    assert scan.calibration.step_nm == pytest.approx(1.0)
    assert scan.calibration.energy_kv == 200


def test_a_single_row(tmp_path: Path) -> None:
    path = write(tmp_path, "<pix_x>15</pix_x><pix_y>1</pix_y>")
    scan = load_scan(path, measure=False)
    assert scan.shape == (1, 15, 128, 128)
    check_dipole(load_scan(path, nav_shape=(3, 5), measure=False), SHAPE)


def test_raw_file_missing_short_or_a_pointer(tmp_path: Path) -> None:
    path, raw = write(tmp_path), tmp_path / "scan_x5_y3.raw"
    content = raw.read_bytes()
    raw.write_bytes(content[:-1000])
    with pytest.raises(ScanShapeError, match=r"14 of 15 frames.*such as \(2, 5\)"):
        load_scan(path)
    check_dipole(load_scan(path, nav_shape=(2, 5), measure=False), (2, 5, 128, 128))
    raw.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    with pytest.raises(ScanError, match="git lfs pull"):
        load_scan(path)
    raw.unlink()
    with pytest.raises(ScanError, match=r"scan_x5_y3\.raw, but that file is not beside it"):
        load_scan(path)


def test_other_xml(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text()[:60])
    with pytest.raises(ScanError, match="cannot be read"):
        load_scan(path)
