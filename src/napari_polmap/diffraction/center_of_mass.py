"""Images of the center of mass: in the scan's frame, as colors, integrated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.directions import angle_color

Floats = npt.NDArray[np.float32]

FULL_BRIGHTNESS = 98.0
"""Percentile of the magnitude that is shown at full brightness in `color_wheel`."""


def in_scan_frame(offsets: npt.NDArray[np.floating], calibration: Calibration) -> Floats:
    """Offsets on the detector turned into the scan's frame.

    Parameters
    ----------
    offsets : ndarray, shape (..., 2)
        (row, column) in detector pixels, such as those of
        `napari_polmap.diffraction.virtual.center_of_mass`.
    calibration : Calibration
        Its flip, rotation and elliptical distortion are taken back.

    Returns
    -------
    ndarray of float32, shape (..., 2)
        (x, y) in detector pixels: x along the scan's +x (right), y along +y (up, towards smaller
        rows), as the angles of directions are counted.
    """
    rows, columns = np.linalg.inv(calibration.to_detector(crystal_frame=False))
    x = offsets[..., 0] * columns[0] + offsets[..., 1] * columns[1]
    y = -(offsets[..., 0] * rows[0] + offsets[..., 1] * rows[1])
    return np.stack([x, y], axis=-1).astype(np.float32)


def about_mean(vectors: Floats) -> Floats:
    """Vectors ``(y, x, 2)`` less their mean over the scan."""
    finite = vectors[np.isfinite(vectors).all(axis=-1)]
    mean = finite.mean(axis=0, dtype=np.float64) if len(finite) else np.zeros(2)
    return np.asarray(vectors - mean, np.float32)


def magnitude(vectors: Floats) -> Floats:
    """Lengths ``(y, x)`` of vectors ``(y, x, 2)``."""
    return np.asarray(np.hypot(vectors[..., 0], vectors[..., 1]), np.float32)


def color_wheel(vectors: Floats, longest: float | None = None) -> npt.NDArray[np.uint8]:
    """Vectors as colors: their angle as hue, their length as brightness.

    Parameters
    ----------
    vectors : ndarray, shape (y, x, 2)
        (x, y), y up.
    longest : float, optional
        Length shown at full brightness; by default the percentile `FULL_BRIGHTNESS` of the
        lengths.

    Returns
    -------
    ndarray of uint8, shape (y, x, 3)
        The colors of directions (`napari_polmap.directions.angle_color`); black where there is no
        vector.
    """
    lengths = np.nan_to_num(magnitude(vectors))
    if longest is None:
        longest = float(np.percentile(lengths, FULL_BRIGHTNESS)) if lengths.size else 0.0
    angles = np.rad2deg(np.arctan2(np.nan_to_num(vectors[..., 1]), np.nan_to_num(vectors[..., 0])))
    table = np.array([angle_color(angle) for angle in range(360)])
    brightness = np.clip(lengths / (longest or 1.0), 0, 1)
    colors = table[np.rint(angles).astype(int) % 360] * brightness[..., None]
    return np.rint(255 * colors).astype(np.uint8)


def integrated(
    vectors: npt.NDArray[np.floating], step: float = 1.0, high_pass: float = 0.0
) -> Floats:
    """Integrated center of mass: the image whose gradient comes nearest to the vectors.

    Parameters
    ----------
    vectors : ndarray, shape (y, x, 2)
        (x, y), y up; what is not finite counts as zero.
    step : float
        Distance of neighboring positions.
    high_pass : float
        Waves longer than this many times `step` are damped: by half at that length, by ever more
        beyond. 0 keeps them all.

    Returns
    -------
    ndarray of float32, shape (y, x)
        In the vectors' unit times that of `step`; its mean is zero.

    Notes
    -----
    The least-squares solution of Poisson's equation by Fourier transform, after Lazić, Bosch and
    Lazar, Ultramicroscopy 160 (2016) 265. The image is continued by its mirror image at the scan's
    edges (the component across an edge changes its sign there), so that opposite edges need not
    match.
    """
    across = np.nan_to_num(np.asarray(vectors[..., 0], np.float64))
    down = -np.nan_to_num(np.asarray(vectors[..., 1], np.float64))
    rows, columns = across.shape
    # Even for the image, hence odd for the derivative across the mirror.
    across = np.concatenate([across, -across[:, ::-1]], axis=1)
    across = np.concatenate([across, across[::-1]], axis=0)
    down = np.concatenate([down, down[:, ::-1]], axis=1)
    down = np.concatenate([down, -down[::-1]], axis=0)
    ky = np.fft.fftfreq(2 * rows)[:, None]
    kx = np.fft.rfftfreq(2 * columns)[None]
    # At the highest frequency of an even number of samples a derivative has no meaning.
    slope_y, slope_x = (np.where(np.abs(k) == 0.5, 0.0, 2 * np.pi * k) for k in (ky, kx))
    squared = slope_y**2 + slope_x**2
    with np.errstate(divide="ignore", invalid="ignore"):
        spectrum = (slope_y * np.fft.rfft2(down) + slope_x * np.fft.rfft2(across)) / (1j * squared)
    spectrum[squared == 0] = 0
    if high_pass > 0:
        spectrum *= squared / (squared + (2 * np.pi / high_pass) ** 2)
    whole = np.fft.irfft2(spectrum, s=(2 * rows, 2 * columns))
    image = whole[:rows, :columns] * step
    return np.asarray(image - image.mean(), np.float32)
