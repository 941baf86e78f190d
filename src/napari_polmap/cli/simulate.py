"""``polmap simulate``."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_polmap.cli.options import Json
from napari_polmap.cli.output import (
    INTERRUPTED,
    duration,
    fail,
    note,
    print_json,
    print_pairs,
    progress_bar,
)
from napari_polmap.errors import PolmapError
from napari_polmap.steps import finish

if TYPE_CHECKING:
    from napari_polmap.simulation.estimate import Estimate
    from napari_polmap.simulation.report import Report
    from napari_polmap.simulation.run import Simulated
    from napari_polmap.simulation.spec import Spec


def simulate(
    spec: Annotated[
        Path | None,
        typer.Argument(
            metavar="SPEC.toml",
            help="What is simulated; see --fields and the examples.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder for the scans, the truth images and the data sets.",
            show_default=False,
        ),
    ] = None,
    estimate_only: Annotated[
        bool, typer.Option("--estimate", help="Say what it costs and end.")
    ] = False,
    jobs: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Processes, of one thread each.  [dim]\\[default: one for each core][/dim]",
            show_default=False,
        ),
    ] = os.cpu_count() or 1,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="auto takes a GPU where CuPy finds one."),
    ] = "auto",
    memory: Annotated[
        float,
        typer.Option(min=50, metavar="MB", help="Memory for the arrays of all processes together."),
    ] = 2000,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace what another description made in DIR."),
    ] = False,
    fields: Annotated[
        bool, typer.Option("--fields", help="Print all fields of a description and end.")
    ] = False,
    json: Json = False,
) -> None:
    """Simulate labelled scans from a crystal structure, through abTEM.

    SPEC.toml describes the crystal, the directions of its polarization, the microscope and what is
    drawn at random. What it costs is said first. Ctrl+C keeps what is done; the same command goes
    on from there. At the end it is checked that nothing but the polarization tells the directions
    of the scans apart (report.md).

    Example: polmap simulate examples/knn_quick.toml -o build/quick
    """
    if fields:
        from napari_polmap.simulation.spec import field_text

        typer.echo(field_text(), nl=False)
        return
    if spec is None:
        fail("There is no description to simulate; give SPEC.toml, or --fields to see its fields.")
    if out is None and not estimate_only:
        fail("There is no folder to write to; give one with -o DIR.")
    from napari_polmap.simulation.run import estimate
    from napari_polmap.simulation.spec import read_spec

    described = read_spec(spec)
    if estimate_only:
        cost = estimate(described, out, jobs=jobs, device=device, memory_mb=memory)
        if json:
            print_json(figures(cost))
        else:
            print_pairs(told(cost))
        return
    assert out is not None
    start = time.monotonic()
    made = _run(described, out, jobs, device, memory, overwrite)
    reports = _report(described, made)
    seconds = time.monotonic() - start
    if json:
        print_json(
            {
                "out": out,
                "datasets": list(made.datasets),
                "scans": made.scans,
                "seconds": round(seconds, 3),
                "confounders": {name: _checked(report) for name, report in reports.items()},
            }
        )
    else:
        for path in made.datasets:
            typer.echo(str(path))
        for name, report in reports.items():
            typer.echo(f"{name}: {report.sentence()}")
    note(f"{made.scans:,} scans in {out}, {duration(seconds)}.")


def _run(
    spec: Spec, out: Path, jobs: int, device: str, memory: float, overwrite: bool
) -> Simulated:
    from napari_polmap.simulation.run import Progress, iter_simulate

    steps = iter_simulate(
        spec, out, jobs=jobs, device=device, memory_mb=memory, overwrite=overwrite
    )
    last: Progress | None = None
    try:
        with progress_bar("positions") as advance:

            def tell(step: Progress) -> None:
                nonlocal last
                if last is None:
                    note("; ".join(f"{name} {value}" for name, value in told(step.estimate)))
                last = step
                advance(step.done, step.total, step.remaining_s)

            return finish(steps, tell)
    except KeyboardInterrupt:
        steps.close()
        if last is None:
            note(f"Stopped before it began; the same command goes on with what is in {out}.")
        else:
            note(
                f"Stopped after {last.pieces_done:,} of {last.pieces:,} runs and blocks, which are "
                f"kept in {out}; the same command goes on from there."
            )
        raise typer.Exit(INTERRUPTED) from None


def _report(spec: Spec, made: Simulated) -> dict[str, Report]:
    """Check the data sets of single directions, and write report.md."""
    if spec.specimens is None:
        return {}
    from napari_polmap import load_dataset
    from napari_polmap.simulation.dataset import write_text
    from napari_polmap.simulation.report import confounders

    reports: dict[str, Report] = {}
    texts = []
    for path in made.datasets:
        dataset = load_dataset(path)
        try:
            report = confounders(dataset)
        except PolmapError as error:
            note(str(error))
            continue
        reports[path.stem] = report
        texts.append(report.markdown(dataset.name))
    if texts:
        write_text(made.folder / "report.md", "\n".join(texts))
    return reports


def told(cost: Estimate) -> list[tuple[str, str]]:
    """What a simulation costs, for people."""
    rows, columns = cost.gpts
    pairs = [
        ("positions", f"{cost.positions:,}"),
        ("probes", f"{cost.probes:,}"),
        ("slices", f"up to {cost.slices:,}"),
        ("grid", f"{rows} x {columns}"),
        ("memory", f"{cost.memory_mb:,.0f} MB"),
        ("disk", f"{cost.disk_mb:,.1f} MB before compression"),
    ]
    if cost.seconds is not None:
        pairs.append(("time", f"about {duration(cost.seconds)}"))
    return pairs


def figures(cost: Estimate) -> dict[str, Any]:
    """What a simulation costs, for JSON."""
    return {
        "positions": cost.positions,
        "probes": cost.probes,
        "slices": cost.slices,
        "grid": list(cost.gpts),
        "memory_mb": round(cost.memory_mb, 1),
        "disk_mb": round(cost.disk_mb, 1),
        "seconds": cost.seconds,
    }


def _checked(report: Report) -> dict[str, Any]:
    return {
        "runs": report.runs,
        "groups": report.groups,
        "accuracy": report.accuracy,
        "interval": report.interval,
        "chance": report.chance,
        "balanced": report.balanced,
        "confounded": report.confounded,
        "associations": {
            a.condition: {"strength": a.strength, "p": a.p_value} for a in report.associations
        },
    }
