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
MARK_PIXELS = 20
FOLLOW_MODIFIER = "Shift"

HINT = (
    "Click on the map to show the pattern of that position. Hold Shift and drag to follow the "
    "mouse, or switch on “Follow” to do so without Shift. Dragging pans otherwise; while a "
    "drawing tool is active, clicks draw."
)


class PositionPicker:
    """Turns clicks and drags over the scan's layers into `Session.position`, and marks it.

    A click picks; a drag picks with Shift held or while `follow` is on, and pans otherwise. In a
    layer's drawing and editing modes the mouse belongs to that mode. The mark is moved by
    `show_mark`, together with what is shown of the position.

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
        session.scan_changed.connect(self._place_mark)
        viewer.scene.camera.events.zoom.connect(self._size_mark)

    def close(self) -> None:
        """Leave the viewer as it was found."""
        if self._on_drag in self.viewer.mouse_drag_callbacks:
            self.viewer.mouse_drag_callbacks.remove(self._on_drag)
        self.session.scan_changed.disconnect(self._place_mark, missing_ok=True)
        self.viewer.scene.camera.events.zoom.disconnect(self._size_mark)
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
        # What was taken with the mouse before, such as a handle, is not followed.
        follows = not event.handled and (self.follow or FOLLOW_MODIFIER in event.modifiers)
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

    def show_mark(self, position: tuple[int, int] | None) -> None:
        """Mark a position; None takes the mark away."""
        if position is None or self.session.scan_shape is None:
            self._remove_mark()
        elif self._mark is None or self._mark not in self.viewer.layers:
            self._add_mark(position)
        else:
            # In place: new `data` would also work out extents and thumbnails.
            self._mark.data[0] = position
            self._mark.refresh(thumbnail=False, highlight=False, extent=False)

    def _place_mark(self) -> None:
        if self._mark is not None and self._mark in self.viewer.layers:
            for name, value in geometry(self.session.calibration).items():
                setattr(self._mark, name, value)
            self._size_mark()

    def _mark_size(self) -> float:
        """Size in positions that fills a fixed number of screen pixels."""
        scale = geometry(self.session.calibration)["scale"][0]
        return MARK_PIXELS / (self.viewer.scene.camera.zoom * scale)

    def _size_mark(self) -> None:
        # Under napari's own limits in screen pixels a symbol with a border is nothing but border.
        if self._mark is not None and self._mark in self.viewer.layers:
            self._mark.size = self._mark_size()

    def _add_mark(self, position: tuple[int, int]) -> None:
        active = self.viewer.layers.selection.active
        selected = set(self.viewer.layers.selection)
        self._mark = Points(
            [position],
            name=MARK_NAME,
            symbol="cross",
            size=self._mark_size(),
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
