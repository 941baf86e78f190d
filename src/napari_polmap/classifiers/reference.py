"""What a classifier keeps of its training data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers.ensemble import Ensemble
from napari_polmap.classifiers.models import Model
from napari_polmap.classifiers.models.base import Classes
from napari_polmap.classifiers.models.features import Floats, PcaFeatures

_VECTORS_PER_CLASS = 512
_ODD, _EVEN = 24, 16
_SOME = 2048


@dataclass(frozen=True)
class Reference:
    """What is kept of the training data, for evidence, comparison and adaptation.

    Parameters
    ----------
    class_means : ndarray of float32, shape (n_directions, size, size)
        Mean normalized windowed pattern of each direction.
    vectors : ndarray of float32, shape (m, k)
        Linear components of up to 512 training patterns a direction.
    directions : ndarray of uint8, shape (m,)
        Their class indices.
    mean : ndarray of float32, shape (k,)
        Mean of the components over the training data.
    whitening : ndarray of float32, shape (k, k)
        Turns departures from the mean into uncorrelated ones of unit variance.
    novelty_scale : float
        99th percentile, over validation patterns, of their root-mean-square.
    features : PcaFeatures, optional
        What the components are of, where the model has no linear features of its own.
    """

    class_means: Floats
    vectors: Floats
    directions: npt.NDArray[np.uint8]
    mean: Floats
    whitening: Floats
    novelty_scale: float
    features: PcaFeatures | None = None

    def novelty(self, components: Floats) -> Floats:
        """Distance of components ``(n, k)`` from the training data, 1 at the 99th percentile."""
        departures = (components - self.mean) @ self.whitening.T
        return np.asarray(np.sqrt(np.mean(departures**2, axis=1)) / self.novelty_scale, np.float32)

    def novelty_of(self, patterns: Floats) -> Floats:
        """The same of normalized patterns ``(n, size * size)``, through the own `features`."""
        assert self.features is not None
        return self.novelty(self.features.project(patterns))

    def novelty_seen(self, model: Model, patterns: Floats) -> Floats:
        """The same of normalized patterns, through a model's features or the own ones."""
        if model.features is None:
            return self.novelty_of(patterns)
        return self.novelty(model.features.project(patterns))


def make_reference(
    model: Model, patterns: Floats, directions: Classes, size: int, rng: np.random.Generator
) -> Reference:
    """What is kept of training patterns.

    Parameters
    ----------
    model : Model
        Fitted.
    patterns : ndarray of float32, shape (n, size * size)
    directions : ndarray of int, shape (n,)
    size : int
    rng : numpy.random.Generator
        Chooses the vectors that are kept.

    Returns
    -------
    Reference
        With a novelty scale of 1.
    """
    own = None
    features = model.features
    if features is None:
        few = patterns[np.sort(rng.permutation(len(patterns))[:_SOME])]
        own = features = PcaFeatures.fit_parity(few, _ODD, _EVEN, 0, 0)
    components = features.project(patterns)
    told = features.linear_count
    if isinstance(model, Ensemble) and model.members[0].features is not None:
        # The others' components are nearly those of the first one: noise would decide.
        told = model.members[0].features.linear_count
    mean = components.mean(axis=0)
    covariance = np.cov(components[:, :told].T) + 1e-6 * np.eye(told)
    values, vectors = np.linalg.eigh(covariance)
    whitening = np.zeros((told, components.shape[1]))
    whitening[:, :told] = (vectors / np.sqrt(values)).T
    count = int(directions.max()) + 1
    kept = np.concatenate(
        [
            rng.permutation(np.flatnonzero(directions == k))[:_VECTORS_PER_CLASS]
            for k in range(count)
        ]
    )
    means = [patterns[directions == k].mean(axis=0) for k in range(count)]
    return Reference(
        class_means=np.stack(means).reshape(-1, size, size).astype(np.float32),
        vectors=components[kept].astype(np.float32),
        directions=directions[kept].astype(np.uint8),
        mean=mean.astype(np.float32),
        whitening=whitening.astype(np.float32),
        novelty_scale=1.0,
        features=own,
    )
