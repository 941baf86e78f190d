"""Peaks of the Fourier transform that a square lattice may have.

Vectors are complex numbers x + iy with y up, so that times 1j is a turn by 90 degrees.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEAST_PERIODS = 2.9
"""Along the shorter side of the images."""
LEAST_POSITIONS = 2.85
"""Probe positions per period."""
_FALSE_ALARM = 1e-4
"""Chance that noise holds a pair of peaks."""
_SHARE = 0.02
"""Share of the strongest pair's power that any other pair needs to count."""
_EXPLAINED = 0.8
"""Share of the power of all pairs that must be harmonics of the shortest."""
_PEAK = 6.0
"""Power over the noise from which on a single peak counts."""
_ALONE = 0.5
"""Share of the power of all peaks, paired or not, that must be its harmonics."""
HIGHEST_ORDER = 3
"""Order of the harmonics that count."""
_FIRST_RINGS = (4.5, 6.5, 8.0)
"""Edges, in periods per image, of the rings in which the noise is looked at; the others follow one
apart. A lattice of few periods fills a narrow ring, noise of a preferred distance a wide one."""
_RANGE = 1e-4
"""Power below this share of an image's strongest is no more than that."""


def square_candidates(images: Floats) -> list[complex]:
    """Reciprocal vectors that may be a square lattice's shortest, the likeliest first.

    Parameters
    ----------
    images : ndarray, shape (n, y, x)
        Without a plane, of unit variance.

    Returns
    -------
    list of complex
        x + iy per position, y up; empty where no lattice stands above the noise.
    """
    from scipy.ndimage import maximum_filter

    rows, columns = images.shape[1:]
    power, shown = _spectrum(images)
    size = len(power)
    f = np.fft.fftfreq(size)
    vectors = f[None, :] - 1j * f[:, None]
    length = np.abs(vectors)
    # Half a sample wider: the peak's top may lie between samples.
    least = LEAST_PERIODS / min(rows, columns) - 0.5 / size
    band = (length >= least) & (length <= 1 / LEAST_POSITIONS + 0.5 / size)
    if not band.any():
        return []
    highest = maximum_filter(power, 3, mode="wrap")
    pairs = np.minimum(highest, _turned(highest))
    seen = np.minimum(shown, _turned(shown))
    both = power + _turned(power)
    quarter = (vectors.real > 0) & (vectors.imag >= 0)
    # Places that are independent, and three of them under the maximum filter.
    level = _pair_level(9 * rows * columns * float(band.mean()) / 4, 1.0)
    tops = band & quarter & (pairs >= level) & (both == maximum_filter(both, 5, mode="wrap"))
    if not tops.any():
        return []
    tops &= seen >= _SHARE * seen[tops].max()
    starts = np.array([_top(both, vectors, y, x) for y, x in np.argwhere(tops)])
    weights = seen[tops]
    order = np.argsort(np.abs(starts))
    tolerance = 0.75 * np.sqrt(2) / np.hypot(rows, columns)
    # Single peaks too: of another kind of lattice, or of none, some pairs look square by chance.
    half = (vectors.imag > 0) | ((vectors.imag == 0) & (vectors.real > 0))
    strong = band & half & (power == maximum_filter(power, 5, mode="wrap"))
    strong &= power >= _PEAK
    if not strong.any():
        return []
    singles = np.array([_top(power, vectors, y, x) for y, x in np.argwhere(strong)])
    heights = shown[strong]
    fitting = [
        complex(starts[k])
        for k in order
        if weights[_on_lattice(starts, starts[k], tolerance)].sum() >= _EXPLAINED * weights.sum()
        and heights[_on_lattice(singles, starts[k], tolerance)].sum() >= _ALONE * heights.sum()
    ]
    if not fitting:
        return []
    # Where two kinds of columns look nearly alike, the larger cell's own peaks are weak: at the
    # one place where they would be, less is needed than anywhere.
    level = _pair_level(9, _gamma_shape(power[band]))
    finer = [fitting[0]]
    for _ in range(2):
        half = finer[0] / (1 + 1j)
        place = round(-half.imag * size) % size, round(half.real * size) % size
        if not (abs(half) >= least and pairs[place] >= level):
            break
        if seen[place] < _SHARE * weights.max():
            break
        finer.insert(0, half)
    return finer[:-1] + fitting


