"""Models on principal components: k nearest neighbors and a linear discriminant."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers.models.base import Augment, Classes, FitProgress, cross_entropy
from napari_polmap.classifiers.models.features import Floats, PcaFeatures
from napari_polmap.directions import DirectionSet

_CHUNK = 4096


@dataclass
class _PcaModel:
    """What the models on principal components share: they learn in one step."""

    directions: DirectionSet
    _: KW_ONLY
    size: int
    seed: int = 0
    features: PcaFeatures = field(init=False)
    stops_early = False

    def fit(self: Fitted, patterns: Floats, directions: Classes) -> Fitted:
        """Learn from normalized patterns ``(n, size * size)`` and class indices ``(n,)``."""
        self._learn(patterns, directions)
        return self

    def iter_fit(
        self: Fitted,
        patterns: Floats,
        directions: Classes,
        *,
        augment: Augment | None = None,
        validation: tuple[Floats, Classes] | None = None,
        checkpoint: Path | None = None,  # noqa: ARG002
        stop: Callable[[], bool] | None = None,  # noqa: ARG002
    ) -> Generator[FitProgress, None, Fitted]:
        """`fit` that yields once, at its end; there is nothing to stop or to go on from."""
        if augment is not None:
            patterns, directions = augment(patterns, directions, np.random.default_rng(self.seed))
        self._learn(patterns, directions)
        if validation is None:
            yield FitProgress(1, 1, 1, 1)
            return self
        probabilities = self.predict_proba(validation[0])
        accuracy = float((probabilities.argmax(axis=1) == validation[1]).mean())
        loss = cross_entropy(probabilities, validation[1])
        yield FitProgress(1, 1, 1, 1, validation_loss=loss, validation_accuracy=accuracy)
        return self

    def predict_proba(self, patterns: Floats) -> Floats:
        """Probabilities ``(n, n_directions)`` of normalized patterns ``(n, size * size)``."""
        return self.predict_components(self.features.project(patterns))

    def predict_components(self, components: Floats) -> Floats:
        """Probabilities from the linear components ``(n, k)``."""
        raise NotImplementedError

    def _learn(self, patterns: Floats, directions: Classes) -> None:
        raise NotImplementedError


Fitted = TypeVar("Fitted", bound=_PcaModel)


def _with_size(
    settings: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
) -> dict[str, Any]:
    """Settings of a file; the first files did not tell the size."""
    return {"size": math.isqrt(arrays["projection"].shape[1]), **settings}


@dataclass
class PcaKnn(_PcaModel):
    """Principal components and k nearest neighbors (Martinc et al. 2026: 20 components, k = 5).

    Parameters
    ----------
    directions : DirectionSet
    size : int
        Patterns are ``size * size`` pixels in a row.
    components : int
        Principal components of the standardized pixels.
    neighbors : int
        Their votes are weighted by the inverse distance.
    seed : int
    """

    components: int = 20
    neighbors: int = 5
    points_: Floats = field(init=False)
    classes_: npt.NDArray[np.uint8] = field(init=False)
    kind = "pca-knn"

    def _learn(self, patterns: Floats, directions: Classes) -> None:
        self.features = PcaFeatures.fit_plain(patterns, self.components, self.seed)
        self.points_ = self.features.project(patterns).astype(np.float32)
        self.classes_ = directions.astype(np.uint8)

    def predict_components(self, components: Floats) -> Floats:
        """Probabilities from the linear components ``(n, k)``."""
        from sklearn.neighbors import NearestNeighbors

        count = min(self.neighbors, len(self.points_))
        search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(self.points_)
        probabilities = np.zeros((len(components), len(self.directions)), np.float32)
        for start in range(0, len(components), _CHUNK):
            part = slice(start, start + _CHUNK)
            distance, index = search.kneighbors(components[part])
            votes = 1 / np.maximum(distance, 1e-6)
            rows = np.broadcast_to(np.arange(len(index))[:, None], index.shape)
            np.add.at(probabilities[part], (rows, self.classes_[index]), votes)
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    def settings(self) -> dict[str, Any]:
        """Plain values for the classifier's file."""
        return {
            "size": self.size,
            "components": self.components,
            "neighbors": self.neighbors,
            "seed": self.seed,
        }

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays for the classifier's file."""
        return {**self.features.arrays(), "points": self.points_, "classes": self.classes_}

    @classmethod
    def restore(
        cls,
        directions: DirectionSet,
        settings: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
    ) -> PcaKnn:
        """Inverse of `settings` and `arrays`."""
        model = cls(directions, **_with_size(settings, arrays))
        model.features = PcaFeatures(arrays["projection"], arrays["offset"])
        model.points_, model.classes_ = arrays["points"], arrays["classes"]
        return model


@dataclass
class PcaLda(_PcaModel):
    """Components by parity and a linear discriminant with shrinkage (Ledoit and Wolf 2004).

    Parameters
    ----------
    directions : DirectionSet
    size : int
        Patterns are ``size * size`` pixels in a row.
    odd, even : int
        Principal components of the antisymmetric and of the symmetric part.
    products : int
        Symmetric components each antisymmetric one is multiplied with, see `PcaFeatures`.
    shrinkage : float or "auto"
        Share of the diagonal in the covariance; "auto" is Ledoit and Wolf's estimate, which takes
        the patterns of one specimen as independent and shrinks too little.
    seed : int
    """

    odd: int = 32
    even: int = 24
    products: int = 12
    shrinkage: float | str = "auto"
    weights_: Floats = field(init=False)
    intercept_: Floats = field(init=False)
    kind = "pca-lda"

    def _learn(self, patterns: Floats, directions: Classes) -> None:
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        self.features = PcaFeatures.fit_parity(
            patterns, self.odd, self.even, self.products, self.seed
        )
        expanded = self.features.expand(self.features.project(patterns))
        discriminant = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=self.shrinkage)
        discriminant.fit(expanded, directions)
        weights, intercept = discriminant.coef_, discriminant.intercept_
        if len(discriminant.classes_) == 2:  # scikit-learn keeps one row for two classes
            weights = np.concatenate([-weights / 2, weights / 2])
            intercept = np.concatenate([-intercept / 2, intercept / 2])
        self.weights_ = np.zeros((len(self.directions), expanded.shape[1]), np.float32)
        self.intercept_ = np.full(len(self.directions), -1e4, np.float32)
        self.weights_[discriminant.classes_] = weights
        self.intercept_[discriminant.classes_] = intercept

    def predict_components(self, components: Floats) -> Floats:
        """Probabilities from the linear components ``(n, k)``."""
        scores = self.features.expand(components) @ self.weights_.T + self.intercept_
        scores -= scores.max(axis=1, keepdims=True)
        exponentials = np.exp(scores)
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)

    def settings(self) -> dict[str, Any]:
        """Plain values for the classifier's file."""
        return {
            "size": self.size,
            # Few patterns have fewer components than asked for.
            "odd": self.features.odd,
            "even": self.even,
            "products": self.products,
            "shrinkage": self.shrinkage,
            "seed": self.seed,
        }

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays for the classifier's file."""
        return {
            **self.features.arrays(), "weights": self.weights_, "intercept": self.intercept_
        }  # fmt: skip

    @classmethod
    def restore(
        cls,
        directions: DirectionSet,
        settings: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
    ) -> PcaLda:
        """Inverse of `settings` and `arrays`."""
        model = cls(directions, **_with_size(settings, arrays))
        model.features = PcaFeatures(
            arrays["projection"], arrays["offset"], model.odd, model.products
        )
        model.weights_, model.intercept_ = arrays["weights"], arrays["intercept"]
        return model
