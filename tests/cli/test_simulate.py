from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from napari_polmap import load_dataset
from napari_polmap.simulation.spec import read_spec
from tests.cli.conftest import Polmap
from tests.simulation.specs import small

pytest.importorskip("abtem")

EXAMPLES = Path(__file__).parents[2] / "examples"


def write_toml(path: Path, values: dict[str, Any]) -> Path:
    """A description as TOML; inner tables inline."""

    def plain(value: Any) -> str:
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{k} = {plain(v)}" for k, v in value.items()) + " }"
        return json.dumps(value)

    lines = [f"{key} = {plain(value)}" for key, value in values.items() if key == "name"]
    for section, fields in values.items():
        if isinstance(fields, dict):
            lines += [f"[{section}]", *(f"{name} = {plain(v)}" for name, v in fields.items())]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert tomllib.loads(path.read_text(encoding="utf-8")) == values
    return path


def test_a_description_becomes_data_sets_and_a_report(polmap: Polmap, tmp_path: Path) -> None:
    spec = write_toml(tmp_path / "spec.toml", small(specimens={"thickness_nm": [0.8]}))
    result = polmap("simulate", spec, "-o", tmp_path / "out", "--jobs", 1)
    assert result.exit_code == 0, result.stderr
    assert "train.toml" in result.stdout
    assert "from the conditions alone" in result.stdout
    assert "positions 16" in result.stderr
    assert "4 scans in" in result.stderr
    assert len(load_dataset(tmp_path / "out" / "train.toml").scans) == 4
    assert "# small: what tells" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    again = polmap("simulate", spec, "-o", tmp_path / "out", "--jobs", 1, "--json")
    told = json.loads(again.stdout)
    assert told["scans"] == 4
    assert told["confounders"]["train"]["chance"] == 0.5
    assert told["confounders"]["train"]["balanced"] is True


def test_the_estimate_writes_nothing(polmap: Polmap, tmp_path: Path) -> None:
    spec = write_toml(tmp_path / "spec.toml", small())
    result = polmap("simulate", spec, "--estimate", "--json", "--jobs", 1)
    told = json.loads(result.stdout)
    assert told["positions"] == 16
    assert told["seconds"] > 0
    assert told["memory_mb"] > 0
    assert "time" in polmap("simulate", spec, "--estimate").stdout
    assert [path.name for path in tmp_path.iterdir()] == ["spec.toml"]


def test_fields_are_listed(polmap: Polmap) -> None:
    result = polmap("simulate", "--fields")
    assert result.exit_code == 0
    assert "### [microscope]" in result.stdout
    assert "`focal_spread_nm`" in result.stdout


def test_failures_are_one_sentence(polmap: Polmap, tmp_path: Path) -> None:
    spec = write_toml(tmp_path / "spec.toml", small(microscope={"energy_kv": -1}))
    for arguments, told in (
        ((), "no description"),
        ((spec,), "no folder"),
        ((spec, "-o", tmp_path / "out"), "microscope.energy_kv is -1"),
        ((tmp_path / "none.toml", "-o", tmp_path / "out"), "check the path"),
    ):
        result = polmap("simulate", *arguments)
        assert result.exit_code == 1
        assert told in result.stderr
        assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()
    assert polmap("simulate", spec, "-o", tmp_path, "--jobs", "0").exit_code == 2


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to a single process")
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done(tmp_path: Path, jobs: int) -> None:
    values = small(specimens={"sets": {"train": "1-40"}, "positions": 8})
    spec = write_toml(tmp_path / "spec.toml", values)
    out = tmp_path / "out"
    command = ["simulate", spec, "-o", out, "--jobs", jobs]
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_polmap", *map(str, command)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while len(list(out.rglob("RM.json"))) < 3 and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from there" in errors
    assert "Traceback" not in errors
    assert len(load_dataset(out / "train.toml").scans) >= 6


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_examples_can_be_simulated(path: Path) -> None:
    from napari_polmap.simulation.run import estimate

    cost = estimate(read_spec(path), jobs=2, measure=False)
    assert cost.positions > 0
    assert cost.memory_mb < 2000


def test_without_abtem_it_says_how_to_install_it(
    polmap: Polmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_toml(tmp_path / "spec.toml", small())
    monkeypatch.setitem(sys.modules, "abtem", None)
    result = polmap("simulate", spec, "--estimate")
    assert result.exit_code == 1
    assert "abTEM, which is not installed; run pip install" in result.stderr
