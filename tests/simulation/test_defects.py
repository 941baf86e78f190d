from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.crystal import Symbols
from napari_polmap.simulation.defects import (
    AntiphaseBoundary,
    ColumnDefect,
    Defect,
    EdgeDislocation,
)
from napari_polmap.simulation.domains import OneDomain
from napari_polmap.simulation.materials import MATERIALS
from napari_polmap.simulation.random_crystal import RandomCrystal
from napari_polmap.simulation.regions import AmorphousPatch, Vacuum

CELL = MATERIALS["SrTiO3"].unit_cell(4.0)
DEPTH = 5
WHOLE = RandomCrystal(CELL, OneDomain("RM"), 0.0, DEPTH).block(-2, -2, 12, 12)


def placed(defect: Defect) -> tuple[Symbols, np.ndarray]:
    return defect.place(*defect.occupy(WHOLE).placed(), DEPTH * 4.0, CELL)


def test_a_column_is_missing_or_replaced_in_part() -> None:
    crystal = RandomCrystal(CELL, OneDomain("RM"), 0.0, 200).block(-2, -2, 6, 6)
    b = CELL.site("B")
    missing = ColumnDefect((1, -1), "B", 0.3, seed=4).occupy(crystal).species
    assert (missing[3, 1, :, b] == "").mean() == pytest.approx(0.3, abs=0.1)
    changed = ColumnDefect((1, -1), "B", 0.3, "Nb", seed=4).occupy(crystal).species
    assert ((changed[3, 1, :, b] == "Nb") == (missing[3, 1, :, b] == "")).all()
    others = np.ones(crystal.species.shape, bool)
    others[3, 1, :, b] = False
    assert (missing[others] == crystal.species[others]).all()
    # Cut elsewhere the same atoms are missing, and none where the column is not.
    part = ColumnDefect((1, -1), "B", 0.3, seed=4).occupy(crystal.block(1, -1, 2, 2)).species
    assert (part[0, 0] == missing[3, 1]).all()
    beside = crystal.block(2, 0, 2, 2)
    assert ColumnDefect((1, -1), "B").occupy(beside) is beside


def test_a_column_shows_around_its_site() -> None:
    points = np.array([(6.0, -2.0), (6.0, -0.1), (6.0, 0.1), (4.0, -4.0)])
    assert ColumnDefect((1, -1), "B").marks(points, CELL).tolist() == [True, True, False, False]
    assert ColumnDefect((1, -1), "A").marks(points, CELL).tolist() == [False, False, False, True]


def test_a_shift_along_the_plane_leaves_the_number_of_atoms() -> None:
    boundary = AntiphaseBoundary((0.0, 15.0), 0.0, shift=(0.5, 0.0, 0.0))
    symbols, positions = placed(boundary)
    before = positions[:, 1] <= 15.0
    assert len(positions) == len(WHOLE.placed()[1])
    perfect = cKDTree(WHOLE.placed()[1])
    assert perfect.query(positions[before])[0].max() == pytest.approx(0.0, abs=1e-9)
    back = positions[~before] - (2.0, 0.0, 0.0)
    assert perfect.query(back)[0].max() == pytest.approx(0.0, abs=1e-9)
    assert (symbols == "Ti").sum() == (WHOLE.placed()[0] == "Ti").sum()


def test_a_shift_across_the_plane_leaves_no_gap_and_no_overlap() -> None:
    boundary = AntiphaseBoundary((0.0, 15.0), 0.0, shift=(0.5, 0.5, 0.0))
    _, positions = placed(boundary)
    inside = positions[(positions[:, :2] > 0).all(1) & (positions[:, :2] < 32).all(1)]
    assert cKDTree(inside).query(inside, k=2)[0][:, 1].min() >= 1.2
    columns = np.unique(np.round(inside[:, 1], 6))
    assert np.diff(columns).max() <= 2.0 + 1e-6
    assert boundary.marks([(3.0, 14.0), (3.0, 17.5)], CELL).tolist() == [True, False]
    assert boundary.reach_angstrom(CELL) == pytest.approx(np.hypot(2, 2))


def test_the_crystal_closes_around_a_dislocation() -> None:
    dislocation = EdgeDislocation((18.1, 18.1), (0.0, 4.0), 0.3)
    symbols, positions = placed(dislocation)
    # Away from the core Ti and O stay about half a cell apart, also where the field jumps.
    far = np.hypot(*(positions[:, :2] - 18.1).T) > 8.0
    inner = far & (positions[:, :2] > 0).all(1) & (positions[:, :2] < 36).all(1)
    titanium, oxygen = positions[inner & (symbols == "Ti")], positions[symbols == "O"]
    # The topmost have no oxygen above them.
    apart, _ = cKDTree(oxygen).query(titanium, k=5)
    assert len(titanium) > 200
    assert apart.min() > 1.7
    assert apart.max() < 2.3


