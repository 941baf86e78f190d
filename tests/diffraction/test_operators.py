"""The crop follows the beam over the scan."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.operators import BeamOperators
from napari_polmap.diffraction.preprocessing import Preprocessing
from napari_polmap.diffraction.shifts import nearest_good, steps_per_px
from napari_polmap.errors import CalibrationError

SCAN = (9, 11)
DETECTOR = (72, 78)
STEP = 1 / 8
"""Of the shifts, for this radius."""
DESCAN = (4 * STEP, -2 * STEP, STEP, 5 * STEP)
KY, KX = np.mgrid[: DETECTOR[0], : DETECTOR[1]]
RNG = np.random.default_rng(3)
WAVES = 1 + 0.5 * np.sin(KY / 5) * np.cos(KX / 4) + 0.2 * np.cos(KX / 3)
BLOCK = (1000 * WAVES * RNG.uniform(0.5, 2, (*SCAN, 1, 1))).astype(np.uint16)


def _calibration(**values: object) -> Calibration:
    known = Calibration(center_px=(35.3, 38.6), radius_px=20.0, descan_px=DESCAN)
    return known.updated("user", **values)


def _position_by_position(
    preprocessing: Preprocessing, calibration: Calibration, bad: np.ndarray | None = None
) -> np.ndarray:
    """Each pattern with an operator of its own, at its exact center."""
    found = np.empty((*SCAN, preprocessing.size**2), np.float32)
    block = BLOCK.copy()
    if bad is not None:
        rows, columns, good_rows, good_columns = nearest_good(bad)
        block[..., rows, columns] = block[..., good_rows, good_columns]
    for y, x in np.ndindex(*SCAN):
        center = tuple(calibration.center_at(y, x, SCAN))
        operator = preprocessing.operator(
            dataclasses.replace(calibration, center_px=center), DETECTOR
        )
        found[y, x] = operator.apply(block[y, x][None])[0]
    return found


@pytest.mark.parametrize(
    "preprocessing",
    [Preprocessing(), Preprocessing(size=10, extent=1.25), Preprocessing(size=40, extent=None)],
    ids=["ours", "coarse", "paper"],
)
@pytest.mark.parametrize("masked", [False, True])
def test_each_pattern_is_cropped_where_its_beam_stands(
    preprocessing: Preprocessing, masked: bool
) -> None:
    bad = None
    if masked:
        bad = np.zeros(DETECTOR, bool)
        bad[30:33, 40:44] = bad[22, 20] = True
    calibration = _calibration()
    operators = BeamOperators(preprocessing, calibration, SCAN, DETECTOR, bad)
    expected = _position_by_position(preprocessing, calibration, bad)
    # The shifts are whole steps here, so that nothing is rounded. Squares of binned pixels stand
    # elsewhere, though.
    binned = preprocessing.operator(calibration, DETECTOR).binning > 1
    np.testing.assert_allclose(operators.apply(BLOCK), expected, rtol=0.04 if binned else 1e-4)


def test_shifts_are_rounded_far_below_the_radius() -> None:
    calibration = _calibration(descan_px=(0.123, -0.234, 0.345, 0.0456))
    operators = BeamOperators(Preprocessing(), calibration, SCAN, DETECTOR)
    assert steps_per_px(calibration) == 8
    expected = _position_by_position(Preprocessing(), calibration)
    departure = np.abs(operators.apply(BLOCK) - expected) / expected
    assert 1e-4 < departure.max() < 0.03


def test_blocks_know_their_place() -> None:
    operators = BeamOperators(Preprocessing(), _calibration(), SCAN, DETECTOR)
    whole = operators.apply(BLOCK)
    np.testing.assert_array_equal(operators.apply(BLOCK[3:8, 5:], (3, 5)), whole[3:8, 5:])
    assert not np.allclose(operators.apply(BLOCK[3:8, 5:]), whole[3:8, 5:])


def test_features_are_those_of_the_resampled_patterns() -> None:
    rows = RNG.normal(size=(5, 32 * 32)).astype(np.float32)
    for bad in (None, (KY < 12) & (KX < 20)):
        operators = BeamOperators(Preprocessing(), _calibration(), SCAN, DETECTOR, bad)
        merged = operators.projected(rows)
        assert merged.count == 5
        np.testing.assert_allclose(
            merged.apply(BLOCK), operators.apply(BLOCK) @ rows.T, rtol=1e-3, atol=1e-2
        )


@pytest.mark.parametrize("size", [10, 32])
def test_bad_pixels_leave_no_mark(size: int) -> None:
    """They stay where they are on the detector while the crop moves over them."""
    bad = np.zeros(DETECTOR, bool)
    bad[36, :] = bad[20:24, 30:33] = True
    spoiled = BLOCK.copy()
    spoiled[..., bad] = 60000
    operators = BeamOperators(Preprocessing(size=size), _calibration(), SCAN, DETECTOR, bad)
    kept = spoiled.copy()
    found = operators.apply(spoiled)
    np.testing.assert_array_equal(spoiled, kept)
    np.testing.assert_array_equal(found, operators.apply(BLOCK))
    whole = BeamOperators(Preprocessing(size=size), _calibration(), SCAN, DETECTOR).apply(BLOCK)
    assert np.abs(found / whole - 1).mean() < 0.02


def test_at_the_detectors_edge_the_operator_is_built_anew() -> None:
    """A crop that the detector cuts a little must not be moved as it is."""
    preprocessing = Preprocessing(size=16)
    calibration = _calibration(center_px=(27.5, 38.0), radius_px=20.0, descan_px=(0.5, 0, 0, 0))
    operators = BeamOperators(preprocessing, calibration, SCAN, DETECTOR)
    expected = _position_by_position(preprocessing, calibration)
    for row in (0, 2, 4, 6, 8):  # whole pixels
        np.testing.assert_allclose(operators.apply(BLOCK)[row], expected[row], rtol=1e-4)


def test_without_a_descan_there_is_one_operator() -> None:
    for descan in (None, (0.0, 0.0, 0.0, 0.0)):
        calibration = _calibration(descan_px=descan)
        operators = BeamOperators(Preprocessing(), calibration, SCAN, DETECTOR)
        plain = Preprocessing().operator(calibration, DETECTOR)
        expected = plain.apply(BLOCK.reshape(-1, *DETECTOR)).reshape(*SCAN, -1)
        np.testing.assert_array_equal(operators.apply(BLOCK), expected)
        np.testing.assert_array_equal(operators.apply(BLOCK, (4, 7)), expected)


def test_a_descan_that_leaves_the_detector_is_told_at_once() -> None:
    with pytest.raises(CalibrationError, match="the detector has 72 x 78 pixels") as caught:
        BeamOperators(Preprocessing(), _calibration(descan_px=(0, 0, 0, 3.0)), SCAN, DETECTOR)
    assert "corner of the scan" in str(caught.value)
    assert "descan" in str(caught.value)
