"""The diffraction dock: a second canvas with the pattern, the virtual detector and the evidence."""

# ruff: noqa: N802  Qt names its own methods

from __future__ import annotations

import contextlib
from collections.abc import Callable
from weakref import ref

import napari.viewer
from napari.qt import QtViewer
from qtpy.QtCore import QEvent, QObject, QSignalBlocker, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QCloseEvent, QHideEvent, QKeyEvent, QResizeEvent, QShowEvent
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDockWidget,
    QDoubleSpinBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from napari_polmap.viewer.bad_pixels_overlay import BadPixelsOverlay
from napari_polmap.viewer.contrast import MODES, Contrast
from napari_polmap.viewer.detector_editor import EDIT, FREEHAND, PAN, POLYGON
from napari_polmap.viewer.detector_editor import HINT as EDITOR_HINT
from napari_polmap.viewer.diffraction import (
    POSITION,
    REGION,
    SCAN_MAXIMUM,
    SCAN_MEAN,
    DiffractionController,
)
from napari_polmap.viewer.disk_handle import DiskHandle
from napari_polmap.viewer.picking import HINT
from napari_polmap.widgets.arrange import open_beside
from napari_polmap.widgets.evidence import EvidencePanel
from napari_polmap.widgets.imager import Imager
from napari_polmap.widgets.tool_buttons import IconButton

_TOOLS = (
    (EDIT, "select", f"Move and resize the virtual detector. {EDITOR_HINT}"),
    (PAN, "zoom", "Move and zoom the pattern"),
    (POLYGON, "polygon", "Draw a polygonal virtual detector; a double click ends it"),
    (FREEHAND, "polygon_lasso", "Draw a virtual detector with a freehand line"),
)
_VIEWS = {
    POSITION: "Position",
    REGION: "Mean of region",
    SCAN_MEAN: "Mean of scan",
    SCAN_MAXIMUM: "Maximum of scan",
}
_PARTS = [480, 440]
"""First heights of the pattern and the evidence."""
_WIDE_WINDOW = 1400
_EMPTY = "Open a scan, then click on its image."
_CLICK = "Click on the map to see the pattern of that position."


