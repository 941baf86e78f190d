"""Shapes of virtual detectors, and the weight of each detector pixel under them.

Shapes are plain values in detector pixels. Angles run counter-clockwise from +kx as the pattern is
shown. Disks, annuli and wedges follow the elliptical distortion of the calibration that their
mask is made with: their radii are those of the circles that the distortion turned into ellipses.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.errors import CalibrationError

Floats = npt.NDArray[np.float32]
Outline = npt.NDArray[np.float64]
Point = tuple[float, float]

_SAMPLES = 8
"""Samples across a pixel for shapes without a formula for their edge."""
_OUTLINE_POINTS = 97


class Weighting(Protocol):
    """Anything that gives each detector pixel a weight."""

    def mask(
        self,
        detector_shape: tuple[int, int],
        calibration: Calibration | None = None,
        shift: Point = (0.0, 0.0),
    ) -> Floats:
        """Weights, moved by `shift` (ky, kx) in pixels."""


@dataclass(frozen=True)
class _Round:
    """What has a center and is bounded by circles."""

    center: Point

    def __post_init__(self) -> None:
        _check(self.center, (), "center")

    @property
    def radii(self) -> tuple[float, float]:
        """Inner and outer radius in pixels."""
        raise NotImplementedError

    def moved(self, down: float, across: float) -> _Round:
        """The same shape elsewhere."""
        return dataclasses.replace(self, center=(self.center[0] + down, self.center[1] + across))

    def mask(
        self,
        detector_shape: tuple[int, int],
        calibration: Calibration | None = None,
        shift: Point = (0.0, 0.0),
    ) -> Floats:
        """Share of each pixel that lies within, 0 to 1.

        Parameters
        ----------
        detector_shape : (int, int)
        calibration : Calibration, optional
            Gives the elliptical distortion.
        shift : (float, float)
            How far (ky, kx) the detector is moved, in pixels.

        Returns
        -------
        ndarray of float32, shape (ky, kx)
        """
        down, across = self._offsets(detector_shape, calibration, shift)
        distance = np.hypot(down, across)
        inner, outer = self.radii
        # Half a pixel on either side of the edge counts in part.
        share = np.clip(outer - distance + 0.5, 0, 1)
        if inner > 0:
            share *= np.clip(distance - inner + 0.5, 0, 1)
        return np.asarray(share, np.float32)

    def outlines(self, calibration: Calibration | None = None) -> list[Outline]:
        """Closed lines (ky, kx) along the edges; none for an edge at infinity."""
        angles = np.linspace(0, 2 * np.pi, _OUTLINE_POINTS)
        return [
            self._placed(radius * np.stack([-np.sin(angles), np.cos(angles)], 1), calibration)
            for radius in self.radii
            if 0 < radius < math.inf
        ]

    def _offsets(
        self, detector_shape: tuple[int, int], calibration: Calibration | None, shift: Point
    ) -> tuple[Floats, Floats]:
        """Row and column of each pixel from the center, as they were without the distortion."""
        rows = np.arange(detector_shape[0], dtype=np.float32) - (self.center[0] + shift[0])
        columns = np.arange(detector_shape[1], dtype=np.float32) - (self.center[1] + shift[1])
        down, across = rows[:, None].astype(np.float32), columns[None].astype(np.float32)
        if calibration is None or calibration.ellipse is None:
            return down, across
        back = np.linalg.inv(calibration.distortion()).astype(np.float32)
        return back[0, 0] * down + back[0, 1] * across, back[1, 0] * down + back[1, 1] * across

    def _placed(self, offsets: Outline, calibration: Calibration | None) -> Outline:
        """Detector pixels of (row, column) offsets from the center of a round pattern."""
        if calibration is not None:
            offsets = offsets @ calibration.distortion().T
        return np.asarray(offsets + self.center)


@dataclass(frozen=True)
class DiskDetector(_Round):
    """All within a radius.

    Parameters
    ----------
    center : (float, float)
        ky, kx.
    radius : float
    """

    radius: float

    def __post_init__(self) -> None:
        _check(self.center, (self.radius,), "disk's center and radius")

    @property
    def radii(self) -> tuple[float, float]:
        """Inner and outer radius in pixels."""
        return 0.0, self.radius

    def mirrored(self, center: Point) -> DiskDetector:
        """The shape turned by 180° about a point (ky, kx)."""
        return dataclasses.replace(self, center=_opposite(self.center, center))


@dataclass(frozen=True)
class AnnulusDetector(_Round):
    """All between two radii.

    Parameters
    ----------
    center : (float, float)
        ky, kx.
    inner, outer : float
        The outer one may be infinite.
    """

    inner: float
    outer: float

    def __post_init__(self) -> None:
        _check_radii(self.center, self.inner, self.outer)

    @property
    def radii(self) -> tuple[float, float]:
        """Inner and outer radius in pixels."""
        return self.inner, self.outer

    def mirrored(self, center: Point) -> AnnulusDetector:
        """The shape turned by 180° about a point (ky, kx)."""
        return dataclasses.replace(self, center=_opposite(self.center, center))


@dataclass(frozen=True)
class WedgeDetector(_Round):
    """The angular sector of an annulus.

    Parameters
    ----------
    center : (float, float)
        ky, kx.
    inner, outer : float
        The outer one may be infinite.
    angle_deg : float
        Angle of its middle.
    width_deg : float
        More than 0, at most 360.
    """

    inner: float
    outer: float
    angle_deg: float
    width_deg: float

    def __post_init__(self) -> None:
        _check_radii(self.center, self.inner, self.outer)
        if not (math.isfinite(self.angle_deg) and 0 < self.width_deg <= 360):
            raise CalibrationError(
                f"A wedge is more than 0° and at most 360° wide, about a finite angle, but this "
                f"one is {self.width_deg}° wide about {self.angle_deg}°; correct it."
            )

    @property
    def radii(self) -> tuple[float, float]:
        """Inner and outer radius in pixels."""
        return self.inner, self.outer

    @property
    def sides_deg(self) -> tuple[float, float]:
        """Angles of its two straight edges, the clockwise one first."""
        return self.angle_deg - self.width_deg / 2, self.angle_deg + self.width_deg / 2

    def mirrored(self, center: Point) -> WedgeDetector:
        """The shape turned by 180° about a point (ky, kx)."""
        return dataclasses.replace(
            self, center=_opposite(self.center, center), angle_deg=self.angle_deg + 180
        )

    def mask(
        self,
        detector_shape: tuple[int, int],
        calibration: Calibration | None = None,
        shift: Point = (0.0, 0.0),
    ) -> Floats:
        """Share of each pixel that lies within, 0 to 1; see `DiskDetector.mask`."""
        ring = super().mask(detector_shape, calibration, shift)
        if self.width_deg == 360:
            return ring
        down, across = self._offsets(detector_shape, calibration, shift)
        first, last = (math.radians(angle) for angle in self.sides_deg)
        # Distances from the lines along the edges, positive on the wedge's side.
        after = np.clip(-down * math.cos(first) - across * math.sin(first) + 0.5, 0, 1)
        before = np.clip(down * math.cos(last) + across * math.sin(last) + 0.5, 0, 1)
        # Up to half a turn both must hold; a wider one is all but the wedge that is left out.
        within = after * before if self.width_deg <= 180 else 1 - (1 - after) * (1 - before)
        return np.asarray(ring * within, np.float32)

    def outlines(self, calibration: Calibration | None = None) -> list[Outline]:
        """One closed line (ky, kx); sides that reach to infinity end 10 inner radii out."""
        first, last = np.deg2rad(self.sides_deg)
        angles = np.linspace(first, last, _OUTLINE_POINTS)
        rays = np.stack([-np.sin(angles), np.cos(angles)], 1)
        outer = self.outer if self.outer < math.inf else 10 * max(self.inner, 1.0)
        line = np.concatenate([outer * rays, self.inner * rays[::-1], outer * rays[:1]])
        return [self._placed(line, calibration)]


@dataclass(frozen=True)
class RectangleDetector:
    """A rectangle along the detector's axes.

    Parameters
    ----------
    center : (float, float)
        ky, kx.
    height, width : float
        Along ky and kx.
    """

    center: Point
    height: float
    width: float

    def __post_init__(self) -> None:
        _check(self.center, (self.height, self.width), "rectangle's center, height and width")

    def moved(self, down: float, across: float) -> RectangleDetector:
        """The same shape elsewhere."""
        return dataclasses.replace(self, center=(self.center[0] + down, self.center[1] + across))

    def mirrored(self, center: Point) -> RectangleDetector:
        """The shape turned by 180° about a point (ky, kx)."""
        return dataclasses.replace(self, center=_opposite(self.center, center))

    def mask(
        self,
        detector_shape: tuple[int, int],
        calibration: Calibration | None = None,  # noqa: ARG002  as drawn, with any distortion
        shift: Point = (0.0, 0.0),
    ) -> Floats:
        """Share of each pixel that lies within, 0 to 1; see `DiskDetector.mask`."""
        shares = []
        for axis, size in enumerate((self.height, self.width)):
            pixels = np.arange(detector_shape[axis], dtype=np.float64)
            low = self.center[axis] + shift[axis] - size / 2
            over = np.minimum(pixels + 0.5, low + size) - np.maximum(pixels - 0.5, low)
            shares.append(np.clip(over, 0, 1))
        return np.asarray(np.outer(*shares), np.float32)

    def outlines(self, calibration: Calibration | None = None) -> list[Outline]:  # noqa: ARG002
        """One closed line (ky, kx)."""
        y, x = self.height / 2, self.width / 2
        corners = np.array([(-y, -x), (-y, x), (y, x), (y, -x), (-y, -x)])
        return [np.asarray(corners + self.center)]


@dataclass(frozen=True)
class PolygonDetector:
    """All within any of some drawn polygons.

    Parameters
    ----------
    parts : tuple of tuple of (float, float)
        Vertices (ky, kx) of each polygon, at least three.
    """

    parts: tuple[tuple[Point, ...], ...]

    def __post_init__(self) -> None:
        if not self.parts or any(len(part) < 3 for part in self.parts):
            raise CalibrationError("A drawn detector needs at least three corners; draw it anew.")
        if not np.isfinite(np.concatenate([np.asarray(part) for part in self.parts])).all():
            raise CalibrationError("A drawn detector has corners at infinity; draw it anew.")

    def moved(self, down: float, across: float) -> PolygonDetector:
        """The same shape elsewhere."""
        return PolygonDetector(
            tuple(tuple((ky + down, kx + across) for ky, kx in part) for part in self.parts)
        )

    def mirrored(self, center: Point) -> PolygonDetector:
        """The shape turned by 180° about a point (ky, kx)."""
        return PolygonDetector(
            tuple(tuple(_opposite(vertex, center) for vertex in part) for part in self.parts)
        )

    def mask(
        self,
        detector_shape: tuple[int, int],
        calibration: Calibration | None = None,  # noqa: ARG002  as drawn, with any distortion
        shift: Point = (0.0, 0.0),
    ) -> Floats:
        """Share of each pixel that lies within, 0 to 1, from 8 x 8 samples a pixel."""
        from skimage.draw import polygon

        fine = np.zeros([n * _SAMPLES for n in detector_shape], bool)
        for part in self.parts:
            # Where each vertex lies on the grid of samples; pixel centers are integers.
            vertices = (np.asarray(part) + shift + 0.5) * _SAMPLES - 0.5
            fine[polygon(vertices[:, 0], vertices[:, 1], fine.shape)] = True
        cut = fine.reshape(detector_shape[0], _SAMPLES, detector_shape[1], _SAMPLES)
        return np.asarray(cut.mean(axis=(1, 3)), np.float32)

    def outlines(self, calibration: Calibration | None = None) -> list[Outline]:  # noqa: ARG002
        """Closed lines (ky, kx)."""
        return [np.array([*part, part[0]], float) for part in self.parts]


Detector = DiskDetector | AnnulusDetector | WedgeDetector | RectangleDetector | PolygonDetector


def _opposite(point: Point, center: Point) -> Point:
    return 2 * center[0] - point[0], 2 * center[1] - point[1]


def _check(center: Point, sizes: tuple[float, ...], what: str) -> None:
    finite = all(math.isfinite(number) for number in (*center, *sizes))
    if not finite or any(size <= 0 for size in sizes):
        raise CalibrationError(
            f"The {what} must be finite and the size positive, but are {center} and "
            f"{', '.join(f'{size:g}' for size in sizes)}; correct them."
        )


def _check_radii(center: Point, inner: float, outer: float) -> None:
    if not (all(math.isfinite(c) for c in center) and 0 <= inner < outer):
        raise CalibrationError(
            f"The inner radius must not be negative and lie below the outer one, about a finite "
            f"center, but the radii are {inner:g} and {outer:g} about {center}; correct them."
        )
