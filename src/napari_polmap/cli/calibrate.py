"""``polmap calibrate``: measure a scan's calibration and keep it beside the scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_polmap.cli.options import Json, ScanOptions, ScanPath, with_scan_options
from napari_polmap.cli.output import note, print_json, print_table, progress_bar, warn
from napari_polmap.errors import CalibrationError
from napari_polmap.steps import finish

if TYPE_CHECKING:
    from napari_polmap.diffraction.orientation import Rotation
    from napari_polmap.scan import Scan

_NOTHING = "-"


@with_scan_options
def calibrate(
    scan: ScanPath,
    scan_options: ScanOptions,
    vacuum: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A scan or an image without a specimen, on the same detector, to measure the "
            "disk in.",
            show_default=False,
        ),
    ] = None,
    use_rotation: Annotated[
        int | None,
        typer.Option(
            metavar="1|2",
            min=1,
            max=2,
            help="Take this candidate of the detector's rotation. Both fit the data equally well; "
            "the other one reverses every direction.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep/--dry-run", help="Keep what was found beside the scan, or not.")
    ] = True,
    json: Json = False,
) -> None:
    """Measure a scan's calibration and keep it in the small file beside the scan.

    Disk, elliptical distortion, descan, bad pixels, lattice period and crystal angle are measured;
    what options give stays. The detector's rotation is known from the data but for half a turn:
    both candidates are told, and one is taken only with --use-rotation.
    """
    from napari_polmap.diffraction.orientation import measure_rotation
    from napari_polmap.io.sidecar import save_sidecar

    opened = scan_options.load(scan)
    given = set(scan_options.calibration)
    rows: list[tuple[str, str, str]] = []
    calibrated = opened
    if "bad_pixels" not in scan_options.reading:
        calibrated = _bad_pixels(calibrated, rows)
    calibrated = _disk(calibrated, vacuum, given, rows)
    if "descan_px" not in given:
        # The vacuum's disk is sharper than the specimen's.
        fixed = given | ({"center_px", "radius_px"} if vacuum is not None else set())
        calibrated = _descan(calibrated, fixed, rows)
    calibrated = _lattice(calibrated, given, rows)
    rotation = measure_rotation(calibrated)
    _tell_rotation(rotation, rows)
    if use_rotation is not None:
        if not rotation.candidates:
            raise CalibrationError(rotation.reason)
        chosen = rotation.candidates[use_rotation - 1]
        calibrated = calibrated.calibrated(
            "user", rotation_deg=chosen.rotation_deg, flip=chosen.flip
        )
    kept = save_sidecar(calibrated) if keep else None
    if json:
        print_json(
            {
                "calibration": calibrated.calibration.to_dict(),
                "bad_pixels": 0 if calibrated.bad_pixels is None else calibrated.bad_pixels.sum(),
                "rotation_candidates": [c._asdict() for c in rotation.candidates],
                "kept": kept,
                "warnings": list(calibrated.warnings),
            }
        )
    else:
        print_table(("value", "found", "error"), rows)
        if rotation.candidates and use_rotation is None:
            note(
                "The rotation is not taken: both candidates fit equally well, and one of them "
                "reverses every direction. Choose by a domain of known direction, then call again "
                "with --use-rotation 1 or 2."
            )
        if kept is not None:
            note(f"Kept in {kept}.")
    warn(calibrated.warnings)


def _taken(scan: Scan, given: set[str], values: dict[str, Any]) -> Scan:
    """The scan with measured values, but for those that options gave."""
    new = {name: value for name, value in values.items() if name not in given}
    return scan.calibrated("measured", **new) if new else scan


def _bad_pixels(scan: Scan, rows: list[tuple[str, str, str]]) -> Scan:
    from napari_polmap.diffraction.bad_pixels import find_bad_pixels

    found = find_bad_pixels(scan)
    kinds = [f"{count} {name.replace('_', ' ')}" for name, count in found.counts.items() if count]
    rows.append(("bad pixels", ", ".join(kinds) or "none", ""))
    if not found.mask.any():
        return scan
    known = scan.bad_pixels
    return scan.with_bad_pixels(found.mask if known is None else found.mask | known)


def _disk(
    scan: Scan, vacuum: Path | None, given: set[str], rows: list[tuple[str, str, str]]
) -> Scan:
    from napari_polmap.diffraction.disk import measure_disk
    from napari_polmap.diffraction.measure import mean_pattern
    from napari_polmap.diffraction.vacuum import measure_vacuum

    if vacuum is not None:
        disk = measure_vacuum(vacuum, scan)
    else:
        try:
            disk = measure_disk(mean_pattern(scan, []), scan.bad_pixels, ellipse=True)
        except CalibrationError as error:
            rows.append(("disk", _NOTHING, ""))
            warn([str(error)])
            return scan
    warn(disk.warnings)
    spread = f"{disk.error_px:.2f} px"
    rows.append(("disk center", f"{disk.center_px[0]:.2f}, {disk.center_px[1]:.2f} px", spread))
    rows.append(("disk radius", f"{disk.radius_px:.2f} px", spread))
    values: dict[str, Any] = {"center_px": disk.center_px, "radius_px": disk.radius_px}
    if disk.ellipse is None:
        rows.append(("ellipse", "none", ""))
    else:
        ratio, angle = disk.ellipse
        ratio_error = "" if disk.ellipse_error is None else f"{disk.ellipse_error:.4f}"
        rows.append(("ellipse", f"{ratio:.4f} at {angle:.1f}°", ratio_error))
        values["ellipse"] = disk.ellipse
    return _taken(scan, given, values)


def _descan(scan: Scan, given: set[str], rows: list[tuple[str, str, str]]) -> Scan:
    from napari_polmap.diffraction.descan import iter_descan

    with progress_bar("parts of the scan") as advance:
        found = finish(iter_descan(scan), lambda step: advance(step.done, step.total, None))
    if found is None or not found.significant:
        rows.append(("descan", "none" if found is not None else _NOTHING, ""))
        return scan
    rows.append(("descan", f"{found.range_px:.2f} px over the scan", f"{found.error_px:.2f} px"))
    return _taken(
        scan,
        given,
        {
            "descan_px": found.descan_px,
            "center_px": found.center_px,
            "radius_px": found.radius_px,
        },
    )


def _lattice(scan: Scan, given: set[str], rows: list[tuple[str, str, str]]) -> Scan:
    from napari_polmap.diffraction.lattice import measure_lattice

    found = measure_lattice(scan)
    if found is None:
        rows.append(("lattice", "none seen", ""))
        return scan
    rows.append(
        (
            "lattice period",
            f"{found.period_positions:.3f} positions"
            + ("" if found.period_nm is None else f", {found.period_nm:.4f} nm"),
            f"{found.period_error:.3f}",
        )
    )
    angle = found.crystal_angle_deg
    rows.append(("crystal angle", f"{angle:.2f}°", f"{found.angle_error_deg:.2f}°"))
    values: dict[str, Any] = {}
    if found.period_nm is not None:
        values["lattice_nm"] = found.period_nm
        values["crystal_angle_deg"] = angle if found.significant(angle) else 0.0
    return _taken(scan, given, values)


def _tell_rotation(rotation: Rotation, rows: list[tuple[str, str, str]]) -> None:
    for number, candidate in enumerate(rotation.candidates, start=1):
        flip = " after a flip" if candidate.flip else ""
        known = "" if rotation.flip_known else " (flip not told apart)"
        rows.append(
            (
                f"detector rotation, candidate {number}",
                f"{candidate.rotation_deg:.1f}°{flip}{known}",
                f"{rotation.error_deg:.1f}°",
            )
        )
    if not rotation.candidates:
        rows.append(("detector rotation", "not known", ""))
        warn([rotation.reason])
