"""What a benchmark compares: ``BENCHMARK.toml`` as checked objects."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from napari_polmap.classifiers.models import MODELS
from napari_polmap.classifiers.recipes import PRESETS, Recipe, recipe_from
from napari_polmap.errors import DatasetError, PolmapError, reason
from napari_polmap.io.datasets import load_dataset
from napari_polmap.simulation.fields import read_value, real

OBJECTIVES = ("classification", "regression", "prototype")
"""What a network can be trained for; other models have no choice and are ``classification``."""
DEVICES = ("auto", "cpu", "cuda")

_TOP = ("name", "seeds", "recipe", "root", "train", "run", "test")
_TRAIN = ("data",)
_RUN = ("models", "objectives", "presets", "seeds", "device")
_TEST = ("name", "data", "scans", "select", "dose", "window", "force")


@dataclass(frozen=True)
class DataFile:
    """Where a labelled data set lies.

    Parameters
    ----------
    path : Path
        Its TOML file.
    root : Path or None
        Folder of its scans, instead of the one that it names itself.
    """

    path: Path
    root: Path | None = None


@dataclass(frozen=True)
class Column:
    """One way to train: a column of the table.

    Parameters
    ----------
    model, objective, preset : str
        See `napari_polmap.train`.
    seeds : tuple of int
        One classifier is trained for each.
    device : {"auto", "cpu", "cuda"}
        Where; with ``cuda`` it is not measured on machines without.
    """

    model: str
    objective: str
    preset: str
    seeds: tuple[int, ...]
    device: str = "auto"

    @property
    def key(self) -> str:
        """Name of its files."""
        return f"{self.model}-{self.objective}-{self.preset}"

    @property
    def label(self) -> str:
        """Model, objective where the model has several, and preset, for people."""
        parts = (self.model, self.objective if has_objectives(self.model) else "", self.preset)
        return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class Test:
    """What the classifiers are measured on: a row of the table.

    Parameters
    ----------
    name : str
    data : DataFile
    scan : int or None
        Number of the only scan, from 0; ``None`` for all that fit `select`.
    select : mapping
        Conditions that a scan must state: a value, or the lowest and highest number.
    dose : float or None
        Electrons per pattern that noise-free scans are exposed to.
    window : float or None
        Width of the window in unit cells, instead of the classifier's own.
    force : bool
        Whether scans outside a classifier's card are measured all the same.
    """

    __test__ = False  # not pytest's

    name: str
    data: DataFile
    scan: int | None = None
    select: Mapping[str, Any] = field(default_factory=dict)
    dose: float | None = None
    window: float | None = None
    force: bool = False

    @property
    def key(self) -> str:
        """Name of its files."""
        return re.sub(r"[^A-Za-z0-9.+-]+", "_", self.name).strip("_")


@dataclass(frozen=True)
class Benchmark:
    """A benchmark.

    Parameters
    ----------
    name : str
    train : DataFile
        What all classifiers are trained on.
    columns : tuple of Column
    tests : tuple of Test
    recipe : mapping
        Changes to every preset, as tables of a recipe's file.
    """

    name: str
    train: DataFile
    columns: tuple[Column, ...]
    tests: tuple[Test, ...]
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def recipe_of(self, column: Column) -> Recipe:
        """What a column is trained by."""
        return recipe_from({**self.recipe, "preset": column.preset})

    def only(self, models: Sequence[str]) -> Benchmark:
        """The columns of some models.

        Raises
        ------
        DatasetError
            If the benchmark has none of a model.
        """
        there = list(dict.fromkeys(column.model for column in self.columns))
        for model in models:
            if model not in there:
                raise DatasetError(
                    f"The benchmark {self.name!r} has no model {model!r}; its models are "
                    f"{', '.join(there)}."
                )
        columns = tuple(column for column in self.columns if column.model in models)
        return replace(self, columns=columns)


def fits(conditions: Mapping[str, Any], select: Mapping[str, Any]) -> bool:
    """Whether a scan states what `Test.select` asks for."""
    for name, wanted in select.items():
        value = conditions.get(name)
        if isinstance(wanted, list):
            if not _is_number(value) or not wanted[0] <= value <= wanted[-1]:
                return False
        elif value != wanted:
            return False
    return True


def has_objectives(model: str) -> bool:
    """Whether a model is a network, which can be trained for several objectives."""
    return not model.startswith("pca-")


def read_benchmark(path: str | Path, data: str | Path | None = None) -> Benchmark:
    """Read a benchmark's TOML file.

    Parameters
    ----------
    path : str or Path
    data : str or Path, optional
        Folder of the data, instead of the file's ``root``. Data sets are looked for in it; those
        that lie beside the benchmark instead take their scans from it.

    Raises
    ------
    DatasetError
        If the file cannot be read, or a field is missing, unknown or not allowed.
    """
    path = Path(path).expanduser()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(
            f"The benchmark {path} cannot be read ({reason(error)}); check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path} is not a text file, but a benchmark is a TOML file; choose one."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise DatasetError(f"{path.name} is not a TOML file: {error}; correct it.") from error
    return _Reader(path, None if data is None else Path(data).expanduser(), content).benchmark()


class _Reader:
    """Checks the fields of a file."""

    def __init__(self, path: Path, data: Path | None, content: Mapping[str, Any]) -> None:
        self.path, self.content = path, content
        _known(content, _TOP, path.name)
        root = content.get("root")
        if root is not None:
            root = path.parent / _checked(root, str, f"{path.name}: `root`", "a folder")
        self.root = data if data is not None else root

    def benchmark(self) -> Benchmark:
        name, content = self.path.name, self.content
        train = content.get("train")
        if not isinstance(train, Mapping):
            raise DatasetError(f"{name} has no [train]; give the `data` to train on there.")
        _known(train, _TRAIN, f"{name}, [train]")
        recipe = _checked(content.get("recipe", {}), Mapping, f"{name}: `recipe`", "be a table")
        try:
            recipe_from({**recipe, "preset": "paper"})
        except PolmapError as error:
            raise DatasetError(f"{name}, [recipe]: {error}") from error
        seeds = self._seeds(content.get("seeds", [0]), f"{name}: `seeds`")
        columns = [
            column
            for number, run in enumerate(self._tables("run"), 1)
            for column in self._columns(run, f"{name}, run {number}", seeds)
        ]
        tests = [
            test
            for number, table in enumerate(self._tables("test"), 1)
            for test in self._tests(table, f"{name}, test {number}")
        ]
        for what, keys in (
            ("run", [column.key for column in columns]),
            ("test", [test.key for test in tests]),
        ):
            twice = [key for key in keys if keys.count(key) > 1]
            if twice:
                raise DatasetError(f"{name}: the {what} {twice[0]} is there twice; remove one.")
        return Benchmark(
            str(content.get("name", self.path.stem)),
            self._data(train, f"{name}, [train]"),
            tuple(columns),
            tuple(tests),
            dict(recipe),
        )

    def _tables(self, name: str) -> list[Any]:
        found = self.content.get(name)
        if not isinstance(found, list) or not found:
            raise DatasetError(f"{self.path.name} has no [[{name}]]; add one.")
        return found

    def _seeds(self, value: Any, where: str) -> tuple[int, ...]:
        listed = value if isinstance(value, list) else [value]
        whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in listed)
        if not listed or not whole or len(set(listed)) != len(listed):
            raise DatasetError(
                f"{where} is {value!r}, but must be different whole numbers, from 0 on."
            )
        return tuple(listed)

    def _columns(self, run: Any, where: str, seeds: tuple[int, ...]) -> list[Column]:
        if not isinstance(run, Mapping):
            raise DatasetError(f"{where} is {run!r}, but must be a table with `models`.")
        _known(run, _RUN, where)
        models = _names(run.get("models"), tuple(MODELS), f"{where}: `models`")
        objectives = _names(
            run.get("objectives", ["classification"]), OBJECTIVES, f"{where}: `objectives`"
        )
        presets = _names(run.get("presets", ["robust"]), tuple(PRESETS), f"{where}: `presets`")
        (device,) = _names(run.get("device", "auto"), DEVICES, f"{where}: `device`", one=True)
        if "seeds" in run:
            seeds = self._seeds(run["seeds"], f"{where}: `seeds`")
        return [
            Column(model, objective, preset, seeds, device)
            for model in models
            for objective in (objectives if has_objectives(model) else OBJECTIVES[:1])
            for preset in presets
        ]

    def _tests(self, test: Any, where: str) -> list[Test]:
        if not isinstance(test, Mapping):
            raise DatasetError(f"{where} is {test!r}, but must be a table with `data`.")
        _known(test, _TEST, where)
        for name, kind in (("dose", real(0, above=True)), ("window", real(0, 20))):
            try:
                read_value(kind, test.get(name, 1), f"`{name}`")
            except PolmapError as error:
                raise DatasetError(f"{where}: {error}") from error
        for name in ("scans", "force"):
            _checked(test.get(name, False), bool, f"{where}: `{name}`", "be true or false")
        select = _checked(test.get("select", {}), Mapping, f"{where}: `select`", "be a table")
        for condition, wanted in select.items():
            if isinstance(wanted, list) and not (len(wanted) == 2 and all(map(_is_number, wanted))):
                raise DatasetError(
                    f"{where}: `select` has {condition} = {wanted!r}, but must have a value, or "
                    "the lowest and the highest number."
                )
        data = self._data(test, where)
        name = _checked(test.get("name", data.path.stem), str, f"{where}: `name`", "be a text")
        if not re.search(r"[A-Za-z0-9]", name):
            raise DatasetError(f"{where}: `name` is {name!r}, but must hold a letter or a digit.")
        found = Test(
            name=name,
            data=data,
            select=dict(select),
            dose=test.get("dose"),
            window=test.get("window"),
            force=test.get("force", False),
        )
        if not test.get("scans", False) or not data.path.exists():
            return [found]
        # Each scan is a row of its own, and can be missing for itself.
        scans = load_dataset(data.path, data.root).scans
        names = [str(entry.conditions.get("label", entry.path.name)) for entry in scans]
        return [
            # Simulated scans have their specimen in the folder's name.
            replace(
                found,
                name=name if names.count(name) == 1 else "/".join(entry.path.parts[-2:]),
                scan=number,
            )
            for number, (entry, name) in enumerate(zip(scans, names, strict=True))
            if fits(entry.conditions, found.select)
        ]

    def _data(self, table: Mapping[str, Any], where: str) -> DataFile:
        name = _checked(table.get("data"), str, f"{where}: `data`", "name a data set's TOML file")
        beside = self.path.parent / name
        if self.root is None:
            return DataFile(beside)
        within = self.root / name
        return (
            DataFile(beside, self.root) if beside.exists() > within.exists() else DataFile(within)
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _known(given: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1, 0.5)
            told = f"the nearest is `{near[0]}`" if near else f"its fields are {', '.join(known)}"
            raise DatasetError(f"{where}: there is no field `{key}`; {told}.")


def _names(
    value: Any, allowed: tuple[str, ...], where: str, *, one: bool = False
) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or set(map(str, listed)) - set(allowed):
        several = "one of" if one else "one or more of"
        raise DatasetError(f"{where} is {value!r}, but must be {several} {', '.join(allowed)}.")
    return tuple(listed)


def _checked(value: Any, kind: Any, where: str, what: str) -> Any:
    if not isinstance(value, kind) or value == "":
        told = what if what.startswith(("be ", "name ")) else f"name {what}"
        raise DatasetError(f"{where} is {value!r}, but must {told}.")
    return value
