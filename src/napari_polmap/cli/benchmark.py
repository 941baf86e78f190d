"""``polmap benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_polmap.cli.options import Json
from napari_polmap.cli.output import INTERRUPTED, note, print_json, print_table, progress_bar
from napari_polmap.steps import finish

if TYPE_CHECKING:
    from napari_polmap.benchmark import Benchmark, BenchmarkProgress, Outcome, Results


def benchmark(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="BENCHMARK.toml",
            help="What is compared: training data, models, objectives, presets, seeds, tests.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder for classifiers, evaluations, tables and figures.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the data.  [dim]\\[default: the root that BENCHMARK.toml names][/dim]",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, metavar="N", help="Classifiers worked on at a time.")
    ] = 1,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL", help="Only this model; repeat for several.", show_default=False
        ),
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="Where networks are trained; auto takes a GPU where there is one."),
    ] = "auto",
    json: Json = False,
) -> None:
    """Compare models: train each once, measure all on the same scans, and write the table.

    Tables (table.md, table.tex, table.csv, seeds.csv) and figures (plots/) are written to DIR.
    What is finished is kept: after Ctrl+C the same command goes on, and only what has changed is
    made again. What cannot be measured on this machine is marked, with the reason.

    Example: polmap benchmark benchmarks/martinc2026.toml --data KNN_data -o build/martinc
    """
    from napari_polmap.benchmark import read_benchmark
    from napari_polmap.benchmark.plots import write_plots
    from napari_polmap.benchmark.tables import write_tables

    described = read_benchmark(file, data)
    if only:
        described = described.only(only)
    results = _run(described, out, jobs, device)
    made = [*write_tables(results, out), *write_plots(results, out)]
    if json:
        print_json({"out": out, "files": made, "cells": [_cell(o) for o in results.outcomes]})
        return
    _print(results)
    note(f"Tables and figures are in {out}.")


def _run(described: Benchmark, out: Path, jobs: int, device: str) -> Results:
    from napari_polmap.benchmark import iter_benchmark

    steps = iter_benchmark(described, out, jobs=jobs, device=device)
    last: BenchmarkProgress | None = None
    try:
        with progress_bar("classifiers") as advance:

            def tell(step: BenchmarkProgress) -> None:
                nonlocal last
                last = step
                advance(step.done, step.total, step.remaining_s)

            return finish(steps, tell)
    except KeyboardInterrupt:
        steps.close()
        done, total = (last.done, last.total) if last is not None else (0, 0)
        note(
            f"Stopped after {done:,} of {total:,} classifiers, which are kept in {out} with every "
            "finished evaluation; the same command goes on from there."
        )
        raise typer.Exit(INTERRUPTED) from None


def _print(results: Results) -> None:
    from napari_polmap.benchmark.tables import cell, notes

    # One line a column: there are more of them than fit side by side.
    print_table(
        ("", *(test.name for test in results.tests)),
        [
            (column.label, *(cell(results.of(test)[place]) for test in results.tests))
            for place, column in enumerate(results.columns)
        ],
    )
    for line in notes(results)[2:-1]:
        note(f"not measured: {line.removeprefix('- ')}")


def _cell(outcome: Outcome) -> dict[str, Any]:
    from napari_polmap.benchmark.results import FIGURES

    column = outcome.column
    return {
        "row": outcome.test.name,
        "model": column.model,
        "objective": column.objective,
        "preset": column.preset,
        **{name: outcome.mean(name) for name in FIGURES},
        "std": outcome.deviation("accuracy"),
        "majority": outcome.majority,
        "vote": outcome.vote,
        "seeds": {str(seed): dict(figures) for seed, figures in outcome.seeds.items()},
        "not_measured": outcome.reason or None,
    }
