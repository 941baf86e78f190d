"""Measure what a scan's file does not tell: disk, lattice period, and what follows from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.descan import Descan, quick_descan
from napari_polmap.diffraction.disk import measure_disk
from napari_polmap.diffraction.lattice import find_lattice
from napari_polmap.diffraction.part_images import iter_part_images, middle_region
from napari_polmap.errors import CalibrationError, ScanError
from napari_polmap.scan import Scan
from napari_polmap.steps import finish

_DISK_BYTES = 64 * 2**20
_LATTICE_BYTES = 96 * 2**20
_CHECKED_PATTERNS = 64
_LARGEST_PERIOD_NM = 3.0
"""What repeats over longer distances is no unit cell."""
_OTHER_PERIOD = 0.05
"""A measured period that departs from the known one by more is not that crystal's."""
_DISAGREEMENT = 0.05
"""Between semi-angle and detector scale, from which on the user is told."""


def measured(scan: Scan) -> Scan:
    """The scan with its disk, descan, lattice period and angle, and semi-angle filled in.

    Values that are known stay as they are; what could not be measured, and a beam that wanders, is
    told in the scan's warnings.

    Parameters
    ----------
    scan : Scan

    Raises
    ------
    ScanError
        If the patterns cannot be read, or nothing is in any of the sampled ones.
    """
    warnings = list(scan.warnings)
    calibration = scan.calibration
    if calibration.center_px is None or calibration.radius_px is None:
        calibration = _with_disk(scan, warnings)
    else:
        check_data(scan)
    calibration = _with_descan(scan.with_calibration(calibration), warnings)
    calibration = _derived(calibration, warnings)
    scan = scan.with_calibration(calibration, tuple(warnings))
    return _with_lattice(scan)


def check_data(scan: Scan) -> None:
    """See that there is something in a scan, from a few patterns spread over it.

    Raises
    ------
    ScanError
        If all of them are zero or not finite.
    """
    patterns = _finite(scan, scan.strided(_CHECKED_PATTERNS))
    if not patterns.any():
        raise _nothing(scan)


def _with_disk(scan: Scan, warnings: list[str]) -> Calibration:
    try:
        disk = measure_disk(mean_pattern(scan, warnings), scan.bad_pixels)
    except CalibrationError as error:
        # A beam that wanders far smears its disk beyond recognition.
        descan = _descan(scan)
        if descan is not None:
            return _following(scan, descan, warnings)
        warnings.append(str(error))
        hint = scan.metadata.get("axes_center_px")
        if hint is None or not all(
            0 <= c < n for c, n in zip(hint, scan.detector_shape, strict=True)
        ):
            return scan.calibration
        warnings.append("The pattern's center is taken from the zero of the file's detector axes.")
        return scan.calibration.filled("file", center_px=(float(hint[0]), float(hint[1])))
    warnings += disk.warnings
    values: dict[str, Any] = {"center_px": disk.center_px, "radius_px": disk.radius_px}
    return scan.calibration.filled("measured", **values)


def _with_descan(scan: Scan, warnings: list[str]) -> Calibration:
    """The descan where there clearly is one, with the disk as it is without it."""
    descan = None if scan.calibration.radius_px is None else _descan(scan)
    return scan.calibration if descan is None else _following(scan, descan, warnings)


def _descan(scan: Scan) -> Descan | None:
    return None if "descan_px" in scan.calibration.sources else quick_descan(scan)


def _following(scan: Scan, descan: Descan, warnings: list[str]) -> Calibration:
    warnings.append(
        f"The beam wanders {descan.range_px:.2g} pixels over the scan "
        f"({descan.range_px / descan.radius_px:.0%} of the disk's radius); this descan is measured "
        "and taken into account."
    )
    values: dict[str, Any] = {"descan_px": descan.descan_px}
    for name, value in (("center_px", descan.center_px), ("radius_px", descan.radius_px)):
        # In the mean pattern the disk is smeared.
        if scan.calibration.sources.get(name, "measured") == "measured":
            values[name] = value
    return scan.calibration.updated("measured", **values)


