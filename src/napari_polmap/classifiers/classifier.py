"""A classifier: preprocessing, window, normalization, model, calibration, in this order."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.classifiers.context import Context
from napari_polmap.classifiers.models import Model
from napari_polmap.classifiers.models.features import Floats
from napari_polmap.diffraction.operators import BeamOperators
from napari_polmap.diffraction.preprocessing import Preprocessing, minmax, percentile_center
from napari_polmap.diffraction.windows import Window
from napari_polmap.directions import DirectionSet
from napari_polmap.scan import Scan

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
class ProbabilityCalibration:
    """Temperature scaling of the model's probabilities (Guo et al. 2017).

    Parameters
    ----------
    temperature : float
        Logarithms of the probabilities are divided by it; above one makes them less confident.
    floor : float
        Smallest probability before the logarithm, so that k-NN votes of zero can be scaled.
    """

    temperature: float = 1.0
    floor: float = 1e-3

    def apply(self, probabilities: Floats) -> Floats:
        """Calibrated probabilities ``(..., n_directions)``."""
        logits = np.log(np.maximum(probabilities, self.floor)) / self.temperature
        logits -= logits.max(axis=-1, keepdims=True)
        exponentials = np.exp(logits)
        return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), np.float32)


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
    """

    class_means: Floats
    vectors: Floats
    directions: npt.NDArray[np.uint8]
    mean: Floats
    whitening: Floats
    novelty_scale: float

    def novelty(self, components: Floats) -> Floats:
        """Distance of components ``(n, k)`` from the training data, 1 at the 99th percentile."""
        departures = (components - self.mean) @ self.whitening.T
        return np.asarray(np.sqrt(np.mean(departures**2, axis=1)) / self.novelty_scale, np.float32)


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


