"""The calibration's part about the descan: how far the beam wanders over the detector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QProgressBar, QWidget

from napari_polmap.viewer.calibration_jobs import way_px
from napari_polmap.widgets.calibrator import Calibrator
from napari_polmap.widgets.jobs import Activity
from napari_polmap.widgets.parts import Section, button, row, wrapped

if TYPE_CHECKING:
    from napari_polmap.diffraction.descan import Descan, DescanProgress

JOB = "descan"
_STILL = (0.0, 0.0, 0.0, 0.0)
"""The user's answer that there is none: what is not known would be measured again."""
_NONE_YET = (
    "The beam may wander over the detector while it scans; measured in parts of the scan, it can "
    "be taken out."
)
_NOTHING = "It cannot be told: too few positions, or too few parts of the scan show the disk."


class DescanSection(Section):
    """Measures the descan, says what it is, and applies or removes it.

    Parameters
    ----------
    calibrator : Calibrator
    """

    def __init__(self, calibrator: Calibrator, parent: QWidget | None = None) -> None:
        super().__init__("Descan", open_=False, parent=parent)
        self.calibrator, self.session = calibrator, calibrator.session
        self.found: Descan | None = None
        self._looked = False
        self.measure = button("Measure", "Follow the disk over the scan and fit a plane")
        self.cancel = button("Cancel", "End the measurement")
        self.apply = button("Apply", "Let everything follow the beam over the scan")
        self.remove = button("Remove", "Take the beam to stand still")
        self.add(row(self.measure, self.cancel, self.apply, self.remove, None))
        self.bar = QProgressBar()
        self.bar.setFormat("part %v of %m")
        self.add(self.bar)
        self.state = wrapped(_NONE_YET)
        self.add(self.state)
        self.measure.clicked.connect(lambda _=False: self.start())
        self.cancel.clicked.connect(lambda _=False: calibrator.stop(JOB))
        self.apply.clicked.connect(self._apply)
        self.remove.clicked.connect(lambda _=False: calibrator.set_calibration(descan_px=_STILL))
        self.refresh()

    def start(self) -> None:
        """Measure the descan."""
        from napari_polmap.diffraction.descan import iter_descan

        scan = self.session.scan
        if scan is None:
            return

        def advance(steps: list[DescanProgress]) -> None:
            last = steps[-1]
            self.bar.setRange(0, last.total)
            self.bar.setValue(last.done)
            self.calibrator.tell(JOB, Activity("Measuring the descan", last.done, last.total))

        def done(descan: Descan | None) -> None:
            if self.session.scan is not None and self.session.scan.data is scan.data:
                self.found, self._looked = descan, True
            self.refresh()

        self.bar.setRange(0, 0)
        self.calibrator.start(
            JOB,
            Activity("Measuring the descan"),
            iter_descan,
            scan,
            on_steps=advance,
            on_done=done,
            on_stopped=self.refresh,
        )

    def forget(self) -> None:
        """Another scan: what was found is of the one before."""
        self.found, self._looked = None, False
        self.refresh()

    def _apply(self) -> None:
        found = self.found
        if found is None:
            return
        values: dict[str, Any] = {"descan_px": found.descan_px}
        # What the user set by hand stays.
        for name in ("center_px", "radius_px"):
            if self.session.calibration.sources.get(name) != "user":
                values[name] = getattr(found, name)
        self.calibrator.take_measured("descan", values)

    def refresh(self) -> None:
        """Show what was found and what is applied."""
        applied, running = self.session.calibration.descan_px, self.calibrator.running(JOB)
        self.measure.setEnabled(self.session.scan is not None and not running)
        self.measure.setVisible(not running)
        self.cancel.setVisible(running)
        self.bar.setVisible(running)
        self.apply.setVisible(
            self.found is not None and self.found.descan_px != applied and not running
        )
        self.remove.setVisible(any(applied or ()) and not running)
        self.state.setText(self._told(applied))

    def _told(self, applied: tuple[float, float, float, float] | None) -> str:
        scan, sentences = self.session.scan, []
        if scan is not None and applied is not None and any(applied):
            way = way_px(scan, applied)
            sentences.append(f"Taken out: {self._size(way)} from corner to corner.")
        found = self.found
        if found is not None and found.descan_px != applied:
            told = f"Found: the beam wanders {self._size(found.range_px)} from corner to corner"
            sentences.append(f"{told}; its place there is good to ± {found.error_px:.2f} px.")
            if not found.significant:
                sentences.append("That is within the noise or too little to matter.")
        elif self._looked and found is None:
            sentences.append(_NOTHING)
        return " ".join(sentences) or _NONE_YET

    def _size(self, way: float) -> str:
        radius = self.session.calibration.radius_px
        share = "" if radius is None else f" ({100 * way / radius:.1f} % of the disk's radius)"
        return f"{way:.2f} px{share}"
