"""The calibration's part about the lattice: measured, shown as vectors, corrected by dragging."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QPushButton, QWidget

from napari_polmap.viewer.lattice_overlay import LatticeOverlay
from napari_polmap.widgets.calibrator import Calibrator
from napari_polmap.widgets.jobs import Activity
from napari_polmap.widgets.parts import (
    Notice,
    Section,
    button,
    connect_while,
    row,
    toggle,
    wrapped,
)

if TYPE_CHECKING:
    from napari_polmap.diffraction.lattice import Lattice
    from napari_polmap.diffraction.part_images import Region

JOB = "lattice"
_TEXT = "Measuring the lattice"
_HOW = (
    "Drag the end of a vector in the main view to change period and angle; drag the white end to "
    "move both over an atom."
)
_NONE = (
    "No square lattice is seen. That is so for amorphous parts and noise, with fewer than three "
    "positions per cell, and where less than about three cells are scanned. Draw a region "
    "over a crystal and measure there, or set the vectors by hand."
)
_NO_STEP = "Give the scan step under Values: without it the period is known in positions only."


class LatticeSection(Section):
    """Measures period and crystal angle, and shows the lattice's vectors over the scan.

    Parameters
    ----------
    calibrator : Calibrator
    viewer : napari.Viewer
        Where the vectors are shown.
    """

    def __init__(self, calibrator: Calibrator, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__("Lattice", parent=parent)
        self.calibrator, self.session = calibrator, calibrator.session
        self.overlay = LatticeOverlay.of(viewer)
        self.found: Lattice | None = None
        self._looked = False
        self.measure = button(
            "Measure",
            "Find period and angle in virtual images and center of mass: in the drawn region, or "
            "in the scan's middle",
        )
        self.vectors = toggle(
            "Show vectors", "Show [100] and [010] over the scan, to be dragged with the mouse"
        )
        self.add(row(self.measure, self.vectors, None))
        self.state = wrapped()
        self.add(self.state)
        self.how = wrapped(_HOW)
        self.how.setEnabled(False)
        self.add(self.how)
        self.notice = Notice()
        self.add(self.notice)
        self.other = wrapped()
        self.add(self.other)
        self.cells: tuple[QPushButton, QPushButton] = (button("", ""), button("", ""))
        self.add(row(*self.cells, None))
        for index, pressed in enumerate(self.cells):
            pressed.clicked.connect(lambda _=False, index=index: self._take_other(index))
        self.measure.clicked.connect(lambda _=False: self.start())
        self.vectors.toggled.connect(self._show_vectors)
        connect_while(self, [(self.overlay.changed, self.refresh)])
        self.refresh()

    def start(self) -> None:
        """Measure the lattice, in the drawn region where there is one."""
        from napari_polmap.diffraction.lattice import iter_lattice

        scan = self.session.scan
        if scan is None:
            return

        def advance(steps: list[tuple[int, int]]) -> None:
            self.calibrator.tell(JOB, Activity(_TEXT, *steps[-1]))

        def done(lattice: Lattice | None) -> None:
            if self.session.scan is not None and self.session.scan.data is scan.data:
                self._take(lattice)

        self.calibrator.start(
            JOB,
            Activity(_TEXT),
            iter_lattice,
            scan,
            self._region(),
            on_steps=advance,
            on_done=done,
        )

    def forget(self) -> None:
        """Another scan: what was found is of the one before."""
        self.found, self._looked = None, False
        self.refresh()

    def _region(self) -> Region | None:
        """The rectangle around the drawn region."""
        region = self.session.region
        if region is None or not region.any():
            return None
        rows, columns = (np.nonzero(region.any(axis=axis))[0] for axis in (1, 0))
        return (
            slice(int(rows[0]), int(rows[-1]) + 1),
            slice(int(columns[0]), int(columns[-1]) + 1),
        )

    def _take(self, lattice: Lattice | None) -> None:
        self.found, self._looked = lattice, True
        if lattice is not None:
            self._apply(lattice.period_positions, lattice.crystal_angle_deg, "measured lattice")
        self.refresh()

    def _take_other(self, index: int) -> None:
        if self.found is not None:
            self._apply(*self._others()[index], "another cell of the lattice")

    def _others(self) -> list[tuple[float, float]]:
        """The other cells the lattice may have, or the measured one where another is taken."""
        assert self.found is not None
        taken = self.session.calibration.cell_positions or self.found.period_positions
        cells = [
            (self.found.period_positions, self.found.crystal_angle_deg),
            *self.found.alternatives,
        ]
        nearest = min(cells, key=lambda cell: abs(np.log(cell[0] / taken)))
        return [cell for cell in cells if cell is not nearest]

    def _apply(self, period: float, angle_deg: float, text: str) -> None:
        """Take a cell; an angle within its error is none, and a quarter turn stays as it was."""
        from napari_polmap.diffraction.lattice import folded_angle

        found, calibration = self.found, self.session.calibration
        assert found is not None
        angle = angle_deg if found.significant(angle_deg) else 0.0
        values: dict[str, Any] = {
            "crystal_angle_deg": folded_angle(angle, calibration.crystal_angle_deg)
        }
        errors: dict[str, Any] = {"crystal_angle_deg": found.angle_error_deg}
        if calibration.step_nm is not None:
            values["lattice_nm"] = period * calibration.step_nm
            share = found.period_error / found.period_positions
            errors["lattice_nm"] = share * values["lattice_nm"]
        self.calibrator.take_measured(text, values, errors)

    def _show_vectors(self, on: bool) -> None:
        if on:
            self.overlay.show()
        else:
            self.overlay.hide()
        self.refresh()

    def refresh(self) -> None:
        """Show what was found, what holds, and what is dragged."""
        scan, running = self.session.scan, self.calibrator.running(JOB)
        self.measure.setEnabled(scan is not None and not running)
        self.measure.setText("Measure in region" if self._region() else "Measure")
        self.vectors.setEnabled(self.overlay.possible)
        with QSignalBlocker(self.vectors):
            self.vectors.setChecked(self.overlay.shown)
        self.how.setVisible(self.overlay.shown)
        self.state.setText(self._told())
        told = [_NONE] if self._looked and self.found is None else []
        if scan is not None and self.session.calibration.step_nm is None:
            told.append(_NO_STEP)
        if self.found is not None and self.found.departure > 0.01:
            told.append(
                f"The cell departs from a square by {100 * self.found.departure:.1f} %: the scan "
                "may be distorted, or the crystal strained."
            )
        self.notice.tell(told)
        self._show_others()

    def _told(self) -> str:
        calibration, found = self.session.calibration, self.found
        if self.session.scan is None:
            return ""
        period, angle = calibration.cell_positions, calibration.crystal_angle_deg
        if self.overlay.dragging:
            period, angle = self.overlay.period, self.overlay.angle_deg
        if period is None and found is not None:
            period = found.period_positions
        if period is None:
            return "The period is not known."
        parts = [f"{period:.2f} positions per cell"]
        if calibration.step_nm is not None:
            error = self._error("lattice_nm", calibration.lattice_nm)
            parts.insert(0, f"Period {period * calibration.step_nm:.4f}{error} nm")
        error = self._error("crystal_angle_deg", angle)
        return f"{', '.join(parts)}; [100] at {angle + 0.0:.2f}{error}° against +x."

    def _error(self, name: str, value: float | None) -> str:
        measured, error = self.session.errors.get(name, (None, 0.0))
        if self.overlay.dragging or measured is None or value is None or measured != value:
            return ""
        return f" ± {error:.4f}" if name == "lattice_nm" else f" ± {error:.2f}"

    def _show_others(self) -> None:
        shown = self.found is not None
        self.other.setVisible(shown)
        for pressed in self.cells:
            pressed.setVisible(shown)
        if not shown:
            return
        self.other.setText(
            "Columns that look alike make a cell seem smaller by √2 and turned by 45°. If this is "
            "not the pseudo-cubic cell, take:"
        )
        step = self.session.calibration.step_nm
        for pressed, (period, angle) in zip(self.cells, self._others(), strict=True):
            length = f"{period:.2f} positions" if step is None else f"{period * step:.4f} nm"
            pressed.setText(f"{length}, {angle:.1f}°")
            pressed.setToolTip("Take this cell instead")
