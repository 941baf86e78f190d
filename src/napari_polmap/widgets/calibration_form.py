"""The calibration's values: each with its unit, where it came from, and a way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QGridLayout, QLabel, QSizePolicy, QWidget

from napari_polmap.calibration import Calibration
from napari_polmap.widgets.parts import NARROW, row
from napari_polmap.widgets.tool_buttons import IconButton

_UNKNOWN = "not known"
_FAR = 100_000.0


@dataclass(frozen=True)
class _Value:
    name: str
    label: str
    unit: str
    decimals: int
    tooltip: str
    signed: bool = False
    always: bool = False  # has a value even if nobody gave one


_VALUES = (
    _Value("step_nm", "Scan step", "nm", 5, "Distance of neighboring probe positions"),
    _Value("lattice_nm", "Lattice period", "nm", 4, "Period of the (pseudo-cubic) lattice"),
    _Value("energy_kv", "Voltage", "kV", 1, "Acceleration voltage"),
    _Value("semi_angle_mrad", "Semi-angle", "mrad", 3, "Convergence semi-angle of the probe"),
    _Value("mrad_per_pixel", "Detector pixel", "mrad", 4, "Scattering angle of one detector pixel"),
    _Value("radius_px", "Disk radius", "px", 2, "Radius of the bright-field disk"),
    _Value(
        "rotation_deg",
        "Rotation",
        "°",
        2,
        "Turning the pattern counter-clockwise by this angle, after the flip, brings it into the "
        "scan's frame",
        signed=True,
        always=True,
    ),
    _Value(
        "crystal_angle_deg",
        "Crystal angle",
        "°",
        2,
        "Angle of the crystal's [100] against the scan's +x, counter-clockwise",
        signed=True,
        always=True,
    ),
)
_CENTER = "Center (ky, kx) of the bright-field disk; pixel centers are integers"
_ELLIPSE = (
    "Elliptical distortion: longer over shorter axis of the disk, and the angle of the longer one, "
    "counter-clockwise from +kx"
)
_DESCAN = "How far the beam wanders over the detector while it scans, from corner to corner"
_CIRCLE = "none"
_LARGEST_RATIO = 2.0
_FLIP = "Reverse the detector's rows (ky) before the rotation"


class CalibrationForm(QWidget):
    """Shows and edits a calibration; the signals carry what the user wants."""

    value_changed = Signal(str, object)
    """Name and value (None: forget it)."""
    reset = Signal(str)
    """Name of a value that goes back to the file's, or to a measured one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fields: dict[str, QDoubleSpinBox] = {}
        self.sources: dict[str, QLabel] = {}
        self.resets: dict[str, IconButton] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(5)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(1, 1)
        for value in _VALUES[:6]:
            self._add(value)
        self.center_ky, self.center_kx = _field("", 2, True), _field("", 2, True)
        for field in (self.center_ky, self.center_kx):
            field.setToolTip(_CENTER)
            field.valueChanged.connect(self._center_edited)
        center = QWidget()
        center.setLayout(row(self.center_ky, self.center_kx, spacing=3))
        self._place("center_px", "Center (px)", center, _CENTER)
        for value in _VALUES[6:]:
            self._add(value)
        self.flip = QCheckBox("reverse ky")
        self.flip.setToolTip(_FLIP)
        self.flip.toggled.connect(lambda on: self.value_changed.emit("flip", on))
        self._place("flip", "Flip", self.flip, _FLIP)
        self.ratio = _field("", 4, False)
        self.ratio.setRange(1.0, _LARGEST_RATIO)
        self.ratio.setSpecialValueText(_CIRCLE)
        self.angle = _field("°", 1, True, always=True)
        for field in (self.ratio, self.angle):
            field.setToolTip(_ELLIPSE)
            field.valueChanged.connect(self._ellipse_edited)
        ellipse = QWidget()
        ellipse.setLayout(row(self.ratio, self.angle, spacing=3))
        self._place("ellipse", "Ellipse", ellipse, _ELLIPSE)
        self.descan = QLabel()
        self.descan.setToolTip(_DESCAN)
        self._place("descan_px", "Descan", self.descan, _DESCAN)

    def _add(self, value: _Value) -> None:
        field = _field(value.unit, value.decimals, value.signed, always=value.always)
        field.setToolTip(value.tooltip)
        field.valueChanged.connect(lambda _, name=value.name: self._edited(name))
        self.fields[value.name] = field
        self._place(value.name, value.label, field, value.tooltip)

    def _place(self, name: str, label: str, field: QWidget, tooltip: str) -> None:
        line = self._grid.rowCount()
        text, source = QLabel(label), QLabel()
        text.setToolTip(tooltip)
        source.setToolTip("Where the value came from: the file, a measurement, or you")
        back = IconButton("home", "Back to the file's value, or measure it again")
        back.clicked.connect(lambda _=False: self.reset.emit(name))
        self.sources[name], self.resets[name] = source, back
        for column, widget in enumerate((text, field, source, back)):
            self._grid.addWidget(widget, line, column)

    def _edited(self, name: str) -> None:
        field = self.fields[name]
        always = any(value.name == name and value.always for value in _VALUES)
        known = always or field.value() > field.minimum()
        self.value_changed.emit(name, field.value() if known else None)

    def _center_edited(self) -> None:
        ky, kx = self.center_ky.value(), self.center_kx.value()
        known = ky > -_FAR and kx > -_FAR
        if known or ky == kx:
            self.value_changed.emit("center_px", (ky, kx) if known else None)

    def _ellipse_edited(self) -> None:
        ratio = self.ratio.value()
        self.value_changed.emit("ellipse", (ratio, self.angle.value()) if ratio > 1 else None)

    def show_calibration(
        self,
        calibration: Calibration,
        loaded: Calibration,
        errors: Mapping[str, tuple[Any, Any]] | None = None,
        way: float | None = None,
    ) -> None:
        """Show values and where they came from.

        Parameters
        ----------
        calibration : Calibration
        loaded : Calibration
            As the file had it; tells which values can be reset.
        errors : mapping of str to (value, error), optional
            Measured values with their standard errors.
        way : float, optional
            How far the descan moves the beam over the scan in pixels.
        """
        for name, field in self.fields.items():
            _set(field, getattr(calibration, name))
        center: Any = calibration.center_px or (None, None)
        _set(self.center_ky, center[0])
        _set(self.center_kx, center[1])
        with QSignalBlocker(self.flip):
            self.flip.setChecked(calibration.flip)
        ratio, angle = calibration.ellipse or (None, 0.0)
        _set(self.ratio, ratio)
        _set(self.angle, angle)
        self.angle.setEnabled(ratio is not None)
        self.descan.setText(f"{way:.2f} px" if way else "none")
        for name, label in self.sources.items():
            source = calibration.sources.get(name, "")
            value, error = (errors or {}).get(name, (None, None))
            told = (
                error is not None and source == "measured" and value == getattr(calibration, name)
            )
            accuracy = f"<br><small>{_accuracy(name, error)}</small>" if told else ""
            label.setText(source + accuracy)
            label.setEnabled(source == "user")
            changed = getattr(calibration, name) != getattr(loaded, name)
            back = source == "user" or (source == "measured" and name in loaded.sources)
            offered = back or (changed and name in loaded.sources) or self._extra(name, calibration)
            self.resets[name].setVisible(offered)

    @staticmethod
    def _extra(name: str, calibration: Calibration) -> bool:
        """Whether a correction is made that can be left out."""
        return name in ("descan_px", "ellipse") and getattr(calibration, name) is not None


def _accuracy(name: str, error: Any) -> str:
    """A standard error, the larger of two, in one digit with its unit."""
    largest = max(error) if isinstance(error, tuple) else float(error)
    unit = " nm" if name.endswith("_nm") else "°" if name.endswith("_deg") else " px"
    return f"±{largest:.1g}{unit}"


def _field(unit: str, decimals: int, signed: bool, *, always: bool = False) -> QDoubleSpinBox:
    field = QDoubleSpinBox()
    field.setDecimals(decimals)
    field.setRange(-_FAR if signed else 0.0, _FAR)
    field.setSuffix(f" {unit}" if unit not in ("°", "") else unit)
    field.setKeyboardTracking(False)
    field.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    if not always:
        field.setSpecialValueText(_UNKNOWN)
    # As wide as the dock lets it: by itself it would ask for its largest number.
    field.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    field.setStyleSheet(NARROW)
    return field


def _set(field: QDoubleSpinBox, value: float | None) -> None:
    with QSignalBlocker(field):
        field.setValue(field.minimum() if value is None else value)
