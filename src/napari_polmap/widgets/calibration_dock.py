"""The dock "Calibration": every value with its source, measured or by hand, each step undoable."""

# ruff: noqa: N802  Qt names its own methods

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

import napari.viewer
from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtGui import QHideEvent, QKeyEvent, QKeySequence, QShowEvent
from qtpy.QtWidgets import (
    QDockWidget,
    QFrame,
    QLineEdit,
    QProgressBar,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_polmap.viewer.calibration_jobs import way_px
from napari_polmap.viewer.session import Session
from napari_polmap.widgets.arrange import dock_of, open_beside
from napari_polmap.widgets.bad_pixels_section import BadPixelsSection
from napari_polmap.widgets.calibration_form import CalibrationForm
from napari_polmap.widgets.calibrator import Calibrator
from napari_polmap.widgets.descan_section import DescanSection
from napari_polmap.widgets.disk_section import DiskSection
from napari_polmap.widgets.lattice_section import LatticeSection
from napari_polmap.widgets.parts import ElidedLabel, Section, button, row
from napari_polmap.widgets.rotation_section import RotationSection

_WIDTH, _LEAST_WIDTH = 360, 320
_NO_SCAN = "No scan is open."
_KEPT, _TAKEN = "Kept in {}", "As kept in {}"
_UNDO, _REDO = QKeySequence.StandardKey.Undo, QKeySequence.StandardKey.Redo


class CalibrationDock(QWidget):
    """Values, disk, descan, bad pixels, lattice and detector rotation of the viewer's scan.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    # napari passes the viewer where the annotation reads exactly so.
    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("polmap-calibration")
        self._visible = False
        self._dock: QDockWidget | None = None
        self._viewer = ref(getattr(viewer, "__wrapped__", viewer))
        self.calibrator = Calibrator.of(viewer)
        self.calibrator.join(id(self))
        self.session: Session = self.calibrator.session
        self._build()
        session, calibrator = self.session, self.calibrator
        assert calibrator.keeper is not None
        self._connections: list[tuple[Any, Callable[..., None]]] = [
            (session.scan_opened, self._on_scan_opened),
            (session.scan_changed, self.refresh),
            (session.editing_changed, self.refresh),
            (calibrator.activity_changed, self._on_activity),
            (calibrator.keeper.kept, self._on_kept),
        ]
        for signal, slot in self._connections:
            signal.connect(slot)
        # Without a reference to the dock itself, which is gone when this is called.
        self.destroyed.connect(partial(_close, self._connections, calibrator, id(self)))
        for edit in self.findChildren(QLineEdit):
            edit.installEventFilter(self)
        calibrator.fill()
        self._show_kept()
        self.refresh()
        self._on_activity()

    def _build(self) -> None:
        calibrator = self.calibrator
        self.name = ElidedLabel()
        self.name.setStyleSheet("font-weight: bold;")
        self.kept = ElidedLabel()
        self.kept.setEnabled(False)
        self.values = Section("Values")
        self.form = CalibrationForm()
        self.values.add(self.form)
        self.disk_section = DiskSection(calibrator, self.show_patterns)
        self.descan_section = DescanSection(calibrator)
        self.bad_pixels_section = BadPixelsSection(calibrator, self.show_patterns)
        self.lattice_section = LatticeSection(calibrator, self._viewer())
        self.rotation_section = RotationSection(calibrator)
        self.form.value_changed.connect(self._edit)
        self.form.reset.connect(calibrator.reset)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(2, 2, 6, 2)
        column.setSpacing(2)
        for widget in (self.name, self.kept, self.values, *self.sections):
            column.addWidget(widget)
        column.addStretch(1)
        self._scroll = scroll = QScrollArea()
        scroll.setWidget(inner)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.activity = QProgressBar()
        self.activity.setMaximumHeight(16)
        self.undo = button("Undo", "")
        self.redo = button("Redo", "")
        self.keep = button(
            "Keep",
            "Keep this calibration beside the scan as it is; with each change that happens by "
            "itself",
        )
        self.reset_all = button(
            "Reset all", "Back to what the file says; what it does not say is measured again"
        )
        for pressed, slot in (
            (self.undo, calibrator.undo),
            (self.redo, calibrator.redo),
            (self.keep, calibrator.keep),
            (self.reset_all, calibrator.reset_all),
        ):
            pressed.clicked.connect(lambda _=False, slot=slot: slot())
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(2)
        outer.addWidget(scroll, 1)
        outer.addWidget(self.activity)
        buttons = row(self.undo, self.redo, None, self.keep, self.reset_all)
        buttons.setContentsMargins(4, 2, 4, 4)
        outer.addLayout(buttons)
        self.setMinimumWidth(_LEAST_WIDTH)

    @property
    def sections(self) -> tuple[Any, ...]:
        """The parts below the values; each has ``refresh`` and ``forget``."""
        return (
            self.disk_section,
            self.descan_section,
            self.bad_pixels_section,
            self.lattice_section,
            self.rotation_section,
        )

    def sizeHint(self) -> QSize:
        """Qt: as wide as the labels need."""
        return QSize(_WIDTH, 900)

    def show_patterns(self) -> QWidget | None:
        """Open the dock "Diffraction" beside this one; None where there is no window."""
        return open_beside(self._viewer(), "Diffraction", self)

    # Following the session

    def refresh(self) -> None:
        """Show the calibration as it is now."""
        session, scan = self.session, self.session.scan
        self.name.set_full(_NO_SCAN if scan is None else scan.name)
        descan = session.calibration.descan_px
        way = None if scan is None or descan is None else way_px(scan, descan)
        self.form.setEnabled(scan is not None)
        self.form.show_calibration(session.calibration, session.loaded, session.errors, way)
        for section in self.sections:
            section.refresh()
        self._ask_for_width()
        history = session.calibrations
        self.undo.setEnabled(session.can_undo_calibration)
        self.redo.setEnabled(session.can_redo_calibration)
        keys = [
            QKeySequence(k).toString(QKeySequence.SequenceFormat.NativeText) for k in (_UNDO, _REDO)
        ]
        self.undo.setToolTip(f"Take back: {history.to_undo or 'nothing'} ({keys[0]} in this dock)")
        self.redo.setToolTip(f"Make again: {history.to_redo or 'nothing'} ({keys[1]} in this dock)")
        self.keep.setEnabled(scan is not None and scan.path is not None)
        self.reset_all.setEnabled(scan is not None)

    def _edit(self, name: str, value: Any) -> None:
        self.calibrator.set_calibration(**{name: value})
        # An impossible value goes back to what holds.
        self.refresh()

    def _on_scan_opened(self) -> None:
        self.session.edit("")
        self._show_kept()
        for section in self.sections:
            section.forget()

    def _show_kept(self) -> None:
        """Tell that the calibration is that of an earlier time."""
        scan = self.session.scan
        kept_in = None if scan is None else scan.kept_in
        self.kept.set_full("" if kept_in is None else _TAKEN.format(kept_in))

    def _on_kept(self, path: Any) -> None:
        self.kept.set_full(_KEPT.format(path))

    def _on_activity(self) -> None:
        activities = list(self.calibrator.activities.values())
        self.activity.setVisible(bool(activities))
        if activities:
            last = activities[-1]
            self.activity.setRange(0, last.total)
            self.activity.setValue(last.done)
            self.activity.setFormat(f"{last.text} · %p %" if last.total else last.text)
        for section in self.sections:
            section.refresh()

    # Keys: the window's Undo is the map's, this dock's the calibration's

    def event(self, event: QEvent) -> bool:
        """Qt: end the background work when the dock is taken out of the window."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.close_dock()
        if event.type() == QEvent.Type.ShortcutOverride and _step(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Qt: undo and redo."""
        step = _step(event)
        if not step:
            super().keyPressEvent(event)
        elif step < 0:
            self.calibrator.undo()
        else:
            self.calibrator.redo()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt: a number field undoes its typing first, then the calibration."""
        kinds = (QEvent.Type.KeyPress, QEvent.Type.ShortcutOverride)
        if event.type() in kinds and isinstance(watched, QLineEdit):
            step = _step(event)
            own = watched.isUndoAvailable() if step < 0 else watched.isRedoAvailable()
            if step and not own:
                if event.type() == QEvent.Type.KeyPress:
                    self.keyPressEvent(event)
                event.accept()
                return True
        return super().eventFilter(watched, event)

    def showEvent(self, event: QShowEvent) -> None:
        """Qt: hear when another tab covers the dock."""
        super().showEvent(event)
        self._visible = True
        self._ask_for_width()
        dock = dock_of(self)
        if dock is not None and dock is not self._dock:
            self._dock = dock
            dock.visibilityChanged.connect(self._on_visible)

    def _ask_for_width(self) -> None:
        """Nothing may be hidden beside or under the scroll bar."""
        inner, bar = self._scroll.widget(), self._scroll.verticalScrollBar()
        needed = inner.minimumSizeHint().width() + bar.sizeHint().width()
        self.setMinimumWidth(max(self.minimumWidth(), needed))

    def hideEvent(self, event: QHideEvent) -> None:
        """Qt: the mouse edits nothing any more in the diffraction view."""
        super().hideEvent(event)
        self._on_visible(False)

    def _on_visible(self, visible: bool) -> None:
        self._visible = visible
        if not visible:
            # While docks are arranged it may be hidden for a moment.
            QTimer.singleShot(0, self._leave_view)

    def _leave_view(self) -> None:
        if not self._visible:
            self.session.edit("")

    def close_dock(self) -> None:
        """End the background work and stop listening."""
        self.session.edit("")
        _close(self._connections, self.calibrator, id(self))


def _step(event: QEvent) -> int:
    """-1 for Undo, 1 for Redo, else 0."""
    if not isinstance(event, QKeyEvent):
        return 0
    return -int(event.matches(_UNDO)) or int(event.matches(_REDO))


def _close(
    connections: list[tuple[Any, Callable[..., None]]],
    calibrator: Calibrator,
    user: int,
    _: object = None,
) -> None:
    for signal, slot in connections:
        signal.disconnect(slot, missing_ok=True)
    connections.clear()
    calibrator.leave(user)
