"""A card for one way the detector may be turned: what it is, what it makes of directions."""

# ruff: noqa: N802  Qt names its own methods

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QFrame, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_polmap.calibration import Calibration
from napari_polmap.directions import NOT_COMPUTED, angle_color
from napari_polmap.polarization_map import PolarizationMap
from napari_polmap.widgets.parts import button, row, wrapped

if TYPE_CHECKING:
    from napari_polmap.diffraction.orientation import Candidate

_SIDE = 62
_SAME_DEG = 0.05
_NEAR_DEG = 10.0
_MOST_NAMES = 4


class DirectionSketch(QWidget):
    """Two arrows: a direction as it is shown now, dashed, and as it would be."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.now_deg, self.then_deg = 0.0, 0.0
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def show_angles(self, now_deg: float, then_deg: float) -> None:
        """Draw other angles, counter-clockwise from +x with +y up."""
        self.now_deg, self.then_deg = now_deg, then_deg
        self.setToolTip(
            f"Dashed: as shown now ({now_deg:.0f}°); solid: with this ({then_deg:.0f}°)"
        )
        self.update()

    def sizeHint(self) -> QSize:
        """Qt: a small square."""
        return QSize(_SIDE, _SIDE)

    def paintEvent(self, _: QPaintEvent) -> None:
        """Qt: draw the arrows."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(1, 1, self.width() - 2, self.height() - 2)
        painter.setPen(QPen(QColor(128, 128, 128, 120), 1))
        painter.drawRoundedRect(frame, 4, 4)
        grey = self.palette().windowText().color()
        grey.setAlpha(150)
        self._arrow(painter, self.now_deg, grey, Qt.PenStyle.DashLine, 0.72)
        color = QColor.fromRgbF(*angle_color(self.then_deg))
        self._arrow(painter, self.then_deg, color, Qt.PenStyle.SolidLine, 0.88)
        painter.end()

    def _arrow(
        self, painter: QPainter, angle_deg: float, color: QColor, style: Qt.PenStyle, length: float
    ) -> None:
        middle = QPointF(self.width() / 2, self.height() / 2)
        angle = math.radians(angle_deg)
        along = QPointF(math.cos(angle), -math.sin(angle))
        across = QPointF(-along.y(), along.x())
        tip = middle + along * (length * self.width() / 2)
        painter.setPen(QPen(color, 2.5, style))
        painter.drawLine(middle, tip - along * 7)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawPolygon(
            QPolygonF([tip, tip - along * 9 + across * 5, tip - along * 9 - across * 5])
        )


class CandidateCard(QFrame):
    """One candidate with a sketch, what it implies, and a button that takes it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.sketch = DirectionSketch()
        self.title = QLabel()
        self.title.setStyleSheet("font-weight: bold;")
        self.text = wrapped()
        self.use = button("Use", "Take this rotation and flip")
        words = QVBoxLayout()
        words.setContentsMargins(0, 0, 0, 0)
        words.setSpacing(2)
        words.addLayout(row(self.title, None, self.use))
        words.addWidget(self.text)
        words.addStretch(1)
        outer = row(self.sketch)
        outer.setContentsMargins(5, 5, 5, 5)
        outer.addLayout(words, 1)
        self.setLayout(outer)

    def show_candidate(
        self,
        candidate: Candidate,
        error_deg: float,
        calibration: Calibration,
        polarization_map: PolarizationMap | None,
    ) -> None:
        """Show a candidate beside what holds now, or what the map was made with."""
        flip = "flipped" if candidate.flip else "no flip"
        self.title.setText(f"{candidate.rotation_deg:.1f} ± {error_deg:.1f}°, {flip}")
        used = candidate.holds(calibration)
        self.use.setEnabled(not used)
        self.use.setText("In use" if used else "Use")
        before = calibration if polarization_map is None else polarization_map.calibration
        now = _commonest(polarization_map)
        self.sketch.show_angles(now, candidate.implied_angle(now, before))
        self.text.setText(implication(candidate, before, polarization_map))


def implication(
    candidate: Candidate, before: Calibration, polarization_map: PolarizationMap | None
) -> str:
    """What a candidate makes of directions found with another calibration, in words."""
    turn = (candidate.implied_angle(0.0, before) + 180) % 360 - 180
    if candidate.flip != before.flip:
        told = "Directions are mirrored"
        told += f", then turned by {turn:.0f}°" if abs(turn) > _NEAR_DEG else ""
    elif abs(turn) <= _NEAR_DEG:
        told = "Directions stay as they are shown" if polarization_map else "Directions stay"
        told += f", but for {turn:.1f}°" if abs(turn) > _SAME_DEG else ""
    elif abs(abs(turn) - 180) <= _NEAR_DEG:
        told = "Every direction is reversed"
    else:
        told = f"Directions turn by {turn:.0f}°"
    return told + _names(candidate, before, polarization_map) + "."


def _names(
    candidate: Candidate, before: Calibration, polarization_map: PolarizationMap | None
) -> str:
    """Which names of the map's directions become which, the most frequent first."""
    if polarization_map is None:
        return ""
    shown = polarization_map.shown_directions
    angles = {k: a for k, a in enumerate(shown.angles_deg) if a is not None}
    swaps = []
    for index in _frequent(polarization_map):
        if index not in angles:
            continue
        then = candidate.implied_angle(angles[index], before)
        nearest = min(angles, key=lambda k: abs((angles[k] - then + 180) % 360 - 180))
        if nearest != index:
            swaps.append(f"{shown.names[index]} becomes {shown.names[nearest]}")
    return f": {', '.join(swaps[:_MOST_NAMES])}" if swaps else ""


def _frequent(polarization_map: PolarizationMap) -> list[int]:
    computed = polarization_map.direction[polarization_map.direction != NOT_COMPUTED]
    counts = np.bincount(computed.ravel(), minlength=1)
    return [int(k) for k in np.argsort(-counts) if counts[k] > 0]


def _commonest(polarization_map: PolarizationMap | None) -> float:
    """The angle the map shows most often; that of +x without a map."""
    if polarization_map is None:
        return 0.0
    angles = polarization_map.shown_directions.angles_deg
    return next((a for k in _frequent(polarization_map) if (a := angles[k]) is not None), 0.0)
