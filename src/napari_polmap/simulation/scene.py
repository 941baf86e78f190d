"""Scans of a scene larger than a cell, simulated block by block."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt

from napari_polmap.simulation.crystal import THERMAL_SIGMAS, Crystal
from napari_polmap.simulation.detector import Detector
from napari_polmap.simulation.multislice import Microscope, scan_positions, simulate_patterns


@dataclass(frozen=True)
class Scene:
    """What to scan: a crystal, the part of it that is scanned, and how.

    Parameters
    ----------
    crystal : Crystal
        The scanned cells and, on all sides, the cells around them.
    padding : int
        Cells around the scanned part; every block of one cell is simulated with so many around.
    steps : int
        Probe positions along the edge of a cell; they lie in the middle of equal parts of it.
    microscope : Microscope
        Illumination and tilt.
    detector : Detector
        What the patterns are recorded on.
    debye_waller : bool
        Damp the potentials by thermal vibration.
    """

    crystal: Crystal
    padding: int
    steps: int
    microscope: Microscope
    detector: Detector
    debye_waller: bool = True

    @property
    def cells(self) -> tuple[int, int]:
        """Scanned cells (rows, columns)."""
        rows, columns, _ = self.crystal.shape
        return rows - 2 * self.padding, columns - 2 * self.padding

    @property
    def step_angstrom(self) -> float:
        """Distance of neighboring probe positions."""
        return self.crystal.cell.lengths_angstrom[0] / self.steps

    @property
    def thickness_nm(self) -> float:
        """Thickness of the crystal."""
        return self.crystal.shape[2] * self.crystal.cell.lengths_angstrom[0] / 10

    def positions_in_cells(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Rows and columns of all probe positions in cells of the whole crystal, shape (y, x)."""
        rows, columns = (
            self.padding + (np.arange(count * self.steps) + 0.5) / self.steps
            for count in self.cells
        )
        shape = (len(rows), len(columns))
        return np.broadcast_to(rows[:, None], shape), np.broadcast_to(columns, shape)

    def simulate_cell(self, row: int, column: int) -> npt.NDArray[np.float32]:
        """Patterns of one scanned cell, shape (steps, steps, ky, kx); the beam sums to 1."""
        width = 2 * self.padding + 1
        edge = self.crystal.cell.lengths_angstrom[0]
        first = self.padding * edge + 0.5 * self.step_angstrom
        patterns = simulate_patterns(
            self.crystal.block(row, column, width, width).atoms(),
            scan_positions((first, first), (self.steps, self.steps), self.step_angstrom),
            self.microscope,
            [self.thickness_nm],
            slice_angstrom=edge / 2,
            half_width=self.detector.reach_mrad / self.microscope.semi_angle_mrad,
            sigmas=THERMAL_SIGMAS if self.debye_waller else None,
        )
        recorded = self.detector.record(patterns)[0]
        return recorded.reshape(self.steps, self.steps, *self.detector.shape)

    def simulate(
        self, jobs: int = 1
    ) -> Iterator[tuple[tuple[slice, slice], npt.NDArray[np.float32]]]:
        """Patterns cell by cell, in any order, from so many processes.

        Yields
        ------
        block : tuple of slice
            Rows and columns of the scan.
        patterns : numpy.ndarray of float32, shape (y, x, ky, kx)
            The incident beam sums to 1.
        """
        cells = list(np.ndindex(self.cells))
        if jobs == 1:
            for cell in cells:
                yield self._block(cell), self.simulate_cell(*cell)
            return
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            waiting = {pool.submit(self.simulate_cell, *cell): cell for cell in cells}
            for finished in as_completed(waiting):
                yield self._block(waiting[finished]), finished.result()

    def _block(self, cell: tuple[int, ...]) -> tuple[slice, slice]:
        rows, columns = (slice(i * self.steps, (i + 1) * self.steps) for i in cell)
        return rows, columns
