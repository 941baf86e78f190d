"""Groups parted for fitting, early stopping and judging: never the same one in two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Names = npt.NDArray[np.str_]
_TRIES = 50
_PARTS = 8


@dataclass(frozen=True)
class Split:
    """Which groups serve what.

    Parameters
    ----------
    fit : frozenset of str
        The model learns from these.
    early : frozenset of str
        They say when a network stops to learn.
    judged : frozenset of str
        On these probabilities are calibrated and figures measured.
    """

    fit: frozenset[str]
    early: frozenset[str]
    judged: frozenset[str]


def folds(
    groups: Sequence[str],
    directions: Sequence[frozenset[int]],
    count: int,
    rng: np.random.Generator,
) -> list[Split] | None:
    """Each group judged once by a model that has learned from the other folds.

    Parameters
    ----------
    groups : sequence of str
        Of each scan or pattern.
    directions : sequence of frozenset of int
        What each is of.
    count : int
        How many folds, at most one for each group.
    rng : numpy.random.Generator

    Returns
    -------
    list of Split or None
        ``None`` where a fold would lack a direction.
    """
    names = np.unique(groups)
    count = min(count, len(names))
    for parts in range(count, len(names) + 1):
        for _ in range(_TRIES if count > 1 else 0):
            held = [frozenset(part.tolist()) for part in np.array_split(_mixed(names, rng), parts)]
            every = frozenset(names.tolist())
            splits = [Split(every - part, frozenset(), part) for part in held]
            if all(_complete(split.fit, groups, directions) for split in splits):
                return splits
    return None


def held_out(
    groups: Sequence[str],
    directions: Sequence[frozenset[int]],
    share: float,
    rng: np.random.Generator,
) -> Split | None:
    """One split: a share of the groups for early stopping, and another one to be judged.

    Two groups only: one is learned from, the other serves both.

    Parameters
    ----------
    groups, directions, rng
        See `folds`.
    share : float
        Of the groups, at least one.
    """
    names = np.unique(groups)
    part = max(1, round(share * len(names)))
    for _ in range(_TRIES if len(names) > 1 else 0):
        mixed = _mixed(names, rng).tolist()
        judged = frozenset(mixed[:part])
        early = frozenset(mixed[part : 2 * part]) if len(names) > 2 else judged
        fit = frozenset(mixed) - judged - early
        if fit and _complete(fit, groups, directions):
            return Split(fit, early, judged)
    return None


def parts_of_scans(scans: npt.NDArray[np.intp]) -> Names:
    """A part's name for each pattern, where groups cannot be parted: bands of each scan.

    Parameters
    ----------
    scans : ndarray of int, shape (n,)
        Scan of each pattern, those of one scan in the order of its positions.
    """
    names = np.empty(len(scans), dtype="<U8")
    for scan in np.unique(scans):
        here = np.flatnonzero(scans == scan)
        names[here] = [f"part-{k}" for k in np.arange(len(here)) * _PARTS // len(here)]
    return names


def _mixed(names: Names, rng: np.random.Generator) -> Names:
    return rng.permutation(names)


def _complete(
    fit: frozenset[str], groups: Sequence[str], directions: Sequence[frozenset[int]]
) -> bool:
    """Whether the groups hold all directions that there are."""
    there = frozenset[int]().union(
        *(held for group, held in zip(groups, directions, strict=True) if group in fit)
    )
    return there == frozenset[int]().union(*directions)
