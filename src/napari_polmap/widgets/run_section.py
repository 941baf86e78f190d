"""The dock's part that makes the map: window, run, cancel, progress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFileDialog,
    QProgressBar,
    QWidget,
)

from napari_polmap.viewer.calibration_history import labeled
from napari_polmap.widgets.parts import (
    NARROW,
    ElidedLabel,
    Notice,
    Section,
    button,
    combo,
    row,
    show_dialog,
    wrapped,
)
from napari_polmap.widgets.runs import MAP, Runs, RunSettings

_WHOLE, _REGION = "Whole scan", "Around the drawn region"
_BY_ITSELF = "kept by itself in the cache folder"


class RunSection(Section):
    """Starts, cancels and continues the classification.

    Parameters
    ----------
    runs : Runs
    mismatches : callable
        Gives the sentences why the classifier does not apply.
    """

    def __init__(
        self, runs: Runs, mismatches: Callable[[], list[str]], parent: QWidget | None = None
    ) -> None:
        super().__init__("Map", parent=parent)
        self.runs = runs
        self.session = runs.session
        self._mismatches = mismatches
        self._out: Path | None = None
        self._own_window = False
        self.window = QDoubleSpinBox()
        self.window.setRange(0.0, 20.0)
        self.window.setSingleStep(0.25)
        self.window.setDecimals(2)
        self.window.setStyleSheet(NARROW)
        self.window.setToolTip(
            "Width of the weighted mean over neighboring patterns, in unit cells: wider is surer, "
            "narrower follows walls more closely; 0 takes each pattern alone"
        )
        self.window.valueChanged.connect(self._note_window)
        self.where = combo("Which positions are classified")
        self.where.addItems([_WHOLE, _REGION])
        self.add(row("Window (cells)", self.window, self.where))
        self.target = ElidedLabel(f"Map: {_BY_ITSELF}")
        self.target.setEnabled(False)
        self.choose = button("Keep in…", "Choose the .zarr folder in which the map grows")
        self.choose.clicked.connect(self._ask_target)
        place = row(self.target, self.choose)
        place.setStretch(0, 1)
        self.add(place)
        self.force = QCheckBox("Classify although it does not apply")
        self.force.setToolTip("The map will say that its confidence is not calibrated")
        self.add(self.force)
        self.run = button("Run", "Classify the scan; the map fills in while it is computed")
        self.run.setStyleSheet("font-weight: bold;")
        self.go_on = button("Continue", "Compute what is missing of the cancelled map")
        self.cancel = button("Cancel", "Stop; what is computed is kept")
        self.add(row(self.run, self.go_on, self.cancel))
        self.bar = QProgressBar()
        self.bar.setTextVisible(True)
        self.add(self.bar)
        self.state = wrapped()
        self.add(self.state)
        self.warnings = Notice()
        self.add(self.warnings)
        self.run.clicked.connect(lambda: self.start())
        self.go_on.clicked.connect(lambda: self.start(resume=True))
        self.cancel.clicked.connect(runs.cancel)
        self.refresh()

    def _note_window(self) -> None:
        self._own_window = True

    def take_classifier(self) -> None:
        """Another classifier brings its own window."""
        classifier = self.session.classifier
        if classifier is not None:
            with QSignalBlocker(self.window):
                self.window.setValue(classifier.window_cells)
            self._own_window = False
        self.force.setChecked(False)
        self.refresh()

    def start(self, *, resume: bool = False) -> None:
        """Run with what is set, or continue the cancelled run as it was set."""
        unfinished = self.runs.unfinished
        settings = RunSettings(
            window_cells=self.window.value(),
            only_region=self.where.currentText() == _REGION,
            force=self.force.isChecked(),
            out=self._out,
        )
        if resume and unfinished is not None:
            settings = unfinished
        self._out = None
        self.runs.run(settings, resume=resume)

    def _ask_target(self) -> None:
        dialog = QFileDialog(self, "Where the map grows", "", "Polarization maps (*.zarr)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("zarr")
        dialog.fileSelected.connect(self.set_target)
        show_dialog(dialog)

    def set_target(self, path: str) -> None:
        """Choose where the next map grows."""
        self._out = Path(path)
        self.refresh()

    def refresh(self) -> None:
        """Show whether a map can be made, is being made, or is there."""
        self.refresh_run()
        self._show_state()

    def refresh_run(self) -> None:
        """Show whether a map can be made or is being made."""
        scan, classifier = self.session.scan, self.session.classifier
        running, foreign = self.runs.running, self._mismatches()
        self.force.setVisible(bool(foreign))
        ready = scan is not None and classifier is not None
        allowed = ready and (not foreign or self.force.isChecked())
        self.run.setEnabled(allowed and not running)
        self.run.setToolTip(
            "Open a scan and choose a classifier first"
            if not ready
            else " ".join(foreign)
            if foreign and not allowed
            else "Classify the scan; the map fills in while it is computed"
        )
        self.go_on.setVisible(self.runs.unfinished is not None and not running)
        self.cancel.setEnabled(running)
        self._show_progress()
        target = self._out or self.session.map_path
        shown = _BY_ITSELF if target is None else str(target)
        self.target.set_full(f"Map: {shown}")
        self.choose.setEnabled(not running)

    def _show_progress(self) -> None:
        activity = self.runs.controller.activities.get(MAP)
        self.bar.setVisible(activity is not None)
        if activity is not None:
            self.bar.setRange(0, activity.total)
            self.bar.setValue(activity.done)
            self.bar.setFormat(f"{activity.text} · %p %" if activity.total else activity.text)

    def _show_state(self) -> None:
        polarization_map = self.session.map
        if polarization_map is None:
            self.state.hide()
            self.warnings.tell([])
            return
        done = int((polarization_map.status != 0).sum())
        share = done / max(1, polarization_map.status.size)
        name = polarization_map.classifier.get("name", "?")
        text = f"{done:,} positions ({share:.0%}) classified with {name}"
        if not polarization_map.complete and not self.runs.running:
            text += "; incomplete"
        self.state.setText(f"{text}.")
        self.state.show()
        sentences = list(polarization_map.warnings)
        if not polarization_map.confidence_calibrated:
            sentences.insert(0, "Confidence is not calibrated for this scan.")
        stale = self.session.stale_values
        if stale and not self.runs.running:
            sentences.append(
                f"The calibration changed since this map was made ({labeled(stale)}): run again."
            )
        self.warnings.tell(sentences)
