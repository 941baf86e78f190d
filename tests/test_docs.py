"""Pages that are written by the program are what it says today."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_pages_of_fields_are_current() -> None:
    place = ROOT / "scripts" / "write_fields.py"
    if not place.exists():
        pytest.skip("Only a clone has the documentation.")
    spec = importlib.util.spec_from_file_location("write_fields", place)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    pages = script.pages()
    assert len(pages) == 2
    for page, text in pages.items():
        assert page.read_text(encoding="utf-8") == text, "run python scripts/write_fields.py"
