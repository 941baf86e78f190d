from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.directions import DirectionSet
from napari_polmap.polarization_map import (
    STATUS_BY_HAND,
    STATUS_CLASSIFIED,
    STATUS_EDGE_WINDOW,
    PolarizationMap,
)
from napari_polmap.scan import ScanIdentity

MapFactory = Callable[..., PolarizationMap]


@pytest.fixture
def make_map() -> MapFactory:
    """A map of two domains, the right one of weak confidence in its upper half.

    The first position was not computed, the last was set by hand.
    """

    def make(
        rows: int = 6,
        columns: int = 10,
        *,
        directions: DirectionSet | None = None,
        step_nm: float | None = 0.05,
        **attributes: Any,
    ) -> PolarizationMap:
        directions = directions or DirectionSet.default()
        result = PolarizationMap.empty(
            (rows, columns),
            directions,
            **{
                "threshold": 0.8,
                "calibration": Calibration(step_nm=step_nm),
                "scan": ScanIdentity(
                    "/data/wall.hspy", 1, 1, (rows, columns, 8, 8), "uint16", "abc"
                ),
                "classifier": {"name": "default", "sha256": "0123"},
                "complete": True,
                **attributes,
            },
        )
        right = np.zeros((rows, columns), dtype=bool)
        right[:, columns // 2 :] = True
        weak = right.copy()
        weak[rows // 2 :] = False
        result.direction[:] = np.where(right, 1, 0)
        result.confidence[:] = np.where(weak, 0.5, 0.9)
        result.status[:] = STATUS_CLASSIFIED
        result.status[:, 0] |= STATUS_EDGE_WINDOW
        rest = (1 - result.confidence) / (len(directions) - 1)
        result.probabilities[:] = rest[..., None]
        np.put_along_axis(
            result.probabilities,
            result.direction[..., None].astype(int),
            result.confidence[..., None].astype(np.float16),
            axis=-1,
        )
        result.novelty[:] = 0.5
        result.defects[:] = np.linspace(-1, 9, rows * columns).reshape(rows, columns)
        for array, nothing in (
            (result.direction, 255),
            (result.status, 0),
            (result.probabilities, 0),
            (result.confidence, np.nan),
            (result.novelty, np.nan),
            (result.defects, np.nan),
        ):
            array[0, 0] = nothing
        result.status[-1, -1] = STATUS_BY_HAND
        result.confidence[-1, -1] = np.nan
        return result

    return make
