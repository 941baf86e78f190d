"""Small synthetic scans with the two things that matter: a polarization and a lattice.

Patterns are a bright-field disk with soft edge. The polarization tilts the intensity across the
disk towards its direction; the probe's place in the unit cell tilts it five times as much, and
cancels over a cell. Real simulations are tested elsewhere: these serve what sits on top.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_polmap.calibration import Calibration
from napari_polmap.classifiers import Classifier, train
from napari_polmap.classifiers.recipes import Recipe
from napari_polmap.classifiers.samples import Sampling
from napari_polmap.diffraction.preprocessing import Preprocessing
from napari_polmap.directions import DirectionSet
from napari_polmap.scan import Scan

DIRECTIONS = DirectionSet.default()
CELL = 8.0
"""Probe positions per unit cell."""
STEP_NM = 0.0495
CALIBRATION = Calibration(
    step_nm=STEP_NM,
    mrad_per_pixel=24 / 9,
    energy_kv=200.0,
    semi_angle_mrad=24.0,
    center_px=(15.6, 15.2),
    radius_px=9.0,
    lattice_nm=STEP_NM * CELL,
    sources=dict.fromkeys(
        (
            "step_nm",
            "mrad_per_pixel",
            "energy_kv",
            "semi_angle_mrad",
            "center_px",
            "radius_px",
            "lattice_nm",
        ),
        "user",
    ),
)


def make_patterns(
    labels: np.ndarray,
    *,
    dose: float = 5000.0,
    seed: int = 0,
    defect: tuple[int, int] | None = None,
    detector: int = 32,
    calibration: Calibration = CALIBRATION,
) -> np.ndarray:
    """Counts ``(y, x, ky, kx)`` of uint16 for a label image; `defect` weakens one cell's disk.

    A larger detector has as many more pixels on each side. The calibration's descan moves the
    beam, and its ellipse distorts the patterns, noise coming after both.
    """
    rng = np.random.default_rng(seed)
    rows, columns = labels.shape
    ky, kx = np.mgrid[:detector, :detector].astype(float)
    margin = (detector - 32) / 2
    y, x = np.mgrid[:rows, :columns]
    # Without a descan one pattern serves all positions.
    at = (y, x) if calibration.descan_px else ((rows - 1) / 2, (columns - 1) / 2)
    center = calibration.center_at(*at, (rows, columns))[..., None, None, :] + margin
    back = np.linalg.inv(calibration.distortion()) / calibration.radius_px
    down, across = ky - center[..., 0], kx - center[..., 1]
    v = back[0, 0] * down + back[0, 1] * across
    u = back[1, 0] * down + back[1, 1] * across
    radius = np.hypot(u, v)
    disk = 1 / (1 + np.exp((radius - 1) * 20)) + 0.05 * np.exp(-((radius / 1.6) ** 4))
    vectors = DIRECTIONS.vectors[labels]  # (dy, dx)
    sway_y = np.sin(2 * np.pi * (y + seed) / CELL)
    sway_x = np.sin(2 * np.pi * (x + 2 * seed) / CELL)
    slope_y = 0.08 * vectors[..., 0] + 0.4 * sway_y
    slope_x = 0.08 * vectors[..., 1] + 0.4 * sway_x
    tilt = 1 + slope_y[..., None, None] * v + slope_x[..., None, None] * u
    intensity = disk * np.clip(tilt, 0, None)
    if defect is not None:
        near = np.hypot(y - defect[0], x - defect[1]) < CELL / 2
        intensity *= 1 - 0.35 * np.exp(-((radius / 0.5) ** 2)) * near[..., None, None]
    intensity *= dose / intensity.sum(axis=(2, 3), keepdims=True)
    return rng.poisson(intensity).astype(np.uint16)


def moved(patterns: np.ndarray, plane: tuple[float, ...], seed: int = 0) -> np.ndarray:
    """Counts on a detector over which the beam wanders, by splitting them between pixels."""
    rng, out = np.random.default_rng(seed), np.empty_like(patterns)
    rows, columns = patterns.shape[:2]
    for y, x in np.ndindex(rows, columns):
        pattern = patterns[y, x]
        down, across = y - (rows - 1) / 2, x - (columns - 1) / 2
        for axis in (0, 1):
            shift = plane[2 * axis] * down + plane[2 * axis + 1] * across
            pattern = np.roll(pattern, int(np.floor(shift)), axis)
            further = rng.binomial(pattern, shift - np.floor(shift))
            pattern = pattern - further + np.roll(further, 1, axis)
        out[y, x] = pattern
    return out


def make_scan(labels: np.ndarray, **options) -> Scan:
    """`make_patterns` as a calibrated scan."""
    calibration = options.get("calibration", CALIBRATION)
    return Scan(make_patterns(labels, **options), calibration, name="synthetic")


def two_domains(shape: tuple[int, int] = (48, 56)) -> np.ndarray:
    """RU on the left, LM on the right."""
    labels = np.full(shape, DIRECTIONS.index("RU"))
    labels[:, shape[1] // 2 :] = DIRECTIONS.index("LM")
    return labels


def write_dataset(folder: Path, groups: int = 4, positions: int = 8, detector: int = 32) -> Path:
    """Labelled scans of all directions in `folder`, as .npy and TOML; returns the TOML file."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        'name = "synthetic"',
        f"directions = {list(DIRECTIONS.names)!r}".replace("'", '"'),
    ]
    for group in range(groups):
        for index, name in enumerate(DIRECTIONS.names):
            labels = np.full((positions, positions), index)
            path = folder / f"{name}_{group}.npy"
            seed = 10 * group + index
            np.save(path, make_patterns(labels, seed=seed, dose=20000, detector=detector))
            lines += [
                "[[scan]]",
                f'path = "{path.name}"',
                f'direction = "{name}"',
                f'group = "specimen-{group}"',
                f"step_nm = {STEP_NM}",
                f"lattice_nm = {STEP_NM * CELL}",
                "energy_kv = 200.0",
                "semi_angle_mrad = 24.0",
                f"center = [{15.6 + (detector - 32) / 2}, {15.2 + (detector - 32) / 2}]",
                "radius = 9.0",
                "thickness_nm = 20.0",
            ]
    toml = folder / "dataset.toml"
    toml.write_text("\n".join(lines) + "\n")
    return toml


QUICK = Recipe(
    Preprocessing(size=16),
    1.0,
    Sampling(per_scan=3, center_jitter=0.004, operators=4),
    folds=2,
    settings={"odd": 10, "even": 6, "products": 2},
)
"""A small recipe: trains in about a second."""


def train_quick(folder: Path) -> Classifier:
    """A real classifier for these scans."""
    return train(write_dataset(folder), "pca-lda", recipe=QUICK, seed=1, name="synthetic")
