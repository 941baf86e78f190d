from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.structure_files import (
    orient,
    unit_cell_from_file,
    unit_cell_from_files,
)

ase = pytest.importorskip("ase")

TWO = DirectionSet(("RM", "MU"), (0.0, 90.0))
MOVES = {"RM": {"Ti": (0.0, 0.1, 0.0)}, "MU": {"Ti": (-0.1, 0.0, 0.0)}}


def cubic(edge: float = 3.9) -> ase.Atoms:
    places = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    return ase.Atoms("SrTiO3", scaled_positions=places, cell=[edge] * 3, pbc=True)


@pytest.fixture
def poscar(tmp_path: Path) -> Path:
    path = tmp_path / "POSCAR"
    cubic().write(path, format="vasp")
    return path


def test_a_cubic_structure_lies_as_its_axes_say(poscar: Path) -> None:
    cell = unit_cell_from_file(poscar, TWO, MOVES)
    assert cell.lengths_angstrom == pytest.approx((3.9, 3.9, 3.9))
    assert [site.name for site in cell.sites] == ["Sr1", "Ti1", "O1", "O2", "O3"]
    assert [site.sublattice for site in cell.sites] == ["Sr", "Ti", "O", "O", "O"]
    assert cell.displacement("MU")[cell.site("Ti1")] == pytest.approx([-0.1, 0, 0])
    assert cell.displacement("RM", 0.3)[cell.site("Ti1")] == pytest.approx([0, 0.3, 0])
    assert cell.magnitude_angstrom == pytest.approx(0.1)
    # No atom lies where slices meet.
    depths = np.array([site.position[2] for site in cell.sites]) * cell.slices % 1
    assert np.abs(depths - 0.5) == pytest.approx(0.0, abs=1e-6)


