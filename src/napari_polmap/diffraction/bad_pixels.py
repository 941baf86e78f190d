"""Detector pixels that must not be used, found from the statistics of a few hundred patterns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.diffraction.beam_stop import beam_stop
from napari_polmap.errors import ScanError
from napari_polmap.scan import Scan

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_PATTERNS = 512
_READ_BYTES = 96 * 2**20
_LEAST_PATTERNS = 16
_BAND = 128
_COMPARED = 2**22
"""Values at most in which rows are compared one by one."""
_SURE = 7.0
"""Standard deviations, in either half of the patterns."""
_LEAST_COUNTS = 20.0
"""That a living pixel would have seen in half of the patterns, before its silence means death."""
_SILENT, _DIM = 0.02, 0.4
_LIT = 0.3
"""Of the surroundings' intensity, what a dead pixel's direct neighbors have at least."""
_BRIGHT = 2.0
_RESTLESS = 4.0
"""How far a noisy pixel's variance stands above its neighbors'."""
_ALONE = 0.06
"""Share of a pixel's excess that its neighbors have where it is light: no lens is sharper."""
_LINE_SHARE = 0.9
"""Of a row's lit pixels that are dark (or too bright, or copies) where the row is a gap."""
_WIDEST_GAP, _WIDEST_PIXELS = 8, 2
_LEAST_LIT = 12
_EVEN = 2.0
_MOST_BANDS, _LARGEST_PART = 6, 0.15
"""Gaps along an axis, and the share of the rows that they take."""


@dataclass(frozen=True)
class BadPixels:
    """Detector pixels that must not be used, by kind; each shape ``(ky, kx)``, true where bad.

    Parameters
    ----------
    dead : ndarray of bool
        See nothing or next to nothing, or always the same, where their neighbors are lit.
    hot : ndarray of bool
        Far brighter than all around them.
    noisy : ndarray of bool
        Far more restless than all around them.
    gap : ndarray of bool
        Whole rows or columns: between the chips of a detector, of enlarged pixels, or made up from
        their neighbors.
    beam_stop : ndarray of bool
        A dark area that reaches into the bright-field disk.
    """

    dead: Bools
    hot: Bools
    noisy: Bools
    gap: Bools
    beam_stop: Bools

    @property
    def mask(self) -> Bools:
        """All of them."""
        return self.dead | self.hot | self.noisy | self.gap | self.beam_stop

    @property
    def counts(self) -> dict[str, int]:
        """Number of pixels of each kind."""
        return {name: int(pixels.sum()) for name, pixels in self.__dict__.items()}


@dataclass(frozen=True)
class _Statistics:
    """Of half of the patterns: mean, variance, what of it counting alone would make, number."""

    mean: Floats
    variance: Floats
    number: int
    gain: float

    @property
    def least(self) -> float:
        """One count of all these patterns, per pattern."""
        return self.gain / self.number


def find_bad_pixels(scan: Scan) -> BadPixels:
    """Find dead, hot and noisy pixels, gaps between chips, and a beam stop.

    Parameters
    ----------
    scan : Scan
        A few hundred patterns spread over it are read. Pixels that are marked as bad already are
        not looked at.

    Returns
    -------
    BadPixels

    Raises
    ------
    ScanError
        If the scan has fewer than 16 finite patterns, or they cannot be read.

    Notes
    -----
    A pixel is compared with the 24 around it, in both halves of the patterns: one cosmic ray is no
    bad pixel. What is bright or restless counts only where it stands alone: the image of anything,
    a lattice spot too, spreads into the neighboring pixels. Silent pixels count only where a living
    one would have seen twenty electrons.
    """
    patterns = _patterns(scan)
    known = np.zeros(scan.detector_shape, bool) if scan.bad_pixels is None else scan.bad_pixels
    halves = [_statistics(patterns[start::2]) for start in (0, 1)]
    gap = _gaps(halves, patterns, known)
    dead, hot, noisy = (np.ones(scan.detector_shape, bool) for _ in range(3))
    for half in halves:
        for found, these in zip((dead, hot, noisy), _single(half, known | gap), strict=True):
            found &= these
    mean = np.mean([half.mean for half in halves], axis=0)
    counts = mean / np.mean([half.least for half in halves]) * 2
    stop = beam_stop(mean, counts, known | gap | hot | noisy, scan.calibration)
    none = known | gap | stop
    return BadPixels(
        dead & ~hot & ~none, hot & ~none, noisy & ~hot & ~none, gap & ~known, stop & ~known
    )


