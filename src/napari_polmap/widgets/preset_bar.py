"""Choosing, saving and deleting presets of import options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QWidget

from napari_polmap.errors import PolmapError
from napari_polmap.scan import Scan
from napari_polmap.viewer.import_presets import (
    FileKind,
    Preset,
    delete_preset,
    load_presets,
    save_preset,
)
from napari_polmap.widgets.parts import button, combo, row


class PresetBar(QWidget):
    """A list of presets, those for files like the one at hand first."""

    chosen = Signal(object)
    """The options of the preset that the user wants to use."""
    told = Signal(str)
    """A sentence for the user."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fitting_name: str | None = None
        """Of a preset that was saved for files like the one at hand."""
        self._presets: list[Preset] = []
        self._file: tuple[Path, Scan] | None = None
        self._options: Mapping[str, Any] = {}
        self.names = combo("Presets; to save one, type a name")
        self.names.setEditable(True)
        self.names.setInsertPolicy(self.names.InsertPolicy.NoInsert)
        line = self.names.lineEdit()
        if line is not None:
            line.setPlaceholderText("name to save these options")
        self.use = button("Use", "Take the options of this preset")
        self.save = button(
            "Save", "Keep these options under this name, to be offered for files like this one"
        )
        self.delete = button("Delete", "Forget this preset")
        self.use.clicked.connect(self._use)
        self.save.clicked.connect(self._save)
        self.delete.clicked.connect(self._delete)
        self.names.editTextChanged.connect(self._refresh_buttons)
        self.setLayout(row(self.names, self.use, self.save, self.delete))
        self.refresh()

    def show_file(self, path: Path, scan: Scan) -> None:
        """Offer presets for a file that was opened."""
        self._file = path, scan
        fitting = self.refresh()
        self.fitting_name = fitting[0].name if fitting else None
        if self.fitting_name is not None and not self.names.currentText().strip():
            self.names.setEditText(self.fitting_name)

    def show_options(self, options: Mapping[str, Any] | None) -> None:
        """Note the options that would be saved, None where there are none now."""
        self._options = {} if options is None else options
        self._refresh_buttons()

    def refresh(self) -> list[Preset]:
        """List the presets; returns those that fit the file."""
        try:
            self._presets = load_presets()
        except PolmapError as error:
            self._presets = []
            self.told.emit(str(error))
        file = self._file
        fitting = [p for p in self._presets if file is not None and p.kind.holds(*file)]
        self._presets = [*fitting, *(p for p in self._presets if p not in fitting)]
        text = self.names.currentText()
        with QSignalBlocker(self.names):
            self.names.clear()
            for preset in self._presets:
                self.names.addItem(preset.name)
                note = "fits this file" if preset in fitting else "made for other files"
                self.names.setItemData(
                    self.names.count() - 1, f"{preset.kind}: {note}", Qt.ItemDataRole.ToolTipRole
                )
            self.names.setEditText(text)
        self._refresh_buttons()
        return fitting

    def _current(self) -> Preset | None:
        name = self.names.currentText().strip()
        return next((preset for preset in self._presets if preset.name == name), None)

    def _refresh_buttons(self) -> None:
        known = self._current() is not None
        self.use.setEnabled(known and self._file is not None)
        self.delete.setEnabled(known)
        self.save.setEnabled(bool(self.names.currentText().strip()) and self._file is not None)

    def _use(self) -> None:
        preset = self._current()
        if preset is not None:
            self.chosen.emit(dict(preset.options))

    def _save(self) -> None:
        name = self.names.currentText().strip()
        if self._file is None or not name:
            return
        preset = Preset(name, FileKind.of(*self._file), self._options)
        self._change(lambda: save_preset(preset))

    def _delete(self) -> None:
        preset = self._current()
        if preset is not None:
            self.names.setEditText("")
            self._change(lambda: delete_preset(preset.name))

    def _change(self, change: Callable[[], None]) -> None:
        try:
            change()
        except PolmapError as error:
            self.told.emit(str(error))
            return
        self.told.emit("")
        self.refresh()
