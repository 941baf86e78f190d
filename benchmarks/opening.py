"""How long it takes to open large files, against the lazy opening of the format's own reader.

Files of 256 x 256 patterns of 256 x 256 pixels (8.6 GB of 16-bit counts; of holes mostly, so that
they take little room) are written into a folder, and each is opened in fresh processes whose
modules are loaded already: by the reader alone (RosettaSciIO, NumPy or tifffile), by `load_scan`
without measuring, and by `load_scan` until the patterns that it would measure in are read
("sampled": they are zeros). MB is the memory of the process without what files are mapped.

    python benchmarks/opening.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).parents[1]
SHAPE = (256, 256, 256, 256)
FRAMES = SHAPE[0] * SHAPE[1]
FRAME_BYTES = SHAPE[2] * SHAPE[3] * 2

TIMED = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {repository!r})
import numpy as np, tifffile, dask.array, h5py
import rsciio.quantumdetector, rsciio.blockfile, rsciio.mrc, rsciio.digitalmicrograph, rsciio.hspy
import rsciio.tvips, rsciio.empad
from napari_polmap import load_scan
import napari_polmap.diffraction.measure
path = {path!r}
start = time.perf_counter()
{statement}
seconds = time.perf_counter() - start
anonymous = [l for l in open("/proc/self/status") if l.startswith("RssAnon")][0].split()[1]
print(json.dumps([seconds, int(anonymous) / 1024]))
"""


def write_npy(path: Path) -> None:
    header = np.lib.format.header_data_from_array_1_0(np.empty(0, "<u2"))
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {**header, "shape": SHAPE})
        file.truncate(file.tell() + FRAMES * FRAME_BYTES)


def write_mib(path: Path) -> None:
    time = datetime(2024, 5, 6, 7, 8, 9)
    with path.open("wb") as file:
        for number in range(FRAMES):
            time += timedelta(milliseconds=30 if number % SHAPE[1] == 0 else 1)
            text = (
                f"MQ1,{number + 1:06d},00384,01,0256,0256,U16,   1x1,01,{time},0.001,0,0,0,MQ1A,"
                f"{time.isoformat(timespec='microseconds')}000Z,1000000ns,12,"
            )
            file.seek(number * (384 + FRAME_BYTES))
            file.write(text.encode().ljust(384, b"\0"))
        file.truncate(FRAMES * (384 + FRAME_BYTES))


def write_blo(path: Path) -> None:
    from rsciio.blockfile._api import get_default_header

    header = get_default_header()
    header["DP_SZ"], header["NY"], header["NX"] = 362, 256, 256  # bytes: as large as the others
    header["SX"] = header["SY"] = 0.5
    header["Data_offset_2"] = 0x1000 + FRAMES
    with path.open("wb") as file:
        header.tofile(file)
        file.truncate(0x1000 + FRAMES + FRAMES * (362 * 362 + 6))


def write_mrc(path: Path) -> None:
    header = np.zeros(256, "<i4")
    header[:4] = 256, 256, FRAMES, 6
    with path.open("wb") as file:
        header.tofile(file)
        file.truncate(1024 + FRAMES * FRAME_BYTES)


def write_dm4(path: Path) -> None:
    sys.path.insert(0, str(REPOSITORY))
    from tests.io.dm4 import write_sparse_dm4

    write_sparse_dm4(path, SHAPE, "<u2", tags={"Meta Data": {"Data Order Swapped": True}})


def write_old_dm4(path: Path) -> None:
    sys.path.insert(0, str(REPOSITORY))
    from tests.io.dm4 import write_sparse_dm4

    write_sparse_dm4(path, SHAPE, "<u2", tags={"Meta Data": {"Data Order Swapped": False}})


def write_tvips(path: Path) -> None:
    header = np.zeros(64, "<u4")
    header[:5] = 256, 2, 256, 256, 16
    header[12] = 60
    with path.open("wb") as file:
        header.tofile(file)
        file.truncate(256 + FRAMES * (60 + FRAME_BYTES))


