"""The dock's part that writes the map to files."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_info
from napari.viewer import Viewer
from qtpy.QtWidgets import QCheckBox, QFileDialog, QWidget

from napari_polmap.polarization_map import PolarizationMap
from napari_polmap.viewer.background import MapBackground
from napari_polmap.viewer.layers import POLARIZATION_OPACITY
from napari_polmap.viewer.reader import show_dock
from napari_polmap.viewer.tags import Role
from napari_polmap.widgets.controller import Activity
from napari_polmap.widgets.parts import Section, button, combo, row, show_dialog
from napari_polmap.widgets.runs import Runs


@dataclass(frozen=True)
class _Format:
    label: str
    ending: str
    filter: str
    tooltip: str


FIGURE, PIXELS, LABELS, TABLE, MAP = "figure", "pixels", "labels", "table", "map"
FORMATS = {
    FIGURE: _Format(
        "Figure",
        ".png",
        "Figures (*.png *.svg *.pdf *.tif)",
        "With legend, scale bar and arrows",
    ),
    PIXELS: _Format(
        "Picture as shown",
        ".png",
        "Pictures (*.png *.tif)",
        "One pixel per position in the colors of the window",
    ),
    LABELS: _Format(
        "Label image",
        ".tif",
        "TIFF (*.tif)",
        "The index of the direction, 255 where undecided",
    ),
    TABLE: _Format("Table", ".csv", "CSV (*.csv)", "One line per position"),
    MAP: _Format(
        "Map with history",
        ".zarr",
        "Polarization maps (*.zarr)",
        "Everything; opens here again",
    ),
}


def iter_export(
    polarization_map: PolarizationMap, kind: str, path: Path, background: Any
) -> Generator[None, None, Path]:
    """Write a map in one of `FORMATS`; `background` (an image or None) lies beneath pictures."""
    from napari_polmap import export_csv, export_image, export_labels, save_map

    yield
    if kind in (FIGURE, PIXELS):
        return export_image(
            polarization_map,
            path,
            background=background,
            opacity=POLARIZATION_OPACITY,
            raw=kind == PIXELS,
        )
    return {LABELS: export_labels, TABLE: export_csv, MAP: save_map}[kind](polarization_map, path)


class ExportSection(Section):
    """Writes the map to a file.

    Parameters
    ----------
    runs : Runs
    background : MapBackground
        What lies beneath pictures, where it is not the virtual image.
    """

    def __init__(
        self, runs: Runs, background: MapBackground, parent: QWidget | None = None
    ) -> None:
        super().__init__("Export", parent=parent)
        self.runs = runs
        self.background = background
        self.session = runs.session
        self.kind = combo("What is written")
        for kind, format_ in FORMATS.items():
            self.kind.addItem(f"{format_.label} ({format_.ending})", kind)
            self.kind.setItemData(self.kind.count() - 1, format_.tooltip, 3)
        self.kind.currentIndexChanged.connect(self.refresh)
        self.beneath = QCheckBox("Over the background")
        self.beneath.setChecked(True)
        self.beneath.setToolTip(
            "Lay the directions over the background, by default the virtual image, as in the window"
        )
        self.save = button("Export…", "Choose a file and write it")
        self.save.clicked.connect(self.ask)
        line = row(self.kind, self.save)
        line.setStretch(0, 1)
        self.add(line)
        self.add(self.beneath)
        self.refresh()

    def refresh(self) -> None:
        """Show what can be written."""
        self.body.setEnabled(self.session.map is not None)
        kind = self.kind.currentData()
        self.kind.setToolTip(FORMATS[kind].tooltip)
        self.beneath.setVisible(kind in (FIGURE, PIXELS))

    def ask(self) -> QFileDialog:
        """Ask for the file, then write it."""
        format_ = FORMATS[self.kind.currentData()]
        dialog = QFileDialog(self, f"Export: {format_.label}", "", format_.filter)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(format_.ending.removeprefix("."))
        dialog.selectFile(f"{self._name()}{format_.ending}")
        dialog.fileSelected.connect(lambda path: self.write(Path(path)))
        show_dialog(dialog)
        return dialog

    def write(self, path: Path) -> None:
        """Write the map as it is now, in the chosen format."""
        polarization_map = self.session.map
        if polarization_map is None:
            return
        image = self.background.on_positions() if self.beneath.isChecked() else None
        if image is None and self.beneath.isChecked():
            image = self.session.images.get(Role.VIRTUAL)
        background = None if image is None else image.copy()
        self.runs.controller.start(
            "export",
            Activity(f"Writing {path.name}"),
            iter_export,
            polarization_map.copy(),
            self.kind.currentData(),
            path,
            background,
            on_done=lambda written: show_info(f"Written: {written}"),
            on_failed=self.runs.tell_error,
        )

    def _name(self) -> str:
        scan = self.session.scan
        return "polarization" if scan is None else f"{scan.name}_polarization"


def ask_and_export(viewer: Viewer) -> None:
    """Napari's menu: open the dock and ask for a file."""
    dock = show_dock(viewer, always=True)
    if dock.session.map is None:
        show_info("There is no polarization map yet: open a scan or a saved map, then run.")
        return
    dock.export_section.ask()
