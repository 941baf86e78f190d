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
from napari_polmap.classifiers.predictor import BlockPrediction, Halo, Predictor
from napari_polmap.classifiers.probabilities import ProbabilityCalibration
from napari_polmap.classifiers.reference import Reference
from napari_polmap.diffraction.operators import BeamOperators
from napari_polmap.diffraction.preprocessing import Preprocessing, percentile_center
from napari_polmap.diffraction.windows import Window
from napari_polmap.directions import DirectionSet
from napari_polmap.scan import Scan


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
            context = self.context
            if context is not None:
                context = context.within(window.independent(scan_shape))
            kept = key, Predictor(self, operators, window, positions, context)
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
