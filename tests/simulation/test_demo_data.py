from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_polmap.io.datasets import load_dataset
from napari_polmap.io.scans import load_scan
from napari_polmap.simulation.spec import read_spec
from napari_polmap.simulation.stage import make_stage

DATA = Path(str(files("napari_polmap") / "data"))
RECIPE = Path(__file__).parents[2] / "examples" / "demo_scan.toml"


def test_demo_scan_is_small_and_calibrated() -> None:
    names = ("demo_knn.hspy", "demo_knn.toml", "demo_knn_truth.tif", "demo_knn_defects.tif")
    assert sum((DATA / name).stat().st_size for name in names) < 9e6
    scan = load_scan(DATA / "demo_knn.hspy", measure=False)
    assert scan.shape == (64, 64, 88, 88)
    assert np.asarray(scan.data[0, 0]).sum() > 3_000
    # As a microscope's file: the beam's place has to be measured.
    assert scan.calibration.center_px is None


def test_demo_scan_is_what_its_recipe_makes() -> None:
    scan = load_scan(DATA / "demo_knn.hspy", measure=False)
    made_from = json.loads(scan.metadata["Simulation"]["description"])
    assert made_from == tomllib.loads(RECIPE.read_text(encoding="utf-8"))
    pytest.importorskip("ase")
    stage = make_stage(read_spec(RECIPE), 20260)
    truth = stage.blocks.scene.truth(stage.blocks.positions)
    assert (truth.direction == tifffile.imread(DATA / "demo_knn_truth.tif")).all()
    assert (truth.defects == tifffile.imread(DATA / "demo_knn_defects.tif")).all()
    # Of the column's 58 niobium atoms 41 miss, and no other does.
    edge = 3.96
    atoms = stage.blocks.scene.atoms((5 * edge, 2 * edge), (edge, edge))
    assert atoms.get_chemical_symbols().count("Nb") == 17
    beside = stage.blocks.scene.atoms((5 * edge, 3 * edge), (edge, edge))
    assert beside.get_chemical_symbols().count("Nb") == 58


def test_truth_and_defect_are_labelled() -> None:
    dataset = load_dataset(DATA / "demo_knn.toml")
    assert len(dataset.scans) == 1
    truth = tifffile.imread(DATA / "demo_knn_truth.tif")
    names = [dataset.directions.names[index] for index in np.unique(truth[truth < 255])]
    assert truth.shape == (64, 64)
    assert names == ["RU", "RD"]
    # The wall runs down the middle, RU to its left.
    assert (truth[:, :30] == dataset.directions.index("RU")).all()
    assert (truth[:, 48:] == dataset.directions.index("RD")).all()

    defect = tifffile.imread(DATA / "demo_knn_defects.tif") > 0
    assert defect.shape == truth.shape
    rows, columns = np.nonzero(defect)
    # The middle of the cell of row 5, column 2, in steps of an eighth of a cell.
    assert (rows.mean(), columns.mean()) == (43.5, 19.5)
    assert len(rows) == 52


def test_defect_cell_departs_most() -> None:
    counts = np.asarray(load_scan(DATA / "demo_knn.hspy", measure=False).data).astype(np.float32)
    cells = counts.reshape(8, 8, 8, 8, 88, 88).mean((1, 3))
    departure = np.abs(cells - counts.mean((0, 1))).sum((-2, -1))
    assert np.unravel_index(departure.argmax(), departure.shape) == (5, 2)
