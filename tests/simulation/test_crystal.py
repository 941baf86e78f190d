from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.crystal import (
    THERMAL_SIGMAS,
    Perovskite,
    Wall,
    defect_column,
    polarization_vector,
    random_a_sites,
    two_domains,
    uniform_displacement,
    vibrate,
)

pytest.importorskip("ase")


def crystal(angle_deg: float = 0.0, magnitude: float = 0.2, share: float = 0.6) -> Perovskite:
    shape = (2, 3, 4)
    return Perovskite(
        random_a_sites(shape, np.random.default_rng(0)),
        uniform_displacement(shape[:2], angle_deg, magnitude),
        lattice_angstrom=4.0,
        share=share,
    )


@pytest.mark.parametrize(
    ("angle", "vector"), [(0, (0, 1)), (90, (-1, 0)), (180, (0, -1)), (270, (1, 0))]
)
def test_polarization_points_counter_clockwise_from_the_right(
    angle: float, vector: tuple[float, float]
) -> None:
    assert polarization_vector(angle, 2.0) == pytest.approx(2 * np.array(vector), abs=1e-12)


def test_b_moves_against_the_oxygen_octahedron() -> None:
    atoms = crystal(angle_deg=90.0, magnitude=0.2, share=0.6).atoms()
    symbols = np.array(atoms.get_chemical_symbols())
    niobium = atoms.positions[symbols == "Nb"][:, :2]
    assert niobium.min(axis=0) == pytest.approx([2.0 - 0.12, 2.0])
    # The apical oxygen was right above the B site; it went down the rows.
    oxygen = atoms.positions[symbols == "O"]
    above = oxygen[np.hypot(oxygen[:, 0] - 2.0, oxygen[:, 1] - 2.0) < 0.5][:, :2]
    assert len(above) == 4
    assert niobium.min(axis=0) - above.mean(axis=0) == pytest.approx(
        polarization_vector(90.0, 0.2), abs=1e-9
    )


def test_formula_cell_and_layers() -> None:
    atoms = crystal().atoms()
    symbols = atoms.get_chemical_symbols()
    assert atoms.cell.lengths() == pytest.approx([8, 12, 16])
    assert symbols.count("Nb") == 24
    assert symbols.count("O") == 72
    assert symbols.count("K") + symbols.count("Na") == 24
    assert min(symbols.count("K"), symbols.count("Na")) > 3
    assert np.unique(np.round(atoms.positions[:, 2] % 4.0, 6)) == pytest.approx([1.0, 3.0])
    assert (atoms.positions >= 0).all()
    assert (atoms.positions < atoms.cell.lengths()).all()


def test_blocks_keep_their_cells() -> None:
    whole = crystal()
    block = whole.block(1, 1, 1, 2)
    assert block.shape == (1, 2, 4)
    assert (block.a_sites == whole.a_sites[1:, 1:]).all()
    with pytest.raises(PolmapError, match="beyond"):
        whole.block(1, 0, 2, 2)


def test_arrangement_follows_the_generator() -> None:
    first, again, other = (
        random_a_sites((3, 3, 9), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_only_the_defect_column_misses_atoms() -> None:
    present = defect_column((3, 3, 200), (1, 2), 0.8, np.random.default_rng(0))
    missing = ~present
    assert missing[1, 2].mean() == pytest.approx(0.8, abs=0.1)
    missing[1, 2] = False
    assert not missing.any()


def test_missing_atoms_are_left_out() -> None:
    present = np.ones((2, 3, 4), bool)
    present[0, 1, 2] = False
    whole = crystal()
    holed = Perovskite(whole.a_sites, whole.displacement, 4.0, b_present=present)
    assert len(holed.atoms()) == len(whole.atoms()) - 1


@pytest.mark.parametrize("profile", ["tanh", "linear"])
def test_wall_divides_two_domains(profile: str) -> None:
    wall = Wall(position=(2.0, 3.0), normal_deg=0.0, width=1.0, profile=profile)
    field = two_domains((4, 8), (45.0, 315.0), 0.2, wall)
    assert field[:, 0] == pytest.approx(np.tile(polarization_vector(45, 0.2), (4, 1)), abs=1e-3)
    assert field[:, -1] == pytest.approx(np.tile(polarization_vector(315, 0.2), (4, 1)), abs=1e-3)
    assert wall.second_share(2.0, 3.0) == pytest.approx(0.5)
    assert wall.distance(0.0, 5.0) == pytest.approx(2.0)


def test_wall_normal_follows_the_displayed_frame() -> None:
    # A normal of 90° points up: the second domain lies at smaller rows.
    assert Wall((2.0, 3.0), 90.0).distance(0.5, 7.0) == pytest.approx(1.5)


def test_vibration_has_the_given_amplitude() -> None:
    shape = (6, 6, 30)
    atoms = Perovskite(
        random_a_sites(shape, np.random.default_rng(0)), np.zeros((6, 6, 2)), 4.0
    ).atoms()
    moved = vibrate(atoms, THERMAL_SIGMAS, np.random.default_rng(1))
    step = moved.positions - atoms.positions
    step -= np.round(step / atoms.cell.lengths()) * atoms.cell.lengths()
    symbols = np.array(atoms.get_chemical_symbols())
    for element, sigma in THERMAL_SIGMAS.items():
        assert step[symbols == element].std() == pytest.approx(sigma, rel=0.06)


@pytest.mark.parametrize(
    "change",
    [
        {"displacement": np.zeros((3, 3, 2))},
        {"lattice_angstrom": 0.0},
        {"share": 1.5},
        {"b_present": np.ones((1, 1, 1), bool)},
    ],
)
def test_impossible_crystals_are_refused(change: dict[str, object]) -> None:
    parts: dict[str, object] = {
        "a_sites": random_a_sites((2, 2, 2), np.random.default_rng(0)),
        "displacement": np.zeros((2, 2, 2)),
    }
    with pytest.raises(PolmapError):
        Perovskite(**(parts | change))  # type: ignore[arg-type]


def test_impossible_walls_are_refused() -> None:
    with pytest.raises(PolmapError, match="profile"):
        Wall((0, 0), 0.0, profile="step")
    with pytest.raises(PolmapError, match="width"):
        Wall((0, 0), 0.0, width=0.0)
