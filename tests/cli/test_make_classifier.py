from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_polmap import list_classifiers
from tests.cli.conftest import Polmap
from tests.mapping.made import few_patterns

pytest.importorskip("abtem")

QUICK = ("--thickness", "1,1", "--specimens", "2,1", "--jobs", "1", "--model", "pca-lda")


def test_a_classifier_is_made_and_the_scan_classified(
    polmap: Polmap,
    scan_file: Path,
    calibration: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few_patterns(monkeypatch)
    out = tmp_path / "out"
    # A wide disk and a coarse lattice: few positions and small patterns, in seconds.
    weak = ["--energy", "60", "--semi-angle", "20", *calibration[:4], *calibration[8:]]
    told = polmap("make-classifier", scan_file, "-o", out, *QUICK, *weak, "--json", "--tilt", 1)
    assert told.exit_code == 0, told.stderr
    values = json.loads(told.stdout)
    assert values["classifier"] == "knn-60kv-20mrad-1nm"
    assert values["test"]["groups"] == 1
    assert values["map"]["complete"]
    assert values["map"]["positions"] == 32 * 48
    assert [e.name for e in list_classifiers() if e.origin == "user"] == [values["classifier"]]
    for stage in ("1 of 4: simulate", "2 of 4: train", "3 of 4: test", "4 of 4: classify"):
        assert stage in told.stderr
    # Once more: all is there.
    again = polmap("make-classifier", scan_file, "-o", out, *QUICK, *weak, "--tilt", 1)
    assert again.exit_code == 0, again.stderr
    assert "it named the right direction" in again.stdout
    assert "2 of 4" not in again.stderr


def test_the_estimate_writes_nothing(
    polmap: Polmap, scan_file: Path, calibration: list[str], tmp_path: Path
) -> None:
    arguments = ("make-classifier", scan_file, "-o", tmp_path / "out", *QUICK, *calibration)
    told = polmap(*arguments, "--estimate", "--json")
    values = json.loads(told.stdout)
    assert values["positions"] == 3 * 2 * 64
    assert values["total_seconds"] > values["seconds"] > 0
    assert values["description"]["crystal"]["material"] == "KNN"
    assert "KNN, 200 kV, 24 mrad" in polmap(*arguments, "--estimate").stdout
    assert not (tmp_path / "out").exists()


def test_failures_are_one_sentence(
    polmap: Polmap, scan_file: Path, calibration: list[str], tmp_path: Path
) -> None:
    without = [part for part in calibration if part not in ("--energy", "200")]
    for arguments, told in (
        ((*QUICK, *without), "does not tell the acceleration voltage"),
        ((*QUICK, *calibration, "--material", "SrTiO3"), "SrTiO3 has no polarization"),
        (("--thickness", "40,20", *calibration), "from 40 to 20 nm"),
    ):
        result = polmap("make-classifier", scan_file, "-o", tmp_path / "out", *arguments)
        assert result.exit_code == 1
        assert told in result.stderr
        assert result.stderr.count("error:") == 1
    for arguments in (("--thickness", "a"), ("--thickness", "1,2", "--specimens", "1,2,3")):
        result = polmap("make-classifier", scan_file, "-o", tmp_path / "out", *arguments)
        assert result.exit_code == 2


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to a single process")
@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done(scan_file: Path, calibration: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["make-classifier", scan_file, "-o", out, "--thickness", "5,5", *calibration]
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_polmap", *map(str, command), "--jobs", "1"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while len(list(out.rglob("*.json"))) < 3 and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped while at stage 'simulate'" in errors
    assert "the same command goes on from there" in errors
    assert "Traceback" not in errors
    assert len(list((out / "scans").rglob("*.npy"))) >= 4
