from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt
import pytest

from napari_polmap.diffraction.symmetry import rotate_scan
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.crystal import (
    Crystal,
    perovskite,
    random_a_sites,
    uniform_displacement,
)
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.multislice import simulate_patterns
from napari_polmap.simulation.scanning import scan_positions

abtem = pytest.importorskip("abtem")
ase = pytest.importorskip("ase")

A = 4.0
COARSE = {"slice_angstrom": A / 2, "sampling_angstrom": 0.15}


def crystal(cells: int = 2, depth: int = 8, angle: float = 0.0, mixed: bool = True) -> Crystal:
    shape = (cells, cells, depth)
    sites = random_a_sites(shape, np.random.default_rng(3), None if mixed else {"K": 1.0})
    return perovskite(sites, uniform_displacement(shape[:2], angle, 0.25), A, 0.7)


def center_of_mass(pattern: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in pattern.shape)
    whole = pattern.sum()
    return np.array([pattern.sum(1) @ rows, pattern.sum(0) @ columns]) / whole


def test_vacuum_shows_the_disk_on_the_middle_pixel() -> None:
    empty = ase.Atoms(cell=(16, 16, 4))
    result = simulate_patterns(empty, [(3.3, 9.1)], Microscope(), [0.4], **COARSE)
    pattern = result.data[0, 0]
    assert pattern.shape[0] == pattern.shape[1]
    assert pattern.shape[0] % 2 == 1
    assert pattern.sum() == pytest.approx(1.0, abs=1e-4)
    assert pattern == pytest.approx(np.rot90(pattern), abs=1e-6)
    assert result.center == ((pattern.shape[0] - 1) / 2,) * 2
    assert center_of_mass(pattern) == pytest.approx([0, 0], abs=1e-4)
    assert result.radius_px * result.mrad_per_pixel == pytest.approx(24.0)
    area = pattern.sum() / pattern.max()
    assert np.sqrt(area / np.pi) == pytest.approx(result.radius_px, rel=0.02)


@pytest.mark.parametrize("offset", [(0.0, 0.7), (0.7, 0.0), (0.0, -0.7), (-0.7, 0.0)])
def test_electrons_are_drawn_towards_an_atom(offset: tuple[float, float]) -> None:
    # Fixes the frame: a probe to the right of an atom is deflected to the left, and so on.
    place = np.array([6.0, 9.0])
    column = ase.Atoms("Nb", positions=[(*place, 1.0)], cell=(16, 16, 4))
    result = simulate_patterns(column, [place + offset], Microscope(), [0.2], **COARSE)
    shift = center_of_mass(result.data[0, 0])
    along = -shift @ np.array(offset) / 0.7
    across = shift @ np.array(offset[::-1]) / 0.7
    assert along > 0.05
    assert abs(across) < 0.02 * along


def test_tilt_is_the_lean_of_the_columns() -> None:
    tilt_x, tilt_y = 6.0, 3.0
    atoms = crystal(3, 12).atoms()
    positions = [(5.0, 7.0), (6.1, 5.5)]

    def patterns(specimen: ase.Atoms, tilt: tuple[float, float]) -> npt.NDArray[np.float32]:
        microscope = Microscope(tilt_mrad=tilt)
        return simulate_patterns(specimen, positions, microscope, [4.8], **COARSE).data

    tilted = patterns(atoms, (tilt_x, tilt_y))
    leaning = atoms.copy()
    below = leaning.positions[:, 2] - A / 4
    leaning.positions[:, 0] -= tilt_y * 1e-3 * below
    leaning.positions[:, 1] += tilt_x * 1e-3 * below
    leaning.wrap()
    away = np.abs(tilted - patterns(leaning, (0, 0))).sum()
    assert away < 0.05 * np.abs(tilted - patterns(atoms, (0, 0))).sum()


