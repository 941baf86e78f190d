"""The calibration's part about the bright-field disk: measured, from a vacuum, or by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_polmap.viewer.calibration_jobs import disk_values, iter_disk, iter_vacuum
from napari_polmap.viewer.session import DISK
from napari_polmap.widgets.calibrator import Calibrator
from napari_polmap.widgets.jobs import Activity
from napari_polmap.widgets.parts import Notice, Section, button, row, toggle, wrapped

if TYPE_CHECKING:
    from napari_polmap.diffraction.disk import Disk

JOB = "disk"
_HOW = (
    "Drag the circle's rim or its center in the dock “Diffraction”; after a click on one of them "
    "the arrow keys move it by 0.1 px, with Shift by 1 px."
)


class DiskSection(Section):
    """Measures center, radius and ellipse of the disk, and lets the circle be dragged.

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
        super().__init__("Bright-field disk", parent=parent)
        self.calibrator, self.session = calibrator, calibrator.session
        self._show_patterns = show_patterns
        self.found: Disk | None = None
        self.measure = button("Measure", "Find the disk by its edge in the scan's mean pattern")
        self.vacuum = button(
            "Vacuum…",
            "Find the disk in a scan or an image that was recorded without a specimen, with the "
            "same detector and camera length",
        )
        self.drag = toggle(
            "Drag", "Correct the disk's circle with the mouse in the dock “Diffraction”"
        )
        self.add(row(self.measure, self.vacuum, self.drag))
        self.how = wrapped(_HOW)
        self.how.setEnabled(False)
        self.add(self.how)
        self.result = wrapped("")
        self.add(self.result)
        self.notice = Notice()
        self.add(self.notice)
        self.ellipse = wrapped("")
        self.apply = button("Apply", "Take the elliptical distortion out of all patterns")
        self.remove = button("Remove", "Take the disk for a circle")
        line = row(self.ellipse, self.apply, self.remove)
        line.setStretch(0, 1)
        self.add(line)
        self.measure.clicked.connect(lambda _=False: self.start())
        self.vacuum.clicked.connect(self._ask_vacuum)
        self.drag.toggled.connect(self._toggle_drag)
        self.apply.clicked.connect(self._apply)
        self.remove.clicked.connect(lambda _=False: calibrator.set_calibration(ellipse=None))
        self.refresh()

    def start(self, vacuum: Path | None = None) -> None:
        """Measure the disk in the scan, or in a vacuum scan or image."""
        scan = self.session.scan
        if scan is None:
            return

        def done(disk: Disk) -> None:
            if self.session.scan is not None and self.session.scan.data is scan.data:
                self._take(disk, vacuum)

        steps, arguments = (iter_disk, (scan,)) if vacuum is None else (iter_vacuum, (vacuum, scan))
        self.calibrator.start(
            JOB, Activity("Measuring the bright-field disk"), steps, *arguments, on_done=done
        )

    def forget(self) -> None:
        """Another scan: what was found is of the one before."""
        self.found = None
        self.refresh()

    def _take(self, disk: Disk, vacuum: Path | None) -> None:
        self.found = disk
        text = "measured disk" if vacuum is None else f"disk from {vacuum.name}"
        self.calibrator.take_measured(text, *disk_values(disk))
        self.refresh()

    def _apply(self) -> None:
        if self.found is not None and self.found.ellipse is not None:
            self.calibrator.take_measured("ellipse", {"ellipse": self.found.ellipse})

    def _ask_vacuum(self) -> None:
        scan = self.session.scan
        folder = "" if scan is None or scan.path is None else str(scan.path.parent)
        path, _ = QFileDialog.getOpenFileName(self, "Vacuum scan or image", folder)
        if path:
            self.start(Path(path))

    def _toggle_drag(self, on: bool) -> None:
        if on:
            self._show_patterns()
            self.session.edit(DISK)
        elif self.session.editing == DISK:
            self.session.edit("")

    def refresh(self) -> None:
        """Show the session's disk."""
        scan, calibration = self.session.scan, self.session.calibration
        ready = scan is not None
        known = calibration.center_px is not None and calibration.radius_px is not None
        for widget in (self.measure, self.vacuum):
            widget.setEnabled(ready and not self.calibrator.running(JOB))
        self.drag.setEnabled(ready and known)
        with QSignalBlocker(self.drag):
            self.drag.setChecked(self.session.editing == DISK and ready and known)
        self.how.setVisible(self.drag.isChecked())
        self.result.setText("" if self.found is None else _told(self.found))
        self.result.setVisible(self.found is not None)
        self.notice.tell([] if self.found is None else list(self.found.warnings))
        self._show_ellipse(calibration.ellipse)

    def _show_ellipse(self, applied: tuple[float, float] | None) -> None:
        found = None if self.found is None else self.found.ellipse
        error = None if self.found is None else self.found.ellipse_error
        offered = found is not None and found != applied
        self.apply.setVisible(offered)
        self.remove.setVisible(applied is not None)
        sentences = []
        if applied is not None:
            sentences.append(f"Taken out: an elliptical distortion, {_ellipse(applied)}.")
        if offered and found is not None:
            accuracy = "" if error is None else f" (± {100 * error:.1f} %)"
            sentences.append(f"Found: an elliptical distortion, {_ellipse(found)}{accuracy}.")
        self.ellipse.setText(" ".join(sentences))
        self.ellipse.setVisible(bool(sentences))


def _told(disk: Any) -> str:
    ky, kx = disk.center_px
    return (
        f"Found: center ky {ky:.2f}, kx {kx:.2f} px, radius {disk.radius_px:.2f} px, "
        f"± {disk.error_px:.2f} px each."
    )


def _ellipse(ellipse: tuple[float, float]) -> str:
    return f"{100 * (ellipse[0] - 1):.1f} % longer along {ellipse[1]:.0f}°"
