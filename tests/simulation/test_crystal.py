from __future__ import annotations

import hashlib

import numpy as np
import pytest

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.crystal import (
    THERMAL_SIGMAS,
    Crystal,
    perovskite,
    polarization_vector,
    random_a_sites,
    uniform_displacement,
    vibrate,
)
from napari_polmap.simulation.materials import MATERIALS

ase = pytest.importorskip("ase")


def crystal(angle_deg: float = 0.0, magnitude: float = 0.2, share: float = 0.6) -> Crystal:
    shape = (2, 3, 4)
    return perovskite(
        random_a_sites(shape, np.random.default_rng(0)),
        uniform_displacement(shape[:2], angle_deg, magnitude),
        lattice_angstrom=4.0,
        share=share,
    )


def digest(atoms: ase.Atoms) -> str:
    """Of the symbols, and of the positions rounded beyond what processors differ in."""
    code = hashlib.sha256(" ".join(atoms.get_chemical_symbols()).encode())
    code.update((np.round(atoms.positions, 9) + 0.0).tobytes())
    return code.hexdigest()[:16]


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


@pytest.mark.parametrize(
    ("seed", "direction", "expected"),
    [
        (1, "RM", "86edbfcadbff07fe"),
        (1, "LU", "f87dfaf96c7a6fad"),
        (2, "RM", "eeeb803953559df3"),
        (2, "MD", "94f88430913bf8a8"),
    ],
)
def test_specimens_stay_what_their_seeds_say(seed: int, direction: str, expected: str) -> None:
    # The random streams of the first training data, on which classifiers rest: six cells across,
    # as many along the beam as 50 nm need, seed 2 with a frozen vibration.
    directions = DirectionSet.default()
    index = directions.index(direction)
    of_specimen = np.random.default_rng([seed, 0])
    of_specimen.uniform(0, 6, 2)
    edge, share = of_specimen.uniform(3.93, 4.01), of_specimen.uniform(0.5, 1.0)
    of_run = np.random.default_rng([seed, 3, index])
    of_run.random(2)
    shape = (6, 6, round(500 / edge))
    atoms = perovskite(
        random_a_sites(shape, np.random.default_rng([seed, 1])),
        uniform_displacement(
            shape[:2], directions.angles_deg[index] or 0.0, of_run.uniform(0.08, 0.25)
        ),
        edge,
        share,
    ).atoms()
    if seed == 2:
        atoms = vibrate(atoms, THERMAL_SIGMAS, np.random.default_rng([seed, 2]))
    assert digest(atoms) == expected


def test_blocks_keep_their_cells_and_go_on_periodically() -> None:
    whole = crystal()
    block = whole.block(1, 1, 1, 2)
    assert block.shape == (1, 2, 4)
    assert (block.species == whole.species[1:, 1:]).all()
    beyond = whole.block(-1, 2, 2, 2)
    assert (beyond.species[1, 0] == whole.species[0, 2]).all()
    assert (beyond.species[0, 1] == whole.species[1, 0]).all()
    assert (beyond.block(0, 3, 1, 1).species == whole.species[:1, :1]).all()


def test_blocks_lie_where_the_whole_crystal_has_them() -> None:
    whole = crystal()
    symbols, positions = whole.placed()
    part_symbols, part = whole.block(1, 2, 1, 1).placed()
    order = {tuple(np.round(p, 6)): s for s, p in zip(symbols, positions, strict=True)}
    assert len(part) == 20
    for symbol, position in zip(part_symbols, part, strict=True):
        assert order[tuple(np.round(position, 6))] == symbol


def test_arrangement_follows_the_generator() -> None:
    first, again, other = (
        random_a_sites((3, 3, 9), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_vibration_has_the_given_amplitude() -> None:
    shape = (6, 6, 30)
    sites = random_a_sites(shape, np.random.default_rng(0))
    atoms = perovskite(sites, np.zeros((6, 6, 2)), 4.0).atoms()
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
    ],
)
def test_impossible_perovskites_are_refused(change: dict[str, object]) -> None:
    parts: dict[str, object] = {
        "a_sites": random_a_sites((2, 2, 2), np.random.default_rng(0)),
        "displacement": np.zeros((2, 2, 2)),
    }
    with pytest.raises(PolmapError):
        perovskite(**(parts | change))  # type: ignore[arg-type]


def test_crystals_of_other_shape_than_their_cell_are_refused() -> None:
    cell = MATERIALS["BaTiO3"].unit_cell()
    with pytest.raises(PolmapError, match="5 sites"):
        Crystal(cell, np.full((2, 2, 2, 4), "O"), np.zeros((2, 2, 5, 3)))
