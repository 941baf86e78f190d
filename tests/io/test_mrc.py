"""MRC files: byte order, Direct Electron's info file, damage."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from napari_polmap.errors import ScanError, ScanShapeError
from napari_polmap.io import load_scan
from tests.io.dipole import check_dipole, make_dipole

MODES = {"u1": 0, "i2": 1, "f4": 2, "u2": 6, "f2": 12}
INFO = """Scan - Enable                      = {enable}
Scan - Type                        = {kind}
Scan - Size X                      = 5
Scan - Size Y                      = 3
Scan - ROI Enable                  = {roi}
Scan - ROI Size X                  = 3
Scan - ROI Size Y                  = 5
Specimen Pixel Size X (nanometers) = 0.25
Specimen Pixel Size Y (nanometers) = 0.25
Diffraction Pixel Size X           = {pixel}
Diffraction Pixel Size Y           = {pixel}
Instrument Accelerating Voltage (V) = 300000
"""


def write(
    folder: Path,
    dtype: str = "u2",
    order: str = "<",
    extended: int = 0,
    recorded: int = 15,
    name: str = "20240506_00001_movie.mrc",
) -> Path:
    """Frames behind a header as MRC2014 describes it."""
    frames = make_dipole(dtype=dtype).reshape(15, 8, 7)
    header = bytearray(1024)
    header[:16] = struct.pack(f"{order}4i", 7, 8, recorded, MODES[dtype])
    header[40:52] = struct.pack(f"{order}3f", 70.0, 80.0, 150.0)
    header[92:96] = struct.pack(f"{order}i", extended)
    header[208:216] = b"MAP " + (b"DD\0\0" if order == "<" else b"\x11\x11\0\0")
    path = folder / name
    path.write_bytes(bytes(header) + bytes(extended) + frames.astype(order + dtype).tobytes())
    return path


def write_info(folder: Path, **values: str) -> None:
    text = INFO.format(
        **{"enable": "Enable", "kind": "Raster", "roi": "Disable", "pixel": "-1", **values}
    )
    (folder / "20240506_00001_info.txt").write_text(text)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", MODES)
def test_dipole(tmp_path: Path, dtype: str, order: str) -> None:
    path = write(tmp_path, dtype, order, extended=160, name="scan.mrc")
    scan = load_scan(path, nav_shape=(3, 5), measure=False)
    check_dipole(scan)
    assert scan.calibration.sources == {}
    with pytest.raises(ScanShapeError, match="15 frames"):
        load_scan(path)
    with pytest.raises(ScanShapeError, match="15 frames"):
        load_scan(path, nav_shape=(4, 3))


def test_shape_and_calibration_of_the_info_file(tmp_path: Path) -> None:
    path = write(tmp_path)
    write_info(tmp_path, pixel="0.1")
    scan = load_scan(path, measure=False)
    check_dipole(scan)
    assert scan.calibration.step_nm == 0.25
    assert scan.calibration.energy_kv == 300
    assert scan.calibration.mrad_per_pixel == pytest.approx(0.1969, rel=1e-3)
    write_info(tmp_path)
    assert load_scan(path, measure=False).calibration.mrad_per_pixel is None
    write_info(tmp_path, roi="Enable")
    assert load_scan(path, measure=False).scan_shape == (5, 3)
    assert load_scan(path, nav_shape=(3, 5), measure=False).scan_shape == (3, 5)
    write_info(tmp_path, enable="Disable")
    with pytest.raises(ScanShapeError, match="15 frames"):
        load_scan(path)
    write_info(tmp_path, kind="Spiral")
    with pytest.raises(ScanError, match="scan of type 'Spiral'"):
        load_scan(path)


@pytest.mark.parametrize("cut", [8 * 7 * 2 * 3, 50])
def test_cut_off(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path)
    write_info(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    found = 12 if cut > 100 else 14
    with pytest.raises(ScanShapeError, match=rf"{found} of 15 frames.*such as \(2, 5\)"):
        load_scan(path)
    scan = load_scan(path, nav_shape=(2, 5), measure=False)
    check_dipole(scan, (2, 5, 8, 7))
    assert "only the first 2 x 5" in scan.warnings[0]


def test_header_that_does_not_count(tmp_path: Path) -> None:
    path = write(tmp_path, recorded=0)
    check_dipole(load_scan(path, nav_shape=(3, 5), measure=False))


def test_other_contents(tmp_path: Path) -> None:
    path = write(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:12] + struct.pack("<i", 4) + content[16:])
    with pytest.raises(ScanError, match="mode 4"):
        load_scan(path)
    path.write_bytes(content[:100])
    with pytest.raises(ScanError, match="not an MRC file"):
        load_scan(path)
