"""Counting noise of a detector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import PolmapError


def poisson_counts(
    patterns: npt.ArrayLike,
    electrons: float,
    rng: np.random.Generator,
    incident: float | None = None,
) -> npt.NDArray[np.int64]:
    """Electron counts for a given dose.

    Parameters
    ----------
    patterns : array_like, shape (..., ky, kx)
        Noise-free intensities, not negative.
    electrons : float
        Mean number of electrons per pattern: on the detector, or in the incident beam where
        `incident` says what that sums to.
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
    values = np.asarray(patterns, dtype=np.float64)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise PolmapError(
            "Counting noise needs finite intensities that are not negative; replace the others."
        )
    whole = float(values.sum((-2, -1)).mean()) if incident is None else float(incident)
    if not (whole > 0 and electrons > 0):
        raise PolmapError(
            f"Counting noise needs some intensity and a positive dose, but the patterns sum to "
            f"{whole} and the dose is {electrons} electrons; correct them."
        )
    return rng.poisson(values * (electrons / whole))
