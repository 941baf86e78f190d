"""The list of a scene's defects, each with the fields that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.contradictions import OF_DEFECTS
from napari_polmap.simulation.fields import read_section
from napari_polmap.simulation.sections import DefectSpec
from napari_polmap.viewer.simulation_values import SimulationValues, field_of, plain
from napari_polmap.widgets.parts import combo, connect_while, row
from napari_polmap.widgets.simulate_fields import Field, TextField, number, numbers
from napari_polmap.widgets.tool_buttons import IconButton

_FIELD = "scene.defects"
_ADD = "Add a defect…"
KINDS: Mapping[str, str] = {
    "column": "Column missing or replaced",
    "antiphase": "Anti-phase boundary",
    "dislocation": "Edge dislocation",
    "amorphous": "Amorphous patch",
    "vacuum": "Vacuum",
}
_NEW: Mapping[str, dict[str, Any]] = {
    "column": {"cell": [2, 2], "site": "B"},
    "antiphase": {"position_nm": [0.8, 0.8], "normal_deg": 0},
    "dislocation": {"position_nm": [0.8, 0.8], "burgers_angstrom": [0, 4]},
    "amorphous": {"position_nm": [0.4, 0.4], "radius_nm": 0.4},
    "vacuum": {"position_nm": [0, 0], "radius_nm": 0.5},
}
_WORDS: Mapping[str, tuple[str, str, Any]] = {
    "cell": ("Cell (row, col.)", "", numbers),
    "site": ("Site", "", str),
    "share": ("Share replaced", "", number),
    "element": ("By element", "", str),
    "position_nm": ("Place (row, col.)", "nm", numbers),
    "normal_deg": ("Normal", "°", number),
    "radius_nm": ("Radius", "nm", number),
    "shift": ("Shift (r, c, beam)", "cells", numbers),
    "burgers_angstrom": ("Burgers (row, col.)", "Å", numbers),
    "poisson": ("Poisson's ratio", "", number),
}


class DefectList(QWidget):
    """Adds, edits and takes away defects.

    Parameters
    ----------
    values : SimulationValues
    """

    def __init__(self, values: SimulationValues, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.values = values
        self.editors: list[_Editor] = []
        self.new = combo("Put one more defect into the scene")
        self.new.addItem(_ADD)
        for kind, text in KINDS.items():
            self.new.addItem(text, kind)
        self.new.activated.connect(self._add)
        self._column = QVBoxLayout()
        self._column.setSpacing(4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._column)
        layout.addLayout(row("Defects", self.new))
        connect_while(self, [(values.changed, self._on_changed)])
        self.refresh()

    def _on_changed(self, name: str) -> None:
        if name in ("", _FIELD, "scene"):
            self.refresh()

    def refresh(self) -> None:
        """Show the defects as they are now."""
        if _FIELD in self.values.errors:
            return
        defects = list(self.values.get(_FIELD) or [])
        if [editor.kind for editor in self.editors] != [defect["kind"] for defect in defects]:
            for editor in self.editors:
                editor.deleteLater()
            self.editors = [
                _Editor(self, place, defect["kind"]) for place, defect in enumerate(defects)
            ]
            for editor in self.editors:
                self._column.addWidget(editor)
        for editor, defect in zip(self.editors, defects, strict=True):
            editor.show_defect(defect)

    def _add(self, place: int) -> None:
        kind = self.new.itemData(place)
        self.new.setCurrentIndex(0)
        if kind is not None:
            defects = list(self.values.get(_FIELD) or [])
            self.values.set(_FIELD, [*defects, {"kind": kind, **_NEW[kind]}])

    def take_away(self, place: int) -> None:
        """Leave a defect out."""
        defects = list(self.values.get(_FIELD) or [])
        del defects[place]
        self.values.set(_FIELD, defects or None)

    def edit(self, place: int, name: str, value: Any) -> str:
        """Change a field of a defect; what is wrong with it, or nothing."""
        defects = [dict(defect) for defect in self.values.get(_FIELD) or []]
        defects[place].pop(name, None)
        if value is not None:
            defects[place][name] = value
        try:
            read_section(DefectSpec, defects[place], "defect")
        except PolmapError as error:
            self.values.refuse(_FIELD, str(error))
            return str(error)
        self.values.set(_FIELD, defects)
        return ""


class _Editor(QWidget):
    def __init__(self, owner: DefectList, place: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._owner, self._place = owner, place
        self.fields: dict[str, Field] = {}
        away = IconButton("delete", "Take this defect away")
        away.clicked.connect(lambda _=False: owner.take_away(place))
        grid = QGridLayout(self)
        grid.setContentsMargins(8, 0, 0, 0)
        grid.setHorizontalSpacing(5)
        grid.setVerticalSpacing(2)
        grid.setColumnMinimumWidth(0, 126)
        grid.setColumnMinimumWidth(2, 36)
        grid.setColumnStretch(1, 1)
        grid.addWidget(QLabel(KINDS[kind]), 0, 0, 1, 2)
        grid.addWidget(away, 0, 2)
        for line, name in enumerate(OF_DEFECTS[kind], start=1):
            text, unit, read = _WORDS[name]
            field = TextField(read)
            about = str(field_of(f"{_FIELD}.{name}").metadata["about"])
            field.setToolTip(about)
            field.edited.connect(partial(self._edit, name))
            field.refused.connect(partial(self._refuse, name))
            self.fields[name] = field
            for column, widget in enumerate((QLabel(text), field, QLabel(unit))):
                grid.addWidget(widget, line, column)

    def show_defect(self, defect: Mapping[str, Any]) -> None:
        """Show the fields as they are now."""
        for name, field in self.fields.items():
            default = plain(field_of(f"{_FIELD}.{name}").default)
            field.show_value(defect.get(name, _known(default)))
            field.mark("")

    def _edit(self, name: str, value: Any) -> None:
        error = self._owner.edit(self._place, name, value)
        self.fields[name].mark(error)

    def _refuse(self, name: str, why: str) -> None:
        self._owner.values.refuse(_FIELD, f"{_WORDS[name][0]}: {why}")
        self.fields[name].mark(why)


def _known(default: Any) -> Any:
    return default if isinstance(default, int | float | list | str) else None
