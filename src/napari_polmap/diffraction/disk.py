"""Center and radius of the bright-field disk, by its edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import CalibrationError

Floats = npt.NDArray[np.float64]

_LEAST_RADIUS = 3.0
_COARSE_SIZE = 96
_COARSE_RADIUS, _FINE_RADIUS = 28.0, 60.0
"""Larger disks are binned until their radius is about this many pixels: to find it, to fit it."""
_ROUNDING_PX = 0.125
"""Added to the radius: simulated apertures are rounded within a pixel, see `measure_disk`."""
_LEAST_WIDTH, _LEAST_FINE_WIDTH = 0.25, 0.4
_ITERATIONS = 40


@dataclass(frozen=True)
class Disk:
    """The bright-field disk.

    Parameters
    ----------
    center_px : (float, float)
        Row and column of its center; pixel centers are integers.
    radius_px : float
        Its radius.
    contrast : float
        Share of the intensity just inside the edge that is gone just outside it, 0..1.
    blur_px : float
        Width of the edge: standard deviation of the blur.
    """

    center_px: tuple[float, float]
    radius_px: float
    contrast: float
    blur_px: float


def measure_disk(
    mean_pattern: npt.ArrayLike, bad_pixels: npt.NDArray[np.bool_] | None = None
) -> Disk:
    r"""Find the bright-field disk in a mean pattern.

    Parameters
    ----------
    mean_pattern : array-like, shape (ky, kx)
        Mean of patterns spread over the scan; NaN where nothing was measured.
    bad_pixels : ndarray of bool, shape (ky, kx), optional
        Pixels that are left out.

    Returns
    -------
    Disk

    Raises
    ------
    CalibrationError
        If there is no disk: nothing but noise or zeros, no circular edge, or a disk that does not
        fit on the detector.

    Notes
    -----
    Inside and outside a thick crystal's disk the intensity varies a lot, also along the edge; what
    stays is the jump at the edge itself. In a ring around the edge the pattern is modeled as

    .. math:: I(r, φ) = B(r, φ) + A(φ, r) \, Φ((R - r) / w)

    with smooth A and B (Fourier series in φ, a slope in r) and the normal distribution function Φ
    of width w. Center and R are fitted by least squares; A and B are solved for within (variable
    projection: Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413).

    abTEM's aperture falls linearly in amplitude over one reciprocal pixel around its nominal
    radius, so half of the edge's intensity lies 1/6 pixel inside of it; in experiments the edge is
    where it is. 1/8 pixel, at most 0.5 %, is added, so that a perfectly sharp edge comes out up to
    0.5 % too large.
    """
    pattern = np.array(mean_pattern, dtype=np.float64)
    if pattern.ndim != 2 or min(pattern.shape) < 2 * _LEAST_RADIUS:
        raise CalibrationError(
            f"A diffraction pattern has two axes of at least {2 * _LEAST_RADIUS:.0f} pixels, but "
            f"this has shape {pattern.shape}; check the detector axes."
        )
    use = np.isfinite(pattern)
    if bad_pixels is not None:
        use &= ~bad_pixels
    if not use.any() or not np.any(pattern[use] > 0):
        raise CalibrationError(
            "The mean pattern is zero everywhere, so it has no bright-field disk; check the file."
        )
    pattern[~use] = 0.0
    outliers = _outliers(pattern, use)
    use &= ~outliers
    pattern[outliers] = 0.0
    center, radius = _guess(pattern, use)
    factor = max(1, round(radius / _COARSE_RADIUS))
    edge = _coarse_edge(*_bin(pattern, use, factor), _Edge(*center, radius, 0.0).binned(factor))
    edge = edge.binned(1 / factor)
    factor = max(1, round(edge.radius / _FINE_RADIUS))
    disk = _fine_edge(*_bin(pattern, use, factor), edge.binned(factor), factor)
    _check(disk, pattern.shape)
    return disk


def _no_disk(why: str) -> CalibrationError:
    return CalibrationError(
        f"No bright-field disk was found in the mean pattern ({why}); set center and radius by "
        "hand."
    )


def _outliers(pattern: Floats, use: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Single pixels far above or below their neighbors: hot and dead ones that no mask names."""
    from scipy import ndimage

    around = ndimage.median_filter(pattern, size=3, mode="nearest")
    departure = np.abs(pattern - around)
    order = np.argsort(around, axis=None)
    outlier = np.zeros(pattern.size, bool)
    level = 0.5 * float(np.percentile(around[use], 99) - np.percentile(around[use], 1))
    # Noise grows with the intensity, and edges vary more than areas: like is compared with like.
    for group in np.array_split(order, 12):
        typical = np.median(departure.ravel()[group])
        outlier[group] = departure.ravel()[group] > max(10 * typical, level)
    return outlier.reshape(pattern.shape) & use


