"""What a user meets first: importing the package is quick and loads nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.resources import files

import napari_polmap

HEAVY = ("torch", "hyperspy", "sklearn", "qtpy", "PyQt5", "PyQt6", "PySide6", "napari")

_IMPORT = """
import json, sys, time
start = time.perf_counter()
import napari_polmap
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "modules": sorted({m.split(".")[0] for m in sys.modules})}))
"""


def import_in_fresh_interpreter() -> dict:
    """Import the package in a new Python: the seconds it took, and the top-level modules loaded."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def test_import_loads_nothing_heavy() -> None:
    modules = import_in_fresh_interpreter()["modules"]
    assert "napari_polmap" in modules
    assert [name for name in HEAVY if name in modules] == []


def test_import_is_quick() -> None:
    # The best of several: other work on the machine must not fail the test.
    seconds: list[float] = []
    while len(seconds) < 10 and min(seconds, default=1.0) >= 0.2:
        seconds.append(import_in_fresh_interpreter()["seconds"])
    assert min(seconds) < 0.2, seconds


def test_public_names_exist() -> None:
    missing = [name for name in napari_polmap.__all__ if not hasattr(napari_polmap, name)]
    assert missing == []


def test_entry_points_are_installed() -> None:
    (script,) = entry_points(group="console_scripts", name="polmap")
    assert callable(script.load())
    (manifest,) = entry_points(group="napari.manifest", name="napari-polmap")
    package, name = manifest.value.split(":")
    assert files(package).joinpath(name).is_file()
