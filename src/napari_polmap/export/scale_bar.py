"""The scale bar beneath a picture, and its length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAR_ROW = 0.3
"""Height of the row that holds the bar, in inches."""
_THICKNESS, _GAP, _SIZE = 0.045, 0.06, 8.0
_INK = "0.1"


def nice_length(extent: float, share: float = 1 / 3) -> float:
    """The largest of 1, 2, 5, 10, 20, ... (and 0.5, 0.2, ...) within a share of an extent.

    Parameters
    ----------
    extent : float
        Length of the image, in any unit.
    share : float
        Of the extent that the bar may take.
    """
    most = extent * share
    decade = 10.0 ** np.floor(np.log10(most))
    # A little slack, so that a third of 3 nm is 1 nm in spite of rounding.
    steps = [step for step in (1.0, 2.0, 5.0) if step * decade <= most * (1 + 1e-9)]
    return float(steps[-1] * decade)


def scale_bar(columns: int, step_nm: float | None) -> tuple[float, str]:
    """Length and text of the bar under a map.

    Parameters
    ----------
    columns : int
        Probe positions in a row of the map.
    step_nm : float or None
        Distance of neighboring positions; without it the bar counts positions.

    Returns
    -------
    float
        Length in probe positions.
    str
        Text beside the bar, such as ``2 nm`` or ``20 positions``.
    """
    if step_nm is not None:
        length = nice_length(columns * step_nm)
        return length / step_nm, f"{length:.10g} nm"
    positions = max(1.0, nice_length(columns))
    return positions, "1 position" if positions == 1 else f"{positions:.0f} positions"


def draw_scale_bar(axes: Axes, columns: int, step_nm: float | None, per_position: float) -> None:
    """Draw the bar with its length beside it into axes beneath the picture and as wide.

    Parameters
    ----------
    axes : Axes
        `BAR_ROW` inches high.
    columns, step_nm
        See `scale_bar`.
    per_position : float
        Inches of a probe position.
    """
    from matplotlib.patches import Rectangle

    length, text = scale_bar(columns, step_nm)
    axes.set(xlim=(0, columns * per_position), ylim=(BAR_ROW, 0))
    axes.axis("off")
    end, middle = length * per_position, 0.55 * BAR_ROW
    bar = Rectangle((0, middle - _THICKNESS / 2), end, _THICKNESS, facecolor=_INK, linewidth=0)
    axes.add_patch(bar)
    axes.text(end + _GAP, middle, text, va="center", size=_SIZE, color=_INK)
