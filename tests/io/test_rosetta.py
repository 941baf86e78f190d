"""The reader is chosen by contents; what RosettaSciIO reads comes out in the scan's order."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_polmap.errors import ScanChoiceError, ScanError
from napari_polmap.io import load_scan
from napari_polmap.io.kinds import is_hdf5
from tests.io import hdf5_files
from tests.io.dipole import check_dipole, make_dipole
from tests.io.test_real_files import FOLDER


def _zspy(path: Path, detector_first: bool = False) -> None:
    """A .zspy as HyperSpy writes it: RosettaSciIO cannot write one beside zarr 3."""
    import zarr

    root = zarr.open_group(path, mode="w", zarr_format=2)
    root.attrs.update({"file_format": "ZSpy", "file_format_version": "3.3"})
    group = root.create_group("Experiments/dipole")
    order = (2, 3, 0, 1) if detector_first else (0, 1, 2, 3)
    data = make_dipole().transpose(order)
    chunks = tuple((2, 3, 8, 7)[i] for i in order)
    array = group.create_array("data", shape=data.shape, dtype=data.dtype, chunks=chunks)
    array[...] = data
    for number, axis in enumerate(order):
        name, units, scale = hdf5_files.AXES[axis]
        group.create_group(f"axis-{number}").attrs.update(
            {"_type": "UniformDataAxis", "name": name, "units": units, "scale": scale,
             "offset": 0.0, "size": data.shape[number], "navigate": axis < 2, "is_binned": False}
        )  # fmt: skip
    group.create_group("metadata/General").attrs["title"] = "dipole"
    for name in ("original_metadata", "learning_results", "attributes"):
        group.create_group(name)


@pytest.mark.parametrize("detector_first", [False, True])
def test_zspy(detector_first: bool, tmp_path: Path) -> None:
    _zspy(tmp_path / "a.zspy", detector_first)
    scan = load_scan(tmp_path / "a.zspy", measure=False)
    check_dipole(scan)
    assert scan.storage == (2, 3)
    assert scan.calibration.step_nm == 2


def test_several_signals_of_equal_rank_in_a_zspy(tmp_path: Path) -> None:
    path = tmp_path / "a.zspy"
    _zspy(path)
    shutil.copytree(path / "Experiments/dipole", path / "Experiments/other")
    about = path / "Experiments/other/metadata/General/.zattrs"
    about.write_text(about.read_text().replace("dipole", "other"))
    with pytest.raises(ScanChoiceError, match="several data sets") as caught:
        load_scan(path)
    assert set(caught.value.datasets) == {"dipole", "other"}
    check_dipole(load_scan(path, dataset="other", measure=False))


def test_broken_zspy(tmp_path: Path) -> None:
    (tmp_path / "a.zspy").mkdir()
    with pytest.raises(ScanError, match=r"a\.zspy cannot be read"):
        load_scan(tmp_path / "a.zspy")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.seq", "convert it"),
        ("a.mat", r"'-v7\.3'"),
        ("a.dat", "without its shape"),
        ("a.vol", "without its shape"),
        ("a.frms6", "LiberTEM"),
        ("a.ptw", r"\.npy"),
        ("a.cbf", "TIFF"),
        ("a.edf", "TIFF"),
        ("a.smv", "TIFF"),
        ("a.txt", "text file"),
        ("a.zip", "unpack"),
        ("a.GTG", r"\.dm4"),
        ("a.tia", "no reader knows"),
        ("a.hspy", "no HDF5 file"),
        ("a.emd", "no HDF5 file"),
        ("a.nxs", "no HDF5 file"),
        ("a.app5", "no HDF5 file"),
        ("a.ser", "cannot be read"),
        ("a.emi", "no 4D-STEM scan"),
    ],
)
def test_what_nobody_reads_ends_in_advice(name: str, advice: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"something else, not patterns" * 40)
    with pytest.raises(ScanError, match=advice) as caught:
        load_scan(tmp_path / name)
    said = str(caught.value)
    assert str(tmp_path / name) in said
    assert said.endswith(".")
    assert "\n" not in said


def test_contents_decide_not_endings(tmp_path: Path) -> None:
    hdf5_files.hyperspy(tmp_path / "a.hspy")
    content = (tmp_path / "a.hspy").read_bytes()
    for name in ("b.emd", "b.h5", "b.nxs", "b.app5", "b.mat", "b.dat", "b.blo", "b.tif", "b"):
        (tmp_path / name).write_bytes(content)
        scan = load_scan(tmp_path / name, measure=False)
        check_dipole(scan)
        assert scan.calibration.step_nm == 2
    assert not is_hdf5(tmp_path)
    (tmp_path / "c").write_bytes(b"\0" * 100)
    assert not is_hdf5(tmp_path / "c")


@pytest.mark.parametrize("name", ["Acquisition0", "Measurement_000"])
def test_a_plain_file_with_the_names_of_another_layout(name: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file[f"{name}/data"] = make_dipole()
    check_dipole(load_scan(tmp_path / "a.h5", measure=False))


@pytest.mark.parametrize("layout", ["chunked", "contiguous", "matlab", "hyperspy", "py4dstem"])
def test_large_files_open_at_once(layout: str, tmp_path: Path) -> None:
    """8.6 GB, sparse: nothing of them is read but the last pattern."""
    shape, path = (256, 256, 256, 256), tmp_path / "a.h5"
    if layout in ("hyperspy", "py4dstem"):
        getattr(hdf5_files, layout)(path)
        name = {"hyperspy": "Experiments/dipole/data", "py4dstem": "datacube_root/datacube/data"}
        with h5py.File(path, "a") as file:
            del file[name[layout]]
            file.create_dataset(name[layout], shape, "u2", chunks=(1, 1, 256, 256))
    elif layout == "contiguous":
        with h5py.File(path, "w") as file:
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            space = h5py.h5s.create_simple(shape)
            h5py.h5d.create(file.id, b"data", h5py.h5t.STD_U16LE, space, properties)
        assert path.stat().st_size > 8e9
    else:
        with h5py.File(path, "w", userblock_size=512) as file:
            data = file.create_dataset("data", shape, "u2", chunks=(64, 64, 4, 4))
            if layout == "matlab":
                data.attrs["MATLAB_class"] = np.bytes_("uint16")
    load_scan(path, measure=False)  # what is imported once
    start = time.perf_counter()
    scan = load_scan(path, measure=False)
    assert time.perf_counter() - start < 1
    assert scan.shape == shape


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no real files here")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # its own
def test_real_files_as_rosettasciio_reads_them() -> None:
    from rsciio.emd import file_reader as emd
    from rsciio.topspin import file_reader as topspin

    def all_of(name: str, **options: int) -> np.ndarray:
        return load_scan(FOLDER / name, measure=False, sidecar=False, **options).data.compute()

    found = topspin(str(FOLDER / "app5/topspin_test_C.app5"), show_progressbar=False)
    expected = next(s["data"] for s in found if s["data"].ndim == 4)
    np.testing.assert_array_equal(all_of("app5/topspin_test_C.app5"), expected)
    path = FOLDER / "emd/py4DSTEM_size2x3x4x5.h5"
    expected = next(s["data"] for s in emd(str(path)) if s["data"].ndim == 4)
    np.testing.assert_array_equal(all_of("emd/py4DSTEM_size2x3x4x5.h5"), expected)
    simulated = emd(str(FOLDER / "emd/Si100_4D.emd"))[0]["data"]
    for depth in (0, 1):
        np.testing.assert_array_equal(
            all_of("emd/Si100_4D.emd", index=depth), simulated[depth].transpose(1, 0, 3, 2)
        )
    signals = emd(str(FOLDER / "hdf5/fpd_file_test.hdf5"))
    stored = next(s["data"] for s in signals if s["data"].ndim == 5)
    np.testing.assert_array_equal(all_of("hdf5/fpd_file_test.hdf5"), stored.T[:, :, 0])
