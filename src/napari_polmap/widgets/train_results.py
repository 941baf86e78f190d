"""The Train dock's part that shows how good a classifier is."""

# ruff: noqa: N802  Qt names its own methods

from __future__ import annotations

from pathlib import Path

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QFileDialog, QSizePolicy, QTabWidget, QVBoxLayout, QWidget

from napari_polmap.errors import PolmapError
from napari_polmap.viewer.training_report import CONFUSION, RELIABILITY, Picture, Report
from napari_polmap.widgets.parts import Section, button, combo, row, show_dialog, wrapped

_HEIGHT = 330
_FIRST = ("thickness", "tilt", "electrons", "dose")
"""Conditions that are shown before others."""
_RELIABILITY = (
    "How often predictions of some confidence are right: on the dashed line where the confidence "
    "tells the truth"
)
_TIPS = (
    "How often each true direction was taken for which, in percent",
    _RELIABILITY,
    "Accuracy over thickness, tilt, dose, and whatever the data set states",
)


class PictureView(QWidget):
    """Shows a picture as large as there is room for."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(200, 160)

    def show_picture(self, picture: Picture | None) -> None:
        """Show another picture, or none."""
        self._image = None
        if picture is not None:
            rows, columns = picture.shape[:2]
            form = QImage.Format.Format_RGBA8888
            # A copy, that the array need not outlive the view.
            self._image = QImage(picture.tobytes(), columns, rows, 4 * columns, form).copy()
        self.update()

    def sizeHint(self) -> QSize:
        """Qt: about square."""
        return QSize(_HEIGHT, _HEIGHT)

    def paintEvent(self, _: QPaintEvent) -> None:
        """Qt: draw."""
        if self._image is None:
            return
        # Made smaller once in good quality, at the screen's own pixels.
        ratio = self.devicePixelRatioF()
        shown = self._image.scaled(
            int(self.width() * ratio),
            int(self.height() * ratio),
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        width, height = shown.width() / ratio, shown.height() / ratio
        painter = QPainter(self)
        place = QRectF((self.width() - width) / 2, (self.height() - height) / 2, width, height)
        painter.drawImage(place, shown)
        painter.end()


class ResultSection(Section):
    """Sentence, confusion matrix, reliability diagram, accuracy over conditions."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Result", parent=parent)
        self.report: Report | None = None
        self.title = wrapped()
        self.title.setStyleSheet("font-weight: bold;")
        self.add(self.title)
        self.sentence = wrapped()
        self.add(self.sentence)
        self.tabs = QTabWidget()
        self.tabs.setFixedHeight(_HEIGHT)
        self.confusion, self.reliability = PictureView(), PictureView()
        self.accuracy = PictureView()
        self.conditions = combo("Over which condition the accuracy is drawn")
        self.conditions.activated.connect(self._show_condition)
        over = QWidget()
        column = QVBoxLayout(over)
        column.setContentsMargins(2, 4, 2, 2)
        column.addLayout(row("Accuracy over", self.conditions))
        column.addWidget(self.accuracy, 1)
        self.tabs.addTab(self.confusion, "Confusion")
        self.tabs.addTab(self.reliability, "Reliability")
        self.tabs.addTab(over, "Accuracy")
        for place, tip in enumerate(_TIPS):
            self.tabs.setTabToolTip(place, tip)
        self.add(self.tabs)
        self.save = button("Save figures…", "Write the figures as PNG and SVG into a folder")
        self.save.clicked.connect(self._ask_folder)
        self.add(row(self.save, None))
        self.hide()

    def show_report(self, report: Report) -> None:
        """Show how good a classifier is."""
        self.report = report
        self.title.setText(report.title)
        self.sentence.setText("\n".join(report.sentences))
        self.confusion.show_picture(report.pictures.get(CONFUSION))
        self.reliability.show_picture(report.pictures.get(RELIABILITY))
        names = [name for name in report.pictures if name not in (CONFUSION, RELIABILITY)]
        names.sort(
            key=lambda name: next((k for k, w in enumerate(_FIRST) if w in name), len(_FIRST))
        )
        self.conditions.clear()
        self.conditions.addItems(names)
        self.tabs.setTabEnabled(2, bool(names))
        self._show_condition()
        self.show()

    def _show_condition(self, *_: object) -> None:
        if self.report is not None:
            picture = self.report.pictures.get(self.conditions.currentText())
            self.accuracy.show_picture(picture)

    def _ask_folder(self) -> None:
        dialog = QFileDialog(self, "Folder for the figures")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(lambda path: self.save_figures(Path(path)))
        show_dialog(dialog)

    def save_figures(self, folder: Path) -> None:
        """Write the figures into a folder."""
        if self.report is None:
            return
        try:
            written = self.report.save(folder)
        except PolmapError as error:
            show_error(str(error))
        else:
            show_info(f"{len(written)} figures are in {folder}.")
