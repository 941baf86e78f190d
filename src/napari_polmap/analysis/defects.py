"""Defect score: how unlike the equivalent positions of the neighboring cells a position is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.operators import BeamOperators
from napari_polmap.diffraction.preprocessing import Preprocessing
from napari_polmap.diffraction.windows import Window

_COARSE = Preprocessing(size=10, extent=1.25)
_WIDTH_CELLS = 0.3
_REACH = 2
_LEAST_NEIGHBORS = 4


@dataclass(frozen=True)
class DefectScorer:
    """Compares coarse patterns with those one and two lattice periods away.

    The median over the neighbors makes the score of a cell beside a defect small: most of its
    neighbors are sound. Square roots of the counts even out Poisson noise (Anscombe 1948).

    Parameters
    ----------
    operators : BeamOperators
        Coarse crop, wherever the beam stands.
    window : Window
        A narrow window, against noise.
    shifts : ndarray, shape (n, 2)
        Displacements (rows, columns) in positions to the equivalent positions.
    """

    operators: BeamOperators
    window: Window
    shifts: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls,
        calibration: Calibration,
        scan_shape: tuple[int, int],
        detector_shape: tuple[int, int],
        bad_pixels: npt.NDArray[np.bool_] | None = None,
    ) -> DefectScorer:
        """The scorer of a scan; without a known lattice the adjacent positions are compared."""
        operators = BeamOperators(_COARSE, calibration, scan_shape, detector_shape, bad_pixels)
        cell = calibration.cell_positions
        if cell is None or cell < 1.5:
            cell, angle = 1.0, 0.0
        else:
            angle = np.deg2rad(calibration.crystal_angle_deg)
        steps = range(-_REACH, _REACH + 1)
        index = np.array([(i, j) for i in steps for j in steps if (i, j) != (0, 0)])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        window = Window.of(_WIDTH_CELLS, cell, scan_shape)
        return cls(operators, window, cell * index @ turn.T)

    @property
    def halo(self) -> tuple[int, int]:
        """Neighboring positions a block needs on each side."""
        reach = np.ceil(np.abs(self.shifts).max(axis=0)).astype(int) + 1
        rows, columns = self.window.halo
        return int(reach[0]) + rows, int(reach[1]) + columns

    def features(
        self, block: npt.NDArray[Any], origin: tuple[int, int] = (0, 0)
    ) -> npt.NDArray[np.float32]:
        """Coarse patterns ``(y, x, f)`` of a block ``(y, x, ky, kx)``; not finite becomes zero.

        `origin` is the row and column in the scan of the block's first position.
        """
        coarse = self.operators.apply(block, origin)
        coarse[~np.isfinite(coarse).all(axis=-1)] = 0
        return coarse

    def score(
        self,
        features: npt.NDArray[np.float32],
        valid: npt.NDArray[np.bool_],
        inner: tuple[slice, slice],
    ) -> npt.NDArray[np.float32]:
        """Raw score of the inner positions of a block; NaN where it cannot be told (at edges).

        Parameters
        ----------
        features : ndarray of float32, shape (y, x, f)
            From `features`, with the halo.
        valid : ndarray of bool, shape (y, x)
        inner : (slice, slice)
        """
        whole = (slice(0, valid.shape[0]), slice(0, valid.shape[1]))
        averaged, slid, covered = self.window.average(features, valid, whole)
        # A window that slid stands elsewhere in the cell than its neighbors' windows.
        covered &= ~slid
        values = np.sqrt(np.maximum(averaged, 0))
        own = values[inner]
        distances = np.full((len(self.shifts), *own.shape[:2]), np.nan, np.float32)
        for k, (dy, dx) in enumerate(self.shifts):
            neighbor, known = _shifted(values, covered, dy, dx, inner)
            distance = np.mean((own - neighbor) ** 2, axis=-1)
            distances[k] = np.where(known, distance, np.nan)
        enough = np.isfinite(distances).sum(axis=0) >= _LEAST_NEIGHBORS
        score = np.full(own.shape[:2], np.nan, np.float32)
        score[enough] = np.sqrt(np.nanmedian(distances[:, enough], axis=0))
        score[~covered[inner]] = np.nan
        return score


def robust_z(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Departure from the median in units of 1.4826 times the median absolute deviation."""
    known = np.isfinite(scores)
    if not known.any():
        return scores.copy()
    median = np.median(scores[known])
    spread = 1.4826 * np.median(np.abs(scores[known] - median))
    return np.asarray((scores - median) / max(float(spread), 1e-12), np.float32)


def _shifted(
    values: npt.NDArray[np.float32],
    known: npt.NDArray[np.bool_],
    dy: float,
    dx: float,
    inner: tuple[slice, slice],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Values at the inner positions moved by (dy, dx), interpolated bilinearly."""
    rows = np.arange(inner[0].start, inner[0].stop) + dy
    columns = np.arange(inner[1].start, inner[1].stop) + dx
    y0, x0 = np.floor(rows + 1e-9).astype(int), np.floor(columns + 1e-9).astype(int)
    fy, fx = np.clip(rows - y0, 0, 1), np.clip(columns - x0, 0, 1)
    # A whole shift needs no second neighbor.
    y1, x1 = y0 + (fy > 1e-6), x0 + (fx > 1e-6)
    inside = ((y0 >= 0) & (y1 < known.shape[0]))[:, None] & ((x0 >= 0) & (x1 < known.shape[1]))
    y0, y1 = (np.clip(y, 0, known.shape[0] - 1)[:, None] for y in (y0, y1))
    x0, x1 = (np.clip(x, 0, known.shape[1] - 1) for x in (x0, x1))
    wy, wx = fy[:, None, None].astype(np.float32), fx[:, None].astype(np.float32)
    upper = (1 - wx) * values[y0, x0] + wx * values[y0, x1]
    lower = (1 - wx) * values[y1, x0] + wx * values[y1, x1]
    inside &= known[y0, x0] & known[y0, x1] & known[y1, x0] & known[y1, x1]
    return (1 - wy) * upper + wy * lower, inside
