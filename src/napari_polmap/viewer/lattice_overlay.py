"""The lattice's two vectors over the scan, corrected by dragging their ends."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar
from weakref import WeakKeyDictionary, ref

import numpy as np
import numpy.typing as npt
from napari.layers import Points, Vectors
from napari.utils.notifications import show_error
from psygnal import Signal

from napari_polmap.errors import PolmapError
from napari_polmap.viewer.layers import geometry
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.tags import Role, tag

FIRST, SECOND, ORIGIN = "a", "b", "origin"
LAYERS = ("lattice vectors", "lattice nodes")
COLORS = ("#ff2fb4", "#00b7ff")
"""Of [100] and [010]."""
_SPAN = 0.4
"""Share of the scan's shorter side that the vectors reach over, about."""
_MOST_PERIODS = 40
_REACH = 10.0
"""Pixels of the screen within which an end is taken."""
_END_PIXELS, _NODE_PIXELS, _LINE_PIXELS = 14.0, 6.0, 3.0
_LEAST_PERIOD = 2.0
"""In positions."""
_GUESS_NM = 0.4
_STILL_PIXELS = 2


class LatticeOverlay:
    """Shows [100] and [010] of the calibration, several periods long, and lets drag them.

    Dragging the end of one turns and stretches both: the lattice is a square one. What is dragged
    is drawn at once, and becomes one step of the calibration when it is let go. The origin can be
    dragged to an atom; it says nothing of the calibration. In a layer's drawing and editing modes
    the mouse belongs to that mode.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The main viewer.
    """

    changed = Signal()
    """It came, went, or shows other vectors."""

    _overlays: ClassVar[WeakKeyDictionary[Any, LatticeOverlay]] = WeakKeyDictionary()

    def __init__(self, viewer: Any) -> None:
        self._viewer = ref(getattr(viewer, "__wrapped__", viewer))
        self.session = Session.of(viewer)
        self.origin: tuple[float, float] | None = None
        self.period, self.angle_deg, self.periods = 0.0, 0.0, 1
        self.dragging = False
        self._vectors: Vectors | None = None
        self._nodes: Points | None = None
        self._hovered = False
        self.session.scan_opened.connect(self._on_opened)
        self.session.scan_changed.connect(self._refresh)

    @classmethod
    def of(cls, viewer: Any) -> LatticeOverlay:
        """The one of a viewer, made when first asked for."""
        key = getattr(viewer, "__wrapped__", viewer)
        if key not in cls._overlays:
            cls._overlays[key] = cls(viewer)
        return cls._overlays[key]

    @property
    def shown(self) -> bool:
        """Whether the vectors are in the viewer."""
        return self._nodes is not None

    @property
    def possible(self) -> bool:
        """Whether there is a scan whose step is known, which a period in nm needs."""
        return self.session.scan is not None and self.session.calibration.step_nm is not None

    def show(self) -> None:
        """Show the vectors; where no lattice is known, those of a typical perovskite."""
        viewer = self._viewer()
        if viewer is None or self.shown or not self.possible:
            return
        self._take()
        placed = geometry(self.session.calibration)
        metadata = tag(Role.LATTICE, scan=self.session.scan)
        self._vectors = Vectors(
            np.zeros((2, 2, 2)),
            name=LAYERS[0],
            vector_style="line",
            edge_color=list(COLORS),
            opacity=0.9,
            metadata=metadata,
            **placed,
        )
        self._nodes = Points(
            np.zeros((1, 2)),
            name=LAYERS[1],
            border_color="black",
            border_width=0.1,
            opacity=0.9,
            features={"label": [""]},
            text={"string": "{label}", "color": COLORS[0], "size": 11, "anchor": "upper_left"},
            metadata=dict(metadata),
            **placed,
        )
        selected, active = set(viewer.layers.selection), viewer.layers.selection.active
        for layer in (self._vectors, self._nodes):
            viewer.add_layer(layer)
            layer.editable = False
        # The user's layer stays the active one.
        viewer.layers.selection.clear()
        viewer.layers.selection.update(selected)
        viewer.layers.selection.active = active
        self._draw()
        viewer.mouse_drag_callbacks.insert(0, self._on_drag)
        viewer.mouse_move_callbacks.append(self._on_move)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.scene.camera.events.zoom.connect(self._size)
        self.changed.emit()

    def hide(self) -> None:
        """Take the vectors out of the viewer."""
        viewer = self._viewer()
        if viewer is None or not self.shown:
            return
        layers = [self._vectors, self._nodes]
        self._vectors = self._nodes = None
        viewer.layers.events.removed.disconnect(self._on_removed)
        viewer.scene.camera.events.zoom.disconnect(self._size)
        viewer.mouse_drag_callbacks.remove(self._on_drag)
        viewer.mouse_move_callbacks.remove(self._on_move)
        self._hover(viewer, False)
        for layer in layers:
            if layer is not None and layer in viewer.layers:
                viewer.layers.remove(layer)
        self.changed.emit()

    def ends(self) -> dict[str, npt.NDArray[np.float64]]:
        """What can be taken with the mouse: (row, column) of the origin and of both ends."""
        origin = np.array(self.origin or (0.0, 0.0))
        first, second = (self.periods * vector for vector in self._edges())
        return {FIRST: origin + first, SECOND: origin + second, ORIGIN: origin}

    def _edges(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """One period along [100] and along [010], (row, column)."""
        angle = math.radians(self.angle_deg)
        first = self.period * np.array([-math.sin(angle), math.cos(angle)])
        return first, np.array([-first[1], first[0]])

    # Following the session and the viewer

    def _take(self) -> None:
        """Period and angle of the calibration; how many periods fit, and from where."""
        calibration, scan = self.session.calibration, self.session.scan
        if scan is None or calibration.step_nm is None:
            return
        sides = scan.scan_shape
        typical = min(max(_GUESS_NM / calibration.step_nm, _LEAST_PERIOD), max(2.0, min(sides) / 3))
        self.period = calibration.cell_positions or typical
        self.angle_deg = calibration.crystal_angle_deg
        reach = _SPAN * min(sides) / self.period
        self.periods = int(np.clip(round(reach), 1, _MOST_PERIODS))
        if self.origin is None:
            first, second = (self.periods * edge for edge in self._edges())
            middle = (np.array(sides) - 1) / 2 - (first + second) / 2
            self.origin = (float(middle[0]), float(middle[1]))

    def _on_opened(self) -> None:
        self.origin = None

    def _refresh(self) -> None:
        if not self.shown or self.dragging:
            return
        if not self.possible:
            self.hide()
            return
        self._take()
        for layer in (self._vectors, self._nodes):
            if layer is not None:
                layer.metadata.update(tag(Role.LATTICE, scan=self.session.scan))
                for name, value in geometry(self.session.calibration).items():
                    setattr(layer, name, value)
        self._draw()

    def _on_removed(self, event: Any) -> None:
        if event.value in (self._vectors, self._nodes):
            self.hide()

    # What is drawn

    def _draw(self) -> None:
        if self._vectors is None or self._nodes is None:
            return
        ends = self.ends()
        origin = ends[ORIGIN]
        self._vectors.data = np.stack(
            [np.stack([origin, ends[name] - origin]) for name in (FIRST, SECOND)]
        )
        counts = np.arange(1, self.periods + 1)[:, None]
        nodes = [origin[None], *(origin + counts * edge for edge in self._edges())]
        self._nodes.data = np.concatenate(nodes)
        labels = [""] * len(self._nodes.data)
        labels[self.periods], labels[-1] = self._label(FIRST), self._label(SECOND)
        self._nodes.features = {"label": labels}
        colors = ["white", *[COLORS[0]] * self.periods, *[COLORS[1]] * self.periods]
        self._nodes.face_color = colors
        self._size()
        self.changed.emit()

    def _label(self, name: str) -> str:
        step = self.session.calibration.step_nm or 0.0
        length = f"{self.periods} {name} = {self.periods * self.period * step:.4g} nm"
        return length if name == FIRST else f"{self.periods} {name}"

    def _size(self) -> None:
        """Handles and lines of a fixed size on the screen."""
        viewer = self._viewer()
        if viewer is None or self._nodes is None or self._vectors is None:
            return
        pixel = 1 / self._pixels_per_position(viewer)
        size = np.full(len(self._nodes.data), min(_NODE_PIXELS * pixel, 0.4 * self.period))
        size[[0, self.periods, -1]] = _END_PIXELS * pixel
        self._nodes.size = size
        self._vectors.edge_width = _LINE_PIXELS * pixel

    def _pixels_per_position(self, viewer: Any) -> float:
        scale = geometry(self.session.calibration)["scale"][0]
        return float(viewer.scene.camera.zoom * scale)

    # Mouse

    def _place(self, world: Any) -> npt.NDArray[np.float64]:
        """(row, column) of world coordinates."""
        scale = geometry(self.session.calibration)["scale"]
        return np.asarray(world, float)[-2:] / scale

    def _part_at(self, viewer: Any, world: Any) -> str | None:
        active = viewer.layers.selection.active
        if viewer.dims.ndisplay != 2 or not self.shown or self._nodes is None:
            return None
        if not self._nodes.visible or (active is not None and str(active.mode) != "pan_zoom"):
            return None
        reach = _REACH / self._pixels_per_position(viewer)
        distances = {n: float(np.hypot(*(self._place(world) - p))) for n, p in self.ends().items()}
        nearest = min(distances, key=lambda name: distances[name])
        return nearest if distances[nearest] <= reach else None

    def _on_move(self, viewer: Any, event: Any) -> None:
        if not self.dragging:
            self._hover(viewer, self._part_at(viewer, event.position) is not None)

    def _hover(self, viewer: Any, over: bool) -> None:
        if over != self._hovered:
            self._hovered = over
            viewer.cursor.style = "pointing" if over else "standard"

    def _on_drag(self, viewer: Any, event: Any) -> Iterator[None]:
        part = self._part_at(viewer, event.position)
        if event.button != 1 or event.modifiers or part is None:
            return
        # Neither the camera nor a follower of the mouse takes it too; a mere click still picks.
        event.handled = True
        start, place = np.array(event.pos), self._place(event.position)
        offset = self.ends()[part] - place
        before = (self.period, self.angle_deg, self.origin)
        moved = False
        self.dragging = True
        try:
            yield
            while event.type == "mouse_move":
                event.handled = True
                moved |= bool(np.abs(np.array(event.pos) - start).max() > _STILL_PIXELS)
                if moved:
                    self._follow(part, self._place(event.position) + offset)
                yield
            event.handled = True
            # Moves are throttled: a fast drag may bring none before the release.
            if moved or np.abs(np.array(event.pos) - start).max() > _STILL_PIXELS:
                self._follow(part, self._place(event.position) + offset)
        finally:
            self.dragging = False
        if part != ORIGIN and (self.period, self.angle_deg) != before[:2]:
            self._commit()
        self._refresh()

    def _follow(self, part: str, place: npt.NDArray[np.float64]) -> None:
        """Put an end, or the origin, where the mouse is."""
        if part == ORIGIN:
            self.origin = (float(place[0]), float(place[1]))
        else:
            down, right = (place - np.array(self.origin or (0.0, 0.0))) / self.periods
            angle = math.degrees(math.atan2(-down, right)) - (90 if part == SECOND else 0)
            self.period = max(_LEAST_PERIOD, math.hypot(down, right))
            self.angle_deg = 180 - (180 - angle) % 360
        self._draw()

    def _commit(self) -> None:
        step = self.session.calibration.step_nm
        if step is None:
            return
        values = {"lattice_nm": self.period * step, "crystal_angle_deg": self.angle_deg}
        try:
            self.session.set_calibration(text="dragged lattice", **values)
        except PolmapError as error:
            show_error(str(error))
