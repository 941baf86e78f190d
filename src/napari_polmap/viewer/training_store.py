"""Trainings that are under way or were interrupted, kept in the user's data folder."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_polmap.classifiers import Recipe, recipe_from
from napari_polmap.errors import PolmapError
from napari_polmap.export.files import replacing
from napari_polmap.viewer.training import Choices

_RECORD, _CHECKPOINT, _RUNNING = "training.json", "checkpoint.safetensors", "running"
_BEAT_S, _DEAD_S = 10.0, 120.0
"""A training says this often that it runs; silent for so long, its program has come to an end."""


@dataclass(frozen=True)
class KeptTraining:
    """A training in its folder, from which it goes on as if it had never been interrupted.

    Parameters
    ----------
    folder : Path
    choices : Choices
    recipe : Recipe
        As it was when the training began.
    reached : str
        How far it had come, for people.
    kept_sha256 : str or None
        Hash of the classifier that was kept when the training was cancelled.
    """

    folder: Path
    choices: Choices
    recipe: Recipe
    reached: str = ""
    kept_sha256: str | None = None

    @property
    def checkpoint(self) -> Path:
        """Where a network's fit is kept up to date."""
        return self.folder / _CHECKPOINT

    @property
    def has_checkpoint(self) -> bool:
        """Whether something was learned that can be gone on with."""
        return any(self.folder.glob(f"{self.checkpoint.stem}*{self.checkpoint.suffix}"))

    def sentence(self) -> str:
        """What it is, for people."""
        choices = self.choices
        reached = f", {self.reached}" if self.reached and self.has_checkpoint else ""
        return f"{choices.name}: {choices.model} on {Path(choices.dataset).name}{reached}"

    def save(self) -> None:
        """Write the record.

        Raises
        ------
        ExportError
            If that cannot be done.
        """
        values = {
            "choices": self.choices.to_dict(),
            "recipe": self.recipe.to_dict(),
            "reached": self.reached,
            "kept_sha256": self.kept_sha256,
        }
        with replacing(self.folder / _RECORD) as part:
            part.write_text(json.dumps(values, indent=1), encoding="utf-8")

    def discard(self) -> None:
        """Delete what is kept."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def at_work(self) -> Iterator[Heartbeat]:
        """Say that it runs, so that no other window goes on with it."""
        beat = Heartbeat(self.folder / _RUNNING)
        beat.tell()
        try:
            yield beat
        finally:
            beat.path.unlink(missing_ok=True)


class Heartbeat:
    """A file that is touched now and then as long as a training runs.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._due = 0.0

    def tell(self) -> None:
        """Touch the file, if that is due."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _BEAT_S
            self.path.touch()


def trainings_folder() -> Path:
    """Where trainings are kept that are not finished."""
    from platformdirs import user_data_path

    return user_data_path("napari-polmap") / "trainings"


def begin_training(choices: Choices) -> KeptTraining:
    """A new training in a folder of its own.

    Raises
    ------
    PolmapError
        If the recipe does not serve, or nothing can be written.
    """
    recipe = choices.recipe()
    stem = re.sub(r"[^\w.+-]+", "-", choices.name).strip("-.") or "training"
    base, number = trainings_folder(), 1
    folder = base / stem
    while folder.exists():
        number += 1
        folder = base / f"{stem}-{number}"
    begun = KeptTraining(folder, choices, recipe)
    begun.save()
    return begun


def kept_trainings() -> list[KeptTraining]:
    """Trainings that were interrupted, the latest first."""
    found = []
    for record in trainings_folder().glob(f"*/{_RECORD}"):
        running = record.with_name(_RUNNING)
        try:
            if running.exists() and time.time() - running.stat().st_mtime < _DEAD_S:
                continue
            values = json.loads(record.read_text(encoding="utf-8"))
            found.append((record.stat().st_mtime, _read(record.parent, values)))
        except (OSError, ValueError, KeyError, TypeError, PolmapError):
            # Of another version, or being written or deleted by another window.
            continue
    return [kept for _, kept in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _read(folder: Path, values: Mapping[str, Any]) -> KeptTraining:
    return KeptTraining(
        folder,
        Choices.from_dict(values["choices"]),
        recipe_from(values["recipe"]),
        str(values["reached"]),
        values["kept_sha256"],
    )