@pytest.mark.parametrize("burgers", [(0.0, 4.0), (-4.0, 0.0), (2.8, 2.8)])
def test_a_circuit_around_the_core_misses_the_burgers_vector(
    burgers: tuple[float, float],
) -> None:
    dislocation = EdgeDislocation((3.0, -2.0), burgers)
    angles = np.linspace(0, 2 * np.pi, 2001)
    circle = np.stack([3.0 + 20 * np.sin(angles), -2.0 + 20 * np.cos(angles)], -1)
    steps = np.diff(dislocation.field(circle), axis=0)
    jump = np.linalg.norm(steps, axis=1).argmax()
    # Counter-clockwise on the image is against the angle here, as rows run downward.
    assert np.abs(steps[jump]) == pytest.approx(np.abs(burgers), abs=0.05)
    smooth = np.delete(steps, jump, axis=0).sum(0)
    assert np.abs(smooth) == pytest.approx(np.abs(burgers), abs=0.05)


def test_the_field_is_that_of_elasticity() -> None:
    # In equilibrium: (1 - 2ν) Δu + grad div u = 0 away from core and cut.
    poisson, spacing = 0.3, 0.01
    dislocation = EdgeDislocation((0.0, 0.0), (0.0, 1e-3), poisson)
    x, y = np.meshgrid(7.0 + spacing * np.arange(-2, 3), 4.0 + spacing * np.arange(-2, 3))
    # With the Burgers vector to the right, y points up.
    field = dislocation.field(np.stack([-y, x], -1)) / 1e-3
    u, v = field[..., 1], -field[..., 0]

    def d(values: np.ndarray, axis: int) -> np.ndarray:
        return np.gradient(values, spacing, axis=axis)

    divergence = d(u, 1) + d(v, 0)
    for part, axis in ((u, 1), (v, 0)):
        laplacian = d(d(part, 0), 0) + d(d(part, 1), 1)
        left = ((1 - 2 * poisson) * laplacian + d(divergence, axis))[2, 2]
        assert abs(left) < 1e-3 * np.abs(d(divergence, axis)[2, 2])


def test_a_patch_is_as_dense_and_mixed_as_the_crystal_but_not_ordered() -> None:
    patch = AmorphousPatch((16.0, 16.0), 8.0, seed=3)
    symbols, positions = placed(patch)
    offset = np.hypot(*(positions[:, :2] - 16.0).T)
    inside = positions[offset <= 7.2]
    volume = np.pi * 7.2**2 * DEPTH * 4.0
    assert len(inside) / volume == pytest.approx(CELL.density, rel=0.01)
    distance, _ = cKDTree(inside).query(inside, k=2)
    assert distance[:, 1].min() >= 1.6
    assert (symbols[offset <= 7.2] == "O").mean() == pytest.approx(0.6, abs=0.07)
    assert inside[:, 2].min() >= 0
    assert inside[:, 2].max() < DEPTH * 4.0
    assert ((offset > 8.0).sum()) == (np.hypot(*(WHOLE.placed()[1][:, :2] - 16.0).T) > 8.0).sum()
    # No layers along the beam are left.
    layers = np.histogram(inside[:, 2] % 2.0, 8, (0, 2))[0]
    assert layers.min() > 0.6 * layers.mean()
    again = placed(patch)[1]
    assert (again == positions).all()
    with pytest.raises(PolmapError, match="no room"):
        placed(AmorphousPatch((16.0, 16.0), 8.0, closest_angstrom=2.6))


def test_vacuum_is_empty() -> None:
    edge = Vacuum((0.0, 10.0), normal_deg=0.0)
    assert placed(edge)[1][:, 1].max() <= 10.0
    hole = Vacuum((10.0, 10.0), radius_angstrom=5.0)
    positions = placed(hole)[1]
    assert np.hypot(*(positions[:, :2] - 10.0).T).min() > 5.0
    assert hole.marks([(10.0, 14.9), (10.0, 15.1)], CELL).tolist() == [True, False]
    # A normal of 90° points to smaller rows.
    above = Vacuum((10.0, 0.0), normal_deg=90.0)
    assert above.marks([(9.0, 50.0), (11.0, 50.0)], CELL).tolist() == [True, False]


def test_impossible_defects_are_refused() -> None:
    with pytest.raises(PolmapError, match="share"):
        ColumnDefect((0, 0), "B", 1.5)
    with pytest.raises(PolmapError, match="Burgers"):
        EdgeDislocation((0, 0), (0.0, 0.0))
    with pytest.raises(PolmapError, match="Poisson"):
        EdgeDislocation((0, 0), (4.0, 0.0), 0.5)
    with pytest.raises(PolmapError, match="radius"):
        AmorphousPatch((0, 0), 0.0)
    with pytest.raises(PolmapError, match="either"):
        Vacuum((0, 0))
    with pytest.raises(PolmapError, match="X1"):
        ColumnDefect((0, 0), "C").occupy(WHOLE)
