"""The operators of a scan: the crop follows the beam where the descan moves it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.preprocessing import PatternOperator, Preprocessing
from napari_polmap.diffraction.shifts import Shift, beam_shifts, steps_per_px
from napari_polmap.errors import CalibrationError

_PATTERNS_AT_ONCE = 256
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
        self._moving = calibration.descan_px is not None and any(calibration.descan_px)
        self._plain = self._build(0, 0)
        fitting = _CACHE_BYTES // max(1, _matrix_bytes(self._plain))
        self._cached = lru_cache(int(np.clip(fitting, *_CACHED)))(self._build)
        if self._moving:
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
        for operator, chosen in self._groups(rows, columns, origin):
            for start in range(0, len(patterns if chosen is None else chosen), _PATTERNS_AT_ONCE):
                part = slice(start, start + _PATTERNS_AT_ONCE)
                if chosen is None:
                    features[part] = self._features(operator, patterns[part])
                else:
                    features[chosen[part]] = self._features(operator, patterns, chosen[part])
        return features.reshape(rows, columns, -1)

    def _groups(
        self, rows: int, columns: int, origin: tuple[int, int]
    ) -> Iterator[tuple[PatternOperator, npt.NDArray[np.intp] | None]]:
        """Operators with the positions of a block each is for, flat indices; None: all."""
        if not self._moving:
            yield self._plain, None
            return
        place = slice(origin[0], origin[0] + rows), slice(origin[1], origin[1] + columns)
        step = 1 / self._steps_per_px
        for shift, positions in beam_shifts(self.calibration, *place, self.scan_shape, step):
            yield self.operator_at(shift), np.flatnonzero(positions)

    def _features(
        self,
        operator: PatternOperator,
        patterns: npt.NDArray[Any],
        chosen: npt.NDArray[np.intp] | None = None,
    ) -> npt.NDArray[np.float32]:
        found = operator.apply(patterns, chosen)
        if self._rows is not None and not isinstance(operator.matrix, np.ndarray):
            found = found @ self._rows.T
        return found

    def operator_at(self, shift: Shift) -> PatternOperator:
        """The operator where the beam is shifted by (ky, kx) pixels, a multiple of the step."""
        steps = [round(part * self._steps_per_px) for part in shift]
        if self.bad_pixels is None:
            whole = [round(part / self._steps_per_px) for part in steps]
            rest = [
                part - pixels * self._steps_per_px
                for part, pixels in zip(steps, whole, strict=True)
            ]
            operator = self._cached(rest[0], rest[1]).moved(
                (whole[0], whole[1]), self.detector_shape
            )
            if operator is not None:
                return operator
        return self._cached(steps[0], steps[1])

    def _build(self, down: int, across: int) -> PatternOperator:
        """The operator where the beam is shifted by so many steps."""
        calibration = self.calibration
        if calibration.center_px is not None:
            ky, kx = calibration.center_px
            center = (ky + down / self._steps_per_px, kx + across / self._steps_per_px)
            calibration = dataclasses.replace(calibration, center_px=center)
        operator = self.preprocessing.operator(calibration, self.detector_shape, self.bad_pixels)
        # Bad pixels stay where they are: every shift needs a matrix of its own, used for few
        # patterns, so that merging would cost more than it saves.
        shared = self.bad_pixels is None or not self._moving
        return operator if self._rows is None or not shared else operator.projected(self._rows)

    def _check_corners(self) -> None:
        """Build the operators of the scan's corners, where the beam is farthest away."""
        last = (self.scan_shape[0] - 1, self.scan_shape[1] - 1)
        step = 1 / self._steps_per_px
        for row in {0, last[0]}:
            for column in {0, last[1]}:
                place = slice(row, row + 1), slice(column, column + 1)
                for shift, _ in beam_shifts(self.calibration, *place, self.scan_shape, step):
                    try:
                        self.operator_at(shift)
                    except CalibrationError as error:
                        raise CalibrationError(
                            f"In a corner of the scan, with the beam {shift[0]:.1f} px (ky) and "
                            f"{shift[1]:.1f} px (kx) away by the descan: {error}"
                        ) from error


def _matrix_bytes(operator: PatternOperator) -> int:
    matrix = operator.matrix
    return int(matrix.nbytes if isinstance(matrix, np.ndarray) else matrix.data.nbytes * 2)
