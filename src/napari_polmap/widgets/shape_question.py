"""The dock's question for the scan shape, or another option, that a file does not tell."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from napari_polmap.viewer.import_options import parse_shape
from napari_polmap.widgets.controller import Controller
from napari_polmap.widgets.import_dialog import ImportDialog
from napari_polmap.widgets.parts import Notice, Section, button, combo, row, show_dialog


class ShapeQuestionForm(QWidget):
    """Asks for the scan shape of a file of frames, or leads to all options."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.message = Notice("info")
        self.shape = combo("Rows × columns of the scan, the likeliest first; or type another")
        self.shape.setEditable(True)
        self.open = button("Open", "Open the file with this scan shape")
        self.open.clicked.connect(self._answer)
        self.more = button("More options…", "Open the file in a dialog with all options, previewed")
        self.more.clicked.connect(self._ask_more)
        section = Section("Scan shape")
        section.header.hide()
        section.add(self.message)
        self._line = QWidget()
        self._line.setLayout(row("Scan shape", self.shape, self.open))
        section.add(self._line)
        section.add(row(None, self.more))
        self.setLayout(row(section))
        self.refresh()

    def refresh(self) -> None:
        """Show the question, if there is one."""
        question = self._controller.session.question
        self.setVisible(question is not None)
        if question is not None:
            self.message.tell([question.message])
            self._line.setVisible(bool(question.candidates))
            self.shape.clear()
            self.shape.addItems([f"{rows} × {columns}" for rows, columns in question.candidates])

    def _answer(self) -> None:
        question = self._controller.session.question
        if question is None:
            return
        shape = parse_shape(self.shape.currentText())
        if shape is None:
            self.message.tell(["Give two numbers: rows × columns, for instance 128 × 128."])
            return
        self._controller.open_scan(question.path, **{**question.options, "nav_shape": shape})

    def _ask_more(self) -> None:
        question = self._controller.session.question
        if question is not None:
            dialog = ImportDialog(
                self._controller, self, path=question.path, options=question.options or None
            )
            show_dialog(dialog)
