"""The dock "Virtual imaging": the detector, the images made with it, their contrast."""

# ruff: noqa: N802  Qt names its own methods

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

import napari.viewer
from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtWidgets import QFrame, QProgressBar, QScrollArea, QVBoxLayout, QWidget

from napari_polmap.widgets.arrange import open_beside
from napari_polmap.widgets.image_section import ImageSection
from napari_polmap.widgets.imager import Imager
from napari_polmap.widgets.shape_section import ShapeSection

_WIDTH = 360


class VirtualDock(QWidget):
    """Detector and images of the viewer's scan.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    # napari passes the viewer where the annotation reads exactly so.
    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("polmap-virtual")
        self._viewer = ref(getattr(viewer, "__wrapped__", viewer))
        self.imager = Imager.of(viewer)
        self._user = object()
        self.imager.join(self._user)
        self.session = self.imager.session
        self.shape_section = ShapeSection(self.imager, self.show_patterns)
        self.image_section = ImageSection(self.imager)
        self.activity = QProgressBar()
        self.activity.setMaximumHeight(16)
        self._build()
        self._connections: list[tuple[Any, Callable[..., None]]] = [
            (self.session.scan_changed, self.refresh),
            (self.session.detector_changed, self.shape_section.refresh),
            (self.session.detector_dragged, self.shape_section.refresh),
            (self.session.images_changed, self._on_image),
            (self.imager.wanted_changed, self.image_section.refresh),
            (self.imager.manager.shown_changed, self.image_section.refresh),
            (self.imager.activity_changed, self._on_activity),
        ]
        for signal, slot in self._connections:
            signal.connect(slot)
        # Without a reference to the dock itself, which is gone when this is called.
        self.destroyed.connect(partial(_close, self._connections, self.imager, self._user))
        self.refresh()
        self._on_activity()

    def _build(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(2, 2, 2, 2)
        column.setSpacing(2)
        column.addWidget(self.shape_section)
        column.addWidget(self.image_section)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidget(inner)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll, 1)
        outer.addWidget(self.activity)
        self.setMinimumWidth(300)

    def sizeHint(self) -> QSize:
        """Qt: as wide as the labels need."""
        return QSize(_WIDTH, 700)

    def show_patterns(self) -> QWidget | None:
        """Open the dock "Diffraction" beside this one; None where there is no window."""
        return open_beside(self._viewer(), "Diffraction", self)

    def refresh(self) -> None:
        """Show detector and images as they are now."""
        self.shape_section.refresh()
        self.image_section.refresh()

    def _on_image(self, _name: str) -> None:
        self.image_section.refresh()

    def _on_activity(self) -> None:
        activities = list(self.imager.activities.values())
        self.activity.setVisible(bool(activities))
        if activities:
            last = activities[-1]
            self.activity.setRange(0, last.total)
            self.activity.setValue(last.done)
            self.activity.setFormat(f"{last.text} · %p %" if last.total else last.text)

    def event(self, event: QEvent) -> bool:
        """Qt: end the background work when the dock is taken out of the window."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.close_dock()
        return super().event(event)

    def close_dock(self) -> None:
        """End the background work and stop listening."""
        _close(self._connections, self.imager, self._user)


def _close(
    connections: list[tuple[Any, Callable[..., None]]],
    imager: Imager,
    user: object,
    _: object = None,
) -> None:
    for signal, slot in connections:
        signal.disconnect(slot, missing_ok=True)
    connections.clear()
    imager.leave(user)
