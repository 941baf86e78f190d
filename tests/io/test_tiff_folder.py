"""Folders of one TIFF per pattern, and TIFF stacks."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_polmap.errors import ScanError, ScanShapeError
from napari_polmap.io import load_scan
from napari_polmap.io.tiff_folder import TiffFolder, natural_key, tiff_names

RNG = np.random.default_rng(0)
DATA = RNG.integers(0, 60000, (12, 10, 8)).astype(np.uint16)


def write(folder: Path, data: np.ndarray = DATA, **options) -> Path:
    folder.mkdir(exist_ok=True)
    for number, frame in enumerate(data):
        tifffile.imwrite(folder / f"img_{number}.tif", frame, **options)
    return folder


def test_order_is_natural() -> None:
    names = ["b10.tif", "b9.tif", "a_2_10.tif", "a_2_9.tif", "a_10_1.tif", "B1.tif"]
    ordered = sorted(names, key=natural_key)
    assert ordered == ["a_2_9.tif", "a_2_10.tif", "a_10_1.tif", "B1.tif", "b9.tif", "b10.tif"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"byteorder": ">"},
        {"rowsperstrip": 3},
        {"photometric": "minisblack"},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_patterns_row_by_row(tmp_path: Path, options: dict, dtype) -> None:
    data = (DATA % 250).astype(dtype)
    folder = write(tmp_path / "scan", data, **options)
    (folder / "notes.txt").write_text("not a pattern")
    (folder / "._img_0.tif").write_bytes(b"a resource fork")
    scan = load_scan(folder, nav_shape=(3, 4), measure=False)
    assert scan.shape == (3, 4, 10, 8)
    assert scan.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(scan.data.compute(), data.reshape(3, 4, 10, 8))
    np.testing.assert_array_equal(scan.pattern(2, 3), data[11])
    np.testing.assert_array_equal(scan.strided(3).shape[1:], (10, 8))


def test_files_that_differ_in_layout_are_read_all_the_same(tmp_path: Path) -> None:
    folder = write(tmp_path / "scan")
    tifffile.imwrite(folder / "img_5.tif", DATA[5], compression="zlib")
    tifffile.imwrite(folder / "img_7.tif", DATA[7], description="another one, longer")
    tifffile.imwrite(folder / "img_8.tif", DATA[8], byteorder=">")
    np.testing.assert_array_equal(TiffFolder(folder, tiff_names(folder))[:], DATA)


def test_first_plane_of_several_counts(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    for number in range(4):
        tifffile.imwrite(
            folder / f"{number}.tiff", np.stack([DATA[number], DATA[11]]), photometric="minisblack"
        )
    scan = load_scan(folder, nav_shape=(2, 2), measure=False)
    np.testing.assert_array_equal(scan.data.compute().reshape(4, 10, 8), DATA[:4])
    assert "2 images each, of which only the first" in scan.warnings[0]


def test_only_what_is_needed_is_opened(tmp_path: Path, monkeypatch) -> None:
    folder = write(tmp_path / "scan")
    read = []
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: read.append(self.name) or original(self))
    scan = load_scan(folder, nav_shape=(3, 4), measure=False)
    assert set(read) == {"img_0.tif", "img_11.tif"}
    read.clear()
    scan.read(slice(1, 2), slice(1, 3))
    assert read == ["img_5.tif", "img_6.tif"]


def test_many_files_open_at_once(tmp_path: Path) -> None:
    folder = write(tmp_path / "scan", DATA[:1])
    content = (folder / "img_0.tif").read_bytes()
    for number in range(1, 16384):
        (folder / f"img_{number}.tif").write_bytes(content)
    load_scan(folder, nav_shape=(128, 128), measure=False)  # imports
    fastest = np.inf
    for _ in range(3):
        start = time.perf_counter()
        scan = load_scan(folder, nav_shape=(128, 128), measure=False)
        fastest = min(fastest, time.perf_counter() - start)
    assert scan.shape == (128, 128, 10, 8)
    assert fastest < 1.0


def test_shape_is_asked_for(tmp_path: Path) -> None:
    folder = write(tmp_path / "scan")
    with pytest.raises(ScanShapeError, match="12 frames") as caught:
        load_scan(folder)
    assert set(caught.value.candidates[:2]) == {(3, 4), (4, 3)}
    with pytest.raises(ScanShapeError, match="5 x 3 = 15"):
        load_scan(folder, nav_shape=(5, 3))


def test_bad_folders(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ScanError, match="holds no TIFF files"):
        load_scan(empty)
    folder = write(tmp_path / "scan")
    tifffile.imwrite(folder / "img_5.tif", DATA[5][:4])
    scan = load_scan(folder, nav_shape=(3, 4), measure=False)
    with pytest.raises(ScanError, match=r"img_5\.tif.*4 x 8 pixels"):
        scan.read(slice(1, 2), slice(0, 4))
    (folder / "img_5.tif").write_bytes((folder / "img_4.tif").read_bytes()[:100])
    with pytest.raises(ScanError, match=r"img_5\.tif"):
        scan.read(slice(1, 2), slice(0, 4))
    (folder / "img_5.tif").unlink()
    with pytest.raises(ScanError, match=r"img_5\.tif"):
        scan.read(slice(1, 2), slice(0, 4))
    (folder / "img_0.tif").write_text("not a TIFF file")
    with pytest.raises(ScanError, match=r"img_0\.tif"):
        load_scan(folder, nav_shape=(1, 11))
    colors = tmp_path / "colors"
    write(colors, np.zeros((2, 5, 5, 3), np.uint8), photometric="rgb")
    with pytest.raises(ScanError, match="color"):
        load_scan(colors, nav_shape=(1, 2))
