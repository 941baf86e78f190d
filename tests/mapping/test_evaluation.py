"""Evaluation: figures that can be counted by hand, whole-scan labels, images, several right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_polmap.classifiers import Classifier
from napari_polmap.errors import DatasetError
from napari_polmap.mapping import evaluate, iter_evaluate
from napari_polmap.mapping.evaluation import warnings_of
from tests.synthetic import DIRECTIONS, STEP_NM, make_patterns, two_domains

_COMMON = f"""step_nm = {STEP_NM}
lattice_nm = 0.396
energy_kv = 200.0
semi_angle_mrad = 24.0
center = [15.6, 15.2]
radius = 9.0
"""


def _dataset(folder: Path, entry: str, directions: str = '["RU", "LM"]') -> Path:
    toml = folder / "set.toml"
    toml.write_text(f'directions = {directions}\n[[scan]]\npath = "scan.npy"\n{entry}\n{_COMMON}')
    return toml


def test_label_image_with_unlabelled_positions(classifier: Classifier, tmp_path: Path) -> None:
    labels = two_domains()
    np.save(tmp_path / "scan.npy", make_patterns(labels, seed=70))
    truth = np.where(labels == DIRECTIONS.index("RU"), 0, 1).astype(np.uint8)
    truth[:, 18:38] = 255
    np.save(tmp_path / "truth.npy", truth)
    figures = evaluate(classifier, _dataset(tmp_path, 'truth = "truth.npy"\nthickness_nm = 20'))
    json.dumps(figures, allow_nan=False)
    entry = figures["scans"][0]
    assert entry["n"] == 48 * 36
    assert figures["accuracy"] == entry["accuracy"] > 0.97
    assert entry["conditions"] == {"thickness_nm": 20}
    # RU fills 18 of 36 labelled columns.
    assert entry["directions"]["RU"] == pytest.approx(48 * 18, abs=30)
    assert sum(entry["directions"].values()) == entry["n"]
    confusion = np.array(figures["confusion"])
    names = figures["directions"]["names"]
    assert confusion.sum() == figures["n"] == entry["n"]
    assert confusion.trace() == round(figures["accuracy"] * figures["n"])
    assert entry["confusion"]["RU"]["RU"] == confusion[names.index("RU"), names.index("RU")]
    assert sum(row[2] for row in figures["reliability"]) == figures["n"]
    assert 0 <= figures["mean_angular_error_deg"] < 5
    assert figures["by"] == {"thickness_nm": [[20.0, 20.0, entry["n"], figures["accuracy"]]]}


def test_a_region_smaller_than_a_cell_is_warned_of(classifier: Classifier, tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", make_patterns(two_domains((24, 24)), seed=75))
    more = f'{_COMMON}[[scan]]\npath = "scan.npy"\ndirection = "RU"\nregion = "0:24,0:5"'
    figures = evaluate(classifier, _dataset(tmp_path, f'direction = "RU"\n{more}'))
    whole, narrow = figures["scans"]
    assert not any("no window holds a whole one" in told for told in whole["warnings"])
    assert "The scan has 24 x 5 positions and a unit cell 8 along" in narrow["warnings"][-1]
    assert warnings_of(figures)[-1] == f"1 of 2 scans: {narrow['warnings'][-1]}"


def test_any_of_several_directions_counts(classifier: Classifier, tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", make_patterns(two_domains(), seed=71))
    one = evaluate(classifier, _dataset(tmp_path, 'direction = "RU"'))
    both = evaluate(classifier, _dataset(tmp_path, 'direction = ["RU", "LM"]'))
    assert 0.4 < one["accuracy"] < 0.6
    assert both["accuracy"] > one["accuracy"] + 0.3


def test_undecided_everywhere_has_no_selective_accuracy(
    classifier: Classifier, tmp_path: Path
) -> None:
    np.save(tmp_path / "scan.npy", make_patterns(two_domains(), seed=72))
    figures = evaluate(classifier, _dataset(tmp_path, 'direction = "RU"'), threshold=1.5)
    assert figures["coverage"] == 0
    assert figures["selective_accuracy"] is None
    assert figures["accuracy"] is not None


def test_other_directions_are_refused(classifier: Classifier, tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", make_patterns(two_domains(), seed=73))
    toml = _dataset(tmp_path, 'direction = "up"', '["up", "down"]')
    with pytest.raises(DatasetError, match="does not know"):
        evaluate(classifier, toml)


def test_figures_by_every_numeric_condition(classifier: Classifier, tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", make_patterns(two_domains((24, 24)), seed=74))
    scan = f'{_COMMON}[[scan]]\npath = "scan.npy"\n'
    more = f"""direction = "LM"
dose = 100
tilt_mrad = 1.5
thermal = "none"
{scan}direction = ["RU", "LM"]
dose = 200
{scan}direction = "RU"
thickness_nm = 5"""
    figures = evaluate(classifier, _dataset(tmp_path, more))
    assert list(figures["by"]) == ["dose", "tilt_mrad", "thickness_nm"]
    low, high = figures["by"]["dose"]
    assert low[:3] == [100.0, 100.0, 576]
    assert low[3] == figures["scans"][0]["accuracy"] < high[3]
    assert figures["n"] == 3 * 576


def test_step_by_step_with_each_map(classifier: Classifier, dataset: Path) -> None:
    steps = iter_evaluate(classifier, dataset)
    first = next(steps)
    assert (first.done, first.map) == (0, None)
    finished = next(step for step in steps if step.map is not None)
    steps.close()
    assert finished.entry.path.name == "RM_0.npy"
    assert finished.map.complete
    assert finished.remaining_s > 0
