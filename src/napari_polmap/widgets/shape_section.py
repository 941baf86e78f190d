"""The part of the dock "Virtual imaging" about the detector's shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_polmap.diffraction.detectors import FORMS, PRESETS, Detector
from napari_polmap.viewer.detector_editor import HINT
from napari_polmap.viewer.virtual_detector import DRAWN, VirtualDetector
from napari_polmap.widgets.detector_fields import DetectorFields
from napari_polmap.widgets.imager import Imager
from napari_polmap.widgets.parts import Notice, Section, button, combo, row

_TOOLTIPS = {
    "bright field": "The whole bright-field disk",
    "annular bright field": "The outer half of the disk's radius",
    "annular dark field": "All beyond 1.1 radii of the disk",
    "outer dark field": "All beyond 2 radii of the disk, as a HAADF detector sees it",
}
_DRAW = "Draw a polygon or a freehand line over the pattern in the dock “Diffraction”."
_UNKNOWN = "The bright-field disk is not known: give its center and radius in the calibration."
_NO_CENTER = "A pair needs the disk's center: give it in the calibration."


class ShapeSection(Section):
    """Chooses what the virtual image sums up, by presets, shapes and numbers.

    Parameters
    ----------
    imager : Imager
    show_patterns : callable
        Opens the dock in which detectors are dragged.
    """

    def __init__(
        self, imager: Imager, show_patterns: Callable[[], object], parent: QWidget | None = None
    ) -> None:
        super().__init__("Detector", parent=parent)
        self.imager, self.session = imager, imager.session
        self.kind = combo("Which part of each pattern the virtual image sums up")
        for index, kind in enumerate((*PRESETS, *FORMS)):
            if index == len(PRESETS):
                self.kind.insertSeparator(index)
            self.kind.addItem(kind.capitalize(), kind)
            if kind in _TOOLTIPS:
                self.kind.setItemData(self.kind.count() - 1, _TOOLTIPS[kind], 3)
        self.patterns = button(
            "Patterns…", f"Open the dock “Diffraction”, in which the detector is dragged. {HINT}"
        )
        line = row(self.kind, self.patterns)
        line.setStretch(0, 1)
        self.add(line)
        self.fields = DetectorFields()
        self.add(self.fields)
        self.paired = QCheckBox("Pair: subtract the mirrored detector")
        self.paired.setToolTip(
            "A difference image: the detector less its mirror image through the beam's center, "
            "which is outlined in violet"
        )
        self.add(self.paired)
        self.notice = Notice("info")
        self.add(self.notice)
        self.kind.activated.connect(self._choose)
        self.paired.toggled.connect(self._pair)
        self.fields.edited.connect(self._take)
        self.patterns.clicked.connect(lambda: show_patterns())

    def _choose(self) -> None:
        self.imager.choose(self.kind.currentData())
        self.refresh()

    def _pair(self, paired: bool) -> None:
        self.imager.pair(paired)
        self.refresh()

    def _take(self, shape: Detector) -> None:
        detector = self.session.detector
        if detector is not None:
            self.session.set_detector(replace(VirtualDetector.free(shape), paired=detector.paired))

    def refresh(self) -> None:
        """Show the session's detector."""
        scan, detector, calibration = (
            self.session.scan,
            self.session.detector,
            self.session.calibration,
        )
        for widget in (self.kind, self.fields):
            widget.setEnabled(scan is not None)
        centered = calibration.center_px is not None
        self.paired.setEnabled(scan is not None and centered)
        kind = self.imager.kind if detector is None else detector.kind
        waits = self.imager.kind == DRAWN and kind != DRAWN
        with QSignalBlocker(self.kind):
            self.kind.setCurrentIndex(self.kind.findData(DRAWN if waits else kind))
        with QSignalBlocker(self.paired):
            self.paired.setChecked(self.imager.paired)
        shape = None if detector is None or waits else detector.shape
        self.fields.show_shape(shape, calibration)
        sentences = []
        if scan is not None and (waits or (kind == DRAWN and detector is None)):
            sentences.append(_DRAW)
        elif scan is not None and detector is None:
            sentences.append(_UNKNOWN)
        if self.imager.paired and not centered and scan is not None:
            sentences.append(_NO_CENTER)
        self.notice.tell(sentences)
