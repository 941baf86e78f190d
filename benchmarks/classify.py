"""CPU time and memory of classifying a large scan, beside a plain reading of the same file.

The baseline reads the memory map in the same blocks and sums the patterns over the same crop in
float32: the least that any classifier of it must do. Both run in a process of their own,
alternately, with one thread of linear algebra. Times are CPU seconds, since machines are shared;
the memory is the largest anonymous one of the process (RssAnon), sampled at every step.

With --descan the scan is classified once more with a beam that wanders by so many pixels over its
rows and over its columns.

    python benchmarks/classify.py --gigabytes 8
    python benchmarks/classify.py --gigabytes 2 --descan 3
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np

_SCRIPT = """
import json, sys, time
import numpy as np
import napari_polmap as polmap

def anonymous_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1e3 for line in status if line.startswith("RssAnon"))

path, what, out, descan = sys.argv[1:]
scan = polmap.load_scan(
    path, measure=False, step_nm=0.0495, lattice_nm=0.396, energy_kv=200, semi_angle_mrad=24,
    center_px=(127.4, 126.8), radius_px=60.0,
)
if what == "descan":
    down, across = (float(descan) / n for n in scan.scan_shape)
    scan = scan.calibrated(descan_px=(down, 0.0, 0.0, across))
classifier = polmap.load_classifier("default")
peak = [anonymous_mb()]
if what == "baseline":
    crop = int(classifier.preprocessing.extent * 60)
    box = (slice(127 - crop, 127 + crop), slice(126 - crop, 126 + crop))
    start = time.process_time()
    image = np.empty(scan.scan_shape, np.float32)
    patterns = np.load(path, mmap_mode="r")
    for rows, columns in scan.blocks():
        block = np.ascontiguousarray(patterns[rows, columns][:, :, box[0], box[1]], np.float32)
        image[rows, columns] = block.sum((2, 3))
        peak.append(anonymous_mb())
else:
    classifier.predictor(scan.calibration, scan.scan_shape, scan.detector_shape)
    start = time.process_time()
    polmap.classify(scan, classifier, out, progress=lambda step: peak.append(anonymous_mb()))
print(json.dumps({"s": time.process_time() - start, "mb": max(peak)}))
"""


def write_scan(path: Path, gigabytes: float) -> tuple[int, ...]:
    """Counts of a disk with a little structure, 256 x 256 pixels of uint16."""
    side = round(np.sqrt(gigabytes * 1e9 / (256 * 256 * 2)))
    shape = (side, side, 256, 256)
    data = np.lib.format.open_memmap(path, "w+", np.uint16, shape)
    ky, kx = np.mgrid[:256, :256]
    disk = 1 / (1 + np.exp(np.hypot(ky - 127.4, kx - 126.8) - 60))
    rng = np.random.default_rng(0)
    row = rng.poisson(0.5 * disk + 0.01, (side, 256, 256)).astype(np.uint16)
    for y in range(side):
        data[y] = np.roll(row, y, axis=0)
    data.flush()
    return shape


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--descan", type=float, metavar="PX", default=0.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.npy"
        shape = write_scan(path, options.gigabytes)
        positions = shape[0] * shape[1]
        print(f"{shape} uint16, {path.stat().st_size / 1e9:.1f} GB")
        figures: dict[str, list[dict[str, float]]] = {"baseline": [], "classify": []}
        if options.descan:
            figures["descan"] = []
        for repeat in range(options.repeats):
            for what, found in figures.items():
                out = f"{folder}/{what}-{repeat}.zarr"
                done = subprocess.run(
                    [sys.executable, "-c", _SCRIPT, path, what, out, str(options.descan)],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                found.append(json.loads(done.stdout))
        best = {what: min(one["s"] for one in found) for what, found in figures.items()}
        for what, found in figures.items():
            print(
                f"{what}: {best[what]:.1f} s, {1e6 * best[what] / positions:.0f} µs a position, "
                f"at most {max(one['mb'] for one in found):.0f} MB anonymous memory"
            )
        print(f"ratio: {best['classify'] / best['baseline']:.2f}")
        if options.descan:
            print(f"descan of {options.descan:g} px: {best['descan'] / best['classify']:.2f}")


if __name__ == "__main__":
    main()
