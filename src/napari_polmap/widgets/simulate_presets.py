"""The Simulate dock's head: name, presets, opening and saving of descriptions."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from napari.utils.notifications import show_error
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_polmap.errors import PolmapError
from napari_polmap.viewer.simulation_values import PRESETS, SimulationValues, preset_values
from napari_polmap.widgets.parts import (
    button,
    combo,
    connect_while,
    row,
    show_dialog,
)
from napari_polmap.widgets.simulate_fields import TextField

_CHOOSE = "Begin with…"
_KINDS = "Descriptions of simulations (*.toml)"


class PresetBar(QWidget):
    """Takes a whole description, or writes it.

    Parameters
    ----------
    values : SimulationValues
    """

    def __init__(self, values: SimulationValues, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.values = values
        self.presets = combo("Ready descriptions to begin with")
        self.presets.addItems([_CHOOSE, *PRESETS])
        self.presets.activated.connect(self._take)
        self.open = button("Open…", "Read a description (SPEC.toml), as polmap simulate takes it")
        self.save = button("Save…", "Write this description as SPEC.toml, for polmap simulate")
        self.open.clicked.connect(self._ask_open)
        self.save.clicked.connect(self._ask_save)
        self.name = TextField(needed=True)
        self.name.setToolTip("Name of the simulation, after which its folder is called")
        self.name.edited.connect(partial(values.set, "name"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 2, 2)
        layout.addLayout(row(self.presets, self.open, self.save))
        layout.addLayout(row("Name", self.name))
        layout.itemAt(1).layout().setStretch(1, 1)
        connect_while(self, [(values.changed, self._on_changed)])
        self._on_changed("")

    def _on_changed(self, name: str) -> None:
        if name in ("", "name"):
            self.name.show_value(self.values.get("name"), "scans")
            self.name.mark(self.values.errors.get("name", ""))

    def _take(self, place: int) -> None:
        name = self.presets.itemText(place)
        self.presets.setCurrentIndex(0)
        if name in PRESETS:
            self.values.fill(preset_values(name))

    def _ask_open(self) -> None:
        dialog = QFileDialog(self, "Description of a simulation", "", _KINDS)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.open_file)
        show_dialog(dialog)

    def open_file(self, path: str) -> None:
        """Show the description of a file."""
        try:
            self.values.read(Path(path))
        except PolmapError as error:
            show_error(str(error))

    def _ask_save(self) -> None:
        dialog = QFileDialog(self, "Save the description", "", _KINDS)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("toml")
        dialog.fileSelected.connect(self.save_file)
        show_dialog(dialog)

    def save_file(self, path: str) -> None:
        """Write the description to a file."""
        try:
            self.values.write(Path(path))
        except PolmapError as error:
            show_error(str(error))
