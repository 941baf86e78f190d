"""Why this direction: probability bars; the pattern the classifier saw beside the class mean."""

# ruff: noqa: N802  Qt names its own methods

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from napari.utils.colormaps import ensure_colormap
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from napari_polmap.mapping import Evidence
    from napari_polmap.viewer.reading import Reading

PATTERN, ANTISYMMETRIC, DIFFERENCE = "pattern", "antisymmetric part", "difference"
VIEWS = (PATTERN, ANTISYMMETRIC, DIFFERENCE)
_STALE_OPACITY = 0.45


class ProbabilityBars(QWidget):
    """A horizontal bar a direction, in its fixed color, with name, angle and percent."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._reading: Reading | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_reading(self, reading: Reading | None) -> None:
        """Show the probabilities of a reading, or nothing."""
        resized = _rows(self._reading) != _rows(reading)
        self._reading = reading
        if resized:
            self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Qt: one line a direction."""
        return QSize(220, _rows(self._reading) * self._row_height())

    def minimumSizeHint(self) -> QSize:
        """Qt: never cut a direction off."""
        return QSize(140, _rows(self._reading) * self._row_height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        """Qt: draw the bars."""
        reading = self._reading
        if reading is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = self.fontMetrics()
        labels = [reading.directions.label(i) for i in range(len(reading.directions))]
        left = max(metrics.horizontalAdvance(label) for label in labels) + 10
        right = metrics.horizontalAdvance("100 %") + 14  # bold is wider
        height, room = self._row_height(), max(10, self.width() - left - right)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        track = QColor(text)
        track.setAlpha(28)
        painter.setPen(Qt.PenStyle.NoPen)
        for index, (label, color) in enumerate(zip(labels, reading.directions.colors, strict=True)):
            share = float(np.clip(reading.probabilities[index], 0, 1))
            top = index * height
            chosen = index == reading.direction
            font = self.font()
            font.setBold(chosen)
            painter.setFont(font)
            painter.setPen(text)
            middle = Qt.AlignmentFlag.AlignVCenter
            painter.drawText(
                QRectF(0, top, left - 8, height), middle | Qt.AlignmentFlag.AlignRight, label
            )
            painter.drawText(
                QRectF(left + room + 6, top, right, height),
                middle | Qt.AlignmentFlag.AlignLeft,
                f"{share:.0%}".replace("%", " %"),
            )
            painter.setPen(Qt.PenStyle.NoPen)
            bar = QRectF(left, top + 3, room, height - 6)
            painter.setBrush(track)
            painter.drawRoundedRect(bar, 2, 2)
            painter.setBrush(QColor.fromRgbF(*color))
            painter.drawRoundedRect(QRectF(left, bar.top(), room * share, bar.height()), 2, 2)
        painter.end()

    def _row_height(self) -> int:
        return self.fontMetrics().height() + 4


class Picture(QWidget):
    """A small image, drawn with hard pixels as large as its place allows."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self.stale = False
        self.setMinimumSize(72, 72)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_values(
        self, values: npt.NDArray[np.floating] | None, low: float, high: float, colormap: str
    ) -> None:
        """Show values ``(h, w)`` between two limits in a colormap of napari's; None for nothing."""
        self._image = None
        if values is not None:
            span = high - low if high > low else 1.0
            index = np.clip((np.nan_to_num(values) - low) * (255 / span), 0, 255).astype(np.uint8)
            rgba = np.ascontiguousarray(_table(colormap)[index])
            height, width = values.shape
            image = QImage(rgba.data, width, height, 4 * width, QImage.Format.Format_RGBA8888)
            self._image = image.copy()  # the array goes away
        self.update()

    def sizeHint(self) -> QSize:
        """Qt: large enough to see the disk's structure."""
        return QSize(128, 128)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        """Qt: draw the image below its caption."""
        if self._image is None:
            return
        painter = QPainter(self)
        painter.setOpacity(_STALE_OPACITY if self.stale else 1.0)
        size = self._image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        left = (self.width() - size.width()) / 2
        painter.drawImage(QRectF(left, 0, size.width(), size.height()), self._image)
        painter.end()


class EvidencePanel(QWidget):
    """One line of result, the bars, and what the classifier saw beside the class mean."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._evidence: Evidence | None = None
        self._direction, self._name = 0, ""
        self.result = QLabel()
        self.result.setWordWrap(True)
        self.result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.bars = ProbabilityBars()
        self.view = QComboBox()
        self.view.addItems([view.capitalize() for view in VIEWS])
        self.view.setToolTip(
            "Pattern: as the classifier saw it, averaged over the window, in the crystal's frame.\n"
            "Antisymmetric part: p(k) − p(−k), where the polarization shows.\n"
            "Difference: seen pattern minus class mean."
        )
        self.view.currentIndexChanged.connect(self._draw)
        self.pictures = (Picture(), Picture())
        self.captions = (QLabel(), QLabel())
        for caption in self.captions:
            caption.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            caption.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.compare = QWidget()
        grid = QGridLayout(self.compare)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        choose = QHBoxLayout()
        choose.addWidget(QLabel("Compare"))
        choose.addWidget(self.view, 1)
        grid.addLayout(choose, 0, 0, 1, 2)
        for column in (0, 1):
            grid.addWidget(self.captions[column], 1, column)
            grid.addWidget(self.pictures[column], 2, column)
            grid.setColumnStretch(column, 1)
        grid.setRowStretch(2, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.result)
        layout.addWidget(self.bars)
        layout.addWidget(self.compare, 1)
        layout.addStretch(0)  # a text alone stays at the top
        self.show_reading(None)
        self.show_evidence(None)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not self.result.text() and self._evidence is None

    def show_reading(self, reading: Reading | None, otherwise: str = "") -> None:
        """Show a result with its probabilities, or the text `otherwise`."""
        self.bars.set_reading(reading)
        self.bars.setVisible(reading is not None)
        text = otherwise if reading is None else reading.text
        self.result.setText(text)
        font = self.result.font()
        font.setBold(reading is not None)
        self.result.setFont(font)
        self.result.setVisible(bool(text))

    def show_evidence(
        self,
        evidence: Evidence | None,
        direction: int = 0,
        name: str = "",
        *,
        waiting: bool = False,
    ) -> None:
        """Show what the classifier saw beside the mean of a direction.

        Parameters
        ----------
        evidence : Evidence, optional
        direction : int
            Which class mean stands beside it.
        name : str
            That direction's name.
        waiting : bool
            Evidence is on its way: what was shown last stays, dimmed.
        """
        for picture in self.pictures:
            picture.stale = waiting
        if evidence is not None or not waiting:
            self._evidence, self._direction, self._name = evidence, direction, name
        self._draw()

    def _draw(self) -> None:
        evidence = self._evidence
        self.compare.setVisible(evidence is not None)
        if evidence is None:
            return
        name = self._name
        seen, mean = evidence.seen, evidence.class_means[self._direction]
        view = VIEWS[self.view.currentIndex()]
        if view == PATTERN:
            for picture, values in zip(self.pictures, (seen, mean), strict=True):
                picture.set_values(values, 0.0, float(np.nanmax(values)), "gray")
            captions = ("seen", f"mean of {name}")
        else:
            if view == ANTISYMMETRIC:
                values = (antisymmetric(seen), antisymmetric(mean))
                captions = ("seen", f"mean of {name}")
            else:
                values = (seen - mean, antisymmetric(seen) - antisymmetric(mean))
                captions = (f"seen − {name}", "its antisymmetric part")
            for picture, value in zip(self.pictures, values, strict=True):
                extent = float(np.nanpercentile(np.abs(value), 99.5)) or 1.0
                picture.set_values(value, -extent, extent, "PiYG")
            scale = float(np.mean(mean)) or 1.0
            captions = tuple(
                f"{caption} (±{np.nanpercentile(np.abs(value), 99.5) / scale:.0%})"
                for caption, value in zip(captions, values, strict=True)
            )
        for label, caption in zip(self.captions, captions, strict=True):
            label.setText(caption)


def antisymmetric(pattern: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """p(k) − p(−k) of a pattern centered on its disk, shape ``(h, w)``."""
    return pattern - pattern[::-1, ::-1]


def _rows(reading: Reading | None) -> int:
    return 0 if reading is None else len(reading.directions)


_TABLES: dict[str, npt.NDArray[np.uint8]] = {}


def _table(colormap: str) -> npt.NDArray[np.uint8]:
    """256 colors (RGBA) of one of napari's colormaps."""
    if colormap not in _TABLES:
        colors = ensure_colormap(colormap).map(np.linspace(0, 1, 256))
        _TABLES[colormap] = np.rint(colors * 255).astype(np.uint8)
    return _TABLES[colormap]
