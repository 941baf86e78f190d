"""Simulate the demo scan: two domains of KNN with a wall, and one defect.

Eight by eight cells at a step of an eighth of a cell, on a detector of 1 mrad pixels with the beam
a little off center, with counting noise. The arrangement of K and Na, the thickness and the tilt
are none of the training's. Writes the scan, its truth, the place of the defect, and a labelled
data set that names them.

    python examples/make_demo_scan.py --jobs 2
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

# One thread a process: the processes share the cores.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np

from napari_polmap.directions import NOT_COMPUTED, DirectionSet
from napari_polmap.simulation.crystal import (
    Perovskite,
    Wall,
    defect_column,
    random_a_sites,
    two_domains,
)
from napari_polmap.simulation.dataset import write_dataset
from napari_polmap.simulation.multislice import Microscope
from napari_polmap.simulation.noise import poisson_counts
from napari_polmap.simulation.scene import Detector, Scene

SEED = 20_260
DOMAINS = ("RU", "RD")
DISPLACEMENT_ANGSTROM = 0.15
LATTICE_ANGSTROM = 3.96
CELLS = 8
DEPTH = 58
PADDING = 3
STEPS = 8
ELECTRONS = 4_000
# In cells of the scanned part. The normal component of the polarization is the same on both sides
# of the wall but for its tilt, as in a wall without charge.
WALL = Wall(position=(4.0, 4.8), normal_deg=8.0, width=1.0)
DEFECT = (5, 2)
MISSING_SHARE = 0.8


def make_scene() -> tuple[Scene, Wall]:
    """The scene, and its wall in cells of the whole crystal."""
    across = CELLS + 2 * PADDING
    shape = (across, across, DEPTH)
    directions = DirectionSet.default()
    angles = [directions.angles_deg[directions.index(name)] for name in DOMAINS]
    wall = Wall(
        (WALL.position[0] + PADDING, WALL.position[1] + PADDING), WALL.normal_deg, WALL.width
    )
    crystal = Perovskite(
        a_sites=random_a_sites(shape, np.random.default_rng([SEED, 0])),
        displacement=two_domains(
            (across, across), (angles[0] or 0.0, angles[1] or 0.0), DISPLACEMENT_ANGSTROM, wall
        ),
        lattice_angstrom=LATTICE_ANGSTROM,
        share=0.75,
        b_present=defect_column(
            shape,
            (DEFECT[0] + PADDING, DEFECT[1] + PADDING),
            MISSING_SHARE,
            np.random.default_rng([SEED, 1]),
        ),
    )
    scene = Scene(
        crystal=crystal,
        padding=PADDING,
        steps=STEPS,
        microscope=Microscope(defocus_nm=1.0, tilt_mrad=(0.8, -0.6)),
        detector=Detector(shape=(88, 88), mrad_per_pixel=1.0, center=(43.5 + 1.3, 43.5 - 0.8)),
    )
    return scene, wall


def make_truth(scene: Scene, wall: Wall) -> tuple[np.ndarray, np.ndarray]:
    """Direction labels and the mask of the defect, both uint8 of shape (y, x).

    Labels are left out within half the wall's width of its middle.
    """
    directions = DirectionSet.default()
    rows, columns = scene.positions_in_cells()
    distance = wall.distance(rows, columns)
    labels = np.where(distance < 0, directions.index(DOMAINS[0]), directions.index(DOMAINS[1]))
    labels[np.abs(distance) < wall.width / 2] = NOT_COMPUTED
    # The B atom is in the middle of its cell.
    from_defect = np.hypot(
        rows - (DEFECT[0] + PADDING + 0.5), columns - (DEFECT[1] + PADDING + 0.5)
    )
    return labels.astype(np.uint8), (from_defect <= 0.5).astype(np.uint8)


def save_scan(path: Path, counts: np.ndarray, scene: Scene) -> None:
    """Write the counts as a HyperSpy file with calibration and parameters."""
    import hyperspy.api as hs

    step_nm = scene.step_angstrom / 10
    pixel = scene.detector.mrad_per_pixel
    axes = [
        {"name": name, "units": units, "scale": scale, "size": size, "navigate": navigate}
        for name, units, scale, size, navigate in zip(
            ("y", "x", "ky", "kx"),
            ("nm", "nm", "mrad", "mrad"),
            (step_nm, step_nm, pixel, pixel),
            counts.shape,
            (True, True, False, False),
            strict=True,
        )
    ]
    microscope = scene.microscope
    metadata = {
        "General": {"title": "KNN domains (simulated)"},
        "Acquisition_instrument": {
            "TEM": {
                "beam_energy": microscope.energy_kv,
                "convergence_angle": microscope.semi_angle_mrad,
            }
        },
        "Simulation": {
            "structure": "(K,Na)NbO3 [001]",
            "seed": SEED,
            "lattice_angstrom": LATTICE_ANGSTROM,
            "thickness_nm": scene.thickness_nm,
            "displacement_angstrom": DISPLACEMENT_ANGSTROM,
            "b_share": scene.crystal.share,
            "tilt_x_mrad": microscope.tilt_mrad[0],
            "tilt_y_mrad": microscope.tilt_mrad[1],
            "defocus_nm": microscope.defocus_nm,
            "electrons_per_pattern": ELECTRONS,
            "thermal": "debye-waller",
            "center_ky": scene.detector.center[0],
            "center_kx": scene.detector.center[1],
        },
    }
    signal = hs.signals.Signal2D(counts, axes=axes, metadata=metadata)
    part = path.with_name("part_" + path.name)
    signal.save(part, overwrite=True, compression="gzip", chunks=(8, 8, *counts.shape[2:]))
    part.replace(path)


def save_image(path: Path, image: np.ndarray) -> None:
    """Write a label image as TIFF."""
    import tifffile

    part = path.with_name("part_" + path.name)
    tifffile.imwrite(part, image)
    part.replace(path)


def main() -> None:
    """Simulate the scan and write its files."""
    package_data = Path(__file__).parents[1] / "src" / "napari_polmap" / "data"
    parser = argparse.ArgumentParser(description="Simulate the demo scan of KNN.")
    parser.add_argument("--out", type=Path, default=package_data)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    options = parser.parse_args()

    scene, wall = make_scene()
    size = CELLS * STEPS
    intensities = np.empty((size, size, *scene.detector.shape), np.float32)
    for count, (block, patterns) in enumerate(scene.simulate(options.jobs), start=1):
        intensities[block] = patterns
        print(f"cell {count} of {CELLS * CELLS}", flush=True)
    rng = np.random.default_rng([SEED, 2])
    counts = poisson_counts(intensities, ELECTRONS, rng, incident=1.0).astype(np.uint8)
    labels, defect = make_truth(scene, wall)

    options.out.mkdir(parents=True, exist_ok=True)
    save_scan(options.out / "demo_knn.hspy", counts, scene)
    save_image(options.out / "demo_knn_truth.tif", labels)
    save_image(options.out / "demo_knn_defects.tif", defect)
    tilt_x, tilt_y = scene.microscope.tilt_mrad
    write_dataset(
        options.out / "demo_knn.toml",
        "KNN domains (simulated)",
        DirectionSet.default().names,
        [
            {
                "path": "demo_knn.hspy",
                "truth": "demo_knn_truth.tif",
                "group": f"demo-{SEED}",
                "lattice_nm": LATTICE_ANGSTROM / 10,
                "thickness_nm": scene.thickness_nm,
                "tilt_mrad": float(np.hypot(tilt_x, tilt_y)),
                "tilt_azimuth_deg": float(np.degrees(np.arctan2(tilt_y, tilt_x)) % 360),
                "defocus_nm": scene.microscope.defocus_nm,
                "displacement_angstrom": DISPLACEMENT_ANGSTROM,
                "thermal": "debye-waller",
                "dose": ELECTRONS,
            }
        ],
        comment="Made by examples/make_demo_scan.py",
    )


if __name__ == "__main__":
    main()
