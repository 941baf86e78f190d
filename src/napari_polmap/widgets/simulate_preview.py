"""The Simulate dock's preview: the structure along the beam, and a few patterns."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.utils.notifications import show_error
from qtpy.QtCore import QSignalBlocker, Qt, QTimer
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QProgressBar, QWidget

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.cells import directions_of
from napari_polmap.simulation.installed import INSTALL, can_simulate
from napari_polmap.simulation.spec import Spec
from napari_polmap.viewer.latest import LatestJob
from napari_polmap.viewer.simulation_patterns import PatternPreview, iter_preview_patterns
from napari_polmap.viewer.simulation_structure import Structure, see_structure
from napari_polmap.viewer.simulation_values import SimulationValues
from napari_polmap.widgets.bridge import Bridge
from napari_polmap.widgets.jobs import Activity, Jobs
from napari_polmap.widgets.parts import Section, button, combo, connect_while, row, wrapped
from napari_polmap.widgets.simulate_structure_view import StructureView

PATTERNS = "pattern preview"
_QUIET_MS = 250
_THUMB_PX = 76
_HINT = (
    "Mean pattern of a cell for each direction at two thicknesses, with its antisymmetric part, "
    "which is what the polarization shows in."
)


class PreviewSection(Section):
    """Shows what is going to be simulated.

    Parameters
    ----------
    values : SimulationValues
    """

    def __init__(self, values: SimulationValues, parent: QWidget | None = None) -> None:
        super().__init__("Preview", parent=parent)
        self.values = values
        self.jobs = Jobs()
        self._bridge = Bridge()
        self.latest = LatestJob(self._bridge.deliver, "polmap-simulate-structure")
        self.direction = combo("Which direction of the polarization is drawn")
        self.direction.activated.connect(lambda _: self._see())
        self.choice = QWidget()
        self.choice.setLayout(row("Direction", self.direction))
        self.add(self.choice)
        self.view = StructureView()
        self.view.setToolTip(
            "Seen along the beam: columns of atoms (of two colors where elements are mixed), and "
            "the polarization as arrows in the colors of the directions. Of a scene also its true "
            "directions, and its defects in red."
        )
        self.add(self.view)
        self.text = wrapped()
        self.add(self.text)
        self.run = button("Preview patterns", _HINT)
        self.run.clicked.connect(self.start)
        self.cancel = button("Cancel", "Stop; the patterns that are there stay")
        self.cancel.clicked.connect(lambda: self.jobs.stop(PATTERNS))
        self.as_drawn = QCheckBox("as drawn")
        self.as_drawn.setToolTip(
            "With the tilt, the arrangement and the magnitude of the first specimen, instead of a "
            "crystal without tilt in the middle of all ranges: how much these hide the polarization"
        )
        self.add(row(self.run, self.cancel, self.as_drawn, None))
        self.bar = QProgressBar()
        self.bar.setMaximumHeight(16)
        self.add(self.bar)
        self.patterns = PatternGrid()
        self.add(self.patterns)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_QUIET_MS)
        self._timer.timeout.connect(self._see)
        connect_while(
            self, [(values.changed, self._on_changed), (self.jobs.activity_changed, self.refresh)]
        )
        self.refresh()
        self._timer.start()

    def close_section(self) -> None:
        """End the background work."""
        self._timer.stop()
        self.jobs.drop_all()
        self.latest.close()

    # Structure

    def _on_changed(self, _: str) -> None:
        self._timer.start()
        self.patterns.outdate()

    def _see(self) -> None:
        try:
            spec = self.values.spec()
            names = () if spec.scene is not None else directions_of(spec).names
        except PolmapError as error:
            self._failed(error)
            return
        self.choice.setVisible(bool(names))
        with QSignalBlocker(self.direction):
            before = self.direction.currentText()
            if [self.direction.itemText(i) for i in range(self.direction.count())] != list(names):
                self.direction.clear()
                self.direction.addItems(list(names))
                self.direction.setCurrentIndex(max(0, self.direction.findText(before)))
        chosen = self.direction.currentText() or None

        def steps() -> Generator[Structure, None, None]:
            yield see_structure(spec, chosen)

        self.latest.submit(steps, self._show, self._failed)

    def _show(self, structure: Structure) -> None:
        self.view.show_structure(structure)
        self.text.setText(structure.text)

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, PolmapError):
            raise error
        self.view.show_structure(None)
        self.text.setText("")

    # Patterns

    def start(self) -> None:
        """Simulate a few patterns in the background."""
        try:
            spec = self.values.spec()
            total = len(directions_of(spec))
        except PolmapError as error:
            show_error(str(error))
            return
        self.patterns.clear()
        as_drawn = self.as_drawn.isChecked()

        def steps() -> Generator[list[PatternPreview], None, None]:
            yield from iter_preview_patterns(spec, as_drawn=as_drawn)

        done: list[list[PatternPreview]] = []

        def show(steps: list[list[PatternPreview]]) -> None:
            for step in steps:
                if step:
                    done.append(step)
                    self.patterns.add_direction(step, spec)
            text = "Simulating patterns"
            self.jobs.tell(PATTERNS, Activity(text, len(done), total))

        self.jobs.start(PATTERNS, Activity("Simulating patterns"), steps, on_steps=show)

    def refresh(self) -> None:
        """Show whether patterns can be, or are being, simulated."""
        running = self.jobs.running(PATTERNS)
        self.run.setEnabled(can_simulate() and not running)
        self.run.setToolTip(_HINT if can_simulate() else INSTALL)
        self.cancel.setVisible(running)
        activity = self.jobs.activities.get(PATTERNS)
        self.bar.setVisible(activity is not None)
        if activity is not None:
            self.bar.setRange(0, activity.total)
            self.bar.setValue(activity.done)
            self.bar.setFormat(f"{activity.text} · %p %" if activity.total else activity.text)


class PatternGrid(QWidget):
    """Patterns in lines of one direction, each with its antisymmetric part."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.shown: list[PatternPreview] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(3)
        self._note = wrapped()
        self.clear()

    def clear(self) -> None:
        """Show nothing."""
        self.shown = []
        while self._grid.count():
            widget = self._grid.takeAt(0).widget()
            if widget is self._note:
                widget.setParent(None)
            elif widget is not None:
                widget.deleteLater()
        self.hide()

    def outdate(self) -> None:
        """Say that the description is another by now."""
        if self.shown:
            self._note.setText("The description was changed since: preview again.")

    def add_direction(self, previews: list[PatternPreview], spec: Spec) -> None:
        """Add a direction's patterns, thickness by thickness."""
        if not self.shown:
            self._head(previews)
        self.shown += previews
        line = self._grid.rowCount()
        directions = directions_of(spec)
        index = directions.index(previews[0].direction)
        color = ", ".join(str(int(255 * part)) for part in directions.colors[index])
        label = QLabel(previews[0].direction)
        label.setStyleSheet(f"border-left: 4px solid rgb({color}); padding-left: 4px;")
        tilt = previews[0].tilt_mrad
        label.setToolTip(f"{directions.label(index)}, tilt ({tilt[0]:.2f}, {tilt[1]:.2f}) mrad")
        self._grid.addWidget(label, line, 0)
        for place, preview in enumerate(previews):
            share = f"{100 * preview.antisymmetric_share:.2g} %"
            pattern, odd = QLabel(), QLabel()
            pattern.setPixmap(pixmap(gray(preview.pattern)))
            odd.setPixmap(pixmap(diverging(preview.antisymmetric)))
            about = f"{directions.label(index)}, {preview.thickness_nm:.3g} nm"
            pattern.setToolTip(f"{about}: mean pattern of a cell, square root of the intensity")
            odd.setToolTip(
                f"{about}: antisymmetric part, {share} of the intensity; green more, pink less "
                "than on the opposite side"
            )
            for column, image in ((1 + 2 * place, pattern), (2 + 2 * place, odd)):
                self._grid.addWidget(image, line, column, Qt.AlignmentFlag.AlignCenter)

    def _head(self, previews: list[PatternPreview]) -> None:
        self._note.setText("Patterns (square root) and their antisymmetric part (green: more)")
        self._grid.addWidget(self._note, 0, 0, 1, 2 + 2 * len(previews))
        for place, preview in enumerate(previews):
            title = QLabel(f"{preview.thickness_nm:.3g} nm")
            title.setAlignment(Qt.AlignmentFlag.AlignCenter)
            self._grid.addWidget(title, 1, 1 + 2 * place, 1, 2)
        self._grid.setColumnStretch(1 + 2 * len(previews), 1)
        self.show()


def gray(pattern: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The square root of intensities in gray, shape (ky, kx, 3)."""
    values = np.sqrt(np.clip(pattern, 0, None))
    scaled = np.round(255 * values / max(float(values.max()), 1e-30)).astype(np.uint8)
    return np.repeat(scaled[..., None], 3, axis=-1)


def diverging(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Values about zero in pink, white and green, shape (ky, kx, 3)."""
    from matplotlib import colormaps

    most = max(float(np.abs(values).max()), 1e-30)
    colors: npt.NDArray[np.uint8] = colormaps["PiYG"](0.5 + 0.5 * values / most, bytes=True)
    return colors[..., :3]


def pixmap(colors: npt.NDArray[np.uint8]) -> QPixmap:
    """Colors as a small picture."""
    data = np.ascontiguousarray(colors)
    rows, columns = data.shape[:2]
    image = QImage(data.data, columns, rows, 3 * columns, QImage.Format.Format_RGB888).copy()
    return QPixmap.fromImage(image).scaled(
        _THUMB_PX,
        _THUMB_PX,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.FastTransformation,
    )
