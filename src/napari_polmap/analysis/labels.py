"""Label images: their interior, and the disagreement of neighbors as a plain baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import NOT_COMPUTED


def label_disagreement(direction: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Share of the eight neighbors that have another direction.

    Parameters
    ----------
    direction : ndarray of int, shape (y, x)

    Returns
    -------
    ndarray of float32, shape (y, x)
        0 to 1; at the scan's edge over the neighbors that are there.
    """
    padded = np.pad(direction.astype(np.int16), 1, constant_values=-1)
    rows, columns = direction.shape
    differs = np.zeros(direction.shape, np.float32)
    there = np.zeros(direction.shape, np.float32)
    for dy in range(3):
        for dx in range(3):
            if (dy, dx) == (1, 1):
                continue
            neighbor = padded[dy : dy + rows, dx : dx + columns]
            there += neighbor >= 0
            differs += (neighbor >= 0) & (neighbor != direction)
    return np.asarray(differs / np.maximum(there, 1), np.float32)


def interior(
    labels: npt.NDArray[np.uint8], defects: npt.NDArray[np.bool_], distance: float
) -> npt.NDArray[np.bool_]:
    """Positions further than a distance from every wall and defect.

    Parameters
    ----------
    labels : ndarray of uint8, shape (y, x)
        Directions; 255 where not labelled: such a position belongs to the nearest domain.
    defects : ndarray of bool, shape (y, x)
    distance : float
        In probe positions.
    """
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(
        labels == NOT_COMPUTED, return_distances=False, return_indices=True
    )
    domains = labels[tuple(nearest)]
    inner = np.ones(labels.shape, dtype=bool)
    for index in np.unique(domains):
        domain = domains == index
        # Half a position, because the wall lies between two positions.
        if not domain.all():
            inner[domain] &= distance_transform_edt(domain)[domain] - 0.5 > distance
    if defects.any():
        inner &= distance_transform_edt(~defects) > distance
    return inner
