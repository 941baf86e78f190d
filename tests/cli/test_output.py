from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer

from napari_polmap.cli import output


def test_json_has_null_instead_of_nan(capsys):
    output.print_json(
        {
            "nan": float("nan"),
            "deep": [{"a": (np.float32("inf"), np.int64(3))}],
            "array": np.array([1.0, np.nan]),
            "path": Path("a/b"),
            "flag": np.True_,
        }
    )
    text = capsys.readouterr().out
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(text) == {
        "nan": None,
        "deep": [{"a": [None, 3]}],
        "array": [1.0, None],
        "path": str(Path("a/b")),
        "flag": True,
    }


def test_tables_are_aligned(capsys):
    output.print_table(("name", "n"), [("a", "1"), ("longer", "1,000")])
    assert capsys.readouterr().out == "name        n\na           1\nlonger  1,000\n"


def test_failures_are_one_line(capsys):
    with pytest.raises(typer.Exit) as caught:
        output.fail("a\n  b")
    assert caught.value.exit_code == 1
    assert capsys.readouterr().err == "error: a b\n"


def test_progress_goes_to_stderr(capsys):
    with output.progress_bar("positions") as advance:
        advance(10, 4000, 75.2)
        advance(4000, 4000, 0.0)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "4,000 of 4,000 positions" in captured.err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (0.4, "1 s"), (59.5, "1 min 0 s"), (80, "1 min 20 s"), (7265, "2 h 1 min")],
)
def test_durations(seconds, text):
    assert output.duration(seconds) == text


def test_unknown_shares_are_a_dash():
    assert output.share(None) == output.share(float("nan")) == "-"
    assert output.share(0.1234) == "12.3 %"
