"""``polmap virtual``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_polmap.cli.options import Json, ScanOptions, ScanPath, with_scan_options
from napari_polmap.cli.output import note, print_json, progress_bar, warn
from napari_polmap.errors import CalibrationError
from napari_polmap.steps import finish

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_polmap.calibration import Calibration
    from napari_polmap.diffraction.detectors import AnnulusDetector, DiskDetector
    from napari_polmap.scan import Scan

_UNITS = ("mrad", "px", "R")
_HOW = "such as 0.5R, 12mrad or 30px"

ImageName = Literal["sum", "com-x", "com-y", "com", "icom"]


@with_scan_options
def virtual(
    scan: ScanPath,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE.tif", help="The TIFF to write.", show_default=False
        ),
    ],
    scan_options: ScanOptions,
    detector: Annotated[
        str,
        typer.Option(
            metavar="DETECTOR",
            help="bright-field, annular-bright-field (0.5 to 1 R), annular-dark-field (from 1.1 "
            "R), outer-dark-field (from 2 R), disk:RADIUS or annulus:INNER,OUTER about the beam; "
            "radii with their unit, R (the disk's), mrad or px; an OUTER of inf for all beyond.",
        ),
    ] = "bright-field",
    image: Annotated[
        ImageName,
        typer.Option(
            help="The detector's sum, or of the center of mass of whole patterns: its x (to the "
            "right as the scan is shown), its y (up), its magnitude (com), or the integrated one."
        ),
    ] = "sum",
    high_pass: Annotated[
        float,
        typer.Option(
            metavar="POSITIONS",
            min=0.0,
            help="For icom: damp waves longer than this; 0 keeps all.",
        ),
    ] = 0.0,
    json: Json = False,
) -> None:
    """Make a virtual image of a scan: a TIFF of numbers with its calibration.

    The center of mass is in detector pixels from the disk's center, with the detector's flip and
    rotation taken off; the integrated one is that times nm, or positions without a step.

    Example: polmap virtual scan.hspy -o ring.tif --detector annulus:0.5R,24mrad
    """
    from napari_polmap.diffraction.detectors import describe
    from napari_polmap.export import export_scan_image

    opened = scan_options.load(scan)
    about: dict[str, Any] = {"title": image}
    if image == "sum":
        shape = parse_detector(detector, opened.calibration)
        about = {"title": detector, "detector": describe(shape)}
        values = _sum(opened, shape)
    else:
        values = _center_of_mass(opened, image, high_pass)
        if image == "icom":
            about["high_pass_positions"] = high_pass
    export_scan_image(opened, values, out, **about)
    if json:
        finite = values[_finite(values)]
        least, most = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
        print_json({"path": out, "shape": values.shape, "min": least, "max": most, **about})
    warn(opened.warnings)
    note(f"Written to {out}.")


def parse_detector(text: str, calibration: Calibration) -> DiskDetector | AnnulusDetector:
    """A detector from its text on the command line.

    Parameters
    ----------
    text : str
        A preset's name, ``disk:RADIUS`` or ``annulus:INNER,OUTER``.
    calibration : Calibration
        With the disk's center, and what the radii's units need.

    Raises
    ------
    CalibrationError
        If it is none of these, or something it needs is not known.
    """
    from napari_polmap.diffraction.detectors import (
        PRESETS,
        AnnulusDetector,
        DiskDetector,
        preset,
    )

    form, _, numbers = text.partition(":")
    parts = numbers.split(",") if numbers else []
    if (form, len(parts)) not in (("disk", 1), ("annulus", 2)):
        kind = text.lower().replace("-", " ").replace("_", " ")
        if kind in PRESETS:
            return preset(kind, calibration)
        names = ", ".join(name.replace(" ", "-") for name in PRESETS)
        raise CalibrationError(
            f"There is no detector {text!r}; choose {names}, disk:RADIUS or annulus:INNER,OUTER, "
            f"with radii {_HOW}."
        )
    if calibration.center_px is None:
        raise CalibrationError(
            f"The detector {text} needs the disk's center, which is not known; give --center."
        )
    radii = [_radius_px(part, calibration) for part in parts]
    if form == "disk":
        return DiskDetector(calibration.center_px, radii[0])
    return AnnulusDetector(calibration.center_px, radii[0], radii[1])


def _radius_px(text: str, calibration: Calibration) -> float:
    number = text.strip()
    if number == "inf":
        return math.inf
    unit = next((unit for unit in _UNITS if number.lower().endswith(unit.lower())), None)
    try:
        value = float(number[: -len(unit)]) if unit else None
    except ValueError:
        value = None
    if unit is None or value is None:
        raise CalibrationError(f"{text!r} is no radius; give a number with its unit, {_HOW}.")
    scale = {"R": calibration.radius_px, "px": 1.0}.get(unit)
    if unit == "mrad" and calibration.disk_mrad_per_pixel is not None:
        scale = 1 / calibration.disk_mrad_per_pixel
    if scale is None:
        missing = "--radius" if unit == "R" else "--mrad-per-pixel"
        raise CalibrationError(
            f"The radius {text} cannot be turned into pixels; give {missing}, or the radius in px."
        )
    return value * scale


def _sum(scan: Scan, shape: DiskDetector | AnnulusDetector) -> npt.NDArray[np.float32]:
    from napari_polmap.diffraction.virtual import iter_virtual

    with progress_bar("positions") as advance:
        images = finish(
            iter_virtual(scan, {"image": shape}), lambda step: advance(step.done, step.total)
        )
    return images["image"]


def _center_of_mass(scan: Scan, image: ImageName, high_pass: float) -> npt.NDArray[np.float32]:
    from napari_polmap.diffraction.center_of_mass import in_scan_frame, integrated, magnitude
    from napari_polmap.diffraction.virtual import CENTER_OF_MASS, iter_virtual

    with progress_bar("positions") as advance:
        images = finish(
            iter_virtual(scan, {}, center_of_mass=True),
            lambda step: advance(step.done, step.total),
        )
    vectors = in_scan_frame(images[CENTER_OF_MASS], scan.calibration)
    if image == "com":
        return magnitude(vectors)
    if image == "icom":
        return integrated(vectors, scan.calibration.step_nm or 1.0, high_pass)
    return vectors[..., 0 if image == "com-x" else 1]


def _finite(values: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    import numpy as np

    return np.isfinite(values)
