"""Training patterns from labelled scans: windows, dose, blur, errors of the disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.classifiers.augmentation import normalized
from napari_polmap.classifiers.models.base import Classes
from napari_polmap.classifiers.models.features import Floats
from napari_polmap.diffraction.preprocessing import (
    PatternOperator,
    Preprocessing,
    percentile_center,
)
from napari_polmap.diffraction.shifts import beam_shifts, centered, steps_per_px
from napari_polmap.diffraction.windows import window_weights
from napari_polmap.scan import Scan

UNLABELLED = -1
"""In a label image of class indices: no direction is known there."""

_WHOLE_CELLS = 0.02
_BAND_BYTES = 64 * 2**20
_SUM_BYTES = 128 * 2**20
_MOST_WINDOWS = 256
"""Windows drawn from a scan where the number follows from the data set's: more of one scan are
alike."""
_IN_DOMAIN = 0.95
_TRIES = 20


@dataclass(frozen=True)
class Sampling:
    """How training patterns are drawn from labelled scans.

    Parameters
    ----------
    per_scan : int or None
        Patterns drawn from each scan; ``None``: as many as make `patterns` in all.
    patterns : int
        Patterns drawn from all scans together, as far as they have so many.
    width_cells : tuple of float
        Lowest and highest width of the window in unit cells; (0, 0) for single patterns.
    dose : tuple of float or None
        Lowest and highest number of electrons in the windowed pattern, log-uniform; ``None``
        leaves the patterns as they are.
    center_jitter, radius_jitter : float
        Standard deviations of the error of the disk's center and radius, in units of R.
    rotation_jitter_deg : float
        Standard deviation of the error of the detector's rotation.
    blur : tuple of float
        Lowest and highest standard deviation of the detector's point spread, in units of R.
    filter : bool
        Take only patterns whose center of mass departs from the scan's mean one by more than that
        scan's mean departure (Martinc et al. 2026); for single patterns.
    operators : int
        Different errors of center, radius and rotation drawn per detector geometry.
    """

    per_scan: int | None = None
    patterns: int = 12_000
    width_cells: tuple[float, float] = (0.8, 1.4)
    dose: tuple[float, float] | None = (4e4, 3e7)
    center_jitter: float = 0.01
    radius_jitter: float = 0.012
    rotation_jitter_deg: float = 1.0
    blur: tuple[float, float] = (0.0, 0.04)
    filter: bool = False
    operators: int = 24


def quotas(
    directions: Sequence[str],
    sampling: Sampling,
    most: int | None,
    rng: np.random.Generator,
) -> npt.NDArray[np.intp]:
    """How many patterns to draw from each scan.

    Parameters
    ----------
    directions : sequence of str
        What each scan is of; where there are fewer patterns than scans, each gets its share.
    sampling : Sampling
    most : int or None
        Patterns of all scans together at most.
    rng : numpy.random.Generator
        Draws the scans that get one pattern more.

    Returns
    -------
    ndarray of int, shape (n_scans,)
    """
    count = len(directions)
    total = sampling.patterns if sampling.per_scan is None else sampling.per_scan * count
    if sampling.per_scan is None and sampling.width_cells[1] > 0:
        total = min(total, _MOST_WINDOWS * count)
    total = max(total, count)
    if most is not None:
        total = min(total, most)
    numbers = np.full(count, total // count)
    rank = np.empty(count, np.intp)
    order = rng.permutation(count)
    seen: dict[str, int] = {}
    for index in order:
        rank[index] = seen.get(directions[index], 0)
        seen[directions[index]] = rank[index] + 1
    numbers[order[np.argsort(rank[order], kind="stable")][: total % count]] += 1
    return numbers


class Drawn(NamedTuple):
    """What is drawn of one scan.

    Parameters
    ----------
    patterns : ndarray of float32, shape (n, size * size)
        Normalized.
    directions : ndarray of int, shape (n,)
    electrons : ndarray of float, shape (n,)
        Of each pattern's counting noise; NaN where none was added.
    """

    patterns: Floats
    directions: Classes
    electrons: npt.NDArray[np.float64]


class Sampler:
    """Draws normalized patterns ``(n, size * size)`` as a classifier will see them."""

    def __init__(
        self, preprocessing: Preprocessing, sampling: Sampling, rng: np.random.Generator
    ) -> None:
        self.preprocessing = preprocessing
        self.sampling = sampling
        self.rng = rng
        self._operators: dict[Any, list[PatternOperator | None]] = {}

    def draw(self, scan: Scan, truth: int | Classes, count: int, *, noise: bool = True) -> Drawn:
        """Patterns of one scan, with their directions.

        Parameters
        ----------
        scan : Scan
        truth : int or ndarray of int, shape (y, x)
            Direction of the whole scan, or of each position, `UNLABELLED` where not known. Windows
            lie by at least 95 % of their weight in one domain.
        count : int
            How many; fewer where the scan has no more.
        noise : bool
            False leaves the counting noise to be added later.
        """
        source = _Patterns(scan)
        if self.sampling.width_cells[1] > 0:
            weights, directions = self._windows(scan, truth, count)
            raw: Iterator[Floats] = source.averaged(weights)
        else:
            chosen, directions = self._positions(source, truth, count)
            raw = source.single(chosen)
        parts = [self._finished(part, scan, noise) for part in raw]
        parts.append((np.empty((0, self.preprocessing.size**2), np.float32), np.empty(0)))
        patterns, electrons = (np.concatenate(values) for values in zip(*parts, strict=True))
        return Drawn(patterns, directions, electrons)

    def _positions(
        self, source: _Patterns, truth: int | Classes, count: int
    ) -> tuple[npt.NDArray[np.intp], Classes]:
        """Single positions, in the order of the scan."""
        shape = source.scan.scan_shape
        labels = np.broadcast_to(np.asarray(truth), shape).ravel()
        usable = labels != UNLABELLED
        if self.sampling.filter:
            usable = usable & _departing(source.centers_of_mass())
        found = np.flatnonzero(usable)
        chosen = np.sort(self.rng.permutation(found)[:count])
        return chosen, labels[chosen]

    def _windows(self, scan: Scan, truth: int | Classes, count: int) -> tuple[Floats, Classes]:
        """One row of weights over the scan's positions for each window, and its direction."""
        if isinstance(truth, np.ndarray):
            return self._windows_in_domains(scan, truth, count)
        weights = np.empty((count, *scan.scan_shape), np.float32)
        cell = scan.calibration.cell_positions
        for k in range(count):
            width = self.rng.uniform(*self.sampling.width_cells)
            along = [_random_window(width, cell, n, self.rng) for n in scan.scan_shape]
            weights[k] = np.outer(*along)
        return weights.reshape(count, scan.shape[0] * scan.shape[1]), np.full(count, truth)

    def _windows_in_domains(
        self, scan: Scan, labels: Classes, count: int
    ) -> tuple[Floats, Classes]:
        """Windows around labelled positions, the domains' shares equal as far as they allow it."""
        weights: list[Floats] = []
        directions: list[int] = []
        cell = scan.calibration.cell_positions
        domains = np.setdiff1d(labels, [UNLABELLED])
        places = {int(index): np.argwhere(labels == index) for index in domains}
        for _ in range(_TRIES * count if len(domains) else 0):
            if len(weights) == count:
                break
            index = int(self.rng.choice(domains))
            at = places[index][self.rng.integers(len(places[index]))]
            width = self.rng.uniform(*self.sampling.width_cells)
            rows, columns = (
                _window_at(int(place), width, cell, n)
                for place, n in zip(at, labels.shape, strict=True)
            )
            if rows @ (labels == index) @ columns >= _IN_DOMAIN:
                weights.append(np.outer(rows, columns).ravel().astype(np.float32))
                directions.append(index)
        stacked = np.stack(weights) if weights else np.empty((0, labels.size), np.float32)
        return stacked, np.array(directions, dtype=np.intp)

    def _finished(
        self, patterns: Floats, scan: Scan, noise: bool
    ) -> tuple[Floats, npt.NDArray[np.float64]]:
        """Raw patterns ``(n, ky, kx)`` blurred, exposed, cropped and normalized; electrons."""
        if self.sampling.blur[1] > 0 and scan.calibration.radius_px:
            patterns = self._blurred(patterns, scan.calibration.radius_px)
        electrons = np.full(len(patterns), np.nan)
        if noise and self.sampling.dose is not None:
            low, high = np.log(self.sampling.dose)
            electrons = np.exp(self.rng.uniform(low, high, len(patterns)))
            patterns = self._noisy(patterns, electrons)
        calibration = scan.calibration
        if self.preprocessing.center == "percentile":
            mean = scan.strided().astype(np.float64).mean(axis=0)
            calibration = calibration.updated("measured", center_px=percentile_center(mean))
        count = self.sampling.operators if self._jitters else 1
        picks = self.rng.integers(count, size=len(patterns))
        drawn = np.empty((len(patterns), self.preprocessing.size**2), np.float32)
        for index in np.unique(picks):
            here = np.flatnonzero(picks == index)
            drawn[here] = self._operator(scan, calibration, int(index)).apply(patterns, here)
        return normalized(drawn, self.preprocessing), electrons

    def _blurred(self, patterns: Floats, radius_px: float) -> Floats:
        from scipy.ndimage import gaussian_filter1d

        sigmas = self.rng.uniform(*self.sampling.blur, len(patterns)) * radius_px
        for pattern, sigma in zip(patterns, sigmas, strict=True):
            for axis in (0, 1):
                gaussian_filter1d(pattern, sigma, axis=axis, output=pattern, mode="nearest")
        return patterns

    def _noisy(self, patterns: Floats, electrons: npt.NDArray[np.float64]) -> Floats:
        totals = patterns.sum(axis=(1, 2))
        scaled = patterns * (electrons / np.where(totals > 0, totals, 1))[:, None, None]
        return self.rng.poisson(np.maximum(scaled, 0)).astype(np.float32)

    def _operator(self, scan: Scan, calibration: Calibration, index: int) -> PatternOperator:
        """The crop with one of the errors; those of scans of the same geometry are the same."""
        bad = None if scan.bad_pixels is None else scan.bad_pixels.tobytes()
        geometry = dataclasses.replace(calibration, step_nm=None, sources={})
        if self.preprocessing.unit == "radius":
            geometry = dataclasses.replace(geometry, lattice_nm=None)
        key = (repr(geometry), scan.detector_shape, bad)
        kept = self._operators.setdefault(key, [None] * self.sampling.operators)
        operator = kept[index]
        if operator is None:
            operator = self.preprocessing.operator(
                self._jittered(calibration), scan.detector_shape, scan.bad_pixels
            )
            kept[index] = operator
        return operator

    @property
    def _jitters(self) -> bool:
        chosen = self.sampling
        return max(chosen.center_jitter, chosen.radius_jitter, chosen.rotation_jitter_deg) > 0

    def _jittered(self, calibration: Calibration) -> Calibration:
        if not self._jitters or calibration.radius_px is None or calibration.center_px is None:
            return calibration
        radius = calibration.radius_px
        dy, dx = self.rng.normal(0, self.sampling.center_jitter * radius, 2)
        turn = self.rng.normal(0, self.sampling.rotation_jitter_deg)
        return calibration.updated(
            "measured",
            center_px=(calibration.center_px[0] + dy, calibration.center_px[1] + dx),
            radius_px=radius * (1 + self.rng.normal(0, self.sampling.radius_jitter)),
            rotation_deg=(calibration.rotation_deg + turn + 180) % 360 - 180,
        )


