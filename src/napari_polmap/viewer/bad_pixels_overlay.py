"""The masked detector pixels over the pattern in the diffraction view, painted with a brush."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils import DirectLabelColormap
from napari.utils.notifications import show_error

from napari_polmap.errors import PolmapError
from napari_polmap.viewer.session import BAD_PIXELS

if TYPE_CHECKING:
    from napari_polmap.viewer.diffraction import DiffractionController

LAYER = "bad pixels"
COLOR = "#e5304c"
BAD = 1


class BadPixelsOverlay:
    """Shows a scan's bad pixels; while `Session.editing` is `BAD_PIXELS` they are painted.

    Each stroke is one step of the calibration.

    Parameters
    ----------
    controller : DiffractionController
    """

    def __init__(self, controller: DiffractionController) -> None:
        self.controller = controller
        self.model = controller.model
        self.session = controller.session
        self._layer: Labels | None = None
        self._shown: str | None = None
        self._painting = False
        self._connections = [
            (self.session.scan_changed, self._refresh),
            (self.session.editing_changed, self._refresh),
            (controller.pattern_changed, self._on_pattern),
        ]
        for signal, slot in self._connections:
            signal.connect(slot)
        self._refresh()

    def close(self) -> None:
        """Stop listening."""
        for signal, slot in self._connections:
            signal.disconnect(slot, missing_ok=True)
        self._connections = []

    def _on_pattern(self) -> None:
        if self._layer is None:
            self._refresh()

    def _refresh(self) -> None:
        scan = self.session.scan
        if self._layer is not None and self._layer not in self.model.layers:
            self._layer = None
        editing = self.session.editing == BAD_PIXELS and scan is not None
        marked = scan is not None and scan.bad_pixels_sha256 is not None
        if self._layer is None and (editing or marked):
            self._add_layer()
        layer = self._layer
        if layer is None or scan is None:
            return
        if scan.bad_pixels_sha256 != self._shown:
            self._shown = scan.bad_pixels_sha256
            mask = np.zeros(scan.detector_shape, bool) if not marked else scan.bad_pixels
            layer.data = np.asarray(mask, np.uint8)
        layer.visible = bool(editing or marked)
        self._paint(editing)

    def _paint(self, editing: bool) -> None:
        """Take the brush, or give the mouse back."""
        layer = self._layer
        if layer is None:
            return
        if not editing:
            if self._painting:
                self._painting = False
                layer.mode = "pan_zoom"
                self.model.layers.selection.active = self.controller.layers.pattern_layer
            return
        self._painting = True
        self.model.layers.selection.active = layer
        layer.brush_size = self.session.brush_px
        layer.mode = "erase" if self.session.erasing else "paint"

    def _add_layer(self) -> None:
        scan, pattern = self.session.scan, self.controller.layers.pattern_layer
        if scan is None or pattern is None:
            return
        active = self.model.layers.selection.active
        self._shown = None
        layer = self._layer = Labels(
            np.zeros(scan.detector_shape, np.uint8),
            name=LAYER,
            colormap=DirectLabelColormap(
                color_dict={None: "transparent", 0: "transparent", BAD: COLOR}
            ),
            opacity=0.75,
            scale=pattern.scale,
            translate=pattern.translate,
            units=pattern.units,
            blending="translucent_no_depth",
        )
        layer.selected_label = BAD
        layer.bind_key("Control-Z", lambda _: self.session.undo_calibration(), overwrite=True)
        layer.bind_key("Control-Y", lambda _: self.session.redo_calibration(), overwrite=True)
        layer.events.paint.connect(self._on_painted)
        self.model.layers.append(layer)
        # What is drawn with the mouse stays what it was.
        self.model.layers.selection.active = active

    def _on_painted(self, _event: Any) -> None:
        scan, layer = self.session.scan, self._layer
        if scan is None or layer is None:
            return
        mask = np.asarray(layer.data) == BAD
        text = "erased bad pixels" if self.session.erasing else "drawn bad pixels"
        try:
            self._shown = scan.with_bad_pixels(mask).bad_pixels_sha256
            self.session.set_bad_pixels(mask, text)
        except PolmapError as error:
            show_error(str(error))
            self._shown = ""
            self._refresh()
