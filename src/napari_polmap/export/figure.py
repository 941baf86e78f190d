"""Figures of a map for papers and talks: picture, arrows, legend or color bar, scale bar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from napari_polmap import __version__
from napari_polmap.errors import ExportError
from napari_polmap.export.arrows import block_arrows
from napari_polmap.export.color_bar import color_bar_size, draw_color_bar
from napari_polmap.export.colors import DIRECTION, layer_image, layer_values, over_background
from napari_polmap.export.files import ending, replacing
from napari_polmap.export.legend import (
    NOT_COMPUTED_GREY,
    arrow_style,
    draw_legend,
    legend_rows,
    legend_size,
)
from napari_polmap.export.provenance import provenance_json
from napari_polmap.export.scale_bar import BAR_ROW, draw_scale_bar
from napari_polmap.export.text import FONT, broken, grouped
from napari_polmap.polarization_map import PolarizationMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf", "tif")
PIXEL_FORMATS = ("png", "tif")

# Lengths in inches: the picture fits the box, at most so much a position.
_BOX = (4.2, 3.8)
_MOST_PER_POSITION = 0.2
_MOST_DPI = 1200.0
_LEAST_WIDTH = 1.7
_MARGIN, _GAP, _NOTE_ROW, _ABOVE_NOTES = 0.08, 0.22, 0.15, 0.05
_NOTE_SIZE = 7.0
_ARROW_DISTANCE = 0.15
STYLE: Any = {
    "font.family": FONT,
    "font.size": 8.0,
    "pdf.fonttype": 42,  # editable text
    "svg.fonttype": "path",
    "svg.hashsalt": "napari-polmap",
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}
"""Matplotlib's settings for all figures."""


def export_image(
    polarization_map: PolarizationMap,
    path: str | Path,
    *,
    layer: str = DIRECTION,
    background: npt.ArrayLike | None = None,
    opacity: float = 0.7,
    arrows: bool = True,
    legend: bool = True,
    scale_bar: bool = True,
    threshold: float | None = None,
    dpi: float = 300.0,
    raw: bool = False,
) -> Path:
    """Draw a layer of a map as a figure: PNG, SVG, PDF or TIFF by the file's ending.

    Parameters
    ----------
    polarization_map : PolarizationMap
    path : str or Path
        File to write; one that is there is replaced.
    layer : str
        ``direction``, ``confidence``, ``defects``, ``novelty``, or ``p_<name>`` for the
        probability of one direction.
    background : array-like of float, shape (y, x), optional
        Grey image beneath, such as a virtual image; seen through the colors, and alone where the
        direction is undecided.
    opacity : float
        Of the colors over a background, 0..1.
    arrows : bool
        One arrow per block of positions, in the direction that most of them have (layer
        ``direction`` only).
    legend : bool
        Color, name, angle and number of positions of each direction, with the undecided share;
        a color bar for layers of numbers.
    scale_bar : bool
        In nm, or in positions where the step is not known.
    threshold : float, optional
        Confidence below which a position is undecided, instead of the map's own.
    dpi : float
        Pixels per inch at least; raised so that every position has a whole number of pixels.
    raw : bool
        Instead of a figure, one pixel per position with the colors that napari shows, transparent
        where undecided; PNG and TIFF only.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ExportError
        If the ending is unknown, the layer does not exist, the background has another shape, or
        the file cannot be written.
    """
    path = Path(path).expanduser()
    what = "the pixels of a map" if raw else "a figure"
    kind = ending(path, PIXEL_FORMATS if raw else FORMATS, what)
    if not 0 < dpi <= _MOST_DPI:
        raise ExportError(
            f"The resolution must lie between 1 and {_MOST_DPI:.0f} dots per inch, but is {dpi}; "
            "300 suits most journals."
        )
    pixels = layer_image(polarization_map, layer, threshold)
    if background is not None:
        pixels = over_background(pixels, background, opacity)
    about = {
        "Title": f"{layer} map",
        "Software": f"napari-polmap {__version__}",
        "Description": provenance_json(polarization_map, threshold=threshold, layer=layer),
    }
    import matplotlib

    if raw:
        with replacing(path) as unfinished:
            _save_pixels(pixels, unfinished, kind, about)
        return path
    with matplotlib.rc_context(STYLE):
        figure = _figure(
            polarization_map,
            pixels,
            layer=layer,
            background=background is not None,
            arrows=arrows and layer == DIRECTION,
            legend=legend,
            scale_bar=scale_bar,
            threshold=threshold,
            dpi=dpi,
        )
        with replacing(path) as unfinished:
            save_figure(figure, unfinished, kind, about)
    return path


