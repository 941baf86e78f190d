"""The dock "Simulate": crystal, directions, microscope, ranges; preview, estimate and run."""

# ruff: noqa: N802  Qt names its own methods

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from weakref import ref

import napari.viewer
from qtpy.QtCore import QEvent, QSize, Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_polmap.viewer.simulation_values import SimulationValues
from napari_polmap.widgets.arrange import open_over
from napari_polmap.widgets.jobs import Jobs
from napari_polmap.widgets.make_classifier_section import MakeClassifierSection
from napari_polmap.widgets.parts import connect_while
from napari_polmap.widgets.simulate_crystal import CrystalSection
from napari_polmap.widgets.simulate_directions import DirectionsSection
from napari_polmap.widgets.simulate_microscope import (
    ComputationSection,
    DetectorPart,
    MicroscopeSection,
)
from napari_polmap.widgets.simulate_presets import PresetBar
from napari_polmap.widgets.simulate_preview import PreviewSection
from napari_polmap.widgets.simulate_run import RunSection
from napari_polmap.widgets.simulate_scope import ScopeSection

_WIDTH, _LEAST_WIDTH = 420, 400


class SimulateDock(QWidget):
    """Describes a simulation, shows what it is going to be, runs it and opens what it made.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    dataset_ready = Signal(object)
    """Path of a simulated labelled data set that the user wants to train on."""

    # napari passes the viewer where the annotation reads exactly so.
    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("polmap-simulate")
        self._viewer = ref(getattr(viewer, "__wrapped__", viewer))
        self.values = SimulationValues()
        self._build()
        self.run_section.dataset_ready.connect(self.dataset_ready.emit)
        self.dataset_ready.connect(self._train_on)
        connect_while(self, [(self.values.changed, self._ask_for_width)])
        # Without a reference to the dock itself, which is gone when this is called.
        self._parts = (
            *(section.jobs for section in self._working),
            *(section.latest for section in self._working),
        )
        self.destroyed.connect(partial(_close, self._parts))

    def _build(self) -> None:
        inner = QWidget()
        self.column = QVBoxLayout(inner)
        self.column.setContentsMargins(2, 2, 6, 2)
        self.column.setSpacing(2)
        values = self.values
        self.make_section = MakeClassifierSection(self._viewer(), self.spec_values, self.fill)
        self.preset_bar = PresetBar(values)
        self.crystal_section = CrystalSection(values)
        self.directions_section = DirectionsSection(values)
        self.scope_section = ScopeSection(values)
        self.microscope_section = MicroscopeSection(values)
        self.detector_section = DetectorPart(values)
        self.computation_section = ComputationSection(values)
        self.preview_section = PreviewSection(values)
        self.run_section = RunSection(values, self._viewer())
        self._working = (self.preview_section, self.run_section, self.make_section)
        for widget in (
            self.make_section,
            self.preset_bar,
            self.crystal_section,
            self.directions_section,
            self.scope_section,
            self.microscope_section,
            self.detector_section,
            self.computation_section,
            self.preview_section,
            self.run_section,
        ):
            self.column.addWidget(widget)
        self.column.addStretch(1)
        self._scroll = scroll = QScrollArea()
        scroll.setWidget(inner)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll, 1)
        self.setMinimumWidth(_LEAST_WIDTH)

    def fill(self, values: Mapping[str, Any], root: Path | None = None) -> None:
        """Show another description.

        Parameters
        ----------
        values : mapping
            Sections and fields, as for `napari_polmap.simulation.spec.spec_from`.
        root : Path, optional
            Folder that files are named from.

        Raises
        ------
        PolmapError
            If a field is unknown, missing or impossible; nothing is changed then.
        """
        self.values.fill(values, root)

    def spec_values(self) -> dict[str, Any]:
        """The description that is shown, as `fill` takes it."""
        return copy.deepcopy(self.values.values)

    def _train_on(self, path: Path) -> None:
        """Hand a data set over to the dock "Train"."""
        dock: Any = open_over(self._viewer(), "Train", self)
        if dock is not None:
            dock.take_dataset(path)

    def sizeHint(self) -> QSize:
        """Qt: as wide as the labels need."""
        return QSize(_WIDTH, 900)

    def showEvent(self, event: QShowEvent) -> None:
        """Qt: see that nothing is hidden beside or under the scroll bar."""
        super().showEvent(event)
        self._ask_for_width()

    def _ask_for_width(self, _: str = "") -> None:
        inner, bar = self._scroll.widget(), self._scroll.verticalScrollBar()
        needed = inner.minimumSizeHint().width() + bar.sizeHint().width()
        self.setMinimumWidth(max(self.minimumWidth(), needed))

    def event(self, event: QEvent) -> bool:
        """Qt: end the background work when the dock is taken out of the window."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.close_dock()
        return super().event(event)

    def close_dock(self) -> None:
        """End the background work: processes of a simulation go, what is finished stays."""
        for section in self._working:
            section.close_section()


def _close(parts: tuple[Any, ...], _: object = None) -> None:
    for part in parts:
        if isinstance(part, Jobs):
            part.drop_all()
        else:
            part.close()
