"""What is stored of simulated patterns: on the simulated pixels, or as a detector counts them.

Without a dose, patterns are free of noise and packed into two bytes a pixel, see
`napari_polmap.simulation.storage.pack` for the loss. With a dose they are whole counts. They are
cropped to ``numerics.half_width`` radii of the disk, or to the detector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.simulation.detector import Detector
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.multislice import Patterns
from napari_polmap.simulation.ranges import draw
from napari_polmap.simulation.spec import Spec
from napari_polmap.simulation.storage import pack

_SQUARE = 1e-6
# Pixels beyond the detector that are simulated, so that its edges are interpolated.
_MARGIN_PX = 1.0


@dataclass(frozen=True, eq=False)
class Recording:
    """How the patterns of a run are stored.

    Parameters
    ----------
    detector : Detector or None
        ``None`` for the simulated pixels.
    dose : float or None
        Electrons in the incident beam per pattern; ``None`` for noise-free patterns.
    crystal_angle_deg : float
        Angle of the crystal's [100] against the scan's +x.
    """

    detector: Detector | None
    dose: float | None
    crystal_angle_deg: float = 0.0

    def half_width(self, spec: Spec, microscope: Microscope) -> float:
        """How far must be simulated, in radii of the disk."""
        if self.detector is None:
            # Turning the frame brings the corners of the simulated pixels inside.
            return spec.numerics.half_width
        spread = 4 * self.detector.point_spread_px + _MARGIN_PX
        reach = self.detector.reach(self.crystal_angle_deg)
        return (reach + spread * self.detector.mrad_per_pixel) / microscope.semi_angle_mrad

    def store(self, patterns: Patterns, rng: np.random.Generator) -> npt.NDArray[Any]:
        """Patterns as they are stored, shape (thicknesses, positions, ky, kx)."""
        data = patterns.data
        if self.detector is not None:
            data = self.detector.record(patterns, self.crystal_angle_deg)
            if self.dose is not None:
                counts = self.detector.expose(data, self.dose, rng)
                return counts.astype(self.dtype)
        return pack(data)[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the stored patterns."""
        if self.dose is None:
            return np.dtype(np.float16)
        assert self.detector is not None
        # No pixel gets more than the whole beam, but for noise and what hot pixels add.
        most = 2 * self.dose + 10 * self.detector.hot_counts + 1000
        return np.dtype(np.uint16 if most < 2**16 else np.uint32)

    def calibration(self, patterns: Patterns) -> dict[str, Any]:
        """Calibration of the stored patterns, as a labelled data set names its values."""
        if self.detector is None:
            return {
                "mrad_per_pixel": patterns.mrad_per_pixel,
                "center": list(patterns.center),
                "radius_px": patterns.radius_px,
            }
        detector = self.detector
        values: dict[str, Any] = {
            "mrad_per_pixel": detector.mrad_per_pixel,
            "center": list(detector.center),
            "radius_px": patterns.semi_angle_mrad / detector.mrad_per_pixel,
        }
        if detector.rotation_deg:
            values["rotation_deg"] = detector.rotation_deg
        if detector.flip:
            values["flip"] = True
        return values

    @property
    def bad_pixels(self) -> npt.NDArray[np.bool_] | None:
        """Dead and hot pixels, where there are any."""
        if self.detector is None or self.dose is None:
            return None
        bad = self.detector.response.bad_pixels
        return bad if bad.any() else None


def make_recording(
    spec: Spec, seed: int, run: int, microscope: Microscope, pixel_mrad: tuple[float, float]
) -> Recording:
    """How the patterns of a run are stored.

    Parameters
    ----------
    spec : Spec
        The description.
    seed, run : int
        What is drawn follows from these.
    microscope : Microscope
        Of the run.
    pixel_mrad : tuple of float
        Simulated pixel (ky, kx).
    """
    angle = 0.0
    if spec.scene is not None:
        angle = draw(spec.scan.crystal_angle_deg, seed, "crystal_angle_deg")
    wanted = spec.detector
    if wanted is None:
        detector = None
        if angle or abs(pixel_mrad[0] - pixel_mrad[1]) > _SQUARE * pixel_mrad[0]:
            detector = _square(spec, microscope, max(pixel_mrad))
        return Recording(detector, None, angle)
    rows, columns = wanted.pixels
    right, down = draw(wanted.beam_offset_px, seed, "beam_offset_px", run)
    detector = Detector(
        shape=(rows, columns),
        mrad_per_pixel=wanted.mrad_per_pixel,
        center=((rows - 1) / 2 + down, (columns - 1) / 2 + right),
        rotation_deg=draw(wanted.rotation_deg, seed, "rotation_deg"),
        flip=wanted.flip,
        point_spread_px=draw(wanted.point_spread_px, seed, "point_spread_px"),
        gain_variation=wanted.gain_variation,
        dead_share=wanted.dead_share,
        hot_share=wanted.hot_share,
        dark_counts=wanted.dark_counts,
        hot_counts=wanted.hot_counts,
    )
    return Recording(detector, draw(wanted.dose, seed, "dose", run), angle)


def _square(spec: Spec, microscope: Microscope, pixel_mrad: float) -> Detector:
    """Square pixels with the beam on the middle one, where the simulated ones are no use."""
    half = int(np.ceil(spec.numerics.half_width * microscope.semi_angle_mrad / pixel_mrad))
    count = 2 * half + 1
    return Detector((count, count), pixel_mrad, (float(half), float(half)))
