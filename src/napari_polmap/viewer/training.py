"""What is chosen before a training, what a data set offers for it; no Qt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from napari_polmap.classifiers import Recipe, list_classifiers, read_recipe
from napari_polmap.classifiers.card import conditions_of
from napari_polmap.classifiers.library import check_name, user_folder
from napari_polmap.classifiers.model_settings import learns_by_epochs
from napari_polmap.classifiers.models import DEFAULT_MODEL, OBJECTIVES, model_class
from napari_polmap.classifiers.recipes import preset_of
from napari_polmap.directions import DirectionSet
from napari_polmap.errors import ClassifierError, DatasetError
from napari_polmap.io.datasets import LabelledDataset, load_dataset
from napari_polmap.viewer.card import card_lines

_CALIBRATION = ("energy_kv", "semi_angle_mrad", "lattice_nm", "step_nm")
_SIZE = 32
_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Choices:
    """Everything the user chooses before a training.

    Parameters
    ----------
    dataset : str
        Path of the labelled data set's TOML file.
    name : str
        The classifier's.
    model, objective : str
        See `napari_polmap.classifiers.iter_train`.
    preset : str
        Name of the recipe; only a name where `recipe_file` is given.
    recipe_file : str or None
        A recipe instead of the preset's.
    seeds : tuple of int
        Several make an ensemble.
    vote : str or None
        How an ensemble speaks; the recipe's where it is ``None``.
    weights : str or None
        File that a network begins from.
    device : str
    max_patterns : int or None
    """

    dataset: str
    name: str
    model: str = DEFAULT_MODEL
    objective: str = "classification"
    preset: str = "robust"
    recipe_file: str | None = None
    seeds: tuple[int, ...] = (0,)
    vote: str | None = None
    weights: str | None = None
    device: str = "auto"
    max_patterns: int | None = None

    @property
    def by_epochs(self) -> bool:
        """Whether a network learns."""
        return learns_by_epochs([self.model])

    def recipe(self) -> Recipe:
        """The recipe that is learned by.

        Raises
        ------
        DatasetError
            If it cannot be read or is not possible.
        """
        path = self.recipe_file
        chosen = preset_of(self.preset) if path is None else read_recipe(path)
        if self.vote is not None:
            chosen = replace(chosen, vote=self.vote)
        if self.max_patterns is not None:
            chosen = replace(chosen, max_patterns=self.max_patterns)
        chosen.settings_of(self.model)
        return chosen

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "seeds": list(self.seeds)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Choices:
        """Inverse of `to_dict`."""
        return cls(**{**values, "seeds": tuple(int(seed) for seed in values["seeds"])})


@dataclass(frozen=True)
class DatasetSummary:
    """What a labelled data set holds, for people.

    Parameters
    ----------
    path : Path
    name : str
    directions : DirectionSet
    counts : str
        Scans, specimens and directions.
    ranges : tuple of str
        Of the microscope's values and the stated conditions, one a line.
    warnings : tuple of str
        What makes a training fail, or its figures too good.
    """

    path: Path
    name: str
    directions: DirectionSet
    counts: str
    ranges: tuple[str, ...]
    warnings: tuple[str, ...]


def summarize(path: Path) -> DatasetSummary:
    """Read a data set's TOML file and tell what it holds.

    Raises
    ------
    DatasetError
        If it cannot be read.
    """
    dataset = load_dataset(path)
    groups = len({entry.group for entry in dataset.scans})
    names = dataset.directions.names
    counts = (
        f"{_counted(len(dataset.scans), 'scan')} of {_counted(groups, 'specimen')}, "
        f"{_counted(len(names), 'direction')}: {', '.join(names)}"
    )
    return DatasetSummary(
        path,
        dataset.name,
        dataset.directions,
        counts,
        tuple(_ranges(dataset)),
        tuple(_warnings(dataset)),
    )


def _ranges(dataset: LabelledDataset) -> list[str]:
    found: dict[str, Any] = {}
    for key in _CALIBRATION:
        known = [entry.calibration[key] for entry in dataset.scans if key in entry.calibration]
        if known:
            found[key] = _range(known)
    for key, values in conditions_of(dataset).items():
        found[key] = _range([float(value) for value in values if value == value])
    return card_lines(found)


def _range(values: Sequence[float]) -> float | list[float]:
    low, high = float(min(values)), float(max(values))
    return low if low == high else [low, high]


def _warnings(dataset: LabelledDataset) -> list[str]:
    told = []
    missing = [entry.path for entry in dataset.scans if not entry.path.exists()]
    if missing:
        told.append(
            f"{_counted(len(missing), 'scan')} of {len(dataset.scans):,} cannot be found, such as "
            f"{missing[0]}; check `root` in the data set's file."
        )
    groups: dict[str, set[str]] = {name: set() for name in dataset.directions.names}
    for entry in dataset.scans:
        for name in dataset.directions.names if entry.direction is None else entry.direction:
            groups[name].add(entry.group)
    without = [name for name, there in groups.items() if not there]
    if without:
        told.append(
            f"There is no scan of {', '.join(without)}; add some, or leave these directions out."
        )
    elif min(map(len, groups.values())) < 2:
        told.append(
            "Some direction is of one specimen only, so that the figures will be of patterns of "
            "the same specimens as the training's, and too good; add scans of other specimens."
        )
    return told


def objective_reasons(model: str, directions: DirectionSet | None) -> dict[str, str]:
    """Why an objective cannot be chosen, for each of `OBJECTIVES`; empty where it can.

    Parameters
    ----------
    model : str
    directions : DirectionSet or None
        The data set's, where one is chosen.
    """
    if not learns_by_epochs([model]):
        told = f"{model} fits the directions in one step; only networks have an objective."
        return {name: "" if name == OBJECTIVES[0] else told for name in OBJECTIVES}
    reasons = dict.fromkeys(OBJECTIVES, "")
    for name in OBJECTIVES if directions is not None else ():
        try:
            model_class(model)(directions, size=_SIZE, objective=name)
        except ClassifierError as error:
            reasons[name] = str(error)
    return reasons


def seeds_from(text: str) -> tuple[int, ...]:
    """Seeds from a text such as ``888, 1212``.

    Raises
    ------
    DatasetError
        If there is none, one twice, or something else.
    """
    parts = [part for part in re.split(r"[\s,;]+", text) if part]
    if not parts or not all(part.isdecimal() and int(part) <= _LARGEST_SEED for part in parts):
        raise DatasetError(
            f"{text!r} is no seed; write a whole number such as 0, or several with commas between "
            "them for an ensemble."
        )
    seeds = tuple(int(part) for part in parts)
    if len(set(seeds)) < len(seeds):
        raise DatasetError("A seed stands there twice; its model would be the same, leave it out.")
    return seeds


def suggested_name(dataset: str, model: str) -> str:
    """A name that is not installed yet, from the data set's and the model's."""
    stem = re.sub(r"[^\w.+-]+", "-", f"{dataset}-{model}").strip("-.").lower() or model
    return free_name(stem)


def free_name(name: str) -> str:
    """The name itself, or with a number where it is installed already."""
    taken = {entry.name for entry in list_classifiers()}
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def check_new_name(name: str) -> None:
    """See that a new classifier can have a name.

    Raises
    ------
    ClassifierError
        If it cannot, or is installed already.
    """
    check_name(name)
    if free_name(name) != name:
        raise ClassifierError(
            f"A classifier named {name!r} is installed already; choose another name, or rename or "
            "remove that one below."
        )


def installed_path(name: str) -> Path:
    """Where a classifier of the user's lies, or is going to."""
    return user_folder() / f"{name}.safetensors"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