class DiffractionDock(QWidget):
    """Pattern, virtual detector and evidence of the position clicked in the main viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        The main viewer.
    """

    _calls = Signal(object)

    # napari passes the viewer where the annotation reads exactly so.
    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("polmap-diffraction")
        self._closed = self._placed = False
        self._calls.connect(self._run)
        self._viewer = ref(getattr(viewer, "__wrapped__", viewer))
        self.controller = DiffractionController(viewer, self._deliver)
        self.handles = (DiskHandle(self.controller), BadPixelsOverlay(self.controller))
        self.imager = Imager.of(viewer)
        # A window that the user closes is deleted by Qt without closing its docks.
        for part in (*self.handles, self.controller):
            self.destroyed.connect(part.close)
        self.qt_viewer = QtViewer(self.controller.model)
        # Files dropped here belong to the main viewer.
        self.qt_viewer.setAcceptDrops(False)
        self.qt_viewer.setMinimumSize(220, 160)
        self.qt_viewer.canvas.native.installEventFilter(self)
        self.evidence = EvidencePanel()
        self._build()
        self._connect()
        self.setMinimumWidth(280)
        self._show_pattern()
        self._show_reading()
        self._show_tool()
        self._show_history()

    def _build(self) -> None:
        self.title = QLabel(_EMPTY)
        self.title.setToolTip(HINT)
        self.follow = IconButton("pan_arrows", HINT, checkable=True, text="Follow")
        self.view = QComboBox()
        for view, text in _VIEWS.items():
            self.view.addItem(text, view)
        self.view.setToolTip("Which pattern is shown; clicks and drawn regions choose theirs")
        heading = _row(self.title, None, self.follow)
        self.tools = QButtonGroup(self)
        tools = QHBoxLayout()
        tools.setSpacing(2)
        for index, (tool, icon, tooltip) in enumerate(_TOOLS):
            button = IconButton(icon, tooltip, checkable=True)
            button.setObjectName(tool)
            self.tools.addButton(button, index)
            tools.addWidget(button)
        self.undo = IconButton("left_arrow", "Take the last change of the detector back (Ctrl+Z)")
        self.redo = IconButton("right_arrow", "Make the change undone last again (Ctrl+Y)")
        self.imaging = IconButton(
            "new_image", "Open the dock “Virtual imaging”: detectors, images, contrast"
        )
        for button in (self.undo, self.redo, self.imaging):
            tools.addWidget(button)
        tools.addStretch(1)
        self.mode = QComboBox()
        self.mode.addItems([mode.capitalize() for mode in MODES])
        self.mode.setCurrentIndex(MODES.index(self.controller.contrast.mode))
        self.mode.setToolTip("Curve from intensity to brightness")
        shown = _row(self.view, self.mode)
        shown.setStretch(0, 1)
        self.low = _percentile("Percentile of the intensities shown black")
        self.high = _percentile("Percentile of the intensities shown white")
        self.low.setValue(self.controller.contrast.low)
        self.high.setValue(self.controller.contrast.high)
        self.hold = QCheckBox("Hold")
        self.hold.setToolTip("Keep the limits, so that patterns can be compared")
        limits = _row(QLabel("Percentiles"), self.low, self.high, None, self.hold)
        self.readout = QLabel()
        self.readout.setMinimumHeight(self.readout.fontMetrics().height())
        self.readout.setToolTip("Detector pixel, intensity and scattering angle under the cursor")
        self.progress = QProgressBar()
        self.progress.setFormat("%v of %m positions")
        self.progress.setVisible(False)

        top = QWidget()
        column = QVBoxLayout(top)
        column.setContentsMargins(4, 4, 4, 0)
        column.setSpacing(4)
        column.addLayout(heading)
        column.addLayout(tools)
        column.addLayout(shown)
        column.addLayout(limits)
        column.addWidget(self.qt_viewer, 1)
        column.addWidget(self.progress)
        column.addWidget(self.readout)
        self.scroll = QScrollArea()
        self.scroll.setWidget(self.evidence)
        self.scroll.setWidgetResizable(True)
        self.scroll.setFrameShape(QFrame.Shape.NoFrame)
        self.scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self.splitter.addWidget(top)
        self.splitter.addWidget(self.scroll)
        self.splitter.setStretchFactor(0, 3)
        self.splitter.setStretchFactor(1, 2)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setSizes(_PARTS)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.splitter)

    def _connect(self) -> None:
        controller = self.controller
        controller.pattern_changed.connect(self._show_pattern)
        controller.reading_changed.connect(self._show_reading)
        controller.readout_changed.connect(self._show_readout)
        editor = controller.editor
        editor.tool_changed.connect(self._show_tool)
        editor.history_changed.connect(self._show_history)
        self.follow.toggled.connect(self._set_follow)
        self.view.activated.connect(lambda: controller.show_view(self.view.currentData()))
        self.tools.idClicked.connect(self._set_tool)
        self.undo.clicked.connect(editor.undo)
        self.redo.clicked.connect(editor.redo)
        self.imaging.clicked.connect(self._show_imaging)
        self.mode.currentIndexChanged.connect(self._set_contrast)
        self.low.valueChanged.connect(self._set_contrast)
        self.high.valueChanged.connect(self._set_contrast)
        self.hold.toggled.connect(self._set_contrast)

    # From the background threads to the window's

    def _deliver(self, call: Callable[[], None]) -> None:
        # The dock may be gone by the time a thread is done.
        with contextlib.suppress(RuntimeError):
            self._calls.emit(call)

    def _run(self, call: Callable[[], None]) -> None:
        if not self._closed:
            call()

    # What to show

    def _show_pattern(self) -> None:
        shown = self.controller.shown
        session = self.controller.session
        if shown is None and session.scan is None and session.position is not None:
            y, x = session.position
            self.title.setText(f"<b>Row {y}, column {x}</b> · the scan is not open")
        elif shown is None:
            self.title.setText(_EMPTY if session.scan_shape is None else _CLICK)
        else:
            self.title.setText(f"<b>{shown.title}</b>")
        self.progress.setVisible(shown is not None and not shown.complete)
        if shown is not None:
            self.progress.setMaximum(shown.total)
            self.progress.setValue(shown.done)
        with QSignalBlocker(self.view):
            self.view.setCurrentIndex(self.view.findData(self.controller.view))
        self.view.setEnabled(session.scan is not None)
        for button in (*self.tools.buttons(), self.imaging):
            button.setEnabled(session.scan is not None)

    def _show_reading(self) -> None:
        controller = self.controller
        otherwise = controller.notice
        if not otherwise and controller.shown is not None and not controller.explaining:
            otherwise = "" if controller.session.classifier is None else "Not classified here."
        if controller.reading is not None or not controller.explaining:
            self.evidence.show_reading(controller.reading, otherwise)
        direction, name = controller.compared
        self.evidence.show_evidence(
            controller.evidence, direction, name, waiting=controller.explaining
        )
        self.scroll.setVisible(not self.evidence.empty)

    def _show_tool(self) -> None:
        for button in self.tools.buttons():
            button.setChecked(button.objectName() == self.controller.editor.tool)

    def _set_tool(self, index: int) -> None:
        self.controller.editor.tool = _TOOLS[index][0]
        # Keys go where the mouse works.
        self.qt_viewer.canvas.native.setFocus()

    def _show_history(self) -> None:
        self.undo.setEnabled(self.controller.editor.can_undo)
        self.redo.setEnabled(self.controller.editor.can_redo)

    def _show_imaging(self) -> None:
        open_beside(self._viewer(), "Virtual imaging", self)

    def _show_readout(self, text: str) -> None:
        self.readout.setText(text)

    def _set_follow(self, follow: bool) -> None:
        self.controller.picker.follow = follow

    def _set_contrast(self) -> None:
        low, high = self.low.value(), max(self.high.value(), self.low.value() + 0.1)
        contrast = Contrast(MODES[self.mode.currentIndex()], low, high)
        self.controller.set_contrast(contrast, self.hold.isChecked())

    # Life in the window

    def sizeHint(self) -> QSize:
        """Qt: leave the main canvas the larger part of the window."""
        return QSize(340, 760)

    def showEvent(self, event: QShowEvent) -> None:
        """Qt: read again what changed while hidden."""
        super().showEvent(event)
        self.controller.active = True
        self.imager.join(self, drags=True)
        self._keep_docked()
        self.window().installEventFilter(self)
        if not self._placed:
            self._placed = True
            QTimer.singleShot(0, self._make_room)

    def hideEvent(self, event: QHideEvent) -> None:
        """Qt: read nothing while nobody looks."""
        super().hideEvent(event)
        self.controller.active = False

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt: evidence below the pattern, or beside it where the dock is wide."""
        super().resizeEvent(event)
        wide = self.width() > 1.4 * self.height()
        self.splitter.setOrientation(Qt.Orientation.Horizontal if wide else Qt.Orientation.Vertical)

    def event(self, event: QEvent) -> bool:
        """Qt: napari takes a closed dock's widget out of the window and forgets it."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            QTimer.singleShot(0, self.close)
        return super().event(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt: the window closes (one that the user closes may still ask), or the canvas has a +."""
        if isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Plus:
            if event.type() == QEvent.Type.KeyPress and not isinstance(watched, QMainWindow):
                self.controller.editor.grow(1)
                return True
            return False
        if event.type() == QEvent.Type.Close and not event.spontaneous():
            self.teardown()
        return super().eventFilter(watched, event)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Qt: end threads, give the main viewer back, and let the canvas go."""
        self.teardown()
        super().closeEvent(event)
        self.deleteLater()

    def teardown(self) -> None:
        """End the threads and the second canvas; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        controller = self.controller
        self.imager.leave(self)
        for signal in (
            controller.editor.tool_changed,
            controller.editor.history_changed,
            controller.pattern_changed,
            controller.reading_changed,
            controller.readout_changed,
        ):
            signal.disconnect()
        for handle in self.handles:
            handle.close()
        controller.close()
        # Closed, out of the window and let go at once: Qt deletes the dock itself only later.
        self.qt_viewer.close()
        self.qt_viewer.setParent(None)
        del self.qt_viewer

    def _keep_docked(self) -> None:
        """Neither float nor drag: in another window the canvas loses its OpenGL context."""
        dock = self.parent()
        if not isinstance(dock, QDockWidget):
            return
        dock.setFeatures(QDockWidget.DockWidgetFeature.DockWidgetClosable)
        title = dock.titleBarWidget()
        if title is not None:
            title.setToolTip("")
            title.unsetCursor()
            for button in title.findChildren(QPushButton, "QTitleBarFloatButton"):
                button.hide()

    def _make_room(self) -> None:
        """Beside a dock of the same side instead of below it, where below is too low."""
        window, dock = self.window(), self.parent()
        if self._closed or not isinstance(window, QMainWindow) or dock is None:
            return
        area = window.dockWidgetArea(dock)
        sides = (Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea)
        wide, low = window.width() >= _WIDE_WINDOW, self.height() < self.sizeHint().height()
        others = [
            other
            for other in window.findChildren(QDockWidget)
            if other is not dock and other.isVisible() and window.dockWidgetArea(other) == area
        ]
        if area in sides and wide and low and others:
            window.splitDockWidget(others[-1], dock, Qt.Orientation.Horizontal)
            window.resizeDocks([dock], [self.sizeHint().width()], Qt.Orientation.Horizontal)


def _percentile(tooltip: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(0.0, 100.0)
    box.setDecimals(1)
    box.setSingleStep(0.1)
    box.setToolTip(tooltip)
    return box


def _row(*parts: QWidget | None) -> QHBoxLayout:
    """Widgets beside each other; None stretches."""
    row = QHBoxLayout()
    row.setSpacing(4)
    for part in parts:
        if part is None:
            row.addStretch(1)
        else:
            row.addWidget(part)
    return row
