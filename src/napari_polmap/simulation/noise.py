"""Point spread, imperfect pixels and counting noise of a detector.

All functions take noise-free patterns as they are simulated or stored, at any time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.checks import checked

_HOT_SPREAD = 3.0
_LARGEST_VARIATION = 0.5


@dataclass(frozen=True, eq=False)
class PixelResponse:
    """How the pixels of a detector count.

    Parameters
    ----------
    efficiency : numpy.ndarray of float32, shape (ky, kx)
        Mean counts per electron, 1 on average.
    dark : numpy.ndarray of float32, shape (ky, kx)
        Mean counts per pattern without electrons, those of hot pixels included.
    dead, hot : numpy.ndarray of bool, shape (ky, kx)
        Pixels that count nothing, and pixels that count without electrons.
    """

    efficiency: npt.NDArray[np.float32]
    dark: npt.NDArray[np.float32]
    dead: npt.NDArray[np.bool_]
    hot: npt.NDArray[np.bool_]

    @property
    def bad_pixels(self) -> npt.NDArray[np.bool_]:
        """Dead and hot pixels, shape (ky, kx)."""
        return self.dead | self.hot


def draw_response(
    shape: tuple[int, int],
    *,
    gain_variation: float = 0.0,
    dead_share: float = 0.0,
    hot_share: float = 0.0,
    dark_counts: float = 0.0,
    hot_counts: float = 100.0,
    seed: int = 0,
) -> PixelResponse:
    """The pixels of one detector.

    Parameters
    ----------
    shape : tuple of int
        Pixels (ky, kx).
    gain_variation : float
        Standard deviation of the efficiency.
    dead_share, hot_share : float
        Shares of dead and of hot pixels, rounded to whole pixels; none is both.
    dark_counts : float
        Mean counts of a pixel in a pattern without electrons.
    hot_counts : float
        The same of a hot pixel: each has a mean of its own, drawn logarithmically from a third to
        three times this.
    seed : int
        Of all that is drawn.

    Raises
    ------
    PolmapError
        If a value is impossible.
    """
    checked("gain_variation", gain_variation, 0, _LARGEST_VARIATION)
    checked("dead_share", dead_share, 0, 1)
    checked("hot_share", hot_share, 0, 1 - dead_share)
    checked("dark_counts", dark_counts, 0)
    checked("hot_counts", hot_counts, 0)
    rng = np.random.default_rng(seed)
    size = shape[0] * shape[1]
    efficiency = np.clip(1 + gain_variation * rng.normal(size=size), 0, None)
    order = rng.permutation(size)
    count = round(dead_share * size)
    dead, hot = np.zeros((2, size), bool)
    dead[order[:count]] = True
    hot[order[count : count + round(hot_share * size)]] = True
    factors = _HOT_SPREAD ** rng.uniform(-1, 1, size)
    dark = np.where(hot, hot_counts * factors, dark_counts)
    return PixelResponse(
        efficiency=efficiency.reshape(shape).astype(np.float32),
        dark=dark.reshape(shape).astype(np.float32),
        dead=dead.reshape(shape),
        hot=hot.reshape(shape),
    )


def point_spread(patterns: npt.ArrayLike, sigma_px: float) -> npt.NDArray[np.float32]:
    """Patterns blurred by a Gaussian; what leaves the detector is lost.

    Parameters
    ----------
    patterns : array_like, shape (..., ky, kx)
        Noise-free intensities.
    sigma_px : float
        Standard deviation in pixels.
    """
    from scipy.ndimage import gaussian_filter1d

    checked("point_spread_px", sigma_px, 0)
    spread = np.asarray(patterns, dtype=np.float32)
    if sigma_px == 0:
        return spread
    for axis in (-2, -1):
        spread = gaussian_filter1d(spread, sigma_px, axis=axis, mode="constant")
    return np.asarray(spread, dtype=np.float32)


def expose(
    patterns: npt.ArrayLike,
    electrons: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    response: PixelResponse | None = None,
    incident: float = 1.0,
) -> npt.NDArray[np.int64]:
    """Counts of a detector: of electrons, each seen with its pixel's efficiency, and dark ones.

    The counts of a pixel have the Poisson distribution of its mean.

    Parameters
    ----------
    patterns : array_like, shape (..., ky, kx)
        Noise-free intensities, not negative, on the detector's pixels.
    electrons : array_like
        Electrons in the incident beam, one number or one for every pattern.
    rng : numpy.random.Generator
        The source of the noise.
    response : PixelResponse, optional
        How the pixels count; by default every electron once.
    incident : float
        Sum over the incident beam in the units of `patterns`.

    Returns
    -------
    numpy.ndarray of int64
        Counts, same shape.

    Raises
    ------
    PolmapError
        If an intensity is negative or not a number, the dose is not positive, or the detector has
        another shape than the patterns.
    """
    mean = _mean_counts(patterns, electrons, incident)
    if response is not None:
        if mean.shape[-2:] != response.efficiency.shape:
            raise PolmapError(
                f"The detector has {response.efficiency.shape} pixels, but the patterns "
                f"{mean.shape[-2:]}; record them on this detector first."
            )
        mean = np.where(response.dead, 0, mean * response.efficiency + response.dark)
    return rng.poisson(mean)


def poisson_counts(
    patterns: npt.ArrayLike,
    electrons: npt.ArrayLike,
    rng: np.random.Generator,
    incident: float | None = None,
) -> npt.NDArray[np.int64]:
    """Electron counts for a given dose.

    Parameters
    ----------
    patterns : array_like, shape (..., ky, kx)
        Noise-free intensities, not negative.
    electrons : array_like
        Mean number of electrons per pattern: on the detector, or in the incident beam where
        `incident` says what that sums to. One number, or one for every pattern.
    rng : numpy.random.Generator
        The source of the noise.
    incident : float, optional
        Sum over the incident beam in the units of `patterns`; by default the mean of the sums over
        the patterns.

    Returns
    -------
    numpy.ndarray of int64
        Counts, same shape.

    Raises
    ------
    PolmapError
        If an intensity is negative or not a number, the patterns are empty of intensity, or the
        dose is not positive.
    """
    return rng.poisson(_mean_counts(patterns, electrons, incident))


def _mean_counts(
    patterns: npt.ArrayLike, electrons: npt.ArrayLike, incident: float | None
) -> npt.NDArray[np.float64]:
    """Mean electrons in every pixel."""
    values = np.asarray(patterns, dtype=np.float64)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise PolmapError(
            "Counting noise needs finite intensities that are not negative; replace the others."
        )
    whole = float(values.sum((-2, -1)).mean()) if incident is None else float(incident)
    dose = np.asarray(electrons, dtype=np.float64)
    if not (whole > 0 and np.isfinite(dose).all() and (dose > 0).all()):
        raise PolmapError(
            f"Counting noise needs some intensity and a positive dose, but the patterns sum to "
            f"{whole} and the dose is {dose} electrons; correct them."
        )
    if dose.ndim and dose.shape != values.shape[:-2]:
        raise PolmapError(
            f"A dose for every pattern needs the shape {values.shape[:-2]}, but has {dose.shape}; "
            "give one number or one for every pattern."
        )
    return values * (dose / whole)[..., None, None]