def _pair_level(places: float, shape: float) -> float:
    """Above which noise does not lift two peaks at once at any of so many places.

    The noise's power follows a gamma distribution of mean 1.
    """
    from scipy.special import gammainccinv

    return float(gammainccinv(shape, np.sqrt(_FALSE_ALARM / max(1.0, places))) / shape)


def _gamma_shape(values: Floats) -> float:
    """Shape of the gamma distribution of noise: 1 for one image, more for a mean of several."""
    from scipy.special import gammaincinv

    ratio = float(np.quantile(values, 0.5) / np.quantile(values, 0.25))
    shapes = np.arange(1.0, 9.0)
    known = gammaincinv(shapes, 0.5) / gammaincinv(shapes, 0.25)
    return float(np.interp(-ratio, -known, shapes))


def _spectrum(images: Floats) -> tuple[Floats, Floats]:
    """Power over the noise, and as a share of each image's highest; both (n, n), mean of images."""
    from scipy.fft import fft2, next_fast_len

    rows, columns = images.shape[1:]
    size = next_fast_len(2 * max(rows, columns))
    taper = np.outer(np.hanning(rows + 2)[1:-1], np.hanning(columns + 2)[1:-1])
    f = np.fft.fftfreq(size)
    radius = np.hypot(f[:, None], f[None, :])
    beyond = (radius >= 0.6 * LEAST_PERIODS / min(rows, columns)) & (radius <= 0.5)
    edges = [*_FIRST_RINGS, *range(int(_FIRST_RINGS[-1]) + 1, min(rows, columns) // 2)]
    ring_of = np.digitize(radius[beyond] * min(rows, columns), edges)
    rings = [np.nonzero(ring_of == k)[0] for k in np.unique(ring_of)]
    middles = [float(radius[beyond][ring].mean()) for ring in rings]
    power, shown = np.zeros((size, size)), np.zeros((size, size))
    for image in images:
        one = np.abs(fft2(image * taper, (size, size))) ** 2
        values = one[beyond]
        highest = values.max()
        # The lower quarter of exponentially distributed power: peaks hardly raise it.
        floors = [np.quantile(values[ring], 0.25) / -np.log(0.75) for ring in rings]
        floors = np.maximum(floors, _RANGE * highest)
        floor = np.exp(np.interp(radius, middles, np.log(floors)))
        power += one / floor / len(images)
        shown += one / highest / len(images)
    return power, shown


def _turned(values: Floats) -> Floats:
    """At each frequency the value at the frequency turned by 90 degrees."""
    back = -np.arange(len(values)) % len(values)
    # (fy, fx) of rows down: x + iy times 1j lies at (-fx, -fy); power is even.
    return np.asarray(values.T[:, back])


def _top(values: Floats, vectors: npt.NDArray[np.complex128], y: int, x: int) -> complex:
    """Where the parabolas through the logarithms around a maximum have their top."""
    size = len(values)
    down = _vertex(values[np.arange(y - 1, y + 2) % size, x])
    across = _vertex(values[y, np.arange(x - 1, x + 2) % size])
    return complex(vectors[y, x]) + (across - 1j * down) / size


def _vertex(values: Floats) -> float:
    low, middle, high = np.log(np.maximum(values, 1e-300))
    curvature = low - 2 * middle + high
    return float(np.clip(0.5 * (low - high) / curvature, -0.5, 0.5)) if curvature < 0 else 0.0


def _on_lattice(
    vectors: npt.NDArray[np.complex128], start: complex, tolerance: float
) -> npt.NDArray[np.bool_]:
    """Which vectors are low harmonics of a square lattice, folded ones included."""
    on = np.zeros(len(vectors), bool)
    for fold in (a + 1j * b for a in (-1, 0, 1) for b in (-1, 0, 1)):
        ratio = (vectors + fold) / start
        nearest = np.round(ratio.real) + 1j * np.round(ratio.imag)
        order = np.maximum(np.abs(nearest.real), np.abs(nearest.imag))
        on |= (order <= HIGHEST_ORDER) & (np.abs(ratio - nearest) * abs(start) < tolerance)
    return on
