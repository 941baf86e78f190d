"""How a scan looks with the chosen options: its virtual image, mean pattern, one position's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_polmap.calibration import Calibration
from napari_polmap.errors import PolmapError
from napari_polmap.scan import Scan
from napari_polmap.viewer.contrast import Contrast
from napari_polmap.viewer.import_preview import (
    SUM,
    Facts,
    Look,
    Opened,
    iter_import,
    kept_options,
)
from napari_polmap.viewer.latest import LatestJob
from napari_polmap.viewer.preview import Image
from napari_polmap.widgets.image_view import ImageView
from napari_polmap.widgets.parts import combo, row

_DETECTORS = ("bright field", "annular dark field", SUM)
_IMAGE_CONTRAST = Contrast("linear", 0.5, 99.5)
_PATTERN_CONTRAST = Contrast("asinh", 0.0, 99.9)


class ImportPreviewPanel(QWidget):
    """Looks into a file in a thread of its own; the newest wish wins.

    Nothing here waits for a disk.
    """

    facts_known = Signal(object)
    """`Facts` of the file."""
    opened = Signal(object)
    """`Opened`: the file could be opened with the options."""
    failed = Signal(str)
    """The sentence of what is wrong."""
    detector_changed = Signal()
    """Another virtual detector was chosen."""

    _calls = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._closed = False
        self._calls.connect(self._run)
        self._looks = LatestJob(self._deliver, "polmap-import")
        self._patterns = LatestJob(self._deliver, "polmap-import-pattern")
        self.scan: Scan | None = None
        self.detector = combo("Virtual detector of the image; the sum where no disk is found")
        for name in _DETECTORS:
            self.detector.addItem(name.capitalize(), name)
        self.image = ImageView(_IMAGE_CONTRAST, "No scan yet", clickable=True)
        self.image.setToolTip(
            "A wrong shape shows as slanted rows. Click a position to see its pattern."
        )
        self.mean = ImageView(_PATTERN_CONTRAST)
        self.mean.setToolTip("Arrows: where the scan's x and y point on the detector")
        self.pattern = ImageView(_PATTERN_CONTRAST, "Click a position in the image")
        self.pattern.setToolTip(self.mean.toolTip())
        self.position = QLabel("Pattern of a position")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        grid.addLayout(row("Virtual image", self.detector), 0, 0)
        grid.addWidget(self.image, 1, 0, 3, 1)
        grid.addWidget(QLabel("Mean pattern"), 0, 1)
        grid.addWidget(self.mean, 1, 1)
        grid.addWidget(self.position, 2, 1)
        grid.addWidget(self.pattern, 3, 1)
        grid.setColumnStretch(0, 3)
        grid.setColumnStretch(1, 2)
        grid.setRowStretch(1, 1)
        grid.setRowStretch(3, 1)
        self.detector.currentIndexChanged.connect(self.detector_changed)
        self.image.picked.connect(self._show_position)

    @property
    def busy(self) -> bool:
        """Whether something is still being read."""
        return self._looks.busy or self._patterns.busy

    def look(
        self, path: Path, options: Mapping[str, Any] | None, known: Facts | None = None
    ) -> None:
        """Look into a file with options, instead of what is looked at now.

        Parameters
        ----------
        path : Path
        options : mapping or None
            See `napari_polmap.viewer.import_preview.iter_import`.
        known : Facts, optional
        """
        detector = str(self.detector.currentData())

        def steps() -> Iterator[Facts | Opened | Look]:
            return iter_import(path, options, detector, known)

        self._patterns.cancel()
        self._looks.submit(steps, self._take, self._fail)

    def ask_kept(self, path: Path, then: Callable[[Mapping[str, Any] | None], None]) -> None:
        """Hand over what is kept beside a scan by now, see `kept_options`; ends other looks."""

        def steps() -> Iterator[Mapping[str, Any] | None]:
            yield kept_options(path)

        self._looks.submit(steps, then, self._fail)

    def clear(self) -> None:
        """Show nothing."""
        self._looks.cancel()
        self._patterns.cancel()
        self.scan = None
        for view in (self.image, self.mean, self.pattern):
            view.show_image(None)
            view.show_arrows({})
        self.image.show_mark(None)
        self.position.setText("Pattern of a position")

    def show_frame(self, rotation_deg: float, flip: bool) -> None:
        """Draw where the scan's axes point on the detector."""
        if self.scan is None:
            return
        self.image.show_arrows({"x": (0.0, 1.0), "y": (1.0, 0.0)})
        matrix = Calibration(rotation_deg=rotation_deg, flip=flip).to_detector(crystal_frame=False)
        arrows = {
            name: (float(matrix[0] @ along), float(matrix[1] @ along))
            for name, along in (("x", (0.0, 1.0)), ("y", (1.0, 0.0)))
        }
        self.mean.show_arrows(arrows)
        self.pattern.show_arrows(arrows)

    def close_threads(self) -> None:
        """End the background work; nothing is shown any more."""
        self._closed = True
        self._looks.close(timeout=0)
        self._patterns.close(timeout=0)

    # From the background

    def _deliver(self, call: Callable[[], None]) -> None:
        # The dialog may be gone by the time a thread is done.
        with contextlib.suppress(RuntimeError):
            self._calls.emit(call)

    def _run(self, call: Callable[[], None]) -> None:
        if not self._closed:
            call()

    def _take(self, step: Facts | Opened | Look) -> None:
        if isinstance(step, Facts):
            self.facts_known.emit(step)
        elif isinstance(step, Opened):
            self.scan = step.scan
            self.opened.emit(step)
            self._keep_mark(step.scan)
        else:
            self.mean.show_image(step.mean)
            if step.image is not None:
                self.image.show_image(step.image)

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, PolmapError):
            raise error
        self.clear()
        self.failed.emit(str(error))

    # One position

    def _keep_mark(self, scan: Scan) -> None:
        mark = self.image.mark
        rows, columns = scan.scan_shape
        if mark is None or mark[0] >= rows or mark[1] >= columns:
            mark = rows // 2, columns // 2
        self.image.show_mark(mark)
        self._show_position(*mark)

    def _show_position(self, line: int, column: int) -> None:
        scan = self.scan
        if scan is None or line >= scan.scan_shape[0] or column >= scan.scan_shape[1]:
            return

        def steps() -> Iterator[Image]:
            pattern = scan.pattern(line, column).astype("float32")
            if scan.bad_pixels is not None:
                pattern[scan.bad_pixels] = float("nan")
            yield pattern

        def show(pattern: Image) -> None:
            self.position.setText(f"Pattern of row {line}, column {column}")
            self.pattern.show_image(pattern)

        self._patterns.submit(steps, show, self._fail)
