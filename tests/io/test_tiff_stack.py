"""TIFF files that hold a whole scan, in every way people write them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_polmap.errors import ScanError, ScanShapeError
from napari_polmap.io import load_scan
from tests.io.dipole import check_dipole, make_dipole

DIPOLE = make_dipole()
FRAMES = DIPOLE.reshape(15, 8, 7)
GRAY = {"photometric": "minisblack"}


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "f4"])
@pytest.mark.parametrize("byteorder", "<>")
@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "zlib"}, {"compression": "zlib", "rowsperstrip": 3}, {"bigtiff": True}],
    ids=str,
)
def test_stack(tmp_path: Path, options: dict[str, Any], byteorder: str, dtype: str) -> None:
    path = tmp_path / "a.tif"
    data = make_dipole(dtype=dtype)
    with tifffile.TiffWriter(
        path, byteorder=byteorder, bigtiff=options.get("bigtiff", False)
    ) as writer:
        own = {name: value for name, value in options.items() if name != "bigtiff"}
        writer.write(data.reshape(15, 8, 7), **GRAY, **own)
    with pytest.raises(ScanShapeError, match="15 frames"):
        load_scan(path)
    scan = load_scan(path, nav_shape=(3, 5), measure=False)
    check_dipole(scan)
    assert scan.read(slice(0, 1), slice(0, 1)).dtype.isnative


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", ["shaped", "ome", "imagej"])
def test_four_dimensions(tmp_path: Path, kind: str, compression: str | None) -> None:
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    options: dict[str, Any] = {"compression": compression}
    if kind == "imagej":
        options |= {"imagej": True, "metadata": {"axes": "TZYX"}}
    elif kind == "ome":
        options |= {"metadata": {"axes": "TZYX"}}
    tifffile.imwrite(path, DIPOLE, **GRAY, **options)
    check_dipole(load_scan(path, measure=False))


def test_pages_that_were_appended(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for frame in FRAMES:
        tifffile.imwrite(path, frame, append=True, metadata=None)
    check_dipole(load_scan(path, nav_shape=(3, 5), measure=False))


def test_steps_of_ome_and_imagej(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    sizes = {"PhysicalSizeZ": 0.25, "PhysicalSizeZUnit": "nm"}
    tifffile.imwrite(path, DIPOLE, **GRAY, metadata={"axes": "TZYX", **sizes})
    check_dipole(load_scan(path, measure=False))
    path = tmp_path / "b.tif"
    tifffile.imwrite(
        path,
        DIPOLE,
        imagej=True,
        resolution=(0.5, 0.5),
        metadata={"axes": "TZYX", "unit": "mrad"},
    )
    scan = load_scan(path, measure=False)
    check_dipole(scan)
    assert scan.calibration.mrad_per_pixel == pytest.approx(2.0)
    assert scan.calibration.sources == {"mrad_per_pixel": "file"}


def test_several_series(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((64, 64), "u1"), **GRAY)
        writer.write(np.zeros((2, 8, 7), "u2"), **GRAY)
        writer.write(DIPOLE, **GRAY)
    check_dipole(load_scan(path, measure=False))
    check_dipole(load_scan(path, dataset="2", measure=False))
    scan = load_scan(path, dataset="1", nav_shape=(1, 2), measure=False)
    assert scan.shape == (1, 2, 8, 7)
    with pytest.raises(ScanError, match="no dataset 'x'; it holds"):
        load_scan(path, dataset="x")


def test_five_dimensions_take_an_index(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    five = np.stack([DIPOLE, DIPOLE + 1])
    for options in ({}, {"compression": "zlib"}):
        tifffile.imwrite(path, five, **GRAY, **options)
        with pytest.raises(ScanError, match="by index"):
            load_scan(path)
        check_dipole(load_scan(path, index=0, measure=False))
        scan = load_scan(path, index=1, measure=False)
        np.testing.assert_array_equal(scan.data.compute(), DIPOLE + 1)


def test_axes_of_length_one_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, DIPOLE[None], imagej=True, metadata={"axes": "TZCYX"})
    check_dipole(load_scan(path, measure=False))


def test_compressed_pages_are_read_lazily_and_pickle(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, FRAMES, **GRAY, compression="zlib")
    scan = load_scan(path, nav_shape=(3, 5), measure=False)
    scan.pattern(1, 1)
    again = pickle.loads(pickle.dumps(scan.data))
    np.testing.assert_array_equal(again[2, 1:4, 3:, ::2].compute(), DIPOLE[2, 1:4, 3:, ::2])


def test_single_images_are_no_scans(tmp_path: Path) -> None:
    path = tmp_path / "one.tif"
    tifffile.imwrite(path, FRAMES[0])
    with pytest.raises(ScanError, match="open the folder"):
        load_scan(path)
    tifffile.imwrite(path, np.zeros((6, 5, 3), np.uint8), photometric="rgb")
    with pytest.raises(ScanError, match="color"):
        load_scan(path)
    path.write_bytes(b"II*\0nothing")
    with pytest.raises(ScanError, match="TIFF"):
        load_scan(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_cut_off(tmp_path: Path, share: float, compression: str | None) -> None:
    path = tmp_path / "a.tif"
    data = np.random.default_rng(0).integers(0, 999, (16, 32, 32)).astype("u2")
    tifffile.imwrite(path, data, **GRAY, compression=compression)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ScanError, match=r"a\.tif"):
        load_scan(path, nav_shape=(4, 4))
