"""What an evaluation found as figures: confusion, reliability, accuracy over conditions.

The functions take the plain values of `napari_polmap.mapping.evaluate` or of a classifier's card
and return matplotlib figures with a canvas of their own; none touches pyplot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_polmap import __version__
from napari_polmap.export.figure import FORMATS, STYLE, save_figure
from napari_polmap.export.files import ending, replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, COLOR, PALE = "0.2", "#2f6fa7", "#b9cfe3"
DPI = 200.0

_MOST_NUMBERS = 14
_LAYOUTS = 2
_PANELS_PER_ROW = 3
_UNITS = {
    "nm": "nm", "mrad": "mrad", "deg": "°", "angstrom": "Å", "px": "px", "kv": "kV", "mm": "mm",
}  # fmt: skip
_WORDS = {
    "dose": "electrons per pattern",
    "displacement_angstrom": "displacement (Å)",
    "b_share": "share of the B cation",
}
_WIDE_RATIO = 20
"""Ratio of largest and smallest value from which on an axis is logarithmic."""


def condition_label(name: str) -> str:
    """A condition's name for people: ``thickness_nm`` becomes ``thickness (nm)``."""
    if name in _WORDS:
        return _WORDS[name]
    words = name.split("_")
    unit = _UNITS.get(words[-1]) if len(words) > 1 else None
    return " ".join(words) if unit is None else f"{' '.join(words[:-1])} ({unit})"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure with a canvas of its own, laid out when it is drawn.

    Parameters
    ----------
    width, height : float
        In inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_chart(figure: Figure, path: str | Path, title: str) -> Path:
    """Write a figure as PNG, SVG, PDF or TIFF by the file's ending.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or Path
    title : str
        For the file's metadata.

    Raises
    ------
    ExportError
        If the ending is unknown or the file cannot be written.
    """
    import matplotlib
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    path = Path(path).expanduser()
    kind = ending(path, FORMATS, "a figure")
    about = {"Title": title, "Software": f"napari-polmap {__version__}", "Description": title}
    with matplotlib.rc_context(STYLE), replacing(path) as unfinished:
        if isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
            # Laid out for good: each new layout starts from the last one and moves on a little.
            for _ in range(_LAYOUTS):
                figure.draw_without_rendering()
            figure.set_layout_engine("none")
        save_figure(figure, unfinished, kind, about)
    return path


def confusion_figure(confusion: npt.ArrayLike, names: Sequence[str]) -> Figure:
    """How often each direction was taken for each, as shares of the true one.

    Parameters
    ----------
    confusion : array-like of int, shape (n, n)
        Counts ``[true][predicted]``; directions that are neither are left out.
    names : sequence of str
        The directions.
    """
    import matplotlib

    counts = np.asarray(confusion, dtype=float)
    present = np.flatnonzero(counts.any(axis=0) | counts.any(axis=1))
    counts, names = counts[np.ix_(present, present)], [names[int(k)] for k in present]
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    with matplotlib.rc_context(STYLE):
        edge = min(max(2.4, 0.36 * len(names) + 1.1), 8.0)
        figure = new_figure(edge + 0.7, edge)
        axes = figure.add_subplot()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        ticks = np.arange(len(names))
        turned = 90 if max(map(len, names), default=0) > 3 else 0
        axes.set_xticks(ticks, names, rotation=turned)
        axes.set_yticks(ticks, names)
        axes.set(xlabel="predicted", ylabel="true")
        if len(names) <= _MOST_NUMBERS:
            for row, column in np.argwhere(shares >= 0.005):
                share = shares[row, column]
                axes.text(
                    column,
                    row,
                    f"{100 * share:.0f}",
                    ha="center",
                    va="center",
                    size=7,
                    color="white" if share > 0.55 else INK,
                )
        bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
        bar.set_label("share of the true direction (%)")
        bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "25", "50", "75", "100"])
    return figure


