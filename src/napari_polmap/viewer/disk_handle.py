"""The bright-field disk's circle in the diffraction view, corrected by mouse or arrow keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Points
from napari.utils.notifications import show_error

from napari_polmap.calibration import Calibration
from napari_polmap.errors import PolmapError
from napari_polmap.viewer.diffraction_layers import DISK_COLOR
from napari_polmap.viewer.session import DISK

if TYPE_CHECKING:
    from napari_polmap.viewer.diffraction import DiffractionController

CENTER, RIM = "center", "rim"
LAYER = "disk handle"
NUDGES_PX = (0.1, 1.0)
"""How far an arrow key moves, without and with Shift."""
_REACH = 9.0
"""Pixels of the screen within which a handle is taken."""
_LEAST_RADIUS = 1.0
_CHOSEN = "#ffffff"
_ARROWS = {"Up": (-1, 0), "Down": (1, 0), "Left": (0, -1), "Right": (0, 1)}


class DiskHandle:
    """Center and rim of the disk, to be dragged while `Session.editing` is `DISK`.

    What is dragged is drawn at once, and becomes one step of the calibration when it is let go.
    After a click on the center or the rim the arrow keys nudge it.

    Parameters
    ----------
    controller : DiffractionController
    """

    def __init__(self, controller: DiffractionController) -> None:
        self.controller = controller
        self.model = controller.model
        self.session = controller.session
        self.chosen = CENTER
        self.dragging = False
        self._points: Points | None = None
        self._hovered = False
        self._keys = False
        self._replaced: dict[str, Any] = {}
        self._connections = [
            (self.session.scan_changed, self._refresh),
            (self.session.editing_changed, self._refresh),
            (controller.pattern_changed, self._on_pattern),
        ]
        for signal, slot in self._connections:
            signal.connect(slot)
        self.model.mouse_drag_callbacks.append(self._on_drag)
        self.model.mouse_move_callbacks.append(self._on_move)
        self._refresh()

    def close(self) -> None:
        """Stop listening."""
        for signal, slot in self._connections:
            signal.disconnect(slot, missing_ok=True)
        self._connections = []

    @property
    def active(self) -> bool:
        """Whether the disk can be dragged now."""
        calibration = self.session.calibration
        known = calibration.center_px is not None and calibration.radius_px is not None
        editing = self.session.editing == DISK and self.session.scan is not None
        return known and editing

    def nudge(self, down: int, right: int, step: float) -> None:
        """Move the chosen part by a step in pixels; up and right make the radius larger."""
        if not self.active:
            return
        calibration = self.session.calibration
        if self.chosen == CENTER:
            assert calibration.center_px is not None
            ky, kx = calibration.center_px
            self._commit("nudged disk center", center_px=(ky + down * step, kx + right * step))
        else:
            assert calibration.radius_px is not None
            radius = max(_LEAST_RADIUS, calibration.radius_px + (right - down) * step)
            self._commit("nudged disk radius", radius_px=radius)

    # What is drawn

    def _refresh(self) -> None:
        if self.dragging:
            return
        if self._points is not None and self._points not in self.model.layers:
            self._points = None
        if not self.active:
            if self._points is not None:
                self._points.visible = False
            self._free_camera()
            self._bind_keys(False)
            self._draw(self.session.calibration)
            return
        if self._points is None:
            self._add_points()
        self._draw(self.session.calibration)
        self._points.visible = True
        self._bind_keys(True)

    def _on_pattern(self) -> None:
        """Another position: with a descan the disk is elsewhere."""
        if self.session.calibration.descan_px is not None:
            self._refresh()

    def _add_points(self) -> None:
        pattern = self.controller.layers.pattern_layer
        if pattern is None:
            return
        active = self.model.layers.selection.active
        self._points = Points(
            ndim=2,
            name=LAYER,
            symbol="square",
            border_color=DISK_COLOR,
            border_width=0.25,
            scale=pattern.scale,
            translate=pattern.translate,
            units=pattern.units,
            blending="translucent_no_depth",
        )
        self.model.layers.append(self._points)
        # What is drawn with the mouse stays what it was.
        self.model.layers.selection.active = active

    def _draw(self, calibration: Calibration) -> None:
        """The circle where the shown pattern has it, and the handles on it."""
        if calibration.center_px is None or calibration.radius_px is None:
            return
        ky, kx = np.add(calibration.center_px, self._shift(calibration))
        calibration = calibration.updated("user", center_px=(float(ky), float(kx)))
        self.controller.layers.draw_disk(calibration)
        if self._points is None or not self.active:
            return
        spokes = calibration.radius_px * np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])
        places = np.concatenate([[[ky, kx]], (ky, kx) + spokes @ calibration.distortion().T])
        self._points.data = places
        size = max(self.session.scan.detector_shape) / 32 if self.session.scan else 1.0
        self._points.size = size
        chosen = [self.chosen == CENTER, *([self.chosen == RIM] * 4)]
        self._points.face_color = [_CHOSEN if is_chosen else DISK_COLOR for is_chosen in chosen]
        self._points.symbol = ["cross", *(["square"] * 4)]

    def _shift(self, calibration: Calibration) -> npt.NDArray[np.float64]:
        """How far the beam is off its place in the middle of the scan, by the descan."""
        shown, scan = self.controller.shown, self.session.scan
        if scan is None or shown is None or shown.position is None:
            return np.zeros(2)
        center = calibration.center_at(*shown.position, scan.scan_shape)
        return center - np.asarray(calibration.center_px)

    # Mouse

    def _pixel(self, world: Any) -> npt.NDArray[np.float64]:
        """Detector coordinates (ky, kx) of world ones, as if there were no descan."""
        pattern = self.controller.layers.pattern_layer
        assert pattern is not None
        place = np.asarray(pattern.world_to_data(tuple(world)[-2:]), float)
        return place - self._shift(self.session.calibration)

    def _part_at(self, world: Any) -> str | None:
        if not self.active or self.controller.layers.pattern_layer is None:
            return None
        calibration = self.session.calibration
        assert calibration.center_px is not None
        assert calibration.radius_px is not None
        pixel = self._pixel(world)
        scale = float(self.controller.layers.pattern_layer.scale[-1])
        reach = _REACH / (float(self.model.scene.camera.zoom) * scale)
        # In a small disk the handles share the room.
        reach = min(reach, calibration.radius_px / 3)
        distance = float(calibration.disk_distance(*pixel))
        if abs(distance - calibration.radius_px) <= reach:
            return RIM
        return CENTER if np.hypot(*(pixel - calibration.center_px)) <= 1.5 * reach else None

    def _on_move(self, _model: Any, event: Any) -> None:
        if self.dragging:
            return
        near = self._part_at(event.position) is not None
        if near and not self._hovered:
            # Before the button goes down: the camera looks at it only then.
            self._hovered = True
            self.model.scene.camera.mouse_pan = False
        elif not near:
            self._free_camera()

    def _free_camera(self) -> None:
        if self._hovered:
            self._hovered = False
            self.model.scene.camera.mouse_pan = True

    def _on_drag(self, _model: Any, event: Any) -> Iterator[None]:
        part = self._part_at(event.position) if event.button == 1 else None
        if part is None:
            return
        self._hovered = True
        self.model.scene.camera.mouse_pan = False
        self.chosen = part
        calibration = self.session.calibration
        self._draw(calibration)
        start = self._pixel(event.position)
        values: dict[str, Any] = {}
        self.dragging = True
        yield
        try:
            while event.type == "mouse_move":
                values = self._dragged(calibration, start, self._pixel(event.position))
                self._draw(calibration.updated("user", **values))
                self.controller.readout_changed.emit(_told(values))
                yield
            # Moves are throttled: a fast drag may bring none before the release.
            if np.any(self._pixel(event.position) != start):
                values = self._dragged(calibration, start, self._pixel(event.position))
        finally:
            self.dragging = False
        if values:
            self._commit(f"moved disk {part}", **values)
        self._refresh()

    def _dragged(
        self, calibration: Calibration, start: npt.NDArray[np.float64], end: Any
    ) -> dict[str, Any]:
        assert calibration.center_px is not None
        assert calibration.radius_px is not None
        if self.chosen == CENTER:
            ky, kx = calibration.center_px + (end - start)
            return {"center_px": (float(ky), float(kx))}
        grown = float(calibration.disk_distance(*end) - calibration.disk_distance(*start))
        return {"radius_px": max(_LEAST_RADIUS, calibration.radius_px + grown)}

    def _commit(self, text: str, **values: Any) -> None:
        try:
            self.session.set_calibration(text=text, **values)
        except PolmapError as error:
            show_error(str(error))

    # Keys

    def _bind_keys(self, on: bool) -> None:
        if on == self._keys:
            return
        self._keys = on
        for key, (down, right) in _ARROWS.items():
            for modifier, step in zip(("", "Shift-"), NUDGES_PX, strict=True):

                def nudge(_: Any, down: int = down, right: int = right, step: float = step) -> None:
                    self.nudge(down, right, step)

                self._bind(f"{modifier}{key}", nudge if on else None)
        self._bind("Control-Z", (lambda _: self.session.undo_calibration()) if on else None)
        self._bind("Control-Y", (lambda _: self.session.redo_calibration()) if on else None)

    def _bind(self, key: str, slot: Any) -> None:
        """Take a key, or give it back to whom it belonged."""
        before = self._replaced.pop(key, None) if slot is None else slot
        unbound = self.model.bind_key(key, before, overwrite=True)
        if slot is not None and unbound is not None:
            self._replaced[key] = unbound


def _told(values: dict[str, Any]) -> str:
    """The dragged values for people."""
    if "radius_px" in values:
        return f"radius {values['radius_px']:.2f} px"
    ky, kx = values["center_px"]
    return f"center ky {ky:.2f}  kx {kx:.2f} px"
