"""A classifier's stages set up for one scan: from patterns to calibrated probabilities."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers.context import Context
from napari_polmap.classifiers.models import Model
from napari_polmap.classifiers.models.features import Floats, PcaFeatures
from napari_polmap.classifiers.probabilities import ProbabilityCalibration
from napari_polmap.classifiers.reference import Reference
from napari_polmap.diffraction.operators import BeamOperators
from napari_polmap.diffraction.preprocessing import Preprocessing, minmax
from napari_polmap.diffraction.windows import Window
from napari_polmap.directions import DirectionSet

Halo = tuple[tuple[int, int], tuple[int, int]]
"""Extra positions of a block: ((above, below), (left, right)); fewer only at the scan's edges."""


def inner_of(shape: tuple[int, ...], halo: Halo) -> tuple[slice, slice]:
    """Rows and columns of a block without its halo."""
    return (
        slice(halo[0][0], shape[0] - halo[0][1]),
        slice(halo[1][0], shape[1] - halo[1][1]),
    )


def _grown(
    inner: tuple[slice, slice], reach: int, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """A rectangle with neighbors as far as there are any, and where it lies within that."""
    wide = tuple(
        slice(max(0, part.start - reach), min(n, part.stop + reach))
        for part, n in zip(inner, shape, strict=True)
    )
    within = tuple(
        slice(part.start - outer.start, part.stop - outer.start)
        for part, outer in zip(inner, wide, strict=True)
    )
    return (wide[0], wide[1]), (within[0], within[1])


@dataclass(frozen=True)
class BlockPrediction:
    """What a classifier says of a block of positions.

    Parameters
    ----------
    probabilities : ndarray of float32, shape (rows, columns, n_directions)
        Calibrated; zero where not covered.
    novelty : ndarray of float32, shape (rows, columns)
        Distance from the training data, 1 at its 99th percentile; NaN where not covered.
    slid : ndarray of bool, shape (rows, columns)
        Where the window had to slide inward.
    covered : ndarray of bool, shape (rows, columns)
        False where there is no data.
    """

    probabilities: Floats
    novelty: Floats
    slid: npt.NDArray[np.bool_]
    covered: npt.NDArray[np.bool_]


class Stages(Protocol):
    """What a predictor takes from a classifier; see `Classifier`."""

    directions: DirectionSet
    preprocessing: Preprocessing
    model: Model
    calibration: ProbabilityCalibration
    reference: Reference


@dataclass(frozen=True)
class Predictor:
    """A classifier's stages set up for one scan.

    Parameters
    ----------
    classifier : Stages
        The classifier.
    operators : BeamOperators
        Crop and resampling, wherever the beam stands.
    window : Window
    width_positions : float
        Width of the window in positions.
    context : Context or None
        The classifier's, in this scan.
    """

    classifier: Stages
    operators: BeamOperators
    window: Window
    width_positions: float
    context: Context | None
    _averaged: BeamOperators = field(init=False)

    def __post_init__(self) -> None:
        averaged, features = self.operators, self.classifier.model.features
        if self._merged and features is not None:
            # Crop, resampling and projection are linear: one matrix, and the window then averages
            # a few components instead of whole patterns. The last row gives the pattern's sum.
            size = self.operators.size**2
            mean = np.full((1, size), 1 / size)
            averaged = averaged.projected(np.concatenate([features.projection, mean]))
        object.__setattr__(self, "_averaged", averaged)

    @property
    def _merged(self) -> bool:
        stages = self.classifier
        return stages.preprocessing.normalization == "sum" and stages.model.features is not None

    @property
    def feature_count(self) -> int:
        """Features of a position that the window averages."""
        return self._averaged.count

    @property
    def halo(self) -> tuple[int, int]:
        """Neighboring positions a block needs on each side: rows, columns."""
        rows, columns = self.window.halo
        return rows + self.reach, columns + self.reach

    @property
    def reach(self) -> int:
        """Neighboring windows that the context asks, in positions."""
        context = self.context
        if context is None or len(self.window.rows) == len(self.window.columns) == 1:
            return 0
        return max(abs(dy) for dy, _, _ in context.shifts(self.width_positions))

    def predict_block(
        self, block: npt.NDArray[Any], halo: Halo, origin: tuple[int, int] = (0, 0)
    ) -> BlockPrediction:
        """See `Classifier.predict_block`."""
        features, valid = self.features(block, origin)
        return self.predict_features(features, valid, inner_of(valid.shape, halo))

    def features(
        self, block: npt.NDArray[Any], origin: tuple[int, int] = (0, 0)
    ) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """First half of `predict_block`: what the window averages.

        Parameters
        ----------
        block : ndarray, shape (y, x, ky, kx)
        origin : (int, int)
            Row and column in the scan of its first position.

        Returns
        -------
        features : ndarray of float32, shape (y, x, f)
        valid : ndarray of bool, shape (y, x)
            False where a pattern is empty or not finite.
        """
        features = self._averaged.apply(block, origin)
        total = features[..., -1] if self._merged else features.sum(axis=-1)
        return features, self._checked(features, total)

    def predict_features(
        self, features: Floats, valid: npt.NDArray[np.bool_], inner: tuple[slice, slice]
    ) -> BlockPrediction:
        """Second half of `predict_block`: window, model, calibration, context.

        Parameters
        ----------
        features, valid
            From `features`, with the neighbors the window and the context need.
        inner : (slice, slice)
            The rows and columns to predict.
        """
        wide, within = _grown(inner, self.reach, valid.shape)
        return self.in_context(self.judge(features, valid, wide, asked=within), within)

    def judge(
        self,
        features: Floats,
        valid: npt.NDArray[np.bool_],
        inner: tuple[slice, slice],
        asked: tuple[slice, slice] | None = None,
    ) -> BlockPrediction:
        """What each window says by itself.

        Parameters
        ----------
        features, valid
            From `features`, with the neighbors the window needs.
        inner : (slice, slice)
            The rows and columns to judge.
        asked : (slice, slice), optional
            Of these, the ones that are to be predicted: only windows that their context asks are
            judged, the others' novelty stays NaN.
        """
        averaged, slid, covered = self.window.average(features, valid, inner)
        usable = covered
        if asked is not None and self.reach and self.context is not None:
            usable = covered & self.context.asked(covered.shape, asked, self.width_positions)
        probabilities = np.zeros((*covered.shape, len(self.classifier.directions)), np.float32)
        novelty = np.full(covered.shape, np.nan, np.float32)
        if usable.any():
            probabilities[usable], novelty[usable] = self._judged(averaged[usable])
        return BlockPrediction(probabilities, novelty, slid, covered)

    def in_context(self, judged: BlockPrediction, inner: tuple[slice, slice]) -> BlockPrediction:
        """What the windows of a block say with their neighbors, see `Context`.

        Parameters
        ----------
        judged : BlockPrediction
            From `judge`, with `reach` more positions around `inner`, as far as the scan has them.
        inner : (slice, slice)
        """
        probabilities = judged.probabilities[inner]
        if self.reach and self.context is not None:
            probabilities = self.context.apply(
                judged.probabilities, judged.novelty, inner, self.width_positions
            )
        return BlockPrediction(
            probabilities, judged.novelty[inner], judged.slid[inner], judged.covered[inner]
        )

    def seen(
        self, block: npt.NDArray[Any], halo: Halo, origin: tuple[int, int] = (0, 0)
    ) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """The normalized windowed patterns the model sees, ``(rows, columns, size, size)``."""
        patterns = self.operators.apply(block, origin)
        valid = self._checked(patterns, patterns.sum(axis=-1))
        averaged, _, covered = self.window.average(patterns, valid, inner_of(valid.shape, halo))
        size = self.operators.size
        return self._normalized(averaged).reshape(*covered.shape, size, size), covered

    def _checked(self, features: Floats, total: Floats) -> npt.NDArray[np.bool_]:
        """Where patterns hold data; the others' features become zero, all others normalized.

        Both in place: `features` has shape (y, x, f), `total` the sums of the patterns (y, x).
        """
        valid = np.asarray(np.isfinite(features).all(axis=-1) & (total > 0))
        features[~valid] = 0
        if self.classifier.preprocessing.normalization == "minmax":
            for row in features:
                row[...] = minmax(row)
        return valid

    def _normalized(self, averaged: Floats) -> Floats:
        """Windowed patterns ``(..., f)`` divided by their mean; the paper's stay as they are."""
        if self.classifier.preprocessing.normalization == "minmax":
            return averaged
        mean = averaged.mean(axis=-1, keepdims=True)
        return np.asarray(averaged / np.where(mean > 0, mean, 1), np.float32)

    def _judged(self, averaged: Floats) -> tuple[Floats, Floats]:
        """Calibrated probabilities ``(n, n_directions)`` and novelty of windowed features."""
        model, reference = self.classifier.model, self.classifier.reference
        if model.features is None:
            patterns = self._normalized(averaged)
            raw, novelty = model.predict_proba(patterns), reference.novelty_of(patterns)
        else:
            components = self._components(averaged, model.features)
            raw, novelty = model.predict_components(components), reference.novelty(components)
        return self.classifier.calibration.apply(raw), novelty

    def _components(self, averaged: Floats, features: PcaFeatures) -> Floats:
        """Linear components ``(n, k)`` of windowed features."""
        if not self._merged:
            return features.project(self._normalized(averaged))
        return np.asarray(averaged[:, :-1] / averaged[:, -1:] - features.offset, np.float32)
