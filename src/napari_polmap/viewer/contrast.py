"""How the intensities of patterns and images become brightness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MODES = ("linear", "square root", "asinh", "log")
IMAGE_MODES = ("linear", "log", "gamma")
_LOG_RANGE = 1000.0
"""Between black and white of a logarithmic image."""


@dataclass(frozen=True)
class Contrast:
    """Curve and limits of the displayed pattern.

    Parameters
    ----------
    mode : {"linear", "square root", "asinh", "log"}
        Curve over the intensity. "asinh" is linear below the typical intensity and logarithmic
        above, and takes negative values; "log" starts at the smallest positive intensity.
    low, high : float
        Percentiles of the curve's values shown as black and white.
    """

    mode: str = "asinh"
    low: float = 0.0
    high: float = 99.9

    def limits(self, pattern: npt.NDArray[np.floating]) -> tuple[float, float]:
        """Intensities of a pattern shown as black and white."""
        finite = pattern[np.isfinite(pattern)]
        if not finite.size:
            return 0.0, 1.0
        low, high = np.percentile(finite, [self.low, self.high])
        if not high > low:
            low, high = float(finite.min()), float(finite.max())
        return float(low), float(high) if high > low else float(low) + 1.0


def grey_values(
    pattern: npt.NDArray[np.floating], contrast: Contrast, limits: tuple[float, float] | None = None
) -> npt.NDArray[np.uint8]:
    """Grey values 0..255 of a pattern.

    Parameters
    ----------
    pattern : ndarray, shape (ky, kx)
        Intensities; NaN becomes black.
    contrast : Contrast
    limits : tuple of float, optional
        Intensities shown as black and white instead of the percentiles of this pattern, to compare
        patterns at the same contrast.

    Returns
    -------
    ndarray of uint8, shape (ky, kx)
    """
    values = np.nan_to_num(np.asarray(pattern, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = contrast.limits(values) if limits is None else limits
    softening, floor = _smallest_shown(values, high)
    curves = {
        "linear": lambda v: v,
        "square root": lambda v: np.sqrt(np.maximum(v, 0)),
        "asinh": lambda v: np.arcsinh(v / softening),
        "log": lambda v: np.log(np.maximum(v, floor)),
    }
    curve = curves[contrast.mode]
    black, white = (float(curve(np.float32(limit))) for limit in (low, high))
    span = white - black if white > black else 1.0
    return np.clip((curve(values) - black) * (255 / span) + 0.5, 0, 255).astype(np.uint8)


def _smallest_shown(values: npt.NDArray[np.float32], high: float) -> tuple[float, float]:
    """Intensity where asinh turns logarithmic, and where log begins; one count in sparse data."""
    positive = values[values > 0]
    one = float(positive.min()) if positive.size else 0.0
    return max(one, abs(high) / 100, 1e-30), max(one, abs(high) / 1e4, 1e-30)


@dataclass(frozen=True)
class ImageContrast:
    """Curve and limits of an image of the scan.

    Parameters
    ----------
    mode : {"linear", "log", "gamma"}
        Curve between the limits.
    low, high : float
        Percentiles of the values shown as the first and the last color; images with a sign are
        shown equally far on both sides of zero.
    gamma : float
        Exponent of the curve "gamma".
    """

    mode: str = "linear"
    low: float = 0.2
    high: float = 99.8
    gamma: float = 0.5

    def curve(self, shares: npt.NDArray[np.floating], signed: bool) -> npt.NDArray[np.floating]:
        """Place in the colormap, 0..1, of places between the limits, 0..1."""
        if signed:
            offset = 2 * shares - 1
            return (np.sign(offset) * self.curve(np.abs(offset), signed=False) + 1) / 2
        if self.mode == "log":
            return np.log1p((_LOG_RANGE - 1) * shares) / np.log(_LOG_RANGE)
        return shares**self.gamma if self.mode == "gamma" else shares

    def limits(self, image: npt.NDArray[np.floating], signed: bool) -> tuple[float, float]:
        """Values of the first and the last color, which a few extreme positions do not set."""
        sample = image[:: max(1, image.shape[0] // 512), :: max(1, image.shape[1] // 512)]
        finite = sample[np.isfinite(sample)]
        if not finite.size:
            return (-1.0, 1.0) if signed else (0.0, 1.0)
        low, high = (float(value) for value in np.percentile(finite, (self.low, self.high)))
        if not high > low:
            low, high = float(finite.min()), float(finite.max())
        if signed:
            extent = max(abs(low), abs(high)) or 1.0
            return -extent, extent
        return (low, high) if high > low else (low, low + 1.0)
