"""A light view of one image: grey values, a marked pixel, and arrows for the orientation."""

# ruff: noqa: N802  Qt names its own methods

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_polmap.viewer.contrast import Contrast, grey_values

_BACKGROUND = QColor(20, 22, 27)
_MARK = QColor(255, 200, 60)
_ARROW = QColor(120, 200, 255)
_TEXT = QColor(150, 155, 165)
_ARROW_PX, _INSET_PX = 22, 42
_LARGEST_RATIO = 8
_STEPS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}


class ImageView(QWidget):
    """Shows an image as large as there is room for; a click, or an arrow key, chooses a pixel.

    Parameters
    ----------
    contrast : Contrast
        How intensities become grey values.
    empty : str
        What stands there as long as there is no image.
    clickable : bool
        Whether pixels can be chosen.
    """

    picked = Signal(int, int)
    """Row and column of the pixel that the user chose."""

    def __init__(
        self,
        contrast: Contrast,
        empty: str = "",
        *,
        clickable: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.mark: tuple[int, int] | None = None
        self._contrast, self._empty, self._clickable = contrast, empty, clickable
        self._image: QImage | None = None
        self._grey: npt.NDArray[np.uint8] | None = None
        self._arrows: dict[str, tuple[float, float]] = {}
        self.setMinimumSize(110, 90)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        if clickable:
            self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            self.setCursor(Qt.CursorShape.CrossCursor)

    @property
    def shape(self) -> tuple[int, int] | None:
        """Rows and columns of the image, None where there is none."""
        return None if self._grey is None else (self._grey.shape[0], self._grey.shape[1])

    @property
    def grey(self) -> npt.NDArray[np.uint8] | None:
        """The grey values shown, shape (rows, columns)."""
        return self._grey

    def show_image(self, image: npt.NDArray[np.floating] | None) -> None:
        """Show intensities of shape (rows, columns), or nothing."""
        if image is None:
            self._image = self._grey = None
        else:
            self._grey = np.ascontiguousarray(grey_values(image, self._contrast))
            rows, columns = self._grey.shape
            # The array must live as long as the QImage, which does not copy it.
            self._image = QImage(
                self._grey.data, columns, rows, columns, QImage.Format.Format_Grayscale8
            )
        self.update()

    def show_mark(self, mark: tuple[int, int] | None) -> None:
        """Mark a pixel (row, column), or none."""
        self.mark = mark
        self.update()

    def show_arrows(self, arrows: Mapping[str, tuple[float, float]]) -> None:
        """Draw directions (row, column) by name in the lower left corner."""
        self._arrows = dict(arrows)
        self.update()

    def center_of(self, row: int, column: int) -> QPointF:
        """Where in the widget the middle of a pixel is drawn."""
        place, (rows, columns) = self._place(), self.shape or (1, 1)
        return QPointF(
            place.left() + (column + 0.5) * place.width() / columns,
            place.top() + (row + 0.5) * place.height() / rows,
        )

    def _place(self) -> QRectF:
        rows, columns = self.shape or (1, 1)
        # A scan of one line is drawn as a band.
        ratio = float(np.clip(rows / columns, 1 / _LARGEST_RATIO, _LARGEST_RATIO))
        width = min(self.width(), self.height() / ratio)
        size = width, width * ratio
        return QRectF((self.width() - size[0]) / 2, (self.height() - size[1]) / 2, *size)

    def _pick(self, row: int, column: int) -> None:
        self.show_mark((row, column))
        self.picked.emit(row, column)

    # Qt

    def sizeHint(self) -> QSize:
        """Qt: a small square by itself."""
        return QSize(200, 200)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Qt: choose the pixel under the mouse."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._pick_at(event.position())

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Qt: choose pixels while the mouse is dragged."""
        if event is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self._pick_at(event.position())

    def _pick_at(self, point: QPointF) -> None:
        place = self._place()
        if self._clickable and self.shape is not None and place.contains(point):
            rows, columns = self.shape
            row = int((point.y() - place.top()) * rows / place.height())
            column = int((point.x() - place.left()) * columns / place.width())
            self._pick(min(row, rows - 1), min(column, columns - 1))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Qt: move the mark with the arrow keys."""
        if event is None:
            return
        step = _STEPS.get(Qt.Key(event.key()))
        if step is None or self.mark is None or self.shape is None:
            super().keyPressEvent(event)
            return
        row, column = (
            min(max(at + by, 0), size - 1)
            for at, by, size in zip(self.mark, step, self.shape, strict=True)
        )
        self._pick(row, column)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: ARG002
        """Qt: draw."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), _BACKGROUND)
        if self._image is None:
            painter.setPen(_TEXT)
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(8, 8, -8, -8), int(flags), self._empty)
        else:
            painter.drawImage(self._place(), self._image)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._draw_mark(painter)
            self._draw_arrows(painter)
        if self.hasFocus():
            painter.setPen(QPen(_ARROW, 1))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def _draw_mark(self, painter: QPainter) -> None:
        if self.mark is None:
            return
        middle = self.center_of(*self.mark)
        painter.setPen(QPen(_MARK, 1.5))
        painter.drawEllipse(middle, 5.0, 5.0)

    def _draw_arrows(self, painter: QPainter) -> None:
        start = QPointF(_INSET_PX, self.height() - _INSET_PX)
        for width, color in ((4.0, _BACKGROUND), (1.8, _ARROW)):
            painter.setPen(QPen(color, width))
            for name, (down, across) in self._arrows.items():
                length = float(np.hypot(down, across)) or 1.0
                ahead = QPointF(across / length, down / length)
                side = QPointF(-ahead.y(), ahead.x())
                tip = start + ahead * _ARROW_PX
                painter.drawLine(start, tip)
                for turn in (1, -1):
                    painter.drawLine(tip, tip - ahead * 6 + side * (4 * turn))
                if color is _ARROW:
                    around = QRectF(0, 0, 24, 16)
                    around.moveCenter(tip + ahead * 9)
                    painter.drawText(around, int(Qt.AlignmentFlag.AlignCenter), name)
