"""How well the direct beam's disk is found among diffracted disks that do not overlap.

Nanobeam patterns of one perfect cell of polarized (K,Na)NbO3 at 200 kV: each ray of the aperture
is a plane wave through the periodic cell, so that disks of any number of pixels cost little. Errors
of center (ky, kx) and radius in percent of the true radius, for semi-angles of 1 to 3 mrad,
thicknesses of 5 to 60 nm and tilts of 0 to 4 mrad; how often the center is off by more than 2 %.

    python benchmarks/nanobeam_disk.py
    python benchmarks/nanobeam_disk.py --save tests/data/nanobeam_means.npz    # the tests' patterns
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from abtem.core.energy import energy2sigma
from scipy.fft import fft2, ifft2
from scipy.ndimage import gaussian_filter

from napari_polmap.calibration import electron_wavelength_nm
from napari_polmap.diffraction.disk import measure_disk
from napari_polmap.errors import CalibrationError
from napari_polmap.simulation.crystal import Crystal
from napari_polmap.simulation.materials import get_material
from napari_polmap.simulation.potential import projected_potential

LATTICE = 3.97  # Å
GRID = 40  # points across the cell
APART = 64  # pixels between neighboring disks
ORDERS = 2  # disks on either side of the direct beam
THICKNESS_NM = (5, 10, 20, 30, 40, 60)
TILTS_MRAD = (0.0, 1.0, 2.5, 4.0)
SEMI_ANGLES_MRAD = (1.0, 2.0, 3.0)
EDGE_PX = 0.5  # blur of the edge
SAVED = ((1.0, 1.0, 20, 1), (1.0, 4.0, 40, 1), (2.0, 2.5, 10, 2), (2.0, 4.0, 30, 2),
         (2.0, 0.0, 60, 3), (3.0, 1.0, 30, 2), (3.0, 2.5, 60, 2))  # fmt: skip
"""Semi-angle, tilt, thickness, binning."""


def patterns(semi_angle_mrad: float, tilt_mrad: tuple[float, float]) -> tuple[np.ndarray, float]:
    """Patterns (thickness, ky, kx) with the beam on the middle pixel, and the disk's radius."""
    cell = get_material("KNN").unit_cell(LATTICE)
    species = np.array([next(iter(dict(site.species))) for site in cell.sites])
    moved = np.broadcast_to(cell.displacement("RU", 0.15), (1, 1, len(cell.sites), 3))
    atoms = Crystal(cell, species.reshape(1, 1, 1, -1), moved).atoms()
    wavelength = electron_wavelength_nm(200) * 10
    frequency = np.fft.fftfreq(GRID, LATTICE / GRID)
    order = np.round(frequency * LATTICE).astype(int)
    kept = np.hypot(frequency[:, None], frequency) < GRID / LATTICE / 3
    slices = [
        ifft2(fft2(np.exp(1j * energy2sigma(200e3) * v.astype(float))) * kept)
        for v in projected_potential(atoms, (GRID, GRID), 2, LATTICE / 2, cell.sigmas)
    ]
    pixel = wavelength / LATTICE / APART
    reach = int(semi_angle_mrad * 1e-3 / pixel) + 1
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    inside = np.hypot(rows, columns) * pixel <= semi_angle_mrad * 1e-3
    rows, columns = rows[inside], columns[inside]
    size = (2 * ORDERS + 1) * APART + 1
    found = np.zeros((len(THICKNESS_NM), size, size))
    ends = {2 * round(t * 10 / LATTICE): k for k, t in enumerate(THICKNESS_NM)}
    for start in range(0, len(rows), 256):
        row, column = rows[start : start + 256], columns[start : start + 256]
        ky = ((row * pixel + tilt_mrad[0] * 1e-3) / wavelength)[:, None, None]
        kx = ((column * pixel + tilt_mrad[1] * 1e-3) / wavelength)[:, None, None]
        path = (frequency[:, None] + ky) ** 2 + (frequency + kx) ** 2 - ky**2 - kx**2
        propagator = (kept * np.exp(-1j * np.pi * wavelength * LATTICE / 2 * path)).astype("c8")
        waves = np.ones((len(row), GRID, GRID), np.complex64)
        for number in range(max(ends)):
            waves = ifft2(fft2(waves * slices[number % 2].astype("c8")) * propagator)
            if number + 1 in ends:
                intensity = np.abs(fft2(waves) / GRID**2) ** 2
                for p, q in np.argwhere((abs(order)[:, None] <= ORDERS) & (abs(order) <= ORDERS)):
                    y = size // 2 + row + order[p] * APART
                    x = size // 2 + column + order[q] * APART
                    seen = (y >= 0) & (y < size) & (x >= 0) & (x < size)
                    target = found[ends[number + 1]]
                    np.add.at(target, (y[seen], x[seen]), intensity[seen, p, q])
    return found, semi_angle_mrad * 1e-3 / pixel


