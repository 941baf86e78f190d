"""The disk's edge: a circle or an ellipse fitted to its jump of intensity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import CalibrationError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

LEAST_RADIUS = 3.0
_LEAST_WIDTH, _LEAST_FINE_WIDTH = 0.25, 0.4
_ITERATIONS = 40
_LARGEST_STRETCH_STEP = 0.05
_SECTORS = 24
"""Parts of the edge whose misfits count as independent."""


def no_disk(why: str) -> CalibrationError:
    """The error that says why there is no disk."""
    return CalibrationError(
        f"No bright-field disk was found in the mean pattern ({why}); set center and radius by "
        "hand."
    )


def bin_pixels(pattern: Floats, use: Bools, factor: int) -> tuple[Floats, Bools]:
    """Mean of blocks of pixels; a block counts if at least half of it does."""
    rows, columns = (n // factor for n in pattern.shape)
    cut = np.s_[: rows * factor, : columns * factor]
    shape = (rows, factor, columns, factor)
    count = use[cut].reshape(shape).sum(axis=(1, 3))
    total = np.where(use, pattern, 0.0)[cut].reshape(shape).sum(axis=(1, 3))
    return total / np.maximum(count, 1), count * 2 >= factor**2


@dataclass
class Edge:
    """Where the edge is thought to be, in (binned) pixels."""

    center_y: float
    center_x: float
    radius: float
    width: float
    stretch: tuple[float, float] = (0.0, 0.0)
    """Half the logarithm of the ratio of the axes, times cosine and sine of twice the angle."""

    def binned(self, factor: float) -> Edge:
        """In pixels `factor` times as large."""
        return Edge(
            (self.center_y + 0.5) / factor - 0.5,
            (self.center_x + 0.5) / factor - 0.5,
            self.radius / factor,
            self.width / factor,
            self.stretch,
        )

    def moved(self, step: Floats) -> Edge:
        """Another edge: steps of center, radius, the width's logarithm and maybe the stretch."""
        along, across = step[4:6] if len(step) > 4 else (0.0, 0.0)
        return Edge(
            self.center_y + float(step[0]),
            self.center_x + float(step[1]),
            self.radius + float(step[2]),
            self.width * float(np.exp(step[3])),
            (self.stretch[0] + float(along), self.stretch[1] + float(across)),
        )

    def offsets(self, rows: Floats, columns: Floats) -> tuple[Floats, Floats]:
        """Rows and columns from the center, the stretch undone."""
        down, across = rows - self.center_y, columns - self.center_x
        size = float(np.hypot(*self.stretch))
        if size == 0:
            return down, across
        # The exponential of a symmetric matrix without trace.
        even, odd = np.cosh(size), np.sinh(size) / size
        p, q = odd * self.stretch[0], odd * self.stretch[1]
        return (even + p) * down + q * across, q * down + (even - p) * across


class _Ring:
    """The pixels around an edge with the smooth functions that describe them on both sides."""

    def __init__(
        self,
        pattern: Floats,
        use: Bools,
        edge: Edge,
        half_width: float,
        orders: tuple[int, int],
    ) -> None:
        grid = np.indices(pattern.shape, dtype=np.float64)
        rows, columns = grid[0], grid[1]
        distance = np.hypot(*edge.offsets(rows, columns))
        ring = use & (np.abs(distance - edge.radius) < half_width)
        self.rows, self.columns, self.values = rows[ring], columns[ring], pattern[ring]
        angle = np.arctan2(*edge.offsets(self.rows, self.columns))
        slope = (distance[ring] - edge.radius) / half_width
        # Not more waves around the edge than its pixels can tell apart.
        waves, sloped = (min(order, int(edge.radius / 2)) for order in orders)
        functions = [np.ones_like(angle), slope]
        for order in range(1, waves + 1):
            for wave in (np.cos(order * angle), np.sin(order * angle)):
                functions.append(wave)
                if order <= sloped:
                    functions.append(wave * slope)
        self.smooth = np.stack(functions, axis=1)
        if len(self.values) < 3 * self.smooth.shape[1]:
            raise no_disk("too few pixels around its edge")

    def fit(self, edge: Edge, ellipse: bool) -> tuple[Floats, Floats, Floats]:
        """Residual, its derivatives by the edge's parameters, and the smooth functions' weights."""
        from scipy.special import ndtr

        down, across = edge.offsets(self.rows, self.columns)
        distance = np.maximum(np.hypot(down, across), 1e-9)
        reduced = (edge.radius - distance) / edge.width
        step = ndtr(reduced)[:, None]
        basis = np.concatenate([self.smooth * step, self.smooth], axis=1)
        gram = basis.T @ basis
        gram[np.diag_indices_from(gram)] += 1e-9 * np.trace(gram) / len(gram)
        weights = np.linalg.solve(gram, basis.T @ self.values)
        jump = self.smooth @ weights[: self.smooth.shape[1]]
        slope = np.exp(-0.5 * reduced**2) / np.sqrt(2 * np.pi) / edge.width * jump
        down, across = down / distance, across / distance
        changes = [slope * down, slope * across, slope, -slope * reduced * edge.width]
        if ellipse:
            # To first order in the stretch; where the iteration ends, no derivative matters.
            changes.append(slope * distance * (across**2 - down**2))
            changes.append(-2 * slope * distance * down * across)
        derivative = np.stack(changes, axis=1)
        derivative -= basis @ np.linalg.solve(gram, basis.T @ derivative)
        return self.values - basis @ weights, -derivative, weights

    def refine(self, edge: Edge, ellipse: bool = False) -> Edge:
        """Levenberg and Marquardt's iteration."""
        damping = 1e-2
        residual, derivative, _ = self.fit(edge, ellipse)
        limit = 0.15 * edge.radius
        for _ in range(_ITERATIONS):
            square = derivative.T @ derivative
            square[np.diag_indices_from(square)] *= 1 + damping
            try:
                step = np.asarray(np.linalg.solve(square, -derivative.T @ residual), np.float64)
            except np.linalg.LinAlgError:
                break
            step[:4] = np.clip(step[:4], -limit, limit)
            step[4:] = np.clip(step[4:], -_LARGEST_STRETCH_STEP, _LARGEST_STRETCH_STEP)
            trial = edge.moved(step)
            trial.width = float(np.clip(trial.width, _LEAST_WIDTH, 0.5 * trial.radius))
            if trial.radius < 0.5 * LEAST_RADIUS:
                raise no_disk("the edge runs away")
            tried = self.fit(trial, ellipse)
            if tried[0] @ tried[0] < residual @ residual:
                edge, (residual, derivative, _), damping = trial, tried, damping / 4
                if np.max(np.abs(step[:3])) < 1e-4 * edge.radius:
                    break
            else:
                damping *= 8
                if damping > 1e6:
                    break
        return edge


