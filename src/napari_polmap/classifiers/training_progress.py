"""How far a training is: curves, and what is left of the time."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from napari_polmap.classifiers.models import FitProgress, Model

_STEPS = 1000
_READING = {False: 0.7, True: 0.1}
"""Share of the time that reading takes, of models that learn in one step and of networks."""
_LEAST_SHARE = 0.01


@dataclass(frozen=True)
class Curves:
    """How the fit of a network went, one value a pass over the patterns.

    Parameters
    ----------
    epochs : list of int
    loss, validation_loss, validation_accuracy : list of float
        NaN where not known.
    """

    epochs: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)

    def after(self, step: FitProgress) -> Curves:
        """With one pass more, or with the latest of the same pass."""
        kept = sum(epoch < step.epoch for epoch in self.epochs)
        return Curves(
            [*self.epochs[:kept], step.epoch],
            [*self.loss[:kept], _known(step.loss)],
            [*self.validation_loss[:kept], _known(step.validation_loss)],
            [*self.validation_accuracy[:kept], _known(step.validation_accuracy)],
        )


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is.

    Parameters
    ----------
    done, total : int
        Thousandths.
    message : str
        What is being done.
    remaining_s : float or None
        Expected remaining time in seconds, where it is known.
    curves : Curves or None
        Of the network that is learning.
    """

    done: int
    total: int
    message: str
    remaining_s: float | None = None
    curves: Curves | None = None


class Pace:
    """From what has been done to the progress of the whole.

    Parameters
    ----------
    by_epochs : bool
        Whether one of the models is a network.
    members : sequence of str
        Names of the models, one after another.
    """

    def __init__(self, by_epochs: bool, members: Sequence[str]) -> None:
        self._by_epochs = by_epochs
        self._members = members
        self._start = time.monotonic()
        self._fit_start: tuple[float, float] | None = None
        self._curves: Curves | None = None

    def at(self, share: float, message: str, remaining_s: float | None = None) -> TrainingProgress:
        """Progress at a share of the whole."""
        return TrainingProgress(int(_STEPS * share), _STEPS, message, remaining_s, self._curves)

    def reading(self, share: float, message: str) -> TrainingProgress:
        """Progress at a share of the scans to be read."""
        whole = share * _READING[self._by_epochs]
        return self.at(whole, message, None if self._by_epochs else self._left(whole))

    def fitting(
        self,
        steps: Generator[tuple[float, int, FitProgress], None, Model],
        number: int,
        fits: int,
        curves: list[Curves],
    ) -> Generator[TrainingProgress, None, Model]:
        """Progress of one fit of several; appends the curves of each network."""
        first = _READING[self._by_epochs]
        span = (0.98 - first) / fits
        what = "fitting" if number == fits - 1 else f"fold {number + 1} of {fits - 1}"
        begin = first + span * number
        yield self.at(begin, what, None if self._by_epochs else self._left(begin))
        last = -1
        while True:
            try:
                share, member, step = next(steps)
            except StopIteration as finished:
                fitted: Model = finished.value
                return fitted
            # Models on principal components have no loss, also beside networks in an ensemble.
            learning = self._by_epochs and step.loss is not None
            if learning and member != last:
                curves.append(Curves())
                last = member
            if learning and step.batch == step.batches:
                curves[-1] = curves[-1].after(step)
            self._curves = curves[-1] if curves else None
            whole = begin + span * share
            remaining = self._left_of_fit(share) if self._by_epochs else self._left(whole)
            text = _told(step) if learning else what
            if learning and fits > 1:
                text = f"{what}, {text}"
            yield self.at(whole, self._name(member) + text, remaining)

    def _name(self, member: int) -> str:
        """Which one of several models is learning."""
        count = len(self._members)
        return "" if count == 1 else f"{self._members[member]} ({member + 1} of {count}): "

    def _left(self, share: float) -> float | None:
        if share < _LEAST_SHARE:
            return None
        return (time.monotonic() - self._start) * (1 - share) / share

    def _left_of_fit(self, share: float) -> float | None:
        now = time.monotonic()
        if self._fit_start is None:
            self._fit_start = now, share
        since, begin = self._fit_start
        if share - begin < _LEAST_SHARE:
            return None
        return (now - since) * (1 - share) / (share - begin)


def _told(step: FitProgress) -> str:
    text = f"epoch {step.epoch} of at most {step.epochs}"
    if step.loss is not None:
        text += f", loss {step.loss:.3f}"
    if step.validation_accuracy is not None:
        text += f", validation accuracy {step.validation_accuracy:.3f}"
    return text


def _known(value: float | None) -> float:
    return float("nan") if value is None else float(value)
