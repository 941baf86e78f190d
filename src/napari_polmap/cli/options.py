"""Options that several commands share, each defined once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from napari_polmap.scan import Scan

Number = TypeVar("Number", int, float)

ScanPath = Annotated[
    Path,
    typer.Argument(
        metavar="SCAN",
        help="The scan: a file of any 4D-STEM format, or a folder of TIFF files with one "
        "pattern each.",
        show_default=False,
    ),
]
ClassifierName = Annotated[
    str,
    typer.Option(
        "--classifier",
        "-c",
        metavar="CLASSIFIER",
        help="A name from 'polmap classifiers', or a .safetensors file.",
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object on stdout, with null for what is not known; everything else "
        "goes to stderr.",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        min=0.0,
        max=1.0,
        help="Confidence (0 to 1) below which a position is undecided.  "
        "[dim]\\[default: the classifier's or the map's own][/dim]",
        show_default=False,
    ),
]

_PANEL = "Scan and calibration (instead of what the file says or what is measured)"


def _option(*names: str, metavar: str | None, text: str) -> Any:
    return typer.Option(
        *names, metavar=metavar, help=text, show_default=False, rich_help_panel=_PANEL
    )


@dataclass(frozen=True)
class ScanOptions:
    """The shape and calibration of a scan as given on the command line.

    Parameters
    ----------
    reading : dict
        What a scan is read with: ``nav_shape``, ``dataset``, ``index``, ``axes``, ``flyback``,
        ``bad_pixels``, ``sidecar``.
    calibration : dict
        Calibration values.
    """

    reading: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)

    def load(self, path: Path, *, measure: bool = True) -> Scan:
        """Open a scan with these options.

        Parameters
        ----------
        path : Path
        measure : bool
            Whether what is not known of the calibration is measured.

        Raises
        ------
        ScanError, CalibrationError
            If it cannot be opened.
        """
        from napari_polmap import load_scan

        scan: Scan = load_scan(path, measure=measure, **self.reading, **self.calibration)
        return scan


def _parse(
    nav_shape: Annotated[
        str | None,
        _option(
            "--nav-shape",
            metavar="Y,X",
            text="Rows and columns of probe positions as recorded, where the file does not tell.",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        _option("--dataset", metavar="NAME", text="The data set in a file that holds several."),
    ] = None,
    index: Annotated[
        str | None,
        _option("--index", metavar="I,...", text="Indices into axes beyond the four, first first."),
    ] = None,
    axes: Annotated[
        str | None,
        _option(
            "--axes",
            metavar="AXES",
            text="The file's last four axes as they are stored, where that is not y,x,ky,kx; a "
            "minus sign reverses one: -y,x,ky,kx.",
        ),
    ] = None,
    flyback: Annotated[
        int | None,
        _option("--flyback", metavar="N", text="Columns to cut from the end of each recorded row."),
    ] = None,
    sidecar: Annotated[
        bool,
        _option(
            "--sidecar/--no-sidecar",
            metavar=None,
            text="Whether the calibration that was kept beside the scan is used.",
        ),
    ] = True,
    mask: Annotated[
        Path | None,
        _option(
            "--mask",
            metavar="FILE",
            text="Image of the detector's shape (TIFF or .npy), not zero where a pixel is bad.",
        ),
    ] = None,
    step: Annotated[
        float | None,
        _option("--step", metavar="NM", text="Distance of neighboring probe positions in nm."),
    ] = None,
    mrad_per_pixel: Annotated[
        float | None,
        _option("--mrad-per-pixel", metavar="MRAD", text="Size of a detector pixel in mrad."),
    ] = None,
    energy: Annotated[
        float | None, _option("--energy", metavar="KV", text="Acceleration voltage in kV.")
    ] = None,
    semi_angle: Annotated[
        float | None,
        _option("--semi-angle", metavar="MRAD", text="Convergence semi-angle in mrad."),
    ] = None,
    center: Annotated[
        str | None,
        _option(
            "--center",
            metavar="KY,KX",
            text="Center of the bright-field disk in detector pixels (row, column; pixel centers "
            "are integers).",
        ),
    ] = None,
    radius: Annotated[
        float | None,
        _option("--radius", metavar="PX", text="Radius of the bright-field disk in pixels."),
    ] = None,
    descan: Annotated[
        str | None,
        _option(
            "--descan",
            metavar="A,B,C,D",
            text="How far the beam wanders on the detector, in pixels per probe position: in ky "
            "(rows) per row A and per column B, in kx (columns) per row C and per column D. The "
            "center holds in the middle of the scan.",
        ),
    ] = None,
    ellipse: Annotated[
        str | None,
        _option(
            "--ellipse",
            metavar="RATIO,DEG",
            text="Elliptical distortion of the patterns: longer over shorter axis of the disk, and "
            "the longer axis' angle, counter-clockwise from +kx.",
        ),
    ] = None,
    rotation: Annotated[
        float | None,
        _option(
            "--rotation",
            metavar="DEG",
            text="Degrees by which the pattern, after the flip, is turned counter-clockwise into "
            "the scan's frame.",
        ),
    ] = None,
    flip: Annotated[
        bool | None,
        _option(
            "--flip/--no-flip",
            metavar=None,
            text="Whether detector rows (ky) are reversed, before the rotation.",
        ),
    ] = None,
    crystal_angle: Annotated[
        float | None,
        _option(
            "--crystal-angle",
            metavar="DEG",
            text="Angle of the crystal's [100] against the scan's +x, counter-clockwise.".replace(
                "[", "\\["
            ),
        ),
    ] = None,
    lattice: Annotated[
        float | None,
        _option("--lattice", metavar="NM", text="Period of the (pseudo-cubic) lattice in nm."),
    ] = None,
) -> ScanOptions:
    """Options of every command that opens a scan."""
    reading = {
        "nav_shape": numbers(nav_shape, int, "--nav-shape", "Y,X", count=2),
        "dataset": dataset,
        "index": numbers(index, int, "--index", "I,..."),
        "axes": axes,
        "flyback": flyback,
        "bad_pixels": mask,
        "sidecar": None if sidecar else False,
    }
    calibration = {
        "step_nm": step,
        "mrad_per_pixel": mrad_per_pixel,
        "energy_kv": energy,
        "semi_angle_mrad": semi_angle,
        "center_px": numbers(center, float, "--center", "KY,KX", count=2),
        "radius_px": radius,
        "descan_px": numbers(descan, float, "--descan", "A,B,C,D", count=4),
        "ellipse": numbers(ellipse, float, "--ellipse", "RATIO,DEG", count=2),
        "rotation_deg": rotation,
        "flip": flip,
        "crystal_angle_deg": crystal_angle,
        "lattice_nm": lattice,
    }
    return ScanOptions(
        {name: value for name, value in reading.items() if value is not None},
        {name: value for name, value in calibration.items() if value is not None},
    )


def with_scan_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a scan; it takes them as one argument ``scan_options``."""
    own = inspect.signature(command, eval_str=True).parameters
    shared = inspect.signature(_parse, eval_str=True).parameters

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        options = _parse(**{name: values.pop(name) for name in shared})
        command(**values, scan_options=options)

    parameters = [p for name, p in own.items() if name != "scan_options"] + list(shared.values())
    keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    wrapper.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in keywords}
    return wrapper


