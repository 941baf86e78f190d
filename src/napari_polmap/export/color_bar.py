"""The color bar beside a layer of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_polmap.export.colors import LAYERS, Layer
from napari_polmap.export.text import text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _TICK = 0.13, 0.1
_LABEL_SIZE, _TICK_SIZE = 8.0, 7.0
_LABEL_HEIGHT = 0.17


def color_bar_size(
    style: Layer, values: npt.NDArray[Any], height: float, *, calibrated: bool = True
) -> tuple[float, float]:
    """Width, with ticks and label, and height of the bar in inches.

    Parameters
    ----------
    style : Layer
    values : ndarray
        The layer's numbers.
    height : float
        Of the picture beside it; the bar is taller where its label needs it.
    calibrated : bool
        Whether the confidence is calibrated.
    """
    _, high = style.limits(values)
    ticks = text_width("0.00" if high < 1 else "0.0" if high < 10 else f"{high:.0f}", _TICK_SIZE)
    label = text_width(_label(style, calibrated), _LABEL_SIZE)
    return _WIDTH + _TICK + ticks + _LABEL_HEIGHT, max(height, label)


def draw_color_bar(
    axes: Axes,
    style: Layer,
    values: npt.NDArray[Any],
    *,
    threshold: float | None = None,
    calibrated: bool = True,
) -> None:
    """Draw the bar into axes of the size that `color_bar_size` gives.

    Parameters
    ----------
    axes : Axes
    style : Layer
    values : ndarray
        The layer's numbers; the bar has a pointed end where some lie beyond it.
    threshold : float, optional
        Marked on the bar.
    calibrated : bool
        Whether the confidence is calibrated; the label says so if it is not.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    low, high = style.limits(values)
    finite = values[np.isfinite(values)]
    below, above = bool((finite < low).any()), bool((finite > high).any())
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max"}
    place = axes.get_position()
    axes.set_position(
        (place.x0, place.y0, _WIDTH * axes.figure.dpi / axes.figure.bbox.width, place.height)
    )
    bar = axes.figure.colorbar(
        ScalarMappable(Normalize(low, high), colormaps[style.colormap]),
        cax=axes,
        extend=extend.get((below, above), "both"),
        extendfrac=0.04,
    )
    bar.set_label(_label(style, calibrated), size=_LABEL_SIZE, labelpad=3)
    bar.ax.tick_params(labelsize=_TICK_SIZE, length=2.5, pad=2)
    bar.outline.set_linewidth(0.5)
    if threshold is not None and low < threshold < high:
        bar.ax.axhline(threshold, color="white", linewidth=1.6)
        bar.ax.axhline(threshold, color="0.1", linewidth=0.8)


def _label(style: Layer, calibrated: bool) -> str:
    if style is LAYERS["confidence"] and not calibrated:
        return f"{style.label} (uncalibrated)"
    return style.label
