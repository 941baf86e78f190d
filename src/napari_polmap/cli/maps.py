"""``polmap export``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_polmap.cli.options import ScanOptions, Threshold, with_scan_options
from napari_polmap.cli.output import note, warn
from napari_polmap.errors import ExportError, reason

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_polmap.polarization_map import PolarizationMap


class Form(Enum):
    """What is written."""

    FIGURE = "figure"
    PIXELS = "pixels"
    DATA = "data"


_BY_ENDING = dict.fromkeys((".tif", ".tiff", ".csv", ".hspy"), Form.DATA)


@with_scan_options
def export(
    map_path: Annotated[
        Path, typer.Argument(metavar="MAP.zarr", help="The map.", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="File to write, .png, .svg, .pdf, .tif, .csv or .hspy; one that is there is "
            "replaced.",
            show_default=False,
        ),
    ],
    scan_options: ScanOptions,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="LAYER",
            help="direction, confidence, defects, novelty (distance from the training data), or "
            "p_NAME for the probability of one direction. A table holds them all.  "
            "[dim]\\[default: direction][/dim]",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        Form | None,
        typer.Option(
            "--as",
            help="figure: with legend or color bar, scale bar and arrows; pixels: one pixel a "
            "position in the colors of the window (.png, .tif); data: labels (255 where undecided) "
            "or 32-bit values (.tif, .hspy), or a table (.csv).  "
            "[dim]\\[default: figure for .png, .svg, .pdf; data for .tif, .csv, .hspy][/dim]",
            show_default=False,
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            metavar="KIND|FILE",
            help="Image beneath the colors: 'bright field', 'annular bright field' or 'annular "
            "dark field' (computed from the map's scan), or a .tif or .npy file with one pixel a "
            "position.",
            show_default=False,
        ),
    ] = None,
    scan: Annotated[
        Path | None,
        typer.Option(
            metavar="SCAN",
            help="Where the map's scan is now, for --background.  "
            "[dim]\\[default: where it was][/dim]",
            show_default=False,
        ),
    ] = None,
    opacity: Annotated[
        float,
        typer.Option(
            metavar="SHARE", min=0.0, max=1.0, help="Of the colors over a background, 0 to 1."
        ),
    ] = 0.7,
    threshold: Threshold = None,
    arrows: Annotated[bool, typer.Option(help="Arrows over a figure of the directions.")] = True,
    legend: Annotated[bool, typer.Option(help="Legend or color bar of a figure.")] = True,
    scale_bar: Annotated[bool, typer.Option(help="Scale bar of a figure.")] = True,
    dpi: Annotated[
        float,
        typer.Option(
            metavar="DPI",
            help="Dots per inch of a figure, at least; raised so that every position has a whole "
            "number of pixels.",
        ),
    ] = 300.0,
) -> None:
    """Write a map as a figure, an image or a table.

    Example: polmap export map.zarr -o map.svg --layer confidence
    """
    from napari_polmap import export_csv, export_image, load_map
    from napari_polmap.export import export_signal, export_values

    form = form or _BY_ENDING.get(out.suffix.lower(), Form.FIGURE)
    is_table = form is Form.DATA and out.suffix.lower() == ".csv"
    if is_table and layer is not None:
        raise typer.BadParameter(
            "a table holds all layers; leave the option out.", param_hint="--layer"
        )
    if background is not None and form is Form.DATA:
        raise typer.BadParameter(
            "data has no background; use --as figure or --as pixels.", param_hint="--background"
        )
    result = load_map(map_path)
    if is_table:
        export_csv(result, out, threshold=threshold)
    elif form is Form.DATA and out.suffix.lower() == ".hspy":
        export_signal(result, out, layer or "direction", threshold=threshold)
    elif form is Form.DATA:
        export_values(result, out, layer or "direction", threshold=threshold)
    else:
        image = None
        if background is not None:
            image = _background(result, background, scan, scan_options)
        export_image(
            result,
            out,
            layer=layer or "direction",
            background=image,
            opacity=opacity,
            arrows=arrows,
            legend=legend,
            scale_bar=scale_bar,
            threshold=threshold,
            dpi=dpi,
            raw=form is Form.PIXELS,
        )
    if not result.complete:
        warn(["The map is incomplete."])
    note(f"Written to {out}.")


def _background(
    result: PolarizationMap, name: str, scan_path: Path | None, options: ScanOptions
) -> npt.NDArray[Any]:
    from napari_polmap.diffraction.detectors import PRESETS

    kind = name.lower().replace("-", " ").replace("_", " ")
    if kind in PRESETS:
        return _virtual_image(result, kind, scan_path, options)
    return _image(Path(name).expanduser(), PRESETS)


def _virtual_image(
    result: PolarizationMap, kind: str, scan_path: Path | None, options: ScanOptions
) -> npt.NDArray[np.float32]:
    from napari_polmap.diffraction.detectors import preset
    from napari_polmap.diffraction.virtual import virtual_image

    path = scan_path or (None if result.scan.path is None else Path(result.scan.path))
    if path is None:
        raise ExportError(
            "The map does not tell which file its scan is in; give it with --scan, or an image "
            "file with --background."
        )
    scan = options.load(path, measure=False)
    if scan.scan_shape != result.shape:
        raise ExportError(
            f"{path} has {scan.scan_shape[0]} x {scan.scan_shape[1]} positions, but the map has "
            f"{result.shape[0]} x {result.shape[1]}; give the map's own scan with --scan."
        )
    calibration = result.calibration.updated("user", **options.calibration)
    scan = scan.with_calibration(calibration)
    image: npt.NDArray[np.float32] = virtual_image(scan, preset(kind, calibration))
    return image


def _image(path: Path, presets: tuple[str, ...]) -> npt.NDArray[Any]:
    """A background image from a file."""
    import numpy as np
    import tifffile

    suffix = path.suffix.lower()
    if suffix not in (".npy", ".tif", ".tiff"):
        raise ExportError(
            f"{str(path)!r} is no background; give {', '.join(presets)}, or a .tif or .npy file."
        )
    try:
        if suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        return np.asarray(tifffile.imread(path))
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise ExportError(
            f"{path} cannot be read as an image ({reason(error)}); give another."
        ) from error
