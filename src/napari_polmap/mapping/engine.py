"""The engine: a scan, read once in strips of rows, becomes a polarization map."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.analysis.defects import robust_z
from napari_polmap.classifiers.classifier import Classifier
from napari_polmap.classifiers.predictor import BlockPrediction
from napari_polmap.diffraction.measure import check_data
from napari_polmap.directions import NOT_COMPUTED
from napari_polmap.errors import MapError, ScanError
from napari_polmap.io.maps import MapWriter, load_map
from napari_polmap.mapping.run import Region, RunSetup, bands, predictions, strips
from napari_polmap.polarization_map import (
    STATUS_CLASSIFIED,
    STATUS_EDGE_WINDOW,
    STATUS_NO_DATA,
    PolarizationMap,
)
from napari_polmap.scan import Scan
from napari_polmap.steps import finish

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
    return finish(iter_classify(scan, classifier, out=out, **options), progress)


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
        If the scan cannot be read, holds nothing, or the map cannot be written.
    """
    check_data(scan)
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
        classifier={
            **classifier.describe(),
            "window_used_cells": setup.window_cells,
            "bad_pixels_sha256": scan.bad_pixels_sha256,
        },
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
        for columns in bands(wanted[1], width)
        for rows in parts
        if not result.status[rows, columns].all()
    ]
    try:
        with closing(predictions(scan, setup, pending)) as outcomes:
            start, done = time.monotonic(), 0
            total = sum((r.stop - r.start) * (c.stop - c.start) for r, c in pending)
            yield Progress(0, total, None, None, result, None)
            for read, rows, columns, outcome in outcomes:
                done += read
                if outcome is None:
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
        "confidence": np.where(covered, prediction.probabilities.max(axis=-1), np.nan).astype(
            np.float32
        ),
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
    if (
        rows.step != 1
        or columns.step != 1
        or rows.start >= rows.stop
        or columns.start >= columns.stop
    ):
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
    # Looked at first: the writer marks the map incomplete.
    earlier = load_map(out)
    masked = result.classifier["bad_pixels_sha256"]  # maps of earlier versions do not tell
    same = (
        earlier.scan.same_data(result.scan)
        and earlier.classifier.get("sha256") == result.classifier["sha256"]
        and earlier.classifier.get("window_used_cells") == result.classifier["window_used_cells"]
        and earlier.calibration == result.calibration
        and earlier.classifier.get("bad_pixels_sha256", masked) == masked
    )
    if not same:
        raise MapError(
            f"The map at {out} was made from another scan, calibration, classifier or window, so "
            "that it cannot be continued; choose another output, or start anew without resuming."
        )
    writer = MapWriter.resume(out)
    return writer, writer.map


def _left(start: float, done: int, total: int) -> float | None:
    return (time.monotonic() - start) * (total - done) / done if done else None


def _versions() -> dict[str, str]:
    names = ("napari-polmap", "numpy", "scipy", "scikit-learn", "zarr")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
