"""Choosing a probe position with the mouse in the main viewer, and the mark that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from napari.layers import Points

from napari_polmap.viewer.layers import geometry
from napari_polmap.viewer.session import Session

MARK_NAME = "probe position"
CLICK_PIXELS = 4
"""A press and release no further apart than this (screen pixels) is a click."""
FOLLOW_MODIFIER = "Shift"

HINT = (
    "Click on the map to show the pattern of that position. Hold Shift and drag to follow the "
    "mouse, or switch on “Follow” to do so without Shift. Dragging pans otherwise; while a "
    "drawing tool is active, clicks draw."
)


class PositionPicker:
    """Turns clicks and drags over the scan's layers into `Session.position`, and marks it.

    A click picks; a drag picks with Shift held or while `follow` is on, and pans otherwise. In a
    layer's drawing and editing modes the mouse belongs to that mode.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The main viewer.
    session : Session
    """

    def __init__(self, viewer: Any, session: Session) -> None:
        self.viewer = viewer
        self.session = session
        self.follow = False
        self._mark: Points | None = None
        viewer.mouse_drag_callbacks.append(self._on_drag)
        session.position_changed.connect(self._show_mark)
        session.scan_changed.connect(self._show_mark)

    def close(self) -> None:
        """Leave the viewer as it was found."""
        if self._on_drag in self.viewer.mouse_drag_callbacks:
            self.viewer.mouse_drag_callbacks.remove(self._on_drag)
        self.session.position_changed.disconnect(self._show_mark, missing_ok=True)
        self.session.scan_changed.disconnect(self._show_mark, missing_ok=True)
        self._remove_mark()

    def pick(self, y: int, x: int) -> None:
        """Make a position the session's, if it is another one."""
        if self.session.position != (y, x):
            self.session.set_position((y, x))

    def position_at(self, world: Any) -> tuple[int, int] | None:
        """Probe position at world coordinates; None beside the scan."""
        shape = self.session.scan_shape
        if shape is None:
            return None
        scale = geometry(self.session.calibration)["scale"]
        y, x = np.round(np.asarray(world)[-2:] / scale).astype(int)
        return (int(y), int(x)) if 0 <= y < shape[0] and 0 <= x < shape[1] else None

    def _on_drag(self, viewer: Any, event: Any) -> Iterator[None]:
        active = viewer.layers.selection.active
        if (
            event.button != 1
            or viewer.dims.ndisplay != 2
            or (active is not None and str(active.mode) != "pan_zoom")
            or event.modifiers not in ((), (FOLLOW_MODIFIER,))
        ):
            return
        follows = self.follow or FOLLOW_MODIFIER in event.modifiers
        camera = viewer.scene.camera
        pans = camera.mouse_pan
        start, moved = np.array(event.pos), False
        if follows:
            self._pick_at(event.position)
            camera.mouse_pan = False  # after the pick: adding the mark resets it
        try:
            yield
            while event.type == "mouse_move":
                moved |= _far(start, event.pos)
                if follows:
                    self._pick_at(event.position)
                yield
            # Moves are throttled, so a fast drag may bring none before the release.
            if follows or not (moved or _far(start, event.pos)):
                self._pick_at(event.position)
        finally:
            if follows:
                camera.mouse_pan = pans

    def _pick_at(self, world: Any) -> None:
        position = self.position_at(world)
        if position is not None:
            self.pick(*position)

    def _show_mark(self) -> None:
        position = self.session.position
        if position is None or self.session.scan_shape is None:
            self._remove_mark()
            return
        if self._mark is None or self._mark not in self.viewer.layers:
            self._add_mark(position)
        self._mark.data = [position]
        for name, value in geometry(self.session.calibration).items():
            setattr(self._mark, name, value)

    def _add_mark(self, position: tuple[int, int]) -> None:
        active = self.viewer.layers.selection.active
        selected = set(self.viewer.layers.selection)
        self._mark = Points(
            [position],
            name=MARK_NAME,
            symbol="cross",
            size=1,
            canvas_size_limits=(15, 25),
            face_color="white",
            border_color="black",
            border_width=0.08,
            opacity=1.0,
            **geometry(self.session.calibration),
        )
        self.viewer.add_layer(self._mark)
        self._mark.editable = False
        # The user's layer stays the active one.
        self.viewer.layers.selection.clear()
        self.viewer.layers.selection.update(selected)
        self.viewer.layers.selection.active = active

    def _remove_mark(self) -> None:
        if self._mark is not None and self._mark in self.viewer.layers:
            self.viewer.layers.remove(self._mark)
        self._mark = None


def _far(start: Any, end: Any) -> bool:
    return bool(np.abs(np.asarray(end) - start).max() > CLICK_PIXELS)
