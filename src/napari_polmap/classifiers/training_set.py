"""The patterns that training draws from a labelled data set."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers.models.base import Classes
from napari_polmap.classifiers.models.features import Floats
from napari_polmap.classifiers.samples import UNLABELLED, Sampler, quotas
from napari_polmap.classifiers.splits import Names, parts_of_scans
from napari_polmap.directions import DirectionSet
from napari_polmap.errors import DatasetError, TrainingStoppedError
from napari_polmap.io.datasets import LabelledDataset, LabelledScan
from napari_polmap.scan import Scan

_SOME = 4096


@dataclass(frozen=True)
class TrainingSet:
    """Normalized patterns with what is known of each.

    Parameters
    ----------
    patterns : ndarray of float32, shape (n, size * size)
    directions : ndarray of int, shape (n,)
    groups : ndarray of str, shape (n,)
    scans : ndarray of int, shape (n,)
        Index of the scan in the data set.
    electrons : ndarray of float, shape (n,)
        In the windowed pattern; NaN where no counting noise was added.
    """

    patterns: Floats
    directions: Classes
    groups: Names
    scans: npt.NDArray[np.intp]
    electrons: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.patterns)

    def part(self, mask: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> TrainingSet:
        """Some of the patterns."""
        return TrainingSet(*(getattr(self, name)[mask] for name in _FIELDS))

    def of(self, groups: frozenset[str]) -> TrainingSet:
        """Those of some groups."""
        return self.part(np.isin(self.groups, list(groups)))

    def parted(self) -> TrainingSet:
        """With parts of the scans in place of groups."""
        return replace(self, groups=parts_of_scans(self.scans))

    def some(self, rng: np.random.Generator) -> tuple[Floats, Classes]:
        """A few thousand patterns at most, with their directions."""
        chosen = np.sort(rng.permutation(len(self))[:_SOME])
        return self.patterns[chosen], self.directions[chosen]

    def halves(self) -> npt.NDArray[np.bool_]:
        """True for the patterns of every other group."""
        _, number = np.unique(self.groups, return_inverse=True)
        return np.asarray(number % 2 == 0)

    def need_all(self, directions: DirectionSet) -> None:
        """See that there are patterns of every direction.

        Raises
        ------
        DatasetError
            If there are none of one.
        """
        missing = sorted(set(range(len(directions))) - set(self.directions.tolist()))
        if missing:
            raise DatasetError(
                "The data set has no scan of "
                f"{', '.join(directions.names[k] for k in missing)} to learn from; add some, of "
                "two specimens or more, or leave these directions out."
            )

    @classmethod
    def joined(cls, parts: Sequence[TrainingSet]) -> TrainingSet:
        """All patterns of several sets."""
        return cls(*(np.concatenate([getattr(part, n) for part in parts]) for n in _FIELDS))


_FIELDS = tuple(field.name for field in fields(TrainingSet))


def scan_directions(dataset: LabelledDataset) -> list[frozenset[int]]:
    """Indices of the directions that each scan may be of; all of them for a label image.

    Raises
    ------
    DatasetError
        If several directions count as right for a scan.
    """
    found = []
    for entry in dataset.scans:
        if entry.direction is None:
            found.append(frozenset(range(len(dataset.directions))))
        else:
            found.append(frozenset([_single(entry, dataset.directions)]))
    return found


def iter_training_set(
    dataset: LabelledDataset,
    sampler: Sampler,
    most: int | None,
    clean: frozenset[str],
    stop: Callable[[], bool] | None = None,
) -> Generator[tuple[float, str], None, TrainingSet]:
    """Draw the training patterns, scan by scan.

    Parameters
    ----------
    dataset : LabelledDataset
    sampler : Sampler
    most : int or None
        Patterns at most.
    clean : frozenset of str
        Groups whose patterns get their noise later.
    stop : callable, optional
        Asked before each scan.

    Yields
    ------
    share : float
        Of the scans that are read.
    message : str

    Raises
    ------
    DatasetError
        If no pattern can be drawn, or a direction has none.
    TrainingStoppedError
        If `stop` said so.
    """
    told = [" ".join(entry.direction or ("mixed",)) for entry in dataset.scans]
    numbers = quotas(told, sampler.sampling, most, sampler.rng)
    chosen = np.flatnonzero(numbers)
    parts: list[TrainingSet] = []
    for done, index in enumerate(chosen):
        yield done / len(chosen), f"reading scan {done + 1:,} of {len(chosen):,}"
        if stop is not None and stop():
            raise TrainingStoppedError(
                f"Training was stopped after {done} of {len(chosen)} scans were read, before there "
                "was anything to keep; start it again."
            )
        entry = dataset.scans[index]
        scan = entry.open()
        drawn = sampler.draw(
            scan,
            _truth(entry, scan, dataset.directions),
            int(numbers[index]),
            noise=entry.group not in clean,
        )
        count = len(drawn.patterns)
        parts.append(
            TrainingSet(
                drawn.patterns,
                drawn.directions,
                np.full(count, entry.group),
                np.full(count, index, dtype=np.intp),
                drawn.electrons,
            )
        )
    every = TrainingSet.joined(parts)
    every.need_all(dataset.directions)
    return every


def _truth(entry: LabelledScan, scan: Scan, directions: DirectionSet) -> int | Classes:
    """Direction of a scan, or of each of its positions."""
    if entry.direction is not None:
        return _single(entry, directions)
    mask = entry.truth_mask(directions, scan.scan_shape)
    return np.where(mask.any(axis=-1), mask.argmax(axis=-1), UNLABELLED)


def _single(entry: LabelledScan, directions: DirectionSet) -> int:
    if entry.direction is None or len(entry.direction) != 1:
        raise DatasetError(
            f"{entry.path.name} has no single direction, which training needs; give it "
            'direction = "NAME" or a label image, or leave the scan out.'
        )
    return directions.index(entry.direction[0])
