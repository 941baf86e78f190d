"""Labelled data sets: what is read, and what is wrong told by field."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_polmap.errors import DatasetError, ScanError
from napari_polmap.io import load_dataset

DATA = np.random.default_rng(0).poisson(3, (4, 5, 16, 16)).astype(np.uint16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "a.npy", DATA)
    np.save(tmp_path / "frames.npy", DATA.reshape(20, 16, 16))
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "set.toml"
    path.write_text(text)
    return path


WHOLE = """
name = "two walls"
directions = ["RM", "up", "LM"]
angles_deg = [0, 90, "none"]

[[scan]]
path = "a.npy"
direction = ["RM", "LM"]
group = "seed-1"
step_nm = 0.05
center = [8, 7.5]
radius = 5
lattice_nm = 0.4
descan = [0.01, 0, -0.02, 0]
ellipse = [1.05, 30]
thickness_nm = 20
tilt_mrad = 1.5
operator = "me"

[[scan]]
path = "frames.npy"
truth = "truth.tif"
nav_shape = [4, 5]
mask = "mask.npy"
"""


def test_everything_in_it(folder: Path) -> None:
    truth = np.full((4, 5), 255, np.uint8)
    truth[0, :3] = [0, 1, 2]
    tifffile.imwrite(folder / "truth.tif", truth)
    mask = np.zeros((16, 16), np.uint8)
    mask[2, 2] = 1
    np.save(folder / "mask.npy", mask)
    dataset = load_dataset(write(folder, WHOLE))
    assert dataset.name == "two walls"
    assert dataset.directions.names == ("RM", "up", "LM")
    assert dataset.directions.angles_deg == (0.0, 90.0, None)
    first, second = dataset.scans

    assert first.group == "seed-1"
    assert first.conditions == {"thickness_nm": 20, "tilt_mrad": 1.5, "operator": "me"}
    scan = first.open()
    assert scan.calibration.center_px == (8, 7.5)
    assert scan.calibration.sources["radius_px"] == "user"
    assert scan.calibration.descan_px == (0.01, 0.0, -0.02, 0.0)
    assert scan.calibration.ellipse == (1.05, 30.0)
    right = first.truth_mask(dataset.directions, scan.scan_shape)
    assert right.shape == (4, 5, 3)
    assert right[..., [0, 2]].all()
    assert not right[..., 1].any()

    assert second.group == "frames.npy"
    scan = second.open()
    assert scan.shape == (4, 5, 16, 16)
    assert scan.bad_pixels is not None
    assert scan.bad_pixels[2, 2]
    right = second.truth_mask(dataset.directions, scan.scan_shape)
    np.testing.assert_array_equal(np.argwhere(right), [[0, 0, 0], [0, 1, 1], [0, 2, 2]])


def test_the_arrangement_of_a_files_axes(folder: Path) -> None:
    text = 'directions = ["RM"]\n[[scan]]\npath = "frames.npy"\ndirection = "RM"\n'
    text += 'nav_shape = [4, 5]\naxes = "x, -y, ky, kx"\nflyback = 1\n'
    scan = load_dataset(write(folder, text)).scans[0].open()
    np.testing.assert_array_equal(scan.data.compute(), DATA[:, :4][:, ::-1].transpose(1, 0, 2, 3))
    assert scan.reading == {"nav_shape": (4, 5), "axes": "x,-y,ky,kx", "flyback": 1}


def test_paths_are_relative_to_the_root(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "a.npy").rename(folder / "sub" / "b.npy")
    path = write(
        folder, 'directions = ["RM"]\nroot = "sub"\n[[scan]]\npath = "b.npy"\ndirection = "RM"'
    )
    assert load_dataset(path).scans[0].open().shape == DATA.shape


def test_labels_as_npy(folder: Path) -> None:
    np.save(folder / "t.npy", np.zeros((4, 5), int))
    path = write(folder, 'directions = ["RM"]\n[[scan]]\npath = "a.npy"\ntruth = "t.npy"')
    dataset = load_dataset(path)
    assert dataset.scans[0].truth_mask(dataset.directions, (4, 5)).all()


def test_thousands_of_scans_are_quick(folder: Path) -> None:
    entry = '[[scan]]\npath = "missing/{0}.npy"\ndirection = "RM"\nthickness_nm = 20.0\n'
    path = write(folder, 'directions = ["RM"]\n' + "".join(entry.format(n) for n in range(4000)))
    start = time.perf_counter()
    dataset = load_dataset(path)
    assert time.perf_counter() - start < 10
    assert len(dataset.scans) == 4000
    with pytest.raises(ScanError, match=r"missing/17\.npy"):
        dataset.scans[17].open()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("directions = [", "not a TOML file"),
        ("name = 'x'", "`directions` is missing"),
        ("directions = 'RM'", "`directions` is 'RM'"),
        ("directions = [1, 2]", "`directions`"),
        ("directions = ['RM', 'RM']\n[[scan]]\npath='a'\ndirection='RM'", "unique"),
        ("directions = ['RM']", "lists no scan"),
        ("directions = ['RM']\nangles_deg = [1, 2]", "`angles_deg`"),
        ("directions = ['RM']\n[[scan]]\ndirection = 'RM'", "scan 1: `path` is missing"),
        ("directions = ['RM']\n[[scan]]\npath = 'a'", "`direction`.*`truth`"),
        ("directions = ['RM']\n[[scan]]\npath='a'\ndirection='RM'\ntruth='t'", "either"),
        ("directions = ['RM']\n[[scan]]\npath='a'\ndirection='XX'", "'XX', but allowed are RM"),
        ("directions = ['RM']\n[[scan]]\npath='a'\ndirection=[]", "`direction` is"),
        ("directions = ['RM']\n[[scan]]\npath='a'\ndirection='RM'\ncenter=[1]", "`center`"),
        ("directions = ['RM']\n[[scan]]\npath='a'\ndirection='RM'\nnav_shape='4x5'", "`nav_shape`"),
        ("directions = ['RM']\n[[scan]]\npath='a'\ndirection='RM'\naxes='y,x'", "axes must name"),
        ("directions = ['RM']\n[[scan]]\npath='a'\ndirection='RM'\naxes=4", "axes must name"),
        ("directions = ['RM']\n[[scan]]\npath='a'\ndirection='RM'\nflyback=-1", "flyback must"),
        ("directions = ['RM']\n[[scan]]\npath='a'\ndirection='RM'\nflyback='1'", "flyback must"),
        ("directions = ['RM']\n[[scan]]\npath='a'\ndirection='RM'\nstep_nm='small'", "`step_nm`"),
        ("directions = ['RM']\n[[scan]]\npath='a'\ndirection='RM'\nstep_nm=-1.0", "step_nm"),
        ("directions = ['RM']\n[[scan]]\npath='a'\ndirection='RM'\ndescan=[1, 2]", "4 finite"),
        ("directions = ['RM']\n[[scan]]\npath='a'\ndirection='RM'\nellipse=1.1", "2 finite"),
    ],
)
def test_wrong_fields_are_named(folder: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        load_dataset(write(folder, text))
    assert "\n" not in str(caught.value)


def test_missing_file(folder: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        load_dataset(folder / "none.toml")
    with pytest.raises(DatasetError, match="TOML"):
        load_dataset(folder / "a.npy")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((5, 4), np.uint8), r"shape \(5, 4\).*\(4, 5\)"),
        (np.full((4, 5), 1, np.uint8), "label 1"),
    ],
)
def test_labels_that_do_not_fit(folder: Path, labels: np.ndarray, message: str) -> None:
    tifffile.imwrite(folder / "t.tif", labels)
    path = write(folder, 'directions = ["RM"]\n[[scan]]\npath = "a.npy"\ntruth = "t.tif"')
    dataset = load_dataset(path)
    with pytest.raises(DatasetError, match=message):
        dataset.scans[0].truth_mask(dataset.directions, (4, 5))


def test_unreadable_labels(folder: Path) -> None:
    (folder / "t.tif").write_text("no image")
    path = write(folder, 'directions = ["RM"]\n[[scan]]\npath = "a.npy"\ntruth = "t.tif"')
    dataset = load_dataset(path)
    with pytest.raises(DatasetError, match=r"t\.tif cannot be read"):
        dataset.scans[0].truth_mask(dataset.directions, (4, 5))


def test_a_region_of_a_scan_and_of_its_labels(folder: Path) -> None:
    labels = np.arange(20).reshape(4, 5) % 2
    np.save(folder / "labels.npy", labels.astype(np.uint8))
    entry = 'path = "a.npy"\ntruth = "labels.npy"\ncenter = [8, 8]\nradius = 5\nlattice_nm = 0.4'
    text = f'directions = ["RM", "LM"]\n[[scan]]\n{entry}\nregion = "1:3, :2"'
    dataset = load_dataset(write(folder, text))
    scan = dataset.scans[0].open()
    np.testing.assert_array_equal(scan.data.compute(), DATA[1:3, :2])
    mask = dataset.scans[0].truth_mask(dataset.directions, scan.scan_shape)
    np.testing.assert_array_equal(mask[..., 1], labels[1:3, :2] == 1)
    with pytest.raises(DatasetError, match='rows and columns such as "0:64,32:96"'):
        load_dataset(write(folder, text.replace("1:3, :2", "1:3")))
    with pytest.raises(ScanError, match="holds no position"):
        load_dataset(write(folder, text.replace("1:3, :2", "4:9,:"))).scans[0].open()


def test_another_root(folder: Path, tmp_path: Path) -> None:
    toml = tmp_path / "elsewhere" / "set.toml"
    toml.parent.mkdir()
    toml.write_text('directions = ["RM"]\n[[scan]]\npath = "a.npy"\ndirection = "RM"')
    assert load_dataset(toml, root=folder).scans[0].open().shape == DATA.shape
