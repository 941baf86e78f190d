"""A table of what moves: for each direction the displacement of each sublattice."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from napari_polmap.viewer.simulation_values import SimulationValues
from napari_polmap.widgets.parts import button, connect_while, row, wrapped
from napari_polmap.widgets.simulate_fields import UnreadableError, number, written

_FIELD = "crystal.displacements"
_AXES = {"image": ("row ↓", "column →", "beam"), "crystal": ("a", "b", "c")}
_ROW_PX, _MOST_ROWS = 24, 8


class DisplacementTable(QWidget):
    """Directions, sublattices and vectors in Å.

    Parameters
    ----------
    values : SimulationValues
    """

    def __init__(self, values: SimulationValues, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.values = values
        self.table = QTableWidget(0, 5)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(_ROW_PX)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.table.setToolTip(
            "Displacement of each sublattice in Å, a line for each direction and sublattice. A "
            "sublattice is named by its (first) element; what is not named stays."
        )
        self.table.itemChanged.connect(lambda _: self._take())
        self.add = button("Add line", "One more sublattice or direction")
        self.remove = button("Remove line", "Take the chosen line away")
        self.add.clicked.connect(self._add_line)
        self.remove.clicked.connect(self._remove_line)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(wrapped("Displacements in Å, for each direction and sublattice:"))
        layout.addWidget(self.table)
        layout.addLayout(row(self.add, self.remove, None))
        connect_while(self, [(values.changed, self._on_changed)])
        self.refresh()

    def _on_changed(self, name: str) -> None:
        if name in ("", _FIELD, "crystal.frame"):
            self.refresh()

    def refresh(self) -> None:
        """Show the displacements as they are now."""
        axes = _AXES.get(self.values.shown("crystal.frame"), _AXES["image"])
        self.table.setHorizontalHeaderLabels(["direction", "sublattice", *axes])
        if _FIELD in self.values.errors:
            return
        moves = self.values.get(_FIELD) or {}
        lines = [
            (direction, sublattice, *vector)
            for direction, moved in moves.items()
            for sublattice, vector in moved.items()
        ]
        shown = [self._cells(line) for line in range(self.table.rowCount())]
        # Lines that are not complete yet are no part of the description, and stay.
        complete = [cells for cells in shown if cells[0] and cells[1]]
        if shown and complete == [[written(cell) for cell in line] for line in lines]:
            return
        with QSignalBlocker(self.table):
            self.table.setRowCount(len(lines))
            for place, line in enumerate(lines):
                self._show(place, line)
        self._fit()

    def _show(self, place: int, line: tuple[Any, ...]) -> None:
        for column, cell in enumerate(line):
            self.table.setItem(place, column, QTableWidgetItem(written(cell)))

    def _fit(self) -> None:
        shown = min(max(self.table.rowCount(), 2), _MOST_ROWS)
        self.table.setFixedHeight(_ROW_PX * (shown + 1) + 8)

    def _cells(self, line: int) -> list[str]:
        items = [self.table.item(line, column) for column in range(5)]
        return ["" if item is None else item.text().strip() for item in items]

    def _add_line(self) -> None:
        last = self._cells(self.table.rowCount() - 1) if self.table.rowCount() else ["RM", "B"]
        with QSignalBlocker(self.table):
            self.table.setRowCount(self.table.rowCount() + 1)
            self._show(self.table.rowCount() - 1, (last[0], "", 0, 0, 0))
        self._fit()
        self.table.setCurrentCell(self.table.rowCount() - 1, 1)

    def _remove_line(self) -> None:
        line = self.table.currentRow()
        if line >= 0:
            self.table.removeRow(line)
            self._fit()
            self._take()

    def _take(self) -> None:
        moves: dict[str, dict[str, list[Any]]] = {}
        for line in range(self.table.rowCount()):
            direction, sublattice, *vector = self._cells(line)
            if not (direction and sublattice):
                continue
            try:
                moves.setdefault(direction, {})[sublattice] = [number(cell) for cell in vector]
            except UnreadableError as error:
                self.values.refuse(_FIELD, f"Displacement of {sublattice}: {error}")
                return
        self.values.set(_FIELD, moves or None)
