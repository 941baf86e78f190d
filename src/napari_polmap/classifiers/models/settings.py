"""What is chosen before a network learns."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import ClassifierError

if TYPE_CHECKING:
    from napari_polmap.classifiers.models.architectures import PatternNetwork

OBJECTIVES = ("classification", "regression", "prototype")
"""What a network can learn, see `napari_polmap.classifiers.models.objectives`."""

DEVICES = ("auto", "cpu", "cuda")
SCHEDULES = ("constant", "one-cycle")
"""How the learning rate goes over a fit."""
_RISE = 0.1


@dataclass
class NetworkSettings:
    """What is chosen before a network learns.

    Parameters
    ----------
    directions : DirectionSet
    size : int
        Patterns are ``size * size`` pixels in a row.
    seed : int
        Same seed, patterns and number of threads, same network on a CPU.
    objective : {"classification", "regression", "prototype"}
    weights : str or Path, optional
        A file to begin from, in torchvision's names; read when the fit begins.
    device : {"auto", "cpu", "cuda"}
        Where it computes; "auto" is CUDA where there is any. Not kept in the classifier's file.
    epochs : int
        Passes over the training patterns at most.
    patience : int
        The fit ends after so many passes without a lower validation loss.
    batch : int
        Patterns that are learned at a time.
    learning_rate, weight_decay : float
        Of Adam; these and the numbers above by default as Martinc et al. (2026).
    schedule : {"constant", "one-cycle"}
        The learning rate stays, as in the paper, or rises over the first tenth of the fit and
        falls along a cosine to zero at its end (Smith and Topin 2019).
    standardize : bool
        Subtract the mean training pattern and divide by the standard deviation that remains, one
        number for all pixels: noise in dark pixels must not be blown up. Off as in the paper.

    Raises
    ------
    ClassifierError
        If a setting is not possible.
    """

    directions: DirectionSet
    _: KW_ONLY
    size: int
    seed: int = 0
    objective: str = "classification"
    weights: str | Path | None = None
    device: str = "auto"
    epochs: int = 20
    patience: int = 5
    batch: int = 128
    learning_rate: float = 2e-4
    weight_decay: float = 1e-4
    schedule: str = "constant"
    standardize: bool = False
    kind = ""
    stops_early = True
    """Whether the fit watches validation patterns to find its end."""

    def __post_init__(self) -> None:
        _one_of("objective", self.objective, OBJECTIVES)
        _one_of("device", self.device, DEVICES)
        _one_of("schedule", self.schedule, SCHEDULES)
        if self.objective == "regression":
            _refuse_without_angle(self.directions)
        for name in ("size", "epochs", "patience", "batch"):
            _at_least(name, getattr(self, name), 2 if name in ("size", "batch") else 1)
        _at_least("learning_rate", self.learning_rate, 0)
        _at_least("weight_decay", self.weight_decay, 0)

    def rate(self, done: float) -> float:
        """Learning rate when a share `done` of the fit lies behind."""
        if self.schedule == "constant":
            return self.learning_rate
        if done < _RISE:
            return self.learning_rate * (0.05 + 0.95 * done / _RISE)
        return self.learning_rate * 0.5 * float(1 + np.cos(np.pi * (done - _RISE) / (1 - _RISE)))

    def build(self, outputs: int) -> PatternNetwork:
        """The network without anything learned; random numbers are torch's own.

        Parameters
        ----------
        outputs : int
            What the objective asks for.
        """
        from napari_polmap.classifiers.models.architectures import ARCHITECTURES

        return ARCHITECTURES[self.kind](self.size, outputs)

    def settings(self) -> dict[str, Any]:
        """Plain values for the classifier's file."""
        return {
            "size": self.size,
            "seed": self.seed,
            "objective": self.objective,
            "weights": None if self.weights is None else Path(self.weights).name,
            "epochs": self.epochs,
            "patience": self.patience,
            "batch": self.batch,
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "schedule": self.schedule,
            "standardize": self.standardize,
        }


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ClassifierError(f"There is no {name} {value!r}; choose one of {', '.join(allowed)}.")


def _at_least(name: str, value: float, lowest: float) -> None:
    if not (np.isfinite(value) and value >= lowest):
        raise ClassifierError(
            f"A network's {name} is at least {lowest}, not {value}; give another number."
        )


def _refuse_without_angle(directions: DirectionSet) -> None:
    pairs = zip(directions.names, directions.angles_deg, strict=True)
    without = [name for name, angle in pairs if angle is None]
    if without:
        raise ClassifierError(
            f"The objective 'regression' learns an angle, and {', '.join(without)} has none; "
            "choose 'classification' or 'prototype', or leave that direction out."
        )