def binned(pattern: np.ndarray, factor: int) -> np.ndarray:
    """The edge blurred by half a coarse pixel, and squares of pixels summed."""
    size = len(pattern) // factor
    blurred = gaussian_filter(pattern, EDGE_PX * factor)[: size * factor, : size * factor]
    return blurred.reshape(size, factor, size, factor).sum((1, 3))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="The direct beam's disk in nanobeam patterns.")
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    saved: dict[str, list[np.ndarray]] = {"pattern": [], "center_px": [], "radius_px": []}
    saved["size"] = []
    for semi_angle in SEMI_ANGLES_MRAD:
        cases: dict[tuple[int, float | None], list[np.ndarray | None]] = {}
        for tilt in TILTS_MRAD:
            azimuth = rng.uniform(0, 2 * np.pi)
            simulated, radius = patterns(
                semi_angle, (tilt * np.sin(azimuth), tilt * np.cos(azimuth))
            )
            middle = simulated.shape[1] // 2
            for thickness, pattern in zip(THICKNESS_NM, simulated, strict=True):
                for factor in (1, 2, 3, 4, 6):
                    if not 3 < radius / factor < 21:
                        continue
                    shift = rng.integers(-9, 10, 2)
                    moved = np.roll(np.pad(pattern, 10), shift, (0, 1))
                    coarse = binned(moved, factor) / pattern.sum()
                    center = (middle + 10 + shift + 0.5) / factor - 0.5
                    if (semi_angle, tilt, thickness, factor) in SAVED:
                        counts = rng.poisson(coarse * 1e6)
                        saved["pattern"].append(np.pad(counts, (0, 345 - len(counts))))
                        saved["size"].append(np.array(len(counts)))
                        saved["center_px"].append(center)
                        saved["radius_px"].append(np.array(radius / factor))
                    for counts in (None, 1e5):
                        seen = coarse if counts is None else rng.poisson(coarse * counts)
                        errors = cases.setdefault((factor, counts), [])
                        try:
                            disk = measure_disk(seen)
                        except CalibrationError:
                            errors.append(None)
                            continue
                        value = np.array([*disk.center_px, disk.radius_px])
                        errors.append((value - [*center, radius / factor]) * factor / radius * 100)
        for (factor, counts), errors in cases.items():
            good = np.array([e for e in errors if e is not None])
            off = np.abs(good[:, :2]).max(axis=1)
            print(
                f"{semi_angle:g} mrad, R = {radius / factor:.1f} px, "
                f"{'noise-free' if counts is None else f'{counts:,.0f} counts'}: "
                f"{len(errors)} patterns, not found {len(errors) - len(good)}, center off by more "
                f"than 2 % {np.sum(off > 2)}, rms {np.sqrt(np.mean(good**2, axis=0)).round(2)}, "
                f"worst {np.abs(good).max(axis=0).round(1)}",
                flush=True,
            )
    if options.save is not None:
        np.savez_compressed(
            options.save,
            pattern=np.array(saved["pattern"]).astype(np.uint16),
            size=np.array(saved["size"]),
            center_px=np.array(saved["center_px"]),
            radius_px=np.array(saved["radius_px"]),
        )


if __name__ == "__main__":
    main()