def reliability_figure(rows: Sequence[Sequence[float | None]], ece: float | None = None) -> Figure:
    """Accuracy over confidence, and how many predictions have which confidence.

    Parameters
    ----------
    rows : sequence of [low, high, n, mean confidence, accuracy]
        See `napari_polmap.metrics.reliability`.
    ece : float, optional
        Expected calibration error, written into the figure.
    """
    import matplotlib

    low, high, count, confidence, accuracy = _columns(rows, 5)
    with matplotlib.rc_context(STYLE):
        figure = new_figure(3.4, 3.9)
        above, below = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
        filled = count > 0
        width = (high - low)[filled]
        above.bar(
            low[filled], accuracy[filled], width, align="edge", color=PALE, edgecolor="white",
            linewidth=0.4, label="accuracy",
        )  # fmt: skip
        above.plot(
            confidence[filled], accuracy[filled], "o-", color=COLOR, markersize=3, linewidth=1
        )
        above.plot([0, 1], [0, 1], "--", color=INK, linewidth=0.7, label="perfect")
        above.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
        if ece is not None:
            above.set_title(f"expected calibration error {ece:.3f}", size=8)
        below.bar(
            low, count, high - low, align="edge", color=COLOR, edgecolor="white", linewidth=0.4
        )
        below.set(xlabel="confidence", ylabel="predictions")
    return figure


def accuracy_figure(
    by: Mapping[str, Sequence[Sequence[float]]], *, chance: float | None = None
) -> Figure:
    """Accuracy over each condition, one panel a condition.

    Parameters
    ----------
    by : mapping of str to rows of [low, high, n, accuracy]
        See `napari_polmap.metrics.by_condition`.
    chance : float, optional
        Drawn as a dotted line.
    """
    import matplotlib

    shown = {name: rows for name, rows in by.items() if rows}
    columns = max(1, min(_PANELS_PER_ROW, len(shown)))
    lines = max(1, -(-len(shown) // columns))
    with matplotlib.rc_context(STYLE):
        figure = new_figure(2.5 * columns + 0.3, 2.1 * lines + 0.2)
        panels = figure.subplots(lines, columns, squeeze=False).ravel()
        for panel, (name, rows) in zip(panels, shown.items(), strict=False):
            _draw_condition(panel, name, rows, chance)
        for panel in panels[len(shown) :]:
            panel.set_axis_off()
        if not shown:
            panels[0].text(0.5, 0.5, "no condition is stated", ha="center", color=INK)
        for panel in panels[::columns]:
            panel.set_ylabel("accuracy")
    return figure


def save_evaluation(figures: Mapping[str, Any], folder: str | Path) -> list[Path]:
    """Write all figures of an evaluation, each as PNG and SVG.

    Parameters
    ----------
    figures : mapping
        Of `napari_polmap.mapping.evaluate`.
    folder : str or Path
        Made where it is missing.

    Returns
    -------
    list of Path
        The files.
    """
    names = figures["directions"]["names"]
    charts = {
        "confusion": confusion_figure(figures["confusion"], names),
        "reliability": reliability_figure(figures["reliability"], figures["ece"]),
        "accuracy": accuracy_figure(figures["by"], chance=1 / len(names)),
    }
    return [
        save_chart(chart, Path(folder) / f"{name}.{kind}", name)
        for name, chart in charts.items()
        for kind in ("png", "svg")
    ]


def _draw_condition(
    axes: Axes, name: str, rows: Sequence[Sequence[float]], chance: float | None
) -> None:
    low, high, count, accuracy = _columns(rows, 4)
    places = np.median((low + high) / 2)
    wide = 0 < _WIDE_RATIO * low[0] < high[-1] and places < (low[0] + high[-1]) / 4
    middle = np.sqrt(low * high) if wide else (low + high) / 2
    if wide:
        axes.set_xscale("log")
    # The binomial standard error would be too small: positions of a scan are no independent trials.
    axes.hlines(accuracy, low, high, color=PALE, linewidth=3)
    axes.plot(middle, accuracy, "o-", color=COLOR, markersize=3.5, linewidth=1)
    if chance is not None:
        axes.axhline(chance, color=INK, linewidth=0.6, linestyle=":")
    axes.set(xlabel=condition_label(name), ylim=(0, 1.04))
    axes.set_title(f"{int(count.sum()):,} positions", size=7, color="0.4")


def _columns(rows: Sequence[Sequence[float | None]], number: int) -> npt.NDArray[np.float64]:
    values = [[np.nan if v is None else float(v) for v in row] for row in rows]
    return np.array(values, dtype=float).reshape(-1, number).T
