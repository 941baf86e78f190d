"""The files of a benchmark, and what each was made from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_polmap.benchmark.protocol import Column, Test
from napari_polmap.export.files import replacing


@dataclass(frozen=True)
class Run:
    """One classifier: a column and a seed."""

    column: Column
    seed: int

    @property
    def key(self) -> str:
        """Name of its files."""
        return f"{self.column.key}-{self.seed}"

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.column.label}, seed {self.seed}"


@dataclass(frozen=True)
class Store:
    """The files of a benchmark's folder.

    Parameters
    ----------
    folder : Path
    """

    folder: Path

    def classifier(self, run: Run) -> Path:
        """A trained classifier."""
        return self.folder / "classifiers" / f"{run.key}.safetensors"

    def checkpoint(self, run: Run) -> Path:
        """Where an interrupted training goes on."""
        return self.folder / "classifiers" / f"{run.key}.checkpoint"

    def figures(self, run: Run, test: Test) -> Path:
        """The figures of an evaluation."""
        return self.folder / "evaluations" / run.key / f"{test.key}.json"

    def maps(self, run: Run, test: Test) -> Path:
        """Its maps: directions and confidence of each scan."""
        return self.figures(run, test).with_suffix(".npz")


def origin_of(record: Path) -> str | None:
    """What a finished file was made from; None where it is not there."""
    try:
        told = json.loads(record.read_text(encoding="utf-8")).get("origin")
    except (OSError, ValueError, AttributeError):
        return None
    return None if told is None else str(told)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values, whole or not at all; what is no number becomes null."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): plain(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [plain(part) for part in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    with replacing(path) as part:
        part.write_text(json.dumps(plain(values), allow_nan=False), encoding="utf-8")
