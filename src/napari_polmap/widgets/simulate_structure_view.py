"""Draws a crystal along the beam: columns of atoms, cells, polarization, truth of a scene."""

# ruff: noqa: N802  Qt names its own methods

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QBrush, QColor, QImage, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_polmap.directions import NOT_COMPUTED
from napari_polmap.viewer.simulation_structure import Atoms, Structure, element_color

_HEIGHT, _LEAST = 300, 200
_MARGIN, _LEGEND = 6, 20
_LEAST_PX = 1.5
_TINT, _SCENE_ATOMS = 0.30, 0.6
_DEFECT = (255, 64, 51, 90)
_HEAD = 0.32


class StructureView(QWidget):
    """Shows a structure, with a legend of the elements below."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.structure: Structure | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT)
        self.setMinimumWidth(_LEAST)

    def sizeHint(self) -> QSize:
        """Qt: about square."""
        return QSize(_HEIGHT, _HEIGHT)

    def show_structure(self, structure: Structure | None) -> None:
        """Show another structure, or nothing."""
        self.structure = structure
        self.update()

    def paintEvent(self, _: QPaintEvent) -> None:
        """Qt: draw."""
        structure = self.structure
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if structure is None:
            painter.setPen(self.palette().placeholderText().color())
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "Nothing to show yet")
            painter.end()
            return
        size = structure.high - structure.low
        space = (self.height() - 2 * _MARGIN - _LEGEND, self.width() - 2 * _MARGIN)
        self._scale = float(min(space[0] / size[0], space[1] / size[1]))
        self._top = (
            _MARGIN + (space[0] - self._scale * size[0]) / 2 - self._scale * structure.low[0]
        )
        self._left = (
            _MARGIN + (space[1] - self._scale * size[1]) / 2 - self._scale * structure.low[1]
        )
        field = QRectF(self._point(structure.low), self._point(structure.high))
        painter.save()
        painter.setClipRect(field.adjusted(-1, -1, 1, 1))
        painter.fillRect(field, QColor(24, 26, 30))
        self._draw_truth(painter, structure)
        self._draw_cells(painter, structure)
        for atoms in structure.atoms:
            self._draw_atoms(painter, atoms, _SCENE_ATOMS if structure.labels is not None else 1.0)
        self._draw_arrows(painter, structure)
        painter.restore()
        self._draw_legend(painter, structure)
        painter.end()

    def _point(self, place: Sequence[float] | np.ndarray) -> QPointF:
        return QPointF(
            self._left + self._scale * float(place[1]), self._top + self._scale * float(place[0])
        )

    def _draw_truth(self, painter: QPainter, structure: Structure) -> None:
        if structure.labels is None or structure.defects is None:
            return
        labels = structure.labels
        image = np.zeros((*labels.shape, 4), np.uint8)
        for index, color in enumerate(structure.directions.colors):
            image[labels == index] = (*(int(255 * part) for part in color), int(255 * _TINT))
        image[labels == NOT_COMPUTED] = (128, 128, 128, 40)
        image[structure.defects] = _DEFECT
        image[structure.vacuum] = 0
        rows, columns = labels.shape
        data = np.ascontiguousarray(image)
        shown = QImage(data.data, columns, rows, 4 * columns, QImage.Format.Format_RGBA8888)
        half = structure.step_angstrom / 2
        last = np.array(labels.shape) * structure.step_angstrom - half
        painter.drawImage(QRectF(self._point((-half, -half)), self._point(last)), shown)

    def _draw_cells(self, painter: QPainter, structure: Structure) -> None:
        painter.setPen(QPen(QColor(150, 156, 165, 150), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for outline in structure.cells:
            painter.drawPolygon(QPolygonF([self._point(corner) for corner in outline]))

    def _draw_atoms(self, painter: QPainter, atoms: Atoms, opacity: float) -> None:
        painter.setOpacity(opacity)
        painter.setPen(QPen(QColor(10, 10, 10, 160), 0.7))
        radius = max(_LEAST_PX, self._scale * atoms.radius)
        for place in atoms.places:
            middle = self._point(place)
            box = QRectF(middle.x() - radius, middle.y() - radius, 2 * radius, 2 * radius)
            pie(painter, box, atoms)
        painter.setOpacity(1.0)

    def _draw_arrows(self, painter: QPainter, structure: Structure) -> None:
        for (middle, vector), color, along in zip(
            structure.arrows, structure.colors, structure.along_beam, strict=True
        ):
            shade = QColor.fromRgbF(*(float(part) for part in color))
            if along:
                self._draw_point(painter, self._point(middle), shade)
                continue
            length = float(np.hypot(*vector)) * self._scale
            if length < 2:
                continue
            start, end = self._point(middle - vector / 2), self._point(middle + vector / 2)
            draw_arrow(painter, start, end, shade)

    def _draw_point(self, painter: QPainter, middle: QPointF, color: QColor) -> None:
        painter.setPen(QPen(color, 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(middle, 7, 7)
        painter.setBrush(QBrush(color))
        painter.drawEllipse(middle, 1.5, 1.5)

    def _draw_legend(self, painter: QPainter, structure: Structure) -> None:
        painter.setPen(self.palette().text().color())
        metrics = painter.fontMetrics()
        shown = [name for name in structure.elements if structure.atoms]
        width = sum(metrics.horizontalAdvance(name) + 30 for name in shown)
        left, middle = (self.width() - width) / 2 + 8, self.height() - _LEGEND / 2
        for name in shown:
            painter.setPen(QPen(QColor(10, 10, 10, 160), 0.7))
            painter.setBrush(QBrush(QColor.fromRgbF(*element_color(name))))
            painter.drawEllipse(QPointF(left, middle), 5, 5)
            painter.setPen(self.palette().text().color())
            painter.drawText(QPointF(left + 9, middle + metrics.ascent() / 2 - 1), name)
            left += metrics.horizontalAdvance(name) + 30


def pie(painter: QPainter, box: QRectF, atoms: Atoms) -> None:
    """A circle in the colors of what stands there, by their shares."""
    if len(atoms.species) == 1:
        (name,) = atoms.species
        painter.setBrush(QBrush(QColor.fromRgbF(*element_color(name))))
        painter.drawEllipse(box)
        return
    begin = 90.0
    for name, share in atoms.species.items():
        painter.setBrush(QBrush(QColor.fromRgbF(*element_color(name))))
        painter.drawPie(box, int(16 * begin), int(16 * 360 * share))
        begin += 360 * share


def draw_arrow(painter: QPainter, start: QPointF, end: QPointF, color: QColor) -> None:
    """An arrow with a dark edge, so that it is seen on any color."""
    along = np.array([end.x() - start.x(), end.y() - start.y()])
    length = float(np.hypot(*along))
    along /= length
    across = np.array([-along[1], along[0]])
    head = max(3.0, _HEAD * length)
    shaft, wing = max(1.0, 0.1 * length), max(2.0, 0.5 * head)
    tip = np.array([end.x(), end.y()])
    tail, neck = np.array([start.x(), start.y()]), tip - head * along
    corners = (
        tail + 0.5 * shaft * across,
        neck + 0.5 * shaft * across,
        neck + wing * across,
        tip,
        neck - wing * across,
        neck - 0.5 * shaft * across,
        tail - 0.5 * shaft * across,
    )
    painter.setPen(QPen(QColor(0, 0, 0, 200), 1))
    painter.setBrush(QBrush(color))
    painter.drawPolygon(QPolygonF([QPointF(*corner) for corner in corners]))
