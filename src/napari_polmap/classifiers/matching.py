"""Does a classifier apply to a scan? Voltage, semi-angle and overlap of the disks must match.

A card may state a range in place of a number. A classifier whose crop is counted in distances of
the diffracted disks (``crop_unit = "lattice"`` on its card) serves a range of semi-angles, at which
disks do not overlap: the lattice period is compared in place of the overlap, and steps may be as
coarse as they like.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_polmap.calibration import Calibration, electron_wavelength_nm

TOLERANCES = {"energy_kv": 0.05, "semi_angle_mrad": 0.08, "overlap": 0.08, "lattice_nm": 0.05}
"""Relative departures from the card that a classifier's training covers, unless it states its
own."""
_COMPARED = (
    ("energy_kv", "voltage", "kV"),
    ("semi_angle_mrad", "convergence semi-angle", "mrad"),
    ("lattice_nm", "lattice period", "nm"),
)
_TOO_COARSE = 2.0
"""Times the card's largest step from which single positions no longer tell a direction."""


def overlap(energy_kv: float, semi_angle_mrad: float, lattice_nm: float) -> float:
    """λ / (a α): distance of neighboring diffracted disks in units of the disk's radius."""
    return electron_wavelength_nm(energy_kv) / (lattice_nm * semi_angle_mrad * 1e-3)


def mismatches(card: Mapping[str, Any], calibration: Calibration) -> list[str]:
    """Sentences that say why a classifier does not apply to a scan.

    Parameters
    ----------
    card : mapping
        The classifier's.
    calibration : Calibration
        The scan's; values not known are not compared, see `unknowns`.

    Returns
    -------
    list of str
        Empty where all that is known lies within the card's tolerance.
    """
    found = []
    tolerances = {**TOLERANCES, **card.get("tolerances", {})}
    separate = card.get("crop_unit") == "lattice"
    for name, label, unit in _COMPARED:
        limits, value = _range(card.get(name)), getattr(calibration, name)
        if limits is None or value is None or (name == "lattice_nm" and not separate):
            continue
        low, high = limits
        share = tolerances[name]
        if not low * (1 - share) <= value <= high * (1 + share):
            trained = f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
            found.append(
                f"The scan's {label} is {value:.4g} {unit}, but the classifier was trained for "
                f"{trained} {unit} (within {share:.0%})."
            )
    limits, step = card.get("step_nm"), calibration.step_nm
    if limits is not None and step is not None and step > _TOO_COARSE * limits[1]:
        found.append(
            f"The scan step is {step:.4g} nm, but the classifier averages over the positions of a "
            f"unit cell, which takes steps of at most {limits[1]:.3g} nm."
        )
    known = (calibration.energy_kv, calibration.semi_angle_mrad, calibration.lattice_nm)
    expected = None if separate else card.get("overlap")
    if expected is not None and not found and None not in known:
        value = overlap(*known)  # type: ignore[arg-type]
        if abs(value / expected - 1) > tolerances["overlap"]:
            found.append(
                f"The overlap of the diffracted disks, λ/(a·α), is {value:.3g} for this scan "
                f"(lattice period {calibration.lattice_nm:.4g} nm), but the classifier was "
                f"trained at {expected:.3g} (within {tolerances['overlap']:.0%})."
            )
    return found


def _range(value: Any) -> tuple[float, float] | None:
    """Lowest and highest of what a card states: a number, or a list of two."""
    if value is None:
        return None
    low, high = value if isinstance(value, list | tuple) else (value, value)
    return float(low), float(high)


def unknowns(card: Mapping[str, Any], calibration: Calibration) -> list[str]:
    """Names of the values that the card asks for and the scan does not have."""
    labels = {"energy_kv": "voltage", "semi_angle_mrad": "convergence semi-angle"}
    return [
        label
        for name, label in labels.items()
        if card.get(name) is not None and getattr(calibration, name) is None
    ]


def step_warning(card: Mapping[str, Any], calibration: Calibration) -> str | None:
    """What to say where the scan's step lies outside the card's range."""
    limits = card.get("step_nm")
    if limits is None or calibration.step_nm is None:
        return None
    low, high = limits
    if calibration.step_nm > _TOO_COARSE * high:
        return None  # already a mismatch
    if low * 0.98 <= calibration.step_nm <= high * 1.02:
        return None
    return (
        f"The scan step is {calibration.step_nm:.4g} nm, but the classifier was made for "
        f"{low:.3g} to {high:.3g} nm."
    )
