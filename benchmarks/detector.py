"""How well ellipse, descan and bad pixels are found on simulated specimens, with known truth.

Ellipses on every 24th mean pattern of a training set, stretched along random axes; the bundled
demo scan and scans tiled from the training set's cells on a detector over which the beam wanders
(each count split between pixels), and as they are; bad pixels in the same scans.

    python benchmarks/detector.py --data build/knn-200kv/train.toml
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from napari_polmap import Calibration, Scan, load_dataset, load_scan
from napari_polmap.diffraction.bad_pixels import find_bad_pixels
from napari_polmap.diffraction.descan import measure_descan, quick_descan
from napari_polmap.diffraction.disk import measure_disk
from napari_polmap.viewer.sample import demo_path

COUNTS = 1e6
WAYS = ((0.5, 0.0, 0.0, 0.4), (1.0, -0.5, 0.5, 1.0), (3.0, 0.0, 0.0, -3.0), (8.0, 2.0, -3.0, 8.0))
"""The beam's way over the scan, in pixels: dky/dy, dky/dx, dkx/dy, dkx/dx times the scan's size."""


def ellipses(means: list[np.ndarray], rng: np.random.Generator) -> None:
    """Print how often a ratio of the axes is found, and its error where it is."""
    from scipy.ndimage import affine_transform

    print(f"\nellipse in {len(means)} mean patterns of {COUNTS:,.0f} counts")
    for ratio in (1.0, 1.01, 1.02, 1.03, 1.05, 1.08):
        errors = []
        for mean in means:
            angle, middle = rng.uniform(0, 180), np.full(2, len(mean) // 2)
            back = np.linalg.inv(Calibration(ellipse=(ratio, angle)).distortion())
            stretched = affine_transform(mean, back, middle - back @ middle, mode="nearest")
            counts = rng.poisson(np.clip(stretched, 0, None) / stretched.sum() * COUNTS)
            found = measure_disk(counts, ellipse=True).ellipse
            if found is not None:
                errors.append(100 * abs(found[0] - ratio))
        rms = f", rms error {np.sqrt(np.mean(np.square(errors))):.2f} %" if errors else ""
        print(f"ratio {ratio:.2f}: found in {len(errors) / len(means):.0%}{rms}")


def moved(patterns: np.ndarray, plane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Counts on a detector over which the beam wanders."""
    out, (rows, columns) = np.empty_like(patterns), patterns.shape[:2]
    for y, x in np.ndindex(rows, columns):
        pattern = patterns[y, x]
        for axis in (0, 1):
            shift = plane[axis] @ [y - (rows - 1) / 2, x - (columns - 1) / 2]
            pattern = np.roll(pattern, int(np.floor(shift)), axis)
            further = rng.binomial(pattern, shift - np.floor(shift))
            pattern = pattern - further + np.roll(further, 1, axis)
        out[y, x] = pattern
    return out


def scenes(cells: dict[str, np.ndarray], rng: np.random.Generator) -> Iterator[tuple]:
    """Scans: their names, patterns and the positions of a cell."""
    demo = load_scan(demo_path(), measure=False, sidecar=False)
    yield "demo", demo.read(slice(0, 64), slice(0, 64)), 8.0
    for electrons in (4000, 500):
        for left, right in (("RM_25nm", "LM_25nm"), ("MU_10nm", "MU_50nm"), ("RU_35nm", "LD_45nm")):
            row = [np.tile(cells[name], (6, 4, 1, 1)) for name in (left, right)]
            scene = np.concatenate(row, axis=1)
            scene = scene / scene.sum((2, 3)).mean() * electrons
            name = f"{left} | {right}, {electrons} electrons"
            yield name, rng.poisson(scene).astype(np.uint16), 8.0


def descans(cells: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """Print whether a descan is found, and how wrong the center is then at the corners."""
    print("\ndescan: way over the scan in % of R, error at the corners in % of R")
    for name, patterns, cell in scenes(cells, rng):
        shape = np.array(patterns.shape[:2])
        known = {"step_nm": 0.05, "lattice_nm": 0.05 * cell}
        scan = Scan(patterns, **known)
        still, taken = measure_descan(scan), quick_descan(scan)
        share = 100 * still.range_px / still.radius_px
        print(f"{name}: none, found {share:.2f}, taken out at opening: {taken is not None}")
        for way in WAYS:
            plane = np.reshape(way, (2, 2)) / (shape - 1)
            scan = Scan(moved(patterns, plane, rng), **known)
            found, taken = measure_descan(scan), quick_descan(scan)
            wrong = np.reshape(found.descan_px, (2, 2)) - plane
            offset = np.subtract(found.center_px, still.center_px)
            corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * (shape - 1) / 2
            error = np.hypot(*(offset[:, None] + wrong @ corners.T)).max()
            print(
                f"  {100 * found.range_px / found.radius_px:6.2f}, "
                f"error {100 * error / found.radius_px:.2f}, "
                f"significant: {found.significant}, at opening: {taken is not None}"
            )


def bad_pixels(cells: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """Print how many bad pixels are found, and how many good ones are taken for bad."""
    print("\nbad pixels: found of 12 within the disk, and good ones taken for bad")
    for name, patterns, _ in scenes(cells, rng):
        false = find_bad_pixels(Scan(patterns)).mask.sum()
        disk = measure_disk(patterns.mean((0, 1)))
        rows, columns = np.indices(patterns.shape[2:])
        distance = np.hypot(rows - disk.center_px[0], columns - disk.center_px[1])
        places = np.argwhere(distance < 0.9 * disk.radius_px)
        where = tuple(places[rng.choice(len(places), 12, replace=False)].T)
        bright = np.percentile(patterns.mean((0, 1)), 90)
        told = [f"as it is: {false} false"]
        for kind in ("dead", "hot", "noisy"):
            broken = patterns.astype(np.uint16)
            if kind == "dead":
                broken[:, :, where[0], where[1]] = 0
            elif kind == "hot":
                glow = rng.poisson(3 * bright, (*broken.shape[:2], 12))
                broken[:, :, where[0], where[1]] += glow.astype(np.uint16)
            else:
                spikes = rng.random((*broken.shape[:2], 12)) < 0.1
                broken[:, :, where[0], where[1]] += (20 * bright * spikes).astype(np.uint16)
            mask = find_bad_pixels(Scan(broken)).mask
            told.append(f"{kind} {mask[where].sum()}, {mask.sum() - mask[where].sum()} false")
        print(f"{name}: " + "; ".join(told))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Accuracy of ellipse, descan and bad pixels.")
    parser.add_argument("--data", type=Path, default=Path("build/knn-200kv/train.toml"))
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    scans = load_dataset(options.data).scans
    ellipses([np.load(scan.path).astype(float).mean((0, 1)) for scan in scans[::24]], rng)
    first = Path(scans[0].path).parent
    cells = {path.stem: np.load(path).astype(np.float32) for path in sorted(first.glob("*.npy"))}
    descans(cells, rng)
    bad_pixels(cells, rng)


if __name__ == "__main__":
    main()
