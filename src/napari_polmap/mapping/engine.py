"""The engine: a scan, read once in strips of rows, becomes a polarization map."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.analysis.defects import DefectScorer, robust_z
from napari_polmap.calibration import Calibration
from napari_polmap.classifiers.classifier import BlockPrediction, Classifier, Predictor
from napari_polmap.classifiers.matching import mismatches, step_warning, unknowns
from napari_polmap.directions import NOT_COMPUTED
from napari_polmap.errors import CalibrationError, ClassifierMismatchError, MapError, ScanError
from napari_polmap.io.maps import MapWriter
from napari_polmap.polarization_map import (
    STATUS_CLASSIFIED,
    STATUS_EDGE_WINDOW,
    STATUS_NO_DATA,
    PolarizationMap,
)
from napari_polmap.scan import CHUNK_BYTES, Scan

Region = tuple[slice, slice]
"""Rows and columns of a rectangle of positions."""

_BUFFER_BYTES = 192 * 2**20
_LEAST_STRIPS = 12
_SMALL_SCAN_BYTES = 512 * 2**20
_NOVEL_SHARE = 0.3
"""Share of positions beyond the training data's 99th percentile from which a scan is foreign."""


@dataclass(frozen=True)
class Progress:
    """How far the engine is.

    Parameters
    ----------
    done, total : int
        Positions read, and to be read.
    rows, columns : slice or None
        Positions of the map that have just been filled.
    map : PolarizationMap
        The growing map.
    remaining_s : float or None
        Expected remaining time in seconds.
    """

    done: int
    total: int
    rows: slice | None
    columns: slice | None
    map: PolarizationMap
    remaining_s: float | None


def classify(
    scan: Scan,
    classifier: Classifier,
    out: str | Path | None = None,
    *,
    progress: Callable[[Progress], object] | None = None,
    **options: Any,
) -> PolarizationMap:
    """Classify a scan.

    Parameters
    ----------
    scan : Scan
    classifier : Classifier
    out : str or Path, optional
        Zarr group in which the map grows while it is computed.
    progress : callable, optional
        Called with each `Progress`.
    **options
        See `iter_classify`.

    Returns
    -------
    PolarizationMap
    """
    steps = iter_classify(scan, classifier, out=out, **options)
    while True:
        try:
            step = next(steps)
        except StopIteration as finished:
            result: PolarizationMap = finished.value
            return result
        if progress is not None:
            progress(step)


def iter_classify(
    scan: Scan,
    classifier: Classifier,
    *,
    region: Region | None = None,
    window: float | None = None,
    threshold: float | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
) -> Generator[Progress, None, PolarizationMap]:
    """Classify a scan step by step.

    Closing the generator keeps what is done: the map, and its file, stay marked incomplete.

    Parameters
    ----------
    scan : Scan
    classifier : Classifier
    region : (slice, slice), optional
        Rows and columns to compute; the neighbors their windows need are read as well.
    window : float, optional
        Width of the window in unit cells instead of the classifier's own; 0 for single patterns.
    threshold : float, optional
        Confidence below which a position is undecided, instead of the classifier's own.
    out : str or Path, optional
        Zarr group in which the map grows.
    resume : bool
        Continue the incomplete map at `out`.
    force : bool
        Classify although the scan lies outside the classifier's card; the map says so.

    Yields
    ------
    Progress
        The first with nothing done and the empty map.

    Raises
    ------
    ClassifierMismatchError
        If the classifier does not apply to the scan.
    CalibrationError
        If the window needs the scan step and it is not known, or the disk is not known.
    ScanError, MapError
        If the scan cannot be read or the map not be written.
    """
    setup = RunSetup.of(scan, classifier, window, force)
    wanted = _checked_region(region, scan.scan_shape)
    parts = list(strips(scan, wanted[0]))
    width = setup.band_width(parts, scan.scan_shape)
    result = PolarizationMap.empty(
        scan.scan_shape,
        classifier.directions,
        threshold=classifier.threshold if threshold is None else float(threshold),
        calibration=setup.calibration,
        scan=scan.identity(),
        classifier={**classifier.describe(), "window_used_cells": setup.window_cells},
        warnings=list(setup.warnings),
        confidence_calibrated=setup.calibrated,
        software=_versions(),
    )
    writer = None
    if out is not None:
        block = (parts[0].stop - parts[0].start, min(width, scan.scan_shape[1]))
        writer, result = _open_writer(out, result, block, resume)
    raw_defects = result.defects.copy()
    pending = [
        (rows, columns)
        for columns in _bands(wanted[1], width)
        for rows in parts
        if not result.status[rows, columns].all()
    ]
    try:
        with closing(predictions(scan, setup, pending)) as outcomes:
            start, done = time.monotonic(), 0
            total = sum((r.stop - r.start) * (c.stop - c.start) for r, c in pending)
            yield Progress(0, total, None, None, result, None)
            for read, rows, columns, outcome in outcomes:
                if outcome is None:
                    done = min(total, done + read)
                    yield Progress(done, total, None, None, result, _left(start, done, total))
                    continue
                prediction, scores = outcome
                _fill(result, rows, columns, prediction)
                raw_defects[rows, columns] = scores
                result.defects[rows, columns] = scores
                if writer is not None:
                    writer.write_block(rows, columns)
                result.defects[...] = robust_z(raw_defects)
                yield Progress(done, total, rows, columns, result, _left(start, done, total))
        _note_novelty(result)
        result.complete = True
        if writer is not None:
            # The file held raw defect scores so far: their scale is known only now.
            writer.write_block(slice(0, scan.shape[0]), slice(0, scan.shape[1]))
            writer.finish()
    finally:
        result.defects[...] = robust_z(raw_defects)
    return result


