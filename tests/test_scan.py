"""Scan: lazy arrays of any kind, blocks, patterns, samples, identity."""

from __future__ import annotations

from pathlib import Path

import dask.array as da
import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.errors import CalibrationError, ScanError
from napari_polmap.scan import CHUNK_BYTES, Scan, ScanIdentity, scan_chunks

RNG = np.random.default_rng(0)
DATA = RNG.poisson(3, (11, 13, 8, 6)).astype(np.uint16)


class Recording:
    """An array that tells what was read of it."""

    ndim = 4

    def __init__(self, shape: tuple[int, ...], dtype: str = "u2") -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.read: list[tuple[int, ...]] = []

    def __getitem__(self, key) -> np.ndarray:
        sizes = tuple(len(range(*s.indices(n))) for s, n in zip(key, self.shape, strict=True))
        if np.prod(sizes):  # dask looks at an empty part for the kind of array
            self.read.append(sizes)
        return np.ones(sizes, self.dtype)

    def copy(self):
        raise AssertionError("read whole")


@pytest.mark.parametrize("kind", ["numpy", "dask", "small chunks", "split detector", "mapped"])
def test_every_kind_of_array(kind: str, tmp_path: Path) -> None:
    array = {
        "numpy": lambda: DATA,
        "dask": lambda: da.from_array(DATA, chunks=(4, 5, 8, 6)),
        "small chunks": lambda: da.from_array(DATA, chunks=(1, 1, 8, 6)),
        "split detector": lambda: da.from_array(DATA, chunks=(4, 5, 3, 2)),
        "mapped": lambda: np.memmap(tmp_path / "a.raw", DATA.dtype, "w+", shape=DATA.shape),
    }[kind]()
    if kind == "mapped":
        array[:] = DATA
    scan = Scan(array)
    assert scan.shape == DATA.shape
    assert scan.scan_shape == (11, 13)
    assert scan.detector_shape == (8, 6)
    assert scan.nbytes == DATA.nbytes
    assert all(len(chunks) == 1 for chunks in scan.data.chunks[2:])
    np.testing.assert_array_equal(scan.data.compute(), DATA)
    np.testing.assert_array_equal(scan.read(slice(2, 7), slice(3, 13)), DATA[2:7, 3:13])
    for y, x in ((0, 0), (10, 12), (5, 5), (5, 6)):
        np.testing.assert_array_equal(scan.pattern(y, x), DATA[y, x])
    again = scan.calibrated(step_nm=0.1)
    np.testing.assert_array_equal(again.pattern(3, 4), DATA[3, 4])
    assert again.storage == scan.storage


def test_blocks_tile_the_scan_and_its_regions() -> None:
    scan = Scan(da.from_array(DATA, chunks=(4, 5, 8, 6)))
    for region in (None, (slice(3, 9), slice(0, 6))):
        seen = np.zeros(scan.scan_shape, int)
        for rows, columns in scan.blocks(region):
            seen[rows, columns] += 1
        expected = np.zeros_like(seen)
        expected[region or (slice(None), slice(None))] = 1
        np.testing.assert_array_equal(seen, expected)


def test_chunks_are_whole_patterns_of_tens_of_megabytes() -> None:
    for shape, itemsize in (((256, 256, 256, 256), 2), ((512, 30, 128, 128), 4), ((3, 4, 9, 9), 8)):
        rows, columns, *detector = scan_chunks(shape, itemsize)
        assert tuple(detector) == shape[2:]
        size = rows * columns * np.prod(detector) * itemsize
        assert size <= CHUNK_BYTES
        assert size > CHUNK_BYTES / 3 or (rows, columns) == shape[:2]
    rows, columns, *_ = scan_chunks((256, 256, 256, 256), 2, storage=(4, 8))
    assert rows % 4 == columns % 8 == 0
    assert scan_chunks((10, 10, 2048, 2048), 4)[:2] == (2, 1)


def test_nothing_is_read_until_it_is_needed() -> None:
    source = Recording((256, 256, 256, 256))
    scan = Scan(source)
    assert source.read == []
    scan.pattern(100, 100)
    assert source.read == [(1, 1, 256, 256)]
    source.read.clear()
    scan.strided(64)
    assert sum(rows * columns for rows, columns, *_ in source.read) <= 100
    source.read.clear()
    scan.read(slice(3, 5), slice(0, 4))
    assert source.read == [(2, 4, 256, 256)]


def test_what_is_stored_together_is_read_once() -> None:
    source = Recording((64, 64, 32, 32))
    scan = Scan(source, storage=(8, 8))
    for x in range(8, 16):
        scan.pattern(3, x)
    assert source.read == [(8, 8, 32, 32)]
    scan.pattern(9, 9)
    assert len(source.read) == 2


def test_samples_touch_few_of_the_stored_blocks() -> None:
    source = Recording((256, 256, 128, 128))
    scan = Scan(source, storage=(32, 32))  # 32 MB each
    patterns = scan.strided(256)
    assert 200 <= len(patterns) <= 400
    assert len(source.read) == 4


