from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.directions import NOT_COMPUTED
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.crystal import Crystal, perovskite, random_a_sites
from napari_polmap.simulation.defects import (
    AntiphaseBoundary,
    ColumnDefect,
    Defect,
    EdgeDislocation,
)
from napari_polmap.simulation.domains import OneDomain, TwoDomains, Wall
from napari_polmap.simulation.materials import MATERIALS
from napari_polmap.simulation.random_crystal import RandomCrystal
from napari_polmap.simulation.regions import AmorphousPatch, Vacuum
from napari_polmap.simulation.scenes import Bend, Scene, Surface

CELL = MATERIALS["KNN"].unit_cell(4.0)
RU, LD = CELL.directions.index("RU"), CELL.directions.index("LD")


def crystal(**change: object) -> RandomCrystal:
    parts: dict[str, object] = {
        "cell": CELL,
        "domains": TwoDomains(("RU", "LD"), Wall((0.0, 16.0), 0.0, width=4.0)),
        "magnitude_angstrom": 0.2,
        "depth": 5,
        "seed": 1,
    }
    return RandomCrystal(**(parts | change))  # type: ignore[arg-type]


def key(positions: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(place) for place in np.round(positions, 6) + 0.0}


def test_a_cut_of_whole_cells_is_the_block() -> None:
    scene = Scene(crystal(domains=OneDomain("RU")), [2.0])
    atoms = scene.atoms((-7.0, 5.0), (8.0, 12.0))
    block = scene.crystal.block(-3, 0, 4, 6)
    assert isinstance(block, Crystal)
    symbols, positions = block.placed()
    positions = positions - (-7.0, 5.0, 0.0)
    inside = ((positions[:, :2] >= 0) & (positions[:, :2] < (8, 12))).all(1)
    assert key(atoms.positions) == key(positions[inside])
    assert len(atoms) == 2 * 3 * 5 * 5
    assert atoms.cell.lengths() == pytest.approx((8.0, 12.0, 20.0))
    assert sorted(atoms.get_chemical_symbols()) == sorted(symbols[inside].tolist())


@pytest.mark.parametrize(
    "defect",
    [
        ColumnDefect((3, 4), "B", 0.5),
        AntiphaseBoundary((14.0, 14.0), 20.0),
        EdgeDislocation((14.0, 15.0), (0.0, 4.0)),
        AmorphousPatch((14.0, 15.0), 6.0),
        Vacuum((14.0, 14.0), 135.0),
    ],
)
def test_cuts_agree_where_they_overlap(defect: Defect) -> None:
    scene = Scene(crystal(), [2.0], [defect])
    large = scene.atoms((0.0, 0.0), (30.0, 30.0)).positions
    small = scene.atoms((9.0, 10.3), (10.0, 12.0)).positions
    small[:, :2] += (9.0, 10.3)
    inside = ((large[:, :2] >= (9.0, 10.3)) & (large[:, :2] < (19.0, 22.3))).all(1)
    assert key(large[inside]) == key(small)
    assert len(small) > 50


def test_a_crystal_of_arrays_goes_on_periodically() -> None:
    shape = (3, 3, 2)
    sites = random_a_sites(shape, np.random.default_rng(0))
    given = perovskite(sites, np.full((3, 3, 2), 0.1), 4.0)
    scene = Scene(given, [0.8])
    first = scene.atoms((1.0, 1.0), (12.0, 12.0))
    again = scene.atoms((13.0, -11.0), (12.0, 12.0))
    assert key(first.positions) == key(again.positions)
    assert (given.species[0, 0] == given.block(3, 3, 1, 1).species[0, 0]).all()
    with pytest.raises(PolmapError, match="domains"):
        scene.truth(np.zeros((1, 1, 2)))


def test_truth_of_domains_and_defects() -> None:
    defects = [
        AmorphousPatch((8.0, 4.0), 3.0),
        Vacuum((20.0, 0.0), 270.0),
        ColumnDefect((0, 6), "B"),
    ]
    scene = Scene(crystal(), [1.0, 2.0], defects)
    points = np.array(
        [[(2.0, 4.0), (2.0, 16.5), (2.0, 30.0)], [(8.0, 5.0), (21.0, 4.0), (2.0, 26)]]
    )
    truth = scene.truth(points)
    assert truth.direction.tolist() == [[RU, NOT_COMPUTED, LD], [NOT_COMPUTED, NOT_COMPUTED, LD]]
    assert truth.direction.dtype == np.uint8
    assert truth.defects.tolist() == [[False, False, False], [True, False, True]]
    assert truth.thickness_nm == pytest.approx(np.array([[2, 2, 2], [2, 0, 2]]))
    assert scene.truth(points, 0).thickness_nm.max() == pytest.approx(1.0)
    assert (truth.tilt_mrad == 0).all()


def test_wedge_and_bending_follow_the_place() -> None:
    wedge = Surface(1.0, gradient=(0.0, 0.5), origin=(0.0, 10.0))
    bend = Bend(Surface(0.5, curvature=(0.0, 2.0, 0.0)), Surface(0.0, gradient=(1.0, 0.0)))
    scene = Scene(crystal(), wedge, bend=bend)
    points = np.array([[(0.0, 10.0), (20.0, 20.0), (0.0, -10.0), (0.0, 100.0)]])
    truth = scene.truth(points)
    # Not below nothing, and not above the crystal's 2 nm.
    assert truth.thickness_nm[0] == pytest.approx([1.0, 1.5, 0.0, 2.0])
    assert truth.direction[0].tolist() == [RU, LD, NOT_COMPUTED, LD]
    assert truth.tilt_mrad[0, 1] == pytest.approx([0.5 + 0.5 * 2.0 * 2.0**2, 2.0])


def test_mixed_curvature() -> None:
    saddle = Surface(1.0, curvature=(0.0, 0.0, 3.0))
    assert saddle.at([10.0, 20.0]) == pytest.approx(1.0 + 3.0 * 1 * 2)


def test_thickness_beyond_the_crystal_is_refused() -> None:
    with pytest.raises(PolmapError, match="at most the crystal"):
        Scene(crystal(), [1.0, 2.5])
    with pytest.raises(PolmapError, match="at least one"):
        Scene(crystal(), [])
