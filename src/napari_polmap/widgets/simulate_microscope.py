"""The Simulate dock's parts about the microscope, the detector and the computation."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_polmap.viewer.simulation_values import SimulationValues
from napari_polmap.widgets.parts import Section, connect_while
from napari_polmap.widgets.simulate_fields import (
    ChoiceField,
    FlagField,
    TextField,
    numbers,
)
from napari_polmap.widgets.simulate_form import FieldForm, Line, number_field
from napari_polmap.widgets.simulate_ranges import DrawnField

_DETECTOR = {"pixels": [128, 128], "mrad_per_pixel": 0.6, "dose": 10_000}


class MicroscopeSection(Section):
    """Illumination and tilt.

    Parameters
    ----------
    values : SimulationValues
    """

    def __init__(self, values: SimulationValues, parent: QWidget | None = None) -> None:
        super().__init__("Microscope", parent=parent)
        self.form = FieldForm(
            values,
            [
                Line("microscope.energy_kv", "Voltage", "kV"),
                Line("microscope.semi_angle_mrad", "Semi-angle", "mrad"),
                Line("microscope.defocus_nm", "Defocus", "nm"),
                Line(
                    "microscope.tilt_mrad",
                    "Tilt (x, y)",
                    "mrad",
                    make=partial(DrawnField, vector=True),
                    about="As a range: of any azimuth, independent of the direction.",
                ),
            ],
        )
        self.add(self.form)
        more = Section("Aberrations and source", open_=False)
        self.more_form = FieldForm(
            values,
            [
                Line("microscope.astigmatism_nm", "Astigmatism", "nm"),
                Line("microscope.astigmatism_angle_deg", "Its angle", "°"),
                Line("microscope.spherical_aberration_mm", "Cs", "mm"),
                Line("microscope.source_size_angstrom", "Source size", "Å"),
                Line("microscope.focal_spread_nm", "Focal spread", "nm"),
            ],
        )
        more.add(self.more_form)
        self.add(more)


class DetectorPart(Section):
    """The detector, its errors and the dose; or the simulated pixels as they are.

    Parameters
    ----------
    values : SimulationValues
    """

    def __init__(self, values: SimulationValues, parent: QWidget | None = None) -> None:
        super().__init__("Detector and noise", open_=values.has("detector"), parent=parent)
        self.values = values
        self._there = False
        self.on = QCheckBox("Record on a detector, with noise")
        self.on.setToolTip(
            "Without a detector the simulated pixels are kept, free of noise: best for training, "
            "which adds noise and the detector's errors by itself"
        )
        self.on.toggled.connect(self._choose)
        self.add(self.on)
        vector = partial(DrawnField, vector=True)
        self.form = FieldForm(
            values,
            [
                Line("detector.pixels", "Pixels (ky, kx)", "px", make=partial(TextField, numbers)),
                Line("detector.mrad_per_pixel", "Pixel", "mrad", make=number_field),
                Line(
                    "detector.dose",
                    "Dose",
                    "e⁻",
                    about="Left empty the patterns are free of noise.",
                ),
                Line("detector.beam_offset_px", "Beam (right, down)", "px", make=vector),
                Line("detector.rotation_deg", "Rotation", "°"),
                Line("detector.flip", "", make=partial(FlagField, "Reverse ky (flip)")),
                Line("detector.point_spread_px", "Point spread", "px"),
                Line("detector.gain_variation", "Gain variation", make=number_field),
                Line("detector.dead_share", "Share of dead pixels", "", make=number_field),
                Line("detector.hot_share", "Share of hot pixels", "", make=number_field),
                Line("detector.hot_counts", "Counts of hot ones", make=number_field),
                Line("detector.dark_counts", "Dark counts", make=number_field),
            ],
        )
        self.add(self.form)
        connect_while(self, [(values.changed, self._on_changed)])
        self.refresh()

    def _choose(self, on: bool) -> None:
        if on:
            self.values.choose(detector=_DETECTOR)
        else:
            self.values.choose(leave_out=("detector",))

    def _on_changed(self, name: str) -> None:
        if not name:
            self.refresh()

    def refresh(self) -> None:
        """Show whether there is a detector."""
        there = self.values.has("detector")
        with QSignalBlocker(self.on):
            self.on.setChecked(there)
        if there and not self._there:
            self.header.setChecked(True)
        self._there = there
        self.form.setVisible(there)


class ComputationSection(Section):
    """How finely it is computed, and what is written.

    Parameters
    ----------
    values : SimulationValues
    """

    def __init__(self, values: SimulationValues, parent: QWidget | None = None) -> None:
        super().__init__("Computation", open_=False, parent=parent)
        formats = {"HyperSpy (.hspy), with all parameters": "hspy", "Plain arrays (.npy)": "npy"}
        self.form = FieldForm(
            values,
            [
                Line("numerics.sampling_angstrom", "Sampling", "Å", make=number_field),
                Line("numerics.half_width", "Half width", "R", make=number_field),
                Line("numerics.padding_angstrom", "Padding of a block", "Å", make=number_field),
                Line("numerics.block", "Block's edge (pos.)", "", make=number_field),
                Line("output.format", "Scans as", make=partial(ChoiceField, formats)),
            ],
        )
        self.add(self.form)
        self._values = values
        connect_while(self, [(values.changed, self._on_changed)])
        self._on_changed("")

    def _on_changed(self, name: str) -> None:
        if not name:
            for field in ("numerics.padding_angstrom", "numerics.block"):
                self.form.offer(field, self._values.has("scene"))
