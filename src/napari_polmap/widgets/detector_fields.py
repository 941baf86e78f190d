"""Number fields of a virtual detector's shape."""

from __future__ import annotations

import dataclasses
import math

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QWidget

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.detectors import (
    AnnulusDetector,
    Detector,
    DiskDetector,
    PolygonDetector,
    RectangleDetector,
    WedgeDetector,
)
from napari_polmap.errors import CalibrationError
from napari_polmap.widgets.parts import NARROW

_LARGEST = 100_000.0
_LENGTHS = ("radius", "inner", "outer", "height", "width")
_CENTER = ("center_ky", "center_kx")
_TEXTS = {
    "center_ky": ("Center ky", "Row of the center, in detector pixels"),
    "center_kx": ("Center kx", "Column of the center, in detector pixels"),
    "radius": ("Radius", "Radius in detector pixels"),
    "inner": ("Inner radius", "Inner radius in detector pixels"),
    "outer": ("Outer radius", "Outer radius in detector pixels; 0 for all that lies beyond"),
    "height": ("Height", "Along ky, in detector pixels"),
    "width": ("Width", "Along kx, in detector pixels"),
    "angle_deg": ("Angle", "Of the wedge's middle, counter-clockwise from +kx"),
    "width_deg": ("Opening", "Angle between the wedge's sides"),
}
_FIELDS: dict[type, tuple[str, ...]] = {
    DiskDetector: (*_CENTER, "radius"),
    AnnulusDetector: (*_CENTER, "inner", "outer"),
    WedgeDetector: (*_CENTER, "inner", "outer", "angle_deg", "width_deg"),
    RectangleDetector: (*_CENTER, "height", "width"),
    PolygonDetector: (),
}


class DetectorFields(QWidget):
    """Fields for a shape's center, lengths and angles, in step with the mouse."""

    edited = Signal(object)
    """The user typed another shape, a `Detector`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.shape_: Detector | None = None
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(3)
        self.fields: dict[str, QDoubleSpinBox] = {}
        self.labels: dict[str, QLabel] = {}
        self.units: dict[str, QLabel] = {}
        for row, (name, (text, tooltip)) in enumerate(_TEXTS.items()):
            field = QDoubleSpinBox()
            field.setStyleSheet(NARROW)
            angle = name.endswith("_deg")
            field.setRange(-360.0 if angle else -_LARGEST, 360.0 if angle else _LARGEST)
            if name in _LENGTHS or name == "width_deg":
                field.setMinimum(0.0)
            if name == "outer":
                field.setSpecialValueText("∞")
            field.setDecimals(1 if angle else 2)
            field.setSuffix("°" if angle else " px")
            field.setKeyboardTracking(False)
            field.setToolTip(tooltip)
            field.valueChanged.connect(self._take)
            self.fields[name] = field
            self.labels[name], self.units[name] = QLabel(text), QLabel()
            for column, widget in enumerate((self.labels[name], field, self.units[name])):
                grid.addWidget(widget, row, column)
        grid.setColumnStretch(2, 1)
        self.show_shape(None, Calibration())

    def show_shape(self, shape: Detector | None, calibration: Calibration) -> None:
        """Show the numbers of a shape; lengths also in mrad and in radii of the disk."""
        self.shape_ = shape
        names = () if shape is None else _FIELDS[type(shape)]
        for name, field in self.fields.items():
            used = name in names
            for widget in (field, self.labels[name], self.units[name]):
                widget.setVisible(used)
            if not used:
                continue
            value = _value(shape, name)
            if abs(field.value() - value) > 0.5 * 10 ** -field.decimals():
                with QSignalBlocker(field):
                    field.setValue(value)
            self.units[name].setText(_units(name, value, calibration))

    def _take(self) -> None:
        shape = self.shape_
        if shape is None or isinstance(shape, PolygonDetector):
            return
        # Of a field that was not touched the exact value stays.
        values = {}
        for name in _FIELDS[type(shape)]:
            before, now = _value(shape, name), self.fields[name].value()
            changed = abs(now - before) > 0.5 * 10 ** -self.fields[name].decimals()
            values[name] = now if changed else before
        center = (values.pop("center_ky"), values.pop("center_kx"))
        if values.get("outer") == 0:
            values["outer"] = math.inf
        try:
            self.edited.emit(dataclasses.replace(shape, center=center, **values))
        except CalibrationError:
            # A radius on its way past the other one, or of nothing: the last shape stays.
            self.show_shape(shape, Calibration())


def _value(shape: Detector | None, name: str) -> float:
    if name in _CENTER:
        return float(shape.center[_CENTER.index(name)])
    value = float(getattr(shape, name))
    if name == "angle_deg":
        return (value + 180) % 360 - 180
    return 0.0 if math.isinf(value) else value


def _units(name: str, value: float, calibration: Calibration) -> str:
    """A length in mrad and in radii of the bright-field disk, where those are known."""
    if name not in _LENGTHS or not value:
        return ""
    parts = []
    if calibration.disk_mrad_per_pixel is not None:
        parts.append(f"{value * calibration.disk_mrad_per_pixel:.2f} mrad")
    if calibration.radius_px is not None:
        parts.append(f"{value / calibration.radius_px:.2f} R")
    return " · ".join(parts)
