"""Simulate the demo scan: two domains of KNN with a wall, and one defect; or one like it.

Eight by eight cells at a step of an eighth of a cell, on a detector of 1 mrad pixels with the beam
a little off center, with counting noise. The arrangement of K and Na, the thickness and the tilt
are none of the training's. Writes the scan, its truth, the place of the defect, and a labelled
data set that names them.

    python examples/make_demo_scan.py --jobs 2
    python examples/make_demo_scan.py --scene held-out --out build/held-out
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

# One thread a process: the processes share the cores.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np

from napari_polmap.directions import NOT_COMPUTED, DirectionSet
from napari_polmap.simulation.blocks import BlockScan
from napari_polmap.simulation.crystal import (
    THERMAL_SIGMAS,
    Crystal,
    defect_column,
    perovskite,
    random_a_sites,
)
from napari_polmap.simulation.dataset import write_dataset
from napari_polmap.simulation.detector import Detector
from napari_polmap.simulation.domains import Wall, two_domains
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.noise import poisson_counts
from napari_polmap.simulation.scenes import Scene

CELLS = 8
PADDING = 3
STEPS = 8
B_SHARE = 0.75
DETECTOR = Detector(shape=(88, 88), mrad_per_pixel=1.0, center=(43.5 + 1.3, 43.5 - 0.8))


@dataclass(frozen=True)
class Spec:
    """What tells one scene from another; wall and defect in cells of the scanned part."""

    file: str
    title: str
    seed: int
    domains: tuple[str, str]
    displacement_angstrom: float
    lattice_angstrom: float
    depth_cells: int
    tilt_mrad: tuple[float, float]
    electrons: int
    wall: Wall
    defect: tuple[int, int]
    missing_share: float = 0.8


SCENES = {
    # The normal component of the polarization is the same on both sides of the wall but for its
    # tilt, as in a wall without charge.
    "demo": Spec(
        file="demo_knn",
        title="KNN domains (simulated)",
        seed=20_260,
        domains=("RU", "RD"),
        displacement_angstrom=0.15,
        lattice_angstrom=3.96,
        depth_cells=58,
        tilt_mrad=(0.8, -0.6),
        electrons=4_000,
        wall=Wall(position=(4.0, 4.8), normal_deg=8.0, width=1.0),
        defect=(5, 2),
    ),
    # Looked at only once the classifier was made.
    "held-out": Spec(
        file="held_out_knn",
        title="KNN domains, held out (simulated)",
        seed=4_711,
        domains=("MU", "LD"),
        displacement_angstrom=0.12,
        lattice_angstrom=3.98,
        depth_cells=78,
        tilt_mrad=(-1.5, 1.2),
        electrons=3_000,
        wall=Wall(position=(4.2, 4.0), normal_deg=80.0, width=1.0),
        defect=(1, 5),
    ),
}


def make_crystal(spec: Spec) -> tuple[Crystal, Wall]:
    """The crystal with `PADDING` cells around what is scanned, and its wall in cells."""
    across = CELLS + 2 * PADDING
    shape = (across, across, spec.depth_cells)
    directions = DirectionSet.default()
    angles = [directions.angles_deg[directions.index(name)] for name in spec.domains]
    wall = Wall(
        (spec.wall.position[0] + PADDING, spec.wall.position[1] + PADDING),
        spec.wall.normal_deg,
        spec.wall.width,
    )
    crystal = perovskite(
        a_sites=random_a_sites(shape, np.random.default_rng([spec.seed, 0])),
        displacement=two_domains(
            (across, across), (angles[0] or 0.0, angles[1] or 0.0), spec.displacement_angstrom, wall
        ),
        lattice_angstrom=spec.lattice_angstrom,
        share=B_SHARE,
        b_present=defect_column(
            shape,
            (spec.defect[0] + PADDING, spec.defect[1] + PADDING),
            spec.missing_share,
            np.random.default_rng([spec.seed, 1]),
        ),
    )
    return crystal, wall


def make_scan(spec: Spec, crystal: Crystal) -> BlockScan:
    """The scan, its positions in the middle of equal parts of the cells."""
    edge = spec.lattice_angstrom
    along = (PADDING + (np.arange(CELLS * STEPS) + 0.5) / STEPS) * edge
    microscope = Microscope(defocus_nm=1.0, tilt_mrad=spec.tilt_mrad)
    return BlockScan(
        Scene(crystal, [spec.depth_cells * edge / 10]),
        np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1),
        microscope,
        size=STEPS,
        padding_angstrom=PADDING * edge,
        options={
            "half_width": DETECTOR.reach_mrad / microscope.semi_angle_mrad,
            "sigmas": THERMAL_SIGMAS,
        },
    )


def make_truth(spec: Spec, scan: BlockScan, wall: Wall) -> tuple[np.ndarray, np.ndarray]:
    """Direction labels and the mask of the defect, both uint8 of shape (y, x).

    Labels are left out within half the wall's width of its middle.
    """
    directions = DirectionSet.default()
    rows, columns = np.moveaxis(scan.positions / spec.lattice_angstrom, -1, 0)
    distance = wall.distance(rows, columns)
    labels = np.where(
        distance < 0, directions.index(spec.domains[0]), directions.index(spec.domains[1])
    )
    labels[np.abs(distance) < wall.width / 2] = NOT_COMPUTED
    # The B atom is in the middle of its cell.
    from_defect = np.hypot(
        rows - (spec.defect[0] + PADDING + 0.5), columns - (spec.defect[1] + PADDING + 0.5)
    )
    return labels.astype(np.uint8), (from_defect <= 0.5).astype(np.uint8)


def save_scan(path: Path, counts: np.ndarray, spec: Spec, scan: BlockScan) -> None:
    """Write the counts as a HyperSpy file with calibration and parameters."""
    import hyperspy.api as hs

    step_nm = spec.lattice_angstrom / STEPS / 10
    pixel = DETECTOR.mrad_per_pixel
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
    microscope = scan.microscope
    metadata = {
        "General": {"title": spec.title},
        "Acquisition_instrument": {
            "TEM": {
                "beam_energy": microscope.energy_kv,
                "convergence_angle": microscope.semi_angle_mrad,
            }
        },
        "Simulation": {
            "structure": "(K,Na)NbO3 [001]",
            "seed": spec.seed,
            "lattice_angstrom": spec.lattice_angstrom,
            "thickness_nm": spec.depth_cells * spec.lattice_angstrom / 10,
            "displacement_angstrom": spec.displacement_angstrom,
            "b_share": B_SHARE,
            "tilt_x_mrad": microscope.tilt_mrad[0],
            "tilt_y_mrad": microscope.tilt_mrad[1],
            "defocus_nm": microscope.defocus_nm,
            "electrons_per_pattern": spec.electrons,
            "thermal": "debye-waller",
            "center_ky": DETECTOR.center[0],
            "center_kx": DETECTOR.center[1],
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
    parser.add_argument("--scene", choices=SCENES, default="demo")
    options = parser.parse_args()

    spec = SCENES[options.scene]
    crystal, wall = make_crystal(spec)
    scan = make_scan(spec, crystal)
    size = CELLS * STEPS
    intensities = np.empty((size, size, *DETECTOR.shape), np.float32)
    for count, (block, patterns) in enumerate(scan.simulate(options.jobs), start=1):
        intensities[block] = DETECTOR.record(patterns)[0].reshape(STEPS, STEPS, *DETECTOR.shape)
        print(f"cell {count} of {CELLS * CELLS}", flush=True)
    rng = np.random.default_rng([spec.seed, 2])
    counts = poisson_counts(intensities, spec.electrons, rng, incident=1.0).astype(np.uint8)
    labels, defect = make_truth(spec, scan, wall)

    options.out.mkdir(parents=True, exist_ok=True)
    save_scan(options.out / f"{spec.file}.hspy", counts, spec, scan)
    save_image(options.out / f"{spec.file}_truth.tif", labels)
    save_image(options.out / f"{spec.file}_defects.tif", defect)
    tilt_x, tilt_y = scan.microscope.tilt_mrad
    write_dataset(
        options.out / f"{spec.file}.toml",
        spec.title,
        DirectionSet.default().names,
        [
            {
                "path": f"{spec.file}.hspy",
                "truth": f"{spec.file}_truth.tif",
                "group": f"demo-{spec.seed}",
                "lattice_nm": spec.lattice_angstrom / 10,
                "thickness_nm": spec.depth_cells * spec.lattice_angstrom / 10,
                "tilt_mrad": float(np.hypot(tilt_x, tilt_y)),
                "tilt_azimuth_deg": float(np.degrees(np.arctan2(tilt_y, tilt_x)) % 360),
                "defocus_nm": scan.microscope.defocus_nm,
                "displacement_angstrom": spec.displacement_angstrom,
                "thermal": "debye-waller",
                "dose": spec.electrons,
            }
        ],
        comment="Made by examples/make_demo_scan.py",
    )


if __name__ == "__main__":
    main()
