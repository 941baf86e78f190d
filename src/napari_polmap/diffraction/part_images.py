"""Virtual images and centers of mass of a bounded part of a scan, to measure its calibration in."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.diffraction.detectors import preset_mask
from napari_polmap.scan import Scan

Floats = npt.NDArray[np.float64]
Region = tuple[slice, slice]

PART_BYTES = 512 * 2**20
"""Of patterns that are read to measure something, at most."""
_LONGEST_SIDE = 192
"""Positions along the part's sides, at most: more would make no measurement better that counts."""
_PIECE_BYTES = 8 * 2**20
_COM_RADII = 1.5
"""The center of mass counts what lies within this many radii of the disk: the overlaps of disks,
but not the noise of all pixels far out."""


@dataclass(frozen=True)
class PartImages:
    """Images of a rectangle of positions.

    Parameters
    ----------
    region : tuple of slice
        Its rows and columns in the scan.
    virtual : dict of str to ndarray, shape (y, x)
        Bright field; annular bright and dark field as shares of it and plain (those that the
        detector has); the sum of all pixels where the disk is not known.
    center_of_mass : ndarray, shape (y, x, 2)
        (ky, kx) in detector pixels, from any origin.
    """

    region: Region
    virtual: dict[str, Floats]
    center_of_mass: Floats

    def stack(self) -> Floats:
        """All images and both components of the center of mass, shape ``(n, y, x)``."""
        return np.stack([*self.virtual.values(), *np.moveaxis(self.center_of_mass, 2, 0)])


def middle_region(scan: Scan, most_bytes: int = PART_BYTES) -> Region:
    """A rectangle in the middle of the scan, about square, that holds at most so many bytes."""
    positions = max(1, most_bytes // (int(np.prod(scan.detector_shape)) * scan.dtype.itemsize))
    rows, columns = scan.scan_shape
    side = int(np.sqrt(positions))
    height = min(rows, _LONGEST_SIDE, max(side, positions // min(columns, _LONGEST_SIDE)))
    width = min(columns, _LONGEST_SIDE, max(1, positions // height))
    top, left = (rows - height) // 2, (columns - width) // 2
    return slice(top, top + height), slice(left, left + width)


def iter_part_images(
    scan: Scan, region: Region | None = None
) -> Generator[tuple[int, int], None, PartImages]:
    """Images of a part of the scan, piece by piece.

    Parameters
    ----------
    scan : Scan
    region : tuple of slice, optional
        Rows and columns; by default `middle_region`. A larger part than that is cut to it.

    Yields
    ------
    tuple of int
        Positions done, and all of them.

    Returns
    -------
    PartImages
        Positions that are not finite hold the mean of the others.
    """
    rows, columns = _bounded(scan, region)
    names, weights = _weights(scan)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    sums = np.zeros((len(weights), *shape))
    total, done = shape[0] * shape[1], 0
    for part in _pieces(scan, (rows, columns)):
        block = scan.read(*part)
        patterns = np.ascontiguousarray(block, np.float32).reshape(-1, weights.shape[1])
        place = tuple(
            slice(p.start - r.start, p.stop - r.start)
            for p, r in zip(part, (rows, columns), strict=True)
        )
        sums[(slice(None), *place)] = (patterns @ weights.T).T.reshape(-1, *block.shape[:2])
        done += block.shape[0] * block.shape[1]
        yield done, total
    virtual = dict(zip(names, sums[: len(names)], strict=True))
    if "annular bright field" in virtual:
        virtual["annular bright field"] = _share(
            virtual["annular bright field"], virtual["bright field"]
        )
    mass, *moments = sums[len(names) :]
    center_of_mass = np.stack([_share(moment, mass) for moment in moments], axis=-1)
    return PartImages(
        (rows, columns),
        {name: _filled(image) for name, image in virtual.items()},
        np.stack([_filled(center_of_mass[..., k]) for k in range(2)], axis=-1),
    )


def _bounded(scan: Scan, region: Region | None) -> Region:
    if region is None:
        return middle_region(scan)
    rows, columns = (
        slice(*part.indices(n)[:2]) for part, n in zip(region, scan.scan_shape, strict=True)
    )
    most = PART_BYTES // (int(np.prod(scan.detector_shape)) * scan.dtype.itemsize)
    width = min(columns.stop - columns.start, _LONGEST_SIDE)
    height = min(rows.stop - rows.start, _LONGEST_SIDE, max(1, most // max(1, width)))
    top = rows.start + (rows.stop - rows.start - height) // 2
    left = columns.start + (columns.stop - columns.start - width) // 2
    return slice(top, top + height), slice(left, left + width)


def _weights(scan: Scan) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Names of the virtual images, and the weights of these, of the mass and of its moments."""
    calibration, shape = scan.calibration, scan.detector_shape
    ky, kx = np.indices(shape, dtype=np.float32)
    if calibration.center_px is None or calibration.radius_px is None:
        near = np.ones(shape, np.float32)
        masks = {"sum": near}
        middle = ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    else:
        kinds = ("bright field", "annular bright field", "annular dark field")
        masks = {kind: preset_mask(kind, calibration, shape) for kind in kinds}
        masks = {kind: mask for kind, mask in masks.items() if mask.any()}
        middle = calibration.center_px
        distance = np.hypot(ky - middle[0], kx - middle[1]) / calibration.radius_px
        near = (distance < _COM_RADII).astype(np.float32)
    layers = [*masks.values(), near, near * (ky - middle[0]), near * (kx - middle[1])]
    stack = np.stack(layers)
    if scan.bad_pixels is not None:
        stack = np.where(scan.bad_pixels, 0, stack)
    return list(masks), np.asarray(stack.reshape(len(stack), -1), np.float32)


def _pieces(scan: Scan, region: Region) -> Iterator[Region]:
    """The region's blocks, cut so that a float32 copy stays small."""
    row_bytes = int(np.prod(scan.detector_shape)) * 4
    for rows, columns in scan.blocks(region):
        height = max(1, _PIECE_BYTES // (row_bytes * (columns.stop - columns.start)))
        for top in range(rows.start, rows.stop, height):
            yield slice(top, min(rows.stop, top + height)), columns


def _share(part: Floats, whole: Floats) -> Floats:
    return np.asarray(part / np.where(whole == 0, 1, whole))


def _filled(image: Floats) -> Floats:
    finite = np.isfinite(image)
    if finite.all():
        return image
    return np.where(finite, image, image[finite].mean() if finite.any() else 0.0)
