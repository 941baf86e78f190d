"""What leaves the program: pictures, label and value images, tables.

Every file is written to a temporary name and moved into place, so that a failure never leaves half
a file or destroys the one that was there.
"""

from __future__ import annotations

from napari_polmap.export.arrows import Arrows, block_arrows
from napari_polmap.export.colors import LAYERS, Layer, layer_image, render_rgba
from napari_polmap.export.figure import export_image
from napari_polmap.export.signal import export_signal
from napari_polmap.export.tables import export_csv
from napari_polmap.export.tiff import export_labels, export_scan_image, export_values

__all__ = [
    "LAYERS",
    "Arrows",
    "Layer",
    "block_arrows",
    "export_csv",
    "export_image",
    "export_labels",
    "export_scan_image",
    "export_signal",
    "export_values",
    "layer_image",
    "render_rgba",
]
