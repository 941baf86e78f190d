"""What every model of a classifier offers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers.models.features import Floats, PcaFeatures
from napari_polmap.directions import DirectionSet

Classes = npt.NDArray[np.intp]
"""Class indices, shape ``(n,)``."""

Augment = Callable[[Floats, Classes, np.random.Generator], tuple[Floats, Classes]]
"""Normalized patterns ``(n, size * size)`` and classes in, changed ones out."""


@dataclass(frozen=True)
class FitProgress:
    """How far a fit is; ``None`` where a value is not known.

    Parameters
    ----------
    epoch, epochs : int
        Passes over the training patterns: the one under way, from 1, and how many at most.
    batch, batches : int
        Batches done of this pass.
    loss : float, optional
        Mean over the batches of this pass so far.
    validation_loss, validation_accuracy : float, optional
        At the end of a pass, on the validation patterns.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None


class Model(Protocol):
    """What a classifier's model offers, in scikit-learn's manner.

    Parameters
    ----------
    directions : DirectionSet
        Its classes.
    size : int
        Patterns are ``size * size`` pixels in a row.
    seed : int
        Same seed and patterns, same model.
    **settings
        The model's own.

    Attributes
    ----------
    kind : str
        Its name on the command line.
    stops_early : bool
        Whether its fit watches validation patterns to find its end.
    """

    kind: str
    stops_early: bool

    def __init__(
        self, directions: DirectionSet, *, size: int, seed: int = 0, **settings: Any
    ) -> None: ...

    @property
    def features(self) -> PcaFeatures | None:
        """Linear features that a window may average in place of patterns, or ``None``."""
        ...

    def fit(self, patterns: Floats, directions: Classes) -> Model:
        """Learn from normalized patterns ``(n, size * size)`` and class indices ``(n,)``."""
        ...

    def iter_fit(
        self,
        patterns: Floats,
        directions: Classes,
        *,
        augment: Augment | None = None,
        validation: tuple[Floats, Classes] | None = None,
        checkpoint: Path | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Generator[FitProgress, None, Model]:
        """`fit` step by step.

        Parameters
        ----------
        patterns : ndarray of float32, shape (n, size * size)
        directions : ndarray of int, shape (n,)
        augment : callable, optional
            Changes each batch before it is learned.
        validation : (ndarray, ndarray), optional
            Patterns and classes that are only looked at.
        checkpoint : Path, optional
            A ``.safetensors`` file from which a later fit of the same data and settings goes on.
        stop : callable, optional
            Asked at each step; once it says so the fit ends with the best so far.
        """
        ...

    def predict_proba(self, patterns: Floats) -> Floats:
        """Probabilities ``(n, n_directions)`` of normalized patterns ``(n, size * size)``."""
        ...

    def predict_components(self, components: Floats) -> Floats:
        """Probabilities from the linear components ``(n, k)`` of `features`, where it has any."""
        ...

    def settings(self) -> dict[str, Any]:
        """Plain values for the classifier's file."""
        ...

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays for the classifier's file."""
        ...

    @classmethod
    def restore(
        cls,
        directions: DirectionSet,
        settings: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
    ) -> Model:
        """Inverse of `settings` and `arrays`."""
        ...


def cross_entropy(probabilities: Floats, directions: Classes) -> float:
    """Mean negative logarithm of the right direction's probability."""
    own = probabilities[np.arange(len(directions)), directions]
    return float(-np.log(np.maximum(own, 1e-9)).mean())
