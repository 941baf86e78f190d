"""Reading and writing files: scans, polarization maps, labelled data sets."""

from __future__ import annotations

from napari_polmap.io.datasets import LabelledDataset, LabelledScan, load_dataset
from napari_polmap.io.maps import MapWriter, is_map, load_map, save_map
from napari_polmap.io.scans import load_scan
from napari_polmap.io.signals import scan_from_signal, scan_to_signal

__all__ = [
    "LabelledDataset",
    "LabelledScan",
    "MapWriter",
    "is_map",
    "load_dataset",
    "load_map",
    "load_scan",
    "save_map",
    "scan_from_signal",
    "scan_to_signal",
]