def mean_pattern(scan: Scan, warnings: list[str]) -> npt.NDArray[np.float64]:
    """Mean of as many patterns spread over the scan as can be read at once.

    Raises
    ------
    ScanError
        If there is nothing in any of them.
    """
    pattern_bytes = int(np.prod(scan.detector_shape)) * scan.dtype.itemsize
    patterns = scan.strided(int(np.clip(_DISK_BYTES // pattern_bytes, 64, 4096)))
    finite = _finite(scan, patterns)
    if len(finite) < len(patterns):
        warnings.append(
            f"{1 - len(finite) / len(patterns):.0%} of the sampled patterns are not finite; "
            "positions like these get no direction."
        )
    mean = np.asarray(finite.mean(axis=0, dtype=np.float64))
    if not mean.any():
        raise _nothing(scan)
    return mean


def _finite(scan: Scan, patterns: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Those of patterns ``(n, ky, kx)`` that are finite.

    Raises
    ------
    ScanError
        If none is.
    """
    if patterns.dtype.kind != "f":
        return patterns
    finite = np.isfinite(patterns).all(axis=(1, 2))
    if not finite.any():
        raise ScanError(
            f"All sampled patterns of {scan.name} hold values that are not finite (NaN); check how "
            "the file was written."
        )
    return patterns if finite.all() else patterns[finite]


def _nothing(scan: Scan) -> ScanError:
    return ScanError(
        f"All sampled patterns of {scan.name} are zero; check that the file was recorded and "
        "copied completely."
    )


def _derived(calibration: Calibration, warnings: list[str]) -> Calibration:
    """Detector pixel from semi-angle and radius, or semi-angle from detector pixel and radius."""
    radius = calibration.radius_px
    if radius is None:
        return calibration
    pixel, angle = calibration.mrad_per_pixel, calibration.semi_angle_mrad
    if pixel is not None and angle is not None and abs(pixel * radius / angle - 1) > _DISAGREEMENT:
        warnings.append(
            f"The disk's radius of {radius:.1f} pixels is {pixel * radius:.3g} mrad by the "
            f"detector's scale, but the semi-angle is {angle:.3g} mrad; correct one of them."
        )
    if calibration.mrad_per_pixel is None and calibration.semi_angle_mrad is not None:
        pixel = calibration.semi_angle_mrad / radius
        return calibration.updated("measured", mrad_per_pixel=pixel)
    if calibration.semi_angle_mrad is None and calibration.mrad_per_pixel is not None:
        angle = calibration.mrad_per_pixel * radius
        return calibration.updated("measured", semi_angle_mrad=angle)
    return calibration


def _with_lattice(scan: Scan) -> Scan:
    """The scan with period and orientation of its lattice where these are not known."""
    known = scan.calibration
    wanted = {"lattice_nm", "crystal_angle_deg"} - known.sources.keys()
    if not wanted or known.step_nm is None or known.center_px is None or known.radius_px is None:
        return scan
    part = finish(iter_part_images(scan, middle_region(scan, _LATTICE_BYTES)))
    lattice = find_lattice(part.stack(), known.step_nm)
    period = None if lattice is None else lattice.period_nm
    if lattice is None or period is None or period > _LARGEST_PERIOD_NM:
        return scan
    angle = lattice.crystal_angle_deg
    if (expected := known.lattice_nm) is not None:
        # A known period tells the cell from the smaller one of columns that look alike.
        cells = [(period, angle)]
        cells += [(cell * known.step_nm, turn) for cell, turn in lattice.alternatives]
        period, angle = min(cells, key=lambda cell: abs(np.log(cell[0] / expected)))
        if abs(period / expected - 1) > _OTHER_PERIOD:
            return scan
    values = {"lattice_nm": period} if "lattice_nm" in wanted else {}
    if "crystal_angle_deg" in wanted and lattice.significant(angle):
        values["crystal_angle_deg"] = angle
    return scan.calibrated("measured", **values) if values else scan
