"""The dock "Train": data set, model, training with its curves, result, installed classifiers."""

# ruff: noqa: N802  Qt names its own methods

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from weakref import ref

import napari.viewer
from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_polmap.errors import DatasetError
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.training import Choices
from napari_polmap.viewer.training_jobs import Trained
from napari_polmap.viewer.training_report import Report
from napari_polmap.widgets.jobs import Jobs
from napari_polmap.widgets.parts import connect_while
from napari_polmap.widgets.train_dataset import DatasetSection
from napari_polmap.widgets.train_form import ModelSection
from napari_polmap.widgets.train_library import LibrarySection
from napari_polmap.widgets.train_results import ResultSection
from napari_polmap.widgets.train_run import TrainRunSection

_WIDTH, _LEAST_WIDTH = 420, 400


class TrainDock(QWidget):
    """Trains classifiers, shows how good they are, and keeps the library.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    # napari passes the viewer where the annotation reads exactly so.
    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("polmap-train")
        self._viewer = ref(getattr(viewer, "__wrapped__", viewer))
        self.session = Session.of(viewer)
        self.dataset_section = DatasetSection()
        self.model_section = ModelSection()
        self.run_section = TrainRunSection(self.choices)
        self.result_section = ResultSection()
        self.library_section = LibrarySection(self.session)
        self._build()
        self.dataset_section.changed.connect(self._on_dataset)
        self.model_section.changed.connect(self.run_section.refresh)
        self.run_section.trained.connect(self._on_trained)
        self.run_section.taken_up.connect(self._on_taken_up)
        self.library_section.evaluated.connect(self._show_report)
        connect_while(self, [(self.session.classifiers_changed, self._on_library)])
        # Without a reference to the dock itself, which is gone when this is called.
        self._parts = (
            self.run_section.jobs,
            self.library_section.jobs,
            self.library_section.latest,
            self.dataset_section.latest,
        )
        self.destroyed.connect(partial(_close, self._parts))

    def _build(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(2, 2, 6, 2)
        column.setSpacing(2)
        for section in (
            self.dataset_section,
            self.model_section,
            self.run_section,
            self.result_section,
            self.library_section,
        ):
            column.addWidget(section)
        column.addStretch(1)
        self._scroll = scroll = QScrollArea()
        scroll.setWidget(inner)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll, 1)
        self.setMinimumWidth(_LEAST_WIDTH)

    def take_dataset(self, path: Path) -> None:
        """Choose a labelled data set, such as one that was just simulated."""
        self.dataset_section.take(path)

    def choices(self) -> Choices:
        """What is chosen.

        Raises
        ------
        PolmapError
            If something is missing or not possible.
        """
        section = self.dataset_section
        if section.path is None:
            raise DatasetError("Choose a data set first.")
        if section.summary is None:
            wrong = "does not serve" if section.problem.text() else "is still being read"
            raise DatasetError(f"The data set {section.path.name} {wrong}.")
        return self.model_section.choices(section.path)

    def _on_dataset(self) -> None:
        self.model_section.take_summary(self.dataset_section.summary)
        self.run_section.refresh()

    def _on_taken_up(self, choices: Choices) -> None:
        self.model_section.fill(choices)
        self.dataset_section.take(Path(choices.dataset))

    def _on_trained(self, trained: Trained) -> None:
        self._show_report(trained.report)
        self.library_section.list_classifiers(trained.classifier.name)
        self.session.classifiers_changed.emit()
        self.session.set_classifier(trained.classifier)
        # The name is taken now; another one is suggested.
        self.model_section.name.clear()

    def _show_report(self, report: Report) -> None:
        self.result_section.show_report(report)

    def _on_library(self) -> None:
        self.model_section.refresh()
        self.run_section.refresh()

    def sizeHint(self) -> QSize:
        """Qt: as wide as the labels need."""
        return QSize(_WIDTH, 900)

    def showEvent(self, event: QShowEvent) -> None:
        """Qt: look what was interrupted; see that nothing is hidden under the scroll bar."""
        super().showEvent(event)
        self.run_section.look_for_kept()
        inner, bar = self._scroll.widget(), self._scroll.verticalScrollBar()
        needed = inner.minimumSizeHint().width() + bar.sizeHint().width()
        self.setMinimumWidth(max(self.minimumWidth(), needed))

    def event(self, event: QEvent) -> bool:
        """Qt: end the background work when the dock is taken out of the window."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.close_dock()
        return super().event(event)

    def close_dock(self) -> None:
        """End the background work; what a network has learned is kept to go on with."""
        self.session.classifiers_changed.disconnect(self._on_library, missing_ok=True)
        self.run_section.close_section()
        self.library_section.close_section()
        self.dataset_section.latest.close()


def _close(parts: tuple[Any, ...], _: object = None) -> None:
    for part in parts:
        if isinstance(part, Jobs):
            part.drop_all()
        else:
            part.close()
