"""A benchmark's figures: which directions were predicted where, and the maps side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_polmap.benchmark.protocol import Test
from napari_polmap.benchmark.results import Results, map_of, truth_of
from napari_polmap.directions import NOT_COMPUTED, DirectionSet
from napari_polmap.export.evaluation_plots import new_figure, save_chart
from napari_polmap.export.figure import STYLE
from napari_polmap.export.legend import NOT_COMPUTED_GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS_PER_FIGURE = 10
"""More ways to train than this take several figures."""


def write_plots(results: Results, folder: str | Path) -> list[Path]:
    """Write ``directions`` and ``maps`` as PNG and SVG, in several parts where they are wide.

    Parameters
    ----------
    results : Results
    folder : str or Path
        Where the benchmark was run.

    Returns
    -------
    list of Path
        The files; none where nothing is measured.
    """
    if results.directions is None:
        return []
    folder, made = Path(folder), []
    columns = len(results.columns)
    for part, first in enumerate(range(0, columns, _COLUMNS_PER_FIGURE), 1):
        chosen = slice(first, min(columns, first + _COLUMNS_PER_FIGURE))
        number = f"_{part}" if columns > _COLUMNS_PER_FIGURE else ""
        charts = {
            f"directions{number}": distribution_figure(results, results.directions, chosen),
            f"maps{number}": maps_figure(results, results.directions, folder, chosen),
        }
        made += [
            save_chart(chart, folder / "plots" / f"{name}.{kind}", name)
            for name, chart in charts.items()
            for kind in ("png", "svg")
        ]
    return made


def distribution_figure(
    results: Results, directions: DirectionSet, columns: slice = slice(None)
) -> Figure:
    """Share of the positions that got each direction, in the directions' colors.

    One panel a row of the table; one bar for the truth and one a column, means over the seeds.
    """
    import matplotlib

    labels = ["truth", *(column.label for column in results.columns[columns])]
    tests, across = results.tests, 2 if len(results.tests) > 4 else 1
    down = -(-len(tests) // across)
    with matplotlib.rc_context(STYLE):
        figure = new_figure(4.2 * across + 0.9, (0.19 * len(labels) + 0.55) * down + 0.5)
        panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
        for panel, test in zip(panels, tests, strict=False):
            _draw_shares(panel, results, test, directions, columns)
        for panel in panels[len(tests) :]:
            panel.set_axis_off()
        for panel in panels[-across:]:
            panel.set_xlabel("share of the positions")
        panels[0].set_yticks(np.arange(len(labels)), labels)
        panels[0].invert_yaxis()
        _add_legend(figure, directions)
    return figure


def maps_figure(
    results: Results, directions: DirectionSet, folder: Path, columns: slice = slice(None)
) -> Figure:
    """The true and the predicted maps of each row's first scan, voted where there are seeds."""
    import matplotlib

    chosen = results.columns[columns]
    tests = results.tests
    with matplotlib.rc_context(STYLE):
        figure = new_figure(0.95 * len(chosen) + 2.2, 0.95 * len(tests) + 1.1)
        grid = figure.subplots(len(tests), len(chosen) + 1, squeeze=False)
        for line, test in zip(grid, tests, strict=True):
            cells = [(o.column, list(o.seeds)) for o in results.of(test)]
            maps = [map_of(folder, column, test, seeds) for column, seeds in cells]
            shape = next((found.shape for found in maps if found is not None), None)
            truth = None if shape is None else truth_of(test, shape, directions)
            for axes, found in zip(line, [truth, *maps[columns]], strict=True):
                _draw_map(axes, found, directions)
            line[0].set_ylabel(test.name, rotation=0, ha="right", va="center", size=7)
        grid[0][0].set_title("truth", size=7)
        for axes, column in zip(grid[0][1:], chosen, strict=True):
            axes.set_title(column.label.replace(" ", "\n"), size=7)
        _add_legend(figure, directions)
    return figure


def _draw_shares(
    axes: Axes, results: Results, test: Test, directions: DirectionSet, columns: slice
) -> None:
    outcomes = results.of(test)[columns]
    known = [f["truth"] for o in results.of(test) for f in o.seeds.values()]
    told = [[f["shares"] for f in o.seeds.values()] for o in outcomes]
    bars = [known[:1], *told]
    places = np.arange(len(bars))
    left = np.zeros(len(bars))
    for name, color in zip(directions.names, directions.colors, strict=True):
        shares = np.array(
            [np.mean([f.get(name, 0.0) for f in bar]) if bar else 0.0 for bar in bars]
        )
        axes.barh(places, shares, left=left, color=color, height=0.8, linewidth=0)
        left += shares
    axes.axhline(0.5, color="0.5", linewidth=0.5)
    for place, bar in zip(places, bars, strict=True):
        if not bar:
            axes.text(0.01, float(place), "not measured", va="center", size=6, color="0.4")
    axes.set(xlim=(0, 1))
    axes.set_title(test.name, size=8)


def _draw_map(axes: Axes, found: npt.NDArray[np.uint8] | None, directions: DirectionSet) -> None:
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(linewidth=0.4, color="0.5")
    if found is None:
        axes.set_aspect("equal")
        axes.text(
            0.5, 0.5, "not\nmeasured", ha="center", va="center", size=6, color="0.4",
            transform=axes.transAxes,
        )  # fmt: skip
        return
    colors = np.full((NOT_COMPUTED + 1, 3), NOT_COMPUTED_GREY)
    colors[: len(directions)] = directions.colors
    axes.imshow(colors[found], interpolation="nearest")


def _add_legend(figure: Figure, directions: DirectionSet) -> None:
    from matplotlib.patches import Patch

    patches = [
        Patch(color=color, label=name)
        for name, color in zip(directions.names, directions.colors, strict=True)
    ]
    figure.legend(
        handles=patches, loc="outside lower center", ncols=min(8, len(patches)), frameon=False,
        fontsize=7, handlelength=1,
    )  # fmt: skip
