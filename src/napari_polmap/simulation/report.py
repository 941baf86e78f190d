"""Whether anything but the polarization tells the directions of a data set apart.

A classifier that is given the conditions of a scan alone (specimen, tilt, thickness, defocus,
magnitude), and no pattern, must not do better on specimens that it has not seen than by guessing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import DatasetError
from napari_polmap.io.datasets import LabelledDataset, LabelledScan

_LEVEL = 0.99
_FOLDS = 5
_LEAST_GROUPS = 2
_TILT = ("tilt_mrad", "tilt_azimuth_deg")
_OF_CALIBRATION = (
    "energy_kv",
    "semi_angle_mrad",
    "lattice_nm",
    "rotation_deg",
    "crystal_angle_deg",
)
_TREES = 200


@dataclass(frozen=True)
class Association:
    """How much a condition has to do with the direction.

    Parameters
    ----------
    condition : str
        Its name.
    strength : float
        0 for none, 1 where the direction follows from it: the share of a number's variance between
        the directions (η²), or Cramér's V of a word.
    p_value : float
        How often chance alone gives as much (Kruskal and Wallis, or χ²).
    """

    condition: str
    strength: float
    p_value: float


@dataclass(frozen=True)
class Report:
    """Whether conditions tell the directions apart.

    Parameters
    ----------
    runs, groups, directions : int
        Simulations (all thicknesses of one count once), specimens and directions.
    accuracy : float or None
        Of the classifier that sees the conditions alone, on other specimens; ``None`` where there
        are too few.
    interval : tuple of float or None
        Its 99 % binomial interval (Wilson). In cross-validation two runs that are alike count
        twice, each testing what was learned from the other: half as many runs are reckoned with.
    chance : float
        Accuracy of guessing.
    associations : tuple of Association
        Of each condition that varies.
    balanced : bool
        Every specimen has every direction, at the same thicknesses.
    """

    runs: int
    groups: int
    directions: int
    accuracy: float | None
    interval: tuple[float, float] | None
    chance: float
    associations: tuple[Association, ...]
    balanced: bool

    @property
    def confounded(self) -> tuple[str, ...]:
        """What tells the directions apart though it must not: conditions, or all together."""
        found = [
            a.condition
            for a in self.associations
            if a.p_value < (1 - _LEVEL) / max(1, len(self.associations))
        ]
        if self.interval is not None and self.interval[0] > self.chance:
            found.append("all conditions together")
        return tuple(found)

    def sentence(self) -> str:
        """The result in one sentence."""
        if self.accuracy is None or self.interval is None:
            return (
                f"{self.groups} specimen{'s' * (self.groups != 1)} cannot show whether conditions "
                "tell the directions apart; simulate more."
            )
        low, high = self.interval
        figures = (
            f"{100 * self.accuracy:.1f} % right from the conditions alone (99 % interval "
            f"{100 * low:.1f} to {100 * high:.1f} %, chance {100 * self.chance:.1f} %)"
        )
        if self.confounded:
            return (
                f"Directions can be told by {', '.join(self.confounded)}: {figures}; "
                "draw these independently of the direction."
            )
        return f"Nothing but the polarization tells the directions apart: {figures}."

    def markdown(self, name: str) -> str:
        """The report as a text with a table."""
        balance = (
            "Every specimen is there with every direction at the same thicknesses."
            if self.balanced
            else "Not every specimen is there with every direction at the same thicknesses."
        )
        about = (
            f"{self.runs} runs of {self.groups} specimens with {self.directions} directions; "
            "thicknesses of a run count once. The classifier is a random forest of the conditions "
            "below, tested on specimens that it was not trained on."
        )
        lines = [
            f"# {name}: what tells the directions apart",
            "",
            self.sentence(),
            "",
            about,
            "",
            balance,
            "",
            "| condition | strength (0 to 1) | p |",
            "|---|---|---|",
            *(f"| {a.condition} | {a.strength:.3f} | {a.p_value:.2g} |" for a in self.associations),
        ]
        return "\n".join(lines) + "\n"


def confounders(dataset: LabelledDataset) -> Report:
    """See whether anything but the polarization tells a data set's directions apart.

    Parameters
    ----------
    dataset : LabelledDataset
        Scans of one direction each, with their conditions.

    Raises
    ------
    DatasetError
        If a scan has no single direction, or there are fewer than two directions.
    """
    for scan in dataset.scans:
        if scan.direction is None or len(scan.direction) != 1:
            raise DatasetError(
                f"{scan.path.name} has no single direction; the conditions of whole scans are "
                "compared only where each has one."
            )
    labels = {scan.direction[0] for scan in dataset.scans if scan.direction}
    if len(labels) < 2:
        raise DatasetError(
            "Whether conditions tell directions apart takes two directions at least, but the data "
            f"set has {len(labels)}."
        )
    runs = _runs(dataset.scans)
    names = sorted({name for row in runs for name in row.conditions})
    direction = np.array([run.direction for run in runs])
    groups = np.array([run.group for run in runs])
    columns = {name: [run.conditions.get(name) for run in runs] for name in names}
    varying = {name: values for name, values in columns.items() if len(set(values)) > 1}
    accuracy, interval = _accuracy(varying, direction, groups)
    _, counts = np.unique(direction, return_counts=True)
    return Report(
        runs=len(runs),
        groups=len(set(groups)),
        directions=len(counts),
        accuracy=accuracy,
        interval=interval,
        chance=float(counts.max() / counts.sum()),
        associations=tuple(_association(name, v, direction) for name, v in varying.items()),
        balanced=_balanced(dataset.scans),
    )


@dataclass(frozen=True)
class _Run:
    direction: str
    group: str
    conditions: dict[str, Any]


def _runs(scans: Sequence[LabelledScan]) -> list[_Run]:
    """One for all thicknesses of the same simulation."""
    found: dict[str, _Run] = {}
    for scan in scans:
        assert scan.direction is not None
        conditions: dict[str, Any] = {
            **{name: scan.calibration.get(name, 0.0) for name in _OF_CALIBRATION},
            **scan.conditions,
        }
        conditions.pop("thickness_nm", None)
        if "tilt_mrad" in conditions and "tilt_azimuth_deg" in conditions:
            length, azimuth = (conditions.pop(name) for name in _TILT)
            conditions["tilt_x_mrad"] = length * math.cos(math.radians(azimuth))
            conditions["tilt_y_mrad"] = length * math.sin(math.radians(azimuth))
        plain = {k: v for k, v in conditions.items() if isinstance(v, int | float | str)}
        run = _Run(scan.direction[0], scan.group, plain)
        found.setdefault(repr(run), run)
    return list(found.values())


def _balanced(scans: Sequence[LabelledScan]) -> bool:
    kinds: dict[tuple[str, tuple[str, ...] | None], list[str]] = {}
    for scan in scans:
        thickness = scan.conditions.get("thickness_nm")
        kinds.setdefault((scan.group, scan.direction), []).append(repr(thickness))
    every = {direction for _, direction in kinds}
    groups = {group for group, _ in kinds}
    return all(
        len({tuple(sorted(kinds.get((group, direction), []))) for direction in every}) == 1
        for group in groups
    )


def _accuracy(
    columns: dict[str, list[Any]], direction: npt.NDArray[Any], groups: npt.NDArray[Any]
) -> tuple[float | None, tuple[float, float] | None]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import GroupKFold, cross_val_predict

    count = len(set(groups))
    if count < _LEAST_GROUPS or not columns:
        return None, None
    features = np.column_stack([_numbers(values) for values in columns.values()])
    model = RandomForestClassifier(_TREES, min_samples_leaf=2, random_state=0)
    folds = GroupKFold(min(_FOLDS, count))
    guessed = cross_val_predict(model, features, direction, groups=groups, cv=folds)
    right = int((guessed == direction).sum())
    return right / len(direction), _wilson(right / len(direction), len(direction) / 2)


def _wilson(share: float, count: float) -> tuple[float, float]:
    """Wilson's interval of a share of so many trials."""
    from statistics import NormalDist

    z = NormalDist().inv_cdf((1 + _LEVEL) / 2)
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + (z / count / 2) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)


