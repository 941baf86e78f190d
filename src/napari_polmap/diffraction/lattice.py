"""The lattice's period, from virtual images of a part of the scan."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_LEAST_PERIODS = 3.0
_LEAST_POSITIONS = 3.0
_PEAK = 25.0
"""How far a peak must stand above the spectrum's median."""
_SHARE = 0.05
"""Share of the strongest peak that a shorter reciprocal vector needs to count."""


def lattice_period(images: npt.NDArray[np.floating]) -> float | None:
    """Period of a square lattice in probe positions, or ``None`` where there is none.

    Parameters
    ----------
    images : ndarray, shape (n, y, x)
        Virtual images and center-of-mass components of the same positions; their power spectra are
        added, each with the same weight.

    Returns
    -------
    float or None
        Mean length of the two lattice vectors, if two reciprocal vectors of the same length (within
        4 %) stand at a right angle (within 3°) and both are seen for at least three periods.

    Notes
    -----
    Peaks of the Fourier transform, refined by a parabola through the logarithm of the windowed
    spectrum, which is exact for a Gaussian peak (a Hann window's is close to one).
    """
    rows, columns = images.shape[1:]
    if min(rows, columns) < _LEAST_PERIODS * _LEAST_POSITIONS:
        return None
    taper = np.outer(np.hanning(rows + 2)[1:-1], np.hanning(columns + 2)[1:-1])
    shape = (4 * rows, 4 * columns)
    power = np.zeros(shape)
    for image in images:
        flat = image - image.mean()
        if flat.std() > 0:
            power += np.abs(np.fft.fft2(flat / flat.std() * taper, shape)) ** 2
    power = np.fft.fftshift(power)
    fy, fx = np.fft.fftshift(np.fft.fftfreq(shape[0])), np.fft.fftshift(np.fft.fftfreq(shape[1]))
    length = np.hypot(fy[:, None], fx[None, :])
    lowest = _LEAST_PERIODS / min(rows, columns)
    band = (length > lowest) & (length < 1 / (_LEAST_POSITIONS - 0.5))
    if not power[band].any():
        return None
    peaks = _peaks(power, band, fy, fx)
    for i, first in enumerate(peaks):
        for second in peaks[i + 1 :]:
            one, two = np.hypot(*first), np.hypot(*second)
            cosine = abs(first @ second) / (one * two)
            if abs(one / two - 1) < 0.04 and cosine < np.sin(np.deg2rad(3)):
                return float(2 / (one + two))
    return None


def _peaks(
    power: npt.NDArray[np.float64],
    band: npt.NDArray[np.bool_],
    fy: npt.NDArray[np.float64],
    fx: npt.NDArray[np.float64],
) -> list[npt.NDArray[np.float64]]:
    """Reciprocal vectors (per position) of the strong peaks in a half plane, shortest first."""
    from scipy.ndimage import maximum_filter

    highest = power[band].max()
    limit = max(_SHARE * highest, _PEAK * float(np.median(power[band])))
    half = (fy[:, None] > 1e-9) | ((np.abs(fy[:, None]) <= 1e-9) & (fx[None, :] > 0))
    tops = band & half & (power >= limit) & (power == maximum_filter(power, 9))
    found = []
    for y, x in np.argwhere(tops):
        if 0 < y < len(fy) - 1 and 0 < x < len(fx) - 1:
            dy = _vertex(power[y - 1 : y + 2, x])
            dx = _vertex(power[y, x - 1 : x + 2])
            found.append(np.array([fy[y] + dy * (fy[1] - fy[0]), fx[x] + dx * (fx[1] - fx[0])]))
    return sorted(found, key=lambda vector: float(np.hypot(*vector)))


def _vertex(values: npt.NDArray[np.float64]) -> float:
    """Where the parabola through three logarithms has its top, in samples from the middle."""
    low, middle, high = np.log(np.maximum(values, 1e-300))
    curvature = low - 2 * middle + high
    return float(np.clip(0.5 * (low - high) / curvature, -0.5, 0.5)) if curvature < 0 else 0.0
