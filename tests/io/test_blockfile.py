"""Blockfiles, as RosettaSciIO writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from rsciio.blockfile import file_writer

from napari_polmap.errors import ScanError
from napari_polmap.io import load_scan
from tests.io.dipole import check_dipole, make_dipole

SHAPE = (3, 5, 8, 8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    axes = [
        {"size": n, "name": name, "scale": scale, "offset": 0, "units": units, "navigate": navigate}
        for n, name, scale, units, navigate in zip(
            SHAPE,
            ("y", "x", "dy", "dx"),
            (0.5, 0.5, 0.01, 0.01),
            ("nm", "nm", "cm", "cm"),
            (True, True, False, False),
            strict=True,
        )
    ]
    signal = {
        "data": make_dipole(SHAPE, "u1"),
        "axes": axes,
        "metadata": {},
        "original_metadata": {},
        "attributes": {"_lazy": False},
    }
    file_writer(str(tmp_path / "a.blo"), signal, navigator=None, show_progressbar=False)
    content = bytearray((tmp_path / "a.blo").read_bytes())
    content[46:50] = (200_000).to_bytes(4, "little")  # volts, which that writer leaves out
    (tmp_path / "a.blo").write_bytes(content)
    return tmp_path / "a.blo"


def test_dipole_with_calibration(path: Path) -> None:
    scan = load_scan(path, measure=False)
    check_dipole(scan, SHAPE)
    assert scan.storage == (1, 1)
    assert scan.calibration.step_nm == 0.5
    assert scan.calibration.energy_kv == 200
    assert scan.calibration.mrad_per_pixel is None


@pytest.mark.parametrize("keep", [10, 300, -1])
def test_cut_off_or_other_contents(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ScanError, match=r"not a blockfile|of the 15 patterns"):
        load_scan(path)
