"""What a direction rests on: the raw pattern, the pattern the classifier saw, the class means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers.classifier import Classifier
from napari_polmap.errors import MapError
from napari_polmap.scan import Scan


@dataclass(frozen=True)
class Evidence:
    """Evidence for one position, or for the mean pattern of a region.

    Parameters
    ----------
    pattern : ndarray, shape (ky, kx)
        Raw pattern, or the region's mean.
    seen : ndarray of float32, shape (size, size)
        The cropped, windowed, normalized pattern the classifier saw, in the crystal's frame; NaN
        where there is no data.
    class_means : ndarray of float32, shape (n_directions, size, size)
        Mean training pattern of each direction.
    probabilities : ndarray of float32, shape (n_directions,)
    direction : int or None
        Index of the most probable direction; ``None`` where there is no data.
    confidence : float
        Its probability.
    """

    pattern: npt.NDArray[Any]
    seen: npt.NDArray[np.float32]
    class_means: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    direction: int | None
    confidence: float


def evidence(
    scan: Scan, classifier: Classifier, position: tuple[int, int], *, window: float | None = None
) -> Evidence:
    """Evidence at a probe position.

    Parameters
    ----------
    scan : Scan
    classifier : Classifier
    position : (int, int)
        Row and column.
    window : float, optional
        Width of the window in unit cells, instead of the classifier's own.

    Raises
    ------
    MapError
        If the position lies outside the scan.
    CalibrationError
        If the disk is not known or the crop reaches beyond the detector.
    """
    y, x = position
    rows, columns = scan.scan_shape
    if not (0 <= y < rows and 0 <= x < columns):
        raise MapError(
            f"Position ({y}, {x}) lies outside the scan of {rows} x {columns} positions; choose "
            "one within it."
        )
    calibration = classifier.calibration_of(scan)
    predictor = classifier.predictor(
        calibration, scan.scan_shape, scan.detector_shape, scan.bad_pixels, window
    )
    halo_y, halo_x = predictor.halo
    top, bottom = max(0, y - halo_y), min(rows, y + halo_y + 1)
    left, right = max(0, x - halo_x), min(columns, x + halo_x + 1)
    block = scan.read(slice(top, bottom), slice(left, right))
    halo = ((y - top, bottom - y - 1), (x - left, right - x - 1))
    seen, covered = predictor.seen(block, halo, (top, left))
    prediction = predictor.predict_block(block, halo, (top, left))
    return _evidence(
        classifier, block[y - top, x - left], seen[0, 0], prediction.probabilities[0, 0],
        bool(covered[0, 0]),
    )  # fmt: skip


def region_evidence(
    scan: Scan, classifier: Classifier, mean_pattern: npt.NDArray[np.floating[Any]]
) -> Evidence:
    """Evidence for a pattern averaged already, such as a region's mean.

    Parameters
    ----------
    scan : Scan
    classifier : Classifier
    mean_pattern : ndarray, shape (ky, kx)
        With the beam at the calibration's center: with a descan, patterns are shifted there before
        they are averaged, see `napari_polmap.diffraction.shifts.centered`.
    """
    calibration = classifier.calibration_of(scan)
    predictor = classifier.predictor(calibration, (1, 1), scan.detector_shape, scan.bad_pixels, 0.0)
    block = np.asarray(mean_pattern)[None, None]
    none = ((0, 0), (0, 0))
    seen, covered = predictor.seen(block, none)
    prediction = predictor.predict_block(block, none)
    return _evidence(
        classifier, block[0, 0], seen[0, 0], prediction.probabilities[0, 0], bool(covered[0, 0])
    )


def _evidence(
    classifier: Classifier,
    pattern: npt.NDArray[Any],
    seen: npt.NDArray[np.float32],
    probabilities: npt.NDArray[np.float32],
    covered: bool,
) -> Evidence:
    return Evidence(
        pattern=pattern,
        seen=seen if covered else np.full_like(seen, np.nan),
        class_means=classifier.class_means,
        probabilities=probabilities,
        direction=int(probabilities.argmax()) if covered else None,
        confidence=float(probabilities.max()) if covered else float("nan"),
    )
