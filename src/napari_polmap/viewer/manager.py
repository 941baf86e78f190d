"""The layers of a viewer's scan and map: made, filled, refreshed, let go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, ClassVar
from weakref import WeakKeyDictionary, ref

import numpy as np
import numpy.typing as npt
from napari.layers import Layer, Shapes
from pint import Unit
from psygnal import Signal

from napari_polmap.calibration import Calibration
from napari_polmap.directions import DirectionSet
from napari_polmap.export import LAYERS
from napari_polmap.polarization_map import PolarizationMap
from napari_polmap.viewer.contrast import ImageContrast
from napari_polmap.viewer.layers import (
    LayerData,
    arrow_data,
    geometry,
    image_colormap,
    image_layer,
    is_signed,
    label_colormap,
    label_features,
    map_layers,
    name_in_status_bar,
    shown_labels,
)
from napari_polmap.viewer.session import Rectangle, Session
from napari_polmap.viewer.tags import (
    COM_ROLES,
    IMAGE_ROLES,
    MAP_ROLES,
    Role,
    role_of,
    source_of,
    tag,
)

ORDER = (
    Role.VIRTUAL,
    *COM_ROLES,
    Role.POLARIZATION,
    Role.CONFIDENCE,
    Role.DEFECTS,
    Role.ARROWS,
    Role.REGIONS,
)
"""Bottom to top."""

_ARROW_SECONDS = 1.0  # between two drawings of the arrows while a map grows


class LayerManager:
    """Owns the layers of a viewer's session.

    Layers that the user removes stay away until they are asked for again (`show`) or a new scan or
    map comes. Layers of a scan or map that is let go stay in the viewer, hidden.
    """

    shown_changed = Signal()
    """A layer came, went, or changed its visibility."""

    _managers: ClassVar[WeakKeyDictionary[Any, LayerManager]] = WeakKeyDictionary()

    def __init__(self, viewer: Any) -> None:
        self._viewer = ref(getattr(viewer, "__wrapped__", viewer))
        self.session = Session.of(viewer)
        self._layers: dict[Role, Layer] = {}
        self._removed: set[Role] = set()
        self._contrasts: dict[Role, ImageContrast] = {}
        self._colored: dict[Role, tuple[ImageContrast, bool]] = {}
        self._adding = False
        self._arrows_due = 0.0
        self._due: list[Role] = []
        self._directions: DirectionSet | None = None
        self._placed: dict[str, Any] | None = None
        self.on_opened: Callable[[Any], None] | None = None
        """Called with the viewer when a scan or map came as a layer, such as from a file."""
        self._connections: list[tuple[Any, Callable[..., None]]] = [
            (self.session.scan_opened, self._on_scan_opened),
            (self.session.scan_changed, self._on_scan_changed),
            (self.session.images_changed, self._on_image),
            (self.session.map_started, self._on_map_started),
            (self.session.map_changed, self._on_map_changed),
        ]
        for signal, slot in self._connections:
            signal.connect(slot)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        for layer in list(viewer.layers):
            self._adopt(layer)

    @classmethod
    def of(cls, viewer: Any) -> LayerManager:
        """The manager of a viewer's layers, made when first asked for."""
        key = getattr(viewer, "__wrapped__", viewer)
        if key not in cls._managers:
            cls._managers[key] = cls(viewer)
        return cls._managers[key]

    def get(self, role: Role) -> Layer | None:
        """The layer of a role, if it is in the viewer."""
        return self._layers.get(role)

    def shown(self, role: Role) -> bool:
        """Whether a role's layer is there and visible."""
        layer = self._layers.get(role)
        return layer is not None and bool(layer.visible)

    def can_show(self, role: Role) -> bool:
        """Whether there is anything to show for a role."""
        if role in MAP_ROLES:
            return self.session.map is not None
        return role in self.session.images

    def make_room(self, calibration: Calibration) -> None:
        """Get ready for a layer of another scan, before napari adds it."""
        viewer = self._viewer()
        self.session.set_position(None)
        if viewer is not None:
            self._let_go(ORDER)
            self._place_others(viewer, geometry(calibration))

    def show(self, role: Role, visible: bool = True) -> None:
        """Show or hide a role's layer; one that was removed is made again."""
        layer = self._layers.get(role)
        if layer is None and visible and self.can_show(role):
            self._removed.discard(role)
            self._make(role)
            layer = self._layers.get(role)
        if layer is not None:
            layer.visible = visible

    # Making and letting go

    def _make(self, role: Role) -> None:
        if role in MAP_ROLES and self.session.map is not None:
            layers = map_layers(self.session.map, self._name(), self.session.calibration)
            self._add(role, layers[role])
        elif role in IMAGE_ROLES and role in self.session.images:
            self._add_image(role)

    def _name(self) -> str:
        scan, polarization_map = self.session.scan, self.session.map
        if scan is not None:
            return scan.name
        path = None if polarization_map is None else polarization_map.scan.path
        return "map" if not path else str(path).replace("\\", "/").rsplit("/", 1)[-1].split(".")[0]

    def _image_name(self, role: Role) -> str:
        title = "virtual image" if self.session.detector is None else self.session.detector.title
        return f"{self._name()}: {title if role is Role.VIRTUAL else role.value}"

    def _add_image(self, role: Role) -> None:
        scan = self.session.scan
        if scan is not None:
            image = self.session.images[role]
            contrast, signed = self.contrast(role), is_signed(role, self.session.detector)
            self._colored[role] = contrast, signed
            name = self._image_name(role)
            self._add(role, image_layer(role, name, image, scan, contrast, signed=signed))

    def _add(self, role: Role, data: LayerData) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        active = viewer.layers.selection.active
        self._adding = True
        try:
            layer = Layer.create(*data)
            viewer.layers.insert(self._place(viewer, role), layer)
        finally:
            self._adding = False
        self._take(role, layer)
        # A drawing in progress goes on; else the map is what the status bar and tools are about.
        wanted = active if isinstance(active, Shapes) else self._layers.get(Role.POLARIZATION)
        if wanted is None:
            wanted = active or layer
        if wanted in viewer.layers:
            viewer.layers.selection.active = wanted
        self.shown_changed.emit()

    def _place(self, viewer: Any, role: Role) -> int:
        """Index above the layers that belong below."""
        below = [self._layers.get(other) for other in ORDER[: ORDER.index(role)]]
        indices = [viewer.layers.index(layer) for layer in below if layer is not None]
        if indices:
            return max(indices) + 1
        above = [self._layers.get(other) for other in ORDER[ORDER.index(role) + 1 :]]
        indices = [viewer.layers.index(layer) for layer in above if layer is not None]
        return min(indices) if indices else len(viewer.layers)

    def _take(self, role: Role, layer: Layer) -> None:
        self._layers[role] = layer
        self._removed.discard(role)
        layer.events.visible.connect(self._on_visible)
        if role is Role.POLARIZATION:
            # Changes by hand must reach the map, or the picture and the data would part ways.
            layer.editable = False
        session, own = ref(self.session), ref(layer)

        def find_map() -> PolarizationMap | None:
            shown, current = own(), session()
            if shown is None:
                return None
            from_map = source_of(shown.metadata).map
            if from_map is not None or current is None:
                return from_map
            return current.map if source_of(shown.metadata).scan is current.scan else None

        name_in_status_bar(layer, find_map)

    def _adopt(self, layer: Layer) -> None:
        """Take a layer that came with its objects, such as from a file."""
        role, source = role_of(layer), source_of(layer.metadata)
        another_map = source.map is not None and source.map is not self.session.map
        another_scan = source.scan is not None and source.scan is not self.session.scan
        if another_map and role is Role.POLARIZATION:
            self._let_go(MAP_ROLES)
            for other in self._layers_of(source.map):
                if (others_role := role_of(other)) is not None:
                    self._take(others_role, other)
            self.session.show_map(source.map)
        elif another_scan and role in IMAGE_ROLES:
            self._let_go(ORDER)
            self._take(role, layer)
            self.session.open(source.scan, {role: layer.data})
        else:
            return
        self.shown_changed.emit()
        viewer = self._viewer()
        if self.on_opened is not None and viewer is not None:
            self.on_opened(viewer)

    def _layers_of(self, polarization_map: PolarizationMap) -> list[Layer]:
        """Layers in the viewer that show a map."""
        viewer = self._viewer()
        layers = [] if viewer is None else list(viewer.layers)
        return [x for x in layers if source_of(x.metadata).map is polarization_map]

    def _let_go(self, roles: Iterable[Role]) -> None:
        """Forget layers; they stay in the viewer, hidden."""
        for role in roles:
            layer = self._layers.pop(role, None)
            if layer is not None:
                layer.events.visible.disconnect(self._on_visible)
                layer.visible = False
            self._removed.discard(role)

    def _on_inserted(self, event: Any) -> None:
        if not self._adding:
            self._adopt(event.value)

    def _on_removed(self, event: Any) -> None:
        for role, layer in list(self._layers.items()):
            if layer is event.value:
                layer.events.visible.disconnect(self._on_visible)
                del self._layers[role]
                self._removed.add(role)
                self.shown_changed.emit()

    def _on_visible(self) -> None:
        if self.shown(Role.ARROWS) and self.session.map is not None:
            self._refresh_arrows(self.session.map)
        self.shown_changed.emit()

    # Following the session

    def _on_scan_opened(self) -> None:
        scan, polarization_map = self.session.scan, self.session.map
        sources = {role: source_of(layer.metadata) for role, layer in self._layers.items()}
        self._let_go(
            role
            for role, source in sources.items()
            if (
                source.map is not polarization_map if role in MAP_ROLES else source.scan is not scan
            )
        )
        self._removed.clear()
        self._due = []
        self._placed = None
        viewer = self._viewer()
        if viewer is not None:
            self._place_others(viewer, geometry(self.session.calibration))
        for role in IMAGE_ROLES:
            if role in self.session.images and role not in self._layers:
                self._add_image(role)

    def _on_scan_changed(self) -> None:
        placed = geometry(self.session.calibration)
        for role, layer in self._layers.items():
            if role not in MAP_ROLES and source_of(layer.metadata).scan is not self.session.scan:
                scan = self.session.scan
                if scan is None or layer.data.shape[:2] != scan.scan_shape:
                    continue
                layer.metadata.update(tag(role, scan=self.session.scan))
            _place(layer, placed)
        viewer = self._viewer()
        if viewer is None:
            return
        self._place_others(viewer, placed)
        if self._layers and placed != self._placed:
            self._placed = placed
            viewer.canvas.overlays.scale_bar.visible = self.session.calibration.step_nm is not None
            viewer.reset_view()

    def _place_others(self, viewer: Any, placed: dict[str, Any]) -> None:
        """Bring drawn regions, and layers let go that have other units, into these units.

        A viewer whose layers have different units draws and measures them wrongly.
        """
        own = set(self._layers.values())
        for layer in viewer.layers:
            role = role_of(layer)
            if role is None or layer in own:
                continue
            if role is Role.REGIONS or str(layer.units[0]) != str(Unit(placed["units"][0])):
                _place(layer, placed)

    def _on_image(self, name: str) -> None:
        if name not in IMAGE_ROLES:
            return
        role, image = Role(name), self.session.images[name]
        layer = self._layers.get(role)
        if layer is None:
            if role not in self._removed:
                self._add_image(role)
            return
        if layer.data is image:
            layer.refresh(extent=False, highlight=False)
        else:
            layer.data = image
        name = self._image_name(role)
        if layer.name != name:
            layer.name = name
        self._apply_contrast(role, layer, image)

    # Contrast of the images

    def contrast(self, role: Role) -> ImageContrast:
        """How an image is shown."""
        return self._contrasts.get(role, ImageContrast())

    def set_contrast(self, role: Role, contrast: ImageContrast) -> None:
        """Show an image otherwise, now and after the next changes."""
        self._contrasts[role] = contrast
        layer = self._layers.get(role)
        if layer is not None and role in IMAGE_ROLES:
            self._apply_contrast(role, layer, layer.data)

    def _apply_contrast(self, role: Role, layer: Layer, image: npt.NDArray[Any]) -> None:
        if role is Role.COM_COLORS:
            return
        contrast, signed = self.contrast(role), is_signed(role, self.session.detector)
        if self._colored.get(role) != (contrast, signed):
            self._colored[role] = contrast, signed
            layer.colormap = image_colormap(role, contrast, signed)
        limits = contrast.limits(image, signed)
        if tuple(layer.contrast_limits) != limits:
            layer.contrast_limits_range = limits
            layer.contrast_limits = limits

    def _on_map_started(self) -> None:
        polarization_map = self.session.map
        if polarization_map is None:
            return
        layers = map_layers(polarization_map, self._name(), self.session.calibration)
        self._directions = polarization_map.shown_directions
        self._due = []
        for role, (data, arguments, _) in layers.items():
            layer = self._layers.get(role)
            if layer is None:
                self._due.append(role)
                continue
            layer.metadata.update(arguments["metadata"])
            if layer.data is not data:
                layer.data = data
            if role is Role.POLARIZATION:
                layer.colormap = arguments["colormap"]
                layer.features = arguments["features"]
        # The making of a layer holds the window up: a growing map adds one at each of its steps.
        self._make_due(all_of_them=polarization_map.complete)
        self.shown_changed.emit()

    def _make_due(self, *, all_of_them: bool) -> None:
        for _ in range(len(self._due) if all_of_them else 1):
            if self._due:
                self._make(self._due.pop(0))

    def _on_map_changed(self, changed: Rectangle | None) -> None:
        polarization_map = self.session.map
        if polarization_map is None:
            return
        self._make_due(all_of_them=changed is None)
        self._refresh_labels(polarization_map, changed)
        self._refresh_values(polarization_map, whole=changed is None)
        now = time.monotonic()
        if changed is None or now >= self._arrows_due:
            self._refresh_arrows(polarization_map)
            self._arrows_due = now + _ARROW_SECONDS

    def _refresh_labels(self, polarization_map: PolarizationMap, changed: Rectangle | None) -> None:
        layer = self._layers.get(Role.POLARIZATION)
        if layer is None:
            return
        directions = polarization_map.shown_directions
        if directions != self._directions:
            self._directions = directions
            layer.colormap = label_colormap(directions)
            layer.features = label_features(directions)
        rows, columns = changed or (slice(None), slice(None))
        labels: npt.NDArray[np.uint8] = layer.data
        labels[rows, columns] = shown_labels(polarization_map, rows, columns)
        layer.refresh(extent=False, highlight=False)

    def _refresh_values(self, polarization_map: PolarizationMap, *, whole: bool) -> None:
        for role in (Role.CONFIDENCE, Role.DEFECTS):
            layer = self._layers.get(role)
            if layer is None:
                continue
            values = getattr(polarization_map, role.value)
            if layer.data is not values:
                layer.data = values
            elif layer.visible:
                layer.refresh(extent=False, highlight=False)
            style = LAYERS[role.value]
            if whole and style.follows_data:
                layer.contrast_limits_range = style.limits(values)
                layer.contrast_limits = style.limits(values)

    def _refresh_arrows(self, polarization_map: PolarizationMap) -> None:
        layer = self._layers.get(Role.ARROWS)
        if layer is None or not layer.visible:
            return
        vectors, width = arrow_data(polarization_map)
        if len(vectors) or len(layer.data):
            layer.data = vectors
            if layer.edge_width != width:
                layer.edge_width = width


def _place(layer: Layer, placed: dict[str, Any]) -> None:
    layer.units = placed["units"]
    layer.scale = placed["scale"]
