"""The options a scan is opened with, as a form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_polmap.io.frames import ScanShape
from napari_polmap.viewer.import_options import DETECTOR_TURNS, TURNS, AxesOrder, parse_shape
from napari_polmap.viewer.import_preview import Facts
from napari_polmap.widgets.parts import button, combo, row

_ORDERS = {False: "scan, then detector", True: "detector, then scan"}
_LIST_PX = 104
_NUMBER_PX = 44
_MASKS = "Images (*.tif *.tiff *.npy)"


class ImportForm(QWidget):
    """Options of `napari_polmap.load_scan`: `options` tells them, `show_options` fills them in."""

    changed = Signal()
    """The user changed an option."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shapes: tuple[ScanShape, ...] = ()
        self._own: tuple[int, int] | None = None
        self._other_axes: str | None = None
        self._form = QFormLayout()
        self._form.setVerticalSpacing(5)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 8, 0)
        outer.addLayout(self._form)
        outer.addStretch(1)
        self._add_array()
        self._add_shape()
        self._add_axes()
        self._add_detector()
        self.show_facts(None)

    def _add_array(self) -> None:
        self.dataset = combo("Data set, in a file that holds several")
        self.dataset.currentIndexChanged.connect(self._choose_dataset)
        self._form.addRow("Data set", self.dataset)
        self.indices: list[QSpinBox] = []
        self._index = QWidget()
        self._index_row = QHBoxLayout(self._index)
        self._index_row.setContentsMargins(0, 0, 0, 0)
        self._form.addRow("Index", self._index)

    def _add_shape(self) -> None:
        self.shapes = QListWidget()
        self.shapes.setToolTip("Likely rows × columns, the likeliest first")
        self.shapes.setFixedHeight(_LIST_PX)
        self.shapes.currentRowChanged.connect(self._choose_shape)
        self.shape = QLineEdit()
        self.shape.setToolTip("Rows × columns as recorded, flyback columns included")
        self.shape.setPlaceholderText("from the file")
        self.shape.textEdited.connect(self._type_shape)
        self.flyback = QSpinBox()
        self.flyback.setRange(0, 9999)
        self.flyback.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.flyback.setFixedWidth(_NUMBER_PX)
        self.flyback.setStyleSheet("QSpinBox { min-width: 20px; padding: 1px 2px; }")
        self.flyback.setToolTip("Columns to cut from the end of each recorded row")
        self.flyback.valueChanged.connect(self._tell)
        self._form.addRow("Scan shape", self.shapes)
        self._form.addRow("", row(self.shape, "cut", self.flyback, "flyback"))

    def _add_axes(self) -> None:
        self.order = combo("Which axes come first in the file")
        for detector_first, text in _ORDERS.items():
            self.order.addItem(text, detector_first)
        self.scan_turn = combo("Brings the stored scan image upright")
        for axes, text in TURNS.items():
            self.scan_turn.addItem(text, axes)
        self.detector_turn = combo("Brings the stored patterns upright")
        for axes, text in DETECTOR_TURNS.items():
            self.detector_turn.addItem(text, axes)
        for choice, label in (
            (self.order, "Stored order"),
            (self.scan_turn, "Scan"),
            (self.detector_turn, "Detector"),
        ):
            choice.currentIndexChanged.connect(self._choose_axes)
            self._form.addRow(label, choice)

    def _add_detector(self) -> None:
        self.flip = QCheckBox("flip")
        self.flip.setToolTip("Reverse the detector's rows (ky) before the rotation")
        self.flip.toggled.connect(self._tell)
        self.rotation = QDoubleSpinBox()
        self.rotation.setRange(-360, 360)
        self.rotation.setDecimals(1)
        self.rotation.setSuffix("°")
        self.rotation.setToolTip(
            "Turning the pattern counter-clockwise by this angle, after the flip, brings it into "
            "the scan's frame"
        )
        self.rotation.valueChanged.connect(self._tell)
        self._form.addRow("Rotation", row(self.rotation, self.flip, None))
        self.bad_pixels = QLineEdit()
        self.bad_pixels.setPlaceholderText("none")
        self.bad_pixels.setToolTip("An image of the detector, not zero where a pixel is bad")
        self.bad_pixels.editingFinished.connect(self._end_bad_pixels)
        self._told_mask = ""
        mask = button("File…", "Choose an image of bad pixels")
        mask.clicked.connect(self._choose_mask)
        self._form.addRow("Bad pixels", row(self.bad_pixels, mask))

    # What the file holds

    def show_facts(self, facts: Facts | None) -> None:
        """Offer what a file holds; options stay as they are."""
        chosen = self.dataset.currentData()
        with QSignalBlocker(self.dataset):
            self.dataset.clear()
            arrays = facts.arrays if facts is not None else ()
            self.dataset.addItem("found by itself", None)
            for array in arrays:
                shape = " × ".join(str(n) for n in array.shape)
                self.dataset.addItem(f"{array.name}  ({shape}, {array.dtype})", array.name)
            self._choose(self.dataset, chosen)
        self._show_row(self.dataset, len(arrays) > 1)
        self._show_lengths(facts.lengths if facts is not None else ())
        self._own = facts.own_shape if facts is not None else None
        self._shapes = facts.shapes if facts is not None else ()
        with QSignalBlocker(self.shapes):
            self.shapes.clear()
            for shape in self._shapes:
                self.shapes.addItem(self._shape_text(shape))
        self._mark_shape()

    def _shape_text(self, shape: ScanShape) -> str:
        text = f"{shape.rows} × {shape.columns}"
        if shape.flyback:
            text += f", cut {shape.flyback} flyback column{'s' if shape.flyback > 1 else ''}"
        own = self._own == (shape.rows, shape.columns) and not shape.flyback
        return text + (" (from the file)" if own else "")

    def _show_lengths(self, lengths: tuple[int, ...]) -> None:
        if [spin.maximum() + 1 for spin in self.indices] == list(lengths):
            self._show_row(self._index, bool(lengths))
            return
        values = [spin.value() for spin in self.indices]
        while self.indices:
            spin = self.indices.pop()
            self._index_row.removeWidget(spin)
            spin.deleteLater()
        for place, length in enumerate(lengths):
            spin = QSpinBox()
            spin.setRange(0, length - 1)
            spin.setToolTip(f"Entry 0 to {length - 1} of axis {place + 1} of the file")
            spin.setValue(values[place] if place < len(values) else 0)
            spin.valueChanged.connect(self._tell)
            self._index_row.addWidget(spin)
            self.indices.append(spin)
        self._show_row(self._index, bool(lengths))

    def _show_row(self, field: QWidget, visible: bool) -> None:
        field.setVisible(visible)
        label = self._form.labelForField(field)
        if label is not None:
            label.setVisible(visible)

    # The options

    def options(self) -> dict[str, Any]:
        """Options of `napari_polmap.load_scan` that are not the defaults.

        Raises
        ------
        ValueError
            If a field makes no sense.
        """
        options: dict[str, Any] = {}
        if self.shape.text().strip():
            shape = parse_shape(self.shape.text())
            if shape is None:
                raise ValueError("The scan shape needs two numbers: rows × columns.")
            if shape != self._own:
                options["nav_shape"] = shape
        if self.dataset.currentData() is not None:
            options["dataset"] = self.dataset.currentData()
        if self.indices:
            options["index"] = tuple(spin.value() for spin in self.indices)
        axes = self._other_axes or self._axes().text
        if axes is not None:
            options["axes"] = axes
        if self.flyback.value():
            options["flyback"] = self.flyback.value()
        if self.bad_pixels.text().strip():
            options["bad_pixels"] = Path(self.bad_pixels.text().strip()).expanduser()
        if self.rotation.value():
            options["rotation_deg"] = self.rotation.value()
        if self.flip.isChecked():
            options["flip"] = True
        return options

    def _axes(self) -> AxesOrder:
        return AxesOrder(
            self.scan_turn.currentData(),
            self.detector_turn.currentData(),
            bool(self.order.currentData()),
        )

    def show_options(self, options: Mapping[str, Any]) -> None:
        """Fill in options; those that are missing go back to their defaults."""
        blocked = [
            QSignalBlocker(field)
            for field in (
                self.dataset,
                self.order,
                self.scan_turn,
                self.detector_turn,
                self.flyback,
                self.flip,
                self.rotation,
                *self.indices,
            )
        ]
        shape = options.get("nav_shape") or self._own
        self.shape.setText("" if shape is None else f"{shape[0]} × {shape[1]}")
        self.flyback.setValue(int(options.get("flyback") or 0))
        self._choose(self.dataset, options.get("dataset"))
        index = options.get("index")
        index = () if index is None else (index,) if isinstance(index, int) else tuple(index)
        for spin, value in zip(self.indices, index, strict=False):
            spin.setValue(value)
        order = AxesOrder.parse(options.get("axes"))
        self._other_axes = options["axes"] if order is None else None
        order = order or AxesOrder()
        self._choose(self.order, order.detector_first)
        self._choose(self.scan_turn, order.scan)
        self._choose(self.detector_turn, order.detector)
        self._told_mask = str(options.get("bad_pixels") or "")
        self.bad_pixels.setText(self._told_mask)
        self.rotation.setValue(float(options.get("rotation_deg") or 0))
        self.flip.setChecked(bool(options.get("flip")))
        del blocked
        self._mark_shape()

    @staticmethod
    def _choose(choice: QComboBox, data: Any) -> None:
        index = choice.findData(data)
        if index < 0 and data is not None:
            choice.addItem(str(data), data)
            index = choice.count() - 1
        choice.setCurrentIndex(max(index, 0))

    # What the user does

    def _tell(self, *_: Any) -> None:
        self._mark_shape()
        self.changed.emit()

    def _choose_dataset(self) -> None:
        # Shape and index were those of another array.
        with QSignalBlocker(self.flyback):
            self.flyback.setValue(0)
        self.shape.clear()
        self._own = None
        self._show_lengths(())
        self.changed.emit()

    def _choose_shape(self, line: int) -> None:
        if 0 <= line < len(self._shapes):
            shape = self._shapes[line]
            self.shape.setText(f"{shape.rows} × {shape.columns}")
            with QSignalBlocker(self.flyback):
                self.flyback.setValue(shape.flyback)
            self.changed.emit()

    def _type_shape(self) -> None:
        self._mark_shape()
        if not self.shape.text().strip() or parse_shape(self.shape.text()) is not None:
            self.changed.emit()

    def _choose_axes(self) -> None:
        self._other_axes = None
        # The frames may be others now.
        self.changed.emit()

    def _mark_shape(self) -> None:
        """Select the entry of the list that the fields say."""
        now = parse_shape(self.shape.text()), self.flyback.value()
        lines = [((s.rows, s.columns), s.flyback) for s in self._shapes]
        with QSignalBlocker(self.shapes):
            self.shapes.setCurrentRow(lines.index(now) if now in lines else -1)

    def _choose_mask(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Bad pixels", "", _MASKS)
        if path:
            self.bad_pixels.setText(path)
            self._end_bad_pixels()

    def _end_bad_pixels(self) -> None:
        if self.bad_pixels.text() != self._told_mask:
            self._told_mask = self.bad_pixels.text()
            self.changed.emit()
