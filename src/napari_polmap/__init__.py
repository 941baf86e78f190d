"""napari-polmap: maps of polarization directions from 4D-STEM scans of ferroelectrics."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("napari-polmap")
except PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0+unknown"

_API = {
    "Calibration": "calibration",
    "Classifier": "classifiers",
    "DirectionSet": "directions",
    "PolarizationMap": "polarization_map",
    "PolmapError": "errors",
    "Scan": "scan",
    "classify": "mapping",
    "evaluate": "mapping",
    "export_csv": "export",
    "export_image": "export",
    "export_labels": "export",
    "export_signal": "export",
    "iter_classify": "mapping",
    "list_classifiers": "classifiers",
    "load_classifier": "classifiers",
    "load_dataset": "io",
    "load_map": "io",
    "load_scan": "io",
    "reclassify": "mapping",
    "save_map": "io",
    "scan_from_signal": "io",
    "scan_to_signal": "io",
    "train": "classifiers",
}

__all__ = ["__version__", *sorted(_API)]


def __getattr__(name: str) -> Any:
    """Load a part of the public API when it is first used."""
    if name in _API:
        value = getattr(import_module(f"{__name__}.{_API[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
