"""The Simulate dock's part about the crystal: a built-in material, or structure files."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtWidgets import QWidget

from napari_polmap.simulation.materials import MATERIALS, Material
from napari_polmap.simulation.sections import THERMAL_MODES
from napari_polmap.viewer.simulation_values import SimulationValues
from napari_polmap.widgets.parts import Section, combo, connect_while, row, wrapped
from napari_polmap.widgets.simulate_displacements import DisplacementTable
from napari_polmap.widgets.simulate_fields import ChoiceField, FileField, TextField, numbers, table
from napari_polmap.widgets.simulate_form import FieldForm, Line, number_field

FILE, FILES = "Structure file", "A structure file for each direction"
STRUCTURES = "Structures (*.cif *.vasp *POSCAR* *.poscar *.xyz *.extxyz);;All files (*)"
_OF_MATERIALS = ("lattice_angstrom", "b_share", "beam_sign")
_OF_FILES = ("zone_axis", "horizontal", "frame", "sublattices", "displacements")
_THERMAL: dict[str, Any] = {
    "Damped (Debye-Waller)": "debye-waller",
    "Frozen phonons": "frozen phonon",
    "Atoms at rest": "none",
    "All three, seed by seed": list(THERMAL_MODES),
}
_NO_DISPLACEMENTS = {"RM": {"B": [0.0, 0.1, 0.0]}}


class CrystalSection(Section):
    """Chooses the crystal and what moves in it.

    Parameters
    ----------
    values : SimulationValues
    """

    def __init__(self, values: SimulationValues, parent: QWidget | None = None) -> None:
        super().__init__("Crystal", parent=parent)
        self.values = values
        self.kind = combo("A built-in perovskite along [001], or structure files of your own")
        self.kind.addItems([*MATERIALS, FILE, FILES])
        self.kind.activated.connect(lambda _: self.choose(self.kind.currentText()))
        self.add(row("Crystal", self.kind))
        self.facts = wrapped()
        self.add(self.facts)
        self.file_form = FieldForm(
            values,
            [
                Line(
                    "crystal.file",
                    "File",
                    make=partial(FileField, "Structure without polarization", STRUCTURES),
                ),
                Line(
                    "crystal.files",
                    "Files",
                    make=partial(TextField, table),
                    about="Write such as RM = right.cif, MU = up.cif.",
                ),
                Line("crystal.zone_axis", "Zone axis [uvw]", make=partial(TextField, numbers)),
                Line("crystal.horizontal", "To the right [uvw]", make=partial(TextField, numbers)),
                Line(
                    "crystal.frame",
                    "Vectors count",
                    make=partial(
                        ChoiceField,
                        {"row, column, beam": "image", "along a, b, c": "crystal"},
                    ),
                ),
            ],
        )
        self.add(self.file_form)
        self.displacements = DisplacementTable(values)
        self.add(self.displacements)
        self.form = FieldForm(
            values,
            [
                Line("crystal.magnitude_angstrom", "Displacement", "Å"),
                Line("crystal.lattice_angstrom", "Lattice parameter", "Å"),
                Line("crystal.thermal", "Vibration", make=partial(ChoiceField, _THERMAL)),
            ],
            self._hint,
        )
        self.add(self.form)
        self.more = Section("More about the crystal", open_=False)
        self.more_form = FieldForm(
            values,
            [
                Line("crystal.lattice_scale", "Lattice × factor"),
                Line("crystal.b_share", "Share of B cation"),
                Line(
                    "crystal.order",
                    "Mixed sites",
                    make=partial(
                        ChoiceField, {"At random": "random", "In turn (chessboard)": "in turn"}
                    ),
                ),
                Line(
                    "crystal.beam_sign",
                    "Along the beam",
                    make=partial(ChoiceField, {"With the beam": 1, "Against the beam": -1}),
                ),
                Line("crystal.phonons", "Phonon configs.", make=number_field),
                Line(
                    "crystal.sigmas_angstrom",
                    "Vibration σ",
                    "Å",
                    make=partial(TextField, table),
                    about="Write such as Pb = 0.11, O = 0.09.",
                ),
            ],
            self._hint,
        )
        self.more.add(self.more_form)
        self.add(self.more)
        connect_while(self, [(values.changed, self._on_changed)])
        self.refresh()

    @property
    def material(self) -> Material | None:
        """The built-in one, where it is one."""
        name = self.values.get("crystal.material")
        return MATERIALS.get(name) if isinstance(name, str) else None

    def choose(self, kind: str) -> None:
        """Take a material by name, `FILE` or `FILES`."""
        out = {
            FILE: ("material", "files", *_OF_MATERIALS),
            FILES: ("material", "file", "frame", "sublattices", "displacements", *_OF_MATERIALS),
        }.get(kind, ("file", "files", "lattice_scale", "sigmas_angstrom", *_OF_FILES))
        before = self.values.get("crystal.material")
        if kind in MATERIALS and before != kind:
            # Ranges of one material are no use for another.
            out = (*out, *_OF_MATERIALS[:2], "magnitude_angstrom")
        self.values.choose(
            leave_out=(
                *(f"crystal.{name}" for name in out),
                "directions.names",
                "directions.angles_deg",
            )
        )
        if kind == FILE:
            self.values.choose(crystal__displacements=_NO_DISPLACEMENTS)
        elif kind != FILES:
            self.values.set("crystal.material", kind)

    def _on_changed(self, name: str) -> None:
        if not name or name.startswith("crystal"):
            self.refresh()

    def refresh(self) -> None:
        """Show the crystal as it is now."""
        material, files = self.material, self.values.get("crystal.files") is not None
        from_files = files or (material is None and self._kept_files())
        kind = material.name if material is not None else FILES if from_files else FILE
        self.kind.setCurrentText(kind)
        self.facts.setVisible(material is not None)
        if material is not None:
            self.facts.setText(facts(material))
            self.facts.setToolTip("<br>".join(material.sources))
        self.file_form.setVisible(material is None)
        one = kind == FILE
        for name, shown in (("file", one), ("files", kind == FILES), ("frame", one)):
            self.file_form.offer(f"crystal.{name}", shown)
        self.displacements.setVisible(one)
        for name in _OF_MATERIALS:
            form = self.form if name == "lattice_angstrom" else self.more_form
            form.offer(f"crystal.{name}", material is not None)
        self.form.refresh()
        self.more_form.refresh()

    def _kept_files(self) -> bool:
        return self.values.get("crystal.displacements") is None

    def _hint(self, name: str) -> str:
        material = self.material
        if material is None:
            return ""
        sigmas = ", ".join(f"{name} = {sigma:g}" for name, sigma in material.sigmas.items())
        known = {
            "crystal.magnitude_angstrom": f"{material.magnitude_angstrom:g}",
            "crystal.lattice_angstrom": f"{material.lattice_angstrom:g}",
            "crystal.b_share": f"{material.b_share:g}",
            "crystal.sigmas_angstrom": sigmas,
        }
        return known.get(name, "")


def facts(material: Material) -> str:
    """What is simulated, in a line or two."""
    low, high = material.magnitude_range
    text = f"{material.formula} along [001], a = {material.lattice_angstrom:g} Å"
    if not material.magnitude_angstrom:
        return f"{text}; not polar: a control."
    return (
        f"{text}; the B cation moves {material.magnitude_angstrom:g} Å against the oxygen (for "
        f"training about {low:g} to {high:g} Å)."
    )
