from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.materials import MATERIALS
from napari_polmap.simulation.quarter_turns import check_families, families
from napari_polmap.simulation.unit_cell import Site, UnitCell

EIGHT = DirectionSet.default()


def test_two_of_eight_directions_generate_the_others() -> None:
    found = families(EIGHT, True)
    assert [family.number for family in found] == [0, 1]
    assert found[0].members == (("RM", 0), ("MU", 1), ("LM", 2), ("MD", 3))
    assert found[1].members == (("RU", 0), ("LU", 1), ("LD", 2), ("RD", 3))


def test_without_symmetry_and_without_angles_each_is_simulated() -> None:
    assert [family.members for family in families(EIGHT, False)] == [
        ((name, 0),) for name in EIGHT.names
    ]
    directions = DirectionSet(("RM", "OUT", "MU"), (0.0, None, 90.0))
    assert [family.members for family in families(directions, True)] == [
        (("RM", 0), ("MU", 1)),
        (("OUT", 0),),
    ]


@pytest.mark.parametrize("name", ["KNN", "BaTiO3", "BiFeO3"])
def test_perovskites_have_the_symmetry(name: str) -> None:
    cell = MATERIALS[name].unit_cell()
    check_families(cell, (4, 4), families(cell.directions, True), 0.2)


def test_other_cells_are_refused() -> None:
    cell = MATERIALS["KNN"].unit_cell(4.0)
    found = families(EIGHT, True)
    with pytest.raises(PolmapError, match="as many rows as columns"):
        check_families(cell, (4, 5), found, 0.2)
    # An atom beside the axis: a turn brings it elsewhere.
    low = UnitCell(
        lengths_angstrom=(4.0, 4.0, 4.0),
        sites=(
            Site("A", "A", (0.0, 0.0, 0.25), {"Ba": 1.0}),
            Site("B", "B", (0.5, 0.6, 0.75), {"Ti": 1.0}),
        ),
        directions=DirectionSet.from_names(["RM", "MU"]),
        modes={"RM": np.array([[0, 0, 0], [0, 1.0, 0]]), "MU": np.array([[0, 0, 0], [-1.0, 0, 0]])},
    )
    with pytest.raises(PolmapError, match=r"turned by 90°, RM is not MU .* 0\.566 Å"):
        check_families(low, (4, 4), families(low.directions, True), 0.2)


def test_a_wrong_sense_of_a_direction_is_found() -> None:
    cell = MATERIALS["KNN"].unit_cell(4.0)
    swapped = {**cell.modes, "MU": cell.modes["MD"], "MD": cell.modes["MU"]}
    wrong = UnitCell(cell.lengths_angstrom, cell.sites, cell.directions, swapped)
    with pytest.raises(PolmapError, match="RM is not MU"):
        check_families(wrong, (4, 4), families(EIGHT, True), 0.2)
