"""DM4 files: scan and detector in either order, byte order, calibration, several images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_polmap.errors import ScanError, ScanShapeError
from napari_polmap.io import load_scan
from tests.io.dipole import SHAPE, check_dipole, make_dipole
from tests.io.dm4 import write_dm4

NEW = {"Meta Data": {"Data Order Swapped": True, "Format": "Diffraction image"}}
OLD = {"Meta Data": {"Data Order Swapped": False, "Format": "Diffraction image"}}
SCAN_FIRST = {"units": ("nm", "nm", "1/nm", "1/nm"), "scales": (0.5, 0.5, 0.1, 0.1)}
DETECTOR_FIRST = {"units": ("1/nm", "1/nm", "nm", "nm"), "scales": (0.1, 0.1, 0.5, 0.5)}


def old_order(data: np.ndarray) -> np.ndarray:
    """As old files store it: scan varies fastest."""
    return np.ascontiguousarray(data.transpose(2, 3, 0, 1))


@pytest.mark.parametrize("byte_order", "<>")
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "f4"])
def test_dipole_of_both_orders(tmp_path: Path, dtype: str, byte_order: str) -> None:
    data = make_dipole(dtype=dtype)
    order = {"byte_order": byte_order}
    new = load_scan(write_dm4(tmp_path / "a.dm4", data, tags=NEW, **order), measure=False)
    old = load_scan(
        write_dm4(tmp_path / "b.dm4", old_order(data), tags=OLD, **order), measure=False
    )
    for scan in (new, old):
        check_dipole(scan)
        assert scan.dtype.newbyteorder("=") == np.dtype(dtype)
        assert scan.read(slice(0, 1), slice(0, 1)).dtype.isnative
        assert scan.warnings == ()
    assert new.storage == (1, 1)
    assert old.storage == (1, SHAPE[1])


@pytest.mark.parametrize("tags", [NEW, {}])
def test_units_of_the_detector_first(tmp_path: Path, tags: dict[str, Any]) -> None:
    path = write_dm4(tmp_path / "a.dm4", make_dipole(), tags=tags, **DETECTOR_FIRST)
    scan = load_scan(path, measure=False, energy_kv=200)
    check_dipole(scan)
    assert scan.calibration.step_nm == pytest.approx(0.5)
    assert scan.calibration.mrad_per_pixel == pytest.approx(0.2508, rel=1e-3)


@pytest.mark.parametrize("tags", [OLD, {}])
def test_units_of_the_scan_first(tmp_path: Path, tags: dict[str, Any]) -> None:
    path = write_dm4(tmp_path / "a.dm4", old_order(make_dipole()), tags=tags, **SCAN_FIRST)
    scan = load_scan(path, measure=False, energy_kv=200)
    check_dipole(scan)
    assert scan.calibration.step_nm == pytest.approx(0.5)
    assert scan.calibration.mrad_per_pixel == pytest.approx(0.2508, rel=1e-3)


def test_size_of_the_scan_in_the_tags(tmp_path: Path) -> None:
    sampling = {"Height (pixels)": 3, "Width (pixels)": 5}
    tags = {"SI": {"Acquisition": {"Spatial Sampling": sampling}}}
    check_dipole(load_scan(write_dm4(tmp_path / "a.dm4", make_dipole(), tags=tags), measure=False))
    path = write_dm4(tmp_path / "b.dm4", old_order(make_dipole()), tags=tags)
    check_dipole(load_scan(path, measure=False))


def test_doubt_is_told_and_axes_put_it_right(tmp_path: Path) -> None:
    path = write_dm4(tmp_path / "a.dm4", old_order(make_dipole()))
    scan = load_scan(path, measure=False)
    check_dipole(scan)
    assert "Whether scan or detector comes first" in scan.warnings[0]
    path = write_dm4(tmp_path / "b.dm4", make_dipole())
    check_dipole(load_scan(path, axes="ky,kx,y,x", measure=False))
    path = write_dm4(tmp_path / "c.dm4", make_dipole(), tags=NEW, **SCAN_FIRST)
    scan = load_scan(path, measure=False)
    check_dipole(scan)
    assert "contradict" in scan.warnings[0]


def test_microscope_and_center(tmp_path: Path) -> None:
    tags = {
        **NEW,
        "Microscope Info": {"Voltage": 200000.0, "STEM Camera Length": 100.0},
        "EELS": {"Experimental Conditions": {"Convergence semi-angle (mrad)": 24.0}},
    }
    path = write_dm4(
        tmp_path / "a.dm4",
        make_dipole(),
        tags=tags,
        units=("mrad", "mrad", "nm", "nm"),
        scales=(1.5, 1.5, 0.02, 0.02),
        origins=(3.5, 4.25, 0, 0),
    )
    scan = load_scan(path, measure=False)
    assert scan.calibration.energy_kv == 200
    assert scan.calibration.semi_angle_mrad == 24
    assert scan.calibration.mrad_per_pixel == 1.5
    assert scan.calibration.step_nm == 0.02
    assert scan.metadata["axes_center_px"] == pytest.approx((4.25, 3.5))  # ky, kx


def test_frames(tmp_path: Path) -> None:
    frames = make_dipole().reshape(15, 8, 7)
    path = write_dm4(tmp_path / "a.dm4", frames, tags=NEW)
    with pytest.raises(ScanShapeError, match="15 frames"):
        load_scan(path)
    check_dipole(load_scan(path, nav_shape=(3, 5), measure=False))
    tags = {"4D STEM Tags": {"Scan shape X": 5, "Scan shape Y": 3}}
    scan = load_scan(write_dm4(tmp_path / "b.dm4", frames, tags=tags), measure=False)
    check_dipole(scan)
    assert "file's tags" in scan.warnings[0]


def test_choosing_an_image(tmp_path: Path) -> None:
    path = write_dm4(tmp_path / "a.dm4", make_dipole(), tags=NEW)
    for name in ("Diffraction SI", "0"):
        check_dipole(load_scan(path, dataset=name, measure=False))
    with pytest.raises(ScanError, match="no dataset 'x'; it holds 'Diffraction SI' of shape"):
        load_scan(path, dataset="x")
    image = write_dm4(tmp_path / "b.dm4", np.zeros((8, 7), "u2"))
    with pytest.raises(ScanError, match=r"holds no 4D-STEM scan but 'Diffraction SI'"):
        load_scan(image)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_cut_off(tmp_path: Path, share: float) -> None:
    path = write_dm4(tmp_path / "a.dm4", make_dipole((9, 9, 16, 16)), tags=NEW)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ScanError, match=r"a\.dm4 (cannot be read|is cut off)"):
        load_scan(path)
