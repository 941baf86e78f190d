"""Simulate the scans that the default classifier is trained and tested on.

Every specimen (one random arrangement of K and Na) is simulated with each of the eight directions
at nine thicknesses; tilt, defocus and magnitude are drawn anew for every run, so that they tell
nothing about the direction. The specimens of the test set are others than those of the training
set. Two data sets result, train.toml and test.toml, rewritten after each specimen; a second call
goes on where the first one ended.

    python examples/make_training_data.py --out build/training --train 48 --test 6 --jobs 2
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

# One thread a process: the processes share the cores.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from napari_polmap.directions import DirectionSet
from napari_polmap.simulation.dataset import write_dataset, write_specimen
from napari_polmap.simulation.multislice import Microscope
from napari_polmap.simulation.specimens import Ranges

FIRST_TEST_SEED = 1001


def main() -> None:
    """Simulate what is missing and write the data sets."""
    parser = argparse.ArgumentParser(description="Simulate training and test scans of KNN.")
    parser.add_argument("--out", type=Path, default=Path("build/training"))
    parser.add_argument("--train", type=int, default=48, help="specimens for training")
    parser.add_argument("--test", type=int, default=6, help="specimens for testing")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first training specimen")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    options = parser.parse_args()

    directions = DirectionSet.default()
    train = [options.seed + index for index in range(options.train)]
    test = [FIRST_TEST_SEED + index for index in range(options.test)]
    # Some of each kind early, so that a part of the data is of use.
    order = train[:12] + test + train[12:]
    sets = {"train": train, "test": test}
    options.out.mkdir(parents=True, exist_ok=True)
    done: dict[int, list[dict[str, Any]]] = {}
    start = time.perf_counter()
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        waiting = {
            pool.submit(write_specimen, options.out, seed, Ranges(), Microscope(), directions): seed
            for seed in order
        }
        for finished in as_completed(waiting):
            seed = waiting[finished]
            done[seed] = finished.result()
            for name, seeds in sets.items():
                entries = [entry for s in seeds for entry in done.get(s, [])]
                if seed in seeds:
                    write_dataset(
                        options.out / f"{name}.toml",
                        f"KNN, simulated, {name}",
                        directions.names,
                        entries,
                        comment="Made by examples/make_training_data.py",
                    )
            minutes = (time.perf_counter() - start) / 60
            print(f"specimen {seed}: {len(done)} of {len(order)}, {minutes:.1f} min", flush=True)


if __name__ == "__main__":
    main()
