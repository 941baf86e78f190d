"""Where a virtual detector can be taken with the mouse, and what a drag makes of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.detectors import (
    AnnulusDetector,
    Detector,
    DiskDetector,
    Point,
    PolygonDetector,
    RectangleDetector,
    WedgeDetector,
)

MOVE = "move"
SMALLEST = 0.5
"""Radius or half a side in pixels that a drag leaves at least."""
_NARROWEST_DEG = 2.0
_MOST_VERTICES = 24
"""A drawn line with more is moved as a whole."""

Grip = str
"""``move``, ``inner``, ``outer``, ``first``, ``last``, an edge or corner of a rectangle such as
``-y`` or ``+y-x``, or a vertex such as ``0:3``."""


def grip_at(
    detector: Detector, point: Point, tolerance: float, calibration: Calibration
) -> Grip | None:
    """What of a detector is under the mouse.

    Parameters
    ----------
    detector : Detector
    point : (float, float)
        ky, kx.
    tolerance : float
        How near an edge counts as on it, in pixels.
    calibration : Calibration
        Gives the elliptical distortion.

    Returns
    -------
    str or None
        None beside it. What reaches to infinity cannot be moved: the pattern is panned there.
    """
    if isinstance(detector, RectangleDetector):
        return _rectangle_grip(detector, point, tolerance)
    if isinstance(detector, PolygonDetector):
        return _polygon_grip(detector, point, tolerance)
    return _round_grip(detector, point, tolerance, calibration)


def dragged(
    detector: Detector, grip: Grip, start: Point, end: Point, calibration: Calibration
) -> Detector:
    """The detector after its grip was dragged from one place (ky, kx) to another."""
    if grip == MOVE:
        return detector.moved(end[0] - start[0], end[1] - start[1])
    if isinstance(detector, RectangleDetector):
        return _dragged_rectangle(detector, grip, start, end)
    if isinstance(detector, PolygonDetector):
        part, vertex = (int(number) for number in grip.split(":"))
        parts = [list(vertices) for vertices in detector.parts]
        parts[part][vertex] = end
        return PolygonDetector(tuple(tuple(vertices) for vertices in parts))
    radius, angle = _polar(detector, end, calibration)
    return _dragged_round(detector, grip, radius, angle)


def grown(detector: Detector, by: float) -> Detector:
    """A detector larger by some pixels on each side; an annulus moves its finite outer edge."""
    if isinstance(detector, DiskDetector):
        return replace(detector, radius=max(SMALLEST, detector.radius + by))
    if isinstance(detector, RectangleDetector):
        height, width = (max(2 * SMALLEST, s + 2 * by) for s in (detector.height, detector.width))
        return replace(detector, height=height, width=width)
    if isinstance(detector, PolygonDetector):
        return PolygonDetector(tuple(_grown_part(part, by) for part in detector.parts))
    if math.isfinite(detector.outer):
        return replace(detector, outer=max(detector.inner + SMALLEST, detector.outer + by))
    return replace(detector, inner=max(0.0, detector.inner + by))


def _grown_part(part: tuple[Point, ...], by: float) -> tuple[Point, ...]:
    """Vertices further from (or nearer to) their mean."""
    vertices = np.asarray(part)
    offsets = vertices - vertices.mean(axis=0)
    lengths = np.maximum(np.hypot(*offsets.T), 1e-9)
    factor = np.maximum(lengths + by, np.minimum(lengths, SMALLEST)) / lengths
    grown_part = vertices.mean(axis=0) + offsets * factor[:, None]
    return tuple((float(ky), float(kx)) for ky, kx in grown_part)


# Disks, annuli, wedges

Round = DiskDetector | AnnulusDetector | WedgeDetector


def _polar(detector: Round, point: Point, calibration: Calibration) -> tuple[float, float]:
    """Radius and angle (degrees, counter-clockwise) of a point about a detector's center."""
    back = np.linalg.inv(calibration.distortion())
    down, across = back @ (np.asarray(point) - detector.center)
    return float(np.hypot(down, across)), float(np.rad2deg(np.arctan2(-down, across)))


def _turn(angle: float, reference: float) -> float:
    """How far an angle lies counter-clockwise from another, -180 to 180 degrees."""
    return (angle - reference + 180) % 360 - 180


