"""One run over a scan: what is set up once, and the order in which the data are read.

Each strip of rows is read once: the few features that the window averages are kept for the rows
that later strips need as neighbors, instead of reading the patterns of the halo again. Each window
is judged once, too: what the model says is kept for the rows that later strips ask as context.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.analysis.defects import DefectScorer
from napari_polmap.calibration import Calibration
from napari_polmap.classifiers.classifier import Classifier
from napari_polmap.classifiers.library import suggest_classifier
from napari_polmap.classifiers.matching import mismatches, step_warning, unknowns
from napari_polmap.classifiers.predictor import BlockPrediction, Predictor
from napari_polmap.diffraction.windows import holds_a_cell
from napari_polmap.errors import CalibrationError, ClassifierMismatchError
from napari_polmap.scan import CHUNK_BYTES, Scan

Region = tuple[slice, slice]
"""Rows and columns of a rectangle of positions."""
Step = tuple[int, slice, slice, tuple[BlockPrediction, npt.NDArray[np.float32]] | None]
"""Positions read since the last step; a rectangle; its prediction and raw defect scores, if done.
"""

_BUFFER_BYTES = 192 * 2**20
_LEAST_COLUMNS = 32
_LEAST_STRIPS = 12
_SMALL_SCAN_BYTES = 512 * 2**20


@dataclass(frozen=True)
class RunSetup:
    """What stays the same over one run: calibration, predictor, defect scorer, warnings."""

    predictor: Predictor
    scorer: DefectScorer
    calibration: Calibration
    window_cells: float
    warnings: tuple[str, ...]
    calibrated: bool

    @classmethod
    def of(cls, scan: Scan, classifier: Classifier, window: float | None, force: bool) -> RunSetup:
        """Check that the classifier applies, and set its stages up for a scan.

        Raises
        ------
        ClassifierMismatchError, CalibrationError
            See `napari_polmap.mapping.iter_classify`.
        """
        calibration = classifier.calibration_of(scan)
        warnings = list(scan.warnings)
        foreign = mismatches(classifier.card, calibration)
        if foreign and not force:
            reasons = ", and ".join(s[0].lower() + s[1:].removesuffix(".") for s in foreign)
            other = suggest_classifier(calibration, classifier.path)
            choose = "choose or train another classifier"
            if other is not None:
                choose = f"choose the installed classifier {other.name!r}, which does"
            raise ClassifierMismatchError(
                f"The classifier {classifier.name!r} does not apply to this scan: {reasons}; "
                f"{choose}, or correct the calibration."
            )
        warnings += foreign
        unknown = unknowns(classifier.card, calibration)
        if unknown:
            warnings.append(
                f"The scan does not tell its {' and '.join(unknown)}, so that it could not be "
                "checked against the classifier."
            )
        step = step_warning(classifier.card, calibration)
        warnings += [step] if step else []
        window_cells = classifier.window_cells if window is None else float(window)
        if not (np.isfinite(window_cells) and 0 <= window_cells <= 20):
            raise CalibrationError(
                f"The window's width must be 0 to 20 unit cells, but is {window_cells}; correct it."
            )
        if window_cells and calibration.cell_positions is None:
            raise CalibrationError(
                f"The window is set in unit cells, but the {_missing(calibration)} not known; give "
                "what is missing (--step NM and --lattice NM, or in the Scan section), or use a "
                "window of 0 cells."
            )
        whole = holds_a_cell(window_cells, calibration.cell_positions, scan.scan_shape)
        if not whole:
            warnings.append(
                f"The scan has {scan.shape[0]} x {scan.shape[1]} positions and a unit cell "
                f"{calibration.cell_positions:.3g} along each side, so that no window holds a "
                "whole one: directions and confidence cannot be relied on; scan a larger field."
            )
        shapes = scan.scan_shape, scan.detector_shape
        predictor = classifier.predictor(calibration, *shapes, scan.bad_pixels, window_cells)
        scorer = DefectScorer.of(calibration, *shapes, scan.bad_pixels)
        return cls(
            predictor, scorer, calibration, window_cells, tuple(warnings),
            whole and not (foreign or unknown or step),
        )  # fmt: skip

    @property
    def halo(self) -> tuple[int, int]:
        """Neighboring positions needed on each side."""
        mine, other = self.predictor.halo, self.scorer.halo
        return max(mine[0], other[0]), max(mine[1], other[1])

    def features(
        self, block: npt.NDArray[Any], origin: tuple[int, int]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Features of both, side by side, and which positions have data."""
        features, valid = self.predictor.features(block, origin)
        return np.concatenate([features, self.scorer.features(block, origin)], axis=-1), valid

    def judge(
        self,
        features: npt.NDArray[np.float32],
        valid: npt.NDArray[np.bool_],
        inner: tuple[slice, slice],
    ) -> BlockPrediction:
        """What each window says by itself."""
        return self.predictor.judge(features[..., : self.predictor.feature_count], valid, inner)

    def score(
        self,
        features: npt.NDArray[np.float32],
        valid: npt.NDArray[np.bool_],
        inner: tuple[slice, slice],
    ) -> npt.NDArray[np.float32]:
        """Raw defect score of the inner positions."""
        return self.scorer.score(features[..., self.predictor.feature_count :], valid, inner)

    @property
    def _feature_bytes(self) -> int:
        return 4 * (self.predictor.feature_count + self.scorer.operators.count)

    def band_width(self, parts: list[slice], scan_shape: tuple[int, int]) -> int:
        """Columns of a band whose features, with the halo, fit the buffer."""
        height = max(strip.stop - strip.start for strip in parts) + 2 * self.halo[0]
        fitting = _BUFFER_BYTES // (height * self._feature_bytes) - 2 * self.halo[1]
        return int(min(scan_shape[1], max(_LEAST_COLUMNS, fitting)))


