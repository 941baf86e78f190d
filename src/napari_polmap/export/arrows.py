"""Arrows over a map: one per block of positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import NOT_COMPUTED
from napari_polmap.polarization_map import PolarizationMap


@dataclass(frozen=True)
class Arrows:
    """Arrows over a map.

    Parameters
    ----------
    positions : ndarray of float, shape (n, 2)
        Middle of each arrow as (y, x) in probe positions.
    vectors : ndarray of float, shape (n, 2)
        Unit vectors (dy, dx) on the displayed scan image.
    directions : ndarray of int, shape (n,)
        Index of the direction.
    block : int
        Positions along a block's side: the distance between arrows.
    """

    positions: npt.NDArray[np.float64]
    vectors: npt.NDArray[np.float64]
    directions: npt.NDArray[np.int64]
    block: int


def block_arrows(
    polarization_map: PolarizationMap,
    *,
    threshold: float | None = None,
    most: int = 400,
    block: int | None = None,
) -> Arrows:
    """One arrow per square block of positions, in the direction most of them have.

    A block where most positions are undecided or not computed, or whose direction has no angle,
    has no arrow, and neither has a rest of less than half a block at the edge.

    Parameters
    ----------
    polarization_map : PolarizationMap
    threshold : float, optional
        Confidence below which a position is undecided, instead of the map's own.
    most : int
        Number of blocks at most.
    block : int, optional
        Side of a block in positions, instead of the smallest that keeps to `most`.
    """
    labels = polarization_map.labels(threshold)
    rows, columns = labels.shape
    if block is None:
        block = max(1, int(np.ceil(np.sqrt(rows * columns / most))))
        while -(-rows // block) * -(-columns // block) > most:
            block += 1
    down, across = _blocks(rows, block), _blocks(columns, block)
    number = len(polarization_map.directions)
    # The last column counts what is not shown.
    shown = np.where(labels == NOT_COMPUTED, number, labels.astype(np.int64))
    index = down.index[:, None] * len(across.size) + across.index
    total = len(down.size) * len(across.size)
    counts = np.bincount((index * (number + 1) + shown).ravel(), minlength=total * (number + 1))
    counts = counts.reshape(total, number + 1)
    direction = counts[:, :number].argmax(axis=1)
    vectors = polarization_map.shown_directions.vectors[direction]
    decided = counts[:, :number].sum(axis=1) * 2 > counts.sum(axis=1)
    whole = (down.whole[:, None] & across.whole).ravel()
    keep = decided & whole & np.isfinite(vectors).all(axis=1)
    middle = np.stack(np.meshgrid(down.middle, across.middle, indexing="ij"), axis=-1)
    return Arrows(middle.reshape(-1, 2)[keep], vectors[keep], direction[keep], block)


@dataclass(frozen=True)
class _Blocks:
    """Blocks along one axis: of each position its block; of each block size and middle."""

    index: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    middle: npt.NDArray[np.float64]
    whole: npt.NDArray[np.bool_]


def _blocks(length: int, block: int) -> _Blocks:
    index = np.arange(length) // block
    size = np.bincount(index)
    start = np.arange(len(size)) * block
    # A rest of less than half a block at the edge would crowd the arrow before it.
    whole = (size * 2 >= block) | (len(size) == 1)
    return _Blocks(index, size, start + (size - 1) / 2, whole)
