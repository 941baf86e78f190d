"""Merlin files: frames counted, shapes not guessed silently."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from napari_polmap.errors import ScanError, ScanShapeError
from napari_polmap.io import load_scan
from tests.io.dipole import check_dipole, make_dipole

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


def write_raw(path: Path, data: np.ndarray, depth: int, quad: bool = False) -> Path:
    """Raw frames as the chips send them; rows from the bottom up as in all Merlin files."""
    height, width = data.shape[1:]
    shown = data[:, ::-1]
    if quad:
        h, w = height // 2, width // 2
        chips = [
            shown[:, h:, w:][:, ::-1, ::-1],
            shown[:, h:, :w][:, ::-1, ::-1],
            shown[:, :h, w:],
            shown[:, :h, :w],
        ]
        shown = np.concatenate(chips, axis=2)
    columns = shown.shape[2] * (2 if depth == 24 else 1)
    head = 768 if quad else 384
    layout = ("2x2", 4) if quad else ("1x1", 1)
    with path.open("wb") as file:
        for number, frame in enumerate(shown):
            text = (
                f"MQ1,{number + 1:06d},{head:05d},{layout[1]:02d},{columns:04d},"
                f"{shown.shape[1]:04d},R64,   {layout[0]},0F,2024-05-06 07:08:09,0.001,0,0,0,MQ1A,"
                f"2024-05-06T07:08:09.000000000Z,1000000ns,{depth},"
            )
            file.write(text.encode().ljust(head, b"\0"))
            pixels = frame.ravel().astype(np.uint64)
            if depth == 1:
                bits = np.packbits(pixels.astype(bool), bitorder="little")
                file.write(bits.reshape(-1, 8)[:, ::-1].tobytes())
            elif depth == 6:
                file.write(pixels.astype("u1").reshape(-1, 8)[:, ::-1].tobytes())
            else:
                parts = [pixels] if depth == 12 else [pixels >> np.uint64(12), pixels % 4096]
                for part in parts:
                    file.write(part.astype(">u2").reshape(-1, 4)[:, ::-1].tobytes())
    return path


@pytest.mark.parametrize(
    ("depth", "dtype", "quad"),
    [
        (1, "u1", False),
        (6, "u1", False),
        (12, "u2", False),
        (24, "u4", False),
        (1, "u1", True),
        (6, "u1", True),
        (12, "u2", True),
    ],
)
def test_raw_frames_of_the_chips(tmp_path: Path, depth: int, dtype: str, quad: bool) -> None:
    shape = (6, 16, 128) if quad else (6, 16, 64)
    data = RNG.integers(0, 2**depth, shape)
    path = write_raw(tmp_path / "a.mib", data, depth, quad)
    scan = load_scan(path, nav_shape=(2, 3), measure=False)
    assert scan.dtype == dtype
    np.testing.assert_array_equal(scan.data.compute(), data.reshape(2, 3, *shape[1:]))
    np.testing.assert_array_equal(scan.pattern(1, 2), data[5])
    np.testing.assert_array_equal(scan.data[0, 1, 3:9:2, ::-1].compute(), data[1, 3:9:2, ::-1])


@pytest.mark.parametrize(("depth", "quad"), [(24, True), (7, False)])
def test_raw_frames_that_cannot_be_read(tmp_path: Path, depth: int, quad: bool) -> None:
    path = write_raw(tmp_path / "a.mib", RNG.integers(0, 9, (6, 16, 64)), 12)
    content = path.read_bytes().replace(b"1000000ns,12,", f"1000000ns,{depth},".encode())
    path.write_bytes(
        content.replace(b",01,0064", b",04,0064").replace(b"1x1", b"2x2") if quad else content
    )
    with pytest.raises(ScanError, match=r"save (it|the scan) from"):
        load_scan(path)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4"])
@pytest.mark.parametrize("quad", [False, True])
def test_dipole(tmp_path: Path, dtype: str, quad: bool) -> None:
    data = make_dipole(dtype=dtype)
    path = write(tmp_path / "a.mib", data.reshape(15, 8, 7).astype(f">{dtype}"), per_line=5)
    if quad:
        content = path.read_bytes()
        head, size = 384, 384 + data[0, 0].nbytes
        frames = [content[i : i + size] for i in range(0, len(content), size)]
        path.write_bytes(
            b"".join(
                frame[:head].replace(b",00384,01,", b",00768,04,").replace(b"1x1", b"2x2")
                + bytes(384)
                + frame[head:]
                for frame in frames
            )
        )
    check_dipole(load_scan(path, measure=False))
    check_dipole(load_scan(path, nav_shape=(3, 5), measure=False))


def test_frames_left_over_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mib", np.concatenate([DATA, DATA[:2]]).astype(">u2"), recorded=14)
    scan = load_scan(path, nav_shape=(3, 4), measure=False)
    np.testing.assert_array_equal(scan.data.compute(), DATA.reshape(3, 4, 8, 10))
    assert scan.warnings[0].startswith("The last 2 of 14 frames are left out")


@pytest.mark.parametrize("extra_us", [20, 500, 1_000_000])
def test_rows_by_small_and_large_pauses(tmp_path: Path, extra_us: int) -> None:
    """Real files differ by 20 microseconds in 0.1 s at a row's end, with jitter."""
    path = write(tmp_path / "a.mib")
    time, content = datetime(2024, 5, 6), path.read_bytes()
    frame_bytes = len(content) // 12
    frames = []
    for number in range(12):
        time += timedelta(microseconds=102_000 + int(RNG.integers(0, 3)))
        time += timedelta(microseconds=extra_us if number % 4 == 0 else 0)
        frame = content[number * frame_bytes : (number + 1) * frame_bytes]
        start = frame.rindex(b"T", 0, 384) - 10
        stamp = time.isoformat(timespec="microseconds").encode() + b"000Z,1000000ns,12,"
        frames.append((frame[:start] + stamp).ljust(384) + frame[384:])
    path.write_bytes(b"".join(frames))
    assert load_scan(path, measure=False).scan_shape == (3, 4)


def test_frames_per_trigger(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mib", per_line=12, recorded=12)
    header = path.with_suffix(".hdr")
    header.write_text(header.read_text().replace("(Number):\t1\n", "(Number):\t6\n"))
    assert load_scan(path, measure=False).scan_shape == (2, 6)
