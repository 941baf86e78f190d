"""The Train dock's part about the labelled data set."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_polmap.errors import PolmapError
from napari_polmap.viewer.latest import LatestJob
from napari_polmap.viewer.training import DatasetSummary, summarize
from napari_polmap.widgets.bridge import Bridge
from napari_polmap.widgets.parts import (
    ElidedLabel,
    Notice,
    Section,
    button,
    row,
    show_dialog,
    wrapped,
)

DATASETS = "Labelled data sets (*.toml)"
_NONE = "No data set is chosen"


class DatasetSection(Section):
    """Chooses the labelled data set and tells what it holds."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Data set", parent=parent)
        self.path: Path | None = None
        self.summary: DatasetSummary | None = None
        self._bridge = Bridge()
        self.latest = LatestJob(self._bridge.deliver, "polmap-train-dataset")
        self.shown = ElidedLabel(_NONE)
        self.open = button("Open…", "Choose a labelled data set: a TOML file that lists scans")
        self.open.clicked.connect(self._ask)
        line = row(self.shown, self.open)
        line.setStretch(0, 1)
        self.add(line)
        self.hint = wrapped(
            "Choose a TOML file that lists labelled scans; the Simulate dock makes one and hands "
            "it over."
        )
        self.add(self.hint)
        self.counts = wrapped()
        self.add(self.counts)
        self.ranges = wrapped("", "What the data set states of its scans, lowest to highest")
        self.add(self.ranges)
        self.problem = Notice()
        self.add(self.problem)
        self._show()

    def _ask(self) -> None:
        dialog = QFileDialog(self, "Labelled data set", "", DATASETS)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda path: self.take(Path(path)))
        show_dialog(dialog)

    def take(self, path: Path) -> None:
        """Choose a data set."""
        self.path, self.summary = path, None
        self.problem.tell([])

        def steps() -> Generator[DatasetSummary, None, None]:
            yield summarize(path)

        self.latest.submit(steps, self._take_summary, self._failed)
        self._show()
        self.changed.emit()

    def _take_summary(self, summary: DatasetSummary) -> None:
        self.summary = summary
        self.problem.tell(list(summary.warnings))
        self._show()
        self.changed.emit()

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, PolmapError):
            raise error
        self.problem.tell([str(error)])
        self._show()
        self.changed.emit()

    def _show(self) -> None:
        summary = self.summary
        self.shown.set_full(_NONE if self.path is None else str(self.path))
        self.hint.setVisible(self.path is None)
        reading = self.path is not None and summary is None and not self.problem.text()
        self.counts.setVisible(summary is not None or reading)
        self.counts.setText("Reading…" if summary is None else summary.counts)
        self.ranges.setVisible(summary is not None and bool(summary.ranges))
        self.ranges.setText("" if summary is None else "\n".join(summary.ranges))
