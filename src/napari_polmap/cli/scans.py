"""``polmap info`` and ``polmap classify``."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_polmap.cli.options import (
    ClassifierName,
    Json,
    ScanOptions,
    ScanPath,
    Threshold,
    region,
    with_scan_options,
)
from napari_polmap.cli.output import (
    INTERRUPTED,
    duration,
    note,
    print_json,
    print_pairs,
    print_table,
    progress_bar,
    share,
    warn,
)
from napari_polmap.steps import finish

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_polmap.polarization_map import PolarizationMap
    from napari_polmap.scan import Scan


@with_scan_options
def info(scan: ScanPath, scan_options: ScanOptions, json: Json = False) -> None:
    """Show what is known of a scan, to see whether it is read as it should be.

    Shape (rows and columns of probe positions, rows and columns of the detector), dtype, axes,
    chunks, bright-field disk, descan, elliptical distortion, voltage, lattice period, each with
    where it came from (file, measured, user), and warnings. Nothing but a few patterns is read.
    """
    opened = scan_options.load(scan)
    values = describe(opened, scan)
    if json:
        print_json(values)
    else:
        print_pairs(_lines(opened, values))
    warn(opened.warnings)


def describe(scan: Scan, path: Path) -> dict[str, Any]:
    """What ``polmap info --json`` prints."""
    calibration = scan.calibration
    step = {"units": "nm", "scale": calibration.step_nm}
    pixel = {
        "units": "mrad",
        "scale": calibration.mrad_per_pixel or calibration.disk_mrad_per_pixel,
    }
    return {
        "path": path,
        "shape": scan.shape,
        "dtype": str(scan.dtype.newbyteorder("=")),
        "nbytes": scan.nbytes,
        "axes": [
            {"name": "y", **step},
            {"name": "x", **step},
            {"name": "ky", **pixel},
            {"name": "kx", **pixel},
        ],
        "chunks": scan.data.chunksize,
        "center_px": calibration.center_px,
        "radius_px": calibration.radius_px,
        "descan_px": calibration.descan_px,
        "ellipse": calibration.ellipse,
        "lattice_nm": calibration.lattice_nm,
        "positions_per_cell": calibration.cell_positions,
        "bad_pixels": 0 if scan.bad_pixels is None else int(scan.bad_pixels.sum()),
        "calibration": calibration.to_dict(),
        "warnings": scan.warnings,
    }


def _lines(scan: Scan, values: dict[str, Any]) -> list[tuple[str, str]]:
    calibration = scan.calibration
    rows, columns, ky, kx = scan.shape

    def line(label: str, name: str, text: str) -> tuple[str, str]:
        source = calibration.sources.get(name)
        known = getattr(calibration, name) is not None
        return label, (text + (f"  ({source})" if source else "")) if known else "not known"

    def number(value: float | None, unit: str) -> str:
        return "" if value is None else f"{value:.5g} {unit}"

    center = calibration.center_px or (float("nan"), float("nan"))
    ratio, angle = calibration.ellipse or (1.0, 0.0)
    return [
        ("scan", str(values["path"])),
        ("positions", f"{rows} x {columns} (y, x)"),
        ("detector", f"{ky} x {kx} pixels (ky, kx)"),
        ("dtype", f"{values['dtype']}, {_size(scan.nbytes)}"),
        ("chunks", " x ".join(str(length) for length in values["chunks"])),
        line("step", "step_nm", number(calibration.step_nm, "nm")),
        line("detector pixel", "mrad_per_pixel", number(calibration.mrad_per_pixel, "mrad")),
        line("voltage", "energy_kv", number(calibration.energy_kv, "kV")),
        line("semi-angle", "semi_angle_mrad", number(calibration.semi_angle_mrad, "mrad")),
        line("disk center", "center_px", f"ky {center[0]:.2f}, kx {center[1]:.2f} px"),
        line("disk radius", "radius_px", number(calibration.radius_px, "px")),
        line("descan", "descan_px", _descan_text(scan)),
        line("ellipse", "ellipse", f"axes {ratio:.4g} : 1, the longer one at {angle:.4g}°"),
        line("rotation", "rotation_deg", f"{calibration.rotation_deg:g}°"),
        line("flip", "flip", "yes" if calibration.flip else "no"),
        line("crystal angle", "crystal_angle_deg", f"{calibration.crystal_angle_deg:g}°"),
        line("lattice period", "lattice_nm", number(calibration.lattice_nm, "nm")),
        ("positions a cell", number(calibration.cell_positions, "").strip() or "not known"),
        ("bad pixels", str(values["bad_pixels"])),
    ]


def _descan_text(scan: Scan) -> str:
    """The beam's shift per position, and how far it goes over the scan."""
    a, b, c, d = scan.calibration.descan_px or (0.0, 0.0, 0.0, 0.0)
    down, across = scan.scan_shape[0] - 1, scan.scan_shape[1] - 1
    farthest = max(
        math.hypot(a * down + sign * b * across, c * down + sign * d * across) for sign in (1, -1)
    )
    return (
        f"ky {a:.3g} a row, {b:.3g} a column; kx {c:.3g} a row, {d:.3g} a column: "
        f"{farthest:.3g} px over the scan"
    )