def write_empad(path: Path) -> None:
    path.write_text(
        '<root><pix_x>256</pix_x><pix_y>256</pix_y><raw_file filename="scan.raw"/></root>'
    )
    with path.with_name("scan.raw").open("wb") as file:
        file.truncate(FRAMES * 130 * 128 * 4)


def write_tiff(path: Path) -> None:
    import tifffile

    tifffile.memmap(path, shape=(FRAMES, *SHAPE[2:]), dtype="<u2", bigtiff=True)


def write_hspy(path: Path) -> None:
    import h5py
    from rsciio.hspy import file_writer

    axes = [
        {"size": n, "name": "", "scale": 1.0, "offset": 0.0, "units": "", "navigate": i < 2}
        for i, n in enumerate((1, 1, *SHAPE[2:]))
    ]
    signal = {
        "data": np.zeros((1, 1, *SHAPE[2:]), "u2"),
        "axes": axes,
        "metadata": {"General": {"title": "a"}, "Signal": {"signal_type": ""}},
        "original_metadata": {},
        "learning_results": {},
        "models": {},
        "tmp_parameters": {},
        "package_info": {"package": "", "package_version": ""},
        "attributes": {"_lazy": False},
    }
    file_writer(str(path), signal, show_progressbar=False)
    with h5py.File(path, "a") as file:
        group = file["Experiments/a"]
        del group["data"]
        group.create_dataset("data", SHAPE, "<u2", chunks=(8, 8, 256, 256), compression="gzip")
        for number in range(2):
            group[f"axis-{number}"].attrs["size"] = 256


READ = "rsciio.{}.file_reader(path, lazy=True{})"
FORMATS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "npy": (write_npy, 'np.load(path, mmap_mode="r")', ""),
    "mib": (write_mib, READ.format("quantumdetector", ""), ""),
    "blo": (write_blo, READ.format("blockfile", ""), ""),
    "mrc": (
        write_mrc,
        READ.format("mrc", ", navigation_shape=(256, 256)"),
        ", nav_shape=(256, 256)",
    ),
    "dm4": (write_dm4, READ.format("digitalmicrograph", ""), ""),
    "dm4, scan first": (write_old_dm4, READ.format("digitalmicrograph", ""), ""),
    "tvips": (
        write_tvips,
        READ.format("tvips", ", scan_shape=(256, 256)"),
        ", nav_shape=(256, 256)",
    ),
    "xml": (write_empad, READ.format("empad", ""), ""),
    "tif": (write_tiff, 'tifffile.memmap(path, mode="r")', ", nav_shape=(256, 256)"),
    "hspy": (write_hspy, READ.format("hspy", ""), ""),
}


def timed(path: Path, statement: str) -> tuple[float, float]:
    """Median seconds of three processes, and their memory in MB."""
    code = TIMED.format(repository=str(REPOSITORY), path=str(path), statement=statement)
    runs = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if done.returncode:
            print(f"{statement.strip()}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return float("nan"), float("nan")
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return tuple(np.median(runs, axis=0))


def main() -> None:
    """Write, open and print a table."""
    parser = argparse.ArgumentParser(description="Time to open files of 8 GB.")
    parser.add_argument("--format", action="append", choices=list(FORMATS))
    parser.add_argument("--folder", type=Path, help="where the files are written for a while")
    options = parser.parse_args()
    print(f"{'file':16}{'reader':>9}{'load_scan':>11}{'beyond':>9}{'sampled':>10}   MB")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for name in options.format or FORMATS:
            write, reader, more = FORMATS[name]
            path = Path(folder) / f"scan_000.{name.split(',')[0]}"
            write(path)
            alone, _ = timed(path, reader)
            opened, memory = timed(path, f"load_scan(path, measure=False{more})")
            measured, _ = timed(path, MEASURED.format(more))
            print(
                f"{name:16}{alone:8.3f}s{opened:10.3f}s{opened - alone:8.3f}s{measured:9.3f}s"
                f"{memory:6.0f}",
                flush=True,
            )
            for written in Path(folder).iterdir():
                written.unlink()


# Of a file of zeros no disk is found.
MEASURED = """
try:
    load_scan(path{})
except Exception:
    pass
"""

if __name__ == "__main__":
    main()
