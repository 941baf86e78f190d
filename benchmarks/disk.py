"""How well the bright-field disk is found in mean patterns of simulated specimens.

Every sixteenth scan of a training set of examples/knn_training.toml, its beam moved by whole
pixels, as it is, with counting noise, and binned to coarser detectors. Errors of center (ky, kx)
and radius in percent of the true radius.

    python benchmarks/disk.py --data build/knn-200kv/train.toml
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from napari_polmap import load_dataset
from napari_polmap.diffraction.disk import measure_disk

CASES = (
    ("noise-free", 1, None),
    ("1,000,000 counts", 1, 1e6),
    ("256,000 counts", 1, 256e3),
    ("binned by 2", 2, None),
    ("binned by 3", 3, None),
)


def binned(pattern: np.ndarray, factor: int, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A pattern moved by whole pixels and binned, and where its center is then."""
    size = len(pattern) // factor * factor
    start = (len(pattern) - size) // 2
    moved = np.roll(pattern, shift, (0, 1))[start : start + size, start : start + size]
    blocks = moved.reshape(size // factor, factor, size // factor, factor).mean((1, 3))
    center = (len(pattern) // 2 + shift - start + 0.5) / factor - 0.5
    return blocks, center


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="Accuracy of the bright-field disk.")
    parser.add_argument("--data", type=Path, default=Path("build/knn-200kv/train.toml"))
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    scans = load_dataset(options.data).scans[::16]
    means = [
        (np.load(scan.path).astype(float).mean((0, 1)), scan.calibration["radius_px"])
        for scan in scans
    ]
    print(f"{len(scans)} mean patterns; errors of ky, kx, radius in % of the radius")
    for name, factor, counts in CASES:
        errors = []
        for mean, full_radius in means:
            pattern, center = binned(mean, factor, rng.integers(-9, 10, 2))
            radius = full_radius / factor
            if counts is not None:
                pattern = rng.poisson(pattern / pattern.sum() * counts).astype(float)
            disk = measure_disk(pattern)
            found = np.array([*disk.center_px, disk.radius_px])
            errors.append((found - [*center, radius]) / radius * 100)
        absolute = np.abs(errors)
        rms = np.sqrt(np.mean(np.square(errors), axis=0)).round(2)
        print(
            f"{name}: rms {rms}, 95th percentile {np.percentile(absolute, 95, axis=0).round(2)}, "
            f"worst {absolute.max(axis=0).round(2)}"
        )


if __name__ == "__main__":
    main()
