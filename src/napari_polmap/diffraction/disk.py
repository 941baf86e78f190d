"""Center and radius of the bright-field disk, by its edge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_polmap.diffraction.disk_edge import (
    LEAST_RADIUS,
    Bools,
    Edge,
    FittedEdge,
    Floats,
    bin_pixels,
    coarse_edge,
    fine_edge,
    no_disk,
)
from napari_polmap.diffraction.separate_disks import (
    Spot,
    clearest_disk,
    direct_beam,
    find_spots,
    on_lattice,
    territory,
)
from napari_polmap.errors import CalibrationError

T = TypeVar("T")

_COARSE_SIZE = 96
_COARSE_RADIUS, _FINE_RADIUS = 28.0, 60.0
"""Larger disks are binned until their radius is about this many pixels: to find it, to fit it."""
_FOLLOWED_RADIUS = 20.0
"""Disks that are followed are binned down to this at least: quick, and good to 0.3 %."""
_ROUNDING_PX = 0.125
"""Added to the radius: simulated apertures are rounded within a pixel, see `measure_disk`."""
_SMALL_RADIUS = 20.0
"""Smaller disks that stand apart are fitted together with their neighbors."""
_DOUBTFUL = (
    "Several disks of the same size are about as bright; the one nearest to the detector's middle "
    "was taken for the direct beam: check it, or set the center by hand."
)
_SMALLEST_AREA = 20
"""Pixels within the smallest disk."""
_LEAST_ELLIPSE, _SIGNIFICANCE = 0.003, 3.5
"""Of the ratio of the axes less one: at least this, and so many standard errors."""


@dataclass(frozen=True)
class Disk:
    """The bright-field disk.

    Parameters
    ----------
    center_px : (float, float)
        Row and column of its center; pixel centers are integers.
    radius_px : float
        Its radius.
    contrast : float
        Share of the intensity just inside the edge that is gone just outside it, 0..1.
    blur_px : float
        Width of the edge: standard deviation of the blur.
    error_px : float
        Standard error of the center's coordinates and of the radius by the fit. Fine structure of
        thick crystals at the edge adds about 0.05 pixels, see `measure_disk`.
    ellipse : (float, float), optional
        Longer over shorter axis, and the longer axis' angle in degrees, counter-clockwise from +kx
        as the pattern is shown; ``None`` for a circle, or where only a circle was looked for.
        `radius_px` is the geometric mean of the half axes.
    ellipse_error : float, optional
        Standard error of the ratio, where an ellipse was looked for.
    warnings : tuple of str
        What makes the disk doubtful.
    """

    center_px: tuple[float, float]
    radius_px: float
    contrast: float
    blur_px: float
    error_px: float = 0.0
    ellipse: tuple[float, float] | None = None
    ellipse_error: float | None = None
    warnings: tuple[str, ...] = ()


def measure_disk(
    mean_pattern: npt.ArrayLike,
    bad_pixels: Bools | None = None,
    *,
    ellipse: bool = False,
) -> Disk:
    r"""Find the bright-field disk in a mean pattern.

    Parameters
    ----------
    mean_pattern : array-like, shape (ky, kx)
        Mean of patterns spread over the scan; NaN where nothing was measured.
    bad_pixels : ndarray of bool, shape (ky, kx), optional
        Pixels that are left out.
    ellipse : bool
        Look for an elliptical distortion too; one that is not significant (less than 3.5 standard
        errors or 0.3 %) is left out.

    Returns
    -------
    Disk

    Raises
    ------
    CalibrationError
        If there is no disk: nothing but noise or zeros, no circular edge, or a disk that does not
        fit on the detector.

    Notes
    -----
    Inside and outside a thick crystal's disk the intensity varies a lot, also along the edge; what
    stays is the jump at the edge itself. In a ring around the edge the pattern is modeled as

    .. math:: I(r, φ) = B(r, φ) + A(φ, r) \, Φ((R - r) / w)

    with smooth A and B (Fourier series in φ, a slope in r) and the normal distribution function Φ
    of width w. Center and R are fitted by least squares; A and B are solved for within (variable
    projection: Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413).

    abTEM's aperture falls linearly in amplitude over one reciprocal pixel around its nominal
    radius, so half of the edge's intensity lies 1/6 pixel inside of it; in experiments the edge is
    where it is. 1/8 pixel, at most 0.5 %, is added, so that a perfectly sharp edge comes out up to
    0.5 % too large.

    Where diffracted disks stand apart (nanobeam), the one nearest to the detector's middle among
    those of like brightness is taken for the direct beam's, with a warning if it is not the
    brightest; the center of a small one comes from the lattice that it forms with its neighbors,
    see `napari_polmap.diffraction.separate_disks`.
    """
    pattern, use = _prepared(mean_pattern, bad_pixels)
    center, radius = _guess(pattern, use)
    factor = max(1, round(radius / _COARSE_RADIUS))
    binned = bin_pixels(pattern, use, factor)
    edge = coarse_edge(*binned, Edge(*center, radius, 0.0).binned(factor))
    spots = find_spots(*binned, edge.radius)
    beam, doubtful = direct_beam(spots, edge, binned[0].shape)
    if beam is not None and np.hypot(*(beam.center - [edge.center_y, edge.center_x])) > edge.radius:
        edge = Edge(float(beam.center[0]), float(beam.center[1]), edge.radius, 0.0)
    if len(spots) > 1:
        edge = _alone(spots, edge, binned, coarse_edge)
    edge = edge.binned(1 / factor)
    spots = find_spots(pattern, use, edge.radius) if edge.radius < _SMALL_RADIUS else []
    disk = _alone(
        spots,
        edge,
        (pattern, use),
        lambda values, own, start: _measured(values, own, start, ellipse),
    )
    if len(spots) > 1 and disk.ellipse is None:
        disk = _among_neighbors(pattern, use, spots, disk)
    if doubtful:
        disk = replace(disk, warnings=(*disk.warnings, _DOUBTFUL))
    return disk


def follow_disk(pattern: npt.ArrayLike, disk: Disk, bad_pixels: Bools | None = None) -> Disk:
    """Find a disk again that has moved by less than a third of its radius.

    Parameters
    ----------
    pattern : array-like, shape (ky, kx)
    disk : Disk
        The disk of a similar pattern.
    bad_pixels : ndarray of bool, shape (ky, kx), optional
        Pixels that are left out.

    Raises
    ------
    CalibrationError
        If it is not there.
    """
    values, use = _prepared(pattern, bad_pixels)
    factor = max(1, int(disk.radius_px / _FOLLOWED_RADIUS))
    start = Edge(*disk.center_px, disk.radius_px, 0.0).binned(factor)
    edge = coarse_edge(*bin_pixels(values, use, factor), start)
    return _measured(values, use, edge.binned(1 / factor), False, factor)


def _prepared(pattern: npt.ArrayLike, bad_pixels: Bools | None) -> tuple[Floats, Bools]:
    """A pattern with zeros for pixels that do not count, and which do."""
    values = np.array(pattern, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < 2 * LEAST_RADIUS:
        raise CalibrationError(
            f"A diffraction pattern has two axes of at least {2 * LEAST_RADIUS:.0f} pixels, but "
            f"this has shape {values.shape}; check the detector axes."
        )
    use = np.isfinite(values)
    if bad_pixels is not None:
        use &= ~bad_pixels
    if not use.any() or not np.any(values[use] > 0):
        raise CalibrationError(
            "The mean pattern is zero everywhere, so it has no bright-field disk; check the file."
        )
    values[~use] = 0.0
    outliers = _outliers(values, use)
    use &= ~outliers
    values[outliers] = 0.0
    return values, use


def _measured(
    pattern: Floats, use: Bools, edge: Edge, ellipse: bool, factor: int | None = None
) -> Disk:
    factor = factor or max(1, round(edge.radius / _FINE_RADIUS))
    blur = edge.width
    binned = (*bin_pixels(pattern, use, factor), edge.binned(factor))
    fitted = fine_edge(*binned, ellipse=False)
    shape, error = None, None
    if ellipse:
        distorted = fine_edge(*binned, ellipse=True)
        shape, error = _axes(distorted)
        if shape[0] - 1 > max(_SIGNIFICANCE * error, _LEAST_ELLIPSE):
            fitted = distorted
        else:
            shape = None
    edge = fitted.edge.binned(1 / factor)
    disk = Disk(
        (edge.center_y, edge.center_x),
        edge.radius + min(_ROUNDING_PX, 0.005 * edge.radius),
        fitted.contrast,
        blur,
        float(fitted.errors[:3].max()) * factor,
        shape,
        error,
    )
    _check(disk, pattern.shape)
    return disk


def _alone(
    spots: list[Spot],
    edge: Edge,
    pattern: tuple[Floats, Bools],
    fit: Callable[[Floats, Bools, Edge], T],
) -> T:
    """What a fit finds in the pixels nearer to a disk than to others; if nothing, in all."""
    values, use = pattern
    own = territory(spots, np.array([edge.center_y, edge.center_x]), use)
    try:
        return fit(values, own, replace(edge))
    except CalibrationError:
        return fit(values, use, edge)


def _among_neighbors(pattern: Floats, use: Bools, spots: list[Spot], disk: Disk) -> Disk:
    """A small disk with the center that the lattice of it and its neighbors has."""
    alone = Edge(*disk.center_px, disk.radius_px, max(disk.blur_px, 0.4))
    edge = on_lattice(pattern, use, spots, alone)
    if edge is None:
        return disk
    radius = edge.radius + min(_ROUNDING_PX, 0.005 * edge.radius)
    return replace(disk, center_px=(edge.center_y, edge.center_x), radius_px=radius)


def _axes(fitted: FittedEdge) -> tuple[tuple[float, float], float]:
    """Ratio and angle of the ellipse's axes, and the ratio's standard error."""
    along, across = fitted.edge.stretch
    angle = np.rad2deg(np.arctan2(across, along)) / 2 % 180
    ratio = float(np.exp(2 * np.hypot(along, across)))
    return (ratio, float(angle)), 2 * float(fitted.errors[4:].max())


def _outliers(pattern: Floats, use: Bools) -> Bools:
    """Single pixels far above or below their neighbors: hot and dead ones that no mask names."""
    from scipy import ndimage

    around = ndimage.median_filter(pattern, size=3, mode="nearest")
    departure = np.abs(pattern - around)
    order = np.argsort(around, axis=None)
    outlier = np.zeros(pattern.size, bool)
    # Of a small disk (nanobeam) less than a hundredth of the pixels is bright.
    share = min(1.0, 100 * _SMALLEST_AREA / around[use].size)
    level = 0.5 * float(np.percentile(around[use], 100 - share) - np.percentile(around[use], 1))
    # Noise grows with the intensity, and edges vary more than areas: like is compared with like.
    for group in np.array_split(order, 12):
        typical = np.median(departure.ravel()[group])
        outlier[group] = departure.ravel()[group] > max(10 * typical, level)
    return outlier.reshape(pattern.shape) & use


def _guess(pattern: Floats, use: Bools) -> tuple[tuple[float, float], float]:
    """The roundest bright area with the clearest edge, over many thresholds."""
    from scipy import ndimage

    factor = max(1, max(pattern.shape) // _COARSE_SIZE)
    coarse, known = bin_pixels(pattern, use, factor)
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    coarse = coarse[tuple(nearest)]
    smooth = ndimage.gaussian_filter(ndimage.median_filter(coarse, size=3), 0.7)
    low, high = float(np.percentile(smooth, 2)), float(np.max(smooth))
    rows, columns = np.indices(smooth.shape)
    best = 0.0
    found: tuple[float, float, float] | None = None
    for share in np.concatenate([np.geomspace(0.02, 0.3, 7), np.linspace(0.35, 0.8, 10)]):
        labels, _ = ndimage.label(smooth > low + share * (high - low))
        sums = np.bincount(labels.ravel(), smooth.ravel())[1:]
        if sums.size == 0:
            continue
        brightest = labels == 1 + int(np.argmax(sums))
        area = np.asarray(ndimage.binary_fill_holes(brightest), dtype=bool)
        size = int(area.sum())
        radius = float(np.sqrt(size / np.pi))
        if radius * factor < 0.7 * LEAST_RADIUS:
            continue
        center_y, center_x = float(rows[area].mean()), float(columns[area].mean())
        distance = np.hypot(rows - center_y, columns - center_x) / radius
        circle = distance < 1
        roundness = float((area & circle).sum()) / max(1.0, float((area | circle).sum()))
        inside = smooth[(distance > 0.75) & (distance < 0.95)]
        outside = smooth[(distance > 1.05) & (distance < 1.25)]
        if not inside.size or not outside.size:
            continue
        score = float(inside.mean() - outside.mean()) / (high - low) * roundness**4
        if roundness > 0.8 and score > best:
            best, found = score, (center_y, center_x, radius)
    if found is None or best < 0.1:
        # Disks that nearly touch and are alike run together at any threshold.
        clearest = clearest_disk(coarse, known)
        if clearest is None:
            raise no_disk("no round bright area")
        found = (*clearest[0], clearest[1])
    center = ((found[0] + 0.5) * factor - 0.5, (found[1] + 0.5) * factor - 0.5)
    return center, found[2] * factor


def _check(disk: Disk, shape: tuple[int, ...]) -> None:
    if disk.radius_px < LEAST_RADIUS:
        raise no_disk(f"its radius of {disk.radius_px:.1f} pixels is too small to measure")
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    # An ellipse's edge is close enough to the circle for this.
    edge_y = disk.center_px[0] + disk.radius_px * np.sin(angles)
    edge_x = disk.center_px[1] + disk.radius_px * np.cos(angles)
    seen = (edge_y > -0.5) & (edge_y < shape[0] - 0.5) & (edge_x > -0.5) & (edge_x < shape[1] - 0.5)
    if seen.mean() < 0.7:
        raise no_disk("most of its edge lies beyond the detector")
    if disk.contrast < 0.15:
        raise no_disk("its edge has too little contrast")
