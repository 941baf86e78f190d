"""Opening scans: formats, shapes, laziness, and every kind of bad file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from napari_polmap.errors import CalibrationError, ScanError, ScanShapeError
from napari_polmap.io import load_scan
from napari_polmap.io.signals import scan_to_signal
from napari_polmap.scan import Scan

RNG = np.random.default_rng(0)
DATA = RNG.poisson(3, (6, 5, 16, 12)).astype(np.uint16)


@pytest.fixture
def npy(tmp_path: Path) -> Path:
    np.save(tmp_path / "scan.npy", DATA)
    return tmp_path / "scan.npy"


@pytest.fixture(scope="module")
def hspy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hspy") / "scan.hspy"
    scan = Scan(DATA, step_nm=0.05, mrad_per_pixel=1.5, energy_kv=200, semi_angle_mrad=24)
    scan_to_signal(scan.calibrated(center_px=(7.5, 6.0))).save(path, chunks=(2, 3, 16, 12))
    return path


def test_npy_is_mapped(npy: Path) -> None:
    scan = load_scan(npy, measure=False)
    assert scan.shape == DATA.shape
    assert scan.name == "scan"
    assert scan.path == npy
    assert scan.calibration.sources == {}
    np.testing.assert_array_equal(scan.data.compute(), DATA)
    np.testing.assert_array_equal(scan.pattern(5, 4), DATA[5, 4])


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", ">u4", "i4", "f2", "<f4", ">f8", "?"])
def test_npy_of_any_real_dtype(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "a.npy", DATA.astype(dtype))
    scan = load_scan(tmp_path / "a.npy", measure=False)
    block = scan.read(slice(1, 3), slice(0, 5))
    assert block.dtype.isnative
    np.testing.assert_array_equal(block, DATA[1:3].astype(dtype))


def test_npy_in_fortran_order(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(DATA))
    for shape in (None, (5, 6)):
        scan = load_scan(tmp_path / "a.npy", nav_shape=shape, measure=False)
        expected = DATA.reshape(*(shape or (6, 5)), 16, 12)
        np.testing.assert_array_equal(scan.data.compute(), expected)


def test_frames_need_the_scans_shape(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", DATA.reshape(30, 16, 12))
    with pytest.raises(ScanShapeError, match=r"30 frames.*nav_shape.*\(5, 6\)") as caught:
        load_scan(tmp_path / "a.npy")
    assert set(caught.value.candidates[:2]) == {(5, 6), (6, 5)}
    with pytest.raises(ScanShapeError, match=r"30 frames.*4 x 8 = 32"):
        load_scan(tmp_path / "a.npy", nav_shape=(4, 8))
    scan = load_scan(tmp_path / "a.npy", nav_shape=(6, 5), measure=False)
    np.testing.assert_array_equal(scan.data.compute(), DATA)


def test_another_shape_of_a_scan_keeps_the_order(npy: Path, hspy: Path) -> None:
    for path in (npy, hspy):
        scan = load_scan(path, nav_shape=(10, 3), measure=False)
        np.testing.assert_array_equal(scan.data.compute(), DATA.reshape(10, 3, 16, 12))
        with pytest.raises(ScanShapeError, match="30 frames"):
            load_scan(path, nav_shape=(7, 5))


def test_index_chooses_from_more_axes(tmp_path: Path) -> None:
    five = np.stack([DATA, DATA + 1])
    np.save(tmp_path / "a.npy", five)
    with pytest.raises(ScanError, match="by index"):
        load_scan(tmp_path / "a.npy")
    with pytest.raises(ScanError, match="smaller numbers"):
        load_scan(tmp_path / "a.npy", index=2)
    scan = load_scan(tmp_path / "a.npy", index=1, measure=False)
    np.testing.assert_array_equal(scan.data.compute(), DATA + 1)
    np.save(tmp_path / "b.npy", five[None])
    scan = load_scan(tmp_path / "b.npy", index=(0, 0), measure=False)
    np.testing.assert_array_equal(scan.data.compute(), DATA)
    np.save(tmp_path / "c.npy", DATA)
    with pytest.raises(ScanError, match="no further axes"):
        load_scan(tmp_path / "c.npy", index=0)


def test_hspy_with_calibration(hspy: Path) -> None:
    scan = load_scan(hspy, measure=False)
    assert scan.storage == (2, 3)
    np.testing.assert_array_equal(scan.data.compute(), DATA)
    calibration = scan.calibration
    assert calibration.step_nm == pytest.approx(0.05)
    assert calibration.mrad_per_pixel == pytest.approx(1.5)
    assert calibration.energy_kv == 200
    assert calibration.semi_angle_mrad == 24
    assert set(calibration.sources.values()) == {"file"}
    assert scan.metadata["axes_center_px"] == pytest.approx((7.5, 6.0))


def test_the_users_values_win(hspy: Path) -> None:
    scan = load_scan(hspy, measure=False, step_nm=0.06, center_px=(8, 7), flip=True, radius_px=None)
    assert scan.calibration.step_nm == 0.06
    assert scan.calibration.center_px == (8, 7)
    assert scan.calibration.flip
    assert scan.calibration.sources["step_nm"] == "user"
    assert scan.calibration.sources["mrad_per_pixel"] == "file"
    assert "radius_px" not in scan.calibration.sources


def test_hdf5_by_contents(hspy: Path, tmp_path: Path) -> None:
    for name in ("scan.h5", "scan.hdf5"):
        (tmp_path / name).write_bytes(hspy.read_bytes())
        assert load_scan(tmp_path / name, measure=False).shape == DATA.shape
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["data"] = DATA
    np.testing.assert_array_equal(load_scan(tmp_path / "own.h5", measure=False).data, DATA)


def test_zspy(hspy: Path, tmp_path: Path) -> None:
    import zarr

    path = tmp_path / "scan.zspy"
    root = zarr.open_group(path, mode="w", zarr_format=2)
    with h5py.File(hspy) as file:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Dataset):
                target = root.create_array(
                    name, shape=item.shape, dtype=item.dtype, chunks=item.chunks or item.shape
                )
                target[...] = item[...]
            else:
                target = root.require_group(name)
            target.attrs.update(
                {k: getattr(v, "tolist", lambda v=v: v)() for k, v in item.attrs.items()}
            )

        root.attrs.update({"file_format": "ZSpy", "file_format_version": "3.3"})
        file.visititems(copy)
    scan = load_scan(path, measure=False)
    np.testing.assert_array_equal(scan.data.compute(), DATA)
    assert scan.calibration.step_nm == pytest.approx(0.05)
    assert scan.storage == (2, 3)


def test_bad_pixels_from_array_and_files(npy: Path, tmp_path: Path) -> None:
    mask = np.zeros((16, 12), np.uint8)
    mask[3, 4] = 255
    np.save(tmp_path / "mask.npy", mask)
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    for given in (mask, mask > 0, tmp_path / "mask.npy", str(tmp_path / "mask.tif")):
        scan = load_scan(npy, bad_pixels=given, measure=False)
        assert scan.bad_pixels is not None
        assert np.argwhere(scan.bad_pixels).tolist() == [[3, 4]]
    with pytest.raises(ScanError, match=r"shape \(12, 16\).*\(16, 12\)"):
        load_scan(npy, bad_pixels=mask.T)
    with pytest.raises(ScanError, match=r"mask of bad pixels .*none\.npy cannot be read"):
        load_scan(npy, bad_pixels=tmp_path / "none.npy")


def test_wrong_arguments(npy: Path) -> None:
    with pytest.raises(CalibrationError, match="step_nm must be a positive number"):
        load_scan(npy, step_nm=-1)
    with pytest.raises(CalibrationError, match="no calibration value 'steps'"):
        load_scan(npy, steps=1)
    with pytest.raises(ScanError, match="two positive numbers"):
        load_scan(npy, nav_shape=(5,))
    with pytest.raises(ScanError, match="two positive numbers"):
        load_scan(npy, nav_shape=(0, 5))


def test_missing_and_empty(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="There is no file or folder"):
        load_scan(tmp_path / "none.npy")
    for name in ("a.npy", "a.hspy", "a.mib", "a.blo", "a.tif"):
        (tmp_path / name).touch()
        with pytest.raises(ScanError, match=r"empty \(0 bytes\)"):
            load_scan(tmp_path / name)


@pytest.mark.parametrize("keep", [20, 150, -1000, -1])
def test_truncated_npy(npy: Path, keep: int) -> None:
    npy.write_bytes(npy.read_bytes()[:keep])
    with pytest.raises(ScanError, match="cannot be read"):
        load_scan(npy)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_truncated_hspy(hspy: Path, tmp_path: Path, share: float) -> None:
    content = hspy.read_bytes()
    path = tmp_path / "cut.hspy"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ScanError, match=r"cut\.hspy cannot be read"):
        load_scan(path)


@pytest.mark.parametrize(
    "ending", [".hspy", ".mib", ".blo", ".npy", ".emd", ".dm4", ".mrc", ".xml"]
)
def test_nonsense_in_every_format(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    path.write_bytes(b"what is this? " * 200)
    with pytest.raises(ScanError) as caught:
        load_scan(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(16,), (16, 12), (1, 2, 3, 4, 16, 12)])
def test_wrong_dimensions(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape))
    with pytest.raises(ScanError, match=f"{len(shape)} axes"):
        load_scan(tmp_path / "a.npy")


def test_empty_axis_and_wrong_dtypes(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((0, 3, 4, 5)))
    with pytest.raises(ScanError, match=r"cannot be read|is empty"):
        load_scan(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", DATA.astype(np.complex64))
    with pytest.raises(ScanError, match=r"real numbers.*complex64"):
        load_scan(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ScanError, match="cannot be read"):
        load_scan(tmp_path / "a.npy")
    np.savez(tmp_path / "b", a=DATA)
    (tmp_path / "b.npz").rename(tmp_path / "a.npy")
    with pytest.raises(ScanError, match="archive of several arrays"):
        load_scan(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.raw", r"\.xml file beside it"),
        ("a.hdr", r"\.mib file beside it"),
        ("a.mat", r"\.npy"),
        ("a.npz", r"\.npy"),
        ("a.bin", r"\.npy"),
        ("a.gtg", r"\.dm4"),
        ("a.toml", "data set"),
        ("a.xyz", "ending .xyz, which no reader knows"),
        ("a", "no ending"),
    ],
)
def test_unknown_kinds_say_what_to_open(tmp_path: Path, name: str, advice: str) -> None:
    (tmp_path / name).write_bytes(b"something")
    with pytest.raises(ScanError, match=advice):
        load_scan(tmp_path / name)


def test_pointer_of_git_lfs(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    with pytest.raises(ScanError, match="git lfs pull"):
        load_scan(tmp_path / "a.npy")


def test_a_map_is_no_scan(tmp_path: Path) -> None:
    path = tmp_path / "m.zarr"
    path.mkdir()
    (path / "zarr.json").write_text(
        '{"attributes": {"napari_polmap": {"format": "polarization map", "version": 1}}}'
    )
    with pytest.raises(ScanError, match="load_map"):
        load_scan(path)


def test_nothing_in_the_patterns(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 5, 16, 12), np.uint8))
    with pytest.raises(ScanError, match=r"All sampled patterns .* are zero"):
        load_scan(tmp_path / "a.npy")
    assert load_scan(tmp_path / "a.npy", measure=False).shape == (4, 5, 16, 12)
    np.save(tmp_path / "a.npy", np.full((4, 5, 16, 12), np.nan, np.float32))
    with pytest.raises(ScanError, match="not finite"):
        load_scan(tmp_path / "a.npy")
    some = DATA.astype(np.float32)
    some[2] = np.nan
    np.save(tmp_path / "a.npy", some)
    assert "not finite" in " ".join(load_scan(tmp_path / "a.npy").warnings)


def test_a_file_that_breaks_later(npy: Path, tmp_path: Path) -> None:
    path = tmp_path / "later.hspy"
    with h5py.File(path, "w") as file:
        file.attrs["file_format"] = "HyperSpy"
    with pytest.raises(ScanError, match=r"later\.hspy"):
        load_scan(path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["npy", "hspy"])
def test_memory_stays_small(tmp_path: Path, kind: str) -> None:
    """More than 2 GB of patterns under a limit on anonymous memory."""
    path = tmp_path / f"big.{kind}"
    shape = (136, 128, 256, 256)
    if kind == "npy":
        big = np.lib.format.open_memmap(path, mode="w+", dtype="<u2", shape=shape)
        big[0, :, 10, 10] = 1
        big.flush()
        del big
    else:
        with h5py.File(path, "w") as file:
            file.attrs.update({"file_format": "HyperSpy", "file_format_version": "3.3"})
            group = file.create_group("Experiments/big")
            for name in ("metadata/General", "original_metadata", "learning_results", "attributes"):
                group.create_group(name)
            group["metadata/General"].attrs["title"] = "big"
            for number, size in enumerate(shape):
                group.create_group(f"axis-{number}").attrs.update(
                    {"name": "yxkk"[number], "size": size, "scale": 1.0, "offset": 0.0,
                     "units": "", "navigate": number < 2, "index_in_array": number}
                )  # fmt: skip
            group.create_dataset("data", shape, "u2", chunks=(8, 8, 256, 256), compression="gzip")
    code = f"""
from napari_polmap.io import load_scan
scan = load_scan({str(path)!r}, measure=False)
assert scan.nbytes > 2e9
scan.read(*next(iter(scan.blocks())))
scan.strided(64)
scan.identity()
lines = open("/proc/self/status").read().splitlines()
print([int(line.split()[1]) for line in lines if line.startswith("RssAnon")][0] / 1024)
"""
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 200
