"""``polmap evaluate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_polmap.cli.options import ClassifierName, Json, Threshold
from napari_polmap.cli.output import note, print_json, print_table, progress_bar, share, warn

_MOST_SCANS = 60


def evaluate(
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET.toml",
            help="Labelled scans: a TOML file with their paths and directions.",
            show_default=False,
        ),
    ],
    classifier: ClassifierName = "default",
    window: Annotated[
        float | None,
        typer.Option(
            metavar="CELLS",
            min=0.0,
            help="Width of the window in unit cells; 0 for single patterns.  "
            "[dim]\\[default: the classifier's own][/dim]",
            show_default=False,
        ),
    ] = None,
    threshold: Threshold = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for figures (PNG and SVG): confusion, reliability, accuracy over each "
            "condition that the data set states.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Evaluate scans that lie outside what the classifier was trained for."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Measure a classifier on labelled scans.

    Accuracy of the most probable direction over all labelled positions, undecided ones included;
    expected calibration error (ECE, 15 equal-width bins); coverage, the share that is not
    undecided, and the accuracy on those; the mean angle between predicted and right direction:
    per scan and over all. Then the accuracy over each condition that the data set states.
    """
    from napari_polmap import evaluate as measure
    from napari_polmap import load_classifier

    chosen = load_classifier(classifier)
    with progress_bar("scans") as advance:
        figures = measure(
            chosen, dataset, window=window, threshold=threshold, force=force, progress=advance
        )
    from napari_polmap.mapping.evaluation import warnings_of

    warn(warnings_of(figures))
    if plots is not None:
        from napari_polmap.export.evaluation_plots import save_evaluation

        save_evaluation(figures, plots)
        note(f"The figures are in {plots}.")
    if json:
        print_json(figures)
        return
    _print_scans(figures)
    _print_conditions(figures["by"])


def _print_scans(figures: Mapping[str, Any]) -> None:
    scans = sorted(
        figures["scans"], key=lambda scan: 2 if scan["accuracy"] is None else scan["accuracy"]
    )
    left_out = len(scans) - _MOST_SCANS
    # In the data set's order, unless there are so many that only the worst are of interest.
    shown = scans[:_MOST_SCANS] if left_out > 0 else figures["scans"]
    rows = [_row(_name(Path(scan["path"])), scan) for scan in shown]
    rows.append(_row("all", {**figures, "majority": None}))
    head = (
        *("scan", "positions", "majority", "accuracy", "ECE", "coverage", "selective accuracy"),
        "angular error",
    )
    print_table(head, rows)
    if left_out > 0:
        note(f"The {left_out:,} scans of higher accuracy are not listed; --json has them all.")


def _name(path: Path) -> str:
    """The file, with its folder where the file's name alone says little."""
    return path.name if path.suffix in ("", ".tiff") else "/".join(path.parts[-2:])


def _row(name: str, figures: Mapping[str, Any]) -> tuple[str, ...]:
    ece, error = figures["ece"], figures["mean_angular_error_deg"]
    return (
        name,
        f"{figures['n']:,}",
        figures["majority"] or "",
        share(figures["accuracy"]),
        "-" if ece is None else f"{ece:.3f}",
        share(figures["coverage"]),
        share(figures["selective_accuracy"]),
        "-" if error is None else f"{error:.1f}°",
    )


def _print_conditions(by: Mapping[str, Sequence[Sequence[float]]]) -> None:
    from napari_polmap.export.evaluation_plots import condition_label

    rows = [
        (
            condition_label(name),
            f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}",
            f"{n:,.0f}",
            share(accuracy),
        )
        for name, found in by.items()
        for low, high, n, accuracy in found
    ]
    if rows:
        typer.echo()
        print_table(("condition", "value", "positions", "accuracy"), rows)
