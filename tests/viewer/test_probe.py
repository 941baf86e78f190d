from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from napari_polmap import save_map
from napari_polmap.scan import Scan
from napari_polmap.viewer.probe import FEWEST_TIFFS, kind_of
from tests.io.hdf5_files import eiger, matlab
from tests.viewer.scenes import filled_map

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "real"


@pytest.mark.parametrize(
    ("shape", "kind"), [((4, 5, 6, 7), "scan"), ((9, 6, 7), None), ((6, 7), None)]
)
def test_npy_by_its_header(tmp_path: Path, shape: tuple[int, ...], kind: str | None) -> None:
    path = tmp_path / "data.npy"
    np.save(path, np.zeros(shape, np.uint8))
    assert kind_of(path) == kind
    path.write_bytes(path.read_bytes()[:128])
    assert kind_of(path) == kind, "the header is enough"


@pytest.mark.parametrize("ending", [".hspy", ".h5", ".hdf5", ".emd", ".nxs", ".mat"])
def test_hdf5_by_its_shapes(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"file{ending}"
    with h5py.File(path, "w") as file:
        file.create_dataset("Experiments/one/data", shape=(3, 4, 5), dtype="u1")
    assert kind_of(path) is None
    with h5py.File(path, "a") as file:
        file.create_dataset("Experiments/two/data", shape=(3, 4, 5, 6), dtype="u1")
    assert kind_of(path) == "scan"


@pytest.mark.parametrize("name", ["x.npy", "x.hspy", "x.h5", "x.xml", "x.mrc", "x.txt", "x"])
@pytest.mark.parametrize("content", [b"", b"not what the name says"])
def test_damaged_and_foreign_files_are_nobody_s(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert kind_of(path) is None
    assert kind_of(tmp_path / "missing.npy") is None


def test_tiff_folders_of_a_scan_s_size(tmp_path: Path) -> None:
    for index in range(FEWEST_TIFFS):
        tifffile.imwrite(tmp_path / f"p_{index}.tif", np.zeros((4, 4), np.uint8))
    assert kind_of(tmp_path) == "scan"
    (tmp_path / "p_7.tif").unlink()
    assert kind_of(tmp_path) is None, "a stack of pictures"


def test_folders_of_maps_and_others(tmp_path: Path, scan: Scan) -> None:
    saved = save_map(filled_map(scan), tmp_path / "map.zarr")
    assert kind_of(saved) == "map"
    assert kind_of(tmp_path) is None
    (tmp_path / "other.zarr").mkdir()
    assert kind_of(tmp_path / "other.zarr") is None


@pytest.mark.parametrize(
    "name",
    [
        "hdf5/cryo_24x40.hspy",
        "hdf5/fpd_file_test.hdf5",
        "mib/001_4x2_6bit.mib",
        "blo/test1.blo",
        "app5/topspin_test_C.app5",
        "emd/py4DSTEM_size2x3x4x5.h5",
        "emd/Si100_4D.emd",
        "empad/map4x4.xml",
        "mrc/20241021_00405_movie.mrc",
        "tvips/test_tvips_2345_split_000.tvips",
    ],
)
def test_real_files(name: str) -> None:
    if not (REAL / name).exists():
        pytest.skip("the real files are not here")
    assert kind_of(REAL / name) == "scan"


def test_master_file_of_a_detector(tmp_path: Path) -> None:
    eiger(tmp_path / "a_master.h5")
    assert kind_of(tmp_path / "a_master.h5") == "scan"
    matlab(tmp_path / "a.mat")
    assert kind_of(tmp_path / "a.mat") == "scan"
