"""Resume, cancel, what has changed, what cannot run, two processes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_polmap.benchmark import Results, iter_benchmark, read_benchmark
from napari_polmap.benchmark.plots import distribution_figure, maps_figure
from napari_polmap.benchmark.results import majority_vote
from napari_polmap.benchmark.tables import latex, markdown
from napari_polmap.steps import finish
from tests.synthetic import write_dataset

_RECIPE = """
[recipe.preprocessing]
size = 16
[recipe.sampling]
patterns = 200
[recipe.validation]
folds = 2
[recipe.model.pca-lda]
odd = 10
even = 6
products = 2
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder / "train")
    write_dataset(folder / "test", groups=1)
    return folder


def write(folder: Path, data: Path, more: str = "", seeds: str = "[1, 2]") -> Path:
    text = f"""name = "small & simple"
seeds = {seeds}
root = "{data}"
{_RECIPE}
[train]
data = "train/dataset.toml"
[[run]]
models = ["pca-lda"]
[[test]]
name = "same_thickness"
data = "test/dataset.toml"
{more}"""
    path = folder / "benchmark.toml"
    path.write_text(text)
    return path


def run(path: Path, out: Path, **options: object) -> Results:
    return finish(iter_benchmark(read_benchmark(path), out, **options))


def written(out: Path) -> dict[str, int]:
    return {
        path.relative_to(out).as_posix(): path.stat().st_mtime_ns
        for path in out.rglob("*")
        if path.is_file()
    }


def test_goes_on_where_it_stopped(data: Path, tmp_path: Path) -> None:
    out, path = tmp_path / "out", write(tmp_path, data)
    steps = iter_benchmark(read_benchmark(path), out)
    first = next(steps)
    assert (first.done, first.total, first.share) == (0, 2, 0)
    assert any(step.done == 1 for step in steps)
    steps.close()
    before = written(out)
    assert "classifiers/pca-lda-classification-robust-1.safetensors" in before
    assert not any(name.endswith(".partial") for name in before)

    results = run(path, out)
    (outcome,) = results.outcomes
    assert sorted(outcome.seeds) == [1, 2]
    assert outcome.mean("accuracy") > 0.8
    assert outcome.deviation("accuracy") is not None
    assert outcome.vote["accuracy"] >= min(outcome.values("accuracy"))
    whole = written(out)
    kept = {name: whole[name] for name in before}
    assert kept == before

    # Nothing is left to do, and nothing is made again.
    steps = [step.total - step.done for step in iter_benchmark(read_benchmark(path), out)]
    assert steps == [0]
    assert written(out) == whole


def test_only_what_changed_is_made_again(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(write(tmp_path, data, seeds="1"), out)
    before = written(out)
    more = '[[test]]\nname = "one"\ndata = "test/dataset.toml"\nwindow = 0.8\n'
    results = run(write(tmp_path, data, more, seeds="1"), out)
    assert [test.name for test in results.tests] == ["same_thickness", "one"]
    after = written(out)
    assert {name: after[name] for name in before} == before
    assert results.directions is not None
    maps = maps_figure(results, results.directions, out)
    assert [len(axes.images) for axes in maps.axes] == [1] * 4  # truth and prediction of two rows
    truth, predicted = (axes.images[0].get_array() for axes in maps.axes[:2])
    assert truth.shape == predicted.shape == (8, 8, 3)
    np.testing.assert_allclose(truth[0, 0], results.directions.colors[0])
    bars = distribution_figure(results, results.directions).axes[0].patches
    widths = np.array([bar.get_width() for bar in bars]).reshape(8, 2)
    np.testing.assert_allclose(widths[:, 0], 1 / 8)
    assert widths[:, 1].sum() == pytest.approx(1)
    # Another recipe is another classifier.
    path = write(tmp_path, data, more, seeds="1")
    path.write_text(path.read_text().replace("patterns = 200", "patterns = 160"))
    run(path, out)
    again = written(out)
    assert all(again[name] != after[name] for name in after)


def test_what_cannot_run_here_is_marked(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    more = """[[test]]
name = "absent"
data = "absent.toml"
[[run]]
models = "cnn"
device = "cuda"
"""
    results = run(write(tmp_path, data, more, seeds="1"), tmp_path / "out")
    here, gpu, *absent = results.outcomes
    assert here.reason == ""
    assert "no GPU" in gpu.reason
    assert all("absent.toml" in outcome.reason for outcome in absent)
    text = markdown(results)
    assert "| absent | not measured |\n" in text
    assert "- cnn classification robust on same_thickness: there is no GPU here" in text
    tex = latex(results)
    assert r"\caption{small \& simple: Accuracy}" in tex
    assert r"same\_thickness & \textbf{" in tex
    assert tex.count(r"\begin{tabular}{lr}") == 3


@pytest.mark.slow
def test_two_processes(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    results = run(write(tmp_path, data), out, jobs=2)
    (outcome,) = results.outcomes
    assert len(outcome.seeds) == 2
    record = json.loads((out / "classifiers/pca-lda-classification-robust-1.json").read_text())
    assert record["training_s"] > 0


def test_majority_and_ties() -> None:
    maps = [
        (np.array([[0, 1, 1, 255]], np.uint8), np.array([[0.9, 0.6, 0.6, np.nan]], np.float32)),
        (np.array([[0, 1, 2, 255]], np.uint8), np.array([[0.2, 0.5, 0.9, np.nan]], np.float32)),
        (np.array([[2, 0, 255, 255]], np.uint8), np.array([[1, 1, np.nan, np.nan]], np.float32)),
    ]
    direction, confidence = majority_vote(maps)
    np.testing.assert_array_equal(direction, [[0, 1, 2, 255]])
    np.testing.assert_allclose(confidence[0, :3], [1.1 / 3, 1.1 / 3, 0.9 / 3], rtol=1e-6)