def _bin(
    pattern: Floats, use: npt.NDArray[np.bool_], factor: int
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Mean of blocks of pixels; a block counts if at least half of it does."""
    rows, columns = (n // factor for n in pattern.shape)
    cut = np.s_[: rows * factor, : columns * factor]
    shape = (rows, factor, columns, factor)
    count = use[cut].reshape(shape).sum(axis=(1, 3))
    total = np.where(use, pattern, 0.0)[cut].reshape(shape).sum(axis=(1, 3))
    return total / np.maximum(count, 1), count * 2 >= factor**2


def _guess(pattern: Floats, use: npt.NDArray[np.bool_]) -> tuple[tuple[float, float], float]:
    """The roundest bright area with the clearest edge, over many thresholds."""
    from scipy import ndimage

    factor = max(1, max(pattern.shape) // _COARSE_SIZE)
    coarse, known = _bin(pattern, use, factor)
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    coarse = coarse[tuple(nearest)]
    smooth = ndimage.gaussian_filter(ndimage.median_filter(coarse, size=3), 0.7)
    low, high = float(np.percentile(smooth, 2)), float(np.max(smooth))
    rows, columns = np.indices(smooth.shape)
    best = 0.0
    found: tuple[float, float, float] | None = None
    for share in np.concatenate([np.geomspace(0.02, 0.3, 7), np.linspace(0.35, 0.8, 10)]):
        labels, _ = ndimage.label(smooth > low + share * (high - low))
        sums = np.bincount(labels.ravel(), smooth.ravel())[1:]
        if sums.size == 0:
            continue
        brightest = labels == 1 + int(np.argmax(sums))
        area = np.asarray(ndimage.binary_fill_holes(brightest), dtype=bool)
        size = int(area.sum())
        radius = float(np.sqrt(size / np.pi))
        if radius * factor < 0.7 * _LEAST_RADIUS:
            continue
        center_y, center_x = float(rows[area].mean()), float(columns[area].mean())
        distance = np.hypot(rows - center_y, columns - center_x) / radius
        circle = distance < 1
        roundness = float((area & circle).sum()) / max(1.0, float((area | circle).sum()))
        inside = smooth[(distance > 0.75) & (distance < 0.95)]
        outside = smooth[(distance > 1.05) & (distance < 1.25)]
        if not inside.size or not outside.size:
            continue
        score = float(inside.mean() - outside.mean()) / (high - low) * roundness**4
        if roundness > 0.8 and score > best:
            best, found = score, (center_y, center_x, radius)
    if found is None or best < 0.1:
        raise _no_disk("no round bright area")
    center = ((found[0] + 0.5) * factor - 0.5, (found[1] + 0.5) * factor - 0.5)
    return center, found[2] * factor


@dataclass
class _Edge:
    """Where the edge is thought to be, in (binned) pixels."""

    center_y: float
    center_x: float
    radius: float
    width: float

    def binned(self, factor: float) -> _Edge:
        """In pixels `factor` times as large."""
        return _Edge(
            (self.center_y + 0.5) / factor - 0.5,
            (self.center_x + 0.5) / factor - 0.5,
            self.radius / factor,
            self.width / factor,
        )

    def moved(self, step: Floats) -> _Edge:
        """Another edge; the fourth entry changes the width's logarithm."""
        width = self.width * float(np.exp(step[3])) if len(step) > 3 else self.width
        return _Edge(
            self.center_y + float(step[0]),
            self.center_x + float(step[1]),
            self.radius + float(step[2]),
            width,
        )


class _Ring:
    """The pixels around an edge with the smooth functions that describe them on both sides."""

    def __init__(
        self,
        pattern: Floats,
        use: npt.NDArray[np.bool_],
        edge: _Edge,
        half_width: float,
        orders: tuple[int, int],
    ) -> None:
        grid = np.indices(pattern.shape, dtype=np.float64)
        rows, columns = grid[0], grid[1]
        distance = np.hypot(rows - edge.center_y, columns - edge.center_x)
        ring = use & (np.abs(distance - edge.radius) < half_width)
        self.rows, self.columns, self.values = rows[ring], columns[ring], pattern[ring]
        angle = np.arctan2(self.rows - edge.center_y, self.columns - edge.center_x)
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
            raise _no_disk("too few pixels around its edge")

    def fit(self, edge: _Edge, free_width: bool) -> tuple[Floats, Floats, Floats]:
        """Residual, its derivatives by the edge's parameters, and the smooth functions' weights."""
        from scipy.special import ndtr

        across, down = self.columns - edge.center_x, self.rows - edge.center_y
        distance = np.maximum(np.hypot(down, across), 1e-9)
        reduced = (edge.radius - distance) / edge.width
        step = ndtr(reduced)[:, None]
        basis = np.concatenate([self.smooth * step, self.smooth], axis=1)
        gram = basis.T @ basis
        gram[np.diag_indices_from(gram)] += 1e-9 * np.trace(gram) / len(gram)
        weights = np.linalg.solve(gram, basis.T @ self.values)
        jump = self.smooth @ weights[: self.smooth.shape[1]]
        slope = np.exp(-0.5 * reduced**2) / np.sqrt(2 * np.pi) / edge.width * jump
        changes = [slope * down / distance, slope * across / distance, slope]
        if free_width:
            changes.append(-slope * reduced * edge.width)
        derivative = np.stack(changes, axis=1)
        derivative -= basis @ np.linalg.solve(gram, basis.T @ derivative)
        return self.values - basis @ weights, -derivative, weights

    def refine(self, edge: _Edge, free_width: bool) -> _Edge:
        """Levenberg and Marquardt's iteration."""
        damping = 1e-2
        residual, derivative, _ = self.fit(edge, free_width)
        limit = 0.15 * edge.radius
        for _ in range(_ITERATIONS):
            square = derivative.T @ derivative
            square[np.diag_indices_from(square)] *= 1 + damping
            try:
                step = np.linalg.solve(square, -derivative.T @ residual)
            except np.linalg.LinAlgError:
                break
            step = np.clip(step, -limit, limit)
            trial = edge.moved(step)
            trial.width = float(np.clip(trial.width, _LEAST_WIDTH, 0.5 * trial.radius))
            if trial.radius < 0.5 * _LEAST_RADIUS:
                raise _no_disk("the edge runs away")
            tried = self.fit(trial, free_width)
            if tried[0] @ tried[0] < residual @ residual:
                edge, (residual, derivative, _), damping = trial, tried, damping / 4
                if np.max(np.abs(step[:3])) < 1e-4 * edge.radius:
                    break
            else:
                damping *= 8
                if damping > 1e6:
                    break
        return edge


def _coarse_edge(pattern: Floats, use: npt.NDArray[np.bool_], edge: _Edge) -> _Edge:
    """The edge with its width, found from a guess that may be off by a third of the radius."""
    edge.width = max(0.7, 0.08 * edge.radius)
    for orders in ((1, 0), (4, 2)):
        half = max(0.3 * edge.radius, 3.0)
        edge = _Ring(pattern, use, edge, half, orders).refine(edge, free_width=True)
    if edge.width > 0.28 * edge.radius:
        raise _no_disk("a spot without a sharp edge")
    return edge


def _fine_edge(pattern: Floats, use: npt.NDArray[np.bool_], edge: _Edge, factor: int) -> Disk:
    """The edge by its jump alone, in pixels of the detector.

    The jump is sharper than the fall of the intensity around it: thick tilted crystals have dark
    bands along the edge. Many waves on both sides leave only the jump to the edge itself.
    """
    blur = edge.width
    for band in (0.3, 0.2):
        ring = _Ring(pattern, use, edge, max(band * edge.radius, 3.3), (16, 8))
        edge = ring.refine(edge, free_width=True)
        edge.width = max(edge.width, _LEAST_FINE_WIDTH)
    residual, _, weights = ring.fit(edge, False)
    jump, outside = float(weights[0]), float(weights[ring.smooth.shape[1]])
    noise = float(np.std(residual)) / np.sqrt(len(residual) / 4)
    if not jump > 8 * noise or outside < -0.2 * jump:
        raise _no_disk("no edge above the noise")
    edge = edge.binned(1 / factor)
    return Disk(
        (edge.center_y, edge.center_x),
        edge.radius + min(_ROUNDING_PX, 0.005 * edge.radius),
        min(1.0, jump / (jump + outside)),
        blur * factor,
    )


def _check(disk: Disk, shape: tuple[int, ...]) -> None:
    if disk.radius_px < _LEAST_RADIUS:
        raise _no_disk(f"its radius of {disk.radius_px:.1f} pixels is too small to measure")
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    edge_y = disk.center_px[0] + disk.radius_px * np.sin(angles)
    edge_x = disk.center_px[1] + disk.radius_px * np.cos(angles)
    seen = (edge_y > -0.5) & (edge_y < shape[0] - 0.5) & (edge_x > -0.5) & (edge_x < shape[1] - 0.5)
    if seen.mean() < 0.7:
        raise _no_disk("most of its edge lies beyond the detector")
    if disk.contrast < 0.15:
        raise _no_disk("its edge has too little contrast")
