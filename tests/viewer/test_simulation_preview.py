from __future__ import annotations

import sys

import numpy as np
import pytest

from napari_polmap.directions import angle_color
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.spec import spec_from
from napari_polmap.viewer.simulation_patterns import iter_preview_patterns
from napari_polmap.viewer.simulation_structure import see_structure
from tests.simulation.specs import SCENE, small

pytest.importorskip("abtem")


def test_a_cell_is_drawn_with_its_displacement() -> None:
    structure = see_structure(spec_from(small(crystal={"magnitude_angstrom": 0.2})), "MU")
    up = next(atoms for atoms in structure.atoms if "Nb" in atoms.species).places
    right = see_structure(spec_from(small(crystal={"magnitude_angstrom": 0.2})), "RM")
    across = next(atoms for atoms in right.atoms if "Nb" in atoms.species).places
    # B share 0.75 (middle of the range) of 0.2 Å, three times enlarged: up is fewer rows.
    np.testing.assert_allclose((up - across)[:, 0], -0.45, atol=1e-6)
    np.testing.assert_allclose((up - across)[:, 1], -0.45, atol=1e-6)
    mixed = [atoms for atoms in structure.atoms if len(atoms.species) == 2]
    assert dict(mixed[0].species) == {"K": 0.5, "Na": 0.5}
    assert len(mixed[0].places) == 9
    assert structure.elements == ("K", "Na", "Nb", "O")
    vectors = structure.arrows[:, 1]
    assert (vectors[:, 0] < 0).all()
    np.testing.assert_allclose(structure.colors, np.tile(angle_color(90.0), (4, 1)))
    control = small(crystal={"material": "SrTiO3", "magnitude_angstrom": None})
    del control["crystal"]["magnitude_angstrom"]
    assert not see_structure(spec_from(control)).arrows.size


def test_a_scene_is_drawn_as_its_image_will_be() -> None:
    parts = {**SCENE, "scan": {"shape": [4, 6], "step_nm": 0.2, "crystal_angle_deg": 90}}
    parts["scene"] = {
        "thickness_nm": 0.8,
        "directions": ["RM", "MU"],
        "wall": {"position_nm": [0.5, 0.0], "normal_deg": 90, "width_angstrom": 0.5},
        "defects": [{"kind": "vacuum", "position_nm": [0, 0], "radius_nm": 0.15}],
    }
    structure = see_structure(spec_from(small(**parts)))
    # The crystal's rows run to the image's right, its up is the image's left.
    labels = structure.labels
    assert labels.shape == (4, 6)
    assert labels[0, 0] == 255
    assert (labels[1:, :2] == 1).all()
    assert (labels[:, 3:] == 0).all()
    assert np.argwhere(structure.vacuum).tolist() == [[0, 0]]
    np.testing.assert_allclose(structure.directions.angles_deg, [90.0, 180.0])
    middles, vectors = structure.arrows[:, 0], structure.arrows[:, 1]
    up, left = middles[:, 1] > 5, middles[:, 1] < 5
    assert up.any()
    assert left.any()
    np.testing.assert_allclose(vectors[up], np.tile([-2.8, 0.0], (up.sum(), 1)), atol=0.01)
    np.testing.assert_allclose(vectors[left], np.tile([0.0, -2.8], (left.sum(), 1)), atol=0.01)
    np.testing.assert_allclose(structure.colors[up][0], angle_color(90.0))
    np.testing.assert_allclose(structure.low, (-1.0, -1.0))
    np.testing.assert_allclose(structure.high, (7.0, 11.0))


def test_patterns_show_the_polarization_alone() -> None:
    values = small(
        directions={"names": ["RM", "MU", "LM"]},
        specimens={"thickness_nm": [0.8, 1.6], "cells": 2, "positions": 6},
    )
    steps = list(iter_preview_patterns(spec_from(values)))
    assert steps[0] == []
    right, up, left = ([one.antisymmetric for one in step] for step in steps[1:])
    assert [one.direction for one in steps[1]] == ["RM", "RM"]
    assert [one.tilt_mrad for one in steps[1]] == [(0.0, 0.0)] * 2
    for index in (0, 1):
        size = np.linalg.norm(right[index])
        assert size > 0
        # Reversed, and turned by 90°, as far as six positions and the ordered sites average.
        assert np.linalg.norm(right[index] + left[index]) < 0.1 * size
        assert np.linalg.norm(np.rot90(right[index]) - up[index]) < 0.1 * size
    control = spec_from({**values, "crystal": {"material": "SrTiO3"}})
    none = list(iter_preview_patterns(control))[1]
    assert none[1].antisymmetric_share < 0.1 * steps[1][1].antisymmetric_share


def test_without_ase_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ase", None)
    with pytest.raises(PolmapError, match="run pip install"):
        see_structure(spec_from(small()))
