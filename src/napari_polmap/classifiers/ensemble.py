"""Several models as one: mean probability, or majority vote."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers.models import Augment, FitProgress, Model, PcaFeatures, model_class
from napari_polmap.classifiers.models.base import Classes
from napari_polmap.classifiers.models.features import Floats
from napari_polmap.directions import DirectionSet

VOTES = ("mean", "majority")
"""How the members of an ensemble speak together."""

_TIE = 1e-3


class Ensemble:
    """Models of one set of directions that learn and speak together.

    Parameters
    ----------
    directions : DirectionSet
    members : sequence of Model
    vote : {"mean", "majority"}
        Mean of the probabilities, or share of the members that name a direction (Martinc et al.
        2026), ties decided by the mean.

    Attributes
    ----------
    current : int
        Number of the member that is learning.
    stops_early : bool
        Whether a member's fit watches validation patterns to find its end.
    """

    kind = "ensemble"

    def __init__(
        self, directions: DirectionSet, members: Sequence[Model], vote: str = "mean"
    ) -> None:
        self.directions = directions
        self.members = list(members)
        self.vote = vote
        self.current = 0
        self.stops_early = any(member.stops_early for member in self.members)

    @property
    def features(self) -> PcaFeatures | None:
        """The linear features of all members one after another, where all have some."""
        parts = [member.features for member in self.members]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return PcaFeatures(
            np.concatenate([part.projection for part in known]),
            np.concatenate([part.offset for part in known]),
        )

    def fit(self, patterns: Floats, directions: Classes) -> Ensemble:
        """Each member learns from the same patterns; see `Model.fit`."""
        for member in self.members:
            member.fit(patterns, directions)
        return self

    def iter_fit(
        self,
        patterns: Floats,
        directions: Classes,
        *,
        augment: Augment | None = None,
        validation: tuple[Floats, Classes] | None = None,
        checkpoint: Path | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Generator[FitProgress, None, Ensemble]:
        """Each member learns in turn; see `Model.iter_fit`.

        Members that had not begun when `stop` said so are left out. The checkpoints of several
        members have their numbers in their names.
        """
        fitted: list[Model] = []
        for number, member in enumerate(self.members):
            if fitted and stop is not None and stop():
                break
            self.current = number
            own = checkpoint
            if checkpoint is not None and len(self.members) > 1:
                own = checkpoint.with_name(f"{checkpoint.stem}-{number}{checkpoint.suffix}")
            steps = member.iter_fit(
                patterns,
                directions,
                augment=augment,
                validation=validation,
                checkpoint=own,
                stop=stop,
            )
            fitted.append((yield from steps))
        self.members = fitted
        return self

    def predict_proba(self, patterns: Floats) -> Floats:
        """Probabilities ``(n, n_directions)`` of normalized patterns ``(n, size * size)``."""
        return self._together([member.predict_proba(patterns) for member in self.members])

    def predict_components(self, components: Floats) -> Floats:
        """Probabilities from the linear components ``(n, k)`` of `features`."""
        said, start = [], 0
        for member in self.members:
            assert member.features is not None
            stop = start + member.features.linear_count
            said.append(member.predict_components(components[:, start:stop]))
            start = stop
        return self._together(said)

    def settings(self) -> dict[str, Any]:
        """Plain values for the classifier's file."""
        members = [{"kind": member.kind, **member.settings()} for member in self.members]
        return {"vote": self.vote, "members": members}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays for the classifier's file, with the member's number before each name."""
        return {
            f"{number}.{name}": array
            for number, member in enumerate(self.members)
            for name, array in member.arrays().items()
        }

    @classmethod
    def restore(
        cls,
        directions: DirectionSet,
        settings: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
    ) -> Ensemble:
        """Inverse of `settings` and `arrays`."""
        members = []
        for number, told in enumerate(settings["members"]):
            own = {
                name.removeprefix(f"{number}."): array
                for name, array in arrays.items()
                if name.startswith(f"{number}.")
            }
            rest = {key: value for key, value in told.items() if key != "kind"}
            members.append(model_class(told["kind"]).restore(directions, rest, own))
        return cls(directions, members, settings["vote"])

    def _together(self, said: list[Floats]) -> Floats:
        mean = np.mean(said, axis=0)
        if self.vote == "mean":
            return np.asarray(mean, np.float32)
        named = np.stack(said).argmax(axis=2)
        votes = (named[..., None] == np.arange(len(self.directions))).mean(axis=0)
        return np.asarray((votes + _TIE * mean) / (1 + _TIE), np.float32)


def restore_model(
    kind: str,
    directions: DirectionSet,
    settings: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
) -> Model | Ensemble:
    """A model of a classifier's file, by its kind.

    Raises
    ------
    ClassifierError
        If there is no such model.
    """
    if kind == Ensemble.kind:
        return Ensemble.restore(directions, settings, arrays)
    return model_class(kind).restore(directions, settings, arrays)
