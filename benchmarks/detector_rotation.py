"""How well the detector's rotation, flip and half turn are told, over the specimen's thickness.

Noise-free scans of a tilted and defocused crystal of KNN at growing thickness, one cell of 6 x 6
positions repeated; rotation and flip are none. The last column is what half of a turn the
attraction of thin atoms names (see `napari_polmap.diffraction.orientation.HINT`).

    python benchmarks/detector_rotation.py
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np

from napari_polmap.diffraction.orientation import Rotation, measure_rotation
from napari_polmap.scan import Scan
from napari_polmap.simulation.crystal import (
    THERMAL_SIGMAS,
    perovskite,
    random_a_sites,
    uniform_displacement,
)
from napari_polmap.simulation.detector import Detector
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.multislice import simulate_patterns

EDGE = 3.96
STEPS, PADDING, REPEATS = 6, 3, 6
THICKNESS_CELLS = (5, 10, 20, 30, 40, 51, 61, 76, 101, 126, 152)
CASES = ((1, 0.0, (0.0, 0.0)), (2, 3.0, (1.5, 1.0)), (3, -3.0, (-2.0, 0.5)), (4, 1.0, (0.5, -0.5)))
"""Seed of the arrangement, defocus in nm, tilt in mrad."""
DETECTOR = Detector((45, 45), 2.0, (22.0, 22.0))


def scans(seed: int, defocus_nm: float, tilt_mrad: tuple[float, float]) -> list[Scan]:
    """Scans of all thicknesses."""
    rng = np.random.default_rng(seed)
    across = 2 * PADDING + 1
    shape = (across, across, max(THICKNESS_CELLS))
    displacement = uniform_displacement(shape[:2], rng.uniform(0, 360), 0.12)
    crystal = perovskite(random_a_sites(shape, rng), displacement, EDGE, share=0.75)
    microscope = Microscope(defocus_nm=defocus_nm, tilt_mrad=tilt_mrad)
    along = (PADDING + (np.arange(STEPS) + 0.5) / STEPS) * EDGE
    patterns = simulate_patterns(
        crystal.atoms(),
        np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2),
        microscope,
        [count * EDGE / 10 for count in THICKNESS_CELLS],
        slice_angstrom=EDGE / 2,
        half_width=DETECTOR.reach_mrad / microscope.semi_angle_mrad,
        sigmas=THERMAL_SIGMAS,
    )
    made = []
    for recorded in DETECTOR.record(patterns):
        cell = recorded.reshape(STEPS, STEPS, *DETECTOR.shape) * 1e6
        made.append(
            Scan(
                np.tile(cell, (REPEATS, REPEATS, 1, 1)).astype(np.float32),
                center_px=DETECTOR.center,
                radius_px=microscope.semi_angle_mrad / DETECTOR.mrad_per_pixel,
            )
        )
    return made


def off(found: Rotation) -> tuple[float, bool]:
    """Error of the rotation but for half a turn, and whether the first candidate is right."""
    angle = found.candidates[0].rotation_deg
    return (angle + 90) % 180 - 90, abs(angle) < 90


def main() -> None:
    """Measure and print a table."""
    print("thickness nm | rotation errors in degrees | flip told, right | half turn right")
    found = [[measure_rotation(scan) for scan in scans(*case)] for case in CASES]
    for index, count in enumerate(THICKNESS_CELLS):
        told = [row[index] for row in found if row[index].candidates]
        errors = [off(rotation)[0] for rotation in told]
        flips = [not rotation.candidates[0].flip for rotation in told if rotation.flip_known]
        halves = sum(off(rotation)[1] for rotation in told)
        print(
            f"{count * EDGE / 10:5.1f} | {', '.join(f'{error:+.1f}' for error in errors)} | "
            f"{len(flips)}, {sum(flips)} | {halves} of {len(told)}"
        )


if __name__ == "__main__":
    main()
