from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.domains import OneDomain
from napari_polmap.simulation.materials import MATERIALS
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.multislice import simulate_patterns
from napari_polmap.simulation.random_crystal import RandomCrystal
from napari_polmap.simulation.scanning import scan_positions
from napari_polmap.simulation.storage import INCIDENT, pack, unpack


def test_every_pixel_keeps_its_value() -> None:
    rng = np.random.default_rng(0)
    patterns = (10 ** rng.uniform(-8, -2, (20, 31, 31))).astype(np.float32)
    array, scale = pack(patterns)
    assert array.dtype == np.float16
    assert scale == pytest.approx(1 / INCIDENT)
    back = unpack(array, scale)
    assert np.abs(back / patterns - 1).max() < 5e-4
    assert np.abs(back.astype(float) - patterns).sum() < 2.5e-4 * patterns.sum()
    assert back.sum(dtype=float) == pytest.approx(patterns.sum(dtype=float), rel=1e-5)


def test_what_the_polarization_does_to_simulated_patterns_is_kept() -> None:
    pytest.importorskip("abtem")
    cell = MATERIALS["KNN"].unit_cell(4.0)
    block = RandomCrystal(cell, OneDomain("RU"), 0.16, 5, ordered=True).block(0, 0, 2, 2)
    patterns = simulate_patterns(
        block.atoms(),
        scan_positions((0.5, 0.5), (4, 4), 1.0),
        Microscope(),
        [2.0],
        slice_angstrom=cell.slice_angstrom,
        sampling_angstrom=0.15,
    ).data[0]
    kept = unpack(*pack(patterns))
    assert np.abs(kept.astype(float) - patterns).sum() < 2.5e-4 * patterns.sum()
    before, after = (
        mean - mean[::-1, ::-1]
        for mean in (array.astype(float).mean(0) for array in (patterns, kept))
    )
    assert np.abs(before).sum() > 1e-3
    assert np.abs(after - before).sum() < 0.02 * np.abs(before).sum()


def test_other_units() -> None:
    patterns = np.full((2, 3, 3), 7.0)
    array, scale = pack(patterns, incident=100.0)
    assert array == pytest.approx(700.0)
    assert unpack(array, scale) == pytest.approx(patterns, rel=5e-4)


@pytest.mark.parametrize(
    ("value", "incident", "message"),
    [
        (-1.0, 1.0, "not negative"),
        (np.nan, 1.0, "finite"),
        (5.0, 1.0, "incident"),
        (1.0, 0.0, "incident"),
    ],
)
def test_what_cannot_be_stored_is_refused(value: float, incident: float, message: str) -> None:
    with pytest.raises(PolmapError, match=message):
        pack(np.full((2, 2), value), incident)
