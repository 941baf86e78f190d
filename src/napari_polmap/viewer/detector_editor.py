"""Moving, resizing and drawing the virtual detector with mouse and keys in the diffraction view."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from napari.components import ViewerModel
from psygnal import Signal

from napari_polmap.diffraction.detectors import Point
from napari_polmap.viewer.detector_grips import MOVE, dragged, grip_at, grown
from napari_polmap.viewer.diffraction_layers import DiffractionLayers
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.virtual_detector import VirtualDetector, drawn_beside

EDIT, PAN, POLYGON, FREEHAND = "edit", "pan", "polygon", "freehand"
TOOLS = (EDIT, PAN, POLYGON, FREEHAND)
"""What a drag in the diffraction view does; beside the detector, editing pans too."""

GRIP_PIXELS = 7
"""How near (screen pixels) an edge is taken."""
_CLOSE_PIXELS = 10
_DRAW_PIXELS = 2
"""Distance of a freehand line's vertices."""
_MOST_STEPS = 200
_NUDGES = {"Up": (-1, 0), "Down": (1, 0), "Left": (0, -1), "Right": (0, 1)}
_FAR = 10
"""Pixels of a nudge with Shift."""

HINT = (
    "Drag the detector to move it and its edges to resize it; arrow keys nudge it (with Shift by "
    "10 pixels), + and - change its size, Ctrl+Z takes the last change back."
)


