"""The legend of a figure: color, arrow, name, angle, positions and share of each direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_polmap.export.text import grouped, text_width
from napari_polmap.polarization_map import PolarizationMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOT_COMPUTED_GREY = 0.86
INK = "0.1"
_SIZE = 8.0
_HEAD_SIZE = 7.0
_ROW, _SWATCH, _GAP = 0.225, 0.17, 0.12
_MOST_ROWS = 24


@dataclass(frozen=True)
class LegendRow:
    """One line of the legend.

    Parameters
    ----------
    text : str
    count : int
        Positions.
    share : str
        Of the computed positions, for people; empty where it does not apply.
    color : tuple of float or None
        Red, green, blue; None for the background image.
    vector : tuple of float or None
        Direction (dy, dx) of the arrow in the color patch.
    """

    text: str
    count: int
    share: str
    color: tuple[float, float, float] | None
    vector: tuple[float, float] | None = None


def legend_rows(
    polarization_map: PolarizationMap, threshold: float | None = None, background: bool = False
) -> list[LegendRow]:
    """The lines of the legend: every direction, then what has none.

    Of more than two dozen directions only the most frequent ones are listed, and the rest summed.

    Parameters
    ----------
    polarization_map : PolarizationMap
    threshold : float, optional
        Confidence below which a position is undecided, instead of the map's own.
    background : bool
        Whether an image is seen where there is no direction.
    """
    shown = polarization_map.shown_directions
    labels = polarization_map.labels(threshold)
    counts = np.bincount(labels.ravel(), minlength=256)[: len(shown)]
    computed = int(np.count_nonzero(polarization_map.computed))

    def share(count: int) -> str:
        return f"{100 * count / computed:.1f} %" if computed else ""

    listed = list(range(len(shown)))
    if len(shown) > _MOST_ROWS:
        listed = sorted(np.argsort(-counts, kind="stable")[: _MOST_ROWS - 1].tolist())
    rows = []
    for index in listed:
        vector = shown.vectors[index]
        count = int(counts[index])
        rows.append(
            LegendRow(
                shown.label(index),
                count,
                share(count),
                tuple(shown.colors[index]),
                tuple(vector) if np.isfinite(vector).all() else None,
            )
        )
    if len(listed) < len(shown):
        rest = int(counts.sum() - counts[listed].sum())
        others = len(shown) - len(listed)
        rows.append(LegendRow(f"{others} others", rest, share(rest), (1.0, 1.0, 1.0)))
    limit = polarization_map.threshold if threshold is None else threshold
    undecided = computed - int(counts.sum())
    missing = labels.size - computed
    white = None if background else (1.0, 1.0, 1.0)
    grey = None if background else (NOT_COMPUTED_GREY,) * 3
    rows.append(LegendRow(f"undecided (< {limit:.2f})", undecided, share(undecided), white))
    if missing:
        rows.append(LegendRow("not computed", missing, "", grey))
    return rows


def legend_size(rows: list[LegendRow]) -> tuple[float, float]:
    """Width and height of the legend in inches."""
    name, count, share = _columns(rows)
    return _SWATCH + name + count + share + 3 * _GAP, _ROW * (len(rows) + 1)


def draw_legend(axes: Axes, rows: list[LegendRow]) -> None:
    """Draw the legend; the axes must have the size that `legend_size` gives."""
    from matplotlib.patches import Rectangle

    width, height = legend_size(rows)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    name, count, _ = _columns(rows)
    left = _SWATCH + _GAP
    right = left + name + _GAP + count
    head: dict[str, Any] = {"size": _HEAD_SIZE, "color": "0.4", "va": "center"}
    axes.text(0, _ROW / 2, "Direction", **head)
    axes.text(right, _ROW / 2, "Positions", ha="right", **head)
    axes.text(width, _ROW / 2, "Share", ha="right", **head)
    for number, row in enumerate(rows, start=1):
        middle = _ROW * (number + 0.5)
        top = middle - _SWATCH / 2
        if row.color is None:
            extent = (0, _SWATCH, top + _SWATCH, top)
            ramp = np.linspace(0, 1, 64)[None]
            axes.imshow(ramp, cmap="gray", extent=extent, aspect="auto", interpolation="nearest")
        patch = Rectangle(
            (0, top),
            _SWATCH,
            _SWATCH,
            facecolor="none" if row.color is None else row.color,
            edgecolor="0.35",
            linewidth=0.5,
            clip_on=False,
        )
        axes.add_patch(patch)
        if row.vector is not None:
            dy, dx = (0.8 * _SWATCH * value for value in row.vector)
            axes.quiver(_SWATCH / 2, middle, dx, dy, **arrow_style(0.8 * _SWATCH))
        text: dict[str, Any] = {"size": _SIZE, "color": INK, "va": "center", "parse_math": False}
        axes.text(left, middle, row.text, **text)
        axes.text(right, middle, grouped(row.count), ha="right", **text)
        axes.text(width, middle, row.share, ha="right", **text)
    # Pictures in the axes reset its limits.
    axes.set(xlim=(0, width), ylim=(height, 0))


def arrow_style(length: float) -> dict[str, Any]:
    """Quiver options for arrows of a length in data units."""
    return {
        "angles": "xy",
        "scale_units": "xy",
        "units": "xy",
        "pivot": "middle",
        "scale": 1.0,
        "width": 0.13 * length,
        "headwidth": 3.6,
        "headlength": 3.8,
        "headaxislength": 3.4,
        "color": INK,
        "edgecolor": "white",
        "linewidth": 0.3,
        "zorder": 3,
    }


def _columns(rows: list[LegendRow]) -> tuple[float, float, float]:
    """Widths of names, counts and shares in inches."""
    name = max(text_width(row.text, _SIZE) for row in rows)
    count = max(text_width(grouped(row.count), _SIZE) for row in rows)
    share = max(text_width(row.share, _SIZE) for row in rows)
    head_count, head_share = text_width("Positions", _HEAD_SIZE), text_width("Share", _HEAD_SIZE)
    return name, max(count, head_count), max(share, head_share)
