"""Forms over a simulation's values: lines of label, editor and unit, bound to dotted names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_polmap.viewer.simulation_values import SimulationValues, field_of
from napari_polmap.widgets.parts import connect_while
from napari_polmap.widgets.simulate_fields import Field, TextField, number
from napari_polmap.widgets.simulate_ranges import DrawnField

_LABEL_WIDTH, _UNIT_WIDTH = 132, 36


@dataclass(frozen=True)
class Line:
    """A line of a form.

    Parameters
    ----------
    name : str
        The field's dotted name in the description.
    label : str
    unit : str
    make : callable, optional
        Makes the editor; by default that of a number or a range.
    about : str
        For the tool tip, after what the field's own documentation says.
    """

    name: str
    label: str
    unit: str = ""
    make: Callable[[], Field] = DrawnField
    about: str = ""


def number_field() -> Field:
    """An editor of one number."""
    return TextField(number)


class FieldForm(QWidget):
    """Shows and edits values.

    Parameters
    ----------
    values : SimulationValues
    lines : sequence of Line
    hints : callable, optional
        Gives what stands for a field that is left out, by its name.
    """

    def __init__(
        self,
        values: SimulationValues,
        lines: Sequence[Line],
        hints: Callable[[str], str] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.values = values
        self.fields: dict[str, Field] = {}
        self._hints = hints
        self._rows: dict[str, list[QWidget]] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(5)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnMinimumWidth(0, _LABEL_WIDTH)
        self._grid.setColumnMinimumWidth(2, _UNIT_WIDTH)
        self._grid.setColumnStretch(1, 1)
        for line in lines:
            self._add(line)
        connect_while(self, [(values.changed, self._on_changed)])
        self.refresh()

    def _add(self, line: Line) -> None:
        field = line.make()
        label, unit = QLabel(line.label), QLabel(line.unit)
        label.setToolTip(tool_tip(line))
        unit.setToolTip(tool_tip(line))
        field.setToolTip(tool_tip(line))
        field.edited.connect(partial(self.values.set, line.name))
        field.refused.connect(partial(self._refuse, line))
        self.fields[line.name] = field
        place = self._grid.rowCount()
        self._rows[line.name] = [label, field, unit]
        for column, widget in enumerate((label, field, unit)):
            self._grid.addWidget(widget, place, column)

    def _refuse(self, line: Line, why: str) -> None:
        self.values.refuse(line.name, f"{line.label}: {why}")

    def offer(self, name: str, shown: bool) -> None:
        """Show or hide a line."""
        for widget in self._rows[name]:
            widget.setVisible(shown)

    def _on_changed(self, name: str) -> None:
        section = name.rpartition(".")[0]
        own = name in self.fields or any(field.startswith(f"{name}.") for field in self.fields)
        if not name or own or any(field.rpartition(".")[0] == section for field in self.fields):
            self.refresh()

    def refresh(self) -> None:
        """Show the values as they are now."""
        for name, field in self.fields.items():
            error = self.values.errors.get(name, "")
            # What was not taken stays to be corrected.
            if not error:
                hint = self._hints(name) if self._hints is not None else ""
                field.show_value(self.values.shown(name), hint or unset(name))
            field.mark(error)


def unset(name: str) -> str:
    """What a field is that is left out."""
    return str(field_of(name).metadata["unset"])


def tool_tip(line: Line) -> str:
    """What a field means, in which unit, and its name in the TOML file."""
    about = str(field_of(line.name).metadata["about"])
    unit = f" In {line.unit}." if line.unit else ""
    more = f" {line.about}" if line.about else ""
    return f"<p>{about}{unit}{more}</p><p><i>{line.name}</i> in the TOML file</p>"
