"""Where the probe stands: on the crystal, and in the image of the scan.

In the scan's frame +x runs along the columns; the crystal's [100] lies at the crystal angle
counter-clockwise from it. In the crystal's frame [100] runs along the columns. Both count (row,
column) in Å, rows downward.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.checks import checked, checked_pair

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ScanGrid:
    """A scan over a crystal.

    Parameters
    ----------
    shape : tuple of int
        Probe positions (rows, columns).
    step_nm : float
        Distance of neighboring positions.
    origin_angstrom : tuple of float
        First position (row, column) in the crystal's frame.
    crystal_angle_deg : float
        Angle of the crystal's [100] against the scan's +x, counter-clockwise.
    noise_angstrom : float
        Root mean square along one axis of random departures from the grid, independent for every
        position.
    drift_angstrom : tuple of float
        How far the probe wanders over the specimen during one row of the scan, steadily, as (row,
        column) of the scan's frame.
    seed : int
        Of the scan noise.

    Raises
    ------
    PolmapError
        If a value is impossible.
    """

    shape: tuple[int, int]
    step_nm: float
    origin_angstrom: tuple[float, float] = (0.0, 0.0)
    crystal_angle_deg: float = 0.0
    noise_angstrom: float = 0.0
    drift_angstrom: tuple[float, float] = (0.0, 0.0)
    seed: int = 0

    def __post_init__(self) -> None:
        rows, columns = checked_pair("shape of the scan", self.shape, 1)
        if rows != int(rows) or columns != int(columns):
            raise PolmapError(
                f"A scan has whole numbers of rows and columns, but is {self.shape}; correct it."
            )
        checked("step_nm", self.step_nm, 0, above=True)
        checked_pair("origin_angstrom", self.origin_angstrom)
        checked("crystal_angle_deg", self.crystal_angle_deg)
        checked("noise_angstrom", self.noise_angstrom, 0)
        checked_pair("drift_angstrom", self.drift_angstrom)

    @property
    def step_angstrom(self) -> float:
        """Distance of neighboring positions."""
        return self.step_nm * 10

    def scan_frame(self) -> Floats:
        """Where the probe stands, from the first grid point on, in the scan's frame.

        Returns
        -------
        numpy.ndarray, shape (rows, columns, 2)
            (row, column) in Å, with noise and drift. The image shows each position on its grid
            point, which is (row, column) times the step.
        """
        rows, columns = (int(length) for length in self.shape)
        grid = np.moveaxis(np.indices((rows, columns)), 0, -1)
        places = grid * self.step_angstrom
        time = grid[..., 0] + grid[..., 1] / columns
        places = places + time[..., None] * np.asarray(self.drift_angstrom, float)
        noise = np.random.default_rng(self.seed).normal(size=places.shape)
        return np.asarray(places + self.noise_angstrom * noise)

    def crystal_frame(self) -> Floats:
        """Where the probe stands on the crystal, which is where truth images are looked up.

        Returns
        -------
        numpy.ndarray, shape (rows, columns, 2)
            (row, column) in Å.
        """
        return self.scan_frame() @ self._to_crystal().T + np.asarray(self.origin_angstrom, float)

    def step_vectors(self) -> Floats | None:
        """From a position to the next row's and the next column's, in the crystal's frame.

        Returns
        -------
        numpy.ndarray or None
            Shape (2, 2), in Å; ``None`` where noise or drift make the scan no grid.
        """
        if self.noise_angstrom or any(self.drift_angstrom):
            return None
        return np.asarray(self.step_angstrom * self._to_crystal().T)

    def centered_on(self, row_angstrom: float, column_angstrom: float) -> ScanGrid:
        """The same scan with the middle of its grid on a place of the crystal."""
        middle = (np.asarray(self.shape, float) - 1) / 2 * self.step_angstrom
        row, column = np.array([row_angstrom, column_angstrom]) - self._to_crystal() @ middle
        return replace(self, origin_angstrom=(float(row), float(column)))

    def _to_crystal(self) -> Floats:
        """Matrix on (row, column) from the scan's to the crystal's frame."""
        turn = Calibration(crystal_angle_deg=self.crystal_angle_deg).to_detector()
        return np.asarray(turn.T)


def scan_positions(
    origin: tuple[float, float], shape: tuple[int, int], step_angstrom: float
) -> npt.NDArray[np.float64]:
    """Positions (row, column) in Å of a scan, row by row, shape (rows * columns, 2)."""
    grid = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 2)
    return np.asarray(origin, dtype=float) + step_angstrom * grid
