"""The Train dock's part about the installed classifiers."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QInputDialog,
    QMessageBox,
    QProgressBar,
    QWidget,
)

from napari_polmap.classifiers import Classifier, Entry, list_classifiers
from napari_polmap.classifiers.files import read_card
from napari_polmap.errors import PolmapError
from napari_polmap.viewer.card import card_lines
from napari_polmap.viewer.jobs import iter_load_classifier
from napari_polmap.viewer.latest import LatestJob
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.training_jobs import (
    iter_evaluation,
    iter_import,
    iter_remove,
    iter_rename,
)
from napari_polmap.viewer.training_report import Report
from napari_polmap.widgets.bridge import Bridge
from napari_polmap.widgets.jobs import Activity, Jobs
from napari_polmap.widgets.parts import (
    Section,
    button,
    combo,
    connect_while,
    duration_text,
    row,
    show_dialog,
    wrapped,
)
from napari_polmap.widgets.train_dataset import DATASETS

EVALUATION, CHANGE, USE = "evaluation", "library", "use"
_FILES = "Classifiers (*.safetensors)"


class LibrarySection(Section):
    """Lists the installed classifiers with their cards; imports, renames, removes, evaluates.

    Parameters
    ----------
    session : Session
        Whose classifier is chosen, and who is told when the list is another.
    """

    evaluated = Signal(object)
    """`Report` of an evaluation."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__("Classifiers", parent=parent)
        self.session = session
        self.jobs = Jobs()
        self._bridge = Bridge()
        self.latest = LatestJob(self._bridge.deliver, "polmap-train-card")
        self._entries: dict[str, Entry] = {}
        self._build()
        connect_while(self, [(self.jobs.activity_changed, self.refresh)])
        self.list_classifiers()

    def _build(self) -> None:
        self.names = combo("Installed classifiers; those of your own come after the bundled")
        self.names.activated.connect(self._show_card)
        self.use = button("Use", "Choose this classifier in the dock Polarization map")
        self.use.clicked.connect(self._use)
        line = row(self.names, self.use)
        line.setStretch(0, 1)
        self.add(line)
        self.add_file = button("Import…", "Copy a classifier file into your library")
        self.add_file.clicked.connect(self._ask_import)
        self.rename = button("Rename…", "")
        self.rename.clicked.connect(self._ask_rename)
        self.remove = button("Remove…", "")
        self.remove.clicked.connect(self._ask_remove)
        self.add(row(self.add_file, self.rename, self.remove, None))
        self.evaluate = button(
            "Evaluate on a data set…", "How good it is on labelled scans, such as of a test set"
        )
        self.evaluate.clicked.connect(self._ask_evaluate)
        self.cancel = button("Cancel", "Stop the evaluation")
        self.cancel.clicked.connect(lambda: self.jobs.stop(EVALUATION))
        self.add(row(self.evaluate, self.cancel, None))
        self.bar = QProgressBar()
        self.add(self.bar)
        self.card = Section("Card", open_=False)
        self.card.header.setToolTip("What the classifier was trained on, and how well it does")
        self.text = wrapped()
        self.card.add(self.text)
        self.add(self.card)

    def close_section(self) -> None:
        """End the background work."""
        self.jobs.activity_changed.disconnect(self.refresh, missing_ok=True)
        self.jobs.drop_all()
        self.latest.close()

    @property
    def entry(self) -> Entry | None:
        """The classifier that is shown."""
        return self._entries.get(self.names.currentText())

    def list_classifiers(self, shown: str | None = None) -> None:
        """List what is installed.

        Parameters
        ----------
        shown : str, optional
            Name of the one to show; by default the same as before.
        """
        shown = self.names.currentText() if shown is None else shown
        self._entries = {entry.name: entry for entry in list_classifiers()}
        with QSignalBlocker(self.names):
            self.names.clear()
            self.names.addItems(list(self._entries))
            self.names.setCurrentIndex(max(0, self.names.findText(shown)))
        self._show_card()
        self.refresh()

    def _show_card(self, *_: object) -> None:
        entry = self.entry
        if entry is None:
            self.text.setText("")
            return

        def steps() -> Generator[list[str], None, None]:
            yield card_lines(read_card(entry.path))

        def failed(error: Exception) -> None:
            self.text.setText(str(error))

        self.latest.submit(steps, lambda lines: self.text.setText("\n".join(lines)), failed)
        self.refresh()

    # Choosing

    def _use(self) -> None:
        if self.entry is not None:
            self._load(self.entry.path)

    def _load(self, path: Path) -> None:
        def done(classifier: Classifier) -> None:
            self.session.set_classifier(classifier)

        self.jobs.start(
            USE, Activity("Reading the classifier"), iter_load_classifier, path, on_done=done
        )

    # Changing

    def _ask_import(self) -> None:
        dialog = QFileDialog(self, "Classifier file", "", _FILES)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda path: self.import_file(Path(path)))
        show_dialog(dialog)

    def import_file(self, path: Path) -> None:
        """Copy a classifier file into the library."""
        self._change(f"Reading {path.name}", iter_import, path)

    def _ask_rename(self) -> None:
        entry = self.entry
        if entry is None:
            return
        dialog = QInputDialog(self)
        dialog.setWindowTitle("Rename the classifier")
        dialog.setLabelText(f"New name of {entry.name}:")
        dialog.setTextValue(entry.name)
        dialog.textValueSelected.connect(lambda new: self.rename_to(new.strip()))
        show_dialog(dialog)

    def rename_to(self, new: str) -> None:
        """Give the classifier that is shown another name."""
        if self.entry is not None and new != self.entry.name:
            self._change("Renaming", iter_rename, self.entry.name, new)

    def _ask_remove(self) -> None:
        entry = self.entry
        if entry is None:
            return
        dialog = QMessageBox(self)
        dialog.setIcon(QMessageBox.Icon.Question)
        dialog.setWindowTitle("Remove the classifier")
        dialog.setText(f"Remove {entry.name} from your library?")
        dialog.setInformativeText(f"Its file {entry.path} is deleted; maps made by it stay.")
        yes = dialog.addButton("Remove", QMessageBox.ButtonRole.DestructiveRole)
        dialog.addButton(QMessageBox.StandardButton.Cancel)
        yes.clicked.connect(self.remove_shown)
        show_dialog(dialog)

    def remove_shown(self) -> None:
        """Delete the classifier that is shown."""
        if self.entry is not None:
            self._change("Removing", iter_remove, self.entry.name)

    def _change(self, text: str, steps: Any, *arguments: Any) -> None:
        before = self.entry

        def done(result: Entry | str) -> None:
            new = result if isinstance(result, Entry) else None
            self.list_classifiers(None if new is None else new.name)
            self.session.classifiers_changed.emit()
            self._follow(before, new)

        self.jobs.start(CHANGE, Activity(text), steps, *arguments, on_done=done)

    def _follow(self, before: Entry | None, new: Entry | None) -> None:
        """Choose the file of the new name, or the default, where the chosen one is gone."""
        chosen = self.session.classifier
        gone = before is not None and not before.path.exists()
        if chosen is None or before is None or chosen.path != before.path or not gone:
            return
        entry = new or next(iter(self._entries.values()), None)
        if entry is None:
            self.session.set_classifier(None)
        else:
            self._load(entry.path)

    # Evaluating

    def _ask_evaluate(self) -> None:
        dialog = QFileDialog(self, "Labelled data set to evaluate on", "", DATASETS)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda path: self.evaluate_on(Path(path)))
        show_dialog(dialog)

    def evaluate_on(self, dataset: Path) -> None:
        """Evaluate the classifier that is shown on a labelled data set."""
        entry = self.entry
        if entry is None or self.jobs.running(EVALUATION):
            return

        def done(report: Report) -> None:
            show_info(report.sentences[0])
            self.evaluated.emit(report)

        self.jobs.start(
            EVALUATION,
            Activity(f"Evaluating {entry.name}"),
            iter_evaluation,
            entry.path,
            dataset,
            on_steps=self._tell_progress,
            on_done=done,
            on_failed=self._failed,
        )

    def _tell_progress(self, steps: list[Any]) -> None:
        last = steps[-1]
        if last is not None:
            left = last.remaining_s
            text = "" if left is None else f", about {duration_text(left)} left"
            text = f"scan {min(int(last.done) + 1, last.total):,} of {last.total:,}{text}"
            thousandths = int(1000 * last.done / max(1, last.total))
            self.jobs.tell(EVALUATION, Activity(text, thousandths, 1000))

    @staticmethod
    def _failed(error: Exception) -> None:
        if not isinstance(error, PolmapError):
            raise error
        show_error(str(error))

    def refresh(self) -> None:
        """Show what can be done."""
        entry = self.entry
        own = entry is not None and entry.origin == "user"
        free = not self.jobs.running(CHANGE)
        bundled = "It comes with the program and stays as it is"
        for part, tip in (
            (self.rename, "Give it another name"),
            (self.remove, "Delete it from your library"),
        ):
            part.setEnabled(own and free)
            part.setToolTip(tip if own or entry is None else bundled)
        self.add_file.setEnabled(free)
        self.use.setEnabled(entry is not None)
        self.evaluate.setEnabled(entry is not None and not self.jobs.running(EVALUATION))
        self.cancel.setVisible(self.jobs.running(EVALUATION))
        activity = self.jobs.activities.get(EVALUATION) or self.jobs.activities.get(CHANGE)
        self.bar.setVisible(activity is not None)
        if activity is not None:
            self.bar.setRange(0, activity.total)
            self.bar.setValue(activity.done)
            self.bar.setFormat(activity.text)
