"""TVIPS recordings: parts, frames before and after the scan, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rsciio.tvips import file_writer

from napari_polmap.errors import ScanError, ScanShapeError
from napari_polmap.io import load_scan
from tests.io.dipole import check_dipole, make_dipole

FRAME_BYTES = 60 + 8 * 7 * 2
HEADER_BYTES = 256


def write(
    folder: Path, data: np.ndarray | None = None, *, parts: int = 1, version: int = 2
) -> Path:
    """As RosettaSciIO writes them; returns the first part."""
    data = make_dipole() if data is None else data
    names = ("y", "x", "ky", "kx")[-data.ndim :]
    axes = [
        {
            "size": size,
            "name": name,
            "scale": 1,
            "offset": 0,
            "units": "1/nm" if "k" in name else "nm",
            "navigate": "k" not in name,
        }
        for size, name in zip(data.shape, names, strict=True)
    ]
    metadata = {"Acquisition_instrument": {"TEM": {"beam_energy": 200}}}
    signal = {
        "data": data,
        "axes": axes,
        "metadata": metadata,
        "original_metadata": {},
        "attributes": {"_lazy": False},
    }
    frames = int(np.prod(data.shape[:-2]))
    # The first part holds the header as well.
    size = HEADER_BYTES + frames // parts * FRAME_BYTES
    file_writer(
        str(folder / "scan_000.tvips"),
        signal,
        max_file_size=size if parts > 1 else None,
        version=version,
        show_progressbar=False,
    )
    return folder / "scan_000.tvips"


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_dipole_in_parts(tmp_path: Path, dtype: str, parts: int) -> None:
    path = write(tmp_path, make_dipole(dtype=dtype), parts=1 if dtype == "u1" else parts)
    if dtype == "u2":
        assert len(list(tmp_path.glob("*.tvips"))) == parts
    scan = load_scan(path, nav_shape=(3, 5), measure=False)
    check_dipole(scan)
    assert scan.calibration.energy_kv == 200
    # The camera's pixel in nm is no scale of the pattern.
    assert scan.calibration.mrad_per_pixel is None
    assert scan.warnings == ()


def test_one_file_without_a_number(tmp_path: Path) -> None:
    path = write(tmp_path).rename(tmp_path / "scan.tvips")
    check_dipole(load_scan(path, nav_shape=(3, 5), measure=False))


def test_the_shape_must_be_given(tmp_path: Path) -> None:
    square = make_dipole((4, 4, 8, 7))
    with pytest.raises(ScanShapeError, match=r"16 frames.*likely one of \(4, 4\)") as caught:
        load_scan(write(tmp_path, square))
    assert caught.value.frames == 16
    with pytest.raises(ScanShapeError, match="do not fit"):
        load_scan(write(tmp_path, square), nav_shape=(3, 4))


@pytest.mark.parametrize("after", [0, 7])
def test_frames_before_and_after_the_scan(tmp_path: Path, after: int) -> None:
    """The camera runs before the scan begins; its frames' numbers tell."""
    before = 4
    frames = make_dipole().reshape(15, 8, 7)
    path = write(tmp_path, np.concatenate([frames[:before], frames, frames[:after]]), parts=3)
    number = 0
    for part in sorted(tmp_path.glob("*.tvips")):
        content = bytearray(part.read_bytes())
        start = HEADER_BYTES if part == path else 0
        for at in range(start + 48, len(content), FRAME_BYTES):
            index = min(15, max(0, number - before + 1))
            content[at : at + 4] = index.to_bytes(4, "little")
            number += 1
        part.write_bytes(content)
    scan = load_scan(path, nav_shape=(3, 5), measure=False)
    check_dipole(scan)
    told = f"begins at frame 4 by the frames' own numbers; 4 frames before it and {after} after it"
    assert told in scan.warnings[0]


def test_missing_and_later_parts(tmp_path: Path) -> None:
    path = write(tmp_path, parts=4)
    with pytest.raises(ScanError, match=r"is part 2 .* open scan_000\.tvips"):
        load_scan(tmp_path / "scan_002.tvips", nav_shape=(3, 5))
    (tmp_path / "scan_002.tvips").unlink()
    with pytest.raises(ScanError, match=r"scan_002\.tvips is missing"):
        load_scan(path, nav_shape=(3, 5))


def test_cut_off(tmp_path: Path) -> None:
    path = write(tmp_path, parts=2)
    last = tmp_path / "scan_001.tvips"
    last.write_bytes(last.read_bytes()[:-30])
    with pytest.raises(ScanShapeError, match="14 whole frames, the last one cut off"):
        load_scan(path, nav_shape=(3, 5))
    scan = load_scan(path, nav_shape=(2, 5), measure=False)
    check_dipole(scan, (2, 5, 8, 7))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ScanError, match=r"scan_000\.tvips is cut off within frame 6"):
        load_scan(path, nav_shape=(2, 5))


@pytest.mark.parametrize("content", [b"what is this? " * 99, b"short", bytes(300)])
def test_other_contents(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a_000.tvips"
    path.write_bytes(content)
    with pytest.raises(ScanError, match="not a TVIPS recording"):
        load_scan(path, nav_shape=(3, 5))
