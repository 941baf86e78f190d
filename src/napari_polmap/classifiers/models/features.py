"""Features of a pattern: principal components, split by parity where asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

_EXACT, _POWER = 1500, 7
"""Pixels up to which principal components are exact; iterations of those beyond."""

_LEAST_VARIANCE = 1e-10
"""Of a component, as a share of the first one's."""


@dataclass(frozen=True)
class PcaFeatures:
    """Linear features ``z = x @ projection.T - offset``, and products of them.

    The polarization shows in the antisymmetric part p(k) - p(-k) of the windowed pattern, in a way
    that changes with thickness; thickness shows in the symmetric part. The products of components
    of both let a linear discriminant on top weigh the antisymmetric part by thickness.

    Parameters
    ----------
    projection : ndarray of float32, shape (k, f)
    offset : ndarray of float32, shape (k,)
    odd : int
        How many leading components belong to the antisymmetric part; 0 for plain components.
    products : int
        How many symmetric components each antisymmetric one is multiplied with.
    """

    projection: Floats
    offset: Floats
    odd: int = 0
    products: int = 0

    @classmethod
    def fit_plain(cls, patterns: Floats, components: int, seed: int) -> PcaFeatures:
        """Principal components of the standardized pixels (Martinc et al. 2026: 20)."""
        mean, scale = patterns.mean(axis=0), _scale(patterns)
        pca = _pca(np.asarray((patterns - mean) / scale, np.float32), components, seed)
        projection = pca.components_ / scale
        return cls(projection.astype(np.float32), (projection @ mean).astype(np.float32))

    @classmethod
    def fit_parity(
        cls, patterns: Floats, odd: int, even: int, products: int, seed: int
    ) -> PcaFeatures:
        """Components of the antisymmetric and the symmetric part, scaled to unit variance.

        Parameters
        ----------
        patterns : ndarray of float32, shape (n, size * size)
            Square patterns around the beam's center, so that p(-k) is the reversed row.
        odd, even : int
            Components of the antisymmetric and of the symmetric part.
        products : int
            How many symmetric components the antisymmetric ones are multiplied with.
        """
        mirrored = patterns[:, ::-1]
        rows = []
        for part, count in (((patterns - mirrored) / 2, odd), ((patterns + mirrored) / 2, even)):
            # One scale for all pixels: noise in dark pixels must not be blown up.
            pca = _pca(np.asarray(part, np.float32), count, seed)
            # Few patterns span few components: the others are rounding errors.
            variance = pca.explained_variance_
            real = variance > _LEAST_VARIANCE * variance[0]
            rows.append(pca.components_[real] / np.sqrt(variance[real])[:, None])
        projection = np.concatenate(rows)
        offset = projection @ patterns.mean(axis=0)
        offset[: len(rows[0])] = 0  # odd components of a centrosymmetric pattern are zero
        return cls(projection.astype(np.float32), offset.astype(np.float32), len(rows[0]), products)

    @property
    def linear_count(self) -> int:
        """Number of linear components."""
        return len(self.projection)

    def project(self, patterns: Floats) -> Floats:
        """Linear components ``(n, k)`` of normalized patterns ``(n, f)``."""
        return np.asarray(patterns @ self.projection.T - self.offset)

    def expand(self, components: Floats) -> Floats:
        """What the estimator sees, ``(n, m)``, from linear components ``(n, k)``."""
        if not self.products:
            return components[:, : self.odd] if self.odd else components
        odd = components[:, : self.odd]
        even = components[:, self.odd : self.odd + self.products]
        mixed = odd[:, :, None] * even[:, None, :]
        return np.concatenate([odd, mixed.reshape(len(odd), -1)], axis=1)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays a classifier file keeps."""
        return {"projection": self.projection, "offset": self.offset}


def _scale(patterns: Floats) -> Floats:
    scale = patterns.std(axis=0)
    return np.where(scale > 0, scale, 1)


def _pca(values: Floats, components: int, seed: int) -> Any:
    from sklearn.decomposition import PCA

    count = min(components, *values.shape)
    solver = "covariance_eigh" if len(values) >= values.shape[1] else "full"
    if min(values.shape) > _EXACT and count < _EXACT // 10:
        # Halko et al. 2011; thirty times faster than all components of 64 x 64 pixels.
        solver = "randomized"
    return PCA(count, svd_solver=solver, iterated_power=_POWER, random_state=seed).fit(values)