def save_figure(figure: Figure, path: Path, kind: str, about: dict[str, str]) -> None:
    """Write a matplotlib figure as PNG, SVG, PDF or TIFF; the same figure gives the same file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : Path
    kind : str
        One of `FORMATS`.
    about : dict
        ``Title``, ``Software`` and ``Description``.
    """
    if kind == "tif":
        figure.canvas.draw()
        canvas = cast("FigureCanvasAgg", figure.canvas)
        _save_pixels(np.asarray(canvas.buffer_rgba())[..., :3], path, kind, about, figure.dpi)
        return
    # Without dates the same map gives the same file.
    metadata: dict[str, dict[str, Any]] = {
        "png": dict(about),
        "svg": {"Title": about["Title"], "Date": None},
        "pdf": {"Title": about["Title"], "CreationDate": None},
    }
    figure.savefig(path, format=kind, dpi=figure.dpi, metadata=metadata[kind])


def _save_pixels(
    pixels: npt.NDArray[np.uint8],
    path: Path,
    kind: str,
    about: dict[str, str],
    dpi: float | None = None,
) -> None:
    if kind == "png":
        from matplotlib.image import imsave

        imsave(path, pixels, format="png", metadata=about)
        return
    import tifffile

    tifffile.imwrite(
        path,
        pixels,
        photometric="rgb",
        extrasamples=["unassalpha"] if pixels.shape[-1] == 4 else None,
        compression="zlib",
        resolution=None if dpi is None else (dpi, dpi),
        resolutionunit=None if dpi is None else "INCH",
        description=about["Description"],
        software=about["Software"],
        metadata=None,
    )


