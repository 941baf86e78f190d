from __future__ import annotations

import json

import numpy as np


def test_evaluate_as_json(polmap, classifier_file, dataset_file):
    result = polmap("evaluate", "-c", classifier_file, dataset_file, "--json")
    assert result.exit_code == 0, result.stderr
    values = json.loads(result.stdout)
    assert values["accuracy"] > 0.8
    assert set(values) >= {"accuracy", "ece", "coverage", "selective_accuracy", "scans"}
    assert np.sum(values["confusion"]) == values["n"] == 512
    assert values["by"]["thickness_nm"] == [[20.0, 20.0, 512, values["accuracy"]]]
    assert len(values["scans"]) == 8
    first = values["scans"][0]
    assert first["n"] == 64
    assert first["majority"] == "RM"
    assert sum(first["directions"].values()) == 64
    assert "8 of 8 scans" in result.stderr


def test_evaluate_for_people(polmap, classifier_file, dataset_file):
    result = polmap("evaluate", "-c", classifier_file, dataset_file)
    lines = result.stdout.splitlines()
    assert lines[0].split()[0] == "scan"
    assert lines[9].split()[:2] == ["all", "512"]
    assert lines[9].endswith("°")
    assert lines[10] == ""
    assert lines[12].split()[:3] == ["thickness", "(nm)", "20"]
    assert len(lines) == 13


def test_evaluate_writes_figures(polmap, classifier_file, dataset_file, tmp_path):
    result = polmap("evaluate", "-c", classifier_file, dataset_file, "--plots", tmp_path / "plots")
    assert result.exit_code == 0, result.stderr
    made = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert made == [
        f"{name}.{kind}"
        for name in ("accuracy", "confusion", "reliability")
        for kind in ("png", "svg")
    ]


def test_evaluate_a_missing_data_set(polmap, tmp_path, classifier_file):
    result = polmap("evaluate", "-c", classifier_file, tmp_path / "none.toml")
    assert result.exit_code == 1
    assert "none.toml" in result.stderr
    assert "Traceback" not in result.stderr
