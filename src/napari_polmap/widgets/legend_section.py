"""The dock's part that tells the colors: name, count and share of each direction; threshold."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QWidget
from superqt import QLabeledDoubleSlider

from napari_polmap.directions import DirectionSet
from napari_polmap.viewer.tags import Role
from napari_polmap.widgets.parts import Section, row
from napari_polmap.widgets.runs import Runs
from napari_polmap.widgets.tool_buttons import IconButton

_LAYERS = (
    (Role.POLARIZATION, "Directions"),
    (Role.ARROWS, "Arrows"),
    (Role.CONFIDENCE, "Confidence"),
    (Role.DEFECTS, "Defects"),
)


class LegendSection(Section):
    """Colors and counts of the directions, which layers are shown, and the threshold.

    Parameters
    ----------
    runs : Runs
    """

    def __init__(self, runs: Runs, parent: QWidget | None = None) -> None:
        super().__init__("Directions", parent=parent)
        self.runs = runs
        self.session = runs.session
        self.manager = runs.controller.manager
        self._shown: DirectionSet | None = None
        self.counts: list[QLabel] = []
        self.names: list[QLabel] = []
        self.swatches: list[QLabel] = []
        self.threshold = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.threshold.setRange(0.0, 1.0)
        self.threshold.setSingleStep(0.01)
        self.threshold.setDecimals(2)
        self.threshold.setToolTip(
            "Positions of less confidence are undecided and transparent; nothing is computed again"
        )
        self.threshold.valueChanged.connect(runs.set_threshold)
        self.threshold.sliderReleased.connect(runs.keep)
        self.own = IconButton("home", "Back to the classifier's own threshold")
        self.own.clicked.connect(self._take_own)
        line = row("Undecided below", self.threshold, self.own)
        line.setStretch(1, 1)
        self.add(line)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(1, 1)
        self.add(self._grid)
        self.layers: dict[Role, QCheckBox] = {}
        for role, label in _LAYERS:
            box = QCheckBox(label)
            box.setToolTip(f"Show the layer of {label.lower()}; a removed one comes back")
            box.toggled.connect(lambda on, role=role: self.manager.show(role, on))
            self.layers[role] = box
        boxes = QGridLayout()
        for number, box in enumerate(self.layers.values()):
            boxes.addWidget(box, number // 2, number % 2)
        self.add(boxes)
        self.refresh()

    def _take_own(self) -> None:
        polarization_map = self.session.map
        if polarization_map is not None:
            self.threshold.setValue(float(polarization_map.classifier.get("threshold", 0.0)))
            self.runs.keep()

    def refresh(self) -> None:
        """Show the map's directions and counts."""
        polarization_map = self.session.map
        self.body.setEnabled(polarization_map is not None)
        self.refresh_layers()
        if polarization_map is None:
            return
        with QSignalBlocker(self.threshold):
            self.threshold.setValue(polarization_map.threshold)
        directions = polarization_map.shown_directions
        if directions != self._shown:
            self._build(directions)
        labels = polarization_map.labels()
        counts = np.bincount(labels.ravel(), minlength=256)[: len(directions)]
        computed = int(np.count_nonzero(polarization_map.computed))
        numbers = [*counts.tolist(), computed - int(counts.sum())]
        for label, number in zip(self.counts, numbers, strict=True):
            label.setText(f"{number:,}  ·  {number / max(1, computed):.1%}")

    def refresh_layers(self) -> None:
        """Show which layers are shown."""
        for role, box in self.layers.items():
            with QSignalBlocker(box):
                box.setChecked(self.manager.shown(role))

    def _build(self, directions: DirectionSet) -> None:
        self._shown = directions
        while (item := self._grid.takeAt(0)) is not None:
            item.widget().deleteLater()
        self.counts, self.names, self.swatches = [], [], []
        colors = [
            f"rgb({', '.join(str(round(255 * c)) for c in rgb)})" for rgb in directions.colors
        ]
        rows = [
            *((color, directions.label(index)) for index, color in enumerate(colors)),
            ("transparent", "undecided"),
        ]
        for line, (color, name) in enumerate(rows):
            swatch = QLabel()
            swatch.setFixedSize(16, 12)
            swatch.setStyleSheet(f"background: {color}; border: 1px solid rgb(128, 128, 128);")
            number = QLabel()
            number.setAlignment(Qt.AlignmentFlag.AlignRight)
            number.setToolTip("Positions, and their share of all computed ones")
            label = QLabel(name)
            for column, widget in enumerate((swatch, label, number)):
                self._grid.addWidget(widget, line, column)
            self.swatches.append(swatch)
            self.names.append(label)
            self.counts.append(number)
