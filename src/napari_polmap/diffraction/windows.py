"""The window: a weighted mean over neighboring probe positions that slides inward at edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_TRUNCATE = 2.5
_LEAST_SIGMA = 0.35
_LEAST_SHARE = 0.25
_WHOLE_CELL = 0.97
"""So much of a cell counts as one: steps and lattice periods are known to a few percent."""


def window_weights(
    width_cells: float, cell_positions: float | None, positions: int
) -> npt.NDArray[np.float64]:
    """Weights of the window along one scan axis.

    Parameters
    ----------
    width_cells : float
        Width in unit cells: twice the standard deviation of the Gaussian; 0 for single patterns.
    cell_positions : float or None
        Probe positions per lattice period; ``None`` or below one and a half (a step coarser than
        the cell's structure) for single patterns.
    positions : int
        Length of the scan axis.

    Returns
    -------
    ndarray, shape (n,)
        Sum 1. A Gaussian truncated at 2.5 standard deviations. Where that would span more than
        half the scan, so that most windows had to slide, a box of as many whole unit cells as fit
        into half of it, at least one: over whole periods the lattice averages out, too. The whole
        axis where it is shorter than a cell.
    """
    if cell_positions is None or not _averages(width_cells, cell_positions):
        return np.ones(1)
    sigma = width_cells / 2 * cell_positions
    half = int(np.ceil(_TRUNCATE * sigma))
    if 2 * half + 1 <= positions / 2:
        weights = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
        return np.asarray(weights / weights.sum())
    length = max(1.0, np.floor(positions / 2 / cell_positions + 1e-6)) * cell_positions
    whole = int(np.ceil(length - 1e-6))
    if whole > positions:
        return np.full(positions, 1 / positions)
    weights = np.ones(whole)
    weights[[0, -1]] -= (whole - length) / 2
    return np.asarray(weights / weights.sum())


def holds_a_cell(
    width_cells: float, cell_positions: float | None, scan_shape: tuple[int, int]
) -> bool:
    """Whether a scan is wide enough for a window to average a whole unit cell in it.

    In a narrower one the place in the cell does not cancel, and outweighs the polarization.

    Parameters
    ----------
    width_cells, cell_positions
        See `window_weights`.
    scan_shape : (int, int)

    Returns
    -------
    bool
        True, too, where no window is asked for, or the step is coarser than the cell's structure.
    """
    if cell_positions is None or not _averages(width_cells, cell_positions):
        return True
    return min(scan_shape) >= _WHOLE_CELL * cell_positions


def _averages(width_cells: float, cell_positions: float) -> bool:
    return cell_positions >= 1.5 and width_cells / 2 * cell_positions >= _LEAST_SIGMA


@dataclass(frozen=True)
class Window:
    """Weights along both scan axes of one scan.

    Parameters
    ----------
    rows, columns : ndarray
        Weights along y and x, see `window_weights`.
    """

    rows: npt.NDArray[np.float64]
    columns: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls, width_cells: float, cell_positions: float | None, scan_shape: tuple[int, int]
    ) -> Window:
        """The window of a scan, see `window_weights`."""
        return cls(
            window_weights(width_cells, cell_positions, scan_shape[0]),
            window_weights(width_cells, cell_positions, scan_shape[1]),
        )

    @property
    def halo(self) -> tuple[int, int]:
        """Neighboring positions a block needs on each side, so that windows can slide."""
        return len(self.rows) - 1, len(self.columns) - 1

    @property
    def effective_positions(self) -> float:
        """How many patterns of equal weight average the noise as much as this window."""
        return float(1 / (np.sum(self.rows**2) * np.sum(self.columns**2)))

    def independent(self, scan_shape: tuple[int, int]) -> float:
        """How many windows that hold different patterns fit into a scan, at least 1.

        Parameters
        ----------
        scan_shape : (int, int)
        """
        counts = [n * np.sum(w**2) for n, w in zip(scan_shape, self._axes, strict=True)]
        return float(np.prod(np.maximum(counts, 1)))

    def average(
        self,
        features: npt.NDArray[np.float32],
        valid: npt.NDArray[np.bool_],
        inner: tuple[slice, slice],
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Windowed features of the inner positions of a block.

        Parameters
        ----------
        features : ndarray of float32, shape (y, x, f)
            Features of the block with its halo; the array's borders count as the scan's edges.
        valid : ndarray of bool, shape (y, x)
            False where a position has no data.
        inner : (slice, slice)
            The block without its halo.

        Returns
        -------
        averaged : ndarray of float32, shape (rows, columns, f)
        slid : ndarray of bool, shape (rows, columns)
            Where the window is not centered on the position.
        covered : ndarray of bool, shape (rows, columns)
            False where no window with data was near enough; `averaged` is zero there.
        """
        if len(self.rows) == len(self.columns) == 1:
            here = valid[inner]
            return np.where(here[..., None], features[inner], 0), np.zeros_like(here), here
        starts = [
            _window_starts(len(weights), n)[part]
            for weights, n, part in zip(self._axes, valid.shape, inner, strict=True)
        ]
        if not valid.all():
            return self._average_with_gaps(features, valid, inner, starts)
        slid = self._slid(inner, starts[0][:, None], starts[1][None, :])
        averaged = _sums(features, self._axes, starts)
        return averaged, slid, np.ones(slid.shape, bool)

    @property
    def _axes(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return self.rows, self.columns

    def _slid(
        self, inner: tuple[slice, slice], rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.bool_]:
        """Where windows that start at (rows, columns) are not centered on the block's positions."""
        own = [
            np.arange(part.start, part.stop) - (len(weights) - 1) // 2
            for weights, part in zip(self._axes, inner, strict=True)
        ]
        return np.asarray((rows != own[0][:, None]) | (columns != own[1][None, :]))

    def _average_with_gaps(
        self,
        features: npt.NDArray[np.float32],
        valid: npt.NDArray[np.bool_],
        inner: tuple[slice, slice],
        starts: list[npt.NDArray[np.intp]],
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Windows that avoid missing positions: the nearest whole one, else what is there."""
        from scipy.ndimage import distance_transform_edt

        weighted = np.concatenate([features, np.ones((*valid.shape, 1), np.float32)], axis=-1)
        weighted[~valid] = 0
        every = [
            np.arange(n - len(weights) + 1)
            for weights, n in zip(self._axes, valid.shape, strict=True)
        ]
        sums = _sums(weighted, self._axes, every)
        whole = sums[..., -1] > 1 - 1e-4
        rows, columns = np.meshgrid(*starts, indexing="ij")
        if whole.any():
            distance, nearest = distance_transform_edt(~whole, return_indices=True)
            near = distance[rows, columns] <= max(len(self.rows), len(self.columns)) / 2
            rows, columns = (
                np.where(near, nearest[axis][rows, columns], own)
                for axis, own in enumerate((rows, columns))
            )
        share = sums[rows, columns, -1]
        covered = valid[inner] & (share > _LEAST_SHARE)
        averaged = sums[rows, columns, :-1] / np.maximum(share, _LEAST_SHARE)[..., None]
        averaged[~covered] = 0
        slid = self._slid(inner, rows, columns) | (share <= 1 - 1e-4)
        return averaged.astype(np.float32), slid, covered


def _window_starts(length: int, positions: int) -> npt.NDArray[np.intp]:
    """First position of the window of each position; windows stay within the axis."""
    return np.clip(np.arange(positions) - (length - 1) // 2, 0, positions - length)


def _sums(
    values: npt.NDArray[np.float32],
    weights: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    starts: list[npt.NDArray[np.intp]],
) -> npt.NDArray[np.float32]:
    """Weighted sums of `values` (y, x, f) over the windows that start at each of `starts`."""
    rows, columns = (
        _window_matrix(w, s, n) for w, s, n in zip(weights, starts, values.shape, strict=False)
    )
    # As matrix products: BLAS is some ten times faster here than a filter along each axis.
    averaged = (rows @ values.reshape(len(values), -1)).reshape(len(rows), *values.shape[1:])
    return np.asarray(np.matmul(columns, averaged), dtype=np.float32)


def _window_matrix(
    weights: npt.NDArray[np.float64], starts: npt.NDArray[np.intp], positions: int
) -> npt.NDArray[np.float32]:
    """One row per window, its weights at the positions it covers."""
    matrix = np.zeros((len(starts), positions), np.float32)
    index = starts[:, None] + np.arange(len(weights))
    np.put_along_axis(matrix, index, np.broadcast_to(weights.astype(np.float32), index.shape), 1)
    return matrix
