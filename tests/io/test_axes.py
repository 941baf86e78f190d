"""Units of files, and what becomes of them."""

from __future__ import annotations

import pytest

from napari_polmap.calibration import electron_wavelength_nm
from napari_polmap.io.axes import Axis, calibrate

BLANK = (Axis(), Axis(), Axis(), Axis())


def axes(step: float, step_unit: str, pixel: float, pixel_unit: str, offset: float = 0.0):
    scan, detector = Axis("", step_unit, step), Axis("", pixel_unit, pixel, offset)
    return scan, scan, detector, detector


@pytest.mark.parametrize(
    ("scale", "units", "nm"),
    [
        (0.5, "nm", 0.5),
        (50.0, "pm", 0.05),
        (2.0, "Å", 0.2),
        (2.0, "\u212b", 0.2),
        (2.0, "A", 0.2),
        (0.3, "Angstrom", 0.03),
        (0.3, "um", 300.0),
        (0.3, "µm", 300.0),
        (0.3, "μm", 300.0),
        (-0.5, "nm", 0.5),
        (1e-9, "m", 1.0),
        (0.5, "[n_m]", 0.5),
        (0.5, "", None),
        (0.5, "px", None),
        (0.5, "mrad", None),
        (0.0, "nm", None),
    ],
)
def test_lengths(scale: float, units: str, nm: float | None) -> None:
    assert Axis("", units, scale).nm == pytest.approx(nm)


@pytest.mark.parametrize(
    ("units", "per_nm"),
    [
        ("1/nm", 0.2),
        ("nm^-1", 0.2),
        ("nm-1", 0.2),
        ("1 / nm", 0.2),
        ("nm⁻¹", 0.2),
        ("nm$^{-1}$", 0.2),
        ("[n_m^-1]", 0.2),
        ("1/Å", 2.0),
        ("A^-1", 2.0),
        ("1 / Å", 2.0),
        ("$A^{-1}$", 2.0),
        ("1/m", 0.2e-9),
        ("nm", None),
        ("", None),
        ("?/m", None),
    ],
)
def test_reciprocal_lengths(units: str, per_nm: float | None) -> None:
    assert Axis("", units, 0.2).per_nm == pytest.approx(per_nm)


@pytest.mark.parametrize(
    ("units", "mrad"),
    [("mrad", 0.2), ("mrads", 0.2), ("rad", 200.0), ("Angle", 200.0), ("cm", None)],
)
def test_angles(units: str, mrad: float | None) -> None:
    assert Axis("", units, 0.2).mrad == pytest.approx(mrad)


@pytest.mark.parametrize("value", [None, "<undefined>", "t.Undefined"])
def test_what_is_not_defined_is_empty(value) -> None:
    axis = Axis.from_mapping({"units": value, "name": value, "scale": None, "offset": "nan"})
    assert axis == Axis()


def test_calibration_with_its_sources() -> None:
    metadata = {
        "Acquisition_instrument": {"TEM": {"beam_energy": 200.0, "convergence_angle": 24.0}}
    }
    calibration, center, warnings = calibrate(axes(50, "pm", 0.1, "1/nm", -3.2), metadata)
    assert calibration.step_nm == pytest.approx(0.05)
    assert calibration.mrad_per_pixel == pytest.approx(0.1 * electron_wavelength_nm(200) * 1e3)
    assert calibration.energy_kv == 200
    assert calibration.semi_angle_mrad == 24
    assert set(calibration.sources.values()) == {"file"}
    assert center == pytest.approx((32, 32))
    assert warnings == []
    # The center of the axes is a hint, not a measurement.
    assert calibration.center_px is None


def test_axes_that_start_at_zero_tell_no_center() -> None:
    assert calibrate(axes(0.5, "nm", 0.1, "mrad"), {})[1] is None
    assert calibrate(axes(0.5, "nm", 0.1, "", -3.2), {})[1] is None


def test_reciprocal_scale_needs_the_voltage() -> None:
    calibration, _, warnings = calibrate(axes(1.5, "nm", 0.1, "1/nm"), {})
    assert calibration.mrad_per_pixel is None
    assert "voltage" in warnings[0]
    calibration, _, warnings = calibrate(axes(1.5, "nm", 0.1, "1/nm"), {}, energy_kv=300.0)
    assert calibration.mrad_per_pixel == pytest.approx(0.1 * electron_wavelength_nm(300) * 1e3)
    assert warnings == []
    assert "energy_kv" not in calibration.sources


def test_volts_and_impossible_values() -> None:
    metadata = {"Acquisition_instrument": {"TEM": {"beam_energy": 300000, "convergence_angle": 0}}}
    assert calibrate(BLANK, metadata)[0].energy_kv == 300
    assert calibrate(BLANK, metadata)[0].semi_angle_mrad is None
    odd = {"Acquisition_instrument": {"TEM": {"beam_energy": "high", "convergence_angle": -3}}}
    assert calibrate(BLANK, odd)[0].sources == {}
    assert calibrate(BLANK, {"Acquisition_instrument": "SEM"})[0].sources == {}


def test_placeholders_are_not_taken_for_a_calibration() -> None:
    calibration, center, warnings = calibrate(axes(1.0, "nm", 1.0, "1/nm"), {})
    assert calibration.sources == {}
    assert center is None
    assert "missing calibration" in warnings[0]
    assert calibrate(axes(1.0, "", 1.0, ""), {})[2] == []


def test_unequal_steps_are_told() -> None:
    given = (Axis("", "nm", 0.5), Axis("", "nm", 0.4), Axis(), Axis())
    calibration, _, warnings = calibrate(given, {})
    assert calibration.step_nm == pytest.approx(0.45)
    assert "0.5 nm" in warnings[0]
    assert "0.4 nm" in warnings[0]
