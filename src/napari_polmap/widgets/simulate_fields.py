"""Editors of single values: numbers, lists, names, choices, files."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from napari_polmap.widgets.parts import combo, show_dialog

_WRONG = "QLineEdit { border: 1px solid rgb(229, 160, 13); }"
_LEAST_WIDTH = 40
_DISK = "disk"


class UnreadableError(ValueError):
    """A text that is not what its field takes; the sentence says what to write."""


def number(text: str) -> int | float:
    """A number as it is written: whole where it has no point."""
    try:
        value = int(text)
    except ValueError:
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            raise UnreadableError(f"{text!r} is no number; write one such as 24 or 0.05.") from None
    if not math.isfinite(value):
        raise UnreadableError(f"{text!r} is no finite number; write one.")
    return value


def numbers(text: str) -> list[int | float]:
    """Numbers with commas (or blanks) between them."""
    parts = [part for part in text.replace(",", " ").replace(";", " ").split() if part]
    if not parts:
        raise UnreadableError("There is no number; write some such as 5, 10, 15.")
    return [number(part) for part in parts]


def one_or_more(text: str) -> Any:
    """A number, or a list of several."""
    found = numbers(text)
    return found[0] if len(found) == 1 else found


def pairs(text: str) -> list[Any]:
    """Two numbers, or a list of such pairs: ``1, 0; 0, 1``."""
    found = [numbers(part) for part in text.split(";") if part.strip()]
    if not found or any(len(pair) != 2 for pair in found):
        raise UnreadableError(f"{text!r} is no pair of numbers; write two such as 0.5, -1.")
    return found[0] if len(found) == 1 else found


def names(text: str) -> list[str]:
    """Words with commas between them."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise UnreadableError("There is no name; write some with commas between them.")
    return found


def angles(text: str) -> list[Any]:
    """Numbers, or "none" where there is no angle."""
    return [part if part == "none" else number(part) for part in names(text)]


def table(text: str) -> dict[str, Any]:
    """Values by name: ``Pb = 0.11, O = 0.09``; texts stay texts."""
    found: dict[str, Any] = {}
    for part in names(text):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise UnreadableError(f"{part!r} is no name with a value; write such as Pb = 0.11.")
        try:
            found[name] = number(value)
        except UnreadableError:
            found[name] = value
    return found


def written(value: Any) -> str:
    """A value as `number`, `numbers`, `pairs`, `names` and `table` read it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {written(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        nested = any(isinstance(part, list | tuple) for part in value)
        return ("; " if nested else ", ").join(written(part) for part in value)
    return str(value)


class Field(QWidget):
    """The editor of a value; None stands for what is left out."""

    edited = Signal(object)
    """The value that the user wants."""
    refused = Signal(str)
    """Why what the user wrote cannot be read."""

    def show_value(self, value: Any, hint: str = "") -> None:
        """Show a value; a hint where there is none."""
        raise NotImplementedError

    def mark(self, error: str) -> None:
        """Show that what stands there was not taken, and why; nothing where it was."""


class TextField(Field):
    """A line of text that is read as something.

    Parameters
    ----------
    read : callable
        Makes the value of a text, or raises `UnreadableError`.
    needed : bool
        Whether it cannot be left out.
    """

    def __init__(
        self,
        read: Callable[[str], Any] = str,
        *,
        needed: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._read, self._needed = read, needed
        self._shown = ""
        self.line = line_edit()
        self.line.editingFinished.connect(self._finish)
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(3)
        self._layout.addWidget(self.line, 1)

    def show_value(self, value: Any, hint: str = "") -> None:
        """Show a value; a hint where there is none."""
        self._shown = "" if value is None else written(value)
        self.line.setPlaceholderText(hint)
        self.line.setText(self._shown)
        self.line.setCursorPosition(0)

    def mark(self, error: str) -> None:
        """Show that what stands there was not taken, and why; nothing where it was."""
        mark(self.line, error)

    def _finish(self) -> None:
        text = self.line.text().strip()
        if text == self._shown:
            return
        self._shown = text
        if not text and not self._needed:
            self.edited.emit(None)
            return
        try:
            value = self._read(text)
        except UnreadableError as error:
            self.refused.emit(str(error))
        else:
            self.edited.emit(value)


class FileField(TextField):
    """A file's name with a button that asks for it.

    Parameters
    ----------
    title, kinds : str
        Of the dialog.
    """

    def __init__(self, title: str, kinds: str, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._title, self._kinds = title, kinds
        ask = QToolButton()
        ask.setText("…")
        ask.setToolTip(title)
        ask.clicked.connect(self._ask)
        self._layout.addWidget(ask)

    def _ask(self) -> None:
        dialog = QFileDialog(self, self._title, "", self._kinds)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda path: self.edited.emit(Path(path).as_posix()))
        show_dialog(dialog)


class ChoiceField(Field):
    """One of several values, each with a text.

    Parameters
    ----------
    choices : mapping of str to object
        Values by the text that stands for them.
    """

    def __init__(self, choices: Mapping[str, Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.box: QComboBox = combo("")
        self._fill(choices)
        self.box.activated.connect(lambda place: self.edited.emit(self._values[place]))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.box, 1)

    def _fill(self, choices: Mapping[str, Any]) -> None:
        self._values = list(choices.values())
        with QSignalBlocker(self.box):
            self.box.clear()
            self.box.addItems(list(choices))

    def offer(self, choices: Mapping[str, Any]) -> None:
        """Offer other values."""
        if [self.box.itemText(i) for i in range(self.box.count())] != list(choices):
            self._fill(choices)

    def show_value(self, value: Any, hint: str = "") -> None:
        """Show a value; a hint where there is none."""
        with QSignalBlocker(self.box):
            if value not in self._values:
                self._values.append(value)
                self.box.addItem(written(value) if value is not None else hint or "choose…")
            self.box.setCurrentIndex(self._values.index(value))


class FlagField(Field):
    """A box to check.

    Parameters
    ----------
    text : str
        Beside it.
    """

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.box = QCheckBox(text)
        self.box.toggled.connect(self.edited.emit)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.box)
        layout.addStretch(1)

    def show_value(self, value: Any, hint: str = "") -> None:  # noqa: ARG002
        """Show a value; a hint where there is none."""
        with QSignalBlocker(self.box):
            self.box.setChecked(bool(value))


def line_edit() -> QLineEdit:
    """A line that is as wide as the dock lets it."""
    line = QLineEdit()
    line.setMinimumWidth(_LEAST_WIDTH)
    line.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return line


def mark(line: QLineEdit, error: str) -> None:
    """Show in a line that what stands there was not taken."""
    line.setStyleSheet(_WRONG if error else "")
    plain = line.property("plain_tip")
    if plain is None:
        plain = line.toolTip()
        line.setProperty("plain_tip", plain)
    line.setToolTip(error or plain)