@dataclass(frozen=True)
class _Sheet:
    """The layout of a figure: lengths in inches from the top left corner, in whole pixels.

    Parameters
    ----------
    dpi : float
    picture : (int, int)
        Width and height of the picture in pixels.
    side : (float, float)
        Width and height of legend or color bar in inches; zero where there is none.
    bar : float
        Height of the scale bar's row beneath the picture.
    notes : tuple of (str, str)
        Lines beneath everything, each with its color.
    """

    dpi: float
    picture: tuple[int, int]
    side: tuple[float, float]
    bar: float
    notes: tuple[tuple[str, str], ...]

    def px(self, inches: float) -> int:
        return round(inches * self.dpi)

    @property
    def under_picture(self) -> int:
        return self.px(_MARGIN) + self.picture[1]

    @property
    def left_of_side(self) -> int:
        return self.px(_MARGIN) + self.picture[0] + self.px(_GAP)

    @property
    def top_of_notes(self) -> int:
        end = max(self.under_picture + self.px(self.bar), self.px(_MARGIN + self.side[1]))
        return end + (self.px(_ABOVE_NOTES) if self.notes else 0)

    @property
    def size(self) -> tuple[int, int]:
        width = self.px(_MARGIN) + self.picture[0]
        if self.side[0]:
            width = self.left_of_side + self.px(self.side[0])
        if self.bar or self.notes:
            width = max(width, self.px(_LEAST_WIDTH))
        height = self.top_of_notes + len(self.notes) * self.px(_NOTE_ROW)
        return width + self.px(_MARGIN), height + self.px(_MARGIN)

    def figure(self) -> Figure:
        """A figure of the sheet's size."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        # The canvas cuts fractions of a pixel off.
        width, height = ((length + 0.01) / self.dpi for length in self.size)
        figure = Figure(figsize=(width, height), dpi=self.dpi, facecolor="white")
        FigureCanvasAgg(figure)
        return figure

    def axes(self, figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
        """Axes at a place in pixels."""
        across, down = figure.bbox.size
        return figure.add_axes(
            (left / across, 1 - (top + height) / down, width / across, height / down)
        )


def _figure(
    polarization_map: PolarizationMap,
    pixels: npt.NDArray[np.uint8],
    *,
    layer: str,
    background: bool,
    arrows: bool,
    legend: bool,
    scale_bar: bool,
    threshold: float | None,
    dpi: float,
) -> Figure:
    rows, columns = polarization_map.shape
    per_position = min(_BOX[0] / columns, _BOX[1] / rows, _MOST_PER_POSITION)
    # A whole number of pixels a position, unless the map has more than fit at a sensible dpi.
    scale = max(1.0, float(np.ceil(dpi * per_position)))
    if scale / per_position > 2 * _MOST_DPI:
        scale = _MOST_DPI * per_position
    picture = max(1, round(columns * scale)), max(1, round(rows * scale))
    is_direction = layer == DIRECTION
    # Without a value, and nothing beneath; undecided positions have one, and are left white.
    missing = pixels[..., 3] == 0
    if is_direction:
        missing &= ~polarization_map.computed
    lines = legend_rows(polarization_map, threshold, background) if is_direction else []
    side = (0.0, 0.0)
    if legend and is_direction:
        side = legend_size(lines)
    elif legend:
        values, style = layer_values(polarization_map, layer)
        calibrated = polarization_map.confidence_calibrated
        side = color_bar_size(style, values, rows * per_position, calibrated=calibrated)
    text_width = columns * per_position + (_GAP + side[0] if legend else 0.0)
    sheet = _Sheet(
        dpi=scale / per_position,
        picture=picture,
        side=side,
        bar=BAR_ROW if scale_bar else 0.0,
        notes=tuple(
            (line, color)
            for note, color in _notes(polarization_map, grey=not is_direction and missing.any())
            for line in broken(note, _NOTE_SIZE, max(text_width, _LEAST_WIDTH))
        ),
    )
    figure = sheet.figure()
    margin = sheet.px(_MARGIN)
    axes = sheet.axes(figure, margin, margin, *picture)
    _draw_picture(axes, pixels, missing)
    if arrows:
        _draw_arrows(axes, polarization_map, threshold, per_position)
    if legend:
        width, height = (value * sheet.dpi for value in side)
        if is_direction:
            draw_legend(sheet.axes(figure, sheet.left_of_side, margin, width, height), lines)
        else:
            limit = polarization_map.threshold if threshold is None else threshold
            draw_color_bar(
                sheet.axes(figure, sheet.left_of_side, margin, width, height),
                style,
                values,
                threshold=limit if layer == "confidence" else None,
                calibrated=calibrated,
            )
    if scale_bar:
        place = (margin, sheet.under_picture, picture[0], sheet.px(BAR_ROW))
        step_nm = polarization_map.calibration.step_nm
        draw_scale_bar(sheet.axes(figure, *place), columns, step_nm, per_position)
    _write_notes(figure, sheet)
    return figure


def _notes(polarization_map: PolarizationMap, *, grey: bool) -> list[tuple[str, str]]:
    """Sentences beneath the figure with their colors."""
    warning, remark = "#8a1c1c", "0.3"
    notes = []
    if not polarization_map.confidence_calibrated:
        text = "Confidence uncalibrated: this scan lies outside what the classifier was trained on."
        notes.append((text, warning))
    if not polarization_map.complete:
        missing = int(np.count_nonzero(~polarization_map.computed))
        share = f"{grouped(missing)} of {grouped(polarization_map.direction.size)} positions"
        notes.append((f"The map is incomplete: {share} are not computed.", warning))
    if grey:
        notes.append(("Grey: no value.", remark))
    return notes


def _write_notes(figure: Figure, sheet: _Sheet) -> None:
    width, height = sheet.size
    for number, (note, color) in enumerate(sheet.notes):
        middle = sheet.top_of_notes + (number + 0.5) * sheet.px(_NOTE_ROW)
        figure.text(
            sheet.px(_MARGIN) / width,
            1 - middle / height,
            note,
            size=_NOTE_SIZE,
            color=color,
            va="center",
            parse_math=False,
        )


def _draw_picture(
    axes: Axes, pixels: npt.NDArray[np.uint8], missing: npt.NDArray[np.bool_]
) -> None:
    shown = pixels.copy()
    shown[missing] = (*(round(255 * NOT_COMPUTED_GREY),) * 3, 255)
    shown[shown[..., 3] == 0] = 255
    rows, columns = missing.shape
    axes.imshow(
        shown,
        extent=(-0.5, columns - 0.5, rows - 0.5, -0.5),
        aspect="auto",
        interpolation="nearest",
    )
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(linewidth=0.5, color="0.2")


def _draw_arrows(
    axes: Axes, polarization_map: PolarizationMap, threshold: float | None, per_position: float
) -> None:
    found = block_arrows(polarization_map, threshold=threshold)
    if found.block * per_position < _ARROW_DISTANCE:
        block = int(np.ceil(_ARROW_DISTANCE / per_position))
        found = block_arrows(polarization_map, threshold=threshold, block=block)
    if not len(found.positions):
        return
    length = min(0.72 * found.block, 0.9 * min(polarization_map.shape))
    dy, dx = (found.vectors * length).T
    y, x = found.positions.T
    axes.quiver(x, y, dx, dy, **arrow_style(length))