def _size(nbytes: int) -> str:
    value, unit = float(nbytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"


@with_scan_options
def classify(
    scan: ScanPath,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="MAP.zarr",
            help="The map to write; it grows while it is computed.",
            show_default=False,
        ),
    ],
    scan_options: ScanOptions,
    classifier: ClassifierName = "default",
    region_text: Annotated[
        str | None,
        typer.Option(
            "--region",
            metavar="Y0:Y1,X0:X1",
            help="Only these rows and columns of probe positions; the ends are not included.",
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        float | None,
        typer.Option(
            metavar="CELLS",
            min=0.0,
            help="Width of the window in unit cells; 0 for single patterns.  "
            "[dim]\\[default: the classifier's own][/dim]",
            show_default=False,
        ),
    ] = None,
    threshold: Threshold = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the incomplete map at MAP.zarr.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Classify although the scan lies outside what the classifier was trained for; "
            "the confidence is then marked as uncalibrated.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Classify a scan: find the direction of polarization at each probe position.

    Ctrl+C keeps what is done; the same command with --resume goes on from there. A map that is
    there already is not overwritten.

    Example: polmap classify scan.hspy -c default -o map.zarr --energy 200 --semi-angle 24
    """
    part = region(region_text)
    from napari_polmap import iter_classify, load_classifier

    opened = scan_options.load(scan)
    chosen = load_classifier(classifier)
    start = time.monotonic()
    steps = iter_classify(
        opened,
        chosen,
        region=part,
        window=window,
        threshold=threshold,
        out=out,
        resume=resume,
        force=force,
    )
    result = run(steps, out)
    seconds = time.monotonic() - start
    if json:
        print_json({"path": out, **summary(result), "seconds": round(seconds, 3)})
    else:
        print_summary(result)
    warn(result.warnings)
    note(f"Written to {out} in {duration(seconds)}.")


def run(steps: Generator[Any, None, PolarizationMap], out: Path) -> PolarizationMap:
    """Run the engine with a progress bar; Ctrl+C keeps what is done and says how to go on."""
    done = total = 0
    try:
        with progress_bar("positions") as advance:

            def tell(step: Any) -> None:
                nonlocal done, total
                done, total = step.done, step.total
                advance(done, total, step.remaining_s)

            return finish(steps, tell)
    except KeyboardInterrupt:
        steps.close()
        note(
            f"Stopped after {done:,} of {total:,} positions, which are kept in {out}; the same "
            "command with --resume goes on from there."
        )
        raise typer.Exit(INTERRUPTED) from None


def summary(result: PolarizationMap) -> dict[str, Any]:
    """Figures of a map, as ``polmap classify --json`` prints them."""
    computed = int(result.computed.sum())
    undecided = int(result.undecided.sum())
    return {
        "shape": result.shape,
        "positions": computed,
        "directions": result.counts(),
        "undecided": undecided,
        "undecided_share": undecided / computed if computed else None,
        "threshold": result.threshold,
        "confidence_calibrated": result.confidence_calibrated,
        "complete": result.complete,
        "warnings": result.warnings,
    }


def print_summary(result: PolarizationMap) -> None:
    """Positions per direction, and the undecided share."""
    values = summary(result)
    shown, computed = result.shown_directions, max(1, values["positions"])
    counts = [*values["directions"].values(), values["undecided"]]
    labels = [shown.label(index) for index in range(len(shown))]
    labels.append(f"undecided (confidence < {result.threshold:.2f})")
    rows = [
        (label, f"{count:,}", share(count / computed))
        for label, count in zip(labels, counts, strict=True)
    ]
    print_table(("direction", "positions", "share"), rows)
