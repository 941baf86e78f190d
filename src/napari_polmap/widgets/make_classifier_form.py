"""What the user is asked for, to make a classifier for the open scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QSpinBox, QVBoxLayout, QWidget

from napari_polmap.mapping.scan_spec import SPECIMENS, TILT_MRAD
from napari_polmap.viewer.making import Wish, materials
from napari_polmap.widgets.parts import NARROW, combo, row

FORM = "as described below"
"""The crystal of the dock's own form."""
_QUALITIES = {"Quick": "quick", "Thorough": "full"}


class MakeClassifierForm(QWidget):
    """Material, thickness, quality, specimens and tilt.

    Parameters
    ----------
    described : callable
        Gives the values of the description that the dock shows.
    """

    changed = Signal()

    def __init__(
        self, described: Callable[[], Mapping[str, Any]], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._described = described
        self.material = combo("What the specimen is made of")
        self.material.addItems([*materials(), FORM])
        self.thinnest = _number(20.0, 1.0, 500.0, " nm", "Lowest thickness it may have")
        self.thickest = _number(40.0, 1.0, 500.0, " nm", "Highest thickness it may have")
        self.quality = combo("How many specimens, thicknesses how far apart, how fine a grid")
        for text, name in _QUALITIES.items():
            self.quality.addItem(text, name)
        self.tilt = _number(2.0, 0.0, 40.0, " mrad", "Largest tilt of the zone axis to the beam")
        self.training = _count(2, "Specimens for training: more make it surer, and take longer")
        self.testing = _count(1, "Specimens for testing, which it never sees before")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(5)
        for line in (
            row("Material", self.material, self.quality),
            row("Thickness", self.thinnest, "to", self.thickest, None),
            row("Tilt up to", self.tilt, None),
            row("Specimens", self.training, "and", self.testing, "for testing", None),
        ):
            column.addLayout(line)
        self.material.activated.connect(self._tell)
        self.quality.activated.connect(self._take_quality)
        for field in (self.thinnest, self.thickest, self.tilt, self.training, self.testing):
            field.valueChanged.connect(self._tell)
        self._take_quality()

    def wish(self) -> Wish:
        """What is asked for."""
        material: str | Mapping[str, Any] = self.material.currentText()
        if material == FORM:
            material = dict(self._described().get("crystal", {}))
        return Wish(
            material,
            (self.thinnest.value(), self.thickest.value()),
            self.quality.currentData(),
            (self.training.value(), self.testing.value()),
            self.tilt.value(),
        )

    def _tell(self, *_: object) -> None:
        self.changed.emit()

    def _take_quality(self, *_: object) -> None:
        quality = self.quality.currentData()
        for field, value in zip((self.training, self.testing), SPECIMENS[quality], strict=True):
            field.setValue(value)
        self.tilt.setValue(TILT_MRAD[quality])
        self.changed.emit()


def _number(value: float, low: float, high: float, unit: str, tip: str) -> QDoubleSpinBox:
    field = QDoubleSpinBox()
    field.setRange(low, high)
    field.setDecimals(1)
    field.setValue(value)
    field.setSuffix(unit)
    field.setToolTip(tip)
    field.setStyleSheet(NARROW)
    return field


def _count(low: int, tip: str) -> QSpinBox:
    field = QSpinBox()
    field.setRange(low, 999)
    field.setToolTip(tip)
    return field
