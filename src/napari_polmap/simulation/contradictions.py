"""Fields of a description that do not go together, or would be without effect."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.sections import CrystalSpec, DefectSpec, DetectorSpec, SceneSpec

_STRUCTURES = ("material", "file", "files")
# What each of them alone decides.
_NOT_OF: Mapping[str, tuple[str, ...]] = {
    "material": ("zone_axis", "horizontal", "frame", "sublattices", "displacements"),
    "file": ("lattice_angstrom", "b_share", "beam_sign"),
    "files": ("lattice_angstrom", "b_share", "beam_sign", "frame", "sublattices", "displacements"),
}
OF_DEFECTS: Mapping[str, tuple[str, ...]] = {
    "column": ("cell", "site", "share", "element"),
    "antiphase": ("position_nm", "normal_deg", "shift"),
    "dislocation": ("position_nm", "burgers_angstrom", "poisson"),
    "amorphous": ("position_nm", "radius_nm"),
    "vacuum": ("position_nm", "radius_nm", "normal_deg"),
}
"""The fields of each kind of defect."""


def check_crystal(crystal: CrystalSpec) -> None:
    """Refuse a crystal that is described twice, or not at all.

    Raises
    ------
    PolmapError
        Naming the fields.
    """
    chosen = [name for name in _STRUCTURES if getattr(crystal, name) is not None]
    if len(chosen) != 1:
        raise PolmapError(
            f"[crystal] names {' and '.join(chosen) or 'nothing to simulate'}; give exactly one of "
            "material, file and files."
        )
    (kind,) = chosen
    for name in _given(crystal, _NOT_OF[kind]):
        raise PolmapError(
            f"crystal.{name} is {getattr(crystal, name)!r}, but has no meaning beside "
            f"crystal.{kind}; leave one of the two out."
        )


def check_detector(detector: DetectorSpec) -> None:
    """Refuse errors of the pixels where nothing is counted.

    Raises
    ------
    PolmapError
        Naming the first.
    """
    errors = ("gain_variation", "dead_share", "hot_share", "dark_counts")
    for name in _given(detector, errors if detector.dose is None else ()):
        raise PolmapError(
            f"detector.{name} is {getattr(detector, name)!r}, but without detector.dose nothing is "
            "counted and the patterns are free of noise; give the dose, or leave it out."
        )


def check_sets(names: Iterable[str]) -> None:
    """Refuse names of data sets that are no names of files.

    Raises
    ------
    PolmapError
        Naming the first.
    """
    for name in names:
        if re.fullmatch(r"\w[\w .+-]*", name) is None:
            raise PolmapError(
                f"specimens.sets names {name!r}, but a set is written to a file of its name; use "
                "letters, digits, - and _."
            )


def check_scene(scene: SceneSpec) -> None:
    """Refuse domains that are described twice, and what a defect does not have.

    Raises
    ------
    PolmapError
        Naming the fields.
    """
    for one, other in (("direction", "directions"), ("direction", "wall"), ("wall", "labels")):
        if getattr(scene, one) is not None and getattr(scene, other) is not None:
            raise PolmapError(
                f"[scene] has {one} and {other}; give direction for one domain, directions and "
                "wall for two, or labels and directions for more."
            )
    if scene.labels is None and _given(scene, ("label_pixel_nm", "label_wall_angstrom")):
        raise PolmapError(
            "scene.labels is missing, but fields of it are given; name the image, or leave "
            "label_pixel_nm and label_wall_angstrom out."
        )
    for defect in scene.defects:
        own = OF_DEFECTS[defect.kind]
        others = [field.name for field in dataclasses.fields(DefectSpec)]
        for name in _given(defect, [n for n in others if n != "kind" and n not in own]):
            raise PolmapError(
                f"scene.defects.{name} is {getattr(defect, name)!r}, but a defect of the kind "
                f'"{defect.kind}" has only {", ".join(own)}; leave it out.'
            )


def _given(section: Any, names: Iterable[str]) -> list[str]:
    """Those of the fields that are not what they are when they are left out."""
    defaults = {field.name: field.default for field in dataclasses.fields(section)}
    return [name for name in names if getattr(section, name) != defaults[name]]
