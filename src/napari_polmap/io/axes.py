"""Calibration from a file's axes and metadata, whatever units they come in."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from napari_polmap.calibration import Calibration, electron_wavelength_nm
from napari_polmap.errors import CalibrationError

_NM = {
    "m": 1e9,
    "cm": 1e7,
    "mm": 1e6,
    "um": 1e3,
    "nm": 1.0,
    "a": 0.1,
    "ang": 0.1,
    "angstrom": 0.1,
    "angstroms": 0.1,
    "pm": 1e-3,
}
_MRAD = {
    "mrad": 1.0,
    "mrads": 1.0,
    "rad": 1e3,
    "rads": 1e3,
    "radian": 1e3,
    "radians": 1e3,
    "angle": 1e3,  # Topspin: SI units throughout
    "deg": math.pi / 180 * 1e3,
    "urad": 1e-3,
}
_LONG_UNITS = {"micron": "um", "microns": "um", "micrometer": "um", "nanometer": "nm"}
_UNEQUAL = 0.01


@dataclass(frozen=True)
class Axis:
    """One axis of a file's array.

    Parameters
    ----------
    name, units : str
        As in the file; empty where it says nothing.
    scale, offset : float
        Physical coordinate = offset + scale * index.
    """

    name: str = ""
    units: str = ""
    scale: float = 1.0
    offset: float = 0.0

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Axis:
        """From RosettaSciIO's or HyperSpy's description of an axis."""

        def number(key: str, default: float) -> float:
            try:
                value = float(values.get(key, default))
            except (TypeError, ValueError):
                return default
            return value if math.isfinite(value) else default

        def text(key: str) -> str:
            value = values.get(key)
            text = "" if value is None else str(value)
            return "" if text.startswith(("<undefined", "t.Undefined")) else text

        return cls(text("name"), text("units"), number("scale", 1.0), number("offset", 0.0))

    @property
    def nm(self) -> float | None:
        """Pixel in nm; None if the unit is no length."""
        return _scaled(self.scale, _NM.get(_plain_unit(self.units)))

    @property
    def mrad(self) -> float | None:
        """Pixel in mrad; None if the unit is no angle."""
        return _scaled(self.scale, _MRAD.get(_plain_unit(self.units)))

    @property
    def per_nm(self) -> float | None:
        """Pixel in 1/nm; None if the unit is no reciprocal length."""
        unit = _reciprocal(self.units)
        length = None if unit is None else _NM.get(unit)
        return _scaled(self.scale, None if length is None else 1 / length)


def calibrate(
    axes: tuple[Axis, Axis, Axis, Axis],
    metadata: Mapping[str, Any],
    energy_kv: float | None = None,
) -> tuple[Calibration, tuple[float, float] | None, list[str]]:
    """What a file says of its calibration.

    Parameters
    ----------
    axes : tuple of Axis
        y, x, ky, kx.
    metadata : mapping
        In HyperSpy's layout (``Acquisition_instrument.TEM.beam_energy`` in kV,
        ``convergence_angle`` in mrad).
    energy_kv : float, optional
        The user's acceleration voltage, which turns 1/nm into mrad.

    Returns
    -------
    calibration : Calibration
        Values with the source "file".
    center_px : (float, float) or None
        Where the detector axes have their zero, unless that is the first pixel, which nobody set;
        a hint only, files often say "the middle".
    warnings : list of str
    """
    warnings: list[str] = []
    values: dict[str, float] = {}
    microscope = _microscope(metadata)
    if (energy := _number(microscope, "beam_energy")) is not None:
        values["energy_kv"] = energy / 1000 if energy >= 5000 else energy
    if (semi_angle := _number(microscope, "convergence_angle")) is not None:
        values["semi_angle_mrad"] = semi_angle

    steps = [axis.nm for axis in axes[:2]]
    pixels = [axis.mrad for axis in axes[2:]]
    reciprocal = [axis.per_nm for axis in axes[2:]]
    center = None
    if all(abs(axis.scale) == 1 for axis in axes) and any([*steps, *pixels, *reciprocal]):
        warnings.append(
            "The file gives exactly one unit per pixel on every axis, which looks like a missing "
            "calibration, so it is not used; set the scan step and the detector's scale."
        )
    else:
        if (step := _common(steps, "scan step", "nm", warnings)) is not None:
            values["step_nm"] = step
        mrad = _common(pixels, "detector scale", "mrad", warnings)
        per_nm = _common(reciprocal, "detector scale", "1/nm", warnings)
        energy = energy_kv or values.get("energy_kv")
        if mrad is None and per_nm is not None:
            if energy is None:
                warnings.append(
                    f"The file gives the detector's scale as {per_nm:.4g} 1/nm per pixel, but no "
                    "acceleration voltage; set the voltage to get mrad."
                )
            else:
                mrad = per_nm * electron_wavelength_nm(energy) * 1e3
        if mrad is not None:
            values["mrad_per_pixel"] = mrad
        if (mrad is not None or per_nm is not None) and (axes[2].offset or axes[3].offset):
            center = (-axes[2].offset / axes[2].scale, -axes[3].offset / axes[3].scale)
    calibration = Calibration()
    for name, value in values.items():
        try:
            calibration = calibration.updated("file", **{name: value})
        except CalibrationError:
            warnings.append(f"The file's {name} of {value:g} is impossible and is not used.")
    return calibration, center, warnings


def backward_axes(axes: tuple[Axis, ...]) -> list[str]:
    """What to tell of axes (y, x, ky, kx last) whose coordinates fall from pixel to pixel."""
    names = [
        name
        for name, axis in zip(("y", "x", "ky", "kx"), axes[-4:], strict=False)
        if len(axes) >= 4 and axis.scale < 0
    ]
    if not names:
        return []
    order = ",".join(("-" if name in names else "") + name for name in ("y", "x", "ky", "kx"))
    told = " and ".join(names)
    text = (
        f"The file's scale of {told} is negative; the pixels are kept in the order they are "
        f"stored (give axes as '{order}' if they should be reversed)."
    )
    return [text]


def _common(
    scales: Iterable[float | None], what: str, unit: str, warnings: list[str]
) -> float | None:
    vertical, horizontal = scales
    if vertical is None or horizontal is None:
        return None
    if abs(vertical - horizontal) > _UNEQUAL * max(vertical, horizontal):
        warnings.append(
            f"The {what} differs between rows ({vertical:.4g} {unit}) and columns "
            f"({horizontal:.4g} {unit}); their mean is used, set the right one."
        )
    return (vertical + horizontal) / 2


def _microscope(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    instrument = metadata.get("Acquisition_instrument")
    microscope = instrument.get("TEM") if isinstance(instrument, Mapping) else None
    return microscope if isinstance(microscope, Mapping) else {}


def _number(values: Mapping[str, Any], key: str) -> float | None:
    try:
        value = float(values[key])
    except (KeyError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) and value > 0 else None


def _scaled(scale: float, factor: float | None) -> float | None:
    value = None if factor is None else abs(scale) * factor
    return value if value else None


def _plain_unit(units: str) -> str:
    plain = unicodedata.normalize("NFKC", units).replace("μ", "u").replace("−", "-")
    plain = plain.replace("\\AA", "A").replace("Å", "A")
    plain = "".join(character for character in plain if character not in "[]{}()_$ ").lower()
    return _LONG_UNITS.get(plain, plain)


def _reciprocal(units: str) -> str | None:
    plain = _plain_unit(units)
    for ending in ("**-1", "^-1", "-1"):
        if plain.endswith(ending):
            return plain[: -len(ending)]
    return plain[2:] if plain.startswith("1/") else None
