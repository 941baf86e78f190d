"""Calibration of a scan: axes, voltage, disk, orientation; with each value's source."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import CalibrationError

Source = Literal["file", "measured", "user"]

_POSITIVE = (
    "step_nm",
    "mrad_per_pixel",
    "energy_kv",
    "semi_angle_mrad",
    "radius_px",
    "lattice_nm",
)
_HIGHEST_KV = 5000
_LARGEST_RATIO = 2.0
_TUPLES = {
    "center_px": ("ky", "kx"),
    "descan_px": ("dky/dy", "dky/dx", "dkx/dy", "dkx/dx"),
    "ellipse": ("ratio", "angle in degrees"),
}


_UNKNOWN = (None, 0.0, False)
"""What a value is that nobody gave."""


@dataclass(frozen=True)
class Calibration:
    """What turns pixels into physical units, and where each value came from.

    Every value may be ``None``: not known.

    Parameters
    ----------
    step_nm : float, optional
        Distance of neighboring probe positions in nm.
    mrad_per_pixel : float, optional
        Detector pixel in mrad.
    energy_kv : float, optional
        Acceleration voltage in kV.
    semi_angle_mrad : float, optional
        Convergence semi-angle in mrad.
    center_px : tuple of float, optional
        Center (ky, kx) of the bright-field disk in detector pixels; pixel centers are integers.
    radius_px : float, optional
        Radius of the bright-field disk in detector pixels.
    rotation_deg : float
        Detector rotation: turning the pattern counter-clockwise by this angle (after the flip)
        brings it into the scan's frame.
    flip : bool
        Whether ky is reversed before the rotation.
    crystal_angle_deg : float
        Angle of the crystal's [100] against the scan's +x, counter-clockwise.
    lattice_nm : float, optional
        Period of the (pseudo-cubic) lattice in nm.
    descan_px : tuple of float, optional
        How far the beam wanders on the detector per probe position, in pixels: (dky/dy, dky/dx,
        dkx/dy, dkx/dx). `center_px` holds in the middle of the scan, see `center_at`.
    ellipse : tuple of float, optional
        Elliptical distortion of the patterns: longer over shorter axis of the disk (at least 1),
        and the longer axis' angle in degrees, counter-clockwise from +kx as the pattern is shown.
        `radius_px` is then the geometric mean of the half axes.
    sources : mapping of str to {"file", "measured", "user"}
        Where each known value came from.

    Raises
    ------
    CalibrationError
        If a value is impossible, such as a negative radius.
    """

    step_nm: float | None = None
    mrad_per_pixel: float | None = None
    energy_kv: float | None = None
    semi_angle_mrad: float | None = None
    center_px: tuple[float, float] | None = None
    radius_px: float | None = None
    rotation_deg: float = 0.0
    flip: bool = False
    crystal_angle_deg: float = 0.0
    lattice_nm: float | None = None
    descan_px: tuple[float, float, float, float] | None = None
    ellipse: tuple[float, float] | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is None:
                continue
            if not (_is_finite(value) and value > 0):
                raise CalibrationError(
                    f"{name} must be a positive number, but is {value}; correct it or leave it out."
                )
            object.__setattr__(self, name, float(value))
        if self.energy_kv is not None and self.energy_kv > _HIGHEST_KV:
            raise CalibrationError(
                f"energy_kv is {self.energy_kv:g}, more than any microscope has; give the "
                "acceleration voltage in kV, such as 200."
            )
        for name in ("rotation_deg", "crystal_angle_deg"):
            if not _is_finite(getattr(self, name)):
                raise CalibrationError(
                    f"{name} must be a finite angle in degrees, but is {getattr(self, name)!r}; "
                    "correct it."
                )
            object.__setattr__(self, name, float(getattr(self, name)))
        for name, parts in _TUPLES.items():
            value = getattr(self, name)
            if value is None:
                continue
            numbers = tuple(value) if np.iterable(value) else ()
            if len(numbers) != len(parts) or not all(_is_finite(number) for number in numbers):
                raise CalibrationError(
                    f"{name} must be {len(parts)} finite numbers ({', '.join(parts)}), but is "
                    f"{value}; correct it or leave it out."
                )
            object.__setattr__(self, name, tuple(float(number) for number in numbers))
        if self.ellipse is not None and not 1 <= self.ellipse[0] <= _LARGEST_RATIO:
            raise CalibrationError(
                f"The ellipse's longer axis over its shorter one must be 1 to {_LARGEST_RATIO:g}, "
                f"but is {self.ellipse[0]:g}; correct it or leave it out."
            )

    def updated(self, source: Source, **values: Any) -> Calibration:
        """A copy with some values replaced and their source noted; ``None`` forgets a value."""
        unknown = set(values) - VALUE_NAMES
        if unknown:
            raise CalibrationError(
                f"There is no calibration value {sorted(unknown)[0]!r}; known are "
                f"{', '.join(sorted(VALUE_NAMES))}."
            )
        sources = {k: v for k, v in self.sources.items() if k not in values}
        sources.update({name: source for name, value in values.items() if value is not None})
        return dataclasses.replace(self, **values, sources=sources)

    def filled(self, source: Source, **values: Any) -> Calibration:
        """A copy in which only values not known yet are taken from `values`."""
        missing = {
            name: value
            for name, value in values.items()
            if value is not None and name not in self.sources and getattr(self, name) in _UNKNOWN
        }
        return self.updated(source, **missing) if missing else self

    def following(self, *changed: str) -> Calibration:
        """A copy in which what was derived from `changed` values is derived from them anew.

        Detector pixel and semi-angle follow from each other through the disk's radius; the one
        that was measured is the one that follows.
        """
        radius, pixel, angle = self.radius_px, self.mrad_per_pixel, self.semi_angle_mrad
        if radius is None:
            return self
        pixel_follows = self.sources.get("mrad_per_pixel") == "measured" and angle is not None
        angle_follows = self.sources.get("semi_angle_mrad") == "measured" and pixel is not None
        if pixel_follows and not angle_follows and {"radius_px", "semi_angle_mrad"} & set(changed):
            assert angle is not None
            return self.updated("measured", mrad_per_pixel=angle / radius)
        if angle_follows and not pixel_follows and {"radius_px", "mrad_per_pixel"} & set(changed):
            assert pixel is not None
            return self.updated("measured", semi_angle_mrad=pixel * radius)
        return self

    @property
    def cell_positions(self) -> float | None:
        """Probe positions per lattice period, if step and lattice are known."""
        if self.step_nm is None or self.lattice_nm is None:
            return None
        return self.lattice_nm / self.step_nm

    @property
    def disk_mrad_per_pixel(self) -> float | None:
        """Detector pixel in mrad from the semi-angle and the disk's radius, else as calibrated."""
        if self.semi_angle_mrad is not None and self.radius_px is not None:
            return self.semi_angle_mrad / self.radius_px
        return self.mrad_per_pixel

    @property
    def reciprocal_px(self) -> float | None:
        """Distance λ/a of neighboring diffracted disks in detector pixels, if all for it is known.

        It is R λ/(a α), so that it needs voltage, lattice period and the disk's radius and
        semi-angle (or the detector pixel in mrad in place of these).
        """
        pixel = self.disk_mrad_per_pixel
        if self.energy_kv is None or self.lattice_nm is None or pixel is None:
            return None
        return electron_wavelength_nm(self.energy_kv) / self.lattice_nm * 1e3 / pixel

    def center_at(
        self, rows: npt.ArrayLike, columns: npt.ArrayLike, scan_shape: tuple[int, int]
    ) -> npt.NDArray[np.float64]:
        """Center of the disk at probe positions: `center_px` and the descan's plane.

        Parameters
        ----------
        rows, columns : array-like
            Positions, broadcast against each other.
        scan_shape : (int, int)
            Rows and columns of the whole scan.

        Returns
        -------
        ndarray, shape (..., 2)
            (ky, kx) in pixels.

        Raises
        ------
        CalibrationError
            If the center is not known.
        """
        if self.center_px is None:
            raise CalibrationError("The disk's center is not known; give it or measure it.")
        down = np.asarray(rows, float) - (scan_shape[0] - 1) / 2
        across = np.asarray(columns, float) - (scan_shape[1] - 1) / 2
        a, b, c, d = self.descan_px or (0.0, 0.0, 0.0, 0.0)
        ky = self.center_px[0] + a * down + b * across
        kx = self.center_px[1] + c * down + d * across
        return np.stack(np.broadcast_arrays(ky, kx), axis=-1)

    def distortion(self) -> npt.NDArray[np.float64]:
        """Matrix on (row, column) offsets from the beam that turns a circle into the ellipse.

        Returns
        -------
        ndarray of float, shape (2, 2)
            Symmetric, its determinant 1; the identity without a distortion.
        """
        if self.ellipse is None:
            return np.eye(2)
        ratio, angle = self.ellipse
        turn = _counter_clockwise(angle)
        # (row, column): the longer axis lies along +kx before it is turned.
        return np.asarray(turn @ np.diag([ratio**-0.5, ratio**0.5]) @ turn.T)

    def disk_distance(self, ky: npt.ArrayLike, kx: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Distance in pixels from the disk's center as it were without the elliptical distortion.

        It is `radius_px` on the disk's edge everywhere.

        Raises
        ------
        CalibrationError
            If the center is not known.
        """
        if self.center_px is None:
            raise CalibrationError("The disk's center is not known; give it or measure it.")
        down, across = np.broadcast_arrays(
            np.asarray(ky, float) - self.center_px[0], np.asarray(kx, float) - self.center_px[1]
        )
        back = np.linalg.inv(self.distortion())
        return np.hypot(
            back[0, 0] * down + back[0, 1] * across, back[1, 0] * down + back[1, 1] * across
        )

    def to_detector(self, crystal_frame: bool = True) -> npt.NDArray[np.float64]:
        """Matrix from vectors (row, column) of the crystal's (or scan's) frame to detector pixels.

        Detector frame of the design: flip (reverse ky) first, then rotation counter-clockwise,
        bring the pattern into the scan's frame; this is the inverse of that, with the elliptical
        distortion after it.

        Returns
        -------
        ndarray of float, shape (2, 2)
            Apply as ``matrix @ (row, column)``; areas are kept, lengths too without a distortion.
        """
        turn = self.rotation_deg - (self.crystal_angle_deg if crystal_frame else 0.0)
        matrix = _counter_clockwise(-turn)
        if self.flip:
            matrix = np.diag([-1.0, 1.0]) @ matrix
        return np.asarray(self.distortion() @ matrix)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = dataclasses.asdict(self)
        for name in _TUPLES:
            values[name] = None if values[name] is None else list(values[name])
        values["sources"] = dict(self.sources)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Inverse of `to_dict`; unknown keys are left out."""
        known = {k: v for k, v in values.items() if k in VALUE_NAMES or k == "sources"}
        for name in _TUPLES:
            if known.get(name) is not None:
                known[name] = tuple(known[name])
        return cls(**known)


VALUE_NAMES = {f.name for f in dataclasses.fields(Calibration)} - {"sources"}
"""Names of the calibration's values."""


def _is_finite(value: Any) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except (TypeError, ValueError):
        return False


def _counter_clockwise(angle_deg: float) -> npt.NDArray[np.float64]:
    """Matrix on (row, column) that turns counter-clockwise on screen (rows point down)."""
    angle = np.deg2rad(angle_deg)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def electron_wavelength_nm(energy_kv: float) -> float:
    """Relativistic electron wavelength in nm.

    Parameters
    ----------
    energy_kv : float
        Acceleration voltage in kV.

    Notes
    -----
    λ = h / sqrt(2 m e V (1 + e V / (2 m c²))), with CODATA 2018 constants.
    """
    volts = energy_kv * 1e3
    planck, mass, charge, light = 6.62607015e-34, 9.1093837015e-31, 1.602176634e-19, 299792458.0
    momentum = np.sqrt(2 * mass * charge * volts * (1 + charge * volts / (2 * mass * light**2)))
    return float(planck / momentum * 1e9)
