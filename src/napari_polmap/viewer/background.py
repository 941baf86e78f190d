"""An image beneath the map: any image of the same area, brought onto the scan's positions."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from pint import DimensionalityError, Quantity
from psygnal import Signal

from napari_polmap.io.pictures import Picture, grey
from napari_polmap.viewer.layers import geometry
from napari_polmap.viewer.manager import LayerManager
from napari_polmap.viewer.tags import Role, role_of

_SAME_FIELD = 0.02
_KEY = "napari_polmap_picture"


class MapBackground:
    """Lays an image layer beneath the map, stretched to the scan's extent.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    changed = Signal()
    """Another background, or none."""
    offers_changed = Signal()
    """Other layers can be chosen."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = ref(getattr(viewer, "__wrapped__", viewer))
        self.manager = LayerManager.of(viewer)
        self.session = self.manager.session
        self.layer: Image | None = None
        self.note = ""
        """How the image was brought onto the scan."""
        self._before: dict[str, Any] = {}
        viewer.layers.events.inserted.connect(self._on_layers)
        viewer.layers.events.removed.connect(self._on_layers)
        self.session.scan_opened.connect(self._on_scan_opened)
        self.session.scan_changed.connect(self._on_scan)

    def close(self) -> None:
        """Stop listening; the layers stay."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.events.inserted.disconnect(self._on_layers)
            viewer.layers.events.removed.disconnect(self._on_layers)
        self.session.scan_opened.disconnect(self._on_scan_opened, missing_ok=True)
        self.session.scan_changed.disconnect(self._on_scan, missing_ok=True)

    @property
    def offers(self) -> list[Image]:
        """Image layers of the viewer, not this program's own, that can lie beneath the map."""
        viewer = self._viewer()
        layers = [] if viewer is None else list(viewer.layers)
        return [
            layer
            for layer in layers
            if isinstance(layer, Image)
            and role_of(layer) is None
            and not layer.multiscale
            and (layer.ndim, len(layer.data.shape)) in ((2, 2), (2, 3))
        ]

    def add(self, picture: Picture) -> None:
        """Show an image from a file as a layer, and lay it beneath the map."""
        viewer = self._viewer()
        if viewer is not None:
            layer = Image(
                picture.data, name=picture.name, metadata={_KEY: {"pixel_nm": picture.pixel_nm}}
            )
            # In the viewer's units, before it is added: mixed units break the scale bar.
            layer.units = geometry(self.session.calibration)["units"]
            viewer.layers.insert(0, layer)
            self.choose(layer)

    def choose(self, layer: Image | None) -> None:
        """Lay a layer of the viewer beneath the map instead of the virtual image, or none."""
        viewer = self._viewer()
        if viewer is None or layer is self.layer:
            return
        self._give_back()
        self.layer = layer
        self.manager.show(Role.VIRTUAL, layer is None)
        if layer is not None:
            self._before = {
                name: getattr(layer, name) for name in ("scale", "translate", "units", "visible")
            }
            self._before["fov_nm"] = _field_of_view(layer)
            layer.visible = True
            viewer.layers.move(viewer.layers.index(layer), 0)
            self._place()
        self.changed.emit()

    def on_positions(self) -> npt.NDArray[np.float32] | None:
        """The image with one value for each position of the scan, for exports.

        The mean of the pixels that lie in a position; where these are fewer than the positions,
        what lies between them is interpolated.
        """
        shape = self.session.scan_shape
        data = None if self.layer is None else grey(np.asarray(self.layer.data))
        return None if data is None or shape is None else resampled(data, shape)

    def _give_back(self) -> None:
        """Put the layer that was beneath the map where it had been."""
        viewer = self._viewer()
        if self.layer is None or viewer is None or self.layer not in viewer.layers:
            return
        for name in ("scale", "translate", "visible"):
            setattr(self.layer, name, self._before[name])
        self.layer.visible = self.layer.visible and _KEY not in self.layer.metadata

    def _place(self) -> None:
        shape, layer = self.session.scan_shape, self.layer
        if shape is None or layer is None:
            return
        placed = geometry(self.session.calibration)
        step = placed["scale"][0]
        extent = tuple(n * step for n in shape)
        size = tuple(length / n for length, n in zip(extent, layer.data.shape[:2], strict=True))
        layer.units, layer.scale = placed["units"], size
        # Edges on edges: positions and pixels are drawn around their centers.
        layer.translate = tuple((pixel - step) / 2 for pixel in size)
        known = self.session.calibration.step_nm is not None
        self.note = _note(self._before["fov_nm"], extent if known else None)

    def _on_scan_opened(self) -> None:
        # Another scan shows another area.
        self.choose(None)

    def _on_scan(self) -> None:
        if self.layer is not None:
            self._place()
            self.changed.emit()

    def _on_layers(self, _: Any) -> None:
        viewer = self._viewer()
        if self.layer is not None and viewer is not None and self.layer not in viewer.layers:
            self.layer = None
            self.manager.show(Role.VIRTUAL, True)
            self.changed.emit()
        self.offers_changed.emit()


def resampled(image: npt.NDArray[np.float32], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """An image stretched to another shape: means where it shrinks, interpolation where it grows.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns)
        What is not finite counts as the least value.
    shape : (int, int)
    """
    finite = image[np.isfinite(image)]
    least = float(finite.min()) if finite.size else 0.0
    out = np.where(np.isfinite(image), image, least).astype(np.float64)
    for axis, size in enumerate(shape):
        out = np.moveaxis(_along(np.moveaxis(out, axis, 0), size), 0, axis)
    return np.asarray(out, np.float32)


def _along(values: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    """Means over `size` equal parts of the first axis (exact), or linear interpolation."""
    count = len(values)
    if size >= count:
        at = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
        low = np.floor(at).astype(int)
        part = (at - low)[:, None]
        high = np.minimum(low + 1, count - 1)
        return np.asarray(values[low] * (1 - part) + values[high] * part)
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    edges = np.arange(size + 1) * count / size
    low = np.minimum(np.floor(edges).astype(int), count - 1)
    filled = sums[low] + (edges - low)[:, None] * values[low]
    return np.asarray(np.diff(filled, axis=0) * size / count)


def _field_of_view(layer: Image) -> tuple[float, float] | None:
    """Height and width in nm by the layer's own calibration."""
    shape = layer.data.shape[:2]
    mark = layer.metadata.get(_KEY)
    if isinstance(mark, dict):
        pixel = mark["pixel_nm"]
        return None if pixel is None else (shape[0] * pixel[0], shape[1] * pixel[1])
    try:
        pixels = [
            Quantity(float(scale), unit).to("nm").magnitude
            for scale, unit in zip(layer.scale, layer.units, strict=True)
        ]
    except DimensionalityError:
        return None
    return shape[0] * abs(pixels[0]), shape[1] * abs(pixels[1])


def _note(own: tuple[float, float] | None, scan: tuple[float, ...] | None) -> str:
    if own is None:
        return "The image has no calibration of its own: it is stretched to the scan's extent."
    if scan is None:
        return "The scan's step is not known: the image is stretched to the scan's extent."
    if all(abs(a / b - 1) <= _SAME_FIELD for a, b in zip(own, scan, strict=True)):
        return "By its own calibration, the image has the scan's field of view."
    sizes = " × ".join(f"{n:.4g}" for n in own), " × ".join(f"{n:.4g}" for n in scan)
    return (
        f"By its own calibration the image covers {sizes[0]} nm, the scan {sizes[1]} nm: it is "
        "stretched to the scan's extent."
    )
