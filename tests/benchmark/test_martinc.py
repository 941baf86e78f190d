"""The published data's layout in small: every model and objective, from folders to the table."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from napari_polmap.benchmark import Results, iter_benchmark, read_benchmark
from napari_polmap.benchmark.tables import markdown, write_tables
from napari_polmap.steps import finish
from tests.benchmark.conftest import BENCHMARKS

_SMALL = """
[recipe.preprocessing]
size = 32

[recipe.sampling]
patterns = 600

[recipe.validation]
folds = 2

[recipe.model.networks]
epochs = 1
"""


def written(miniature: Path, name: str, replace: dict[str, str]) -> Path:
    """The shipped benchmark with few seeds, patterns and epochs."""
    text = (BENCHMARKS / "martinc2026.toml").read_text() + _SMALL
    text = text.replace('device = "cuda"\n', "")
    for old, new in replace.items():
        assert old in text
        text = text.replace(old, new)
    path = miniature / f"{name}.toml"
    path.write_text(text)
    return path


def run(path: Path, published: Path, out: Path, *models: str) -> Results:
    benchmark = read_benchmark(path, published).only(models)
    return finish(iter_benchmark(benchmark, out, device="cpu"))


def test_the_shipped_files_are_of_the_published_layout() -> None:
    benchmark = read_benchmark(BENCHMARKS / "martinc2026.toml", "data")
    assert len(benchmark.columns) == 12
    assert benchmark.columns[0].seeds == (888, 1212, 3000, 5000, 7000)
    assert benchmark.train.root == Path("data")
    assert len(benchmark.tests) == 13


def test_components_twice_and_the_vote(miniature: Path, published: Path, tmp_path: Path) -> None:
    path = written(miniature, "knn", {"[888, 1212, 3000, 5000, 7000]": "[1, 2]"})
    results = run(path, published, tmp_path / "out", "pca-knn", "pca-lda")
    names = [test.name for test in results.tests]
    assert names[0] == "1S-LU-6x6-20nm"
    assert names[-1] == "RD, anomaly"
    assert len(names) == 13
    by_preset = {outcome.column.preset: outcome for outcome in results.of(results.tests[0])}
    paper, robust = by_preset["paper"], by_preset["robust"]
    assert sorted(paper.seeds) == [1, 2]
    assert paper.vote is not None
    assert 0.5 <= paper.vote["accuracy"] <= 1
    # A window over a whole cell tells what single patterns hardly do.
    assert robust.mean("accuracy") > 0.9
    assert robust.majority == "LU"
    # The experimental scans do not tell their step, which the window needs.
    last = {o.column.preset: o for o in results.of(results.tests[-1])}
    assert last["paper"].reason == ""
    assert "scan step" in last["robust"].reason

    files = {path.name for path in write_tables(results, tmp_path / "out")}
    assert files == {"table.md", "table.tex", "table.csv", "seeds.csv"}
    text = markdown(results)
    line = next(line for line in text.splitlines() if line.startswith("| 1S-LU-6x6-20nm"))
    assert re.search(r"\*\*\d\.\d{3} ± \d\.\d{3} \(LU\)\*\*", line)
    assert "not measured" in text
    rows = list(csv.DictReader((tmp_path / "out" / "table.csv").open()))
    assert len(rows) == 13 * 2
    assert float(rows[0]["accuracy"]) == pytest.approx(paper.mean("accuracy"), abs=1e-5)


_LARGE = ("resnet18", "resnet50", "vgg11", "vgg16")


@pytest.mark.parametrize(
    "model", ["cnn", "parity", *(pytest.param(m, marks=pytest.mark.slow) for m in _LARGE)]
)
def test_networks_with_each_objective(
    model: str, miniature: Path, published: Path, tmp_path: Path
) -> None:
    changes = {
        "[888, 1212, 3000, 5000, 7000]": "[1]",
        '"pca-lda", "cnn"': '"pca-lda"',
        # Three that the published table has no row for.
        'models = ["cnn"]': f'models = ["{model}"]',
        '["resnet50", "vgg16"]': '["resnet50", "vgg16"]' if model == "cnn" else '["cnn"]',
        "scans = true": "scans = true\nselect = { thickness_nm = 50 }",
        "patterns = 600": f"patterns = {160 if model in _LARGE else 600}",
    }
    path = written(miniature, model, changes)
    results = run(path, published, tmp_path / "out", model)
    columns = results.benchmark.columns
    assert [c.objective for c in columns] == ["classification", "regression", "prototype"]
    assert [test.name for test in results.tests] == ["2S-LU-6x6-50nm", "4S-RD-6x6-50nm"]
    for outcome in results.outcomes:
        assert outcome.reason == ""
        assert 0 <= outcome.mean("accuracy") <= 1
