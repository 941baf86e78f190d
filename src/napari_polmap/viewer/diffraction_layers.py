"""The layers of the diffraction view: pattern, disk, virtual detector; and its coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.components import ViewerModel
from napari.layers import Image, Layer, Shapes

from napari_polmap.calibration import Calibration, electron_wavelength_nm
from napari_polmap.diffraction.detectors import Outline, PairDetector, Point
from napari_polmap.scan import Scan
from napari_polmap.viewer.virtual_detector import VirtualDetector

DISK_COLOR = "#4cc9f0"
DETECTOR_COLOR = "#ffa62b"
OPPOSITE_COLOR = "#b388ff"
"""Of the part of a pair that counts negative."""
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

    def __init__(self, model: ViewerModel) -> None:
        self.model = model
        self._shape: tuple[int, int] | None = None
        self._calibration = Calibration()
        self._pattern: Image | None = None
        self._disk: Shapes | None = None
        self._outline: Shapes | None = None
        self._outlines: tuple[list[Outline], list[str]] = [], []
        self._line: list[Outline] = []
        self._drawn_colors: list[str] = []
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
            self._pattern = self._disk = self._outline = None
            return
        seen = self._seen()
        self._calibration = scan.calibration
        if scan.detector_shape != self._shape:
            seen = None
            self._shape = scan.detector_shape
            self._make_layers()
        for layer in self.model.layers:
            self._place(layer)
        self.draw_disk(scan.calibration)
        self._keep_view(seen)

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

    def show_detector(self, detector: VirtualDetector | None) -> None:
        """Outline the virtual detector; the negative part of a pair in another color."""
        if self._outline is None:
            return
        lines: list[Outline] = []
        colors: list[str] = []
        if detector is not None:
            lines = detector.shape.outlines(self._calibration)
            colors = [DETECTOR_COLOR] * len(lines)
            if detector.paired and self._calibration.center_px is not None:
                opposite = PairDetector(detector.shape).opposite(self._calibration)
                lines = [*opposite.outlines(self._calibration), *lines]
                colors = [OPPOSITE_COLOR] * (len(lines) - len(colors)) + colors
        self._outlines = lines, colors
        self._draw_lines()

    def show_line(self, line: Sequence[Point] | None) -> None:
        """Draw an unfinished line through vertices (ky, kx) beside the detector."""
        self._line = [] if not line or len(line) < 2 else [np.asarray(line, float)]
        self._draw_lines()

    def _draw_lines(self) -> None:
        if self._outline is None:
            return
        lines, colors = self._outlines
        lines, colors = [*lines, *self._line], [*colors, *[DETECTOR_COLOR] * len(self._line)]
        width = self._line_width()
        same = [len(line) for line in lines] == [len(line) for line in self._outline.data]
        if lines and same and list(colors) == self._drawn_colors:
            self._outline.data = lines
        else:
            self._outline.data = []
            if lines:
                self._outline.add_paths(lines, edge_width=width, edge_color=colors)
        self._drawn_colors = list(colors)
        _set_visible(self._outline, bool(lines))

    @property
    def pixels_a_screen_pixel(self) -> float:
        """Detector pixels in a pixel of the screen."""
        scale = 1.0 if self._pattern is None else float(self._pattern.scale[-1])
        return 1.0 / (float(self.model.scene.camera.zoom) * scale)

    def place_of(self, world: Any) -> Point:
        """Place on the detector (ky, kx), in pixels, of world coordinates."""
        if self._pattern is None:
            return 0.0, 0.0
        ky, kx = self._pattern.world_to_data(tuple(world)[-2:])
        return float(ky), float(kx)

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
        for layer in (self._pattern, self._outline, self._disk):
            layer.blending = "translucent_no_depth"  # all lie in one plane
            self.model.layers.append(layer)
        # Keys and clicks are not for the outlines.
        self.model.layers.selection.active = self._pattern
        self._drawn_colors = []
        self._draw_lines()

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

    @property
    def pattern_layer(self) -> Image | None:
        """The pattern's layer; its data coordinates are detector pixels."""
        return self._pattern

    def draw_disk(self, calibration: Calibration) -> None:
        """Draw the bright-field disk's edge, or nothing where it is not known."""
        center, radius = calibration.center_px, calibration.radius_px
        if self._disk is None:
            return
        self._disk.data = []
        if center is not None and radius is not None:
            # Half axes of the distorted disk, and the corners of the box around it.
            lengths, axes = np.linalg.eigh(calibration.distortion())
            first, second = (radius * lengths * axes).T
            corners = [-first - second, -first + second, first + second, first - second]
            self._disk.add_ellipses(
                [np.add(center, corners)],
                edge_color=DISK_COLOR,
                face_color="transparent",
                edge_width=self._line_width(),
            )
        _set_visible(self._disk, bool(self._disk.nshapes))

    def _line_width(self) -> float:
        return max(self._shape or (1, 1)) / _OUTLINE_PIXELS

    def _fit(self) -> None:
        self.model.reset_view(layers=[self._pattern], margin=0.02)
        self._fitted = self._view()

    def _seen(self) -> tuple[Point, float] | None:
        """Detector pixel in the middle of the view, and its size there, if the user chose them."""
        if self._pattern is None or self._fitted in (None, self._view()):
            return None
        place = self.place_of(self.model.scene.camera.center)
        return place, 1 / self.pixels_a_screen_pixel

    def _keep_view(self, seen: tuple[Point, float] | None) -> None:
        """Go on showing the same detector pixels under another calibration, or all of them."""
        if seen is None or self._pattern is None:
            self._fit()
            return
        camera = self.model.scene.camera
        camera.center = (0.0, *self._pattern.data_to_world(seen[0]))
        camera.zoom = seen[1] / float(self._pattern.scale[-1])

    def _fit_again(self) -> None:
        """Keep the pattern filling the canvas, unless the user zoomed or moved it."""
        if self._pattern is not None and self._fitted == self._view():
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
