"""What a file holds and how it looks, as a job that yields."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from napari_polmap import load_scan
from napari_polmap.errors import ScanError
from napari_polmap.io.sidecar import save_sidecar
from napari_polmap.viewer.import_preview import Facts, Look, Opened, iter_import, kept_options


def make_data(scan_shape: tuple[int, int] = (12, 20)) -> np.ndarray:
    """Counts with a disk that is brighter in the scan's upper left quarter."""
    rows, columns = np.indices((24, 32))
    disk = np.hypot(rows - 11, columns - 14) < 7.5
    bright = np.full(scan_shape, 40)
    bright[: scan_shape[0] // 2, : scan_shape[1] // 2] = 90
    rate = np.where(disk, bright[..., None, None], 1)
    return np.random.default_rng(2).poisson(rate).astype(np.uint16)


def look(
    path: Path, options: dict[str, Any] | None = None, *args: Any
) -> tuple[Facts, Opened, Look]:
    steps = list(iter_import(path, options, *args))
    return steps[0], steps[1], steps[-1]


def test_a_stack_is_shown_in_its_likeliest_shape(tmp_path: Path) -> None:
    data = make_data((16, 16))
    np.save(tmp_path / "stack.npy", data.reshape(-1, 24, 32))
    facts, opened, last = look(tmp_path / "stack.npy", None, "bright field")
    assert facts.own_shape is None
    assert facts.shapes[0] == (16, 16, 0)
    assert opened.options == {"nav_shape": (16, 16)}
    assert last.scan.calibration.center_px == pytest.approx((11, 14), abs=0.3)
    assert last.image is not None
    assert last.image[:8, :8].mean() > 1.8 * last.image[8:].mean()
    np.testing.assert_allclose(last.mean, data.mean((0, 1)), atol=1)


def test_the_finest_image_is_that_of_every_position(tmp_path: Path) -> None:
    data = make_data()
    np.save(tmp_path / "scan.npy", data)
    mask = np.zeros((24, 32))
    mask[3, 4] = 1
    np.save(tmp_path / "mask.npy", mask)
    facts, opened, last = look(tmp_path / "scan.npy", {"bad_pixels": tmp_path / "mask.npy"})
    assert facts.own_shape == (12, 20)
    assert opened.scan.scan_shape == (12, 20)
    np.testing.assert_allclose(last.image, data.sum((2, 3)) - data[..., 3, 4].astype(float))
    assert np.isnan(last.mean[3, 4])


def test_data_sets_and_indices_are_chosen_at_first(tmp_path: Path) -> None:
    data = make_data()
    with h5py.File(tmp_path / "several.h5", "w") as file:
        file["one"], file["two"], file["small"] = data, data[:, ::-1], data[:3]
    facts, opened, _ = look(tmp_path / "several.h5")
    assert [array.name for array in facts.arrays] == ["one", "two", "small"]
    assert facts.arrays[2].shape == (3, 20, 24, 32)
    assert opened.options == {"dataset": "one"}
    facts, opened, _ = look(tmp_path / "several.h5", {"dataset": "small"}, "sum", facts)
    assert opened.scan.scan_shape == (3, 20)
    np.save(tmp_path / "five.npy", np.stack([data, data]))
    facts, opened, _ = look(tmp_path / "five.npy")
    assert (facts.lengths, opened.options) == ((2,), {"index": (0,)})
    again = look(tmp_path / "five.npy", {"index": (1,)}, "sum", facts)
    assert again[0] is facts, "nothing is looked up twice"


def test_shapes_are_as_recorded_for_transposed_scans(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", make_data().transpose(2, 3, 1, 0))
    facts, opened, _ = look(tmp_path / "scan.npy", {"axes": "ky,kx,x,y"})
    assert opened.scan.shape == (12, 20, 24, 32)
    assert facts.own_shape == (20, 12)
    assert facts.shapes[0][:2] == (20, 12)


def test_a_scan_comes_back_as_it_was_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", make_data())
    scan = load_scan(tmp_path / "scan.npy", axes="x,y,ky,kx", flyback=1, rotation_deg=30)
    save_sidecar(scan)
    _, opened, _ = look(tmp_path / "scan.npy")
    assert opened.options == {"axes": "x,y,ky,kx", "flyback": 1, "rotation_deg": 30.0}
    assert kept_options(tmp_path / "scan.npy") == opened.options
    assert opened.scan.scan_shape == (19, 12)


def test_what_is_no_scan_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("nothing")
    for path in (tmp_path / "text.txt", tmp_path / "missing.npy"):
        with pytest.raises(ScanError):
            list(iter_import(path))


def test_a_scan_without_a_disk_shows_its_sum(tmp_path: Path) -> None:
    data = np.zeros((6, 8, 16, 16), np.uint8)
    data[2, 3] = 1
    np.save(tmp_path / "dark.npy", data)
    last = look(tmp_path / "dark.npy", None, "bright field")[2]
    np.testing.assert_array_equal(last.image, data.sum((2, 3), dtype=np.float32))


def test_gigabytes_are_looked_at_in_about_a_second(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    # A file with holes: its size is real, its place on the disk is not.
    large = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint16, shape=(256,) * 4)
    large[::64, ::64, 100:140, 100:140] = 1
    del large
    next(iter(iter_import(path)))  # imports
    start, times = time.perf_counter(), []
    for step in iter_import(path, None, "bright field"):
        times.append(time.perf_counter() - start)
        if isinstance(step, Look) and step.image is not None:
            break
    # 0.6 s on a quiet machine; no step keeps a newer wish waiting for long.
    assert times[-1] < 4
    assert max(np.diff([0, *times])) < 2.5
