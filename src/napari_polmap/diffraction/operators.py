"""The operators of a scan: the crop follows the beam where the descan moves it."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.preprocessing import PatternOperator, Preprocessing
from napari_polmap.diffraction.shifts import nearest_good, shift_groups, steps_per_px
from napari_polmap.errors import CalibrationError

_CROP_BYTES = 4 * 2**20
"""Crops of so many patterns at once: what stays in the processor's cache is a third faster."""
_CACHE_BYTES = 64 * 2**20
_CACHED = (64, 1024)


class BeamOperators:
    """What turns the patterns of one scan into features, wherever the beam stands.

    Without a descan it is one operator. With one there is an operator for each shift of the beam
    in steps; those that differ by whole pixels share a matrix.

    Parameters
    ----------
    preprocessing : Preprocessing
    calibration : Calibration
    scan_shape, detector_shape : (int, int)
    bad_pixels : ndarray of bool, optional
    rows : ndarray, shape (f, size * size), optional
        Linear features of the resampled patterns instead of these themselves.

    Raises
    ------
    CalibrationError
        See `Preprocessing.operator`; with a descan also where the crop reaches beyond the detector
        in a corner of the scan.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        calibration: Calibration,
        scan_shape: tuple[int, int],
        detector_shape: tuple[int, int],
        bad_pixels: npt.NDArray[np.bool_] | None = None,
        rows: npt.NDArray[Any] | None = None,
    ) -> None:
        self.preprocessing = preprocessing
        self.calibration = calibration
        self.scan_shape = scan_shape
        self.detector_shape = detector_shape
        self.bad_pixels = bad_pixels
        self._rows = None if rows is None else np.asarray(rows, np.float32)
        self._steps_per_px = steps_per_px(calibration)
        self._plain = self._merged(preprocessing.operator(calibration, detector_shape, bad_pixels))
        self._moving = calibration.descan_px is not None and any(calibration.descan_px)
        fitting = _CACHE_BYTES // max(1, _matrix_bytes(self._plain))
        self._cached = lru_cache(int(np.clip(fitting, *_CACHED)))(self._build)
        self._repairs: npt.NDArray[np.intp] | None = None
        if self._moving:
            self._repairs = None if bad_pixels is None else nearest_good(bad_pixels)
            self._check_corners()

    def projected(self, rows: npt.NDArray[Any]) -> BeamOperators:
        """The same with linear features ``(f, size * size)`` of the resampled patterns."""
        return BeamOperators(
            self.preprocessing, self.calibration, self.scan_shape, self.detector_shape,
            self.bad_pixels, rows,
        )  # fmt: skip

    @property
    def size(self) -> int:
        """Rows and columns of the resampled pattern."""
        return self.preprocessing.size

    @property
    def count(self) -> int:
        """Features of a pattern."""
        return self.size**2 if self._rows is None else len(self._rows)

    def apply(
        self, block: npt.NDArray[Any], origin: tuple[int, int] = (0, 0)
    ) -> npt.NDArray[np.float32]:
        """Features of a block of patterns.

        Parameters
        ----------
        block : ndarray, shape (y, x, ky, kx)
        origin : (int, int)
            Row and column in the scan of the block's first position.

        Returns
        -------
        ndarray of float32, shape (y, x, f)
        """
        rows, columns = block.shape[:2]
        patterns = block.reshape(rows * columns, *block.shape[2:])
        features = np.empty((len(patterns), self.count), np.float32)
        place = slice(origin[0], origin[0] + rows), slice(origin[1], origin[1] + columns)
        step = 1 / self._steps_per_px
        for steps, chosen in shift_groups(self.calibration, *place, self.scan_shape, step):
            operator = self._at(steps)
            if isinstance(chosen, slice):
                at_once = max(1, _CROP_BYTES // operator.crop_bytes)
                for start in range(0, len(patterns), at_once):
                    part = slice(start, start + at_once)
                    features[part] = operator.apply(patterns[part])
            else:
                features[chosen] = operator.apply(patterns, chosen)
        return features.reshape(rows, columns, -1)

    def _at(self, steps: tuple[int, int]) -> PatternOperator:
        """The operator where the beam is shifted by (ky, kx) steps."""
        if not self._moving:
            return self._plain
        whole = [round(part / self._steps_per_px) for part in steps]
        rest = [
            part - pixels * self._steps_per_px for part, pixels in zip(steps, whole, strict=True)
        ]
        operator = self._cached(rest[0], rest[1]).moved((whole[0], whole[1]), self.detector_shape)
        if operator is None:
            operator = self._cached(steps[0], steps[1])
        if self._repairs is None:
            return operator
        inside = np.ones(self._repairs.shape[1], bool)
        for places, part in zip(self._repairs[:2], operator.box, strict=True):
            inside &= (places >= part.start) & (places < part.stop)
        return dataclasses.replace(operator, repairs=self._repairs[:, inside])

    def _build(self, down: int, across: int) -> PatternOperator:
        """The operator where the beam is shifted by so many steps.

        It knows of no bad pixels: these stay where they are when the operator moves, and are
        repaired in the patterns instead.
        """
        assert self.calibration.center_px is not None
        ky, kx = self.calibration.center_px
        center = (ky + down / self._steps_per_px, kx + across / self._steps_per_px)
        calibration = dataclasses.replace(self.calibration, center_px=center)
        return self._merged(self.preprocessing.operator(calibration, self.detector_shape))

    def _merged(self, operator: PatternOperator) -> PatternOperator:
        return operator if self._rows is None else operator.projected(self._rows)

    def _check_corners(self) -> None:
        """Build the operators of the scan's corners, where the beam is farthest away."""
        last = (self.scan_shape[0] - 1, self.scan_shape[1] - 1)
        step = 1 / self._steps_per_px
        for row in {0, last[0]}:
            for column in {0, last[1]}:
                place = slice(row, row + 1), slice(column, column + 1)
                for steps, _ in shift_groups(self.calibration, *place, self.scan_shape, step):
                    try:
                        self._at(steps)
                    except CalibrationError as error:
                        raise CalibrationError(
                            f"In a corner of the scan, with the beam {steps[0] * step:.1f} px (ky) "
                            f"and {steps[1] * step:.1f} px (kx) away by the descan: {error}"
                        ) from error


def _matrix_bytes(operator: PatternOperator) -> int:
    matrix = operator.matrix
    return int(matrix.nbytes if isinstance(matrix, np.ndarray) else matrix.data.nbytes * 2)
