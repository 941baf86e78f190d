"""Reading and writing files: scans, polarization maps, labelled data sets."""

from __future__ import annotations

from napari_polmap.io.maps import MapWriter, load_map, save_map

__all__ = ["MapWriter", "load_map", "save_map"]
