from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.microscope import Microscope, abtem_device

GPTS, EXTENT = (192, 256), (24.0, 32.0)


def rays(microscope: Microscope) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Angle in rad, and azimuth counter-clockwise from +x with +y up, of the spectrum's pixels."""
    rows = np.fft.fftfreq(GPTS[0], EXTENT[0] / GPTS[0])[:, None]
    columns = np.fft.fftfreq(GPTS[1], EXTENT[1] / GPTS[1])[None]
    return np.hypot(rows, columns) * microscope.wavelength_angstrom, np.arctan2(-rows, columns)


def spectrum(microscope: Microscope) -> npt.NDArray[np.complex128]:
    pytest.importorskip("abtem")
    probe = microscope.probe(GPTS, EXTENT).build((0.0, 0.0), lazy=False)
    return np.fft.fft2(probe.array.reshape(GPTS).astype(complex))


def image(microscope: Microscope, depth_nm: float = 0.0) -> npt.NDArray[np.float64]:
    """Intensity of the probe so far below the entrance surface, its center in the middle."""
    angle, _ = rays(microscope)
    fresnel = np.exp(-1j * np.pi * angle**2 * depth_nm * 10 / microscope.wavelength_angstrom)
    return np.fft.fftshift(np.abs(np.fft.ifft2(spectrum(microscope) * fresnel)) ** 2)


def width(picture: npt.NDArray[np.float64], axis: int) -> float:
    """Full width at half maximum of the profile along an axis through the middle, in Å."""
    middle = tuple(n // 2 for n in picture.shape)
    profile = picture[:, middle[1]] if axis == 0 else picture[middle[0]]
    return float((profile > profile.max() / 2).sum() * EXTENT[axis] / GPTS[axis])


def test_wavelength() -> None:
    assert Microscope(energy_kv=200).wavelength_angstrom == pytest.approx(0.025079, rel=1e-4)
    assert Microscope(energy_kv=80).wavelength_angstrom == pytest.approx(0.041757, rel=1e-4)


@pytest.mark.parametrize(
    "microscope",
    [
        Microscope(defocus_nm=7.0),
        Microscope(astigmatism_nm=3.0, astigmatism_angle_deg=25.0),
        Microscope(spherical_aberration_mm=0.01),
        Microscope(
            energy_kv=300.0,
            semi_angle_mrad=20.0,
            defocus_nm=-4.0,
            astigmatism_nm=2.0,
            astigmatism_angle_deg=-70.0,
            spherical_aberration_mm=-0.02,
        ),
    ],
)
def test_phase_of_the_probe_is_the_aberration_function(microscope: Microscope) -> None:
    angle, azimuth = rays(microscope)
    turned = 2 * (azimuth - np.deg2rad(microscope.astigmatism_angle_deg))
    focus = microscope.defocus_nm + microscope.astigmatism_nm * np.cos(turned)
    path = -0.5 * angle**2 * focus * 10 + 0.25 * angle**4 * microscope.spherical_aberration_mm * 1e7
    expected = np.exp(-2j * np.pi / microscope.wavelength_angstrom * path)
    inside = angle < 0.9e-3 * microscope.semi_angle_mrad
    found = spectrum(microscope)
    ratio = (found / found[0, 0] / expected)[inside]
    assert np.abs(ratio - 1).max() < 1e-3
    assert np.abs(expected[inside] - 1).max() > 1


def test_probe_is_focused_below_the_surface() -> None:
    sharp = image(Microscope())
    defocused = Microscope(defocus_nm=6.0)
    assert image(defocused, 6.0) == pytest.approx(sharp, abs=1e-3 * float(sharp.max()))
    assert image(defocused).max() < 0.5 * sharp.max()
    assert image(defocused, 12.0).max() < 0.5 * sharp.max()


@pytest.mark.parametrize(("angle", "narrow"), [(0.0, 1), (90.0, 0)])
def test_rays_along_the_astigmatism_are_focused_deeper(angle: float, narrow: int) -> None:
    # At 0° the rays along x meet below the surface: there the probe is a line along y.
    microscope = Microscope(astigmatism_nm=8.0, astigmatism_angle_deg=angle)
    below, above = image(microscope, 8.0), image(microscope, -8.0)
    assert width(below, narrow) < 0.5 * width(below, 1 - narrow)
    assert width(above, 1 - narrow) < 0.5 * width(above, narrow)


def test_oblique_astigmatism_is_counter_clockwise() -> None:
    # At 45° the line below the surface runs from the upper left to the lower right.
    picture = image(Microscope(astigmatism_nm=8.0, astigmatism_angle_deg=45.0), 8.0)
    rows, columns = (np.arange(n) - n // 2 for n in picture.shape)
    assert (picture * np.multiply.outer(rows, columns)).sum() > 0


def test_defoci_have_the_spread() -> None:
    microscope = Microscope(defocus_nm=2.0, focal_spread_nm=4.0)
    defoci, shares = microscope.defoci_nm()
    assert len(defoci) == 9
    assert shares.sum() == pytest.approx(1)
    assert shares @ defoci == pytest.approx(2.0)
    assert np.sqrt(shares @ (defoci - 2.0) ** 2) == pytest.approx(4.0, rel=0.02)
    alone, share = Microscope(defocus_nm=2.0).defoci_nm()
    assert (alone.tolist(), share.tolist()) == ([2.0], [1.0])


@pytest.mark.parametrize(
    "values",
    [
        {"energy_kv": 0.0},
        {"energy_kv": "high"},
        {"semi_angle_mrad": 0.0},
        {"semi_angle_mrad": 500.0},
        {"defocus_nm": np.nan},
        {"tilt_mrad": 3.0},
        {"tilt_mrad": (1.0, 80.0)},
        {"astigmatism_nm": -1.0},
        {"source_size_angstrom": -0.1},
        {"focal_spread_nm": np.inf},
        {"spherical_aberration_mm": None},
    ],
)
def test_impossible_values_are_named(values: dict[str, Any]) -> None:
    (name,) = values
    with pytest.raises(PolmapError, match=f"^{name} must be"):
        Microscope(**values)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert abtem_device("cpu") == "cpu"
    with pytest.raises(PolmapError, match="'gpu'"):
        abtem_device("gpu")

    monkeypatch.setitem(sys.modules, "cupy", None)
    assert abtem_device("auto") == "cpu"
    with pytest.raises(PolmapError, match="CuPy is not installed"):
        abtem_device("cuda")


@pytest.mark.parametrize("count", [0, 1, None])
def test_gpu_is_taken_where_cupy_finds_one(
    monkeypatch: pytest.MonkeyPatch, count: int | None
) -> None:
    # CuPy's part in the question alone: there is no GPU to test on.
    class CUDARuntimeError(RuntimeError):
        pass

    def found() -> int:
        if count is None:
            raise CUDARuntimeError("no driver")
        return count

    runtime = types.SimpleNamespace(getDeviceCount=found, CUDARuntimeError=CUDARuntimeError)
    cupy = types.SimpleNamespace(cuda=types.SimpleNamespace(runtime=runtime))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    if count:
        assert abtem_device("auto") == abtem_device("cuda") == "gpu"
        return
    assert abtem_device("auto") == "cpu"
    with pytest.raises(PolmapError, match="finds"):
        abtem_device("cuda")
