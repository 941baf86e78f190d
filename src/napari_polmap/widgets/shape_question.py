"""The dock's question for the scan shape of a file of frames."""

from __future__ import annotations

import re

from qtpy.QtWidgets import QWidget

from napari_polmap.widgets.controller import Controller
from napari_polmap.widgets.parts import Notice, Section, button, combo, row


class ShapeQuestionForm(QWidget):
    """Asks for the scan shape of a file of frames."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.message = Notice("info")
        self.shape = combo("Rows × columns of the scan, the likeliest first; or type another")
        self.shape.setEditable(True)
        self.open = button("Open", "Open the file with this scan shape")
        self.open.clicked.connect(self._answer)
        layout = row("Scan shape", self.shape, self.open)
        section = Section("Scan shape")
        section.header.hide()
        section.add(self.message)
        section.add(layout)
        outer = row(section)
        self.setLayout(outer)
        self.refresh()

    def refresh(self) -> None:
        """Show the question, if there is one."""
        question = self._controller.session.question
        self.setVisible(question is not None)
        if question is not None:
            self.message.tell([question.message])
            self.shape.clear()
            self.shape.addItems([f"{rows} × {columns}" for rows, columns in question.candidates])

    def _answer(self) -> None:
        question = self._controller.session.question
        numbers = [int(number) for number in re.findall(r"\d+", self.shape.currentText())]
        if question is None:
            return
        if len(numbers) != 2:
            self.message.tell(["Give two numbers: rows × columns, for instance 128 × 128."])
            return
        options = {**question.options, "nav_shape": (numbers[0], numbers[1])}
        self._controller.open_scan(question.path, **options)
