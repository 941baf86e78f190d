"""Merlin files: frames counted, shapes not guessed silently."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from napari_polmap.errors import ScanError, ScanShapeError
from napari_polmap.io import load_scan

RNG = np.random.default_rng(0)
DATA = RNG.integers(0, 4000, (12, 8, 10)).astype(">u2")


def write(
    path: Path, data: np.ndarray = DATA, per_line: int = 4, recorded: int | None = None
) -> Path:
    """A file as the Merlin software writes it: a header of text before each frame."""
    time = datetime(2024, 5, 6, 7, 8, 9)
    kind = {1: "U08", 2: "U16", 4: "U32"}[data.dtype.itemsize]
    with path.open("wb") as file:
        for number, frame in enumerate(data):
            time += timedelta(milliseconds=30 if number % per_line == 0 else 1)
            text = (
                f"MQ1,{number + 1:06d},00384,01,{data.shape[2]:04d},{data.shape[1]:04d},{kind},   "
                f"1x1,01,{time},0.001,0,0,0,1.0E+1,MQ1A,{time.isoformat()}000Z,1000000ns,12,"
            )
            file.write(text.encode().ljust(384) + frame[::-1].tobytes())
    if recorded is not None:
        path.with_suffix(".hdr").write_text(
            f"HDR,\t\nFrames in Acquisition (Number):\t{recorded}\n"
            "Frames per Trigger (Number):\t1\nEnd\t"
        )
    return path


@pytest.mark.parametrize("dtype", ["u1", ">u2", ">u4"])
def test_patterns_upright_with_the_given_shape(tmp_path: Path, dtype: str) -> None:
    data = (DATA % 250).astype(dtype)
    path = write(tmp_path / "a.mib", data)
    scan = load_scan(path, nav_shape=(4, 3), measure=False)
    assert scan.shape == (4, 3, 8, 10)
    assert scan.storage == (1, 1)
    np.testing.assert_array_equal(scan.data.compute(), data.reshape(4, 3, 8, 10))
    assert scan.read(slice(0, 1), slice(0, 1)).dtype.isnative
    assert scan.warnings == ()


def test_shape_from_time_stamps_is_told(tmp_path: Path) -> None:
    scan = load_scan(write(tmp_path / "a.mib", recorded=12), measure=False)
    assert scan.scan_shape == (3, 4)
    assert "time stamps" in scan.warnings[0]
    assert load_scan(write(tmp_path / "b.mib"), measure=False).scan_shape == (3, 4)


@pytest.mark.parametrize("per_line", [5, 12, 1])
def test_stamps_that_do_not_fit_ask_for_the_shape(tmp_path: Path, per_line: int) -> None:
    path = write(tmp_path / "a.mib", per_line=per_line, recorded=12)
    with pytest.raises(ScanShapeError, match="12 frames") as caught:
        load_scan(path)
    assert (3, 4) in caught.value.candidates


def test_wrong_shape(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mib", recorded=12)
    for shape in ((3, 3), (5, 4)):
        with pytest.raises(ScanShapeError, match="12 frames"):
            load_scan(path, nav_shape=shape)


@pytest.mark.parametrize("cut", [0, 100])
def test_truncated_or_stopped(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "a.mib", DATA[:7], recorded=12)
    path.write_bytes(path.read_bytes()[: -cut or None])
    found = 7 if not cut else 6
    with pytest.raises(ScanShapeError, match=f"{found} of 12 frames") as caught:
        load_scan(path)
    assert "copy the file again" in str(caught.value)
    with pytest.raises(ScanShapeError, match=f"{found} of 12 frames"):
        load_scan(path, nav_shape=(3, 4))
    scan = load_scan(path, nav_shape=(1, 4), measure=False)
    np.testing.assert_array_equal(scan.data.compute()[0], DATA[:4])
    assert "only the first 1 x 4" in scan.warnings[0]


def test_cut_within_the_first_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mib")
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(ScanError):
        load_scan(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ScanError):
        load_scan(path)


def test_raw_counts_of_the_chip_cannot_be_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mib")
    path.write_bytes(path.read_bytes().replace(b"U16", b"R64"))
    with pytest.raises(ScanError, match="cannot be read"):
        load_scan(path)
