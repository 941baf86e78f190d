"""Scans from and to HyperSpy."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_polmap.errors import ScanError
from napari_polmap.io import load_scan, scan_from_signal, scan_to_signal
from napari_polmap.scan import Scan

hs = pytest.importorskip("hyperspy.api")
DATA = np.random.default_rng(0).poisson(3, (4, 5, 8, 7)).astype(np.uint16)


@pytest.mark.parametrize("lazy", [False, True])
def test_signal_with_calibrated_axes(lazy: bool) -> None:
    signal = hs.signals.Signal2D(DATA)
    for axis, (name, units, scale) in zip(
        (*signal.axes_manager.navigation_axes, *signal.axes_manager.signal_axes),
        (("x", "pm", 20), ("y", "nm", 0.02), ("kx", "mrad", 1.5), ("ky", "mrad", 1.5)),
        strict=True,
    ):
        axis.name, axis.units, axis.scale = name, units, scale
    signal.metadata.set_item("Acquisition_instrument.TEM.beam_energy", 80.0)
    signal.metadata.General.title = "two walls"
    if lazy:
        signal = signal.as_lazy()
    scan = scan_from_signal(signal)
    assert scan.shape == DATA.shape
    assert scan.name == "two walls"
    assert scan.calibration.step_nm == pytest.approx(0.02)
    assert scan.calibration.mrad_per_pixel == pytest.approx(1.5)
    assert scan.calibration.energy_kv == 80
    assert set(scan.calibration.sources.values()) == {"file"}
    np.testing.assert_array_equal(scan.data.compute(), DATA)
    mine = Scan.from_signal(signal, step_nm=0.03)
    assert mine.calibration.step_nm == 0.03
    assert mine.calibration.sources["step_nm"] == "user"


def test_four_signal_axes_are_a_scan() -> None:
    scan = scan_from_signal(hs.signals.BaseSignal(DATA))
    np.testing.assert_array_equal(scan.data.compute(), DATA)


def test_other_things_are_refused() -> None:
    with pytest.raises(ScanError, match="2 and 1"):
        scan_from_signal(hs.signals.Signal1D(DATA[0]))
    with pytest.raises(ScanError, match="ndarray"):
        scan_from_signal(DATA)


def test_round_trip_through_a_lazy_signal(tmp_path) -> None:
    scan = Scan(
        DATA, step_nm=0.05, mrad_per_pixel=2.0, energy_kv=200, semi_angle_mrad=24, center_px=(4, 3)
    )
    signal = scan.to_signal()
    assert isinstance(signal.data, da.Array)
    assert [a.name for a in signal.axes_manager._axes] == ["y", "x", "ky", "kx"]
    assert [a.units for a in signal.axes_manager._axes] == ["nm", "nm", "mrad", "mrad"]
    assert signal.axes_manager["ky"].offset == -8.0
    assert signal.axes_manager["kx"].offset == -6.0
    again = scan_from_signal(signal)
    assert again.calibration.step_nm == pytest.approx(0.05)
    assert again.calibration.semi_angle_mrad == 24
    signal.save(tmp_path / "a.hspy")
    stored = load_scan(tmp_path / "a.hspy", measure=False)
    np.testing.assert_array_equal(stored.data.compute(), DATA)
    assert stored.calibration.mrad_per_pixel == pytest.approx(2.0)


def test_uncalibrated_scan_becomes_plain_axes() -> None:
    signal = scan_to_signal(Scan(DATA))
    assert signal.axes_manager["ky"].scale == 1
    assert scan_from_signal(signal).calibration.sources == {}
