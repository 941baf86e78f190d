"""The defect score on a synthetic crystal."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from napari_polmap.analysis.defects import DefectScorer, robust_z
from tests.synthetic import CALIBRATION, make_patterns

SHAPE = (48, 56)


def _scores(defect: tuple[int, int] | None, **calibration: object) -> np.ndarray:
    patterns = make_patterns(np.zeros(SHAPE, int), seed=3, defect=defect)
    scorer = DefectScorer.of(CALIBRATION.updated("user", **calibration), SHAPE, patterns.shape[2:])
    whole = (slice(0, SHAPE[0]), slice(0, SHAPE[1]))
    return scorer.score(scorer.features(patterns), np.ones(SHAPE, bool), whole)


def test_defect_stands_out_along_the_lattice() -> None:
    scores = _scores((24, 30))
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    truth = np.hypot(y - 24, x - 30) < 4
    known = np.isfinite(scores)
    assert known.mean() > 0.7
    assert roc_auc_score(truth[known], scores[known]) > 0.95
    # Without the lattice the position in the cell hides it.
    blind = _scores((24, 30), lattice_nm=None)
    known = np.isfinite(blind)
    assert roc_auc_score(truth[known], blind[known]) < 0.9


def test_blocks_give_what_the_whole_gives() -> None:
    patterns = make_patterns(np.zeros(SHAPE, int), seed=4)
    calibration = CALIBRATION.updated("user", lattice_nm=0.37, crystal_angle_deg=10)
    scorer = DefectScorer.of(calibration, SHAPE, patterns.shape[2:])
    features, valid = scorer.features(patterns), np.ones(SHAPE, bool)
    whole = scorer.score(features, valid, (slice(0, 48), slice(0, 56)))
    halo = scorer.halo
    rows = slice(max(0, 20 - halo[0]), min(48, 30 + halo[0]))
    part = scorer.score(
        features[rows], valid[rows], (slice(20 - rows.start, 30 - rows.start), slice(0, 56))
    )
    np.testing.assert_allclose(part, whole[20:30], rtol=1e-4)


def test_a_wandering_beam_is_no_defect() -> None:
    calibration = CALIBRATION.updated("user", descan_px=(0.0, 0.06, 0.06, 0.0))
    patterns = make_patterns(np.zeros(SHAPE, int), seed=3, defect=(24, 30), calibration=calibration)
    scores = []
    for known in (calibration, CALIBRATION):
        scorer = DefectScorer.of(known, SHAPE, patterns.shape[2:])
        whole = (slice(0, SHAPE[0]), slice(0, SHAPE[1]))
        scores.append(scorer.score(scorer.features(patterns), np.ones(SHAPE, bool), whole))
        part = scorer.features(patterns[10:20, 30:], (10, 30))
        np.testing.assert_allclose(part, scorer.features(patterns)[10:20, 30:], rtol=1e-5)
    followed, blind = scores
    assert np.nanmedian(followed) < 0.8 * np.nanmedian(blind)


def test_robust_z() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(5, 2, (50, 50)).astype(np.float32)
    scores[0, 0] = np.nan
    scores[3, 3] = 105
    z = robust_z(scores)
    assert z[3, 3] == pytest.approx(50, rel=0.1)
    assert np.nanmedian(z) == pytest.approx(0, abs=1e-6)
    assert np.isnan(z[0, 0])
    assert np.isnan(robust_z(np.full((2, 2), np.nan, np.float32))).all()