def coarse_edge(pattern: Floats, use: Bools, edge: Edge) -> Edge:
    """The edge with its width, found from a guess that may be off by a third of the radius."""
    edge.width = max(0.7, 0.08 * edge.radius)
    for orders in ((1, 0), (4, 2)):
        half = max(0.3 * edge.radius, 3.0)
        edge = _Ring(pattern, use, edge, half, orders).refine(edge)
    if edge.width > 0.28 * edge.radius:
        raise no_disk("a spot without a sharp edge")
    return edge


@dataclass(frozen=True)
class FittedEdge:
    """What `fine_edge` found, in its pixels.

    Parameters
    ----------
    edge : Edge
    contrast : float
        Share of the intensity just inside that is gone just outside.
    errors : ndarray of float
        Standard errors of center, radius, the width's logarithm and, if fitted, the stretch.
    """

    edge: Edge
    contrast: float
    errors: Floats


def fine_edge(pattern: Floats, use: Bools, edge: Edge, *, ellipse: bool) -> FittedEdge:
    """The edge by its jump alone.

    The jump is sharper than the fall of the intensity around it: thick tilted crystals have dark
    bands along the edge. Many waves on both sides leave only the jump to the edge itself.
    """
    for band in (0.3, 0.3, 0.2) if ellipse else (0.3, 0.2):
        ring = _Ring(pattern, use, edge, max(band * edge.radius, 3.3), (16, 8))
        edge = ring.refine(edge, ellipse)
        edge.width = max(edge.width, _LEAST_FINE_WIDTH)
    residual, derivative, weights = ring.fit(edge, ellipse)
    jump, outside = float(weights[0]), float(weights[ring.smooth.shape[1]])
    noise = float(np.std(residual)) / np.sqrt(len(residual) / 4)
    if not jump > 8 * noise or outside < -0.2 * jump:
        raise no_disk("no edge above the noise")
    errors = _errors(ring, edge, residual, derivative, len(weights))
    return FittedEdge(edge, min(1.0, jump / (jump + outside)), errors)


def _errors(
    ring: _Ring, edge: Edge, residual: Floats, derivative: Floats, functions: int
) -> Floats:
    """Standard errors of the edge's parameters.

    What is left over is structure rather than noise, alike in neighboring pixels, so sums over
    sectors take the place of pixels (the sandwich estimator for clusters: Liang and Zeger,
    Biometrika 73 (1986) 13).
    """
    angle = np.arctan2(*edge.offsets(ring.rows, ring.columns))
    sector = ((angle / (2 * np.pi) + 0.5) * _SECTORS).astype(int) % _SECTORS
    scores = np.zeros((_SECTORS, derivative.shape[1]))
    np.add.at(scores, sector, derivative * residual[:, None])
    inverse = np.linalg.pinv(derivative.T @ derivative)
    spread = inverse @ scores.T @ scores @ inverse
    parameters = functions + derivative.shape[1]
    spread *= len(residual) / max(1, len(residual) - parameters)
    return np.asarray(np.sqrt(np.diag(spread)))
