"""The dock's part that chooses what lies beneath the map."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_polmap.io.pictures import FILTER, Picture, load_pictures
from napari_polmap.viewer.background import MapBackground
from napari_polmap.widgets.controller import Activity, Controller
from napari_polmap.widgets.parts import Section, button, combo, row, show_dialog, wrapped

_VIRTUAL = "Virtual image"


def iter_pictures(path: Path) -> Generator[None, None, list[Picture]]:
    """Read the images of a file."""
    yield
    return load_pictures(path)


class BackgroundSection(Section):
    """Chooses the virtual image, an image layer of the viewer, or an image of a file.

    Parameters
    ----------
    controller : Controller
    viewer : napari.Viewer
    """

    def __init__(self, controller: Controller, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__("Background", open_=False, parent=parent)
        self.controller = controller
        self.background = MapBackground(viewer)
        self._pictures: list[Picture] = []
        self.choice = combo("What lies beneath the map, in the window and in exported pictures")
        self.file = button("File…", "Choose an image of the same area, such as the HAADF image")
        self.same = button(
            "Scan's file", "Look for images in the scan's own file, such as the HAADF image"
        )
        self.note = wrapped()
        self.choice.activated.connect(self._choose)
        self.file.clicked.connect(self.ask)
        self.same.clicked.connect(self._look_beside)
        line = row(self.choice, self.file, self.same)
        line.setStretch(0, 1)
        self.add(line)
        self.add(self.note)
        self.refresh()

    def refresh(self) -> None:
        """Show what can be chosen, and what is."""
        session = self.controller.session
        self.body.setEnabled(session.scan_shape is not None)
        self.same.setEnabled(session.scan is not None and session.scan.path is not None)
        chosen = self.background.layer
        with QSignalBlocker(self.choice):
            self.choice.clear()
            self.choice.addItem(_VIRTUAL, None)
            for layer in self.background.offers:
                self.choice.addItem(layer.name, layer)
                if layer is chosen:
                    self.choice.setCurrentIndex(self.choice.count() - 1)
            for picture in self._pictures:
                self.choice.addItem(f"{picture.name} (in the file)", picture)
        self.note.setText("" if chosen is None else self.background.note)
        self.note.setVisible(chosen is not None)

    def ask(self) -> QFileDialog:
        """Ask for an image file."""
        dialog = QFileDialog(self, "Background", "", f"Images ({FILTER});;All files (*)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda path: self.load(Path(path)))
        show_dialog(dialog)
        return dialog

    def load(self, path: Path) -> None:
        """Read the images of a file; the only one is laid beneath the map, several are offered."""
        self.controller.start(
            "background",
            Activity(f"Reading {path.name}"),
            iter_pictures,
            path,
            on_done=self._take,
        )

    def _look_beside(self) -> None:
        scan = self.controller.session.scan
        if scan is not None and scan.path is not None:
            self.load(scan.path)

    def _take(self, pictures: list[Picture]) -> None:
        self._pictures = pictures if len(pictures) > 1 else []
        if len(pictures) == 1:
            self.background.add(pictures[0])
            return
        self.refresh()
        self.choice.showPopup()

    def _choose(self, index: int) -> None:
        chosen = self.choice.itemData(index)
        if isinstance(chosen, Picture):
            self._pictures = [picture for picture in self._pictures if picture is not chosen]
            self.background.add(chosen)
        else:
            self.background.choose(chosen)
