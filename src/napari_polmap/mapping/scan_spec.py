"""What to simulate so that a classifier trained on it applies to a scan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_polmap.calibration import Calibration, electron_wavelength_nm
from napari_polmap.classifiers.matching import TOLERANCES, overlap
from napari_polmap.classifiers.recipes import PRESETS, Recipe
from napari_polmap.errors import CalibrationError, ClassifierError, PolmapError
from napari_polmap.scan import Scan
from napari_polmap.simulation.cells import make_cell
from napari_polmap.simulation.materials import MATERIALS, get_material
from napari_polmap.simulation.spec import Spec, spec_from

Quality = Literal["quick", "full"]

TRAIN, TEST = "train", "test"
"""Names of the two sets of specimens."""
SPECIMENS: Mapping[str, tuple[int, int]] = {"quick": (48, 12), "full": (96, 24)}
"""Specimens for training and for testing."""
TILT_MRAD: Mapping[str, float] = {"quick": 2.0, "full": 4.0}
"""Largest tilt of the specimens."""
MOST_CELLS = 16
"""Cells across the simulated specimen at most."""

_THICKNESS_STEP_NM: Mapping[str, float] = {"quick": 5.0, "full": 2.5}
_SAMPLING_ANGSTROM: Mapping[str, float] = {"quick": 0.14, "full": 0.1}
_DEFOCUS_NM = 5.0
_FIRST_TEST_SEED = 100_001
_SEPARATE = 2.0
"""λ / (a α) from which on neighboring disks do not overlap: half the Bragg angle."""
_NANOBEAM = "nanobeam"
_SEPARATE_HALF_WIDTH = 3.8
"""Half of the stored patterns' width in units of λ/a, where the disks are separate."""
_COARSEST = 7 / 2
"""Positions a cell from which on the window averages the lattice out."""
_EXTENTS = (1.3, 1.15, 1.0)
_MARGIN = 1.08
"""Stored patterns reach this much further than a crop, whose center and radius are jittered."""
_WHERE = "in the Calibration dock, or with"
_NEEDED = (
    ("energy_kv", "the acceleration voltage", "--energy KV"),
    ("semi_angle_mrad", "the convergence semi-angle", "--semi-angle MRAD"),
    ("step_nm", "the scan step", "--step NM"),
    ("center_px", "the center of the bright-field disk", "--center KY,KX"),
    ("radius_px", "the radius of the bright-field disk", "--radius PX"),
)


