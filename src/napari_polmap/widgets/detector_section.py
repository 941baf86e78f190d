"""The dock's part about the image beneath the map: which it is, and where it is chosen."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from napari_polmap.widgets.controller import Controller
from napari_polmap.widgets.parts import ElidedLabel, Notice, Section, button, row


class DetectorSection(Section):
    """Names the virtual detector and leads to the docks about images and patterns.

    Parameters
    ----------
    controller : Controller
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__("Virtual image", parent=parent)
        self.controller = controller
        self.session = controller.session
        self.shown = ElidedLabel()
        self.imaging = button(
            "Virtual imaging…",
            "Open the dock “Virtual imaging”: choose detectors and images, and save images",
        )
        self.patterns = button(
            "Patterns…",
            "Open the dock “Diffraction”: the pattern of a clicked position, its evidence, and "
            "the virtual detector to be dragged",
        )
        self.add(self.shown)
        self.add(row(None, self.imaging, self.patterns))
        self.notice = Notice("info")
        self.add(self.notice)
        self.refresh()

    def refresh(self) -> None:
        """Show the session's detector."""
        scan, detector = self.session.scan, self.session.detector
        self.imaging.setEnabled(scan is not None)
        title = "" if detector is None else detector.title.capitalize()
        self.shown.setVisible(bool(title))
        if title != self.shown.toolTip():
            self.shown.set_full(title)
        unmeasured = scan is not None and (
            scan.calibration.center_px is None or scan.calibration.radius_px is None
        )
        sentences = []
        if unmeasured and not self.controller.calibrator.measuring and detector is None:
            sentences.append(
                "The bright-field disk is not known: give its center and radius in the calibration."
            )
        self.notice.tell(sentences)
