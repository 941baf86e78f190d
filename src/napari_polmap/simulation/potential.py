"""Projected potentials of the specimen's slices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ase import Atoms


def projected_potential(
    atoms: Atoms,
    gpts: tuple[int, int],
    slices: int,
    slice_angstrom: float,
    sigmas: Mapping[str, float] | None = None,
) -> npt.NDArray[np.float32]:
    """Infinitely projected Lobato potentials of the first slices, in abTEM's units.

    Structure factors are summed exactly in reciprocal space. abTEM's own infinite projection
    spreads each atom over four pixels, which at a sampling of 0.125 Å changes patterns by several
    percent with the sub-pixel position; the polarization moves atoms by that much.

    Parameters
    ----------
    atoms : ase.Atoms
        Positions are (row, column, depth) in Å, periodic across.
    gpts : tuple of int
        Grid points (rows, columns).
    slices : int
        Slices from the entrance surface on.
    slice_angstrom : float
        Slice thickness.
    sigmas : mapping of str to float, optional
        Root-mean-square vibration along one axis in Å by element: damps the potentials.

    Returns
    -------
    numpy.ndarray of float32
        Shape (slices, rows, columns).
    """
    from abtem.parametrizations import LobatoParametrization
    from scipy.fft import irfft2

    height, width, _ = atoms.cell.lengths()
    rows = np.fft.fftfreq(gpts[0], height / gpts[0])
    columns = np.fft.rfftfreq(gpts[1], width / gpts[1])
    squared = rows[:, None] ** 2 + columns[None] ** 2
    lobato: Any = LobatoParametrization()
    elements = np.array(atoms.get_chemical_symbols())
    depth = np.floor(atoms.positions[:, 2] / slice_angstrom).astype(int)
    potential = np.zeros((slices, *gpts), np.float32)
    factors = {}
    for element in np.unique(elements):
        factor = lobato.projected_scattering_factor(str(element))(squared)
        if sigmas is not None:
            factor = factor * np.exp(-2 * np.pi**2 * sigmas[str(element)] ** 2 * squared)
        factors[element] = (factor * (gpts[0] * gpts[1]) / (height * width)).astype(np.float32)
    for index in range(slices):
        total = np.zeros(squared.shape, np.complex64)
        for element, factor in factors.items():
            chosen = atoms.positions[(depth == index) & (elements == element), :2]
            if len(chosen):
                along_rows = np.exp(-2j * np.pi * np.outer(rows, chosen[:, 0]))
                along_columns = np.exp(-2j * np.pi * np.outer(chosen[:, 1], columns))
                total += factor * (
                    along_rows.astype(np.complex64) @ along_columns.astype(np.complex64)
                )
        potential[index] = irfft2(total, s=gpts)
    return potential
