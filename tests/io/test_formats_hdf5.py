"""Every layout of HDF5 files gives the scan in its order, with what it says of its calibration."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_polmap.errors import ScanChoiceError, ScanError, ScanShapeError
from napari_polmap.io import load_scan
from napari_polmap.io.hdf5 import list_hdf5
from tests.io import hdf5_files
from tests.io.dipole import check_dipole, make_dipole
from tests.io.hdf5_files import LAYOUTS, SHAPE


@pytest.mark.parametrize("layout", LAYOUTS)
def test_scan_and_detector_order(layout: str, tmp_path: Path) -> None:
    write, name, options = LAYOUTS[layout]
    write(tmp_path / name)
    scan = load_scan(tmp_path / name, measure=False, **options)
    check_dipole(scan)


_NM = {"step_nm": 2.0}
_MRAD_200_KV = 0.5 * 2.5079


@pytest.mark.parametrize(
    ("layout", "values"),
    [
        ("hyperspy", {**_NM, "energy_kv": 200, "mrad_per_pixel": _MRAD_200_KV}),
        ("hyperspy, detector first", {**_NM, "energy_kv": 200, "mrad_per_pixel": _MRAD_200_KV}),
        ("hyperspy, version 1", _NM),
        ("emd of hyperspy", _NM),
        ("nexus of hyperspy", _NM),
        ("py4dstem", _NM),
        ("py4dstem before 0.14", {**_NM, "energy_kv": 200, "mrad_per_pixel": _MRAD_200_KV}),
        ("prismatic", {**_NM, "energy_kv": 200, "semi_angle_mrad": 2}),
        ("velox", {"energy_kv": 200, "semi_angle_mrad": 2, "mrad_per_pixel": _MRAD_200_KV}),
        ("topspin", {**_NM, "energy_kv": 200, "mrad_per_pixel": 0.5}),
        ("nexus", _NM),
        ("dimension scales", _NM),
        ("detector first", _NM),
        ("plain", {}),
    ],
)
def test_calibration_of_the_file(layout: str, values: dict[str, float], tmp_path: Path) -> None:
    write, name, options = LAYOUTS[layout]
    write(tmp_path / name)
    calibration = load_scan(tmp_path / name, measure=False, **options).calibration
    found = {key: getattr(calibration, key) for key in values}
    assert found == pytest.approx(values, rel=1e-3)
    assert set(calibration.sources.values()) <= {"file"}


@pytest.mark.parametrize(
    ("layout", "storage"),
    [
        ("hyperspy", (2, 3)),
        ("hyperspy, detector first", (1, 1)),
        ("emd of hyperspy", (3, 2)),
        ("fpd", (2, 1)),
        ("dimension scales", (1, 5)),
        ("matlab", (1, 5)),
        ("eiger", (1, 1)),
    ],
)
def test_positions_stored_together(layout: str, storage: tuple[int, int], tmp_path: Path) -> None:
    write, name, options = LAYOUTS[layout]
    write(tmp_path / name)
    assert load_scan(tmp_path / name, measure=False, **options).storage == storage


def test_depths_of_a_simulation_take_an_index(tmp_path: Path) -> None:
    hdf5_files.prismatic(tmp_path / "a.emd", depths=3)
    with pytest.raises(ScanChoiceError, match="index"):
        load_scan(tmp_path / "a.emd")
    for depth in range(3):
        scan = load_scan(tmp_path / "a.emd", index=depth, measure=False)
        np.testing.assert_array_equal(scan.data.compute(), make_dipole() + depth)


def test_five_axes_are_not_read_to_take_one(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        many = np.stack([make_dipole() + i for i in range(3)])
        file.create_dataset("data", data=many, chunks=(1, 1, 5, 8, 7))
    with pytest.raises(ScanChoiceError, match="index"):
        load_scan(tmp_path / "a.h5")
    scan = load_scan(tmp_path / "a.h5", index=2, measure=False)
    np.testing.assert_array_equal(scan.data.compute(), many[2])
    assert scan.storage == (1, 5)


def test_several_data_sets_of_equal_rank(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["one/data"] = make_dipole()
        file["two/data"] = make_dipole() + 1
        file["small"] = make_dipole()[:2]
    with pytest.raises(ScanChoiceError, match=r"'/one/data' of shape \(3, 5, 8, 7\), '/two/d") as e:
        load_scan(path)
    assert e.value.datasets == ("one/data", "two/data")
    for name in ("two/data", "/two/data", "two"):
        scan = load_scan(path, dataset=name, measure=False)
        np.testing.assert_array_equal(scan.data.compute(), make_dipole() + 1)
    assert load_scan(path, dataset="small", measure=False).shape == (2, 5, 8, 7)
    with pytest.raises(ScanError, match=r"no dataset 'three'.*'/small' of shape"):
        load_scan(path, dataset="three")
    assert {c.name for c in list_hdf5(path)} == {"/one/data", "/two/data", "/small"}
    with h5py.File(path, "a") as file:
        # What a NeXus file names as what to plot decides.
        file.attrs["default"] = "two"
        file["two"].attrs["signal"] = "data"
    np.testing.assert_array_equal(load_scan(path, measure=False).data.compute(), make_dipole() + 1)


def test_user_block_of_any_size(tmp_path: Path) -> None:
    for size in (512, 1024, 65536):
        path = tmp_path / f"{size}.dat"
        with h5py.File(path, "w", userblock_size=size) as file:
            file["data"] = make_dipole()
        check_dipole(load_scan(path, measure=False))


@pytest.mark.parametrize("layout", ["plain", "hyperspy", "matlab", "topspin", "eiger", "virtual"])
def test_read_in_parts_by_threads_and_copies(layout: str, tmp_path: Path) -> None:
    write, name, options = LAYOUTS[layout]
    write(tmp_path / name)
    scan = load_scan(tmp_path / name, measure=False, **options)
    data = make_dipole(dtype=scan.dtype)
    np.testing.assert_array_equal(scan.read(slice(1, 3), slice(2, 4)), data[1:3, 2:4])
    np.testing.assert_array_equal(scan.data[::2, 1::2, 3, ::-1].compute(), data[::2, 1::2, 3, ::-1])
    copy = pickle.loads(pickle.dumps(scan.data))
    np.testing.assert_array_equal(copy.compute(scheduler="sync"), data)
    wrong = []

    def read() -> None:
        for y in range(3):
            if not np.array_equal(scan.read(slice(y, y + 1), slice(0, 5))[0], data[y]):
                wrong.append(y)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_scan_shape_of_an_eiger(tmp_path: Path) -> None:
    path = tmp_path / "a_master.h5"
    hdf5_files.eiger(path)
    assert "triggers" in " ".join(load_scan(path, measure=False).warnings)
    hdf5_files.eiger(path, triggers=1, images=15)
    with pytest.raises(ScanShapeError, match="15 frames") as caught:
        load_scan(path)
    assert set(caught.value.candidates) >= {(3, 5), (5, 3)}
    check_dipole(load_scan(path, nav_shape=(3, 5), measure=False))
    scan = load_scan(path, nav_shape=(5, 3), measure=False)
    np.testing.assert_array_equal(scan.data.compute(), make_dipole().reshape(5, 3, 8, 7))


def test_missing_data_files_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a_master.h5"
    hdf5_files.eiger(path)
    (tmp_path / "a_data_000004.h5").unlink()
    with pytest.raises(ScanShapeError, match=r"only 12 of 15 frames \(a_data_000004\.h5 missing"):
        load_scan(path)
    scan = load_scan(path, nav_shape=(2, 5), measure=False)
    np.testing.assert_array_equal(scan.data.compute(), make_dipole()[:2])
    assert "only the first 2 x 5" in " ".join(scan.warnings)
    del scan
    hdf5_files.eiger(path)
    (tmp_path / "a_data_000002.h5").unlink()
    with pytest.raises(ScanError, match=r"missing: a_data_000002\.h5; copy them"):
        load_scan(path, nav_shape=(2, 5))
    hdf5_files.virtual(tmp_path / "v.h5")
    (tmp_path / "v_1.h5").unlink()
    with pytest.raises(ScanError, match=r"missing: v_1\.h5; copy them"):
        load_scan(tmp_path / "v.h5")
    with h5py.File(tmp_path / "l.h5", "w") as file:
        file["data"] = h5py.ExternalLink("gone.h5", "/data")
    with pytest.raises(ScanError, match=r"missing: gone\.h5; copy them"):
        load_scan(tmp_path / "l.h5")


def test_the_compression_of_fast_detectors(tmp_path: Path) -> None:
    import hdf5plugin

    with h5py.File(tmp_path / "scan.h5", "w") as file:
        data = make_dipole()
        file.create_dataset(
            "data", data=data, chunks=(1, 1, *data.shape[2:]), **hdf5plugin.Bitshuffle()
        )
    # In a process of its own, where nobody has registered the filter.
    code = (
        "import sys; from napari_polmap import load_scan; "
        "scan = load_scan(sys.argv[1], measure=False); print(int(scan.pattern(1, 2).sum()))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "scan.h5")], capture_output=True, text=True
    )
    assert ended.stdout.split() == [str(int(data[1, 2].sum()))], ended.stderr


def test_a_filter_that_is_not_installed(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((1, 1, 8, 7))
        # 32099 is no one's; 1: the file may be made without it.
        properties.set_filter(32099, 1)
        space = h5py.h5s.create_simple(SHAPE)
        h5py.h5d.create(file.id, b"data", h5py.h5t.STD_U16LE, space, properties)
    with pytest.raises(ScanError, match=r"the filter 32099.*with gzip") as caught:
        load_scan(path)
    assert "\n" not in str(caught.value)


def test_arrays_that_are_no_scan(tmp_path: Path) -> None:
    hdf5_files.matlab(tmp_path / "c.mat", complex_=True)
    with pytest.raises(ScanError, match=r"complex numbers.*must be real"):
        load_scan(tmp_path / "c.mat")
    (tmp_path / "v5.mat").write_bytes(b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(400))
    with pytest.raises(ScanError, match=r"older than version 7\.3.*'-v7\.3'"):
        load_scan(tmp_path / "v5.mat")
    with h5py.File(tmp_path / "i.h5", "w") as file:
        file["image"] = np.zeros((8, 7))
        file["text"] = ["a", "b"]
    with pytest.raises(ScanError, match="no 4D-STEM scan but nothing like it"):
        load_scan(tmp_path / "i.h5")


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("layout", ["plain", "py4dstem", "matlab", "topspin", "nexus"])
def test_truncated(layout: str, share: float, tmp_path: Path) -> None:
    write, name, _ = LAYOUTS[layout]
    path = tmp_path / name
    write(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ScanError, match="cannot be read") as caught:
        load_scan(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("data", data=make_dipole(), chunks=(1, 1, 8, 7))
        file.flush()
        content = path.read_bytes()
    # As a program leaves it that is stopped.
    path.write_bytes(content)
    with pytest.raises(ScanError, match=r"another program is writing it.*h5clear -s"):
        load_scan(path)


def test_bad_pixels_of_the_detector(tmp_path: Path) -> None:
    path = tmp_path / "a_master.h5"
    hdf5_files.eiger(path)
    scan = load_scan(path, measure=False)
    assert scan.bad_pixels is not None
    assert np.argwhere(scan.bad_pixels).tolist() == [[0, 3]]
    none = np.zeros(SHAPE[2:])
    assert not load_scan(path, bad_pixels=none, measure=False).bad_pixels.any()
    assert list_hdf5(path) == []


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "i4", ">f4", "f8", "?"])
@pytest.mark.parametrize("chunks", [None, (1, 2, 4, 4)])
def test_any_real_dtype(dtype: str, chunks: tuple[int, ...] | None, tmp_path: Path) -> None:
    data = make_dipole().astype(dtype)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=data, chunks=chunks)
    block = load_scan(tmp_path / "a.h5", measure=False).read(slice(1, 3), slice(0, 5))
    assert block.dtype.isnative
    np.testing.assert_array_equal(block, data[1:3])


def test_frames_stored_together(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    hdf5_files.frames_only(path)
    with pytest.raises(ScanShapeError, match="15 frames"):
        load_scan(path)
    assert load_scan(path, nav_shape=(3, 5), measure=False).storage == (1, 4)
    scan = load_scan(path, nav_shape=(5, 3), flyback=1, measure=False)
    assert scan.storage == (1, 3)
    np.testing.assert_array_equal(scan.data.compute(), make_dipole().reshape(5, 3, 8, 7)[:, :2])


def test_axes_that_run_backwards_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.hspy"
    hdf5_files.hyperspy(path)
    with h5py.File(path, "a") as file:
        file["Experiments/dipole/axis-2"].attrs["scale"] = -0.5
    scan = load_scan(path, measure=False)
    assert "scale of ky is negative" in " ".join(scan.warnings)
    assert scan.calibration.step_nm == 2
    check_dipole(scan)
    turned = load_scan(path, axes="y,x,-ky,kx", measure=False)
    assert "negative" not in " ".join(turned.warnings)
    np.testing.assert_array_equal(turned.data.compute(), make_dipole()[:, :, ::-1])


def test_a_pattern_split_over_chunks_and_scans_stored_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=make_dipole(), chunks=(3, 5, 1, 2), compression="gzip")
    scan = load_scan(path, measure=False)
    assert scan.storage == (3, 5)
    check_dipole(scan)
    path = tmp_path / "b.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data", (512, 512, 64, 64), "u2", chunks=(512, 512, 2, 2))
    scan = load_scan(path, measure=False)
    assert scan.storage == (512, 512)
    assert "512 x 512 positions together" in " ".join(scan.warnings)
    assert next(scan.blocks())[0].stop < 512
