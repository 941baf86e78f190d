"""The Simulate dock's part about what is simulated: specimens for training, or a scene."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_polmap.simulation.materials import MATERIALS
from napari_polmap.viewer.simulation_values import SimulationValues
from napari_polmap.widgets.parts import Section, combo, connect_while
from napari_polmap.widgets.simulate_defects import DefectList
from napari_polmap.widgets.simulate_fields import (
    ChoiceField,
    FileField,
    TextField,
    names,
    numbers,
    one_or_more,
)
from napari_polmap.widgets.simulate_form import FieldForm, Line, number_field
from napari_polmap.widgets.simulate_ranges import DrawnField
from napari_polmap.widgets.simulate_sets import SetsField

_IMAGES = "Images (*.tif *.tiff *.npy);;All files (*)"
SPECIMENS = "Specimens for training"
ONE, TWO, LABELS = (
    "Scene: one domain",
    "Scene: two domains and a wall",
    "Scene: domains of a label image",
)
_SPECIMENS: dict[str, Any] = {
    "sets": {"train": "1-12", "test": "1001-1004"},
    "thickness_nm": [5, 10, 15],
    "cells": 4,
}
_WALL = {"position_nm": [0.8, 0.8], "normal_deg": 0}
_SCENE = {"thickness_nm": 10}
_SCAN = {"shape": [32, 32], "step_nm": 0.05}


class ScopeSection(Section):
    """Chooses between specimens and scenes, with what each needs.

    Parameters
    ----------
    values : SimulationValues
    """

    def __init__(self, values: SimulationValues, parent: QWidget | None = None) -> None:
        super().__init__("What to simulate", parent=parent)
        self.values = values
        self.kind = combo(
            "Specimens: single cells of many arrangements, each with every direction, to train "
            "on. A scene: one scan with truth images, to test with and to look at."
        )
        self.kind.addItems([SPECIMENS, ONE, TWO, LABELS])
        self.kind.activated.connect(lambda _: self.choose(self.kind.currentText()))
        self.add(self.kind)
        self.specimens = FieldForm(
            values,
            [
                Line("specimens.sets", "Specimens", make=SetsField),
                Line(
                    "specimens.thickness_nm",
                    "Thickness",
                    "nm",
                    make=partial(DrawnField, each=True),
                ),
                Line("specimens.cells", "Cells across", make=partial(TextField, one_or_more)),
                Line("specimens.positions", "Positions per edge", make=number_field),
            ],
        )
        self.add(self.specimens)
        self.scene = QWidget()
        self._build_scene()
        self.add(self.scene)
        connect_while(self, [(values.changed, self._on_changed)])
        self.refresh()

    def _build_scene(self) -> None:
        values, pair = self.values, partial(TextField, numbers)
        label_image = partial(FileField, "Label image", _IMAGES)
        part = QVBoxLayout(self.scene)
        part.setContentsMargins(0, 0, 0, 0)
        part.setSpacing(5)
        self.domains = FieldForm(
            values,
            [
                Line("scene.thickness_nm", "Thickness", "nm", make=partial(TextField, one_or_more)),
                Line("scene.direction", "Direction", make=partial(ChoiceField, {})),
                Line("scene.directions", "Directions", make=partial(TextField, names)),
                Line("scene.labels", "Label image", make=label_image),
                Line("scene.label_pixel_nm", "Its pixel", "nm", make=number_field),
                Line("scene.label_wall_angstrom", "Wall width", "Å", make=number_field),
            ],
        )
        part.addWidget(self.domains)
        # Lines of the wall show defaults only where there is one.
        self.wall = FieldForm(
            values,
            [
                Line("scene.wall.position_nm", "Wall (row, col.)", "nm", make=pair),
                Line("scene.wall.normal_deg", "Normal of the wall", "°", make=number_field),
                Line("scene.wall.width_angstrom", "Wall width", "Å", make=number_field),
                Line(
                    "scene.wall.profile",
                    "Wall profile",
                    make=partial(ChoiceField, {"tanh": "tanh", "linear": "linear"}),
                ),
            ],
        )
        part.addWidget(self.wall)
        self.scan = FieldForm(
            values,
            [
                Line("scan.shape", "Positions (rows, col.)", "", make=pair),
                Line("scan.step_nm", "Step", "nm", make=number_field),
                Line("scan.crystal_angle_deg", "Crystal angle", "°"),
            ],
        )
        part.addWidget(self.scan)
        self.defects = DefectList(values)
        part.addWidget(self.defects)
        more = Section("More about the scan", open_=False)
        self.more = FieldForm(
            values,
            [
                Line("scene.seeds", "Seeds", make=TextField),
                Line("scene.wedge_nm_per_nm", "Wedge (nm per nm)", "", make=pair),
                Line("scene.bend_x_mrad_per_nm", "Bending x (mrad/nm)", "", make=pair),
                Line("scene.bend_y_mrad_per_nm", "Bending y (mrad/nm)", "", make=pair),
                Line("scan.origin_nm", "Origin (row, col.)", "nm", make=pair),
                Line("scan.noise_angstrom", "Scan noise", "Å", make=number_field),
                Line("scan.drift_angstrom", "Drift (row, col.)", "Å", make=pair),
            ],
        )
        more.add(self.more)
        part.addWidget(more)

    def choose(self, kind: str) -> None:
        """Simulate `SPECIMENS`, or a scene of `ONE` domain, `TWO` domains, or `LABELS`."""
        if kind == SPECIMENS:
            self.values.choose(leave_out=("scene", "scan"), specimens=_SPECIMENS)
            return
        out = {
            ONE: ("directions", "wall", "labels", "label_pixel_nm", "label_wall_angstrom"),
            TWO: ("direction", "labels", "label_pixel_nm", "label_wall_angstrom"),
            LABELS: ("direction", "directions", "wall"),
        }[kind]
        first = (*self._names(), "RM", "MU")
        new = {
            ONE: {"direction": first[0]},
            TWO: {"directions": list(first[:2]), "wall": _WALL},
            LABELS: {"label_pixel_nm": 0.1},
        }[kind]
        if not self.values.has("scene"):
            self.values.choose(leave_out=("specimens",), scene={**_SCENE, **new}, scan=_SCAN)
        self.values.choose(
            leave_out=tuple(f"scene.{name}" for name in out),
            **{f"scene__{name}": value for name, value in new.items()},
        )

    def _names(self) -> tuple[str, ...]:
        given = self.values.get("directions.names")
        if given:
            return tuple(given)
        crystal = self.values.get("crystal") or {}
        if crystal.get("material") in MATERIALS:
            return MATERIALS[crystal["material"]].directions().names
        return tuple(crystal.get("displacements") or crystal.get("files") or ())

    def _on_changed(self, name: str) -> None:
        if not name or name.startswith(("specimens", "scene", "directions", "crystal")):
            self.refresh()

    def refresh(self) -> None:
        """Show what is simulated as it is now."""
        get = self.values.get
        scene = self.values.has("scene")
        kind = SPECIMENS
        if scene:
            labels = get("scene.labels") is not None or get("scene.label_pixel_nm") is not None
            two = get("scene.wall") is not None
            kind = LABELS if labels else TWO if two else ONE
        self.kind.setCurrentText(kind)
        self.specimens.setVisible(not scene)
        self.scene.setVisible(scene)
        self.wall.setVisible(kind == TWO)
        known = self._names()
        self.domains.fields["scene.direction"].offer({name: name for name in known})
        for name, shown in (
            ("direction", kind == ONE),
            ("directions", kind in (TWO, LABELS)),
            ("labels", kind == LABELS),
            ("label_pixel_nm", kind == LABELS),
            ("label_wall_angstrom", kind == LABELS),
        ):
            self.domains.offer(f"scene.{name}", shown)
        self.domains.refresh()
