"""A map as a table: one line per probe position."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import NOT_COMPUTED
from napari_polmap.export.colors import PROBABILITY_PREFIX
from napari_polmap.export.files import ending, replacing
from napari_polmap.polarization_map import (
    STATUS_BY_HAND,
    STATUS_CLASSIFIED,
    STATUS_EDGE_WINDOW,
    STATUS_EXCLUDED,
    STATUS_MASK,
    STATUS_NO_DATA,
    STATUS_NOT_COMPUTED,
    PolarizationMap,
)

STATUS_NAMES = {
    STATUS_NOT_COMPUTED: "not computed",
    STATUS_CLASSIFIED: "classified",
    STATUS_BY_HAND: "by hand",
    STATUS_EXCLUDED: "excluded",
    STATUS_NO_DATA: "no data",
}
"""A position's status in words."""

_COLUMNS = (
    "y",
    "x",
    "y_nm",
    "x_nm",
    "direction",
    "angle_deg",
    "confidence",
    "novelty",
    "defects",
    "status",
    "edge_window",
    "undecided",
)


def export_csv(
    polarization_map: PolarizationMap, path: str | Path, *, threshold: float | None = None
) -> Path:
    """Write a map as a table with one line per probe position, row by row of the scan.

    Columns: ``y``, ``x`` (row and column), ``y_nm``, ``x_nm`` (empty without a scan step),
    ``direction`` (name of the most probable one), ``angle_deg`` (counter-clockwise from +x on the
    displayed scan), ``confidence``, ``novelty``, ``defects``, ``status``, ``edge_window`` and
    ``undecided`` (1 or 0), and one ``p_<name>`` for each direction's probability. Cells without a
    value are empty.

    Parameters
    ----------
    polarization_map : PolarizationMap
    path : str or Path
        File ending in ``.csv``.
    threshold : float, optional
        Confidence below which a position is undecided, instead of the map's own.

    Raises
    ------
    ExportError
        If the ending is another one or the file cannot be written.
    """
    path = Path(path).expanduser()
    ending(path, ("csv",), "a table")
    shown = polarization_map.shown_directions
    names = np.array([*shown.names, *[""] * (NOT_COMPUTED + 1 - len(shown))], dtype=object)
    angles = np.full(NOT_COMPUTED + 1, np.nan)
    angles[: len(shown)] = [np.nan if a is None else a for a in shown.angles_deg]
    undecided = (polarization_map.labels(threshold) == NOT_COMPUTED) & polarization_map.computed
    with replacing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*_COLUMNS, *(PROBABILITY_PREFIX + name for name in shown.names)])
        for y in range(polarization_map.shape[0]):
            direction = polarization_map.direction[y]
            columns = [
                *_place(polarization_map, y),
                names[direction],
                _numbers(angles[direction], 6),
                _numbers(polarization_map.confidence[y], 6),
                _numbers(polarization_map.novelty[y], 6),
                _numbers(polarization_map.defects[y], 6),
                [STATUS_NAMES[int(s)] for s in polarization_map.status[y] & STATUS_MASK],
                [int(s & STATUS_EDGE_WINDOW != 0) for s in polarization_map.status[y]],
                undecided[y].astype(int),
            ]
            probabilities = polarization_map.probabilities[y].astype(float)
            probabilities[direction == NOT_COMPUTED] = np.nan
            columns += [_numbers(column, 4) for column in probabilities.T]
            writer.writerows(zip(*columns, strict=True))
    return path


def _place(polarization_map: PolarizationMap, y: int) -> list[list[Any]]:
    """Columns ``y``, ``x``, ``y_nm``, ``x_nm`` of one row of the map."""
    number = polarization_map.shape[1]
    step = polarization_map.calibration.step_nm
    x = list(range(number))
    if step is None:
        return [[y] * number, x, [""] * number, [""] * number]
    across = [f"{column * step:.6g}" for column in x]
    return [[y] * number, x, [f"{y * step:.6g}"] * number, across]


def _numbers(values: npt.NDArray[Any], digits: int) -> list[str]:
    # NaN is what differs from itself; asking NumPy about each number would take most of the time.
    return ["" if value != value else f"{value:.{digits}g}" for value in values.tolist()]