def test_samples_are_spread() -> None:
    rows, columns = np.indices((40, 60))
    data = np.stack([rows, columns], axis=-1)[:, :, None, :]
    sample = Scan(data).strided(150)[:, 0]
    assert 100 <= len(sample) <= 200
    np.testing.assert_allclose(sample.mean(0), (19.5, 29.5), atol=1.5)
    whole = Scan(data).strided(10**6)
    assert len(whole) == 2400
    assert len(Scan(data[:1, :1]).strided(4)) == 1


def test_byte_order_becomes_the_machines() -> None:
    scan = Scan(DATA.astype(">u2"))
    assert scan.dtype == np.dtype(">u2")
    assert scan.read(slice(0, 1), slice(0, 1)).dtype.isnative
    assert scan.strided(4).dtype.isnative
    assert scan.pattern(0, 0).dtype.isnative


def test_identity_follows_the_data_not_the_file(tmp_path: Path) -> None:
    one = Scan(DATA).identity()
    assert one.path is None
    assert one.same_data(Scan(da.from_array(DATA, chunks=(2, 2, 8, 6))).identity())
    assert one.same_data(Scan(DATA.astype(">u2")).identity())
    assert one.same_data(Scan(DATA, storage=(4, 4)).identity())
    changed = DATA.copy()
    changed[2::5] += 1
    changed[3::6] += 1
    assert not one.same_data(Scan(changed + 1).identity())
    assert not one.same_data(Scan(DATA.astype(np.float32)).identity())
    np.save(tmp_path / "a.npy", DATA)
    filed = Scan(DATA, path=tmp_path / "a.npy").identity()
    assert filed.size_bytes == (tmp_path / "a.npy").stat().st_size
    assert filed.same_data(one)
    assert ScanIdentity.from_dict(filed.to_dict()) == filed


def test_calibration_and_names() -> None:
    scan = Scan(DATA, Calibration().updated("file", step_nm=0.1), step_nm=0.2, name="wall")
    assert scan.calibration.step_nm == 0.2
    assert scan.calibration.sources["step_nm"] == "user"
    assert "wall" in repr(scan)
    assert "(11, 13, 8, 6)" in repr(scan)
    assert Scan(DATA, path=Path("/x/y.mib")).name == "y"
    told = scan.with_calibration(scan.calibration, ("mind the step",))
    assert told.warnings == ("mind the step",)
    assert told.calibrated(step_nm=1.0).warnings == ("mind the step",)
    with pytest.raises(CalibrationError):
        Scan(DATA, step_nm=-1)


def test_bad_pixels() -> None:
    mask = np.zeros((8, 6), np.uint8)
    mask[1, 1] = 1
    scan = Scan(DATA, bad_pixels=mask)
    assert scan.bad_pixels is not None
    assert scan.bad_pixels.dtype == bool
    assert scan.calibrated(step_nm=1.0).bad_pixels is not None
    with pytest.raises(ScanError, match=r"\(6, 8\)"):
        Scan(DATA, bad_pixels=mask.T)
    with pytest.raises(ScanError, match="100%"):
        Scan(DATA, bad_pixels=np.ones((8, 6)))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (DATA[0], "has 3"),
        (DATA[None], "has 5"),
        (DATA[:0], "empty"),
        (DATA.astype(complex), "real numbers"),
        (DATA.astype("U3"), "real numbers"),
        ([1, 2], "has 0"),
    ],
)
def test_other_arrays_are_refused(array, message: str) -> None:
    with pytest.raises(ScanError, match=message):
        Scan(array)


def test_a_source_that_fails_is_named() -> None:
    class Broken(Recording):
        def __getitem__(self, key):
            if 0 in np.empty(self.shape, "?")[key].shape:
                return np.empty((0, 0, 0, 0), self.dtype)
            raise OSError("the disk\nis gone")

    scan = Scan(Broken((4, 4, 3, 3)), name="scan 7")
    for action in (lambda: scan.pattern(0, 0), scan.strided, scan.identity):
        with pytest.raises(ScanError, match=r"scan 7 cannot be read .*the disk is gone"):
            action()


def test_a_region_is_a_scan_of_its_own() -> None:
    data = np.arange(6 * 8 * 4, dtype=np.uint16).reshape(6, 8, 2, 2)
    scan = Scan(data, center_px=(1.0, 1.0), descan_px=(0.1, 0.0, 0.0, 0.2))
    cut = scan.region(slice(2, None), slice(1, 4))
    np.testing.assert_array_equal(cut.data.compute(), data[2:, 1:4])
    for y, x in np.ndindex(4, 3):
        whole = scan.calibration.center_at(y + 2, x + 1, (6, 8))
        np.testing.assert_allclose(cut.calibration.center_at(y, x, (4, 3)), whole)
    assert not cut.identity().same_data(scan.identity())
    with pytest.raises(ScanError, match="holds no position"):
        scan.region(slice(3, 3), slice(0, 8))
