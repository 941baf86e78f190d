"""The dock's part about the scan: what it is, its calibration, its warnings."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from napari_polmap.calibration import Calibration
from napari_polmap.viewer.calibration_history import labeled
from napari_polmap.viewer.session import Session
from napari_polmap.widgets.controller import Controller
from napari_polmap.widgets.import_dialog import ImportDialog
from napari_polmap.widgets.parts import (
    ElidedLabel,
    Notice,
    Section,
    button,
    bytes_text,
    row,
    show_dialog,
    wrapped,
)
from napari_polmap.widgets.shape_question import ShapeQuestionForm

_NO_SCAN = "No scan yet. Open one here, by File > Open, or drop a file on the window."


_CHECKED = (
    "step_nm",
    "lattice_nm",
    "energy_kv",
    "semi_angle_mrad",
    "center_px",
    "radius_px",
    "rotation_deg",
)
"""Values that a map depends on most."""


class ScanSection(Section):
    """What the scan is, and its calibration.

    Parameters
    ----------
    controller : Controller
    """

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__("Scan", parent=parent)
        self.controller = controller
        self.session: Session = controller.session
        self.name = ElidedLabel()
        self.name.setStyleSheet("font-weight: bold;")
        self.open = button("Open…", "Open a 4D-STEM scan, with options where the file needs them")
        self.open.clicked.connect(self._ask_file)
        self.add(row(self.name, self.open))
        self.rows.itemAt(0).layout().setStretch(0, 1)
        self.path = ElidedLabel()
        self.path.setEnabled(False)
        self.again = button("Open again…", "Open this scan again with other options")
        self.again.clicked.connect(self._open_again)
        self.place = QWidget()
        self.place.setLayout(row(self.path, self.again))
        self.add(self.place)
        self.facts = wrapped(_NO_SCAN)
        self.add(self.facts)
        self.question = ShapeQuestionForm(controller)
        self.add(self.question)
        self.warnings = Notice()
        self.add(self.warnings)
        self.summary = wrapped("")
        self.calibrate = button(
            "Calibrate…",
            "Open the dock “Calibration”: all values with where they came from, the disk, descan, "
            "bad pixels, the lattice and the detector's rotation",
        )
        line = row(self.summary, self.calibrate)
        line.setStretch(0, 1)
        self.add(line)
        self.doubts = wrapped("")
        self.doubts.setEnabled(False)
        self.add(self.doubts)
        self.refresh()

    def _ask_file(self) -> None:
        show_dialog(ImportDialog(self.controller, self))

    def _open_again(self) -> None:
        scan = self.session.scan
        if scan is None or scan.path is None:
            return
        options = dict(scan.reading)
        for name in ("rotation_deg", "flip"):
            if getattr(scan.calibration, name):
                options[name] = getattr(scan.calibration, name)
        show_dialog(ImportDialog(self.controller, self, path=scan.path, options=options))

    def refresh(self) -> None:
        """Show the session's scan."""
        scan, polarization_map = self.session.scan, self.session.map
        self.question.refresh()
        self.place.setVisible(scan is not None and scan.path is not None)
        for widget in (self.summary, self.calibrate, self.doubts):
            widget.setVisible(scan is not None)
        if scan is None:
            self.warnings.tell([])
            self.name.set_full("" if polarization_map is None else "Saved map")
            self.facts.setText(_NO_SCAN if polarization_map is None else self._map_facts())
            return
        self.name.set_full(scan.name)
        self.path.set_full("" if scan.path is None else str(scan.path))
        rows, columns, ky, kx = scan.shape
        size = bytes_text(scan.nbytes)
        self.facts.setText(
            f"{rows} × {columns} positions, {ky} × {kx} px, {scan.dtype.name}, {size}"
        )
        self.warnings.tell(list(scan.warnings))
        self.summary.setText(_summary(scan.calibration))
        doubts = _doubts(scan.calibration)
        self.doubts.setText(doubts)
        self.doubts.setVisible(bool(doubts))

    def _map_facts(self) -> str:
        identity = None if self.session.map is None else self.session.map.scan
        if identity is None or identity.path is None:
            return "The scan of this map is not known; the map can be looked at and exported."
        return (
            f"The map was made from {identity.path}. Open that scan to see its patterns or to "
            "reclassify regions."
        )


def _doubts(calibration: Calibration) -> str:
    """Which values nobody confirmed."""
    measured = [name for name in _CHECKED if calibration.sources.get(name) == "measured"]
    unknown = [name for name in _CHECKED if name not in calibration.sources]
    parts = [
        f"{text}: {labeled(names)}."
        for text, names in (("Only measured", measured), ("Not known", unknown))
        if names
    ]
    return " ".join(parts)


def _summary(calibration: Calibration) -> str:
    """The values that decide whether a classifier applies, in one line."""
    known = [
        (calibration.step_nm, "step {:.4g} nm"),
        (calibration.energy_kv, "{:.4g} kV"),
        (calibration.semi_angle_mrad, "{:.4g} mrad"),
        (calibration.cell_positions, "{:.3g} positions per cell"),
    ]
    parts = [text.format(value) for value, text in known if value is not None]
    return " · ".join(parts) if parts else "Nothing is known of step, voltage and angles."
