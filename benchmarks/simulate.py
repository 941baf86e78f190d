"""What our simulation costs against a plain abTEM script that computes the same patterns.

The same specimen, grid, slices, thicknesses, positions and precision, both on one thread; the
plain script in its shortest form, with abTEM's own potentials. The two run in turns, and the
seconds are those of the processor, as other programs disturb less. Also the memory that our arrays
take against the limit that was set.

    OMP_NUM_THREADS=1 python benchmarks/simulate.py
    OMP_NUM_THREADS=1 python benchmarks/simulate.py --cells 6 --depth 50 --positions 8
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable

import abtem
import numpy as np
from ase import Atoms

from napari_polmap.simulation.crystal import perovskite, random_a_sites, uniform_displacement
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.multislice import simulate_patterns
from napari_polmap.simulation.plan import plan_simulation
from napari_polmap.simulation.scanning import scan_positions

EDGE = 3.96


def specimen(cells: int, depth: int) -> Atoms:
    """Cells of (K,Na)NbO3 with a polarization."""
    shape = (cells, cells, depth)
    sites = random_a_sites(shape, np.random.default_rng(0))
    return perovskite(sites, uniform_displacement(shape[:2], 45.0, 0.15), EDGE, 0.7).atoms()


def plain_script(
    atoms: Atoms, places: np.ndarray, gpts: int, planes: tuple[int, ...]
) -> np.ndarray:
    """The same patterns as a user of abTEM computes them."""
    potential = abtem.Potential(
        atoms,
        gpts=gpts,
        slice_thickness=EDGE / 2,
        projection="infinite",
        exit_planes=planes,
    )
    probe = abtem.Probe(energy=200e3, semiangle_cutoff=24)
    detector = abtem.PixelatedDetector(max_angle=1.75 * 24)
    measured = probe.scan(potential, abtem.CustomScan(places), detectors=detector)
    return np.asarray(measured.compute(scheduler="single-threaded").array)


def seconds(run: Callable[[], object]) -> float:
    """Processor time of a run."""
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Cost against a plain abTEM script.")
    parser.add_argument("--cells", type=int, default=4, help="across the specimen")
    parser.add_argument("--depth", type=int, default=12, help="cells along the beam")
    parser.add_argument("--positions", type=int, default=8, help="along an edge of the scan")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory-mb", type=float, default=60.0)
    options = parser.parse_args()

    atoms = specimen(options.cells, options.depth)
    places = scan_positions((0.3, 0.7), (options.positions,) * 2, 0.5)
    thicknesses = [EDGE / 10 * (options.depth // 2), EDGE / 10 * options.depth]
    microscope = Microscope()
    plan = plan_simulation(atoms.cell.lengths(), microscope, thicknesses, slice_angstrom=EDGE / 2)
    planes = tuple(end - 1 for end in plan.ends)

    def ours() -> np.ndarray:
        return simulate_patterns(
            atoms, places, microscope, thicknesses, slice_angstrom=EDGE / 2
        ).data

    def plain() -> np.ndarray:
        with abtem.config.set({"diagnostics.progress_bar": False, "fftw.threads": 1}):
            return plain_script(atoms, places, plan.gpts[0], planes)

    first, second = ours(), plain()
    middle, half = second.shape[-1] // 2, plan.half[0]
    cut = slice(middle - half, middle + half + 1)
    second = second.reshape(len(thicknesses), len(places), *second.shape[-2:])[..., cut, cut]
    away = np.abs(first - second).sum() / second.sum()
    print(
        f"{options.cells} x {options.cells} x {options.depth} cells, {len(places)} positions, grid "
        f"{plan.gpts[0]} x {plan.gpts[1]}, {plan.slices} slices, {len(thicknesses)} thicknesses"
    )
    print(f"patterns differ by {away:.2%} of the intensity (abTEM's potentials on the grid)")
    pairs = np.array([(seconds(ours), seconds(plain)) for _ in range(options.repeats)])
    ratios = pairs[:, 0] / pairs[:, 1]
    print(
        f"ours {np.median(pairs[:, 0]):.2f} s, plain {np.median(pairs[:, 1]):.2f} s of the "
        f"processor; ratio {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"
    )

    limit = options.memory_mb
    batch = plan.batch(len(places), limit)
    tracemalloc.start()
    simulate_patterns(
        atoms, places, microscope, thicknesses, slice_angstrom=EDGE / 2, memory_mb=limit
    )
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    print(f"memory: {limit:g} MB allowed, {batch} probes at once, {peak:.1f} MB at most")


if __name__ == "__main__":
    main()