class DetectorEditor:
    """Turns drags and keys in the diffraction view into changes of `Session.detector`.

    While a detector is dragged it is the session's passing one (`Session.drag_detector`); released,
    it is chosen (`Session.set_detector`). While something else is edited (`Session.editing`), the
    mouse is left to that.

    Parameters
    ----------
    model : napari.components.ViewerModel
        The diffraction view's.
    layers : DiffractionLayers
    session : Session
    """

    tool_changed = Signal()
    history_changed = Signal()

    def __init__(self, model: ViewerModel, layers: DiffractionLayers, session: Session) -> None:
        self.model, self.layers, self.session = model, layers, session
        self._tool = EDIT
        self._line: list[Point] = []
        self._chosen = session.detector
        self._undo: list[VirtualDetector] = []
        self._redo: list[VirtualDetector] = []
        self._stepping = False
        # A double click ends a polygon; it does not zoom here.
        model.mouse_double_click_callbacks[:] = [self._on_double_click]
        model.mouse_drag_callbacks.append(self._on_drag)
        model.mouse_move_callbacks.append(self._on_move)
        for keys, action in self._keys().items():
            model.bind_key(keys, action, overwrite=True)
        session.detector_changed.connect(self._on_detector)
        session.scan_opened.connect(self._forget)

    def close(self) -> None:
        """Leave the session."""
        self.session.detector_changed.disconnect(self._on_detector, missing_ok=True)
        self.session.scan_opened.disconnect(self._forget, missing_ok=True)
        self.model.mouse_drag_callbacks.clear()
        self.model.mouse_double_click_callbacks.clear()

    # Tools

    @property
    def tool(self) -> str:
        """What a drag does, one of `TOOLS`."""
        return self._tool

    @tool.setter
    def tool(self, tool: str) -> None:
        if tool != PAN:
            self.session.edit("")  # the mouse serves one thing at a time
        if tool != self._tool:
            self._tool = tool
            self.cancel_line()
            self.tool_changed.emit()

    @property
    def drawing(self) -> bool:
        """Whether the mouse draws."""
        return self._tool in (POLYGON, FREEHAND)

    def cancel_line(self) -> None:
        """Forget an unfinished drawing."""
        self._line = []
        self.layers.show_line(None)

    def _finish_line(self) -> None:
        line, self._line = self._line, []
        self.layers.show_line(None)
        if len(line) < 3 or not np.ptp(np.asarray(line), axis=0).all():
            return
        self.tool = EDIT
        self.session.set_detector(drawn_beside(self.session.detector, tuple(line)))

    # Mouse

    def _on_drag(self, model: ViewerModel, event: Any) -> Iterator[None]:
        usable = event.button == 1 and not event.modifiers and self.session.scan is not None
        if not usable or self.session.editing or self._tool == PAN:
            return
        if self._tool == POLYGON:
            yield from self._add_vertex(event)
        elif self._tool == FREEHAND:
            yield from self._holding(model, self._draw_freely(event))
        else:
            grip = self._grip(event.position)
            if grip is not None:
                yield from self._holding(model, self._drag(grip, event))

    def _holding(self, model: ViewerModel, steps: Iterator[None]) -> Iterator[None]:
        """Keep the camera where it is during a drag."""
        camera = model.scene.camera
        pans = camera.mouse_pan
        camera.mouse_pan = False
        try:
            yield from steps
        finally:
            camera.mouse_pan = pans

    def _drag(self, grip: str, event: Any) -> Iterator[None]:
        first = self.session.detector
        start = self.layers.place_of(event.position)
        if first is None:
            return
        calibration = self.session.calibration
        moved = False
        yield
        while event.type == "mouse_move":
            place = self.layers.place_of(event.position)
            if place != start or moved:
                moved = True
                shape = dragged(first.shape, grip, start, place, calibration)
                self.session.drag_detector(first.with_shape(shape))
            yield
        # Moves are throttled, so a fast drag may bring none before the release.
        place = self.layers.place_of(event.position)
        if moved or self._far(start, place):
            shape = dragged(first.shape, grip, start, place, calibration)
            self.session.set_detector(first.with_shape(shape))

    def _draw_freely(self, event: Any) -> Iterator[None]:
        self._line = [self.layers.place_of(event.position)]
        yield
        while event.type == "mouse_move":
            self._draw_to(event)
            yield
        self._draw_to(event)
        self._finish_line()

    def _draw_to(self, event: Any) -> None:
        place = self.layers.place_of(event.position)
        if self._line and self._far(self._line[-1], place, _DRAW_PIXELS):
            self._line.append(place)
            self.layers.show_line(self._line)

    def _add_vertex(self, event: Any) -> Iterator[None]:
        start = np.array(event.pos)
        place = self.layers.place_of(event.position)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.asarray(event.pos) - start).max() > GRIP_PIXELS:
            return  # a drag pans
        if len(self._line) > 2 and not self._far(self._line[0], place, _CLOSE_PIXELS):
            self._finish_line()
        elif not self._line or self._far(self._line[-1], place, 1):
            self._line.append(place)
            self.layers.show_line(self._line)

    def _on_double_click(self, _model: ViewerModel, _event: Any) -> None:
        if self._tool == POLYGON and not self.session.editing:
            self._finish_line()

    def _on_move(self, model: ViewerModel, event: Any) -> None:
        if self._line and self._tool == POLYGON:
            self.layers.show_line([*self._line, self.layers.place_of(event.position)])
        style = "standard"
        if self.session.scan is not None and not self.session.editing:
            if self.drawing:
                style = "crosshair"
            elif self._tool == EDIT and self._grip(event.position) is not None:
                style = "pointing"
        if model.cursor.style != style:
            model.cursor.style = style

    def _grip(self, world: Any) -> str | None:
        detector = self.session.detector
        if detector is None or self.layers.pixel_at(world) is None:
            return None
        place, near = self.layers.place_of(world), GRIP_PIXELS * self.layers.pixels_a_screen_pixel
        return grip_at(detector.shape, place, near, self.session.calibration)

    def _far(self, start: Point, end: Point, screen_pixels: float = 1) -> bool:
        distance = float(np.hypot(end[0] - start[0], end[1] - start[1]))
        return distance > screen_pixels * self.layers.pixels_a_screen_pixel

    # Keys

    def _keys(self) -> dict[str, Callable[[Any], None]]:
        keys: dict[str, Callable[[Any], None]] = {
            "Control-Z": lambda _: self.undo(),
            "Control-Y": lambda _: self.redo(),
            "Escape": lambda _: self.cancel_line(),
            "-": lambda _: self.grow(-1),
            "=": lambda _: self.grow(1),  # napari knows no key "+"
        }
        for key, (down, across) in _NUDGES.items():
            keys[key] = self._nudge(down, across)
            keys[f"Shift-{key}"] = self._nudge(_FAR * down, _FAR * across)
        return keys

    def _nudge(self, down: int, across: int) -> Callable[[Any], None]:
        def nudge(_: Any) -> None:
            self.move(down, across)

        return nudge

    def move(self, down: float, across: float) -> None:
        """Move the detector by some pixels along ky and kx."""
        detector = self.session.detector
        if detector is not None and not self.session.editing:
            shape = dragged(detector.shape, MOVE, (0, 0), (down, across), self.session.calibration)
            self.session.set_detector(detector.with_shape(shape))

    def grow(self, by: float) -> None:
        """Make the detector larger by some pixels on each side."""
        detector = self.session.detector
        if detector is not None and not self.session.editing:
            self.session.set_detector(detector.with_shape(grown(detector.shape, by)))

    # Undo

    @property
    def can_undo(self) -> bool:
        """Whether there is a detector to go back to."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone detector."""
        return bool(self._redo)

    def undo(self) -> None:
        """Choose the detector before the last change."""
        if self._line:
            self._line.pop()
            self.layers.show_line(self._line)
        else:
            self._step(self._undo, self._redo)

    def redo(self) -> None:
        """Choose the detector that was undone last."""
        self._step(self._redo, self._undo)

    def _step(self, back: list[VirtualDetector], forth: list[VirtualDetector]) -> None:
        if not back:
            return
        if self.session.detector is not None:
            forth.append(self.session.detector)
        self._stepping = True
        try:
            self.session.set_detector(back.pop())
        finally:
            self._stepping = False
        self.history_changed.emit()

    def _on_detector(self) -> None:
        before, now = self._chosen, self.session.detector
        self._chosen = now
        if before is None or now is None or before == now or self._stepping:
            return
        if before.is_preset and (before.kind, before.paired) == (now.kind, now.paired):
            return  # it followed the disk
        self._undo = [*self._undo[1 - _MOST_STEPS :], before]
        self._redo = []
        self.history_changed.emit()

    def _forget(self) -> None:
        self._undo, self._redo, self._chosen = [], [], None
        self.cancel_line()
        self.history_changed.emit()
