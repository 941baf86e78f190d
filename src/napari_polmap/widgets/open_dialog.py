"""Opening a scan with the options that some files need."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from napari.viewer import Viewer
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from napari_polmap.viewer.reader import show_dock
from napari_polmap.widgets.controller import Controller
from napari_polmap.widgets.parts import Notice, button, row, show_dialog

FILTER = (
    "4D-STEM scans (*.hspy *.zspy *.mib *.blo *.npy *.emd *.h5 *.hdf5 *.app5 *.xml *.mrc *.tvips "
    "*.dm3 *.dm4 *.nxs);;All files (*)"
)


class OpenDialog(QDialog):
    """Chooses a file or folder and, where the file does not say, its shape and data set.

    Parameters
    ----------
    controller : Controller
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Open a 4D-STEM scan")
        self.setMinimumWidth(460)
        self._controller = controller
        self.path = QLineEdit()
        self.path.setPlaceholderText("A file, or a folder with one TIFF per pattern")
        file = button("File…", "Choose a file")
        folder = button("Folder…", "Choose a folder with one TIFF per pattern")
        file.clicked.connect(self._choose_file)
        folder.clicked.connect(self._choose_folder)
        self.shape = QLineEdit()
        self.shape.setPlaceholderText("from the file")
        self.shape.setToolTip("Rows × columns, for a stack of frames, for instance 128 × 128")
        self.dataset = QLineEdit()
        self.dataset.setPlaceholderText("the first 4D data set")
        self.dataset.setToolTip("Name of the data set in a file that holds several")
        self.index = QLineEdit()
        self.index.setPlaceholderText("none")
        self.index.setToolTip("Index along the additional axes of a 5D file, for instance 0")
        self.bad_pixels = QLineEdit()
        self.bad_pixels.setPlaceholderText("none")
        self.bad_pixels.setToolTip("An image of the detector, not zero where a pixel is bad")
        mask = button("File…", "Choose an image of bad pixels")
        mask.clicked.connect(self._choose_mask)
        form = QFormLayout()
        form.addRow("Scan", row(self.path, file, folder))
        form.addRow("Scan shape", self.shape)
        form.addRow("Data set", self.dataset)
        form.addRow("Index", self.index)
        form.addRow("Bad pixels", row(self.bad_pixels, mask))
        self.notice = Notice()
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        hint = QLabel("Leave an option empty where the file knows it.")
        hint.setEnabled(False)
        layout.addLayout(form)
        layout.addWidget(hint)
        layout.addWidget(self.notice)
        layout.addWidget(self.buttons)

    def accept(self) -> None:
        """Qt: open what is chosen, if the fields make sense."""
        try:
            options = self.options()
        except ValueError as error:
            self.notice.tell([str(error)])
            return
        self._controller.open_scan(Path(self.path.text()).expanduser(), **options)
        super().accept()

    def options(self) -> dict[str, Any]:
        """Options of `napari_polmap.load_scan` that are filled in.

        Raises
        ------
        ValueError
            If a field makes no sense.
        """
        if not self.path.text().strip():
            raise ValueError("Choose a file or folder first.")
        options: dict[str, Any] = {}
        if self.shape.text().strip():
            numbers = [int(number) for number in re.findall(r"\d+", self.shape.text())]
            if len(numbers) != 2:
                raise ValueError("The scan shape needs two numbers: rows × columns.")
            options["nav_shape"] = (numbers[0], numbers[1])
        if self.dataset.text().strip():
            options["dataset"] = self.dataset.text().strip()
        if self.index.text().strip():
            numbers = [int(number) for number in re.findall(r"-?\d+", self.index.text())]
            if not numbers:
                raise ValueError("The index needs a number for each additional axis.")
            options["index"] = tuple(numbers)
        if self.bad_pixels.text().strip():
            options["bad_pixels"] = Path(self.bad_pixels.text()).expanduser()
        return options

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a 4D-STEM scan", "", FILTER)
        if path:
            self.path.setText(path)

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open a folder of TIFF files")
        if path:
            self.path.setText(path)

    def _choose_mask(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Bad pixels", "", "Images (*.tif *.tiff *.npy)")
        if path:
            self.bad_pixels.setText(path)


def ask_and_open(viewer: Viewer) -> None:
    """Napari's menu: open the dock and ask for a scan."""
    dock = show_dock(viewer, always=True)
    show_dialog(OpenDialog(dock.controller, dock))
