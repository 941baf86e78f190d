"""A map that needs no classifier."""

from __future__ import annotations

import numpy as np

from napari_polmap.directions import DirectionSet
from napari_polmap.polarization_map import STATUS_CLASSIFIED, PolarizationMap
from napari_polmap.scan import Scan


def filled_map(scan: Scan, seed: int = 0) -> PolarizationMap:
    """RU on the left, LD on the right, MD nowhere; every third column of low confidence."""
    directions = DirectionSet.default()
    made = PolarizationMap.empty(
        scan.scan_shape,
        directions,
        threshold=0.5,
        calibration=scan.calibration,
        scan=scan.identity(),
        classifier={"name": "test", "sha256": "0", "threshold": 0.5},
    )
    rng = np.random.default_rng(seed)
    made.direction[:, :10], made.direction[:, 10:] = 1, 5
    made.status[...] = STATUS_CLASSIFIED
    made.confidence[...] = 0.9
    made.confidence[:, ::3] = 0.3
    made.probabilities[...] = 0.01
    made.novelty[...] = 0.5
    made.defects[...] = rng.normal(size=made.shape)
    made.complete = True
    return made
