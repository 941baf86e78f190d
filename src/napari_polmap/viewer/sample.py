"""Sample data in napari's menu File > Open Sample."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any

from napari_polmap.viewer.reader import read_scan


def knn_domains() -> list[Any]:
    """The bundled simulated scan: two domains of (K,Na)NbO3 with a wall and a defect."""
    with as_file(files("napari_polmap") / "data" / "demo.hspy") as path:
        return read_scan(path)