def spec_for_scan(
    scan: Scan,
    material: str | Mapping[str, Any] = "KNN",
    *,
    thickness_nm: tuple[float, float],
    quality: Quality = "quick",
    specimens: int | tuple[int, int] | None = None,
    tilt_mrad: float | None = None,
) -> dict[str, Any]:
    """Describe the simulation of a classifier's training and test data for a scan.

    Voltage and semi-angle are the scan's, the lattice parameter spans 1 % around the scan's where
    that is known, else the material's range. What a scan does not tell is drawn at random: tilt,
    defocus, magnitude of the displacement, thermal vibration. Four directions come from one
    simulation by the crystal's symmetry.

    Parameters
    ----------
    scan : Scan
        With voltage, semi-angle, step and disk.
    material : str or mapping
        Name of a built-in material, or the fields of a description's ``[crystal]`` (see
        `napari_polmap.simulation.sections.CrystalSpec`).
    thickness_nm : (float, float)
        Lowest and highest thickness that the specimen of the scan may have.
    quality : {"quick", "full"}
        How many specimens, how finely spaced in thickness, and on how fine a grid.
    specimens : int or (int, int), optional
        Specimens for training, and for testing (by default a fourth as many), instead of the
        quality's.
    tilt_mrad : float, optional
        Largest tilt of the specimens instead of the quality's.

    Returns
    -------
    dict
        Values for `napari_polmap.simulation.spec.spec_from`, with the sets ``train`` and ``test``.

    Raises
    ------
    CalibrationError
        If the scan does not tell what is needed, or is too coarse; the sentence says where to
        enter it.
    PolmapError
        If a parameter is impossible, or the material has no polarization or another lattice.
    """
    calibration = checked_calibration(scan)
    if quality not in SPECIMENS:
        raise PolmapError(
            f"There is no quality {quality!r}; choose {' or '.join(map(repr, SPECIMENS))}."
        )
    train, test = _numbers(specimens, quality)
    thicknesses = _thicknesses(thickness_nm, _THICKNESS_STEP_NM[quality])
    tilt = TILT_MRAD[quality] if tilt_mrad is None else tilt_mrad
    crystal, lattice_nm = _crystal(calibration, material)
    energy, angle = calibration.energy_kv, calibration.semi_angle_mrad
    assert energy is not None
    assert angle is not None
    wavelength, alpha = electron_wavelength_nm(energy), angle * 1e-3
    recipe = recipe_for_scan(scan, lattice_nm)
    if overlap(energy, angle, lattice_nm) >= _SEPARATE:
        # Such patterns do not change within the cell.
        positions = 1
        half_width = _SEPARATE_HALF_WIDTH * wavelength / (lattice_nm * alpha)
    else:
        # Patterns change over a cell with spatial frequencies up to 2α/λ: as many average it out.
        needed = math.floor(2 * alpha * lattice_nm / wavelength) + 1
        positions = max(needed, math.ceil(_COARSEST))
        half_width = (recipe.preprocessing.extent or _EXTENTS[0]) * _MARGIN
    # The multislice keeps frequencies up to a third of the sampling's inverse: beyond the stored
    # patterns by a good part, so that what is scattered there may come back.
    sampling = min(_SAMPLING_ANGSTROM[quality], 10 * wavelength / (4.5 * half_width * alpha))
    where = f"{energy:g} kV, {angle:g} mrad, {thicknesses[0]:g}-{thicknesses[-1]:g} nm"
    return {
        "name": f"{_title(material)}, {where}",
        "crystal": crystal,
        "directions": {"by_symmetry": True},
        "specimens": {
            "sets": {
                TRAIN: f"1-{train}",
                TEST: f"{_FIRST_TEST_SEED}-{_FIRST_TEST_SEED + test - 1}",
            },
            "thickness_nm": thicknesses,
            "cells": _cells(wavelength, alpha, thicknesses[-1], lattice_nm),
            "positions": positions,
        },
        "microscope": {
            "energy_kv": _rounded(energy, 4),
            "semi_angle_mrad": _rounded(angle, 3),
            "tilt_mrad": {"max": float(tilt), "distribution": "disk"},
            "defocus_nm": {"min": -_DEFOCUS_NM, "max": _DEFOCUS_NM},
        },
        "numerics": {
            "sampling_angstrom": _rounded(sampling, 2),
            "half_width": _rounded(half_width, 3),
        },
        "output": {"format": "npy"},
    }


def checked_spec(values: Mapping[str, Any]) -> Spec:
    """The description of the simulation of a classifier's data.

    Raises
    ------
    PolmapError
        If it is impossible, or has not the sets that training and testing take.
    """
    spec = spec_from(values)
    sets = {} if spec.specimens is None else spec.specimens.sets
    if len(sets.get(TRAIN, ())) < 2 or not sets.get(TEST):
        raise PolmapError(
            "A classifier takes [specimens] with the sets train (at least 2 seeds) and test (at "
            "least 1); give both in specimens.sets."
        )
    return spec


def classifier_name(spec_values: Mapping[str, Any]) -> str:
    """A name for the classifier of a simulation: material, voltage, semi-angle and thicknesses."""
    spec = checked_spec(spec_values)
    crystal, microscope = spec_values["crystal"], spec_values.get("microscope", {})
    specimens = spec.specimens
    assert specimens is not None
    thickness = specimens.thickness_nm
    listed = thickness if isinstance(thickness, tuple) else (thickness,)
    ends = [getattr(t, end, t) for t, end in ((listed[0], "low"), (listed[-1], "high"))]
    source = str(crystal.get("material") or Path(str(crystal.get("file", "structure"))).stem)
    parts = [source.lower()]
    for field, unit in (("energy_kv", "kv"), ("semi_angle_mrad", "mrad")):
        if isinstance(microscope.get(field), int | float):
            parts.append(f"{microscope[field]:g}{unit}")
    parts.append("-".join(f"{end:g}" for end in dict.fromkeys(ends)) + "nm")
    return "-".join(parts)


