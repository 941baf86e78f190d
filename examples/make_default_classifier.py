"""Train the bundled classifier, and say how it and the paper's setting do on unseen specimens.

Both models of ours are trained on train.toml and compared on the specimens of test.toml; the
better one is written. Then the demo scan is classified by it and by the paper's preprocessing with
k-NN on single patterns. The data come from knn_default.toml and held_out_scan.toml.

    polmap simulate examples/knn_default.toml -o build/training --jobs 2
    python examples/make_default_classifier.py --data build/training
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np
from sklearn.metrics import roc_auc_score

import napari_polmap as polmap
from napari_polmap.analysis.labels import interior, label_disagreement
from napari_polmap.classifiers import Classifier, save_classifier
from napari_polmap.directions import NOT_COMPUTED

NAME = "knn-200kv-24mrad"
PACKAGE = Path(polmap.__file__).parent
SEED = 20261


def main() -> None:
    """Train, compare, write, report."""
    parser = argparse.ArgumentParser(description="Train the bundled classifier.")
    parser.add_argument("--data", type=Path, default=Path("build/training"))
    parser.add_argument(
        "--out", type=Path, default=PACKAGE / "data" / "classifiers" / f"{NAME}.safetensors"
    )
    parser.add_argument(
        "--held-out",
        type=Path,
        default=Path("build/held-out/held_out_knn.toml"),
        help="a second scene: held_out_scan.toml, packed by pack_demo_scan.py",
    )
    options = parser.parse_args()
    trained: dict[str, tuple[float, Classifier]] = {}
    for model in ("pca-lda", "pca-knn"):
        classifier = polmap.train(options.data / "train.toml", model, seed=SEED, name=NAME)
        figures = polmap.evaluate(classifier, options.data / "test.toml")
        trained[model] = (figures["accuracy"], classifier)
        print(f"\n## {model}, robust preset, on the specimens of test.toml")
        report(figures)
    best = max(trained, key=lambda model: trained[model][0])
    classifier = trained[best][1]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    print(f"\n{best} is the default: {save_classifier(classifier, options.out)}")
    paper = polmap.train(
        options.data / "train.toml", "pca-knn", preset="paper", seed=SEED, name="paper"
    )
    print("\n## paper preprocessing, k-NN on single patterns, on the specimens of test.toml")
    report(polmap.evaluate(paper, options.data / "test.toml"))
    for label, one in ((best, classifier), ("paper, k-NN", paper)):
        for toml in (PACKAGE / "data" / "demo_knn.toml", options.held_out):
            if toml.exists():
                print(f"\n## {toml.stem}, {label}")
                scene(one, toml)


def report(figures: dict[str, Any]) -> None:
    """Accuracy over all, and by thickness, tilt and displacement."""
    rounded = {k: None if figures[k] is None else round(figures[k], 3) for k in
               ("accuracy", "ece", "coverage", "selective_accuracy", "threshold")}  # fmt: skip
    print(rounded)
    for key, edges in (
        ("thickness_nm", (0, 12, 17, 22, 27, 32, 37, 42, 60)),
        ("tilt_mrad", (0, 1, 2, 2.6, 3.3)),
        ("displacement_angstrom", (0.08, 0.12, 0.16, 0.20, 0.25)),
    ):
        bins: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for scan in figures["scans"]:
            bins[int(np.searchsorted(edges, scan["conditions"][key]))].append(
                (scan["n"], scan["accuracy"])
            )
        shares = {
            f"{edges[k - 1]:g}-{edges[k]:g}": round(
                float(np.average([a for _, a in v], weights=[n for n, _ in v])), 3
            )
            for k, v in sorted(bins.items())
        }
        print(f"{key}: {shares}")


def scene(classifier: Classifier, toml: Path) -> None:
    """Accuracy per domain beyond one cell from wall and defect; area under the defect's curve."""
    dataset = polmap.load_dataset(toml)
    scan = dataset.scans[0].open()
    labels = label_image(toml.with_name(f"{toml.stem}_truth.tif"))
    defect = label_image(toml.with_name(f"{toml.stem}_defects.tif")) > 0
    result = polmap.classify(scan, classifier)
    cell = scan.calibration.cell_positions or 1.0
    inner = interior(labels, defect, cell) & (labels != NOT_COMPUTED)
    for index in np.unique(labels[inner]):
        here = inner & (labels == index)
        share = np.mean(result.direction[here] == index)
        print(f"domain {dataset.directions.names[index]}: {share:.3f} of {here.sum()} positions")
    print(f"undecided: {np.mean(result.undecided[inner]):.3f}; warnings: {result.warnings}")
    beyond_wall = interior(labels, np.zeros_like(defect), cell)
    for name, score in (
        ("defect score", result.defects),
        ("label disagreement", label_disagreement(result.direction)),
    ):
        use = np.isfinite(score) & beyond_wall
        print(f"{name}: area under the curve {roc_auc_score(defect[use], score[use]):.4f}")


def label_image(path: Path) -> np.ndarray[Any, Any]:
    """A label image."""
    import tifffile

    return np.asarray(tifffile.imread(path))


if __name__ == "__main__":
    main()
