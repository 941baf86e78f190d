from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.blocks import BlockScan, block_size, probe_padding
from napari_polmap.simulation.domains import OneDomain, TwoDomains, Wall
from napari_polmap.simulation.materials import MATERIALS
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.multislice import simulate_patterns
from napari_polmap.simulation.random_crystal import RandomCrystal
from napari_polmap.simulation.regions import Vacuum
from napari_polmap.simulation.scenes import Bend, Scene, Surface

pytest.importorskip("abtem")

A = 4.0
CELL = MATERIALS["KNN"].unit_cell(A)
COARSE = {"sampling_angstrom": 0.15}


def crystal(depth: int = 5) -> RandomCrystal:
    domains = TwoDomains(("RU", "LD"), Wall((0.0, 10.0), 0.0, width=4.0))
    return RandomCrystal(CELL, domains, 0.2, depth, seed=1)


def grid(rows: int, columns: int, step: float, origin: tuple[float, float]) -> np.ndarray:
    return np.moveaxis(np.indices((rows, columns)), 0, -1) * step + np.array(origin)


def test_padding_is_the_probe_at_its_widest() -> None:
    microscope = Microscope(energy_kv=200, semi_angle_mrad=24)
    own = 2 * microscope.wavelength_angstrom / 0.024
    assert probe_padding(microscope, 20.0) == pytest.approx(0.024 * 200 + own)
    # A focus inside makes the probe narrower at its widest, one outside wider.
    assert probe_padding(replace(microscope, defocus_nm=10.0), 20.0) == pytest.approx(
        0.024 * 100 + own
    )
    assert probe_padding(replace(microscope, defocus_nm=-5.0), 20.0) == pytest.approx(
        0.024 * 250 + own
    )
    tilted = replace(microscope, tilt_mrad=(3.0, 4.0), source_size_angstrom=1.0)
    assert probe_padding(tilted, 20.0) == pytest.approx(0.029 * 200 + own + 3 / 2.3548, rel=1e-4)


def test_blocks_grow_with_the_padding() -> None:
    assert block_size(30.0, 10.0) == 1
    assert 1 < block_size(0.25, 3.0) <= block_size(0.25, 12.0) <= 32


def test_blocks_cover_the_scan_once_in_windows_of_one_size() -> None:
    scan = BlockScan(Scene(crystal(), [2.0]), grid(5, 7, 1.3, (3.0, -2.0)), Microscope(), size=3)
    covered = np.zeros((5, 7), int)
    sizes = set()
    for block in scan.blocks():
        covered[block] += 1
        low, lengths = scan.window(block)
        points = scan.positions[block].reshape(-1, 2)
        assert (points.min(0) - low >= scan.padding - 0.11).all()
        assert (low + lengths - points.max(0) >= scan.padding - 0.11).all()
        sizes.add(tuple(np.round(lengths, 9)))
        assert lengths / A == pytest.approx(np.round(lengths / A))
    assert (covered == 1).all()
    assert len(sizes) == 1


