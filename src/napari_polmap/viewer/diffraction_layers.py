"""The layers of the diffraction view: pattern, disk, virtual detector; and its coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Image, Layer, Shapes
from psygnal import Signal

from napari_polmap.calibration import Calibration, electron_wavelength_nm
from napari_polmap.scan import Scan

DISK_COLOR = "#4cc9f0"
DETECTOR_COLOR = "#ffa62b"
_OUTLINE_PIXELS = 180
"""Detector width at which outlines are one pixel wide; they scale with the detector."""


class DiffractionLayers:
    """What the diffraction view shows, in the detector's own orientation.

    Coordinates are mrad from the disk's center where the calibration knows them, else detector
    pixels.

    Parameters
    ----------
    model : napari.components.ViewerModel
        The diffraction view's own, not the main viewer's.
    """

    drawn = Signal()
    """The user changed the drawn detector."""

    def __init__(self, model: ViewerModel) -> None:
        self.model = model
        self._shape: tuple[int, int] | None = None
        self._calibration = Calibration()
        self._pattern: Image | None = None
        self._disk: Shapes | None = None
        self._outline: Shapes | None = None
        self._detector: Shapes | None = None
        self._mask_seen: npt.NDArray[np.bool_] | None = None
        overlays = model.canvas.overlays
        overlays.scale_bar.visible = True
        overlays.scale_bar.font_size = 8
        self._fitted: tuple[float, tuple[float, ...]] | None = None
        # A flat picture: there is nothing to see in 3D.
        model.dims.events.ndisplay.connect(self._stay_flat)
        model.canvas.events.size.connect(self._fit_again)

    def set_scan(self, scan: Scan | None) -> None:
        """Lay the layers out for a scan's detector and calibration."""
        if scan is None:
            self._shape = None
            self.model.layers.clear()
            self._pattern = self._disk = self._outline = self._detector = None
            return
        self._calibration = scan.calibration
        if scan.detector_shape != self._shape:
            self._shape = scan.detector_shape
            self._make_layers()
        for layer in self.model.layers:
            self._place(layer)
        self._draw_disk()
        self._fit()

    def show(self, grey: npt.NDArray[np.uint8]) -> None:
        """Draw a pattern's grey values, shape ``(ky, kx)``."""
        if self._pattern is None or grey.shape != self._shape:
            return
        # In place: new `data` would also work out extents and thumbnails, twice the time.
        self._pattern.data[...] = grey
        if self._pattern.visible:
            self._pattern.refresh(thumbnail=False, highlight=False, extent=False)
        else:
            self._pattern.visible = True

    def hide_pattern(self) -> None:
        """Show no pattern until the next one comes."""
        if self._pattern is not None:
            self._pattern.visible = False

    def show_outline(self, mask: npt.NDArray[np.floating] | None) -> None:
        """Outline a virtual detector that was not drawn here, instead of the drawn shapes."""
        if self._outline is None:
            return
        lines = [] if mask is None or np.shape(mask) != self._shape else _outlines(mask)
        self._outline.data = []
        if lines:
            self._outline.add_paths(lines, edge_width=self._line_width(), edge_color=DETECTOR_COLOR)
        _set_visible(self._outline, bool(lines))
        _set_visible(self._detector, not lines and self._detector.nshapes > 0)

    def set_tool(self, mode: str) -> None:
        """Draw or edit the virtual detector in one of the modes of `Shapes`."""
        if self._detector is None:
            return
        if mode != "pan_zoom":
            _set_visible(self._detector, True)  # napari brings the last mode back with it
            self.model.layers.selection.active = self._detector
        self._detector.mode = mode

    @property
    def tool(self) -> str:
        """The present tool."""
        return "pan_zoom" if self._detector is None else str(self._detector.mode)

    @property
    def detector_layer(self) -> Shapes | None:
        """The shapes that the user drew."""
        return self._detector

    def clear_drawn(self) -> None:
        """Remove the drawn shapes."""
        if self._detector is not None:
            self._detector.data = []

    def drawn_mask(self) -> npt.NDArray[np.float32] | None:
        """Weights of the drawn detector, shape ``(ky, kx)``; None where nothing is drawn."""
        if self._detector is None or not self._detector.nshapes:
            return None
        mask = self._detector.to_masks(self._shape).any(axis=0)
        return mask.astype(np.float32) if mask.any() else None

    def pixel_at(self, world: Any) -> tuple[int, int] | None:
        """Detector pixel (ky, kx) at world coordinates; None beside the detector."""
        if self._pattern is None or self._shape is None:
            return None
        ky, kx = np.round(self._pattern.world_to_data(tuple(world)[-2:])).astype(int)
        inside = 0 <= ky < self._shape[0] and 0 <= kx < self._shape[1]
        return (int(ky), int(kx)) if inside else None

    def _make_layers(self) -> None:
        self.model.layers.clear()
        self._pattern = Image(
            np.zeros(self._shape, np.uint8),
            name="pattern",
            colormap="gray",
            contrast_limits=(0, 255),
            rgb=False,
            visible=False,
        )
        self._outline = Shapes(ndim=2, name="virtual detector")
        self._disk = Shapes(ndim=2, name="bright-field disk")
        self._detector = Shapes(
            ndim=2,
            name="drawn detector",
            edge_color=DETECTOR_COLOR,
            face_color=[1.0, 0.65, 0.17, 0.15],
            edge_width=self._line_width(),
        )
        for layer in (self._pattern, self._outline, self._disk, self._detector):
            layer.blending = "translucent_no_depth"  # all lie in one plane
            self.model.layers.append(layer)
        self._detector.events.data.connect(self._on_drawn)
        self._detector.mouse_drag_callbacks.append(self._while_dragging)
        self._mask_seen = None

    def _place(self, layer: Layer) -> None:
        scale = self._calibration.disk_mrad_per_pixel
        center = self._calibration.center_px
        if scale is None:
            layer.scale, layer.translate, layer.units = (1, 1), (0, 0), "pixel"
            return
        origin = center if center is not None else (0.0, 0.0)
        layer.scale = (scale, scale)
        layer.translate = (-origin[0] * scale, -origin[1] * scale)
        layer.units = "mrad"

    def _draw_disk(self) -> None:
        center, radius = self._calibration.center_px, self._calibration.radius_px
        self._disk.data = []
        if center is not None and radius is not None:
            self._disk.add_ellipses(
                np.array([[center, (radius, radius)]]),
                edge_color=DISK_COLOR,
                face_color="transparent",
                edge_width=self._line_width(),
            )
        _set_visible(self._disk, bool(self._disk.nshapes))

    def _line_width(self) -> float:
        return max(self._shape or (1, 1)) / _OUTLINE_PIXELS

    def _on_drawn(self, event: Any) -> None:
        if str(event.action) in ("added", "changed", "removed"):
            self._emit_if_changed()

    def _while_dragging(self, layer: Shapes, event: Any) -> Any:
        """The virtual image follows while a shape is moved, not only when it is let go."""
        yield
        while event.type == "mouse_move":
            # A polygon has no extent before it is closed.
            if str(layer.mode) != "add_polygon":
                self._emit_if_changed()
            yield

    def _emit_if_changed(self) -> None:
        mask = self.drawn_mask()
        weights = None if mask is None else mask > 0
        same = (weights is None) == (self._mask_seen is None) and np.array_equal(
            weights, self._mask_seen
        )
        if not same:
            self._mask_seen = weights
            self.drawn.emit()

    def _fit(self) -> None:
        self.model.reset_view(margin=0.02)
        self._fitted = self._view()

    def _fit_again(self) -> None:
        """Keep the pattern filling the canvas, unless the user zoomed or moved it."""
        if self._fitted is not None and self._fitted == self._view():
            self._fit()

    def _view(self) -> tuple[float, tuple[float, ...]]:
        camera = self.model.scene.camera
        return float(camera.zoom), tuple(float(value) for value in camera.center)

    def _stay_flat(self) -> None:
        if self.model.dims.ndisplay != 2:
            self.model.dims.ndisplay = 2