def test_axes_lie_right_handed_with_the_first_to_the_right() -> None:
    found = orient(np.diag([3.0, 4.0, 5.0]), (0, 0, 1))
    assert found.vectors.tolist() == [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    assert found.lengths == pytest.approx((4.0, 3.0, 5.0))
    assert np.linalg.det(found.axes) == pytest.approx(1.0)
    turned = orient(np.diag([3.0, 4.0, 5.0]), (0, 0, 2), horizontal=(0, 1, 0))
    assert turned.vectors.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_zone_axes_of_a_cube() -> None:
    cube = np.eye(3) * 4.0
    root = np.sqrt(2)
    along_110 = orient(cube, (1, 1, 0))
    assert sorted(along_110.lengths[:2]) == pytest.approx([4.0, 4.0 * root])
    assert along_110.lengths[2] == pytest.approx(4.0 * root)
    along_111 = orient(cube, (1, 1, 1))
    assert sorted(along_111.lengths[:2]) == pytest.approx([4.0 * root, 4.0 * np.sqrt(6)])
    assert along_111.strain == pytest.approx(0.0, abs=1e-9)
    assert along_111.axes[2] == pytest.approx(np.ones(3) / np.sqrt(3))


def test_larger_cells_hold_the_same_crystal(poscar: Path) -> None:
    cell = unit_cell_from_file(poscar, TWO, MOVES, zone_axis=(1, 1, 0))
    volume = np.prod(cell.lengths_angstrom)
    assert len(cell.sites) == round(5 * volume / 3.9**3) == 10
    places = np.array([site.position for site in cell.sites]) * cell.lengths_angstrom
    kinds = np.array([site.sublattice for site in cell.sites])
    # Every Ti has six O at half the cube's edge.
    for place in places[kinds == "Ti"]:
        offset = places[kinds == "O"] - place
        offset -= np.round(offset / cell.lengths_angstrom) * cell.lengths_angstrom
        images = [
            offset + np.array(shift) * cell.lengths_angstrom for shift in np.ndindex(3, 3, 3)
        ] + [offset - np.array(shift) * cell.lengths_angstrom for shift in np.ndindex(3, 3, 3)]
        lengths = np.linalg.norm(np.unique(np.round(np.concatenate(images), 6), axis=0), axis=1)
        assert (np.abs(lengths - 1.95) < 1e-3).sum() == 6


def test_vectors_along_crystal_axes_are_turned_with_the_crystal(poscar: Path) -> None:
    moves = {name: {"Ti": (0.1, 0.0, 0.0)} for name in TWO.names}
    cell = unit_cell_from_file(
        poscar, TWO, moves, zone_axis=(1, 0, 0), horizontal=(0, 0, 1), frame="crystal"
    )
    # [100] is the beam now.
    assert cell.displacement("RM")[cell.site("Ti1")] == pytest.approx([0, 0, 0.1], abs=1e-9)
    other = unit_cell_from_file(poscar, TWO, moves, horizontal=(0, 1, 0), frame="crystal")
    assert other.displacement("RM")[other.site("Ti1")] == pytest.approx([0.1, 0, 0], abs=1e-9)


def test_hexagonal_cells_become_rectangular(tmp_path: Path) -> None:
    path = tmp_path / "hexagonal.xyz"
    hexagonal = ase.Atoms(
        "ZnO", positions=[(0, 0, 0), (0, 0, 2)], cell=[3.25, 3.25, 5.2, 90, 90, 120], pbc=True
    )
    hexagonal.write(path, format="extxyz")
    cell = unit_cell_from_file(path, TWO, {name: {} for name in TWO.names})
    assert sorted(cell.lengths_angstrom) == pytest.approx([3.25, 5.2, 3.25 * np.sqrt(3)])
    assert len(cell.sites) == 4
    assert cell.magnitude_angstrom == 0.0


CIF = """data_mixed
_cell_length_a 4.0
_cell_length_b 4.0
_cell_length_c 4.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
K1 K 0 0 0 0.5
Na1 Na 0 0 0 0.4
Nb1 Nb 0.5 0.5 0.5 1.0
O1 O 0.5 0.5 0.0 1.0
"""


def test_occupancies_of_a_cif_become_probabilities(tmp_path: Path) -> None:
    path = tmp_path / "mixed.cif"
    path.write_text(CIF)
    moves = {"RM": {"Nb": (0, 0.2, 0)}, "MU": {"B": (-0.2, 0, 0)}}
    with pytest.raises(PolmapError, match="one of K, Nb, O"):
        unit_cell_from_file(path, TWO, moves)
    moves["RM"] = {"B": (0, 0.2, 0)}
    cell = unit_cell_from_file(path, TWO, moves, sublattices={"B": [1]}, magnitude_angstrom=0.1)
    assert dict(cell.sites[0].species) == pytest.approx({"K": 0.5, "Na": 0.4})
    assert cell.displacement("RM", 0.1)[1] == pytest.approx([0, 0.2, 0])


def test_one_structure_for_each_direction(tmp_path: Path) -> None:
    shift = {"RM": (0.1, 0.0, 0.0), "MU": (0.0, 0.1, 0.0)}
    for name, vector in shift.items():
        moved = cubic()
        moved.positions[1] += vector
        # The same place, written on the other side of the cell.
        moved.positions[4, 0] += 3.9 if name == "MU" else 0.0
        moved.write(tmp_path / f"{name}.xyz", format="extxyz")
    paths = {name: tmp_path / f"{name}.xyz" for name in shift}
    cell = unit_cell_from_files(paths, TWO)
    titanium = cell.site("Ti1")
    for name, expected in (("RM", (0.0, 0.1, 0.0)), ("MU", (-0.1, 0.0, 0.0))):
        place = np.array(cell.sites[titanium].position) * cell.lengths_angstrom
        place += cell.displacement(name)[titanium]
        start = np.array(cell.sites[cell.site("Sr1")].position) * cell.lengths_angstrom
        offset = place - start - expected
        offset -= np.round(offset / 3.9) * 3.9
        assert np.abs(offset) == pytest.approx([1.95, 1.95, 1.95], abs=1e-6)
    cubic(4.0).write(tmp_path / "MU.xyz", format="extxyz")
    with pytest.raises(PolmapError, match="another cell"):
        unit_cell_from_files(paths, TWO)
    with pytest.raises(PolmapError, match="no structure file for MU"):
        unit_cell_from_files({"RM": paths["RM"]}, TWO)


def test_what_cannot_be_used_is_refused(tmp_path: Path, poscar: Path) -> None:
    broken = tmp_path / "broken.cif"
    broken.write_text("data_\nnothing")
    with pytest.raises(PolmapError, match="cannot be read as a structure"):
        unit_cell_from_file(broken, TWO, MOVES)
    with pytest.raises(PolmapError, match="cannot be read as a structure"):
        unit_cell_from_file(tmp_path / "missing.cif", TWO, MOVES)
    molecule = tmp_path / "molecule.xyz"
    molecule.write_text("1\n\nTi 0 0 0\n")
    with pytest.raises(PolmapError, match="no cell"):
        unit_cell_from_file(molecule, TWO, MOVES)
    with pytest.raises(PolmapError, match="no orthogonal cell"):
        unit_cell_from_file(poscar, TWO, MOVES, zone_axis=(1, 3, 7), max_edge_angstrom=12.0)
    with pytest.raises(PolmapError, match="no direction"):
        unit_cell_from_file(poscar, TWO, MOVES, zone_axis=(0, 0, 0))
    with pytest.raises(PolmapError, match="'image' or 'crystal'"):
        unit_cell_from_file(poscar, TWO, MOVES, frame="lab")
    with pytest.raises(PolmapError, match="no displacement for the direction 'MU'"):
        unit_cell_from_file(poscar, TWO, {"RM": {}})
    with pytest.raises(PolmapError, match="atom 7"):
        unit_cell_from_file(poscar, TWO, MOVES, sublattices={"B": [7]})
    with pytest.raises(PolmapError, match="positive"):
        unit_cell_from_file(poscar, TWO, MOVES, magnitude_angstrom=0.0)
