"""Small descriptions of simulations."""

from __future__ import annotations

from typing import Any

from napari_polmap.simulation.spec import Spec, spec_from


def small(**sections: Any) -> dict[str, Any]:
    """Two directions of 2 x 2 cells, 2 x 2 positions, two thicknesses; sections are merged in."""
    values: dict[str, Any] = {
        "name": "small",
        "crystal": {
            "material": "KNN",
            "lattice_angstrom": {"min": 3.93, "max": 4.01},
            "b_share": {"min": 0.5, "max": 1.0},
            "magnitude_angstrom": {"min": 0.08, "max": 0.25},
            "thermal": ["none", "debye-waller", "frozen phonon"],
        },
        "directions": {"names": ["RM", "MU"]},
        "specimens": {
            "sets": {"train": "3-4"},
            "thickness_nm": [0.8, 1.6],
            "cells": 2,
            "positions": 2,
        },
        "microscope": {
            "tilt_mrad": {"max": 3.2, "distribution": "disk"},
            "defocus_nm": {"min": -5, "max": 5},
        },
        "numerics": {"sampling_angstrom": 0.15},
    }
    for name, fields in sections.items():
        if fields is None:
            values.pop(name)
        elif isinstance(fields, dict):
            values[name] = {**values.get(name, {}), **fields}
        else:
            values[name] = fields
    return values


def small_spec(**sections: Any) -> Spec:
    """The description of `small`."""
    return spec_from(small(**sections))


SCENE: dict[str, Any] = {
    "specimens": None,
    "crystal": {"lattice_angstrom": 4.0, "thermal": "none"},
    "scene": {
        "thickness_nm": 0.8,
        "directions": ["RM", "MU"],
        "wall": {"position_nm": [0.0, 0.5], "normal_deg": 0, "width_angstrom": 2.0},
    },
    "scan": {"shape": [4, 6], "step_nm": 0.2},
    "numerics": {"block": 3, "padding_angstrom": 4.0},
}
"""Two domains, 4 x 6 positions in blocks of 3 x 3; for `small`."""
