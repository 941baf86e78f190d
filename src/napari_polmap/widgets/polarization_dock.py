"""The dock "Polarization map": from the scan to the map, top to bottom."""

# ruff: noqa: N802  Qt names its own methods

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from weakref import ref

import napari.viewer
from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtWidgets import QFrame, QProgressBar, QScrollArea, QVBoxLayout, QWidget

from napari_polmap.viewer.background import MapBackground
from napari_polmap.viewer.session import Session
from napari_polmap.widgets.arrange import open_beside, open_over
from napari_polmap.widgets.background_section import BackgroundSection
from napari_polmap.widgets.classifier_section import ClassifierSection
from napari_polmap.widgets.controller import WARM_UP, Controller
from napari_polmap.widgets.detector_section import DetectorSection
from napari_polmap.widgets.export_section import ExportSection
from napari_polmap.widgets.legend_section import LegendSection
from napari_polmap.widgets.region_section import RegionSection
from napari_polmap.widgets.run_section import RunSection
from napari_polmap.widgets.runs import MAP, REGION, Runs
from napari_polmap.widgets.scan_section import ScanSection

_WIDTH = 360
_IDLE_MS = 500
_LAYOUT_MS = 50
_COUNT_SECONDS = 1.0


class PolarizationDock(QWidget):
    """Scan, virtual detector, classifier, map, directions, regions and export.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    # napari passes the viewer where the annotation reads exactly so.
    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("polmap-polarization")
        self._viewer = ref(getattr(viewer, "__wrapped__", viewer))
        self.controller = Controller(viewer)
        self.session: Session = self.controller.session
        self.runs = Runs(self.controller)
        self.scan_section = ScanSection(self.controller)
        self.detector_section = DetectorSection(self.controller)
        self.classifier_section = ClassifierSection(self.controller)
        self.run_section = RunSection(self.runs, self.classifier_section.mismatches)
        self.legend_section = LegendSection(self.runs)
        self.region_section = RegionSection(self.runs, self.run_section)
        self.background_section = BackgroundSection(self.controller, viewer)
        self.export_section = ExportSection(self.runs, self.background_section.background)
        self.activity = QProgressBar()
        self.activity.setMaximumHeight(16)
        self._build()
        session = self.session
        self._count_due = 0.0
        self._connections: list[tuple[Any, Callable[..., None]]] = [
            (session.scan_changed, self._on_scan),
            (session.shape_asked, self.scan_section.refresh),
            (session.detector_changed, self.detector_section.refresh),
            (session.classifier_changed, self._on_classifier),
            (session.classifiers_changed, self._on_library),
            (session.map_started, self._on_map),
            (session.map_changed, self._on_map),
            (session.region_changed, self.region_section.refresh),
            (self.controller.activity_changed, self._on_activity),
            (self.controller.manager.shown_changed, self.legend_section.refresh_layers),
            (self.runs.run_changed, self._on_run),
            (self.runs.saved, self._on_saved),
            (self.background_section.background.changed, self.background_section.refresh),
            (self.background_section.background.offers_changed, self.background_section.refresh),
        ]
        for signal, slot in self._connections:
            signal.connect(slot)
        self.detector_section.patterns.clicked.connect(self.show_patterns)
        self.classifier_section.make.clicked.connect(self.show_make_classifier)
        self.scan_section.calibrate.clicked.connect(self.show_calibration)
        self.detector_section.imaging.clicked.connect(self.show_imaging)
        self.run_section.force.toggled.connect(self.run_section.refresh)
        # Without a reference to the dock itself, which is gone when this is called.
        self._parts = (self.background_section.background, self.runs, self.controller)
        self.destroyed.connect(partial(_close, self._connections, self._parts))
        self._on_scan()
        self._on_classifier()
        self._on_activity()

    def _build(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(2, 2, 2, 2)
        column.setSpacing(2)
        for section in (
            self.scan_section,
            self.detector_section,
            self.classifier_section,
            self.run_section,
            self.legend_section,
            self.region_section,
            self.background_section,
            self.export_section,
        ):
            column.addWidget(section)
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
        self.setMinimumWidth(_WIDTH - 10)

    def sizeHint(self) -> QSize:
        """Qt: as wide as the labels need."""
        return QSize(_WIDTH, 900)

    def event(self, event: QEvent) -> bool:
        """Qt: end the background work when the dock is taken out of the window."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.close_dock()
        return super().event(event)

    def close_dock(self) -> None:
        """End the background work and stop listening."""
        _close(self._connections, self._parts)

    def show_patterns(self) -> QWidget | None:
        """Open the dock "Diffraction" beside this one.

        Returns
        -------
        DiffractionDock or None
            None where there is no window.
        """
        return open_beside(self._viewer(), "Diffraction", self)

    def show_imaging(self) -> QWidget | None:
        """Open the dock "Virtual imaging" beside this one.

        Returns
        -------
        VirtualDock or None
            None where there is no window.
        """
        return open_beside(self._viewer(), "Virtual imaging", self)

    def show_calibration(self) -> QWidget | None:
        """Open the dock "Calibration" as a tab over this one.

        Returns
        -------
        CalibrationDock or None
            None where there is no window.
        """
        return open_over(self._viewer(), "Calibration", self)

    def show_make_classifier(self) -> QWidget | None:
        """Open the dock "Simulate" as a tab over this one, where a classifier is made.

        Returns
        -------
        SimulateDock or None
            None where there is no window.
        """
        dock: Any = open_over(self._viewer(), "Simulate", self)
        if dock is not None:
            dock.make_section.header.setChecked(True)
        return dock

    def fit_view(self) -> None:
        """Fit the view to the canvas, once the window has made room for the dock."""
        QTimer.singleShot(_LAYOUT_MS, self._reset_view)

    def _reset_view(self) -> None:
        viewer = self._viewer()
        if viewer is not None:
            viewer.reset_view()

    def when_idle(
        self, actions: Iterable[Callable[[], object]], busy: Callable[[], bool] = bool
    ) -> None:
        """Do things one after the other, each when the background work before it is done.

        Parameters
        ----------
        actions : iterable of callable
        busy : callable, optional
            Whether something else is still at work.
        """
        waiting = list(actions)
        timer = QTimer(self)
        timer.setInterval(_IDLE_MS)

        def look() -> None:
            if self.controller.busy or busy():
                return
            if len(waiting) <= 1:
                timer.stop()  # first: the last action may close the window
            if waiting:
                waiting.pop(0)()

        timer.timeout.connect(look)
        timer.start()

    # Following the session

    def _on_scan(self) -> None:
        self.scan_section.refresh()
        self.detector_section.refresh()
        self.classifier_section.refresh()
        self.background_section.refresh()
        self._on_map()

    def _on_classifier(self) -> None:
        self.classifier_section.refresh()
        self.run_section.take_classifier()
        self.region_section.refresh()

    def _on_library(self) -> None:
        self.classifier_section.list_classifiers()
        self.classifier_section.refresh()

    def _on_map(self, changed: object = None) -> None:
        # While a map grows, counting all of it at every step would hold up the drawing.
        now = time.monotonic()
        if changed is not None and now < self._count_due:
            return
        self._count_due = now + _COUNT_SECONDS
        self.run_section.refresh()
        self.legend_section.refresh()
        self.region_section.refresh()
        self.export_section.refresh()

    def _on_run(self) -> None:
        self.run_section.refresh_run()
        self.region_section.refresh()

    def _on_saved(self, _: str) -> None:
        self.run_section.refresh()

    def _on_activity(self) -> None:
        self.detector_section.refresh()
        apart = (MAP, REGION, WARM_UP)
        controller = self.controller
        at_work = {
            **controller.imager.activities,
            **controller.calibrator.activities,
            **controller.activities,
        }
        others = [a for name, a in at_work.items() if name not in apart]
        self.activity.setVisible(bool(others))
        if others:
            last = others[-1]
            self.activity.setRange(0, last.total)
            self.activity.setValue(last.done)
            self.activity.setFormat(f"{last.text} · %p %" if last.total else last.text)


def _close(
    connections: list[tuple[Any, Callable[..., None]]],
    parts: tuple[MapBackground, Runs, Controller],
    _: object = None,
) -> None:
    for signal, slot in connections:
        signal.disconnect(slot, missing_ok=True)
    connections.clear()
    for part in parts:
        part.close()