@dataclass
class Classifier:
    """A trained model with everything that belongs to it.

    Parameters
    ----------
    name : str
    directions : DirectionSet
        Classes, angles in the crystal's frame.
    preprocessing : Preprocessing
    window_cells : float
        Default width of the window in unit cells; 0 for single patterns.
    model : Model
    calibration : ProbabilityCalibration
    threshold : float
        Confidence below which a position is undecided, chosen on validation groups.
    card : dict
        What it was trained on, and its figures; plain values.
    reference : Reference
    context : Context or None
        How neighboring windows speak together.
    path : Path, optional
        The file it came from.
    sha256 : str
        Hash of that file.
    """

    name: str
    directions: DirectionSet
    preprocessing: Preprocessing
    window_cells: float
    model: Model
    calibration: ProbabilityCalibration
    threshold: float
    card: dict[str, Any]
    reference: Reference
    context: Context | None = None
    path: Path | None = None
    sha256: str = ""
    _predictor: tuple[Any, Predictor] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    @property
    def class_means(self) -> Floats:
        """Mean pattern of each direction, shape ``(n_directions, size, size)``."""
        return self.reference.class_means

    def describe(self) -> dict[str, Any]:
        """Plain values that tell in a map which classifier made it."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "model": self.model.kind,
            "window_cells": self.window_cells,
            "threshold": self.threshold,
            "preprocessing": self.preprocessing.to_dict(),
            "context": None if self.context is None else self.context.to_dict(),
            "card": self.card,
        }

    def calibration_of(self, scan: Scan) -> Calibration:
        """The scan's calibration with what this classifier takes in its own way.

        The lattice period comes from the card where the scan has none, and the beam's center from
        the 95th percentile where the preprocessing says so (the paper's).
        """
        calibration = scan.calibration
        if calibration.lattice_nm is None and self.card.get("lattice_nm"):
            calibration = calibration.updated("file", lattice_nm=self.card["lattice_nm"])
        if self.preprocessing.center == "percentile":
            mean = scan.strided().astype(np.float64).mean(axis=0)
            calibration = calibration.updated("measured", center_px=percentile_center(mean))
        return calibration

    def predictor(
        self,
        calibration: Calibration,
        scan_shape: tuple[int, int],
        detector_shape: tuple[int, int],
        bad_pixels: npt.NDArray[np.bool_] | None = None,
        window_cells: float | None = None,
    ) -> Predictor:
        """The stages set up for one scan.

        Parameters
        ----------
        calibration : Calibration
            From `calibration_of`.
        scan_shape, detector_shape : (int, int)
        bad_pixels : ndarray of bool, optional
        window_cells : float, optional
            Instead of the classifier's own width.
        """
        bad = None if bad_pixels is None else bad_pixels.tobytes()
        width = self.window_cells if window_cells is None else window_cells
        key = (repr(calibration), scan_shape, detector_shape, bad, width)
        kept = self._predictor
        if kept is None or kept[0] != key:
            operators = BeamOperators(
                self.preprocessing, calibration, scan_shape, detector_shape, bad_pixels
            )
            window = Window.of(width, calibration.cell_positions, scan_shape)
            positions = width * (calibration.cell_positions or 0.0)
            kept = key, Predictor(self, operators, window, positions)
            # Another thread may keep another one meanwhile: hand out this one all the same.
            self._predictor = kept
        return kept[1]

    def predict_block(
        self,
        block: npt.NDArray[Any],
        halo: Halo,
        calibration: Calibration,
        *,
        scan_shape: tuple[int, int] | None = None,
        bad_pixels: npt.NDArray[np.bool_] | None = None,
        window_cells: float | None = None,
        origin: tuple[int, int] = (0, 0),
    ) -> BlockPrediction:
        """Everything from patterns to probabilities, for a block of positions.

        Parameters
        ----------
        block : ndarray, shape (rows + halo, columns + halo, ky, kx)
            Patterns of the block and of the neighbors its window needs.
        halo : ((int, int), (int, int))
            How many rows above and below and columns left and right are neighbors; fewer than the
            predictor's ``halo`` only where the scan ends.
        calibration : Calibration
            From `calibration_of`.
        scan_shape : (int, int), optional
            Rows and columns of the whole scan; by default the block is the scan.
        bad_pixels, window_cells
            See `predictor`.
        origin : (int, int)
            Row and column in the scan of the block's first position, neighbors included: with a
            descan the beam stands elsewhere on the detector at other positions.
        """
        rows, columns = block.shape[:2]
        predictor = self.predictor(
            calibration,
            scan_shape or (rows, columns),
            (block.shape[2], block.shape[3]),
            bad_pixels,
            window_cells,
        )
        return predictor.predict_block(block, halo, origin)

    def predict_proba(
        self,
        patterns: npt.NDArray[Any],
        calibration: Calibration,
        bad_pixels: npt.NDArray[np.bool_] | None = None,
    ) -> Floats:
        """Probabilities of patterns that stand alone or are averaged already.

        Parameters
        ----------
        patterns : ndarray, shape (n, ky, kx)
        calibration : Calibration
            From `calibration_of`. The beam stands at its center, whatever the descan.
        bad_pixels : ndarray of bool, optional

        Returns
        -------
        ndarray of float32, shape (n, n_directions)
        """
        still = dataclasses.replace(calibration, descan_px=None)
        predictor = self.predictor(still, (1, 1), patterns.shape[1:], bad_pixels, 0.0)
        block = np.asarray(patterns)[:, None]
        return predictor.predict_block(block, ((0, 0), (0, 0))).probabilities[:, 0]


@dataclass(frozen=True)
class Predictor:
    """A classifier's stages set up for one scan.

    Parameters
    ----------
    classifier : Classifier
    operators : BeamOperators
        Crop and resampling, wherever the beam stands.
    window : Window
    width_positions : float
        Width of the window in positions.
    """

    classifier: Classifier
    operators: BeamOperators
    window: Window
    width_positions: float
    _averaged: BeamOperators = field(init=False)

    def __post_init__(self) -> None:
        averaged = self.operators
        if self._merged:
            # Crop, resampling and projection are linear: one matrix, and the window then averages
            # a few components instead of whole patterns. The last row gives the pattern's sum.
            size = self.operators.size**2
            averaged = averaged.projected(
                np.concatenate(
                    [self.classifier.model.features.projection, np.full((1, size), 1 / size)]
                )
            )
        object.__setattr__(self, "_averaged", averaged)

    @property
    def _merged(self) -> bool:
        return self.classifier.preprocessing.normalization == "sum"

    @property
    def feature_count(self) -> int:
        """Features of a position that the window averages."""
        return self._averaged.count

    @property
    def halo(self) -> tuple[int, int]:
        """Neighboring positions a block needs on each side: rows, columns."""
        rows, columns = self.window.halo
        return rows + self._reach, columns + self._reach

    @property
    def _reach(self) -> int:
        """Neighboring windows that the context asks, in positions."""
        context = self.classifier.context
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
        """Second half of `predict_block`: window, model, calibration.

        Parameters
        ----------
        features, valid
            From `features`, with the neighbors the window needs.
        inner : (slice, slice)
            The rows and columns to predict.
        """
        reach = self._reach
        wide, within = _grown(inner, reach, valid.shape)
        averaged, slid, covered = self.window.average(features, valid, wide)
        shape = covered.shape
        flat, usable = averaged.reshape(-1, averaged.shape[-1]), covered.ravel()
        components = self._components(flat[usable])
        n_directions = len(self.classifier.directions)
        probabilities = np.zeros((len(flat), n_directions), np.float32)
        novelty = np.full(len(flat), np.nan, np.float32)
        if len(components):
            raw = self.classifier.model.predict_components(components)
            probabilities[usable] = self.classifier.calibration.apply(raw)
            novelty[usable] = self.classifier.reference.novelty(components)
        result = probabilities.reshape(*shape, n_directions)
        novel = novelty.reshape(shape)
        if reach and self.classifier.context is not None:
            result = self.classifier.context.apply(result, novel, within, self.width_positions)
        else:
            result = result[within]
        return BlockPrediction(result, novel[within], slid[within], covered[within])

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

    def _components(self, averaged: Floats) -> Floats:
        """Linear components ``(n, k)`` of windowed features."""
        features = self.classifier.model.features
        if not self._merged:
            return features.project(self._normalized(averaged))
        return np.asarray(averaged[:, :-1] / averaged[:, -1:] - features.offset, np.float32)