def numbers(
    text: str | None, kind: type[Number], option: str, form: str, count: int | None = None
) -> tuple[Number, ...] | None:
    """Numbers from a text with commas.

    Parameters
    ----------
    text : str or None
    kind : type
        ``int`` or ``float``.
    option, form : str
        Name of the option and what it takes, for the error.
    count : int, optional
        How many there must be.

    Raises
    ------
    typer.BadParameter
        If the text does not have that form.
    """
    if text is None:
        return None
    try:
        values = tuple(kind(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or (count is not None and len(values) != count):
        raise typer.BadParameter(f"{text!r} is not of the form {form}.", param_hint=option)
    return values


def region(text: str | None) -> tuple[slice, slice] | None:
    """Rows and columns from ``Y0:Y1,X0:X1``; an end left out reaches to the scan's edge.

    Raises
    ------
    typer.BadParameter
        If the text does not have that form.
    """
    if text is None:
        return None
    try:
        rows, columns = (
            slice(*(int(end) if end else None for end in part.split(":")))
            for part in text.split(",")
        )
        if any(part.count(":") != 1 for part in text.split(",")):
            raise ValueError
    except (ValueError, TypeError):
        raise typer.BadParameter(
            f"{text!r} is not of the form Y0:Y1,X0:X1.", param_hint="--region"
        ) from None
    return rows, columns