def _numbers(values: list[Any]) -> npt.NDArray[np.float64]:
    """A column as numbers; words as columns of their own, what is missing as NaN."""
    if any(isinstance(value, str) for value in values):
        words = sorted({str(value) for value in values})
        return np.array([[float(str(value) == word) for word in words] for value in values])
    return np.array([[math.nan if value is None else float(value)] for value in values])


def _association(name: str, values: list[Any], direction: npt.NDArray[Any]) -> Association:
    from scipy.stats import chi2_contingency, kruskal

    kinds = np.unique(direction)
    if any(isinstance(value, str) or value is None for value in values):
        words = np.array([str(value) for value in values])
        table = np.array(
            [
                [(words[direction == kind] == word).sum() for word in np.unique(words)]
                for kind in kinds
            ]
        )
        chi2, p_value, *_ = chi2_contingency(table)
        least = min(table.shape) - 1
        return Association(name, math.sqrt(chi2 / (table.sum() * least)), float(p_value))
    numbers = np.array(values, float)
    parts = [numbers[direction == kind] for kind in kinds]
    mean = numbers.mean()
    between = sum(len(part) * (part.mean() - mean) ** 2 for part in parts)
    total = ((numbers - mean) ** 2).sum()
    _, p_value = kruskal(*parts)
    return Association(name, float(between / total) if total else 0.0, float(p_value))