def test_turned_specimen_is_the_turned_scan() -> None:
    cells, count = 2, 4
    width = cells * A
    atoms = crystal(cells, 6, angle=20.0).atoms()
    turned = atoms.copy()
    turned.positions[:, 0] = width - atoms.positions[:, 1]
    turned.positions[:, 1] = atoms.positions[:, 0]
    turned.wrap()
    step = width / count
    positions = scan_positions((step / 2, step / 2), (count, count), step)

    def scan(specimen: ase.Atoms, tilt: tuple[float, float]) -> npt.NDArray[np.float32]:
        result = simulate_patterns(specimen, positions, Microscope(tilt_mrad=tilt), [2.4], **COARSE)
        return result.data[0].reshape(count, count, *result.data.shape[-2:])

    plain = scan(atoms, (3.0, 1.0))
    after = scan(turned, (-1.0, 3.0))
    assert rotate_scan(plain, 1) == pytest.approx(after, abs=1e-3 * float(after.max()))
    assert np.abs(plain - after).max() > 0.1 * after.max()


def test_opposite_polarization_is_the_scan_turned_by_half() -> None:
    # Without tilt and with one element on the A sites the turned crystal is the reversed one.
    count = 4
    step = 2 * A / count
    # Half a step from the inversion center at the corner and so symmetric about it.
    positions = scan_positions((step / 2, step / 2), (count, count), step)

    def scan(angle: float) -> npt.NDArray[np.float32]:
        atoms = crystal(2, 6, angle, mixed=False).atoms()
        result = simulate_patterns(atoms, positions, Microscope(), [2.4], **COARSE)
        return result.data[0].reshape(count, count, *result.data.shape[-2:])

    right, left = scan(0.0), scan(180.0)
    assert rotate_scan(right, 2) == pytest.approx(left, abs=1e-3 * float(left.max()))
    odd = right.mean((0, 1))
    assert np.abs(odd - odd[::-1, ::-1]).sum() > 1e-3


def test_thicknesses_of_one_pass_equal_separate_ones() -> None:
    atoms = crystal(2, 8).atoms()
    position = [(1.0, 2.5)]
    both = simulate_patterns(atoms, position, Microscope(), [1.6, 3.2], **COARSE)
    thin = simulate_patterns(atoms, position, Microscope(), [1.6], **COARSE)
    assert both.thickness_nm == pytest.approx((1.6, 3.2))
    assert both.data[0] == pytest.approx(thin.data[0], abs=1e-6)
    assert np.abs(both.data[1] - both.data[0]).max() > 0.1 * both.data.max()


def test_batches_do_not_change_patterns() -> None:
    atoms = crystal(2, 2).atoms()
    positions = scan_positions((0.0, 0.0), (1, 3), 1.1)
    one = simulate_patterns(atoms, positions, Microscope(), [0.8], batch=3, **COARSE)
    many = simulate_patterns(atoms, positions, Microscope(), [0.8], batch=2, **COARSE)
    assert one.data == pytest.approx(many.data, abs=1e-6)


@pytest.mark.parametrize(
    ("cell", "thickness", "options", "message"),
    [
        ((8, 8, 4), [0.8], {}, "thicker"),
        ((8, 8, 4), [0.4, 0.2], {}, "increase"),
        ((8, 8, 4), [], {}, "increase"),
        ((8, 8, 4), [0.4], {"sampling_angstrom": 0.5}, "sampling"),
    ],
)
def test_impossible_simulations_are_refused(
    cell: tuple[float, float, float],
    thickness: list[float],
    options: dict[str, float],
    message: str,
) -> None:
    with pytest.raises(PolmapError, match=message):
        simulate_patterns(
            ase.Atoms(cell=cell), [(0, 0)], Microscope(), thickness, **(COARSE | options)
        )


def test_missing_abtem_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "abtem", None)
    with pytest.raises(PolmapError, match="simulate"):
        simulate_patterns(ase.Atoms(cell=(8, 8, 4)), [(0, 0)], Microscope(), [0.4])
