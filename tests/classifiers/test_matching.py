"""Voltage, semi-angle and overlap of the disks must match the card."""

from __future__ import annotations

import pytest

from napari_polmap.calibration import Calibration, electron_wavelength_nm
from napari_polmap.classifiers.matching import mismatches, overlap, step_warning, unknowns
from tests.synthetic import CALIBRATION

CARD = {
    "energy_kv": 200.0,
    "semi_angle_mrad": 24.0,
    "overlap": overlap(200, 24, 0.397),
    "step_nm": [0.002, 0.056],
}
NANOBEAM = {
    "energy_kv": 200.0,
    "semi_angle_mrad": [1.0, 3.0],
    "lattice_nm": 0.397,
    "crop_unit": "lattice",
}


def test_wavelength_and_overlap() -> None:
    # Reimer and Kohl, Transmission Electron Microscopy: 2.508 pm at 200 kV, 1.969 pm at 300 kV.
    assert electron_wavelength_nm(200) == pytest.approx(2.508e-3, rel=1e-3)
    assert electron_wavelength_nm(300) == pytest.approx(1.969e-3, rel=1e-3)
    # Disks whose centers lie one radius apart.
    assert overlap(200, 1e3 * 2.508e-3 / 0.4, 0.4) == pytest.approx(1, rel=1e-3)


def test_same_microscope_matches() -> None:
    assert mismatches(CARD, CALIBRATION) == []
    assert unknowns(CARD, CALIBRATION) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"energy_kv": 300.0}, "voltage is 300 kV"),
        ({"semi_angle_mrad": 1.03}, "semi-angle is 1.03 mrad"),
        ({"lattice_nm": 0.55}, "overlap of the diffracted disks"),
        ({"step_nm": 3.125}, "scan step is 3.125 nm"),
    ],
)
def test_other_microscope_or_crystal_does_not(values: dict[str, float], words: str) -> None:
    sentences = mismatches(CARD, CALIBRATION.updated("user", **values))
    assert len(sentences) == 1
    assert words in sentences[0]


def test_unknown_values_are_named_not_guessed() -> None:
    assert mismatches(CARD, Calibration()) == []
    assert unknowns(CARD, Calibration()) == ["voltage", "convergence semi-angle"]


def test_step_beyond_the_range_is_told() -> None:
    assert step_warning(CARD, CALIBRATION) is None
    assert step_warning(CARD, Calibration()) is None
    assert "0.08 nm" in str(step_warning(CARD, CALIBRATION.updated("user", step_nm=0.08)))
    assert mismatches(CARD, CALIBRATION.updated("user", step_nm=0.08)) == []


@pytest.mark.parametrize("semi_angle", [0.95, 1.0, 2.2, 3.0, 3.2])
def test_a_range_of_semi_angles_and_any_step(semi_angle: float) -> None:
    scan = CALIBRATION.updated("user", semi_angle_mrad=semi_angle, step_nm=5.0)
    assert mismatches(NANOBEAM, scan) == []
    assert step_warning(NANOBEAM, scan) is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "semi-angle is 24 mrad, but the classifier was trained for 1 to 3 mrad"),
        ({"semi_angle_mrad": 0.5}, "semi-angle is 0.5 mrad"),
        ({"semi_angle_mrad": 2.0, "lattice_nm": 0.55}, "lattice period is 0.55 nm"),
        ({"semi_angle_mrad": 2.0, "energy_kv": 300.0}, "voltage is 300 kV"),
    ],
)
def test_nanobeam_card_refuses_what_it_was_not_made_for(
    values: dict[str, float], words: str
) -> None:
    (sentence,) = mismatches(NANOBEAM, CALIBRATION.updated("user", **values))
    assert words in sentence
