from __future__ import annotations

import json
from pathlib import Path

from tests.benchmark.test_runner import write
from tests.cli.conftest import Polmap
from tests.synthetic import write_dataset


def test_benchmark_writes_tables_and_figures(polmap: Polmap, tmp_path: Path) -> None:
    write_dataset(tmp_path / "train", groups=2)
    write_dataset(tmp_path / "test", groups=1)
    file, out = write(tmp_path, tmp_path, seeds="1"), tmp_path / "out"
    result = polmap("benchmark", file, "-o", out, "--data", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[0].split() == ["same_thickness"]
    assert result.stdout.splitlines()[1].startswith("pca-lda robust")
    made = {path.name for path in out.iterdir() if path.is_file()}
    assert made == {"table.md", "table.tex", "table.csv", "seeds.csv"}
    assert len(list((out / "plots").iterdir())) == 4

    again = polmap("benchmark", file, "-o", out, "--only", "pca-lda", "--json")
    values = json.loads(again.stdout)
    (cell,) = values["cells"]
    assert (cell["row"], cell["model"], cell["not_measured"]) == (
        "same_thickness", "pca-lda", None,
    )  # fmt: skip
    assert cell["accuracy"] > 0.8
    assert cell["std"] is None

    wrong = polmap("benchmark", file, "-o", out, "--only", "cnn")
    assert wrong.exit_code == 1
    assert "no model 'cnn'" in wrong.stderr
