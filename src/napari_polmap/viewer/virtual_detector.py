"""The virtual detector a window works with: a preset or a free shape, alone or as a pair."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.detectors import (
    PRESETS,
    Detector,
    PairDetector,
    PolygonDetector,
    Weighting,
    first_shape,
    form_of,
    preset,
)
from napari_polmap.errors import CalibrationError
from napari_polmap.scan import Scan

DRAWN = "drawn"
"""`VirtualDetector.kind` of a detector drawn in the diffraction view."""


@dataclass(frozen=True)
class VirtualDetector:
    """The detector whose intensity makes the virtual image.

    Parameters
    ----------
    kind : str
        A preset's name, which follows the bright-field disk, or the name of a free shape.
    shape : Detector
    paired : bool
        Whether its mirror image through the beam's center is subtracted.
    """

    kind: str
    shape: Detector
    paired: bool = False

    @classmethod
    def free(cls, shape: Detector, paired: bool = False) -> VirtualDetector:
        """A detector of a free shape."""
        return cls(form_of(shape), shape, paired)

    @property
    def weighting(self) -> Weighting:
        """What gives each detector pixel its weight."""
        return PairDetector(self.shape) if self.paired else self.shape

    @property
    def title(self) -> str:
        """Name for people."""
        return f"{self.kind}, pair" if self.paired else self.kind

    @property
    def is_preset(self) -> bool:
        """Whether it follows the bright-field disk."""
        return self.kind in PRESETS

    def mask(self, scan: Scan) -> npt.NDArray[np.float32]:
        """Weights ``(ky, kx)`` on a scan's patterns, without its bad pixels.

        Raises
        ------
        CalibrationError
            If a pair's beam center is not known.
        """
        from napari_polmap.diffraction.virtual import detector_mask

        return detector_mask(scan, self.weighting)

    def with_shape(self, shape: Detector) -> VirtualDetector:
        """Another shape, free from now on."""
        return VirtualDetector.free(shape, self.paired)


def drawn_beside(
    detector: VirtualDetector | None, vertices: tuple[tuple[float, float], ...]
) -> VirtualDetector:
    """A drawn polygon (ky, kx) beside those drawn before; other shapes are replaced."""
    drawn = detector is not None and isinstance(detector.shape, PolygonDetector)
    parts = detector.shape.parts if drawn else ()
    paired = detector is not None and detector.paired
    return VirtualDetector.free(PolygonDetector((*parts, vertices)), paired)


def make_detector(
    kind: str, calibration: Calibration, detector_shape: tuple[int, int], paired: bool = False
) -> VirtualDetector | None:
    """A preset, or a free shape to begin with; None where the disk is not known, or for drawing."""
    if kind == DRAWN:
        return None
    if kind not in PRESETS:
        return VirtualDetector(kind, first_shape(kind, calibration, detector_shape), paired)
    try:
        return VirtualDetector(kind, preset(kind, calibration), paired)
    except CalibrationError:
        return None


def followed(detector: VirtualDetector, calibration: Calibration) -> VirtualDetector:
    """A preset at the disk's present place; free shapes stay where they are."""
    if not detector.is_preset:
        return detector
    try:
        return replace(detector, shape=preset(detector.kind, calibration))
    except CalibrationError:
        return detector
