"""What a detector makes of simulated patterns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.checks import checked, checked_pair
from napari_polmap.simulation.multislice import Patterns
from napari_polmap.simulation.noise import PixelResponse, draw_response, expose, point_spread

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_SPREAD_REACH = 4.0
# Points in a simulated pixel along each axis that the mean over a detector pixel is taken of.
_POINTS = 4


@dataclass(frozen=True)
class Detector:
    """Pixels that patterns are recorded on, and how well they count.

    Parameters
    ----------
    shape : tuple of int
        Pixels (ky, kx).
    mrad_per_pixel : float
        Edge of a pixel.
    center : tuple of float
        The beam (ky, kx) in pixels.
    rotation_deg, flip : float, bool
        As in `napari_polmap.Calibration`: reversing ky where `flip` is set, then turning counter-
        clockwise by the rotation, brings the recorded pattern into the scan's frame.
    point_spread_px : float
        Standard deviation of the Gaussian that an electron's signal spreads over.
    gain_variation : float
        Standard deviation of the pixels' efficiency, whose mean is 1.
    dead_share, hot_share : float
        Shares of pixels that count nothing, and of pixels that count without electrons.
    dark_counts : float
        Mean counts of a pixel in a pattern without electrons.
    hot_counts : float
        The same of a hot pixel: each has a mean of its own, from a third to three times this.
    seed : int
        Of the pixels' efficiency and the places of dead and hot ones.

    Raises
    ------
    PolmapError
        If a value is impossible.
    """

    shape: tuple[int, int]
    mrad_per_pixel: float
    center: tuple[float, float]
    rotation_deg: float = 0.0
    flip: bool = False
    point_spread_px: float = 0.0
    gain_variation: float = 0.0
    dead_share: float = 0.0
    hot_share: float = 0.0
    dark_counts: float = 0.0
    hot_counts: float = 100.0
    seed: int = 0

    def __post_init__(self) -> None:
        rows, columns = checked_pair("shape of the detector", self.shape, 1)
        if rows != int(rows) or columns != int(columns):
            raise PolmapError(
                f"A detector has whole numbers of pixels, but is {self.shape}; correct it."
            )
        checked("mrad_per_pixel", self.mrad_per_pixel, 0, above=True)
        checked_pair("center of the detector", self.center)
        checked("rotation_deg", self.rotation_deg)
        checked("point_spread_px", self.point_spread_px, 0)
        self.response  # noqa: B018 - checks what the pixels are drawn from

    @cached_property
    def response(self) -> PixelResponse:
        """How the pixels count; its `bad_pixels` are the mask of dead and hot ones."""
        return draw_response(
            self.shape,
            gain_variation=self.gain_variation,
            dead_share=self.dead_share,
            hot_share=self.hot_share,
            dark_counts=self.dark_counts,
            hot_counts=self.hot_counts,
            seed=self.seed,
        )

    @property
    def reach_mrad(self) -> float:
        """Largest distance of a pixel from the beam along one axis of the scan's frame."""
        return self.reach()

    def reach(self, crystal_angle_deg: float = 0.0) -> float:
        """Largest distance of a pixel from the beam along one axis of the crystal's frame."""
        rows, columns = (
            np.array([0, length - 1]) - middle
            for length, middle in zip(self.shape, self.center, strict=True)
        )
        corners = np.stack(np.meshgrid(rows, columns), axis=-1).reshape(-1, 2)
        turned = corners @ np.linalg.inv(self._to_detector(crystal_angle_deg)).T
        return float(np.abs(turned).max() * self.mrad_per_pixel)

    def record(self, patterns: Patterns, crystal_angle_deg: float = 0.0) -> npt.NDArray[np.float32]:
        """Mean counts in the pixels per incident electron, without noise.

        Between the simulated pixels the intensity is interpolated linearly; each detector pixel
        takes the mean over its area. All that falls on the detector is kept: a simulated pixel's
        shares in the detector's pixels sum to 1. Then the point spread is applied; what it would
        carry onto the detector from beyond the simulated patterns is missing.

        Parameters
        ----------
        patterns : Patterns
            In the crystal's frame, as they are simulated.
        crystal_angle_deg : float
            Angle of the crystal's [100] against the scan's +x.

        Returns
        -------
        numpy.ndarray of float32
            Shape (thicknesses, positions, ky, kx); the whole incident beam sums to 1.

        Raises
        ------
        PolmapError
            If the detector reaches beyond the simulated patterns.
        """
        reach = self.reach(crystal_angle_deg)
        simulated = min(
            center * edge for center, edge in zip(patterns.center, patterns.pixel_mrad, strict=True)
        )
        if reach > simulated + 1e-6 * self.mrad_per_pixel:
            raise PolmapError(
                f"The detector reaches to {reach:.1f} mrad, but the simulated patterns only to "
                f"{simulated:.1f} mrad; simulate a larger half width."
            )
        margin = int(np.ceil(_SPREAD_REACH * self.point_spread_px))
        wide = (self.shape[0] + 2 * margin, self.shape[1] + 2 * margin)
        shape = patterns.data.shape
        matrix = _resampling(
            wide,
            (self.center[0] + margin, self.center[1] + margin),
            tuple(map(tuple, self._to_detector(crystal_angle_deg).tolist())),
            (
                patterns.pixel_mrad[0] / self.mrad_per_pixel,
                patterns.pixel_mrad[1] / self.mrad_per_pixel,
            ),
            (shape[2], shape[3]),
        )
        flat = patterns.data.reshape(-1, shape[2] * shape[3])
        recorded = np.ascontiguousarray((matrix @ flat.T).T).reshape(*shape[:2], *wide)
        if not margin:
            return recorded
        spread = point_spread(recorded, self.point_spread_px)
        return spread[..., margin:-margin, margin:-margin]

    def expose(
        self, recorded: npt.ArrayLike, electrons: npt.ArrayLike, rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """Counts of recorded patterns, see `napari_polmap.simulation.noise.expose`.

        Parameters
        ----------
        recorded : array_like, shape (..., ky, kx)
            From `record`.
        electrons : array_like
            Electrons in the incident beam per pattern.
        rng : numpy.random.Generator
            The source of the noise.
        """
        return expose(recorded, electrons, rng, response=self.response)

    def _to_detector(self, crystal_angle_deg: float) -> npt.NDArray[np.float64]:
        return Calibration(
            rotation_deg=self.rotation_deg, flip=self.flip, crystal_angle_deg=crystal_angle_deg
        ).to_detector()


@lru_cache(maxsize=16)
def _resampling(
    shape: tuple[int, int],
    center: tuple[float, float],
    to_detector: tuple[Any, ...],
    pixel: tuple[float, float],
    simulated: tuple[int, int],
) -> csr_matrix:
    """Shares of the simulated pixels in a detector's, shape (detector pixels, simulated pixels).

    Parameters
    ----------
    shape, center : tuple
        Of the detector.
    to_detector : tuple of tuple of float
        Matrix from the simulated frame to the detector's.
    pixel : tuple of float
        Edges of a simulated pixel in detector pixels.
    simulated : tuple of int
        Simulated pixels.
    """
    from scipy.sparse import csr_matrix, diags

    # Pixels around the detector, so that every simulated pixel that touches it lies on some.
    margin = int(np.ceil(2 * np.hypot(*pixel))) + 1
    wide = [length + 2 * margin for length in shape]
    points = int(np.ceil(_POINTS / min(1.0, *pixel)))
    inside = (np.arange(points) + 0.5) / points - 0.5
    rows, columns = (
        (np.arange(length)[:, None] - margin - middle + inside).ravel()
        for length, middle in zip(wide, center, strict=True)
    )
    back = np.linalg.inv(np.array(to_detector))
    middle_row, middle_column = ((length - 1) / 2 for length in simulated)
    # All points of the detector as places on the simulated pixels.
    row = (back[0, 0] * rows[:, None] + back[0, 1] * columns) / pixel[0] + middle_row
    column = (back[1, 0] * rows[:, None] + back[1, 1] * columns) / pixel[1] + middle_column
    row = np.clip(row, 0, simulated[0] - 1)
    column = np.clip(column, 0, simulated[1] - 1)
    of = np.add.outer(
        np.repeat(np.arange(wide[0]), points) * wide[1], np.repeat(np.arange(wide[1]), points)
    )
    matrix = csr_matrix((wide[0] * wide[1], simulated[0] * simulated[1]))
    low_row, low_column = np.floor(row).astype(int), np.floor(column).astype(int)
    for down in (0, 1):
        for across in (0, 1):
            weight = (1 - np.abs(low_row + down - row)) * (1 - np.abs(low_column + across - column))
            used = weight > 0
            pixels = (low_row + down) * simulated[1] + low_column + across
            matrix = matrix + csr_matrix(
                (weight[used], (of[used], pixels[used])), shape=matrix.shape
            )
    # A mean over points is exact only for many of them: the sums are made so. The outermost
    # simulated pixels also stand for what lies beyond them, and all that is beyond the detector.
    sums = np.asarray(matrix.sum(axis=0)).reshape(simulated)
    area = points**2 * pixel[0] * pixel[1]
    scale = np.full(simulated, 1 / area)
    inner = np.s_[1:-1, 1:-1]
    whole = np.abs(sums[inner] / area - 1) < 0.2
    scale[inner] = np.where(whole, 1 / np.where(whole, sums[inner], 1), 1 / area)
    matrix = matrix @ diags(scale.ravel())
    kept = np.zeros(wide, bool)
    kept[margin:-margin, margin:-margin] = True
    return matrix.tocsr()[np.flatnonzero(kept)].astype(np.float32)
