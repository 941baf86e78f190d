"""Virtual detectors: presets about the bright-field disk, free shapes, and pairs of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.detector_shapes import (
    AnnulusDetector,
    Detector,
    DiskDetector,
    Floats,
    Outline,
    Point,
    PolygonDetector,
    RectangleDetector,
    WedgeDetector,
    Weighting,
)
from napari_polmap.errors import CalibrationError

__all__ = [
    "BRIGHT_FIELD",
    "FORMS",
    "PRESETS",
    "AnnulusDetector",
    "Detector",
    "DiskDetector",
    "Outline",
    "PairDetector",
    "Point",
    "PolygonDetector",
    "RectangleDetector",
    "WedgeDetector",
    "Weighting",
    "describe",
    "first_shape",
    "form_of",
    "preset",
    "preset_mask",
]

BRIGHT_FIELD = "bright field"
PRESETS = (
    BRIGHT_FIELD,
    "annular bright field",
    "annular dark field",
    "outer dark field",
)
"""Names of the detectors that `preset` makes."""
_RADII = {
    BRIGHT_FIELD: (0.0, 1.0),
    "annular bright field": (0.5, 1.0),
    "annular dark field": (1.1, math.inf),
    "outer dark field": (2.0, math.inf),
}
"""Inner and outer radius in units of the bright-field disk's."""


@dataclass(frozen=True)
class PairDetector:
    """A detector less its mirror image through the beam's center: a difference image.

    Parameters
    ----------
    detector : Detector
    """

    detector: Detector

    def opposite(self, calibration: Calibration | None) -> Detector:
        """The mirror image, which counts negative.

        Raises
        ------
        CalibrationError
            If the beam's center is not known.
        """
        if calibration is None or calibration.center_px is None:
            raise CalibrationError(
                "A pair of detectors is mirrored through the disk's center, which is not known; "
                "give it or measure it."
            )
        return self.detector.mirrored(calibration.center_px)

    def mask(
        self,
        detector_shape: tuple[int, int],
        calibration: Calibration | None = None,
        shift: Point = (0.0, 0.0),
    ) -> Floats:
        """Weight of each pixel, -1 to 1; see `DiskDetector.mask`.

        Raises
        ------
        CalibrationError
            If the beam's center is not known.
        """
        opposite = self.opposite(calibration).mask(detector_shape, calibration, shift)
        return self.detector.mask(detector_shape, calibration, shift) - opposite


def preset(kind: str, calibration: Calibration) -> DiskDetector | AnnulusDetector:
    """A named virtual detector about the bright-field disk.

    Parameters
    ----------
    kind : str
        One of `PRESETS`: the disk, its outer half of the radius, all beyond 1.1 radii, or all
        beyond 2 radii.
    calibration : Calibration
        With the disk's center and radius.

    Raises
    ------
    CalibrationError
        If there is no such detector, or the disk is not known.
    """
    if kind not in _RADII:
        raise CalibrationError(
            f"There is no virtual detector {kind!r}; choose {', '.join(PRESETS)}, or draw one."
        )
    if calibration.center_px is None or calibration.radius_px is None:
        raise CalibrationError(
            f"The {kind} detector needs the bright-field disk's center and radius, which are not "
            "known; set them, or draw a detector."
        )
    inner, outer = (limit * calibration.radius_px for limit in _RADII[kind])
    if not inner:
        return DiskDetector(calibration.center_px, outer)
    return AnnulusDetector(calibration.center_px, inner, outer)


def preset_mask(kind: str, calibration: Calibration, detector_shape: tuple[int, int]) -> Floats:
    """Weight of each detector pixel for a named virtual detector, see `preset`.

    Returns
    -------
    ndarray of float32, shape (ky, kx)
        Share of each pixel that lies within, 0 to 1.

    Raises
    ------
    CalibrationError
        If there is no such detector, or the disk is not known.
    """
    return preset(kind, calibration).mask(detector_shape, calibration)


_FORMS: Mapping[str, type[Detector]] = {
    "disk": DiskDetector,
    "annulus": AnnulusDetector,
    "wedge": WedgeDetector,
    "rectangle": RectangleDetector,
    "drawn": PolygonDetector,
}
FORMS = tuple(_FORMS)
"""Names of the free shapes; all but the drawn one have a `first_shape`."""


def form_of(detector: Detector) -> str:
    """Which of `FORMS` a detector is."""
    return next(name for name, kind in _FORMS.items() if isinstance(detector, kind))


def first_shape(
    form: str, calibration: Calibration, detector_shape: tuple[int, int]
) -> DiskDetector | AnnulusDetector | WedgeDetector | RectangleDetector:
    """A shape to begin with, about the disk where it is known, else in the detector's middle.

    Parameters
    ----------
    form : {"disk", "annulus", "wedge", "rectangle"}
    calibration : Calibration
    detector_shape : (int, int)

    Raises
    ------
    CalibrationError
        If there is no such shape.
    """
    center = calibration.center_px or ((detector_shape[0] - 1) / 2, (detector_shape[1] - 1) / 2)
    radius = calibration.radius_px or min(detector_shape) / 4
    if form == "disk":
        return DiskDetector(center, radius / 2)
    if form == "annulus":
        return AnnulusDetector(center, radius / 2, radius)
    if form == "wedge":
        return WedgeDetector(center, radius / 2, radius, 0.0, 90.0)
    if form == "rectangle":
        return RectangleDetector(center, radius, radius)
    raise CalibrationError(f"There is no shape {form!r}; choose {', '.join(FORMS[:-1])}.")


def describe(detector: Detector) -> dict[str, Any]:
    """A detector as plain values: ``form`` and its lengths in pixels; infinity is None."""
    values = dataclasses.asdict(detector)
    plain = {
        name: None if isinstance(value, float) and math.isinf(value) else value
        for name, value in values.items()
    }
    return {"form": form_of(detector), **plain}