def _patterns(scan: Scan) -> npt.NDArray[np.float32]:
    size = int(np.prod(scan.detector_shape))
    wanted = int(np.clip(_READ_BYTES // (4 * size), 2 * _LEAST_PATTERNS, _PATTERNS))
    patterns = np.asarray(scan.strided(wanted), np.float32)
    # About that many may be a few times more.
    patterns = patterns[:: max(1, len(patterns) // wanted)]
    patterns = patterns[np.isfinite(patterns).all(axis=(1, 2))]
    if len(patterns) < _LEAST_PATTERNS:
        raise ScanError(
            f"{scan.name} has too few patterns ({len(patterns)}) to tell bad pixels from good ones "
            f"({_LEAST_PATTERNS} are needed); give a mask of bad pixels as an image."
        )
    return patterns


def _statistics(patterns: npt.NDArray[np.float32]) -> _Statistics:
    mean = patterns.mean(axis=0, dtype=np.float64)
    variance = np.zeros_like(mean)
    for pattern in patterns:
        variance += (pattern - mean) ** 2
    variance /= max(1, len(patterns) - 1)
    lit = (mean > 0) & (variance > 0)
    if not lit.any():
        return _Statistics(mean, variance, len(patterns), 1.0)
    # Variance over mean: a count's size, made larger by readout where it is dark and by the
    # patterns' own changes where it is bright.
    ratio = (variance[lit] / mean[lit])[np.argsort(mean[lit])]
    gain = min(float(np.median(group)) for group in np.array_split(ratio, 10) if group.size)
    return _Statistics(mean, variance, len(patterns), gain)


def _ranks(values: Floats, skip: Bools) -> tuple[Floats, Floats, Floats]:
    """Third lowest, middle and third highest of the 24 pixels around each."""
    from numpy.lib.stride_tricks import sliding_window_view

    padded = np.pad(np.where(skip, np.nan, values), 2, constant_values=np.nan)
    ranks = np.empty((3, *values.shape))
    # Band by band, so that a large detector's surroundings do not fill the memory.
    for top in range(0, len(values), _BAND):
        bottom = min(top + _BAND, len(values))
        windows = sliding_window_view(padded[top : bottom + 4], (5, 5))
        around = windows.reshape(*windows.shape[:2], 25)
        around = np.sort(np.delete(around, 12, axis=-1), axis=-1)  # NaN come last
        number = np.isfinite(around).sum(axis=-1)
        for rank, index in enumerate((np.full(number.shape, 2), number // 2, number - 3)):
            picked = np.take_along_axis(around, np.clip(index, 0, 23)[..., None], axis=-1)
            ranks[rank, top:bottom] = np.where(number < 8, np.nan, picked[..., 0])
    return ranks[0], ranks[1], ranks[2]


_BESIDE = np.pad(np.zeros((1, 1), bool), 1, constant_values=True)
_BEYOND = np.pad(np.zeros((3, 3), bool), 1, constant_values=True)
"""The eight direct neighbors, and the sixteen pixels around them."""


def _rank(values: Floats, skip: Bools, around: Floats, which: Bools, rank: int) -> Floats:
    """A rank of some of a pixel's neighbors; the surroundings' value where one is unknown."""
    from scipy import ndimage

    filled = np.where(skip, around, values)
    return np.asarray(ndimage.rank_filter(filled, rank, footprint=which, mode="nearest"))


def _alone(values: Floats, around: Floats, skip: Bools) -> Bools:
    """Where direct neighbors share little of a pixel's excess over what lies beyond them.

    The third brightest tells: bad pixels come in twos and threes.
    """
    beside = _rank(values, skip, around, _BESIDE, 5)
    beyond = _rank(values, skip, around, _BEYOND, 13)
    return np.asarray((beside - beyond) < _ALONE * (values - beyond))


def _single(half: _Statistics, skip: Bools) -> tuple[Bools, Bools, Bools]:
    """Dead, hot and noisy pixels of one half of the patterns."""
    low, middle, high = _ranks(half.mean, skip)
    low_variance, middle_variance, high_variance = _ranks(half.variance, skip)
    with np.errstate(invalid="ignore"):
        enough = middle / half.least > _LEAST_COUNTS
        # What is dark between lattice spots has dark neighbors.
        enough &= _rank(half.mean, skip, middle, _BESIDE, 2) > _LIT * middle
        silent = (half.mean < _SILENT * middle) | (half.variance < _SILENT**2 * middle_variance)
        error = np.sqrt(np.maximum(low_variance, half.gain * np.maximum(low, half.least)))
        dim = low - half.mean > _SURE * error / np.sqrt(half.number)
        dim &= half.mean < _DIM * low
        dead = enough & (silent | dim) & ~skip
        expected = np.maximum(high, half.least)
        error = np.sqrt(np.maximum(high_variance, half.gain * expected))
        hot = half.mean - high > _SURE * error / np.sqrt(half.number) + half.least * _SURE
        hot &= (half.mean > _BRIGHT * expected) & _alone(half.mean, middle, skip) & ~skip
        # Of Poisson's counts the variance has the variance (m + 2 m²) / n.
        quiet = np.maximum(high_variance, half.gain * half.least)
        level = quiet / half.gain
        error = half.gain**2 * np.sqrt((level + 2 * level**2) / half.number)
        noisy = half.variance - quiet > _SURE * np.maximum(error, quiet * 2 / np.sqrt(half.number))
        noisy &= (half.variance > _RESTLESS * quiet) & ~skip
        noisy &= _alone(np.sqrt(half.variance), np.sqrt(middle_variance), skip)
    return dead, hot, noisy


def _gaps(halves: list[_Statistics], patterns: npt.NDArray[np.float32], skip: Bools) -> Bools:
    """Rows and columns that are dark, too bright, or made up from their neighbors."""
    gap = np.zeros(skip.shape, bool)
    for axis in (0, 1):
        means = [half.mean if axis == 0 else half.mean.T for half in halves]
        unknown = skip if axis == 0 else skip.T
        found = [
            _odd_lines(mean, half.least, unknown) for mean, half in zip(means, halves, strict=True)
        ]
        lines = found[0] & found[1]
        lines |= _made_up_lines(patterns if axis == 0 else patterns.transpose(0, 2, 1))
        bands = int((np.diff(lines.astype(int), prepend=0) > 0).sum())
        # What comes again and again is the specimen's.
        if bands <= _MOST_BANDS and lines.mean() < _LARGEST_PART:
            gap |= lines[:, None] if axis == 0 else lines[None, :]
    return gap


def _odd_lines(mean: Floats, least: float, skip: Bools) -> Bools:
    """Rows of next to nothing between lit ones, and rows of enlarged pixels."""
    lines = np.zeros(len(mean), bool)
    usable = np.where(skip, 0, mean)
    for width in range(1, _WIDEST_GAP + 1):
        for top in range(2, len(mean) - width - 1):
            rows = slice(top, top + width)
            beside = usable[[top - 1, top + width]]
            beyond = usable[[top - 2, top + width + 1]]
            low, high = beside.min(axis=0), beside.max(axis=0)
            # A gap cuts through what goes on evenly on either side; spots and edges do not.
            even = (np.maximum(beside, beyond) < _EVEN * np.minimum(beside, beyond)).all(axis=0)
            lit = even & (low > least * _LEAST_COUNTS) & (high < _EVEN * low)
            if lit.sum() < _LEAST_LIT:
                continue
            inside = mean[rows][:, lit]
            dark = np.mean((inside < 2 * _SILENT * low[lit]).all(axis=0)) > _LINE_SHARE
            bright = False
            if width <= _WIDEST_PIXELS:
                ratio = inside.min(axis=0) / high[lit]
                error = np.sqrt(2 * least / high[lit])
                bright = np.mean(ratio > 1.35 - error) > _LINE_SHARE and np.median(ratio) > 1.5
            if dark or bright:
                lines[rows] = True
    return lines


def _made_up_lines(patterns: npt.NDArray[np.float32]) -> Bools:
    """Rows that are copies of a neighbor, or the mean of both, in single patterns."""
    wanted = int(np.clip(_COMPARED // patterns[0].size, 8, 64))
    some = np.ascontiguousarray(patterns[:: max(1, len(patterns) // wanted)])
    lines = np.zeros(some.shape[1], bool)
    whole = bool((some == np.rint(some)).all())
    # Rounded means are off by half; zeros and ones agree by chance, so only larger counts tell.
    slack, level = (0.5, 2.0) if whole else (0.0, 0.0)
    for row in range(some.shape[1] - 1):
        here, below = some[:, row], some[:, row + 1]
        told = np.maximum(here, below) > level
        if told.sum() > 64 and np.mean(here[told] == below[told]) > _LINE_SHARE:
            lines[row : row + 2] = True
        if row == 0:
            continue
        middle = (some[:, row - 1] + below) / 2
        told = middle > 3 * level
        near = np.abs(here - middle) <= np.maximum(slack, 1e-5 * np.abs(middle))
        if told.sum() > 64 and np.mean(near[told]) > _LINE_SHARE:
            lines[row] = True
    return lines
