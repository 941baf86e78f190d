"""Real mouse events on napari's canvases."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

LEFT = Qt.MouseButton.LeftButton


def move(
    native: Any, point: QPoint, modifier: Qt.KeyboardModifier, button: Qt.MouseButton = LEFT
) -> None:
    """Move with a button down; QTest's own moves carry none."""
    where = QPointF(point)
    event = QMouseEvent(
        QEvent.Type.MouseMove, where, QPointF(native.mapToGlobal(point)), button, button, modifier
    )
    QApplication.sendEvent(native, event)


def canvas_point(model: Any, canvas: Any, world: Any) -> QPoint:
    """Where world coordinates lie on a canvas."""
    camera = model.scene.camera
    height, width = canvas.size
    y, x = (np.asarray(world) - np.asarray(camera.center)[-2:]) * camera.zoom
    return QPoint(round(width / 2 + x), round(height / 2 + y))