def _missing(calibration: Calibration) -> str:
    """What of scan step and lattice period is not known, with the verb."""
    values = {"scan step": calibration.step_nm, "lattice period": calibration.lattice_nm}
    names = [name for name, value in values.items() if value is None]
    return f"{' and the '.join(names)} {'is' if len(names) == 1 else 'are'}"


class _Rows:
    """Arrays of consecutive rows of a band, oldest dropped, newest added."""

    def __init__(self, first: int) -> None:
        self.first = self.end = first
        self._arrays: tuple[npt.NDArray[Any], ...] = ()

    def drop_before(self, row: int) -> None:
        """Forget the rows before `row`."""
        self._arrays = tuple(array[row - self.first :] for array in self._arrays)
        self.first = row

    def add(self, *arrays: npt.NDArray[Any]) -> None:
        """Add rows at the end."""
        self.end += len(arrays[0])
        if self._arrays:
            arrays = tuple(map(np.concatenate, zip(self._arrays, arrays, strict=True)))
        self._arrays = arrays

    def until(self, row: int) -> tuple[npt.NDArray[Any], ...]:
        """The arrays' rows before `row`."""
        return tuple(array[: row - self.first] for array in self._arrays)


def predictions(scan: Scan, setup: RunSetup, pending: list[Region]) -> Generator[Step, None, None]:
    """Predict rectangles, bands of columns from top to bottom.

    Parameters
    ----------
    scan : Scan
    setup : RunSetup
    pending : list of (slice, slice)
        Rows and columns to predict; those of one band follow each other downwards.

    Yields
    ------
    Step
        Several while a rectangle's rows are read, the last of them with its prediction.
    """
    band, kept, judged = None, _Rows(0), _Rows(0)
    for rows, columns in pending:
        whole = _around((rows, columns), setup.halo, scan)
        top, bottom = whole[0].start, whole[0].stop
        if band != columns or not kept.first <= top <= kept.end:
            band, kept, judged = columns, _Rows(top), _Rows(top)
        kept.drop_before(top)
        counted, positions = 0, (rows.stop - rows.start) * (columns.stop - columns.start)
        if kept.end < bottom:
            missing = (slice(kept.end, bottom), whole[1])
            shape = (bottom - kept.end, whole[1].stop - whole[1].start)
            features, valid = None, np.empty(shape, bool)
            read = 0
            for part in _pieces(scan, *missing):
                fresh, usable = setup.features(scan.read(*part), (part[0].start, part[1].start))
                if features is None:
                    features = np.empty((*shape, fresh.shape[-1]), np.float32)
                place = _within(part, missing)
                features[place], valid[place] = fresh, usable
                read += usable.size
                share = positions * read // valid.size
                yield share - counted, rows, columns, None
                counted = share
            assert features is not None
            kept.add(features, valid)
        block, filled = kept.until(bottom)
        asked = _around((rows, columns), (setup.predictor.reach,) * 2, scan)
        if not judged.first <= asked[0].start <= judged.end:
            judged = _Rows(asked[0].start)
        judged.drop_before(asked[0].start)
        if judged.end < asked[0].stop:
            new = (slice(judged.end, asked[0].stop), asked[1])
            said = setup.judge(block, filled, _within(new, whole))
            judged.add(said.probabilities, said.novelty, said.slid, said.covered)
        probabilities, novelty, slid, covered = judged.until(asked[0].stop)
        windows = BlockPrediction(probabilities, novelty, slid, covered)
        prediction = setup.predictor.in_context(windows, _within((rows, columns), asked))
        scores = setup.score(block, filled, _within((rows, columns), whole))
        yield positions - counted, rows, columns, (prediction, scores)


def _around(region: Region, halo: tuple[int, int], scan: Scan) -> Region:
    """A rectangle with its neighbors, as far as the scan has them."""
    rows, columns = (
        slice(max(0, part.start - reach), min(n, part.stop + reach))
        for part, reach, n in zip(region, halo, scan.scan_shape, strict=True)
    )
    return rows, columns


def _within(part: Region, whole: Region) -> Region:
    """Where a rectangle lies in an array of a larger one."""
    rows, columns = (
        slice(own.start - outer.start, own.stop - outer.start)
        for own, outer in zip(part, whole, strict=True)
    )
    return rows, columns


def strips(scan: Scan, rows: slice) -> Iterator[slice]:
    """Rows of one step of the map: the chunks' rows, finer for small scans, so that they show."""
    heights = scan.data.chunks[0]
    finest = max(heights)
    if len(heights) < _LEAST_STRIPS and scan.nbytes < _SMALL_SCAN_BYTES:
        finest = max(1, -(-scan.shape[0] // _LEAST_STRIPS))
    top = 0
    for height in heights:
        for start in range(top, top + height, finest):
            low, high = max(start, rows.start), min(start + finest, top + height, rows.stop)
            if low < high:
                yield slice(low, high)
        top += height


def bands(columns: slice, width: int) -> Iterator[slice]:
    """Columns cut into bands of a width."""
    for left in range(columns.start, columns.stop, width):
        yield slice(left, min(columns.stop, left + width))


def _pieces(scan: Scan, rows: slice, columns: slice) -> Iterator[Region]:
    """Rectangles to read at once: within the chunks, and not too large."""
    pattern_bytes = int(np.prod(scan.detector_shape)) * scan.dtype.itemsize
    for part_rows, part_columns in scan.blocks((rows, columns)):
        width = part_columns.stop - part_columns.start
        height = max(1, CHUNK_BYTES // (pattern_bytes * width))
        for top in range(part_rows.start, part_rows.stop, height):
            yield slice(top, min(part_rows.stop, top + height)), part_columns
