"""A first image of a scan at once, from as few positions as can be read at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_polmap.diffraction.detectors import BRIGHT_FIELD, Weighting, preset
from napari_polmap.errors import CalibrationError
from napari_polmap.scan import Scan

Image = npt.NDArray[np.float32]

MOST_BYTES = 24 * 2**20
"""Read for a preview at most."""
MOST_POSITIONS, FEWEST_POSITIONS = 4096, 64


def preview_positions(scan: Scan) -> int:
    """How many spread positions can be read at once; 0 where too few for an image.

    Positions that are stored together, such as in a compressed chunk, are read together.
    """
    total = scan.scan_shape[0] * scan.scan_shape[1]
    if scan.nbytes <= MOST_BYTES:
        return min(total, MOST_POSITIONS)
    rows, columns = scan.storage or (1, 1)
    affordable = MOST_BYTES // (scan.nbytes // total * rows * columns)
    return 0 if affordable < FEWEST_POSITIONS else int(min(affordable, MOST_POSITIONS))


def preview_image(scan: Scan, detector: Weighting | Image) -> Image:
    """The image of a virtual detector from a part of the positions, shape ``(y, x)``.

    NaN (transparent) where the file cannot be read in part quickly.
    """
    from napari_polmap.diffraction.virtual import preview

    positions = preview_positions(scan)
    if not positions:
        return np.full(scan.scan_shape, np.nan, np.float32)
    return np.array(preview(scan, detector, positions=positions), np.float32)


def first_image(scan: Scan) -> Image:
    """Bright field where the disk is known, else the whole detector's sum, as a preview."""
    try:
        return preview_image(scan, preset(BRIGHT_FIELD, scan.calibration))
    except CalibrationError:
        return preview_image(scan, np.ones(scan.detector_shape, np.float32))
