from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.domains import OneDomain, TwoDomains, Wall
from napari_polmap.simulation.materials import MATERIALS
from napari_polmap.simulation.random_crystal import RandomCrystal, natural
from napari_polmap.simulation.unit_cell import UnitCell


def crystal(seed: int = 1, depth: int = 6, **change: object) -> RandomCrystal:
    return RandomCrystal(
        MATERIALS["KNN"].unit_cell(4.0),
        OneDomain("RU"),
        0.2,
        depth,
        seed,
        **change,  # type: ignore[arg-type]
    )


def test_blocks_agree_wherever_they_are_cut() -> None:
    large, small = crystal().block(-3, -2, 6, 6), crystal().block(-1, 1, 2, 2)
    assert (large.species[2:4, 3:5] == small.species).all()
    assert large.displacement[2:4, 3:5] == pytest.approx(small.displacement)
    deep = crystal(depth=9).block(-1, 1, 2, 2)
    assert (deep.species[:, :, :6] == small.species).all()


def test_seeds_and_places_differ_and_shares_are_kept() -> None:
    species = crystal(depth=40).block(-3, -3, 6, 6).species[..., 0]
    assert (species == "K").mean() == pytest.approx(0.5, abs=0.05)
    columns = {tuple(species[place]) for place in np.ndindex(6, 6)}
    assert len(columns) == 36
    assert (species != crystal(seed=2, depth=40).block(-3, -3, 6, 6).species[..., 0]).any()
    assert len({natural(number) for number in range(-50, 50)}) == 100


def test_partly_occupied_sites_are_partly_empty() -> None:
    cell = MATERIALS["SrTiO3"].unit_cell()
    sites = tuple(
        replace(site, species={"O": 0.7}) if site.name == "X1" else site for site in cell.sites
    )
    holed = UnitCell(cell.lengths_angstrom, sites, cell.directions, cell.modes)
    block = RandomCrystal(holed, OneDomain("RM"), 0.0, 50).block(0, 0, 4, 4)
    there = block.species[..., holed.site("X1")]
    assert (there == "O").mean() == pytest.approx(0.7, abs=0.06)
    assert len(block.atoms()) == 800 * 4 + (there == "O").sum()


def test_ordered_sites_alternate_like_a_chessboard() -> None:
    a_sites = crystal(ordered=True).block(-1, 2, 4, 4).species[..., 0]
    for axis in range(3):
        first, second = np.delete(a_sites, -1, axis), np.delete(a_sites, 0, axis)
        assert (first != second).all()


def test_walls_mix_the_displacements() -> None:
    wall = Wall((8.0, 8.0), 0.0, width=2.0)
    domains = TwoDomains(("MU", "MD"), wall)
    cell = MATERIALS["KNN"].unit_cell(4.0)
    moved = RandomCrystal(cell, domains, 0.2, 1).block(0, 0, 1, 4).displacement[0]
    up = cell.displacement("MU", 0.2)
    assert moved[0] == pytest.approx(up, abs=1e-3)
    assert moved[3] == pytest.approx(-up, abs=1e-3)
    assert np.abs(moved[1]).max() < np.abs(up).max()


def test_impossible_crystals_are_refused() -> None:
    with pytest.raises(PolmapError, match="at least one cell"):
        crystal(depth=0)
    with pytest.raises(PolmapError, match="seed"):
        crystal(seed=-1)
    uneven = replace(MATERIALS["KNN"], a_site={"K": 0.7, "Na": 0.3}).unit_cell()
    with pytest.raises(PolmapError, match="equally frequent"):
        RandomCrystal(uneven, OneDomain("RU"), 0.1, 2, ordered=True)