def readout(
    calibration: Calibration, pixel: tuple[int, int], pattern: npt.NDArray[Any] | None
) -> str:
    """What is under the cursor, for instance ``ky 12  kx 34 · 153 counts · 12.3 mrad · 0.49 1/Å``.

    Parameters
    ----------
    calibration : Calibration
    pixel : (int, int)
        ky, kx.
    pattern : ndarray, shape (ky, kx), optional
        Its intensities as in the file.
    """
    parts = [f"ky {pixel[0]}  kx {pixel[1]} px"]
    if pattern is not None:
        value = pattern[pixel]
        whole = np.issubdtype(pattern.dtype, np.integer)
        parts.append(f"{value} counts" if whole else f"{value:.4g}")
    scale, center = calibration.disk_mrad_per_pixel, calibration.center_px
    if scale is not None and center is not None:
        angle = float(np.hypot(pixel[0] - center[0], pixel[1] - center[1])) * scale
        parts.append(f"{angle:.1f} mrad")
        if calibration.energy_kv is not None:
            wavelength = electron_wavelength_nm(calibration.energy_kv) * 10
            parts.append(f"{angle * 1e-3 / wavelength:.3f} 1/Å")
    return " · ".join(parts)


def _set_visible(layer: Layer, visible: bool) -> None:
    """Hide what is empty: in software OpenGL each layer of shapes costs a millisecond or two."""
    if layer.visible != visible:
        layer.visible = visible


def _outlines(mask: npt.NDArray[np.floating]) -> list[npt.NDArray[np.float64]]:
    """Closed lines (ky, kx) around where a detector counts more than half."""
    from skimage.measure import find_contours

    padded = np.pad(np.asarray(mask, dtype=np.float64), 1)
    return [line - 1 for line in find_contours(padded, 0.5 * float(padded.max() or 1.0))]
