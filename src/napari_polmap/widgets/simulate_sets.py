"""An editor of the sets of specimens: how many for training, for testing, and their seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QGridLayout, QLabel, QLineEdit, QSpinBox, QWidget

from napari_polmap.simulation.fields import seeds
from napari_polmap.widgets.parts import button
from napari_polmap.widgets.simulate_fields import Field, line_edit, mark

_MOST = 10_000
_APART = 1000


class SetsField(Field):
    """A line for each set: name, number of specimens, seeds."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.counts: dict[str, QSpinBox] = {}
        self.seeds: dict[str, QLineEdit] = {}
        self._sets: dict[str, Any] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(3)
        self._grid.setColumnStretch(2, 1)
        self.add = button("Add a test set", "Specimens that no classifier is trained on")
        self.add.clicked.connect(self._add_set)

    def show_value(self, value: Any, hint: str = "") -> None:  # noqa: ARG002
        """Show the sets."""
        self._sets = dict(value) if isinstance(value, Mapping) else {}
        if list(self._sets) != list(self.counts):
            self._build()
        for name, text in self._sets.items():
            with QSignalBlocker(self.counts[name]), QSignalBlocker(self.seeds[name]):
                self.counts[name].setValue(_count(text))
                self.seeds[name].setText(str(text))

    def mark(self, error: str) -> None:
        """Show that what stands there was not taken, and why; nothing where it was."""
        for line in self.seeds.values():
            mark(line, error)

    def _build(self) -> None:
        while self._grid.count():
            widget = self._grid.takeAt(0).widget()
            if widget is not None and widget is not self.add:
                widget.deleteLater()
        self.counts, self.seeds = {}, {}
        for place, name in enumerate(self._sets):
            count, line = QSpinBox(), line_edit()
            count.setRange(1, _MOST)
            count.setKeyboardTracking(False)
            count.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
            count.setStyleSheet("QSpinBox { min-width: 36px; max-width: 52px; padding: 1px 2px; }")
            count.setToolTip(f"Number of specimens of the set {name!r}")
            line.setToolTip(
                "Their seeds, which decide the arrangement of the atoms and all that is drawn; no "
                "two sets may share one"
            )
            count.valueChanged.connect(lambda number, name=name: self._count_edited(name, number))
            line.editingFinished.connect(lambda name=name: self._seeds_edited(name))
            self.counts[name], self.seeds[name] = count, line
            for column, widget in enumerate((QLabel(name), count, line)):
                self._grid.addWidget(widget, place, column)
        lacking = "test" not in self._sets
        self.add.setVisible(lacking)
        if lacking:
            self._grid.addWidget(self.add, len(self._sets), 0, 1, 3)

    def _count_edited(self, name: str, count: int) -> None:
        """So many seeds from the first one on, beside those of the other sets."""
        first = _numbers(self._sets[name])[:1] or [1]
        self.edited.emit({**self._sets, name: _span(first[0], count)})

    def _seeds_edited(self, name: str) -> None:
        text = self.seeds[name].text().strip()
        if text != str(self._sets[name]):
            self.edited.emit({**self._sets, name: text})

    def _add_set(self) -> None:
        taken = [number for text in self._sets.values() for number in _numbers(text)]
        first = (max(taken, default=0) // _APART + 1) * _APART + 1
        self.edited.emit({**self._sets, "test": _span(first, 4)})


def _span(first: int, count: int) -> str:
    return str(first) if count == 1 else f"{first}-{first + count - 1}"


def _numbers(text: Any) -> list[int]:
    try:
        return list(seeds().read(text))
    except (ValueError, TypeError):
        return []


def _count(text: Any) -> int:
    return max(1, len(_numbers(text)))