def _round_grip(
    detector: Round, point: Point, tolerance: float, calibration: Calibration
) -> Grip | None:
    radius, angle = _polar(detector, point, calibration)
    inner, outer = detector.radii
    finite = math.isfinite(outer)
    # A small one must leave room to be moved.
    tolerance = min(tolerance, (outer - inner) / 3) if finite else tolerance
    wedge = isinstance(detector, WedgeDetector)
    turn = _turn(angle, detector.angle_deg) if wedge else 0.0
    half = detector.width_deg / 2 if wedge else 180.0
    near_deg = math.degrees(math.atan2(tolerance, max(radius, 1e-6)))
    if wedge and inner - tolerance <= radius <= outer + tolerance and half < 180:
        if abs(turn + half) <= min(near_deg, half):
            return "first"
        if abs(turn - half) <= min(near_deg, half):
            return "last"
    if abs(turn) > half:
        return None
    if finite and abs(radius - outer) <= tolerance:
        return "outer"
    if inner > 0 and abs(radius - inner) <= tolerance:
        return "inner"
    return MOVE if finite and inner <= radius <= outer else None


def _dragged_round(detector: Round, grip: Grip, radius: float, angle: float) -> Detector:
    if isinstance(detector, DiskDetector):
        return replace(detector, radius=max(SMALLEST, radius))
    if grip == "inner":
        return replace(detector, inner=min(radius, detector.outer - SMALLEST))
    if grip == "outer":
        return replace(detector, outer=max(radius, detector.inner + SMALLEST))
    assert isinstance(detector, WedgeDetector)
    first, last = detector.sides_deg
    # The other side stays; across it the wedge does not turn inside out.
    if grip == "first":
        width = (last - angle) % 360
        width = width if width >= _NARROWEST_DEG else _NARROWEST_DEG
        return replace(detector, angle_deg=last - width / 2, width_deg=width)
    width = (angle - first) % 360
    width = width if width >= _NARROWEST_DEG else _NARROWEST_DEG
    return replace(detector, angle_deg=first + width / 2, width_deg=width)


# Rectangles


def _rectangle_grip(detector: RectangleDetector, point: Point, tolerance: float) -> Grip | None:
    halves = (detector.height / 2, detector.width / 2)
    tolerance = min(tolerance, *(half * 2 / 3 for half in halves))
    offsets = [c - m for c, m in zip(point, detector.center, strict=True)]
    outside = [abs(o) > half + tolerance for o, half in zip(offsets, halves, strict=True)]
    if any(outside):
        return None
    grip = "".join(
        f"{'+' if offset > 0 else '-'}{axis}"
        for axis, offset, half in zip("yx", offsets, halves, strict=True)
        if abs(abs(offset) - half) <= tolerance
    )
    return grip or MOVE


def _dragged_rectangle(
    detector: RectangleDetector, grip: Grip, start: Point, end: Point
) -> RectangleDetector:
    edges = [
        [c - size / 2, c + size / 2]
        for c, size in zip(detector.center, (detector.height, detector.width), strict=True)
    ]
    for sign, name in zip(grip[::2], grip[1::2], strict=True):
        axis, side = "yx".index(name), int(sign == "+")
        edges[axis][side] += end[axis] - start[axis]
        low, high = edges[axis]
        if high - low < 2 * SMALLEST:
            edges[axis][side] = edges[axis][1 - side] + (1 if side else -1) * 2 * SMALLEST
    (top, bottom), (left, right) = edges
    center = ((top + bottom) / 2, (left + right) / 2)
    return RectangleDetector(center, bottom - top, right - left)


# Drawn polygons


def _polygon_grip(detector: PolygonDetector, point: Point, tolerance: float) -> Grip | None:
    from matplotlib.path import Path

    for index, part in enumerate(detector.parts):
        if len(part) <= _MOST_VERTICES:
            distances = np.hypot(*(np.asarray(part) - point).T)
            nearest = int(distances.argmin())
            if distances[nearest] <= tolerance:
                return f"{index}:{nearest}"
    inside = any(Path(part).contains_point(point) for part in detector.parts)
    return MOVE if inside else None
