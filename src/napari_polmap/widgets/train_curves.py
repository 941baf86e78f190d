"""Draws how a network learns: loss and validation, epoch by epoch."""

# ruff: noqa: N802  Qt names its own methods

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_polmap.classifiers import Curves

_HEIGHT = 150
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 36, 8, 20, 20, 40
_WORD = 40
"""Width of the word that stands before the epochs' numbers."""
_TRAINING, _VALIDATION = QColor(110, 165, 225), QColor(235, 160, 60)
_GRID = QColor(130, 135, 145, 60)
_TICKS = (1, 2, 5, 10)
_LEAST_EPOCHS = 4


class CurvesView(QWidget):
    """Loss of training and validation on the left, validation accuracy on the right."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.curves: Curves | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT)
        self.setToolTip(
            "Blue: loss on the training patterns; orange: loss and accuracy on patterns of "
            "specimens that are not learned from. Learning ends where the orange loss no longer "
            "falls, and the network of its lowest value is kept."
        )

    def sizeHint(self) -> QSize:
        """Qt: as wide as there is room."""
        return QSize(300, _HEIGHT)

    def show_curves(self, curves: Curves | None) -> None:
        """Show other curves, or none."""
        if curves is not self.curves:
            self.curves = curves
            self.update()

    def paintEvent(self, _: QPaintEvent) -> None:
        """Qt: draw."""
        curves = self.curves or Curves()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPointSizeF(max(6.0, 0.85 * font.pointSizeF()))
        painter.setFont(font)
        width = (self.width() - 2 * _LEFT - 2 * _RIGHT) / 2
        height = self.height() - _TOP - _BOTTOM
        left = QRectF(_LEFT, _TOP, width, height)
        right = QRectF(2 * _LEFT + _RIGHT + width, _TOP, width, height)
        losses = [(curves.loss, _TRAINING), (curves.validation_loss, _VALIDATION)]
        finite = [v for values, _ in losses for v in values if np.isfinite(v)]
        high = max(finite, default=1.0) or 1.0
        self._draw(painter, left, "loss", curves.epochs, losses, 1.05 * high)
        accuracy = [(curves.validation_accuracy, _VALIDATION)]
        self._draw(painter, right, "validation accuracy", curves.epochs, accuracy, 1.0)
        painter.end()

    def _draw(
        self,
        painter: QPainter,
        box: QRectF,
        title: str,
        epochs: Sequence[int],
        lines: Sequence[tuple[Sequence[float], QColor]],
        high: float,
    ) -> None:
        text = self.palette().text().color()
        last = max([*epochs, _LEAST_EPOCHS])
        for value in _ticks(high):
            y = box.bottom() - box.height() * value / high
            painter.setPen(QPen(_GRID, 1))
            painter.drawLine(QPointF(box.left(), y), QPointF(box.right(), y))
            painter.setPen(text)
            place = QRectF(box.left() - _LEFT, y - 8, _LEFT - 4, 16)
            painter.drawText(
                place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{value:g}"
            )
        for epoch in _ticks(last)[1:]:
            x = box.left() + box.width() * (epoch - 1) / (last - 1)
            if epoch == int(epoch) and x - _GAP / 4 > box.left() + _WORD:
                place = QRectF(x - _GAP / 2, box.bottom() + 2, _GAP, _BOTTOM - 2)
                painter.drawText(place, Qt.AlignmentFlag.AlignHCenter, f"{int(epoch)}")
        painter.drawText(
            QRectF(box.left(), box.bottom() + 2, _WORD, _BOTTOM - 2), 0, "epoch" if epochs else ""
        )
        painter.drawText(
            QRectF(box.left(), 0, box.width(), _TOP - 4), Qt.AlignmentFlag.AlignVCenter, title
        )
        right = box.right()
        for values, color in reversed(lines):
            points = [
                QPointF(
                    box.left() + box.width() * (epoch - 1) / (last - 1),
                    box.bottom() - box.height() * min(max(value / high, 0.0), 1.0),
                )
                for epoch, value in zip(epochs, values, strict=True)
                if np.isfinite(value)
            ]
            painter.setPen(QPen(color, 1.6))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawPolyline(QPolygonF(points))
            painter.setBrush(color)
            for point in points[-1:] if len(points) > 1 else points:
                painter.drawEllipse(point, 2.5, 2.5)
            if points:
                told = f"{[v for v in values if np.isfinite(v)][-1]:.3f}"
                wide = painter.fontMetrics().horizontalAdvance(told)
                painter.drawText(QPointF(right - wide, _TOP - 6), told)
                right -= wide + 8


def _ticks(high: float) -> list[float]:
    """Round values from 0 to `high`, three or four."""
    if high <= 0:
        return [0.0]
    rough = high / 3
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(power * t for t in _TICKS if power * t >= 0.7 * rough)
    return [float(round(k * step, 10)) for k in range(int(high / step + 1e-9) + 1)]
