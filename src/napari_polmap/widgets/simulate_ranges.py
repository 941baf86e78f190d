"""An editor of a value, or of the range that it is drawn from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QHBoxLayout, QLabel, QMenu, QToolButton, QWidget

from napari_polmap.simulation.ranges import DISTRIBUTIONS
from napari_polmap.widgets.simulate_fields import (
    Field,
    UnreadableError,
    line_edit,
    mark,
    number,
    numbers,
    one_or_more,
    pairs,
    written,
)

_DISK = "disk"


class DrawnField(Field):
    """A value, or a range that each specimen (or run) draws its own value from.

    The button at its right makes a range of a value and back.

    Parameters
    ----------
    vector : bool
        Two numbers [x, y], whose range is a disk, instead of one.
    each : bool
        Whether several numbers are all taken, instead of one of them drawn.
    """

    def __init__(
        self, *, vector: bool = False, each: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._vector = vector
        self._read = pairs if vector else one_or_more
        self._mode = "value"
        self._value: Any = None
        self._hint = ""
        self._shown: tuple[str, ...] = ()
        self.line, self.low, self.high = line_edit(), line_edit(), line_edit()
        self.line.editingFinished.connect(self._finish)
        self.until = QLabel("–")
        for edit in (self.low, self.high):
            edit.editingFinished.connect(self._finish)
        self.mode = QToolButton()
        self.mode.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.mode.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.mode.setStyleSheet("QToolButton { padding: 1px 12px 1px 4px; }")
        menu = QMenu(self.mode)
        single = "One value" if not each else "Value or list"
        self._modes = {"value": single, _DISK: "Range: within a disk"}
        if not vector:
            self._modes = {"value": single, **{d: f"Range, {d}" for d in DISTRIBUTIONS}}
        for name, text in self._modes.items():
            action = QAction(text, menu)
            action.triggered.connect(lambda _=False, name=name: self._choose(name))
            menu.addAction(action)
        self.mode.setMenu(menu)
        several = "all of them are taken" if each else "one of them is drawn"
        self.line.setToolTip(f"Several values, with commas between them: {several}")
        self.mode.setToolTip("One value, or a range that each specimen draws its own value from")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        for widget in (self.line, self.low, self.until, self.high):
            stretch = 0 if widget is self.until else 1
            layout.addWidget(widget, stretch)
        layout.addWidget(self.mode)
        self._show_mode()

    def choose(self, mode: str) -> None:
        """Take a value or a range: ``value``, a distribution, or ``disk``."""
        self._choose(mode)

    def _show_mode(self) -> None:
        single, disk = self._mode == "value", self._mode == _DISK
        self.line.setVisible(single)
        self.low.setVisible(not single and not disk)
        self.high.setVisible(not single)
        self.until.setVisible(not single)
        self.until.setText("≤" if disk else "–")
        texts = {"value": "=", "uniform": "range", "log-uniform": "log", _DISK: "disk"}
        self.mode.setText(texts.get(self._mode, self._mode))

    def show_value(self, value: Any, hint: str = "") -> None:
        """Show a value; a hint where there is none."""
        self._value, self._hint = value, hint
        if isinstance(value, Mapping):
            self._mode = str(value.get("distribution", _DISK if self._vector else "uniform"))
            self.low.setText(written(value.get("min", "")))
            self.high.setText(written(value.get("max", "")))
        else:
            self._mode = "value"
            self.line.setText("" if value is None else written(value))
            self.line.setPlaceholderText(hint)
        for edit in (self.line, self.low, self.high):
            edit.setCursorPosition(0)
        self._note()
        self._show_mode()

    def mark(self, error: str) -> None:
        """Show that what stands there was not taken, and why; nothing where it was."""
        for edit in (self.line, self.low, self.high):
            mark(edit, error)

    def _texts(self) -> tuple[str, ...]:
        return (self._mode, self.line.text(), self.low.text(), self.high.text())

    def _note(self) -> None:
        self._shown = self._texts()

    def _choose(self, mode: str) -> None:
        if mode == self._mode:
            return
        before = self._ends()
        self._mode = mode
        if mode == "value":
            middle = (before[0] + before[1]) / 2
            self.line.setText("0, 0" if self._vector else written(_rounded(middle)))
        elif mode == _DISK:
            self.high.setText(written(_rounded(before[1] or 1.0)))
        else:
            low, high = before
            if mode == "log-uniform" and low <= 0:
                low = high / 10 if high > 0 else 1.0
            self.low.setText(written(_rounded(low)))
            self.high.setText(written(_rounded(max(low, high))))
        self._show_mode()
        self._finish()

    def _ends(self) -> tuple[float, float]:
        """A range that suits what is there."""
        value = self._value
        if isinstance(value, Mapping):
            high = float(value.get("max", 1.0))
            return float(value.get("min", -high)), high
        try:
            found = numbers(self.line.text() or self._hint)
        except UnreadableError:
            found = [0.0]
        if self._vector:
            return 0.0, max((math.hypot(*found[:2])), 0.0)
        low, high = min(found), max(found)
        if low == high:
            # A start to be changed: a tenth to either side, or one about zero.
            spread = 0.1 * abs(low) or 1.0
            low, high = low - spread, high + spread
        return float(low), float(high)

    def _finish(self) -> None:
        if self._texts() == self._shown:
            return
        self._note()
        text = self.line.text().strip()
        try:
            if self._mode == "value":
                value = self._read(text) if text else None
            elif self._mode == _DISK:
                value = {"max": number(self.high.text()), "distribution": _DISK}
            else:
                value = {"min": number(self.low.text()), "max": number(self.high.text())}
                if self._mode != "uniform":
                    value["distribution"] = self._mode
        except UnreadableError as error:
            self.refused.emit(str(error))
        else:
            self._value = value
            self.edited.emit(value)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
