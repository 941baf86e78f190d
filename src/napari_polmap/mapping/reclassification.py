"""Classify some positions of a map again, as a step that can be undone."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers.classifier import Classifier
from napari_polmap.errors import MapError
from napari_polmap.mapping.engine import Progress, map_values
from napari_polmap.mapping.run import RunSetup, predictions, strips
from napari_polmap.polarization_map import HistoryStep, PolarizationMap
from napari_polmap.scan import Scan
from napari_polmap.steps import finish


def reclassify(
    polarization_map: PolarizationMap,
    scan: Scan,
    region_mask: npt.NDArray[np.bool_],
    classifier: Classifier,
    **options: Any,
) -> PolarizationMap:
    """A copy of a map with some positions classified again; see `iter_reclassify`."""
    changed = polarization_map.copy()
    changed.apply(
        finish(iter_reclassify(polarization_map, scan, region_mask, classifier, **options))
    )
    return changed


def iter_reclassify(
    polarization_map: PolarizationMap,
    scan: Scan,
    region_mask: npt.NDArray[np.bool_],
    classifier: Classifier,
    *,
    window: float | None = None,
    threshold: float | None = None,
    force: bool = False,
) -> Generator[Progress, None, HistoryStep]:
    """Classify the positions of a mask again; the map itself is not touched.

    Parameters
    ----------
    polarization_map : PolarizationMap
    scan : Scan
        The scan the map belongs to.
    region_mask : ndarray of bool, shape (y, x)
    classifier : Classifier
        With the same directions as the map's.
    window : float, optional
        Width of the window in unit cells instead of the classifier's own.
    threshold : float, optional
        For these positions only: confidence below which they are undecided.
    force : bool
        Although the scan lies outside the classifier's card.

    Yields
    ------
    Progress

    Returns
    -------
    HistoryStep
        To be given to `PolarizationMap.apply`.

    Raises
    ------
    MapError
        If the mask is empty or of another shape, the scan is another one, or the directions differ.
    ClassifierMismatchError
        If the classifier does not apply to the scan.
    """
    rows, columns = _bounding(polarization_map, region_mask)
    if classifier.directions != polarization_map.directions:
        raise MapError(
            f"The classifier {classifier.name!r} has other directions "
            f"({', '.join(classifier.directions.names)}) than the map "
            f"({', '.join(polarization_map.directions.names)}); choose one with the same."
        )
    if not scan.identity().same_data(polarization_map.scan):
        raise MapError(
            f"The map was not made from {scan.name}, so that it cannot be changed with it; open "
            "the scan it was made from."
        )
    setup = RunSetup.of(scan, classifier, window, force)
    inside = region_mask[rows, columns]
    after: dict[str, npt.NDArray[Any]] = {
        name: getattr(polarization_map, name)[rows, columns].copy()
        for name in ("direction", "status", "probabilities", "confidence", "novelty")
    }
    after["local_threshold"] = np.full(inside.shape, np.nan, np.float32)
    if threshold is not None:
        after["local_threshold"][...] = threshold
    parts = [(part, columns) for part in strips(scan, rows)]
    total, done = inside.size, 0
    with closing(predictions(scan, setup, parts)) as outcomes:
        for read, part, _, outcome in outcomes:
            done += read
            if outcome is not None:
                place = slice(part.start - rows.start, part.stop - rows.start)
                for name, values in map_values(outcome[0]).items():
                    after[name][place] = values
            yield Progress(done, total, None, None, polarization_map, None)
    return HistoryStep(
        action=f"Reclassified {np.count_nonzero(inside)} positions with {classifier.name}",
        parameters={
            "classifier": classifier.name,
            "sha256": classifier.sha256,
            "window_cells": setup.window_cells,
            "threshold": threshold,
            "warnings": list(setup.warnings),
        },
        rows=(rows.start, rows.stop),
        columns=(columns.start, columns.stop),
        mask=inside.copy(),
        before={
            name: getattr(polarization_map, name)[rows, columns][inside].copy() for name in after
        },
        after={name: values[inside] for name, values in after.items()},
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _bounding(
    polarization_map: PolarizationMap, mask: npt.NDArray[np.bool_]
) -> tuple[slice, slice]:
    if mask.shape != polarization_map.shape:
        raise MapError(
            f"The region's mask has shape {mask.shape}, but the map has {polarization_map.shape}; "
            "draw it over this map."
        )
    if not mask.any():
        raise MapError("The region holds no position of the map; draw it over the map.")
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