def checked_calibration(scan: Scan) -> Calibration:
    """The scan's calibration, which tells all that a simulation for it needs.

    Raises
    ------
    CalibrationError
        If a value is missing.
    """
    calibration = scan.calibration
    for name, label, option in _NEEDED:
        if getattr(calibration, name) is None:
            raise CalibrationError(
                f"{scan.name} does not tell {label}, without which nothing can be simulated for "
                f"it; enter it {_WHERE} {option}."
            )
    return calibration


def preset_for_scan(calibration: Calibration, lattice_nm: float) -> str:
    """Name of the recipe that serves a scan: disks that overlap are averaged over a cell.

    Raises
    ------
    CalibrationError
        If the scan is too coarse for the window, or no recipe serves its separate disks.
    """
    energy, angle, step = calibration.energy_kv, calibration.semi_angle_mrad, calibration.step_nm
    assert energy is not None
    assert angle is not None
    assert step is not None
    separate = 500 * electron_wavelength_nm(energy) / lattice_nm
    if angle <= separate:
        if _NANOBEAM not in PRESETS:
            raise CalibrationError(
                f"The disks of this scan do not overlap (semi-angle {angle:.3g} mrad, at most half "
                f"the Bragg angle of {2 * separate:.3g} mrad), but classifiers are made for disks "
                "that do; use a larger convergence angle."
            )
        return _NANOBEAM
    if step > lattice_nm / _COARSEST * 1.02:
        raise CalibrationError(
            f"The scan step is {step:.3g} nm, but the disks of this scan overlap, so that patterns "
            f"are averaged over a unit cell, which takes steps of at most "
            f"{lattice_nm / _COARSEST:.2g} nm; correct the step in the Calibration dock (or with "
            f"--step NM), or record with a semi-angle of at most {separate:.2g} mrad."
        )
    return "robust"


def recipe_for_scan(scan: Scan, lattice_nm: float | None = None) -> Recipe:
    """How a classifier for a scan is trained: its crop lies within the scan's detector.

    Parameters
    ----------
    scan : Scan
        As for `spec_for_scan`.
    lattice_nm : float, optional
        Period of the lattice where the scan does not tell it.

    Raises
    ------
    CalibrationError
        If the scan is too coarse, or its detector does not hold the bright-field disk.
    """
    calibration = checked_calibration(scan)
    known = calibration.lattice_nm or lattice_nm
    if known is None:
        raise CalibrationError(
            f"{scan.name} does not tell the period of its lattice; enter it {_WHERE} --lattice NM."
        )
    calibration = calibration.filled("user", lattice_nm=known)
    name = preset_for_scan(calibration, known)
    recipe = PRESETS[name]
    if name == _NANOBEAM:
        recipe.preprocessing.operator(calibration, scan.detector_shape)
        return recipe
    for extent in _EXTENTS:
        preprocessing = replace(recipe.preprocessing, extent=extent)
        try:
            preprocessing.operator(calibration, scan.detector_shape)
        except CalibrationError:
            continue
        return replace(recipe, preprocessing=preprocessing)
    rows, columns = scan.detector_shape
    raise CalibrationError(
        f"The detector of {scan.name} ({rows} x {columns} pixels) does not hold the whole "
        f"bright-field disk of radius {calibration.radius_px:.4g} px; check the disk in the "
        "Calibration dock, or record at a shorter camera length."
    )