class _Patterns:
    """The patterns of a scan as float32 in bands of rows, the beam at one place, bad pixels zero.

    A scan that fits into one band is read once.
    """

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self._kept: tuple[slice, Floats] | None = None

    def bands(self, wanted: npt.NDArray[np.intp] | None = None) -> Iterator[tuple[slice, Floats]]:
        """Flat indices of the positions, and their patterns ``(n, pixels)``.

        Only of the bands with one of the `wanted` positions, where given.
        """
        if self._kept is not None:
            yield self._kept
            return
        rows, columns, *detector = self.scan.shape
        at_once = max(1, _BAND_BYTES // (4 * columns * int(np.prod(detector))))
        for start in range(0, rows, at_once):
            part = slice(start, min(rows, start + at_once))
            if wanted is not None and not np.isin(wanted // columns, range(start, part.stop)).any():
                continue
            flat = _centered_patterns(self.scan, part).reshape(-1, int(np.prod(detector)))
            band = slice(part.start * columns, part.stop * columns), flat
            if at_once >= rows:
                self._kept = band
            yield band

    def averaged(self, weights: Floats) -> Iterator[Floats]:
        """Weighted means, from one row of weights over all positions each: ``(n, ky, kx)``."""
        detector = self.scan.detector_shape
        pixels = detector[0] * detector[1]
        at_once = max(1, _SUM_BYTES // (4 * pixels))
        for start in range(0, len(weights), at_once):
            chosen = weights[start : start + at_once]
            sums = np.zeros((len(chosen), pixels), np.float32)
            for where, flat in self.bands():
                sums += chosen[:, where] @ flat
            yield sums.reshape(-1, *detector)

    def single(self, positions: npt.NDArray[np.intp]) -> Iterator[Floats]:
        """Patterns at some flat positions, ascending, band by band: ``(n, ky, kx)``."""
        for where, flat in self.bands(positions):
            here = positions[(positions >= where.start) & (positions < where.stop)]
            if len(here):
                yield flat[here - where.start].reshape(-1, *self.scan.detector_shape)

    def centers_of_mass(self) -> npt.NDArray[np.float64]:
        """Center of mass (ky, kx) of each pattern, in pixels; NaN where it is empty."""
        ky, kx = np.indices(self.scan.detector_shape, dtype=np.float32).reshape(2, -1)
        moments = np.stack([np.ones_like(ky), ky, kx], axis=1)
        sums = np.concatenate([flat @ moments for _, flat in self.bands()]).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(sums[:, 1:] / sums[:, :1])


def _departing(centers: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which centers ``(n, 2)`` depart from their mean by more than the mean departure."""
    departures = np.hypot(*(centers - np.nanmean(centers, axis=0)).T)
    return np.asarray(departures > np.nanmean(departures))


def _centered_patterns(scan: Scan, rows: slice) -> Floats:
    """Patterns of some rows as float32, with the beam at one place, bad pixels zero."""
    columns = slice(0, scan.shape[1])
    block = scan.read(rows, columns).astype(np.float32)
    if scan.bad_pixels is not None:
        block[..., scan.bad_pixels] = 0
    step = 1 / steps_per_px(scan.calibration)
    for shift, positions in beam_shifts(scan.calibration, rows, columns, scan.scan_shape, step):
        if shift != (0.0, 0.0):
            block[positions] = centered(block[positions], shift, scan.bad_pixels)
    return block


def _window_at(
    place: int, width: float, cell: float | None, positions: int
) -> npt.NDArray[np.float64]:
    """Weights of the window of a place on a scan axis, which slides inward at the edges."""
    inner = window_weights(width, cell, positions)
    weights = np.zeros(positions)
    start = int(np.clip(place - (len(inner) - 1) // 2, 0, positions - len(inner)))
    weights[start : start + len(inner)] = inner
    return weights


def _random_window(
    width: float, cell: float | None, positions: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Weights of a window anywhere on a scan axis; one that holds whole cells counts as a ring."""
    cells = positions / cell if width and cell is not None else 0.0
    if cell is None or not round(cells) or abs(cells - round(cells)) >= _WHOLE_CELLS * cells:
        inner = window_weights(width, cell, positions)
        weights = np.zeros(positions)
        start = rng.integers(positions - len(inner) + 1)
        weights[start : start + len(inner)] = inner
        return weights
    sigma = width / 2 * cell
    offset = (np.arange(positions) - rng.uniform(0, positions)) % positions
    wraps = np.arange(-3, 4) if positions < 6 * sigma else np.arange(-1, 2)
    weights = np.exp(-0.5 * ((offset[:, None] + positions * wraps) / sigma) ** 2).sum(axis=1)
    return np.asarray(weights / weights.sum())
