"""The calibration's part about detector pixels that must not be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QFileDialog, QGridLayout, QLabel, QSpinBox, QWidget

from napari_polmap.viewer.calibration_jobs import iter_bad_pixels, iter_mask
from napari_polmap.viewer.session import BAD_PIXELS
from napari_polmap.widgets.calibrator import Calibrator
from napari_polmap.widgets.jobs import Activity
from napari_polmap.widgets.parts import Section, button, row, toggle, wrapped

if TYPE_CHECKING:
    from napari_polmap.diffraction.bad_pixels import BadPixels

JOB = "bad pixels"
_IMAGES = "Images of the detector (*.npy *.tif *.tiff)"
_NONE = "All pixels are used."


class BadPixelsSection(Section):
    """Finds, loads, draws and clears the mask of bad pixels.

    Parameters
    ----------
    calibrator : Calibrator
    show_patterns : callable
        Opens the diffraction view.
    """

    def __init__(
        self,
        calibrator: Calibrator,
        show_patterns: Callable[[], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("Bad pixels", open_=False, parent=parent)
        self.calibrator, self.session = calibrator, calibrator.session
        self._show_patterns = show_patterns
        self.found: BadPixels | None = None
        self.find = button(
            "Find", "Find dead, hot and noisy pixels, gaps and a beam stop by their statistics"
        )
        self.load = button(
            "Load image…", "An image of the detector (TIFF or .npy), not zero where a pixel is bad"
        )
        self.clear = button("Clear", "Use all pixels again")
        self.add(row(self.find, self.load, self.clear, None))
        self.draw = toggle("Draw", "Paint bad pixels in the dock “Diffraction”")
        self.erase = toggle("Erase", "Take painted pixels away in the dock “Diffraction”")
        self.brush = QSpinBox()
        self.brush.setRange(1, 200)
        self.brush.setValue(self.session.brush_px)
        self.brush.setSuffix(" px")
        self.brush.setToolTip("Width of the brush in detector pixels")
        self.add(row(self.draw, self.erase, "Brush", self.brush, None))
        self.state = wrapped(_NONE)
        self.add(self.state)
        self.table = QWidget()
        self._grid = QGridLayout(self.table)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(1)
        self._grid.setColumnStretch(2, 1)
        self.add(self.table)
        self.find.clicked.connect(lambda _=False: self.start())
        self.load.clicked.connect(self._ask_image)
        self.clear.clicked.connect(lambda _=False: self._set(None, "cleared bad pixels"))
        self.draw.toggled.connect(lambda on: self._paint(on, erasing=False))
        self.erase.toggled.connect(lambda on: self._paint(on, erasing=True))
        self.brush.valueChanged.connect(self._set_brush)
        self.refresh()

    def start(self) -> None:
        """Find bad pixels; what is masked already stays masked."""
        scan = self.session.scan
        if scan is None:
            return

        def done(found: BadPixels) -> None:
            if self.session.scan is not None and self.session.scan.data is scan.data:
                self.found = found
                present = self.session.scan.bad_pixels
                mask = found.mask if present is None else found.mask | present
                self._set(mask, "found bad pixels")
                self.refresh()

        activity = Activity("Looking for bad pixels")
        self.calibrator.start(JOB, activity, iter_bad_pixels, scan, on_done=done)

    def load_image(self, path: Path) -> None:
        """Take the pixels that are not zero in an image for bad."""
        scan = self.session.scan
        if scan is None:
            return

        def done(mask: npt.NDArray[np.bool_]) -> None:
            if self.session.scan is not None and self.session.scan.data is scan.data:
                self._set(mask, f"bad pixels from {path.name}")

        self.calibrator.start(JOB, Activity(f"Reading {path.name}"), iter_mask, path, on_done=done)

    def forget(self) -> None:
        """Another scan: what was found is of the one before."""
        self.found = None
        self.refresh()

    def _set(self, mask: npt.NDArray[np.bool_] | None, text: str) -> None:
        self.calibrator.set_bad_pixels(mask, text)

    def _ask_image(self) -> None:
        scan = self.session.scan
        folder = "" if scan is None or scan.path is None else str(scan.path.parent)
        path, _ = QFileDialog.getOpenFileName(self, "Image of bad pixels", folder, _IMAGES)
        if path:
            self.load_image(Path(path))

    def _paint(self, on: bool, *, erasing: bool) -> None:
        if on:
            self._show_patterns()
            self.session.edit(BAD_PIXELS, brush_px=self.brush.value(), erasing=erasing)
        elif self.session.editing == BAD_PIXELS and self.session.erasing == erasing:
            self.session.edit("")

    def _set_brush(self, width: int) -> None:
        self.session.edit(self.session.editing, brush_px=width, erasing=self.session.erasing)

    def refresh(self) -> None:
        """Show what is masked."""
        scan, session = self.session.scan, self.session
        mask = None if scan is None else scan.bad_pixels
        count = 0 if mask is None else int(mask.sum())
        idle = scan is not None and not self.calibrator.running(JOB)
        for widget in (self.find, self.load):
            widget.setEnabled(idle)
        self.clear.setEnabled(count > 0)
        for widget, erasing in ((self.draw, False), (self.erase, True)):
            widget.setEnabled(scan is not None)
            with QSignalBlocker(widget):
                painting = session.editing == BAD_PIXELS and session.erasing == erasing
                widget.setChecked(painting)
        self.state.setText(_NONE if mask is None or not count else _told(count, mask.size))
        self._show_table()

    def _show_table(self) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            item.widget().deleteLater()
        counts = {} if self.found is None else {k: n for k, n in self.found.counts.items() if n}
        for line, (kind, number) in enumerate(counts.items()):
            for column, text in enumerate((kind, f"{number:,}")):
                self._grid.addWidget(QLabel(text), line, column)
        self.table.setVisible(bool(counts))


def _told(count: int, size: int) -> str:
    pixels = "pixel is" if count == 1 else "pixels are"
    return f"{count:,} {pixels} masked ({100 * count / size:.2g} % of the detector)."
