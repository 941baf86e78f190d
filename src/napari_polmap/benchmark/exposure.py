"""The scans of a test: chosen by their conditions, exposed to a number of electrons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.benchmark.protocol import Test, fits
from napari_polmap.errors import DatasetError
from napari_polmap.io.datasets import LabelledDataset, LabelledScan, load_dataset
from napari_polmap.scan import Scan
from napari_polmap.simulation.noise import poisson_counts

_SAMPLED = 256


@dataclass(frozen=True)
class ExposedScan(LabelledScan):
    """A noise-free scan as it is recorded with few electrons.

    Parameters
    ----------
    dose : float
        Mean number of electrons on the detector per pattern.
    seed : int
        Of the noise: each position has its own, whatever is read together.
    """

    dose: float = 1.0
    seed: int = 0

    def open(self) -> Scan:
        """The scan, lazily, with counting noise.

        Raises
        ------
        ScanError, DatasetError
            If it cannot be read, or holds whole counts, which have their noise already.
        """
        scan = super().open()
        if scan.dtype.kind in "iu":
            raise DatasetError(
                f"{self.path.name} holds whole counts, which have noise already; expose noise-free "
                "patterns, or leave `dose` out."
            )
        counts = _Counts(scan, self.dose, self.seed)
        return Scan(
            counts,
            scan.calibration,
            path=scan.path,
            name=scan.name,
            metadata=scan.metadata,
            warnings=scan.warnings,
            bad_pixels=scan.bad_pixels,
            storage=scan.storage,
            reading=scan.reading,
        )


class _Counts:
    """Electron counts of a scan's patterns, drawn when they are read."""

    dtype = np.dtype(np.uint32)
    ndim = 4

    def __init__(self, scan: Scan, dose: float, seed: int) -> None:
        self._scan, self._dose, self._seed = scan, dose, seed
        self.shape = scan.shape
        sampled = scan.strided(_SAMPLED).astype(np.float64)
        self._incident = float(sampled.sum(axis=(-2, -1)).mean())

    def __getitem__(self, key: Any) -> npt.NDArray[np.uint32]:
        rows, columns, *detector = key
        places = [
            range(*part.indices(n)) for part, n in zip((rows, columns), self.shape, strict=False)
        ]
        block = self._scan.read(*(slice(place.start, place.stop) for place in places))[
            :: places[0].step, :: places[1].step
        ]
        counts = np.empty(block.shape, self.dtype)
        for y, row in enumerate(places[0]):
            for x, column in enumerate(places[1]):
                rng = np.random.default_rng([self._seed, row, column])
                counts[y, x] = poisson_counts(block[y, x], self._dose, rng, self._incident)
        return counts[(slice(None), slice(None), *detector)]


def scans_of(test: Test, seed: int = 0) -> LabelledDataset:
    """The scans of a test.

    Parameters
    ----------
    test : Test
    seed : int
        Of the noise.

    Raises
    ------
    DatasetError
        If the data set cannot be read, or no scan fits `Test.select`.
    """
    dataset = load_dataset(test.data.path, test.data.root)
    chosen = dataset.scans if test.scan is None else dataset.scans[test.scan : test.scan + 1]
    scans = [entry for entry in chosen if fits(entry.conditions, test.select)]
    if not scans:
        wanted = ", ".join(f"{name} = {value}" for name, value in test.select.items())
        raise DatasetError(
            f"{test.data.path.name} has no scan with {wanted}; change `select` of the test "
            f"{test.name!r}."
        )
    if test.dose is not None:
        scans = [exposed(entry, test.dose, seed + index) for index, entry in enumerate(scans)]
    return replace(dataset, name=test.name, scans=tuple(scans))


def exposed(entry: LabelledScan, dose: float, seed: int) -> ExposedScan:
    """A noise-free scan of a data set as it is recorded with `dose` electrons a pattern."""
    values = {**entry.__dict__, "conditions": {**entry.conditions, "dose": dose}}
    return ExposedScan(**values, dose=dose, seed=seed)
