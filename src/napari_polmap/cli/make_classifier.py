"""``polmap make-classifier``."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_polmap.cli.options import Json, ScanOptions, ScanPath, numbers, with_scan_options
from napari_polmap.cli.output import (
    INTERRUPTED,
    Advance,
    duration,
    note,
    print_json,
    print_pairs,
    progress_bar,
    share,
)
from napari_polmap.cli.scans import print_summary, summary
from napari_polmap.cli.simulate import figures, told
from napari_polmap.steps import finish

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_polmap.mapping.make_classifier import Made, MakeProgress

_COUNTED = {
    "simulate": "positions simulated",
    "train": "steps of training",
    "test": "scans tested",
    "classify": "positions classified",
}


@with_scan_options
def make_classifier(
    scan: ScanPath,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder for the simulated scans, the classifier and the scan's map.",
            show_default=False,
        ),
    ],
    thickness: Annotated[
        str,
        typer.Option(
            metavar="NM,NM",
            help="Lowest and highest thickness that the specimen may have.",
            show_default=False,
        ),
    ],
    scan_options: ScanOptions,
    material: Annotated[
        str, typer.Option(metavar="NAME", help="A built-in material; see 'polmap simulate'.")
    ] = "KNN",
    quality: Annotated[
        Literal["quick", "full"],
        typer.Option(help="How many specimens, how finely spaced in thickness, how fine a grid."),
    ] = "quick",
    specimens: Annotated[
        str | None,
        typer.Option(
            metavar="N[,M]",
            help="Specimens for training, and for testing.  "
            "[dim]\\[default: by the quality; M a fourth of N][/dim]",
            show_default=False,
        ),
    ] = None,
    tilt: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="MRAD",
            help="Largest tilt of the specimens.  [dim]\\[default: by the quality][/dim]",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The classifier's.  [dim]\\[default: material, voltage, semi-angle, "
            "thicknesses][/dim]",
            show_default=False,
        ),
    ] = None,
    model: Annotated[str, typer.Option(metavar="MODEL", help="What is trained.")] = "parity",
    estimate: Annotated[
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
        typer.Option(help="auto simulates on a GPU where CuPy finds one."),
    ] = "auto",
    memory: Annotated[
        float,
        typer.Option(min=50, metavar="MB", help="Memory for the arrays of all processes together."),
    ] = 2000,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace what another description made in DIR."),
    ] = False,
    json: Json = False,
) -> None:
    """Make a classifier for a scan: simulate, train, test, and classify the scan.

    Voltage, semi-angle, step and lattice are the scan's; the material and the range of its
    thickness are yours. The classifier is tested on specimens that it has never seen and added to
    your library. Ctrl+C keeps what is done; the same command goes on from there.

    Example: polmap make-classifier scan.hspy --material KNN --thickness 20,40 -o build/mine
    """
    limits = numbers(thickness, float, "--thickness", "NM,NM", count=2)
    counts = numbers(specimens, int, "--specimens", "N[,M]")
    if counts is not None and len(counts) > 2:
        raise typer.BadParameter(
            f"{specimens!r} is not of the form N[,M].", param_hint="--specimens"
        )
    assert limits is not None
    from napari_polmap.mapping.make_classifier import (
        estimate_classifier,
        figures_text,
        iter_make_classifier,
    )
    from napari_polmap.mapping.scan_spec import spec_for_scan

    opened = scan_options.load(scan)
    values = spec_for_scan(
        opened,
        material,
        thickness_nm=(limits[0], limits[1]),
        quality=quality,
        specimens=None
        if counts is None
        else counts[0]
        if len(counts) == 1
        else (counts[0], counts[1]),
        tilt_mrad=tilt,
    )
    effort: dict[str, Any] = {"jobs": jobs, "device": device, "memory_mb": memory}
    cost, seconds = estimate_classifier(values, out, **effort)
    if estimate:
        if json:
            print_json({**figures(cost), "total_seconds": seconds, "description": values})
        else:
            whole = [] if seconds is None else [("with training", f"about {duration(seconds)}")]
            print_pairs([("simulation", str(values["name"])), *told(cost), *whole])
        return
    note("; ".join(f"{label} {value}" for label, value in told(cost)))
    start = time.monotonic()
    steps = iter_make_classifier(
        opened, values, out, name=name, model=model, overwrite=overwrite, **effort
    )
    made = _run(steps, out)
    seconds = time.monotonic() - start
    assert made.map is not None
    if json:
        print_json(
            {
                "classifier": made.classifier.name,
                "path": made.path,
                "out": out,
                "test": {k: v for k, v in made.figures.items() if k != "scans"},
                "map": summary(made.map),
                "seconds": round(seconds, 3),
            }
        )
    else:
        print_summary(made.map)
        typer.echo(figures_text(made.figures))
    note(f"The classifier {made.classifier.name!r} is in your library; {duration(seconds)}.")


def _run(steps: Generator[MakeProgress, None, Made], out: Path) -> Made:
    """Go through the stages, with a bar for each."""
    stage, last = "", None
    try:
        with ExitStack() as bars:
            advance: Advance | None = None

            def tell(step: MakeProgress) -> None:
                nonlocal stage, last, advance
                if step.stage != stage:
                    bars.close()
                    advance = bars.enter_context(progress_bar(_COUNTED[step.stage]))
                    place = step.stages.index(step.stage) + 1
                    note(f"{place} of {len(step.stages)}: {step.stage}")
                stage, last = step.stage, step
                if advance is not None and step.total:
                    advance(step.done, step.total, step.remaining_s)

            return finish(steps, tell)
    except KeyboardInterrupt:
        steps.close()
        done = "" if last is None or not last.total else f" ({share(last.done / last.total)} of it)"
        note(
            f"Stopped while at stage {stage!r}{done}; what is finished is kept in {out}, and the "
            "same command goes on from there."
        )
        raise typer.Exit(INTERRUPTED) from None