@dataclass(frozen=True)
class RunSetup:
    """What stays the same over one run: calibration, predictor, defect scorer, warnings."""

    predictor: Predictor
    scorer: DefectScorer
    calibration: Calibration
    window_cells: float
    warnings: tuple[str, ...]
    calibrated: bool

    @classmethod
    def of(
        cls, scan: Scan, classifier: Classifier, window: float | None, force: bool
    ) -> RunSetup:
        calibration = classifier.calibration_of(scan)
        warnings = list(scan.warnings)
        foreign = mismatches(classifier.card, calibration)
        if foreign and not force:
            raise ClassifierMismatchError(
                f"The classifier {classifier.name!r} does not apply to this scan: "
                f"{' '.join(foreign)} Choose or train another classifier, or correct the "
                "calibration."
            )
        warnings += foreign
        unknown = unknowns(classifier.card, calibration)
        if unknown:
            warnings.append(
                f"The scan does not tell its {' and '.join(unknown)}, so that it could not be "
                "checked against the classifier."
            )
        step = step_warning(classifier.card, calibration)
        warnings += [step] if step else []
        window_cells = classifier.window_cells if window is None else float(window)
        if not (np.isfinite(window_cells) and 0 <= window_cells <= 20):
            raise CalibrationError(
                f"The window's width must be 0 to 20 unit cells, but is {window_cells}; correct it."
            )
        if window_cells and calibration.cell_positions is None:
            raise CalibrationError(
                "The window is one or more unit cells wide, but the scan step is not known; give "
                "it (--step NM, or in the Scan section), or use a window of 0 cells."
            )
        shapes = scan.scan_shape, scan.detector_shape
        predictor = classifier.predictor(calibration, *shapes, scan.bad_pixels, window_cells)
        scorer = DefectScorer.of(calibration, *shapes, scan.bad_pixels)
        return cls(
            predictor, scorer, calibration, window_cells, tuple(warnings),
            not (foreign or unknown or step),
        )  # fmt: skip

    @property
    def halo(self) -> tuple[int, int]:
        """Neighboring positions needed on each side."""
        mine, other = self.predictor.halo, self.scorer.halo
        return max(mine[0], other[0]), max(mine[1], other[1])

    def features(
        self, block: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Features of both, side by side, and which positions have data."""
        features, valid = self.predictor.features(block)
        return np.concatenate([features, self.scorer.features(block)], axis=-1), valid

    def predict(
        self,
        features: npt.NDArray[np.float32],
        valid: npt.NDArray[np.bool_],
        inner: tuple[slice, slice],
    ) -> tuple[BlockPrediction, npt.NDArray[np.float32]]:
        """Prediction and raw defect score of the inner positions."""
        split = features.shape[-1] - self.scorer.operator.matrix.shape[0]
        prediction = self.predictor.predict_features(features[..., :split], valid, inner)
        return prediction, self.scorer.score(features[..., split:], valid, inner)

    @property
    def _feature_bytes(self) -> int:
        merged = self.predictor.classifier.preprocessing.normalization == "sum"
        own = self.predictor.classifier.model.features.linear_count + 1
        size = self.predictor.operator.matrix.shape[0]
        return 4 * ((own if merged else size) + self.scorer.operator.matrix.shape[0])

    def band_width(self, parts: list[slice], scan_shape: tuple[int, int]) -> int:
        """Columns of a band whose features, with the halo, fit the buffer."""
        height = max(strip.stop - strip.start for strip in parts) + 2 * self.halo[0]
        fitting = _BUFFER_BYTES // (height * self._feature_bytes) - 2 * self.halo[1]
        return int(min(scan_shape[1], max(32, fitting)))


def predictions(
    scan: Scan, setup: RunSetup, pending: list[Region]
) -> Iterator[tuple[int, slice, slice, tuple[BlockPrediction, npt.NDArray[np.float32]] | None]]:
    """Read each band from top to bottom once, keeping the features of the rows still needed."""
    halo_y, halo_x = setup.halo
    rows_total, columns_total = scan.scan_shape
    band, buffer, known, first = None, None, None, 0
    for rows, columns in pending:
        top, bottom = max(0, rows.start - halo_y), min(rows_total, rows.stop + halo_y)
        left, right = max(0, columns.start - halo_x), min(columns_total, columns.stop + halo_x)
        if band != columns or buffer is None or top > first + len(buffer):
            band, first = columns, top
            buffer = known = None
        else:
            assert known is not None
            buffer, known = buffer[top - first :], known[top - first :]
            first = top
        begin = first + (0 if buffer is None else len(buffer))
        if begin < bottom:
            fresh, valid = [], []
            reading = slice(begin, bottom)
            pieces = list(_pieces(scan, reading, slice(left, right)))
            share = (rows.stop - rows.start) * (columns.stop - columns.start) / len(pieces)
            for index, part in enumerate(pieces):
                features, usable = setup.features(scan.read(*part))
                fresh.append((part, features))
                valid.append(usable)
                counted = int((index + 1) * share) - int(index * share)
                yield counted, rows, columns, None
            shape = (bottom - begin, right - left)
            added = np.empty((*shape, fresh[0][1].shape[-1]), np.float32)
            added_known = np.empty(shape, bool)
            for (part, features), usable in zip(fresh, valid, strict=True):
                place = (
                    slice(part[0].start - begin, part[0].stop - begin),
                    slice(part[1].start - left, part[1].stop - left),
                )
                added[place], added_known[place] = features, usable
            buffer = added if buffer is None else np.concatenate([buffer, added])
            known = added_known if known is None else np.concatenate([known, added_known])
        else:
            yield (rows.stop - rows.start) * (columns.stop - columns.start), rows, columns, None
        assert buffer is not None and known is not None
        inner = (
            slice(rows.start - first, rows.stop - first),
            slice(columns.start - left, columns.stop - left),
        )
        used = slice(0, bottom - first)
        yield 0, rows, columns, setup.predict(buffer[used], known[used], inner)


def _pieces(scan: Scan, rows: slice, columns: slice) -> Iterator[Region]:
    """Rectangles to read at once: within the chunks, and not too large."""
    pattern_bytes = int(np.prod(scan.detector_shape)) * scan.dtype.itemsize
    for part_rows, part_columns in scan.blocks((rows, columns)):
        width = part_columns.stop - part_columns.start
        height = max(1, CHUNK_BYTES // (pattern_bytes * width))
        for top in range(part_rows.start, part_rows.stop, height):
            yield slice(top, min(part_rows.stop, top + height)), part_columns


def strips(scan: Scan, rows: slice) -> Iterator[slice]:
    """Rows of one step of the map: the chunks' rows, finer for small scans, so that they show."""
    heights = scan.data.chunks[0]
    finest = max(heights)
    if len(heights) < _LEAST_STRIPS and scan.nbytes < _SMALL_SCAN_BYTES:
        finest = max(1, -(-scan.shape[0] // _LEAST_STRIPS))
    top = 0
    for height in heights:
        for start in range(top, top + height, finest):
            low, high = max(start, rows.start), min(start + finest, top + height, rows.stop)
            if low < high:
                yield slice(low, high)
        top += height


def _bands(columns: slice, width: int) -> Iterator[slice]:
    for left in range(columns.start, columns.stop, width):
        yield slice(left, min(columns.stop, left + width))


def _fill(
    result: PolarizationMap, rows: slice, columns: slice, prediction: BlockPrediction
) -> None:
    """Write a prediction into the map's arrays."""
    for name, values in map_values(prediction).items():
        getattr(result, name)[rows, columns] = values


def map_values(prediction: BlockPrediction) -> dict[str, npt.NDArray[Any]]:
    """A prediction as values of a map's arrays."""
    covered = prediction.covered
    status = np.where(covered, STATUS_CLASSIFIED, STATUS_NO_DATA)
    direction = prediction.probabilities.argmax(axis=-1)
    return {
        "direction": np.where(covered, direction, NOT_COMPUTED).astype(np.uint8),
        "status": (status | np.where(prediction.slid, STATUS_EDGE_WINDOW, 0)).astype(np.uint8),
        "probabilities": prediction.probabilities.astype(np.float16),
        "confidence": np.where(
            covered, prediction.probabilities.max(axis=-1), np.nan
        ).astype(np.float32),
        "novelty": prediction.novelty,
    }


def _note_novelty(result: PolarizationMap) -> None:
    """Warn where the scan does not look like the training data."""
    known = np.isfinite(result.novelty)
    if not known.any():
        result.warnings.append("No position of this scan holds data, so that nothing is mapped.")
        result.confidence_calibrated = False
        return
    share = float(np.mean(result.novelty[known] > 1))
    if share > _NOVEL_SHARE:
        result.warnings.append(
            f"{share:.0%} of the positions do not look like the classifier's training data (1 % "
            "would be usual), so that directions and confidence cannot be relied on."
        )
        result.confidence_calibrated = False


def _checked_region(region: Region | None, shape: tuple[int, int]) -> Region:
    if region is None:
        return slice(0, shape[0]), slice(0, shape[1])
    rows, columns = (slice(*part.indices(n)) for part, n in zip(region, shape, strict=True))
    if rows.step != 1 or columns.step != 1 or rows.start >= rows.stop or columns.start >= columns.stop:
        raise ScanError(
            f"The region {region[0].start}:{region[0].stop},{region[1].start}:{region[1].stop} "
            f"holds no position of this scan of {shape[0]} x {shape[1]}; give "
            "Y0:Y1,X0:X1 within it."
        )
    return rows, columns


def _open_writer(
    out: str | Path, result: PolarizationMap, block: tuple[int, int], resume: bool
) -> tuple[MapWriter, PolarizationMap]:
    if not resume or not Path(out).exists():
        return MapWriter(out, result, block), result
    writer = MapWriter.resume(out)
    earlier = writer.map
    same = (
        earlier.scan.same_data(result.scan)
        and earlier.classifier.get("sha256") == result.classifier["sha256"]
        and earlier.classifier.get("window_used_cells") == result.classifier["window_used_cells"]
        and earlier.calibration == result.calibration
    )
    if not same:
        raise MapError(
            f"The map at {out} was made from another scan, calibration, classifier or window, so "
            "that it cannot be continued; choose another output, or start anew without resuming."
        )
    earlier.complete = False
    return writer, earlier


def _left(start: float, done: int, total: int) -> float | None:
    return (time.monotonic() - start) * (total - done) / done if done else None


def _versions() -> dict[str, str]:
    names = ("napari-polmap", "numpy", "scipy", "scikit-learn", "zarr")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
