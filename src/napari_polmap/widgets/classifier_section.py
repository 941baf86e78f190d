"""The dock's part about the classifier: which, what it was made for, whether it applies."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_polmap.viewer.card import card_lines
from napari_polmap.widgets.controller import Controller
from napari_polmap.widgets.parts import Notice, Section, button, combo, row, show_dialog, wrapped

_CHOOSE = "Choose a classifier…"


class ClassifierSection(Section):
    """Chooses the classifier and says at once whether it applies to the scan.

    Parameters
    ----------
    controller : Controller
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__("Classifier", parent=parent)
        self.controller = controller
        self.session = controller.session
        self.names = combo("Installed classifiers; those of your own come after the bundled")
        self.names.activated.connect(self._choose)
        self.file = button("File…", "Use a classifier file (.safetensors)")
        self.file.clicked.connect(self._ask_file)
        self.add(row(self.names, self.file))
        self.rows.itemAt(0).layout().setStretch(0, 1)
        self.mismatch = Notice()
        self.add(self.mismatch)
        self.unsure = Notice("info")
        self.add(self.unsure)
        self.make = button(
            "Make a classifier for this scan…",
            "Simulate the material under this scan's conditions, train on that, and classify it",
        )
        self.add(self.make)
        self.facts = wrapped()
        self.add(self.facts)
        self.card = Section("Card", open_=False)
        self.card.header.setToolTip("What the classifier was trained on, and how well it does")
        self.text = wrapped()
        self.card.add(self.text)
        self.add(self.card)
        self.list_classifiers()
        controller.classifier_failed.connect(self._failed)
        self.refresh()

    def list_classifiers(self) -> None:
        """List what is installed; the default one is chosen if none is yet."""
        from napari_polmap import list_classifiers

        entries = list_classifiers()
        with QSignalBlocker(self.names):
            self.names.clear()
            for entry in entries:
                self.names.addItem(entry.name, str(entry.path))
            if not entries:
                self.names.addItem(_CHOOSE, "")
        if self.session.classifier is None and entries:
            self.controller.load_classifier(entries[0].path)

    def _choose(self) -> None:
        path = self.names.currentData()
        if path:
            self.controller.load_classifier(Path(path))

    def _ask_file(self) -> None:
        dialog = QFileDialog(self, "Classifier file", "", "Classifiers (*.safetensors)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda path: self.controller.load_classifier(Path(path)))
        show_dialog(dialog)

    def _failed(self, _: str) -> None:
        self.refresh()

    def mismatches(self) -> list[str]:
        """Why the classifier does not apply to the scan; empty where it does."""
        from napari_polmap.classifiers.matching import mismatches

        scan, classifier = self.session.scan, self.session.classifier
        if scan is None or classifier is None:
            return []
        return mismatches(classifier.card, scan.calibration)

    def _suggestion(self) -> list[str]:
        """Which installed classifier applies instead."""
        from napari_polmap.classifiers.library import suggest_classifier

        scan, classifier = self.session.scan, self.session.classifier
        if scan is None or classifier is None:
            return []
        other = suggest_classifier(scan.calibration, classifier.path)
        return [] if other is None else [f"{other.name} does: choose it above."]

    def _unsure(self) -> list[str]:
        """What could not be compared, or lies at the limit."""
        from napari_polmap.classifiers.matching import step_warning, unknowns

        scan, classifier = self.session.scan, self.session.classifier
        if scan is None or classifier is None:
            return []
        missing = unknowns(classifier.card, scan.calibration)
        coarse = step_warning(classifier.card, scan.calibration)
        asked = f"The scan does not tell its {' and '.join(missing)}: give it in the calibration."
        return [*([asked] if missing else []), *([coarse] if coarse else [])]

    def refresh(self) -> None:
        """Show the session's classifier."""
        classifier = self.session.classifier
        self.card.setVisible(classifier is not None)
        self.facts.setVisible(classifier is not None)
        found = self.mismatches()
        self.mismatch.tell(
            ["This classifier does not apply to this scan.", *found, *self._suggestion()]
            if found
            else []
        )
        self.unsure.tell(self._unsure())
        if classifier is None:
            return
        path = "" if classifier.path is None else str(classifier.path)
        with QSignalBlocker(self.names):
            place = self.names.findData(path)
            if place < 0:
                self.names.addItem(classifier.name, path)
                place = self.names.count() - 1
            self.names.setCurrentIndex(place)
        names = ", ".join(classifier.directions.names)
        self.facts.setText(f"{len(classifier.directions)} directions: {names}")
        self.text.setText("\n".join(card_lines(classifier.card)))