def test_blocks_show_what_the_uncut_scene_shows() -> None:
    scene = Scene(crystal(), [1.0, 2.0])
    scan = BlockScan(
        scene, grid(2, 4, 2.5, (5.0, 6.0)), Microscope(), 2, padding_angstrom=9.0, options=COARSE
    )
    # Twice as wide the simulation has the blocks' detector pixels and one between any two.
    low, lengths = scan.window(scan.blocks()[0])
    whole = simulate_patterns(
        scene.atoms(low - lengths / 2, 2 * lengths),
        scan.positions.reshape(-1, 2) - low + lengths / 2,
        Microscope(),
        [1.0, 2.0],
        slice_angstrom=A / 2,
        **COARSE,
    )
    middle = (whole.data.shape[-1] - 1) // 2
    first = middle % 2
    uncut = 4 * whole.data[..., first::2, first::2].reshape(2, 2, 4, *2 * [middle // 2 * 2 + 1])
    cut = np.empty_like(uncut)
    for block in scan.blocks():
        patterns = scan.simulate_block(block)
        margin = (patterns.data.shape[-1] - uncut.shape[-1]) // 2
        inner = slice(margin, margin + uncut.shape[-1])
        part = patterns.data[..., inner, inner]
        cut[:, *block] = part.reshape(2, 2, 2, *part.shape[-2:])
    # On the disk's edge the pixels of the two apertures differ.
    rows, columns = np.indices(uncut.shape[-2:]) - middle // 2
    radius = whole.semi_angle_mrad / whole.pixel_mrad[0] / 2
    clear = np.abs(np.hypot(rows, columns) - radius) > 1.5
    away = np.linalg.norm((cut - uncut)[..., clear]) / np.linalg.norm(uncut[..., clear])
    assert away < 0.03
    shuffled = np.linalg.norm((cut[:, :, ::-1] - uncut)[..., clear])
    assert shuffled > 5 * away * np.linalg.norm(uncut[..., clear])


def test_a_wedge_takes_each_position_at_its_own_thickness() -> None:
    wedge = Surface(1.0, gradient=(0.0, 2.0), origin=(0.0, 8.0))
    places = grid(1, 4, 3.0, (4.0, 2.0))
    scan = BlockScan(
        Scene(crystal(), wedge), places, Microscope(), 4, padding_angstrom=4.0, options=COARSE
    )
    patterns = scan.simulate_block(scan.blocks()[0])
    slices = np.round(scan.scene.thickness_at(places)[0] * 10 / 2.0)
    assert slices.tolist() == [0, 2, 5, 8]
    assert patterns.thickness_nm == pytest.approx((0.75,))
    low, lengths = scan.window(scan.blocks()[0])
    atoms = scan.scene.atoms(low, lengths)
    for index in (1, 3):
        alone = simulate_patterns(
            atoms,
            places[0, index] - low,
            Microscope(),
            [slices[index] * 0.2],
            slice_angstrom=2.0,
            **COARSE,
        )
        assert patterns.data[0, index] == pytest.approx(alone.data[0, 0], abs=1e-6)
    # The first stands in vacuum and shows the bare disk.
    assert patterns.data[0, 0] == pytest.approx(np.rot90(patterns.data[0, 0]), abs=1e-6)


def test_bending_tilts_each_block() -> None:
    bend = Bend(Surface(0.0, gradient=(0.0, 10.0)), Surface(1.0))
    places = grid(1, 2, 4.0, (2.0, 3.0))
    flat = Scene(crystal(), [2.0])
    scan = BlockScan(
        replace(flat, bend=bend), places, Microscope(tilt_mrad=(0.5, 0.0)), 1, 5.0, options=COARSE
    )
    for block, column in zip(scan.blocks(), (3.0, 7.0), strict=True):
        same = BlockScan(
            flat, places, Microscope(tilt_mrad=(0.5 + column, 1.0)), 1, 5.0, options=COARSE
        )
        expected = same.simulate_block(block).data
        assert scan.simulate_block(block).data == pytest.approx(expected, abs=1e-6)
    assert scan.padding == 5.0
    bent, straight = (BlockScan(one, places, Microscope()).padding for one in (scan.scene, flat))
    assert bent == pytest.approx(straight + np.hypot(7.0, 1.0) * 0.02)


def test_vacuum_shows_the_bare_disk() -> None:
    scene = Scene(crystal(), [2.0], [Vacuum((0.0, 20.0), 0.0)])
    scan = BlockScan(scene, grid(1, 1, 1.0, (5.0, 40.0)), Microscope(), 1, 8.0, options=COARSE)
    pattern = scan.simulate_block(scan.blocks()[0]).data[0, 0]
    assert pattern == pytest.approx(np.rot90(pattern), abs=1e-6)


def test_frozen_phonons_follow_the_seed() -> None:
    options = {**COARSE, "sigmas": CELL.sigmas, "phonons": 1}
    scene = Scene(RandomCrystal(CELL, OneDomain("RU"), 0.2, 2), [0.8])
    first, again, other = (
        BlockScan(scene, grid(1, 1, 1.0, (0.0, 0.0)), Microscope(), 1, 3.0, seed, options)
        for seed in (1, 1, 2)
    )
    block = first.blocks()[0]
    patterns = first.simulate_block(block).data
    assert (patterns == again.simulate_block(block).data).all()
    assert np.abs(patterns - other.simulate_block(block).data).max() > 1e-5


def test_impossible_scans_are_refused() -> None:
    scene = Scene(crystal(), [2.0])
    with pytest.raises(PolmapError, match="shape"):
        BlockScan(scene, np.zeros((4, 2)), Microscope())
    with pytest.raises(PolmapError, match="at least one position"):
        BlockScan(scene, np.zeros((1, 1, 2)), Microscope(), size=0)
    with pytest.raises(PolmapError, match="padding"):
        BlockScan(scene, np.zeros((1, 1, 2)), Microscope(), padding_angstrom=-1.0)
