"""Noise-free patterns in two bytes a pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.checks import checked

INCIDENT = 10_000.0
"""Sum over the incident beam in packed patterns, so that float16 does not underflow."""


def pack(patterns: npt.ArrayLike, incident: float = 1.0) -> tuple[npt.NDArray[np.float16], float]:
    """Patterns as float16.

    Every pixel of at least 1e-8 of the incident beam keeps its value to 5e-4 of it, whatever the
    brightness of the others; patterns of a crystal of 4 to 20 nm differ by 2e-4 of their intensity
    in all, their sums by less than 1e-5. Crop them first (`Patterns.cropped`).

    Parameters
    ----------
    patterns : array_like, shape (..., ky, kx)
        Noise-free intensities.
    incident : float
        Sum over the incident beam in the units of `patterns`.

    Returns
    -------
    array : numpy.ndarray of float16
        The patterns where the incident beam sums to 10,000.
    scale : float
        What to multiply `array` by for the units of `patterns`.

    Raises
    ------
    PolmapError
        If an intensity is negative, not a number, or too large for the incident beam.
    """
    scale = checked("incident", incident, 0, above=True) / INCIDENT
    values = np.asarray(patterns) / scale
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise PolmapError(
            "Patterns to be stored must be finite and not negative; replace the rest."
        )
    if (values > INCIDENT * (1 + 1e-3)).any():
        raise PolmapError(
            f"A pixel holds more than the incident beam, which sums to {incident:g}; give its sum."
        )
    return values.astype(np.float16), scale


def unpack(array: npt.NDArray[np.float16], scale: float) -> npt.NDArray[np.float32]:
    """Inverse of `pack`, but for what rounding lost."""
    return array.astype(np.float32) * np.float32(scale)
