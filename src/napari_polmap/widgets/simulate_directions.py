"""The Simulate dock's part about the directions: a check list in their colors."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QSignalBlocker
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QCheckBox, QGridLayout, QWidget

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.materials import MATERIALS
from napari_polmap.viewer.simulation_values import SimulationValues
from napari_polmap.widgets.parts import Section, connect_while
from napari_polmap.widgets.simulate_fields import FlagField, TextField, angles, names
from napari_polmap.widgets.simulate_form import FieldForm, Line

_SWATCH_PX, _COLUMNS = 12, 4
_ABOUT = (
    "Directions of the polarization that are simulated, with their angles on the image "
    "(counter-clockwise from the right) and the colors that they have in maps"
)


class DirectionsSection(Section):
    """Chooses the directions of the polarization.

    Parameters
    ----------
    values : SimulationValues
    """

    def __init__(self, values: SimulationValues, parent: QWidget | None = None) -> None:
        super().__init__("Directions", parent=parent)
        self.values = values
        self.boxes: dict[str, QCheckBox] = {}
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(4)
        self.add(self._grid)
        self.form = FieldForm(
            values,
            [
                Line("directions.names", "Names", make=partial(TextField, names)),
                Line("directions.angles_deg", "Angles", "°", make=partial(TextField, angles)),
                Line(
                    "directions.by_symmetry",
                    "",
                    make=partial(FlagField, "Make quarter turns of one simulation"),
                    about="Costs a quarter of the time; whether the structure allows it is "
                    "checked.",
                ),
            ],
        )
        self.add(self.form)
        connect_while(self, [(values.changed, self._on_changed)])
        self.refresh()

    def _on_changed(self, name: str) -> None:
        if not name or name.startswith(("directions", "crystal.", "specimens", "scene")):
            self.refresh()

    def refresh(self) -> None:
        """Show the directions as they are now."""
        offered, chosen = self._offered(), self._chosen()
        labels = [offered.label(index) for index in range(len(offered))] if offered else []
        if offered is not None and labels != [box.text() for box in self.boxes.values()]:
            self._build(offered)
        for name, box in self.boxes.items():
            with QSignalBlocker(box):
                box.setChecked(name in chosen)
        built_in = self._material is not None
        self.form.offer("directions.names", not built_in)
        self.form.offer("directions.angles_deg", not built_in)
        self.form.offer("directions.by_symmetry", self.values.has("specimens"))

    def _build(self, offered: DirectionSet) -> None:
        for box in self.boxes.values():
            self._grid.removeWidget(box)
            box.deleteLater()
        self.boxes = {}
        for index, name in enumerate(offered.names):
            box = QCheckBox(offered.label(index))
            box.setIcon(_swatch(offered.colors[index]))
            box.setToolTip(_ABOUT)
            box.toggled.connect(self._take)
            self.boxes[name] = box
            self._grid.addWidget(box, index // _COLUMNS, index % _COLUMNS)

    @property
    def _material(self) -> str | None:
        name = self.values.get("crystal.material")
        return name if name in MATERIALS else None

    def _offered(self) -> DirectionSet | None:
        if self._material is not None:
            return MATERIALS[self._material].directions(out_of_plane=True)
        given = self.values.get("directions.names")
        crystal = self.values.get("crystal") or {}
        found = given or list(crystal.get("displacements") or crystal.get("files") or {})
        told = self.values.get("directions.angles_deg")
        if told is not None and len(told) == len(found):
            told = [None if isinstance(angle, str) else angle for angle in told]
        else:
            told = None
        try:
            return DirectionSet.from_names(found, told) if found else None
        except PolmapError:
            return None

    def _chosen(self) -> list[str]:
        given = self.values.get("directions.names")
        if given is not None:
            return list(given)
        if self._material is not None:
            return list(MATERIALS[self._material].directions().names)
        offered = self._offered()
        return list(offered.names) if offered else []

    def _take(self, _: bool = False) -> None:
        chosen = [name for name, box in self.boxes.items() if box.isChecked()]
        if not chosen:
            self.values.refuse("directions.names", "No direction is checked; check at least one.")
            return
        if self._material is not None:
            usual = list(MATERIALS[self._material].directions().names)
            self.values.set("directions.names", None if chosen == usual else chosen)
        else:
            angle = dict(
                zip(self._chosen(), self.values.get("directions.angles_deg") or [], strict=False)
            )
            self.values.set("directions.names", chosen)
            if angle:
                self.values.set("directions.angles_deg", [angle[name] for name in chosen])


def _swatch(color: object) -> QIcon:
    red, green, blue = (float(part) for part in color)  # type: ignore[attr-defined]
    pixmap = QPixmap(_SWATCH_PX, _SWATCH_PX)
    pixmap.fill(QColor.fromRgbF(red, green, blue))
    return QIcon(pixmap)
