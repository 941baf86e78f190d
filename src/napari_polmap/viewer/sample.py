"""Sample data in napari's menu File > Open Sample."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from napari_polmap.viewer.reader import read_scan


def demo_path() -> Path:
    """The bundled simulated scan."""
    return Path(str(files("napari_polmap") / "data" / "demo_knn.hspy"))


def knn_domains() -> list[Any]:
    """Two domains of (K,Na)NbO3 with a wall and a defect, simulated."""
    return read_scan(demo_path())
