"""What a detector makes of simulated patterns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.multislice import Patterns


@dataclass(frozen=True)
class Detector:
    """Pixels that patterns are recorded on.

    Parameters
    ----------
    shape : tuple of int
        Pixels (ky, kx).
    mrad_per_pixel : float
        Edge of a pixel.
    center : tuple of float
        The beam (ky, kx) in pixels.
    """

    shape: tuple[int, int]
    mrad_per_pixel: float
    center: tuple[float, float]

    @property
    def reach_mrad(self) -> float:
        """Largest distance of a pixel from the beam along one axis."""
        ends = (
            max(middle, length - 1 - middle)
            for middle, length in zip(self.center, self.shape, strict=True)
        )
        return max(ends) * self.mrad_per_pixel

    def record(self, patterns: Patterns) -> npt.NDArray[np.float32]:
        """Intensities on this detector, interpolated linearly; the incident beam still sums to 1.

        Returns
        -------
        numpy.ndarray of float32
            Shape (thicknesses, positions, ky, kx).

        Raises
        ------
        PolmapError
            If the detector reaches beyond the simulated patterns.
        """
        from scipy.ndimage import affine_transform

        scale = self.mrad_per_pixel / patterns.mrad_per_pixel
        if self.reach_mrad / patterns.mrad_per_pixel > min(patterns.center) + 1e-6:
            raise PolmapError(
                f"The detector reaches to {self.reach_mrad:.1f} mrad, but the simulated patterns "
                f"only to {min(patterns.center) * patterns.mrad_per_pixel:.1f} mrad; simulate a "
                "larger half width."
            )
        offset = [
            origin - scale * middle
            for origin, middle in zip(patterns.center, self.center, strict=True)
        ]
        recorded = np.empty((*patterns.data.shape[:2], *self.shape), np.float32)
        for index in np.ndindex(patterns.data.shape[:2]):
            recorded[index] = affine_transform(
                patterns.data[index], [scale, scale], offset, self.shape, order=1
            )
        return recorded * np.float32(scale**2)
