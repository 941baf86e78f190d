"""The dock's part about the virtual detector and its image."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_polmap.diffraction.detectors import PRESETS
from napari_polmap.viewer.session import DRAWN
from napari_polmap.widgets.controller import Controller
from napari_polmap.widgets.parts import Notice, Section, button, combo, row

_DRAWN_TEXT = "drawn in the diffraction view"
_HINT = "Draw a shape over the pattern in the dock “Diffraction”."


class DetectorSection(Section):
    """Chooses what the virtual image sums up.

    Parameters
    ----------
    controller : Controller
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__("Virtual detector", parent=parent)
        self.controller = controller
        self.session = controller.session
        self.kind = combo("Which part of each pattern the virtual image sums up")
        for kind in PRESETS:
            self.kind.addItem(kind.capitalize(), kind)
        self.kind.addItem(_DRAWN_TEXT.capitalize(), DRAWN)
        self.center_of_mass = QCheckBox("Center of mass")
        self.center_of_mass.setToolTip(
            "Also compute where each pattern's center of mass lies against the disk's center, as "
            "two images in detector pixels"
        )
        line = row(self.kind, self.center_of_mass)
        line.setStretch(0, 1)
        self.add(line)
        self.patterns = button(
            "Patterns…",
            "Open the dock “Diffraction”: the pattern of a clicked position, its evidence, and "
            "drawing a virtual detector",
        )
        self.rows.addWidget(self.patterns, alignment=Qt.AlignmentFlag.AlignRight)
        self.notice = Notice("info")
        self.add(self.notice)
        self.kind.activated.connect(self._choose)
        self.center_of_mass.toggled.connect(controller.set_center_of_mass)
        self.refresh()

    def _choose(self) -> None:
        kind = self.kind.currentData()
        self.controller.choose_detector(kind)
        self.refresh()

    def refresh(self) -> None:
        """Show the session's detector."""
        scan = self.session.scan
        self.kind.setEnabled(scan is not None)
        self.center_of_mass.setEnabled(scan is not None)
        kind = self.controller.detector_kind
        with QSignalBlocker(self.kind):
            self.kind.setCurrentIndex(max(0, self.kind.findData(kind)))
        with QSignalBlocker(self.center_of_mass):
            self.center_of_mass.setChecked(self.controller.center_of_mass)
        sentences = []
        detector = self.session.detector
        if kind == DRAWN and (detector is None or detector.kind != DRAWN):
            sentences.append(_HINT)
        unmeasured = scan is not None and (
            scan.calibration.center_px is None or scan.calibration.radius_px is None
        )
        if unmeasured and not self.controller.calibrator.measuring and kind != DRAWN:
            sentences.append(
                "The bright-field disk is not known: give its center and radius in the calibration."
            )
        self.notice.tell(sentences)
