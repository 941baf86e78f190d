"""The plain baseline beside the defect score: disagreement of neighboring labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


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
