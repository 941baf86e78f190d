"""How a classifier does on scenes with a wall and a defect, whose truth images lie beside them.

Accuracy of each domain further than one cell from the wall's middle and from the defect; area
under the curve of the defect score and of its baseline, the share of neighbors with another
direction, on all positions further than one cell from the wall.

    D=src/napari_polmap/data
    python benchmarks/scenes.py $D/demo_knn.toml build/held-out/held_out_knn.toml
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import tifffile
from sklearn.metrics import roc_auc_score

import napari_polmap as polmap
from napari_polmap.analysis.labels import interior, label_disagreement
from napari_polmap.classifiers import Classifier
from napari_polmap.directions import NOT_COMPUTED


def main() -> None:
    """Classify and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", type=Path, nargs="+", help="labelled data sets of one scan")
    parser.add_argument("-c", "--classifier", default="default")
    options = parser.parse_args()
    classifier = polmap.load_classifier(options.classifier)
    for scene in options.scenes:
        print(f"## {scene.stem}")
        compare(classifier, scene)


def compare(classifier: Classifier, path: Path) -> None:
    """Print the figures of one scene."""
    dataset = polmap.load_dataset(path)
    scan = dataset.scans[0].open()
    truth = tifffile.imread(path.with_name(f"{path.stem}_truth.tif"))
    defect = tifffile.imread(path.with_name(f"{path.stem}_defects.tif")) > 0
    result = polmap.classify(scan, classifier)
    cell = scan.calibration.cell_positions or 1.0
    inner = interior(truth, defect, cell) & (truth != NOT_COMPUTED)
    for index in np.unique(truth[inner]):
        here = inner & (truth == index)
        share = np.mean(result.direction[here] == index)
        print(f"{dataset.directions.names[index]}: {share:.3f} of {here.sum()} positions")
    print(f"undecided: {np.mean(result.undecided[inner]):.3f}; warnings: {result.warnings}")
    beyond_wall = interior(truth, np.zeros_like(defect), cell)
    for name, score in (
        ("defect score", result.defects),
        ("label disagreement", label_disagreement(result.direction)),
    ):
        use = np.isfinite(score) & beyond_wall
        print(f"{name}: area under the curve {roc_auc_score(defect[use], score[use]):.4f}")


if __name__ == "__main__":
    main()
