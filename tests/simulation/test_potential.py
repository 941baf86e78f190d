from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.simulation.crystal import perovskite, random_a_sites, uniform_displacement
from napari_polmap.simulation.potential import projected_potential

abtem = pytest.importorskip("abtem")
ase = pytest.importorskip("ase")

A = 4.0


def cells() -> ase.Atoms:
    sites = random_a_sites((2, 2, 1), np.random.default_rng(3))
    return perovskite(sites, uniform_displacement((2, 2), 0.0, 0.25), A, 0.7).atoms()


def test_potential_is_that_of_abtem() -> None:
    atoms = cells()
    ours = projected_potential(atoms, (400, 400), 2, A / 2)
    with abtem.config.set({"diagnostics.progress_bar": False}):
        theirs = (
            abtem.Potential(atoms, gpts=400, slice_thickness=A / 2, projection="infinite")
            .build(lazy=False)
            .array
        )
    assert ours.sum() == pytest.approx(theirs.sum(), rel=1e-4)
    assert np.abs(ours - theirs).mean() < 0.005 * theirs.mean()


def test_potential_follows_positions_within_a_pixel() -> None:
    width, gpts = 8.0, 40
    shift = np.array([0.07, 0.13])
    at_rest, moved = (
        projected_potential(
            ase.Atoms("Nb", positions=[(3.0 + r, 5.0 + c, 1.0)], cell=(width, width, 2)),
            (gpts, gpts),
            1,
            2.0,
        )[0]
        for r, c in ((0.0, 0.0), shift)
    )
    k = np.fft.fftfreq(gpts, width / gpts)
    phase = np.exp(-2j * np.pi * (k[:, None] * shift[0] + k[None] * shift[1]))
    expected = np.fft.fft2(at_rest) * phase
    inside = np.abs(k) < np.abs(k).max()
    kept = np.ix_(inside, inside)
    assert np.abs(np.fft.fft2(moved) - expected)[kept].max() < 1e-4 * np.abs(expected).max()


def test_vibration_damps_the_potential() -> None:
    atoms = cells()
    sharp = projected_potential(atoms, (80, 80), 2, A / 2)
    damped = projected_potential(
        atoms, (80, 80), 2, A / 2, {"K": 0.1, "Na": 0.1, "Nb": 0.1, "O": 0.1}
    )
    assert damped.sum() == pytest.approx(sharp.sum(), rel=1e-4)
    assert damped.max() < 0.8 * sharp.max()


def test_rectangular_cell_is_part_of_the_square_one() -> None:
    atoms = ase.Atoms("NbO", positions=[(1.0, 2.5, 1.0), (3.0, 0.4, 1.0)], cell=(4, 6, 2))
    single = projected_potential(atoms, (41, 61), 1, 2.0)
    repeated = projected_potential(atoms * (3, 2, 1), (123, 122), 1, 2.0)
    assert repeated == pytest.approx(np.tile(single, (1, 3, 2)), abs=1e-3 * float(single.max()))