def _numbers(specimens: int | tuple[int, int] | None, quality: str) -> tuple[int, int]:
    """Specimens for training and for testing."""
    if specimens is None:
        return SPECIMENS[quality]
    train, test = specimens if isinstance(specimens, tuple) else (specimens, -(-specimens // 4))
    if train < 2 or test < 1:
        raise PolmapError(
            f"{train} specimens for training and {test} for testing were asked for, but it takes "
            "at least 2 and 1; ask for more."
        )
    return train, test


def _thicknesses(limits: tuple[float, float], step_nm: float) -> list[float]:
    """Thicknesses at most so far apart."""
    low, high = limits
    if not (math.isfinite(low) and math.isfinite(high) and 0 < low <= high):
        raise PolmapError(
            f"The thickness goes from {low:g} to {high:g} nm, but must go from a positive number "
            "to one that is not smaller; correct it."
        )
    count = 1 + math.ceil((high - low) / step_nm - 1e-9)
    return [round(float(t), 3) for t in np.linspace(low, high, count)]


def _crystal(
    calibration: Calibration, material: str | Mapping[str, Any]
) -> tuple[dict[str, Any], float]:
    """The fields of ``[crystal]``, and the lattice's period in nm."""
    fields: dict[str, Any]
    fields = {"material": material} if isinstance(material, str) else dict(material)
    name = fields.get("material")
    if name is not None:
        own = get_material(name)
        if own.magnitude_angstrom == 0 and fields.get("magnitude_angstrom") is None:
            others = ", ".join(m.name for m in MATERIALS.values() if m.magnitude_angstrom)
            raise PolmapError(
                f"{own.name} has no polarization, whose directions could be told apart; choose "
                f"{others}, or a structure of your own."
            )
        low, high = own.magnitude_range
        fields.setdefault("magnitude_angstrom", {"min": low, "max": high})
        low, high = max(0.0, own.b_share - 0.2), min(1.0, own.b_share + 0.3)
        fields.setdefault("b_share", {"min": round(low, 3), "max": round(high, 3)})
        fields.setdefault("thermal", ["none", "debye-waller", "frozen phonon"])
    at_rest = {k: v for k, v in fields.items() if k not in ("lattice_angstrom", "lattice_scale")}
    described: dict[str, Any] = {"crystal": at_rest}
    probe = {"sets": {"train": "1"}, "thickness_nm": 1.0}
    cell, _ = make_cell(spec_from({**described, "specimens": probe}), 1)
    edges = cell.lengths_angstrom[:2]
    edge = sum(edges) / 2
    known = calibration.lattice_nm
    if known is None:
        if name is not None:
            low, high = get_material(name).lattice_range
            fields.setdefault("lattice_angstrom", {"min": low, "max": high})
        return fields, edge / 10
    # A lattice may have been measured along either edge.
    nearest = min(edges, key=lambda e: abs(10 * known / e - 1))
    scale = 10 * known / nearest
    if abs(scale - 1) > TOLERANCES["overlap"]:
        raise ClassifierError(
            f"The scan's lattice has a period of {known:.4g} nm, but {_title(material)} one of "
            f"{nearest / 10:.4g} nm; choose another material, or correct the lattice's period in "
            "the Calibration dock (or with --lattice NM)."
        )
    center = round(edge * scale, 2)
    low, high = round(0.99 * center, 3), round(1.01 * center, 3)
    if name is not None:
        fields["lattice_angstrom"] = {"min": low, "max": high}
    else:
        fields["lattice_scale"] = {"min": round(low / edge, 4), "max": round(high / edge, 4)}
    return fields, edge * scale / 10


def _cells(wavelength: float, alpha: float, thickness_nm: float, lattice_nm: float) -> int:
    """Cells across: wide enough for the probe at its waist and where it leaves."""
    # Channeling keeps most of the beam within four fifths of its geometric width.
    width_nm = max(1.6 * alpha * thickness_nm, 4 * wavelength / alpha)
    return min(MOST_CELLS, max(4, math.ceil(width_nm / lattice_nm - 0.05)))


def _title(material: str | Mapping[str, Any]) -> str:
    if isinstance(material, str):
        return material
    return str(material.get("material") or material.get("file") or "the structure")


def _rounded(value: float, digits: int) -> float:
    """A value to significant digits: measuring it once more describes the same simulation."""
    return float(f"{value:.{digits}g}")
