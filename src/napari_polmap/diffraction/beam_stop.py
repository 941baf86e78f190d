"""The shadow of a beam stop in the mean pattern."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.disk import measure_disk
from napari_polmap.errors import CalibrationError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_DARK = 0.1
"""Share of the disk's intensity, or of that at the same distance from it, left in a shadow."""
_PENUMBRA = 0.6
_LEAST_SHARE, _LEAST_PIXELS = 0.01, 9
"""Of the disk's pixels in a shadow."""
_LEAST_COUNTS = 20.0


def beam_stop(mean: Floats, counts: Floats, skip: Bools, calibration: Calibration) -> Bools:
    """Find a connected dark area that reaches into the bright-field disk.

    Parameters
    ----------
    mean : ndarray, shape (ky, kx)
        Mean pattern.
    counts : ndarray, shape (ky, kx)
        About how many electrons each pixel of it stands for.
    skip : ndarray of bool, shape (ky, kx)
        Pixels that do not count.
    calibration : Calibration
        With the disk's center and radius, where they are known.

    Returns
    -------
    ndarray of bool, shape (ky, kx)
        All false where there is none, or no disk.
    """
    from scipy import ndimage

    none = np.zeros(mean.shape, bool)
    center, radius = calibration.center_px, calibration.radius_px
    if center is None or radius is None:
        try:
            disk = measure_disk(mean, skip)
        except CalibrationError:
            return none
        center, radius = disk.center_px, disk.radius_px
    rows, columns = np.indices(mean.shape)
    distance = np.hypot(rows - center[0], columns - center[1])
    inside = (distance < 0.97 * radius - 1) & ~skip
    if inside.sum() < 4 * _LEAST_PIXELS:
        return none
    nearest = ndimage.distance_transform_edt(skip, return_distances=False, return_indices=True)
    smooth = ndimage.median_filter(mean[tuple(nearest)] if skip.any() else mean, 3, mode="nearest")
    # The stop may take most of the disk.
    reference = np.full(mean.shape, float(np.percentile(mean[inside], 90)))
    expected = np.full(mean.shape, float(np.percentile(counts[inside], 90)))
    for ring in range(int(radius), int(distance.max()) + 1):
        here = (distance >= ring) & (distance < ring + 1) & ~skip
        if here.any() and ring > radius:
            reference[here] = np.median(mean[here])
            expected[here] = np.median(counts[here])
    # The disk's own edge is no shadow's.
    edge = np.abs(distance - radius) <= max(1.5, 0.05 * radius)
    reference[edge & (distance >= radius)] = reference[distance > radius + 2].max(initial=0.0)
    shadow = (smooth < _DARK * reference) & ((expected > _LEAST_COUNTS) | inside)
    shadow |= skip & ndimage.binary_dilation(shadow)
    labels, _ = ndimage.label(shadow, structure=np.ones((3, 3)))
    sizes = np.bincount(labels[inside], minlength=labels.max() + 1)
    sizes[0] = 0
    least = max(_LEAST_PIXELS, _LEAST_SHARE * inside.sum())
    stop = np.isin(labels, np.nonzero(sizes >= least)[0])
    if not stop.any():
        return none
    half_lit = mean < _PENUMBRA * reference
    stop = ndimage.binary_dilation(stop, structure=np.ones((3, 3)))
    for _ in range(2):
        stop |= ndimage.binary_dilation(stop) & half_lit & ((expected > _LEAST_COUNTS) | inside)
    return np.asarray(stop)
