"""The classifier's stages: merged and plain way, order, dtypes, missing data, novelty."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.classifiers import Classifier
from napari_polmap.diffraction.operators import BeamOperators
from napari_polmap.diffraction.preprocessing import Preprocessing, minmax, percentile_center
from napari_polmap.scan import Scan
from tests.synthetic import CALIBRATION, DIRECTIONS, make_patterns

NO_HALO = ((0, 0), (0, 0))


def _single(name: str, shape: tuple[int, int] = (24, 24), **options: object) -> np.ndarray:
    labels = np.full(shape, DIRECTIONS.index(name))
    return make_patterns(labels, seed=77, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", DIRECTIONS.names)
def test_names_every_direction(classifier: Classifier, name: str) -> None:
    prediction = classifier.predict_block(_single(name), NO_HALO, CALIBRATION)
    assert (prediction.probabilities.argmax(-1) == DIRECTIONS.index(name)).mean() > 0.97
    np.testing.assert_allclose(prediction.probabilities.sum(-1), 1, rtol=1e-4)


def test_merged_stages_equal_the_plain_way(classifier: Classifier) -> None:
    block = _single("LU")
    classifier = dataclasses.replace(classifier, context=None)
    prediction = classifier.predict_block(block, NO_HALO, CALIBRATION)
    predictor = classifier.predictor(CALIBRATION, (24, 24), (32, 32))
    seen, covered = predictor.seen(block, NO_HALO)
    plain = classifier.calibration.apply(
        classifier.model.predict_proba(seen.reshape(24 * 24, -1))
    ).reshape(24, 24, -1)
    assert covered.all()
    np.testing.assert_allclose(seen.mean((2, 3)), 1, rtol=1e-4)
    np.testing.assert_allclose(prediction.probabilities, plain, atol=2e-3)


def test_halo_gives_what_the_whole_gives(classifier: Classifier) -> None:
    block = _single("RD", (110, 64))
    whole = classifier.predict_block(block, NO_HALO, CALIBRATION)
    halo = classifier.predictor(CALIBRATION, (110, 64), (32, 32)).halo
    part = classifier.predict_block(
        block[50 - halo[0] : 60 + halo[0], : 10 + halo[1]],
        ((halo[0], halo[0]), (0, halo[1])),
        CALIBRATION,
        scan_shape=(110, 64),
    )
    np.testing.assert_allclose(part.probabilities, whole.probabilities[50:60, :10], atol=1e-4)
    np.testing.assert_array_equal(part.slid, whole.slid[50:60, :10])


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "uint8", ">f4", "float64", "int32"])
def test_any_dtype_and_byte_order(classifier: Classifier, dtype: str) -> None:
    block = _single("MU", dose=1500.0)
    expected = classifier.predict_block(block, NO_HALO, CALIBRATION)
    given = classifier.predict_block(block.astype(dtype), NO_HALO, CALIBRATION)
    np.testing.assert_array_equal(given.probabilities, expected.probabilities)


def test_missing_positions_have_no_direction(classifier: Classifier) -> None:
    block = _single("LM").astype(np.float32)
    block[3, 4] = np.nan
    block[20, 5] = 0
    prediction = classifier.predict_block(block, NO_HALO, CALIBRATION)
    assert np.argwhere(~prediction.covered).tolist() == [[3, 4], [20, 5]]
    assert (prediction.probabilities[3, 4] == 0).all()
    assert np.isnan(prediction.novelty[20, 5])
    right = prediction.probabilities.argmax(-1) == DIRECTIONS.index("LM")
    assert right[prediction.covered].mean() > 0.97


def test_patterns_that_are_averaged_already(classifier: Classifier) -> None:
    means = np.stack([_single(n, (8, 8)).mean((0, 1)) for n in DIRECTIONS.names])
    probabilities = classifier.predict_proba(means, CALIBRATION)
    np.testing.assert_array_equal(probabilities.argmax(1), np.arange(8))


def test_turned_detector_and_crystal_are_undone(classifier: Classifier) -> None:
    block = _single("RU")
    # The detector turned clockwise by 90°: turning it back counter-clockwise is the calibration.
    turned = np.rot90(block, -1, axes=(2, 3))
    center = (CALIBRATION.center_px[1], 31 - CALIBRATION.center_px[0])
    calibration = CALIBRATION.updated("user", rotation_deg=90.0, center_px=center)
    prediction = classifier.predict_block(turned, NO_HALO, calibration)
    assert (prediction.probabilities.argmax(-1) == DIRECTIONS.index("RU")).mean() > 0.97
    # In a crystal turned by 90° the same polarization is another class.
    crystal = CALIBRATION.updated("user", crystal_angle_deg=90.0)
    prediction = classifier.predict_block(block, NO_HALO, crystal)
    assert (prediction.probabilities.argmax(-1) == DIRECTIONS.index("RD")).mean() > 0.97


def test_novelty_tells_foreign_patterns(classifier: Classifier) -> None:
    own = classifier.predict_block(_single("MD"), NO_HALO, CALIBRATION).novelty
    assert np.median(own) < 1
    ky, kx = np.mgrid[:32, :32]
    ring = 50 * np.exp(-((np.hypot(ky - 15.6, kx - 15.2) - 6) ** 2))
    foreign = np.broadcast_to(ring, (12, 12, 32, 32))
    assert np.median(classifier.predict_block(foreign, NO_HALO, CALIBRATION).novelty) > 3


def test_paper_preprocessing_centers_itself(classifier: Classifier) -> None:
    paper = dataclasses.replace(
        classifier,
        preprocessing=dataclasses.replace(
            classifier.preprocessing, extent=None, center="percentile", normalization="minmax"
        ),
    )
    scan = Scan(_single("MU"), CALIBRATION.updated("user", center_px=(3.0, 3.0)))
    expected = percentile_center(scan.strided().mean(0))
    assert paper.calibration_of(scan).center_px == pytest.approx(expected)
    # Pulled towards the polarization, which is why ours takes the disk's edge.
    assert expected[0] < CALIBRATION.center_px[0] - 1
    assert classifier.calibration_of(scan).center_px == (3.0, 3.0)


DESCAN = CALIBRATION.updated("user", descan_px=(0.025, -0.02, 0.01, 0.05), ellipse=(1.05, 20.0))


def test_blocks_of_a_scan_with_a_descan_give_what_the_whole_gives(classifier: Classifier) -> None:
    shape = (110, 64)
    block = _single("RD", shape, calibration=DESCAN)
    whole = classifier.predict_block(block, NO_HALO, DESCAN)
    assert (whole.probabilities.argmax(-1) == DIRECTIONS.index("RD")).mean() > 0.97
    halo = classifier.predictor(DESCAN, shape, (32, 32)).halo
    part = (block[50 - halo[0] : 60 + halo[0], : 10 + halo[1]],
            ((halo[0], halo[0]), (0, halo[1])), DESCAN)  # fmt: skip
    placed = classifier.predict_block(*part, scan_shape=shape, origin=(50 - halo[0], 0))
    np.testing.assert_allclose(placed.probabilities, whole.probabilities[50:60, :10], atol=1e-4)
    # Its place matters.
    astray = classifier.predict_block(*part, scan_shape=shape)
    assert np.median(astray.novelty) > 3 * np.median(placed.novelty)


def test_merged_stages_equal_the_plain_way_with_a_descan(classifier: Classifier) -> None:
    block = _single("LU", (24, 40), calibration=DESCAN)
    bad = np.zeros((32, 32), bool)
    bad[12, 10:14] = True
    classifier = dataclasses.replace(classifier, context=None)
    for mask in (None, bad):
        prediction = classifier.predict_block(block, NO_HALO, DESCAN, bad_pixels=mask)
        predictor = classifier.predictor(DESCAN, (24, 40), (32, 32), mask)
        seen, _ = predictor.seen(block, NO_HALO)
        plain = classifier.calibration.apply(
            classifier.model.predict_proba(seen.reshape(24 * 40, -1))
        ).reshape(24, 40, -1)
        np.testing.assert_allclose(prediction.probabilities, plain, atol=2e-3)


def test_the_papers_way_follows_the_beam_too() -> None:
    """Its crop around the percentile's center, min-max of single patterns before the window."""
    labels = np.zeros((24, 40), int)
    options = {"seed": 5, "dose": 3e6, "detector": 48}
    strong = DESCAN.updated("user", descan_px=(0.0, 0.0, 0.0, 0.08), ellipse=None)
    paper = Preprocessing(size=24, extent=None, center="percentile", normalization="minmax")
    larger = strong.updated("user", center_px=(23.6, 23.2))
    still = larger.updated("user", descan_px=None)

    def seen(calibration: Calibration, known: Calibration) -> np.ndarray:
        patterns = make_patterns(labels, calibration=calibration, **options)  # type: ignore
        operators = BeamOperators(paper, known, (24, 40), (48, 48))
        return minmax(operators.apply(patterns).reshape(24 * 40, -1))

    expected = seen(strong.updated("user", descan_px=None), still)
    followed = np.abs(seen(strong, larger) - expected).mean()
    assert followed < 0.02
    assert np.abs(seen(strong, still) - expected).mean() > 3 * followed


def test_patterns_that_stand_alone_are_not_shifted(classifier: Classifier) -> None:
    patterns = _single("LD", (1, 8)).mean((0, 1))[None].repeat(40, axis=0)
    expected = classifier.predict_proba(patterns, CALIBRATION)
    known = CALIBRATION.updated("user", descan_px=(1.0, 0.0, 0.0, 1.0))
    np.testing.assert_array_equal(classifier.predict_proba(patterns, known), expected)
