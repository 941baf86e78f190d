"""Symmetries that simulated scans must have, by separate simulations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from napari_polmap.diffraction.symmetry import rotate_scan
from napari_polmap.simulation.crystal import Crystal
from napari_polmap.simulation.domains import OneDomain
from napari_polmap.simulation.materials import MATERIALS, Material
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.multislice import simulate_patterns
from napari_polmap.simulation.random_crystal import RandomCrystal
from napari_polmap.simulation.scanning import scan_positions

pytest.importorskip("abtem")

COUNT = 4


def scan(
    material: Material,
    direction: str,
    thickness_nm: tuple[float, ...] = (2.0,),
    magnitude_angstrom: float | None = None,
    ordered: bool = False,
) -> npt.NDArray[np.float32]:
    """One cell, with the B site in the middle, shape (thicknesses, y, x, ky, kx)."""
    cell = material.unit_cell(4.0)
    magnitude = material.magnitude_angstrom if magnitude_angstrom is None else magnitude_angstrom
    block: Crystal = RandomCrystal(cell, OneDomain(direction), magnitude, 5, ordered=ordered).block(
        0, 0, 2, 2
    )
    step = 4.0 / COUNT
    patterns = simulate_patterns(
        block.atoms(),
        scan_positions((step / 2, step / 2), (COUNT, COUNT), step),
        Microscope(),
        thickness_nm,
        slice_angstrom=cell.slice_angstrom,
        sampling_angstrom=0.15,
    )
    data = patterns.data
    return data.reshape(len(data), COUNT, COUNT, *data.shape[-2:])


def odd_part(patterns: npt.NDArray[np.float32]) -> float:
    """Part of the cell-mean pattern that is not centrosymmetric."""
    mean = patterns.astype(float).mean((0, 1))
    return float(np.abs(mean - mean[::-1, ::-1]).sum() / mean.sum())


@pytest.mark.parametrize("name", ["SrTiO3", "KNN"])
def test_cell_mean_of_a_non_polar_ordered_crystal_is_centrosymmetric(name: str) -> None:
    material = MATERIALS[name]
    still = scan(material, "RM", magnitude_angstrom=0.0, ordered=True)[0]
    polar = scan(material, "RM", magnitude_angstrom=0.2, ordered=True)[0]
    assert odd_part(still) < 1e-5
    assert odd_part(polar) > 1e-3
    # One pattern beside the middle is not.
    assert np.abs(still[0, 1] - still[0, 1, ::-1, ::-1]).sum() > 1e-2


@pytest.mark.parametrize(
    ("name", "direction", "reverse"),
    [("BaTiO3", "RM", "LM"), ("PbTiO3", "MU", "MD"), ("BiFeO3", "RU", "LD")],
)
def test_reversed_polarization_turns_scan_and_patterns_by_half(
    name: str, direction: str, reverse: str
) -> None:
    one, other = (scan(MATERIALS[name], way)[0] for way in (direction, reverse))
    largest = float(one.max())
    assert rotate_scan(one, 2) == pytest.approx(other, abs=1e-4 * largest)
    assert np.abs(one - other).max() > 0.02 * largest


@pytest.mark.parametrize(
    ("name", "direction", "next_one"), [("BaTiO3", "RM", "MU"), ("BiFeO3", "LU", "LD")]
)
def test_a_quarter_turn_of_the_crystal_turns_scan_and_patterns(
    name: str, direction: str, next_one: str
) -> None:
    one, other = (scan(MATERIALS[name], way)[0] for way in (direction, next_one))
    largest = float(one.max())
    assert rotate_scan(one, 1) == pytest.approx(other, abs=1e-4 * largest)
    assert np.abs(one - other).max() > 0.02 * largest


def test_polarization_along_the_beam_has_no_direction_in_the_image() -> None:
    material = MATERIALS["PbTiO3"]
    cell = material.unit_cell(4.0, out_of_plane=True)
    block = RandomCrystal(cell, OneDomain("OUT"), 0.32, 5).block(0, 0, 2, 2)
    step = 4.0 / COUNT
    data = simulate_patterns(
        block.atoms(),
        scan_positions((step / 2, step / 2), (COUNT, COUNT), step),
        Microscope(),
        [2.0],
        slice_angstrom=cell.slice_angstrom,
        sampling_angstrom=0.15,
    ).data[0]
    assert odd_part(data.reshape(COUNT, COUNT, *data.shape[-2:])) < 1e-5


def test_thicknesses_of_one_pass_equal_separate_simulations() -> None:
    material = MATERIALS["KNN"]
    both = scan(material, "RU", (0.8, 2.0))
    for index, thickness in enumerate((0.8, 2.0)):
        alone = scan(material, "RU", (thickness,))[0]
        assert both[index] == pytest.approx(alone, abs=1e-6)
    assert np.abs(both[0] - both[1]).max() > 0.1 * both.max()


def test_another_lattice_is_another_scan() -> None:
    wide = replace(MATERIALS["BaTiO3"], b_share=1.0)
    one, other = (scan(material, "RM")[0] for material in (MATERIALS["BaTiO3"], wide))
    assert np.abs(one - other).max() > 1e-3 * one.max()
