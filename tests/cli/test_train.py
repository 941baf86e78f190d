from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from napari_polmap.classifiers import read_classifier
from napari_polmap.cli.train import _interrupts
from tests.cli.conftest import Polmap
from tests.synthetic import write_dataset

RECIPE = """
[preprocessing]
size = 16
[sampling]
per_scan = 3
[validation]
folds = 2
[model.pca-lda]
odd = 10
even = 6
products = 2
[model.parity]
epochs = 3
[model.cnn]
epochs = 400
batch = 16
patience = 400
"""


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("train"), groups=3)


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(RECIPE)
    return path


def test_a_classifier_and_its_figures(
    polmap: Polmap, data: Path, recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine.safetensors"
    result = polmap("train", data, "--recipe", recipe, "-o", out)
    assert result.exit_code == 0, result.stderr
    assert "of 72 unseen patterns" in result.stdout
    assert "Trained in" in result.stderr
    trained = read_classifier(out)
    assert (trained.name, trained.model.kind, trained.card["preset"]) == (
        "mine", "parity", "small",
    )  # fmt: skip
    again = polmap(
        "train", data, "--recipe", recipe, "-o", tmp_path / "two.safetensors", "--json",
        "--model", "pca-lda", "--seed", 1, "--seed", 2, "--vote", "majority",
        "--max-patterns", 60, "--name", "Two",
    )  # fmt: skip
    told = json.loads(again.stdout)
    assert (told["model"], told["name"]) == ("ensemble", "Two")
    assert told["patterns"]["drawn"] == told["validation"]["n"] == 60
    assert read_classifier(tmp_path / "two.safetensors").card["seed"] == [1, 2]


def test_bad_choices_are_told_in_one_line(
    polmap: Polmap, data: Path, recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine.safetensors"
    for arguments, told in (
        ((data, "-o", out, "--preset", "best"), "choose robust or paper"),
        ((data, "-o", out, "--model", "cnm"), "There is no model 'cnm'"),
        ((data, "-o", out, "--model", "pca-lda", "--objective", "prototype"), "is for networks"),
        ((data, "-o", tmp_path / "mine.pt"), "does not end in .safetensors"),
        ((data, "-o", tmp_path / "no" / "mine.safetensors"), "There is no folder"),
        ((data, "-o", out, "--recipe", tmp_path / "none.toml"), "cannot be read"),
        ((data,), "give one with -o"),
        ((), "There is no data set"),
    ):
        result = polmap("train", *arguments)
        assert result.exit_code == 1
        assert told in result.stderr
        assert result.stderr.count("\n") == 1
    assert not out.exists()


def test_one_group_is_warned_of(polmap: Polmap, recipe: Path, tmp_path: Path) -> None:
    one = write_dataset(tmp_path / "one", groups=1)
    result = polmap("train", one, "--recipe", recipe, "-o", tmp_path / "one.safetensors")
    assert result.exit_code == 0
    assert "warning: Every direction is of one group only" in result.stderr


def test_the_fields_of_a_recipe(polmap: Polmap) -> None:
    assert "### [sampling]" in polmap("train", "--fields").stdout


def test_the_first_ctrl_c_asks_and_the_second_ends(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with _interrupts() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked.is_set()
        assert "the best so far is kept" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to another process")
def test_ctrl_c_keeps_the_best_so_far(data: Path, recipe: Path, tmp_path: Path) -> None:
    out, kept = tmp_path / "cnn.safetensors", tmp_path / "on.safetensors"
    running = subprocess.Popen(
        [sys.executable, "-m", "napari_polmap", "train", data, "--recipe", recipe, "-o", out,
         "--model", "cnn", "--checkpoint", kept],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        for _ in range(600):
            if kept.exists() or running.poll() is not None:
                break
            try:
                running.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130, said
    assert "the best so far is kept" in said
    assert f"{out} holds the best so far. The same command goes on from {kept}." in said
    assert read_classifier(out).card["training"]["stopped"]
