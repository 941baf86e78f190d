"""What a classifier keeps of its training data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers.models.features import Floats, PcaFeatures


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
