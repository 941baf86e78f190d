"""Drawn shapes become masks over probe positions."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
import numpy.typing as npt
from napari.layers import Layer, Shapes

from napari_polmap.viewer.layers import geometry
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.tags import Role, role_of, tag

# States of a drawing that is not finished.
_PASSING = {"adding", "changing", "removing"}


def region_mask(shapes: Shapes, over: Layer) -> npt.NDArray[np.bool_]:
    """Positions of a layer that the drawn shapes cover, by napari's own masks.

    Parameters
    ----------
    shapes : Shapes
        Any shapes, in any scale; a line or path covers the positions it passes.
    over : Layer
        The layer over the scan that gives the grid of positions.

    Returns
    -------
    ndarray of bool, shape (y, x)
    """
    shape = tuple(over.data.shape)
    mask = np.zeros(shape, dtype=bool)
    for vertices, kind in zip(shapes.data, shapes.shape_type, strict=True):
        placed = np.array(
            [over.world_to_data(shapes.data_to_world(vertex))[-2:] for vertex in vertices]
        )
        # Nothing of the drawing but its place is needed: a plain layer in positions makes the mask.
        drawn = Shapes([placed], shape_type=kind, ndim=2)
        mask |= drawn.to_masks(mask_shape=shape)[0]
    return mask


class RegionWatcher:
    """Keeps the session's region equal to what is drawn.

    The region is what the shapes layer covers that was changed or chosen last.

    Parameters
    ----------
    viewer : napari.Viewer or ViewerModel
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = ref(getattr(viewer, "__wrapped__", viewer))
        self.session = Session.of(viewer)
        self._layer: Any = None
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.selection.events.active.connect(self._on_active)
        for layer in viewer.layers:
            self._watch(layer)
        self.session.scan_changed.connect(self.update)

    def close(self) -> None:
        """Stop watching."""
        viewer = self._viewer()
        self.session.scan_changed.disconnect(self.update, missing_ok=True)
        if viewer is None:
            return
        viewer.layers.events.inserted.disconnect(self._on_inserted)
        viewer.layers.events.removed.disconnect(self._on_removed)
        viewer.layers.selection.events.active.disconnect(self._on_active)
        for layer in viewer.layers:
            if isinstance(layer, Shapes):
                layer.events.data.disconnect(self._on_data)

    @property
    def layer(self) -> Shapes | None:
        """The shapes layer that gives the region."""
        return None if self._layer is None else self._layer()

    def start_drawing(self) -> Shapes | None:
        """Choose the layer for regions (made where there is none), ready to draw a polygon."""
        viewer = self._viewer()
        if viewer is None:
            return None
        layer = self.layer
        if layer is None:
            layer = Shapes(
                None,
                ndim=2,
                name="regions",
                edge_color="white",
                edge_width=self._line_width(),
                face_color=[1.0, 1.0, 1.0, 0.15],
                metadata=tag(Role.REGIONS),
                **geometry(self.session.calibration),
            )
            viewer.add_layer(layer)
        viewer.layers.selection.active = layer
        layer.mode = "add_polygon"
        return layer

    def _line_width(self) -> float:
        shape = self.session.scan_shape
        return 1.0 if shape is None else max(0.2, max(shape) / 200)

    def _watch(self, layer: Any) -> None:
        if isinstance(layer, Shapes):
            layer.events.data.connect(self._on_data)
            if self.layer is None:
                self._choose(layer)

    def _choose(self, layer: Shapes | None) -> None:
        self._layer = None if layer is None else ref(layer)
        self.update()

    def _on_inserted(self, event: Any) -> None:
        self._watch(event.value)

    def _on_removed(self, event: Any) -> None:
        if not isinstance(event.value, Shapes):
            return
        event.value.events.data.disconnect(self._on_data)
        if event.value is self.layer:
            viewer = self._viewer()
            others = [] if viewer is None else [x for x in viewer.layers if isinstance(x, Shapes)]
            self._choose(others[-1] if others else None)

    def _on_active(self, event: Any) -> None:
        if isinstance(event.value, Shapes) and event.value is not self.layer:
            self._choose(event.value)

    def _on_data(self, event: Any) -> None:
        if str(getattr(event, "action", "")) in _PASSING:
            return
        self._choose(event.source)

    def update(self) -> None:
        """Take the region from the drawing again."""
        viewer, layer, shape = self._viewer(), self.layer, self.session.scan_shape
        mask = None
        if viewer is not None and layer is not None and shape is not None and len(layer.data):
            over = self._over(viewer, shape)
            if over is not None:
                covered = region_mask(layer, over)
                mask = covered if covered.any() else None
        before = self.session.region
        same = before is mask or (
            before is not None and mask is not None and np.array_equal(before, mask)
        )
        if not same:
            self.session.set_region(mask)

    @staticmethod
    def _over(viewer: Any, shape: tuple[int, int]) -> Layer | None:
        """A layer on the scan's grid of positions."""
        for layer in viewer.layers:
            role = role_of(layer)
            if role not in (None, Role.ARROWS, Role.REGIONS) and tuple(layer.data.shape) == shape:
                return layer
        return None
