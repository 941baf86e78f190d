"""Train a bundled classifier, and say how it does on specimens it has never seen.

The simulations of examples/ are its data; the specimens of test.toml are judged once, when
everything is decided: free of noise, and exposed to 500 to 100,000 electrons a pattern.

    polmap simulate examples/knn_training.toml -o build/knn-200kv --jobs 2
    python examples/make_classifiers.py knn-200kv-24mrad --data build/knn-200kv

    polmap simulate examples/knn_training_300kv.toml -o build/knn-300kv --jobs 2
    python examples/make_classifiers.py knn-300kv-24mrad --data build/knn-300kv

    polmap simulate examples/knn_nanobeam.toml -o build/knn-nanobeam --jobs 2
    python examples/make_classifiers.py knn-200kv-nanobeam --data build/knn-nanobeam
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np

import napari_polmap as polmap
from napari_polmap.benchmark.exposure import exposed
from napari_polmap.classifiers import Classifier, save_classifier
from napari_polmap.classifiers.recipes import recipe_from
from napari_polmap.export.evaluation_plots import accuracy_figure, save_chart
from napari_polmap.io.datasets import LabelledDataset, load_dataset

MODEL = "parity"
DOSES = (100_000, 30_000, 10_000, 3_000, 1_000, 500)
EVERY = 5
"""Of the test's scans every so many are exposed; twelve thicknesses stand in a row."""
EDGES = {
    "thickness_nm": (2.5, 7.5, 12.5, 17.5, 22.5, 27.5, 32.5, 37.5, 42.5, 47.5, 52.5, 57.5, 62.5),
    "tilt_mrad": (0.0, 1.0, 2.0, 3.0, 4.0),
    "displacement_angstrom": (0.08, 0.12, 0.16, 0.20, 0.25),
}
FIGURES = ("accuracy", "ece", "coverage", "selective_accuracy")


@dataclass(frozen=True)
class Bundled:
    """What a bundled classifier is trained by."""

    seed: int
    preset: str
    recipe: dict[str, Any]


WINDOWED = {
    "sampling": {"patterns": 36_000},
}
BUNDLED = {
    "knn-200kv-24mrad": Bundled(20261, "robust", WINDOWED),
    "knn-300kv-24mrad": Bundled(20263, "robust", WINDOWED),
    "knn-200kv-nanobeam": Bundled(20262, "nanobeam", {}),
}


def main() -> None:
    """Train, write, report."""
    parser = argparse.ArgumentParser(description="Train a bundled classifier.")
    parser.add_argument("name", choices=BUNDLED)
    parser.add_argument("--data", type=Path, required=True)
    folder = Path(polmap.__file__).parent / "data" / "classifiers"
    parser.add_argument("--out", type=Path, help="instead of the package's own file")
    parser.add_argument("--picture", type=Path, help="curves of the accuracy, as PNG or SVG")
    options = parser.parse_args()
    out = options.out or folder / f"{options.name}.safetensors"
    classifier = trained(options.name, options.data / "train.toml")
    print(save_classifier(classifier, out))
    by = report(classifier, load_dataset(options.data / "test.toml"))
    if options.picture:
        figure = accuracy_figure(by, chance=1 / len(classifier.directions))
        save_chart(figure, options.picture, f"{options.name}: accuracy on unseen specimens")


def trained(name: str, dataset: Path) -> Classifier:
    """The classifier of a name; prints its figures on folds of the training specimens."""
    bundled, start = BUNDLED[name], time.monotonic()
    recipe = recipe_from({"preset": bundled.preset, **bundled.recipe})
    classifier = polmap.train(
        dataset, MODEL, preset=bundled.preset, recipe=recipe, seed=bundled.seed, name=name
    )
    told = classifier.card["validation"]
    print(f"folds of the training specimens: { {k: told[k] for k in FIGURES} }")
    print(f"by electrons in the window: {told['by'].get('electrons')}")
    print(f"{time.monotonic() - start:.0f} s")
    return classifier


def report(classifier: Classifier, test: LabelledDataset) -> dict[str, list[list[float]]]:
    """Tables over dose and conditions, as Markdown; returns accuracy by condition."""
    print("\n| electrons a pattern | scans | accuracy | calibration error | decided | of those |")
    print("|---|---|---|---|---|---|")
    clean = polmap.evaluate(classifier, test)
    row("noise-free", len(test.scans), clean)
    doses = []
    for dose in DOSES:
        some = test.scans[::EVERY]
        noisy = tuple(exposed(entry, dose, index) for index, entry in enumerate(some))
        figures = polmap.evaluate(classifier, replace(test, scans=noisy))
        row(f"{dose:,}", len(some), figures)
        doses.append([float(dose), float(dose), len(some), figures["accuracy"]])
    by = {"dose": doses[::-1]}
    scans = [scan for scan in clean["scans"] if scan["n"]]
    weight = np.array([scan["n"] for scan in scans], float)
    right, kept, sure = (
        np.array([scan[key] or 0.0 for scan in scans])
        for key in ("accuracy", "coverage", "selective_accuracy")
    )
    for name, edges in EDGES.items():
        print(f"\n| {name} | scans | accuracy | decided | of those |\n|---|---|---|---|---|")
        values = np.array([scan["conditions"][name] for scan in scans])
        by[name] = []
        for low, high in pairwise(edges):
            inside = (values >= low) & (values < high)
            if not inside.any():
                continue
            share = float(np.average(right[inside], weights=weight[inside]))
            decided = np.average(kept[inside], weights=weight[inside])
            among = np.average(sure[inside], weights=np.maximum(weight * kept, 1e-9)[inside])
            print(f"| {low:g} to {high:g} | {inside.sum()} | {share:.3f} | {decided:.3f} "
                  f"| {among:.3f} |")  # fmt: skip
            by[name].append([low, high, int(inside.sum()), share])
    return by


def row(label: str, scans: int, figures: dict[str, Any]) -> None:
    """A line of the first table."""
    told = " | ".join("" if figures[k] is None else f"{figures[k]:.3f}" for k in FIGURES)
    print(f"| {label} | {scans} | {told} |", flush=True)


if __name__ == "__main__":
    main()
