"""Models on principal components: k nearest neighbors and a linear discriminant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers.features import Floats, PcaFeatures
from napari_polmap.errors import ClassifierError

_CHUNK = 4096


class Model(Protocol):
    """What a classifier's model offers, in scikit-learn's manner."""

    kind: str
    features: PcaFeatures

    def fit(self, patterns: Floats, directions: npt.NDArray[np.intp]) -> Model:
        """Learn from normalized patterns ``(n, f)`` and class indices ``(n,)``."""
        ...

    def predict_proba(self, patterns: Floats) -> Floats:
        """Probabilities ``(n, n_directions)`` of normalized patterns ``(n, f)``."""
        ...

    def predict_components(self, components: Floats) -> Floats:
        """Probabilities from the linear components ``(n, k)`` of `features`."""
        ...

    def settings(self) -> dict[str, Any]:
        """Plain values for the classifier's file."""
        ...

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays for the classifier's file."""
        ...


@dataclass
class PcaKnn:
    """Principal components and k nearest neighbors (Martinc et al. 2026: 20 components, k = 5).

    Parameters
    ----------
    n_directions : int
    components : int
        Principal components of the standardized pixels.
    neighbors : int
        Their votes are weighted by the inverse distance.
    seed : int
    """

    n_directions: int
    components: int = 20
    neighbors: int = 5
    seed: int = 0
    features: PcaFeatures = field(init=False)
    points_: Floats = field(init=False)
    classes_: npt.NDArray[np.uint8] = field(init=False)
    kind = "pca-knn"

    def fit(self, patterns: Floats, directions: npt.NDArray[np.intp]) -> PcaKnn:
        """Learn from normalized patterns ``(n, f)`` and class indices ``(n,)``."""
        self.features = PcaFeatures.fit_plain(patterns, self.components, self.seed)
        self.points_ = self.features.project(patterns).astype(np.float32)
        self.classes_ = directions.astype(np.uint8)
        return self

    def predict_proba(self, patterns: Floats) -> Floats:
        """Probabilities ``(n, n_directions)`` of normalized patterns ``(n, f)``."""
        return self.predict_components(self.features.project(patterns))

    def predict_components(self, components: Floats) -> Floats:
        """Probabilities from the linear components ``(n, k)``."""
        from sklearn.neighbors import NearestNeighbors

        count = min(self.neighbors, len(self.points_))
        search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(self.points_)
        probabilities = np.zeros((len(components), self.n_directions), np.float32)
        for start in range(0, len(components), _CHUNK):
            part = slice(start, start + _CHUNK)
            distance, index = search.kneighbors(components[part])
            votes = 1 / np.maximum(distance, 1e-6)
            rows = np.broadcast_to(np.arange(len(index))[:, None], index.shape)
            np.add.at(probabilities[part], (rows, self.classes_[index]), votes)
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    def settings(self) -> dict[str, Any]:
        """Plain values for the classifier's file."""
        return {"components": self.components, "neighbors": self.neighbors, "seed": self.seed}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays for the classifier's file."""
        return {**self.features.arrays(), "points": self.points_, "classes": self.classes_}

    @classmethod
    def restore(
        cls, n_directions: int, settings: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> PcaKnn:
        """Inverse of `settings` and `arrays`."""
        model = cls(n_directions, **settings)
        model.features = PcaFeatures(arrays["projection"], arrays["offset"])
        model.points_, model.classes_ = arrays["points"], arrays["classes"]
        return model


@dataclass
class PcaLda:
    """Components by parity and a linear discriminant with shrinkage (Ledoit and Wolf 2004).

    Parameters
    ----------
    n_directions : int
    odd, even : int
        Principal components of the antisymmetric and of the symmetric part.
    products : int
        Symmetric components each antisymmetric one is multiplied with, see `PcaFeatures`.
    shrinkage : float or "auto"
        Share of the diagonal in the covariance; "auto" is Ledoit and Wolf's estimate, which takes
        the patterns of one specimen as independent and shrinks too little.
    seed : int
    """

    n_directions: int
    odd: int = 32
    even: int = 24
    products: int = 12
    shrinkage: float | str = "auto"
    seed: int = 0
    features: PcaFeatures = field(init=False)
    weights_: Floats = field(init=False)
    intercept_: Floats = field(init=False)
    kind = "pca-lda"

    def fit(self, patterns: Floats, directions: npt.NDArray[np.intp]) -> PcaLda:
        """Learn from normalized patterns ``(n, f)`` and class indices ``(n,)``."""
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
        self.weights_ = np.zeros((self.n_directions, expanded.shape[1]), np.float32)
        self.intercept_ = np.full(self.n_directions, -1e4, np.float32)
        self.weights_[discriminant.classes_] = weights
        self.intercept_[discriminant.classes_] = intercept
        return self

    def predict_proba(self, patterns: Floats) -> Floats:
        """Probabilities ``(n, n_directions)`` of normalized patterns ``(n, f)``."""
        return self.predict_components(self.features.project(patterns))

    def predict_components(self, components: Floats) -> Floats:
        """Probabilities from the linear components ``(n, k)``."""
        scores = self.features.expand(components) @ self.weights_.T + self.intercept_
        scores -= scores.max(axis=1, keepdims=True)
        exponentials = np.exp(scores)
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)

    def settings(self) -> dict[str, Any]:
        """Plain values for the classifier's file."""
        return {
            "odd": self.odd,
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
        cls, n_directions: int, settings: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> PcaLda:
        """Inverse of `settings` and `arrays`."""
        model = cls(n_directions, **settings)
        model.features = PcaFeatures(
            arrays["projection"], arrays["offset"], model.odd, model.products
        )
        model.weights_, model.intercept_ = arrays["weights"], arrays["intercept"]
        return model


MODELS: dict[str, type[PcaKnn] | type[PcaLda]] = {"pca-knn": PcaKnn, "pca-lda": PcaLda}
"""Models by their names on the command line."""


def model_class(kind: str) -> type[PcaKnn] | type[PcaLda]:
    """The class of a model's name.

    Raises
    ------
    ClassifierError
        If there is no such model.
    """
    if kind not in MODELS:
        raise ClassifierError(
            f"There is no model {kind!r}; the models here are {', '.join(MODELS)}."
        )
    return MODELS[kind]
