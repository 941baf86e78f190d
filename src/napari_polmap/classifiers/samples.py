"""Training patterns from labelled scans: windows, dose, jitter of the disk, symmetry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.preprocessing import (
    PatternOperator,
    Preprocessing,
    minmax,
    percentile_center,
)
from napari_polmap.diffraction.shifts import beam_shifts, centered, steps_per_px
from napari_polmap.diffraction.symmetry import mirror_angle, rotate_angle
from napari_polmap.diffraction.windows import window_weights
from napari_polmap.directions import DirectionSet
from napari_polmap.scan import Scan

_WHOLE_CELLS = 0.02


@dataclass(frozen=True)
class Sampling:
    """How training patterns are drawn from labelled scans.

    Parameters
    ----------
    per_scan : int
        Windows drawn from each scan.
    width_cells : tuple of float
        Lowest and highest width of the window in unit cells; (0, 0) for single patterns.
    dose : tuple of float or None
        Lowest and highest number of electrons in the windowed pattern, log-uniform; ``None``
        leaves the patterns as they are.
    center_jitter, radius_jitter : float
        Standard deviations of the error of the disk's center and radius, in units of R.
    symmetry : bool
        Add the patterns turned by 90°, 180°, 270° and mirrored, with their directions.
    operators : int
        Different errors of center and radius drawn per detector geometry.
    """

    per_scan: int = 2
    width_cells: tuple[float, float] = (0.8, 1.4)
    dose: tuple[float, float] | None = (1e5, 2e7)
    center_jitter: float = 0.01
    radius_jitter: float = 0.012
    symmetry: bool = True
    operators: int = 12


class Sampler:
    """Draws normalized patterns ``(n, size * size)`` as a classifier will see them."""

    def __init__(
        self, preprocessing: Preprocessing, sampling: Sampling, rng: np.random.Generator
    ) -> None:
        self.preprocessing = preprocessing
        self.sampling = sampling
        self.rng = rng
        self._operators: dict[Any, list[PatternOperator]] = {}

    def draw(self, scan: Scan) -> npt.NDArray[np.float32]:
        """Patterns of one scan, shape ``(per_scan, size * size)``."""
        weights = self._weights(scan)
        flat = _centered_patterns(scan).reshape(scan.shape[0] * scan.shape[1], -1)
        windowed = (weights @ flat).reshape(-1, *scan.detector_shape)
        if self.sampling.dose is not None:
            windowed = self._noisy(windowed)
        choices = self._choices(scan)
        drawn = np.concatenate(
            [choices[self.rng.integers(len(choices))].apply(pattern[None]) for pattern in windowed]
        )
        return normalized(drawn, self.preprocessing)

    def _weights(self, scan: Scan) -> npt.NDArray[np.float32]:
        """One row of weights over the scan's positions for each window to draw."""
        rows, columns = scan.scan_shape
        cell = scan.calibration.cell_positions
        weights = np.empty((self.sampling.per_scan, rows, columns), np.float32)
        for k in range(len(weights)):
            width = self.rng.uniform(*self.sampling.width_cells)
            along = [_random_window(width, cell, n, self.rng) for n in (rows, columns)]
            weights[k] = np.outer(*along)
        return weights.reshape(len(weights), -1)

    def _noisy(self, patterns: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        assert self.sampling.dose is not None
        low, high = np.log(self.sampling.dose)
        doses = np.exp(self.rng.uniform(low, high, len(patterns)))
        totals = patterns.sum(axis=(1, 2))
        scaled = patterns * (doses / np.where(totals > 0, totals, 1))[:, None, None]
        return self.rng.poisson(np.maximum(scaled, 0)).astype(np.float32)

    def _choices(self, scan: Scan) -> list[PatternOperator]:
        calibration = scan.calibration
        if self.preprocessing.center == "percentile":
            mean = scan.strided().astype(np.float64).mean(axis=0)
            calibration = calibration.updated("measured", center_px=percentile_center(mean))
        bad = None if scan.bad_pixels is None else scan.bad_pixels.tobytes()
        key = (repr(calibration), scan.detector_shape, bad)
        if key not in self._operators:
            count = self.sampling.operators if self._jitters else 1
            self._operators[key] = [
                self.preprocessing.operator(
                    self._jittered(calibration), scan.detector_shape, scan.bad_pixels
                )
                for _ in range(count)
            ]
        return self._operators[key]

    @property
    def _jitters(self) -> bool:
        return self.sampling.center_jitter > 0 or self.sampling.radius_jitter > 0

    def _jittered(self, calibration: Calibration) -> Calibration:
        if not self._jitters or calibration.radius_px is None or calibration.center_px is None:
            return calibration
        radius = calibration.radius_px
        dy, dx = self.rng.normal(0, self.sampling.center_jitter * radius, 2)
        return calibration.updated(
            "measured",
            center_px=(calibration.center_px[0] + dy, calibration.center_px[1] + dx),
            radius_px=radius * (1 + self.rng.normal(0, self.sampling.radius_jitter)),
        )


def _centered_patterns(scan: Scan) -> npt.NDArray[np.float32]:
    """All patterns of a scan as float32, with the beam at one place, bad pixels zero."""
    rows, columns = slice(0, scan.shape[0]), slice(0, scan.shape[1])
    block = scan.read(rows, columns).astype(np.float32)
    if scan.bad_pixels is not None:
        block[..., scan.bad_pixels] = 0
    step = 1 / steps_per_px(scan.calibration)
    for shift, positions in beam_shifts(scan.calibration, rows, columns, scan.scan_shape, step):
        if shift != (0.0, 0.0):
            block[positions] = centered(block[positions], shift, scan.bad_pixels)
    return block


def normalized(
    patterns: npt.NDArray[np.float32], preprocessing: Preprocessing
) -> npt.NDArray[np.float32]:
    """Patterns ``(n, f)`` in the preprocessing's normalization."""
    if preprocessing.normalization == "minmax":
        return minmax(patterns)
    mean = patterns.mean(axis=1, keepdims=True)
    return np.asarray(patterns / np.where(mean > 0, mean, 1), np.float32)


def with_symmetry(
    patterns: npt.NDArray[np.float32],
    directions: npt.NDArray[np.intp],
    direction_set: DirectionSet,
    size: int,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Patterns turned by quarter turns and mirrored, with their directions.

    Only those operations of the square are used that map the set's angles onto itself.

    Returns
    -------
    patterns : ndarray of float32, shape (m, size * size)
    directions : ndarray of int, shape (m,)
    source : ndarray of int, shape (m,)
        Index of the pattern each was made from.
    """
    square = patterns.reshape(-1, size, size)
    parts, labels, sources = [], [], []
    for mirrored in (False, True):
        for turns in range(4):
            classes = _mapped_classes(direction_set, mirrored, turns)
            if classes is None:
                continue
            moved = np.flip(square, axis=2) if mirrored else square
            parts.append(np.rot90(moved, turns, axes=(1, 2)).reshape(len(patterns), -1))
            labels.append(classes[directions])
            sources.append(np.arange(len(patterns)))
    return np.concatenate(parts), np.concatenate(labels), np.concatenate(sources)


def _mapped_classes(
    direction_set: DirectionSet, mirrored: bool, turns: int
) -> npt.NDArray[np.intp] | None:
    """Where each class goes under the operation, or None if the set is not closed under it."""
    angles = direction_set.angles_deg
    classes = []
    for index, angle in enumerate(angles):
        if angle is None:
            classes.append(index)
            continue
        moved = rotate_angle(mirror_angle(angle) if mirrored else angle, turns)
        hits = [k for k, a in enumerate(angles) if a is not None and _apart(a, moved) < 1e-3]
        if not hits:
            return None
        classes.append(hits[0])
    return np.array(classes)


def _apart(first: float, second: float) -> float:
    return abs((first - second + 180) % 360 - 180)


def _random_window(
    width: float, cell: float | None, positions: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Weights of a window anywhere on a scan axis; one that holds whole cells counts as a ring."""
    if not width or cell is None:
        weights = np.zeros(positions)
        weights[rng.integers(positions)] = 1
        return weights
    cells = positions / cell
    if round(cells) and abs(cells - round(cells)) < _WHOLE_CELLS * cells:
        sigma = width / 2 * cell
        offset = (np.arange(positions) - rng.uniform(0, positions)) % positions
        wraps = np.arange(-3, 4) if positions < 6 * sigma else np.arange(-1, 2)
        weights = np.exp(-0.5 * ((offset[:, None] + positions * wraps) / sigma) ** 2).sum(axis=1)
        return np.asarray(weights / weights.sum())
    inner = window_weights(width, cell, positions)
    weights = np.zeros(positions)
    start = rng.integers(positions - len(inner) + 1)
    weights[start : start + len(inner)] = inner
    return weights
