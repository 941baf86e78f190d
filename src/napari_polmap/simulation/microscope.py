"""The illumination: what the probe is made of, and what is summed over without interference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import electron_wavelength_nm
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.checks import checked, checked_pair
from napari_polmap.simulation.incoherent import gaussian_nodes

_FWHM = 2 * math.sqrt(2 * math.log(2))
_LARGEST_ANGLE_MRAD = 200.0
_LARGEST_TILT_MRAD = 50.0


@dataclass(frozen=True)
class Microscope:
    """The illumination and the specimen's tilt.

    Parameters
    ----------
    energy_kv : float
        Acceleration voltage.
    semi_angle_mrad : float
        Convergence semi-angle, the radius of the bright-field disk.
    defocus_nm : float
        How far below the entrance surface the probe is focused.
    tilt_mrad : tuple of float
        Where the crystal's zone axis (the center of the Laue circle) lies in the pattern against
        the beam, as (x, y) of the displayed frame with +y up. The atom columns lean by this angle
        along the beam.
    astigmatism_nm : float
        Twofold astigmatism: the focus of the rays along `astigmatism_angle_deg` lies deeper by
        this much, that of the rays across it higher by as much.
    astigmatism_angle_deg : float
        Counter-clockwise from +x of the displayed frame with +y up.
    spherical_aberration_mm : float
        Coefficient of the third-order spherical aberration.
    source_size_angstrom : float
        Full width at half maximum of the source's image in the specimen, a Gaussian.
    focal_spread_nm : float
        Standard deviation of the focus, a Gaussian, from the energy spread and the lens' chromatic
        aberration.

    Raises
    ------
    PolmapError
        If a value is impossible.

    Notes
    -----
    With polar coordinates (α, φ) of the rays the aberration function is
    χ = (2π/λ) [½ α² (-f - a cos 2(φ - φₐ)) + ¼ α⁴ Cs], the probe's spectrum within the aperture
    exp(-iχ). abTEM's azimuths are these + 90°: its C10 = -f, C12 = a, φ₁₂ = φₐ, C30 = Cs.
    """

    energy_kv: float = 200.0
    semi_angle_mrad: float = 24.0
    defocus_nm: float = 0.0
    tilt_mrad: tuple[float, float] = (0.0, 0.0)
    astigmatism_nm: float = 0.0
    astigmatism_angle_deg: float = 0.0
    spherical_aberration_mm: float = 0.0
    source_size_angstrom: float = 0.0
    focal_spread_nm: float = 0.0

    def __post_init__(self) -> None:
        limits: dict[str, Any] = {
            "energy_kv": {"low": 1.0, "high": 5000.0},
            "semi_angle_mrad": {"low": 0.0, "high": _LARGEST_ANGLE_MRAD, "above": True},
            "defocus_nm": {},
            "astigmatism_nm": {"low": 0.0},
            "astigmatism_angle_deg": {},
            "spherical_aberration_mm": {},
            "source_size_angstrom": {"low": 0.0},
            "focal_spread_nm": {"low": 0.0},
        }
        for name, limit in limits.items():
            object.__setattr__(self, name, checked(name, getattr(self, name), **limit))
        tilt = checked_pair("tilt_mrad", self.tilt_mrad, -_LARGEST_TILT_MRAD, _LARGEST_TILT_MRAD)
        object.__setattr__(self, "tilt_mrad", tilt)

    @property
    def wavelength_angstrom(self) -> float:
        """Relativistic wavelength in Å."""
        return electron_wavelength_nm(self.energy_kv) * 10

    @property
    def source_sigma_angstrom(self) -> float:
        """Standard deviation of the source's image along one axis."""
        return self.source_size_angstrom / _FWHM

    @property
    def passed_frequency(self) -> float:
        """Highest spatial frequency in 1/Å with which a pattern changes with the probe's position.

        Rays of the aperture interfere that are at most 2α apart: 2α/λ.
        """
        return 2 * self.semi_angle_mrad * 1e-3 / self.wavelength_angstrom

    def defoci_nm(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Defoci that stand for the focal spread, and their shares.

        The phase between two rays of the aperture changes by at most πα²/λ times the change of
        the focus, which says how many defoci are needed (`gaussian_nodes`); only one without a
        spread. The cost of a simulation is proportional to their number.
        """
        angle = self.semi_angle_mrad * 1e-3
        spread = self.focal_spread_nm
        nodes, shares = gaussian_nodes(np.pi * angle**2 * spread * 10 / self.wavelength_angstrom)
        return self.defocus_nm + spread * nodes, shares

    def probe(
        self,
        gpts: tuple[int, int],
        extent_angstrom: tuple[float, float],
        defocus_nm: float | None = None,
        device: str = "cpu",
    ) -> Any:
        """The probe on a grid as an ``abtem.Probe``, its first axis down the displayed rows.

        Parameters
        ----------
        gpts : tuple of int
            Grid points (rows, columns).
        extent_angstrom : tuple of float
            Lateral cell (rows, columns).
        defocus_nm : float, optional
            In place of the microscope's own.
        device : str
            abTEM's name of the device, ``cpu`` or ``gpu``.
        """
        import abtem

        defocus = self.defocus_nm if defocus_nm is None else defocus_nm
        tilt_x, tilt_y = self.tilt_mrad
        # abTEM's tilt moves the wave along the tilt in the frame of the columns, which lean by
        # (row, column) = (-y, x).
        return abtem.Probe(
            energy=self.energy_kv * 1e3,
            semiangle_cutoff=self.semi_angle_mrad,
            aberrations={
                "C10": -defocus * 10,
                "C12": self.astigmatism_nm * 10,
                "phi12": math.radians(self.astigmatism_angle_deg),
                "C30": self.spherical_aberration_mm * 1e7,
            },
            tilt=(tilt_y, -tilt_x),
            gpts=gpts,
            extent=extent_angstrom,
            device=device,
        )


def abtem_device(device: str) -> str:
    """Name of a device in abTEM.

    Parameters
    ----------
    device : {"cpu", "cuda", "auto"}
        ``auto`` takes a GPU where CuPy finds one.

    Returns
    -------
    str
        ``cpu`` or ``gpu``.

    Raises
    ------
    PolmapError
        If the name is unknown, or a GPU is asked for that is not there.
    """
    if device == "cpu":
        return "cpu"
    if device not in ("cuda", "auto"):
        raise PolmapError(
            f"The device must be 'cpu', 'cuda' or 'auto', but is {device!r}; correct it."
        )
    missing = _why_no_gpu()
    if missing is None:
        return "gpu"
    if device == "cuda":
        raise PolmapError(f"There is no GPU to simulate on: {missing}; use the device 'cpu'.")
    return "cpu"


def _why_no_gpu() -> str | None:
    """What is missing for a simulation on a GPU; ``None`` where nothing is."""
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed"
    try:
        return None if cupy.cuda.runtime.getDeviceCount() else "CuPy finds no device"
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy finds none ({error})"
