"""``polmap train``."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    share,
    warn,
)

if TYPE_CHECKING:
    from napari_polmap.classifiers import Classifier, TrainingProgress


_ONE_GROUP = (
    "Every direction is of one group only, so that the figures are of patterns of the same "
    "specimens as the training's and too good; add scans of other specimens."
)


def train(
    dataset: Annotated[
        Path | None,
        typer.Argument(
            metavar="DATASET.toml",
            help="Labelled scans: a TOML file with their paths and directions.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="The .safetensors file.", show_default=False
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="pca-knn, pca-lda, parity, cnn, resnet18, resnet50, vgg11, vgg16; given several "
            "times: an ensemble.  [dim]\\[default: parity][/dim]",
            show_default=False,
        ),
    ] = None,
    objective: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="What a network learns: classification, regression or prototype."
        ),
    ] = "classification",
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="robust (ours), paper (Martinc et al. 2026) or nanobeam (ours, for disks that do "
            "not overlap).  [dim]\\[default: robust][/dim]",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="RECIPE.toml", help="Other choices than the preset's.", show_default=False
        ),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            help="Same seed, same classifier; given several times: an ensemble.  "
            "[dim]\\[default: 0][/dim]",
            show_default=False,
        ),
    ] = None,
    vote: Annotated[
        Literal["mean", "majority"] | None,
        typer.Option(
            help="How an ensemble speaks: mean probability, or majority of its members.  "
            "[dim]\\[default: the recipe's][/dim]",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name of the classifier.  [dim]\\[default: the file's][/dim]",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights to begin from, in torchvision's names.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="Where a network learns; auto takes CUDA where there is any."),
    ] = "auto",
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A .safetensors file kept up to date, from which the same command goes on.",
            show_default=False,
        ),
    ] = None,
    max_patterns: Annotated[
        int | None,
        typer.Option(
            "--max-patterns", min=2, metavar="N", help="Patterns at most.", show_default=False
        ),
    ] = None,
    fields: Annotated[
        bool, typer.Option("--fields", help="Print all fields of a recipe and end.")
    ] = False,
    json: Json = False,
) -> None:
    """Train a classifier on labelled scans.

    The probabilities are calibrated, and the figures measured, on groups (specimens) that the
    model has not seen. Ctrl+C ends the training and keeps the best so far; a second one ends it at
    once.

    Example: polmap train build/knn/train.toml -o knn.safetensors
    """
    if fields:
        from napari_polmap.classifiers.recipes import field_text

        typer.echo(field_text(), nl=False)
        return
    if dataset is None:
        fail("There is no data set to learn from; give DATASET.toml.")
    if out is None:
        fail("There is no file to write to; give one with -o FILE.safetensors.")
    _check_out(out)
    if checkpoint is not None:
        _check_out(checkpoint)
    from dataclasses import replace

    from napari_polmap.classifiers.models import DEFAULT_MODEL
    from napari_polmap.classifiers.recipes import preset_of, read_recipe

    chosen = preset_of(preset or "robust") if recipe is None else read_recipe(recipe, preset)
    if vote is not None:
        chosen = replace(chosen, vote=vote)
    start = time.monotonic()
    trained, stopped = _run(
        dataset,
        checkpoint=checkpoint,
        model=model or DEFAULT_MODEL,
        objective=objective,
        preset=_told(preset, recipe),
        recipe=chosen,
        seeds=seed or [0],
        name=name or out.stem,
        weights=weights,
        device=device,
        max_patterns=max_patterns,
    )
    from napari_polmap.classifiers import save_classifier

    save_classifier(trained, out)
    _report(trained, out, time.monotonic() - start, json)
    if stopped:
        note(f"Stopped: {out} holds the best so far.{_on(checkpoint)}")
        raise typer.Exit(INTERRUPTED)


def _run(dataset: Path, *, checkpoint: Path | None, **options: Any) -> tuple[Classifier, bool]:
    """The classifier, and whether it was stopped by Ctrl+C."""
    from napari_polmap.classifiers import train as learn

    with _interrupts() as asked, progress_bar("thousandths") as advance:

        def tell(step: TrainingProgress) -> None:
            advance(step.done, step.total, step.remaining_s, text=step.message)

        try:
            trained = learn(
                dataset, checkpoint=checkpoint, stop=asked.is_set, progress=tell, **options
            )
        except KeyboardInterrupt:
            note(f"Stopped at once; nothing was written.{_on(checkpoint)}")
            raise typer.Exit(INTERRUPTED) from None
        advance(1, 1, text="trained")
    return trained, asked.is_set()


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """An event that the first Ctrl+C sets; the second one is an interrupt again."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(*_: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        note("Stopping; the best so far is kept. Ctrl+C again ends at once.")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def _report(trained: Classifier, out: Path, seconds: float, json: bool) -> None:
    figures = trained.card["validation"]
    if json:
        print_json(
            {
                "out": out,
                "name": trained.name,
                "model": trained.model.kind,
                "threshold": trained.threshold,
                "seconds": round(seconds, 3),
                "stopped": trained.card["training"]["stopped"],
                "patterns": trained.card["patterns"],
                "validation": figures,
            }
        )
    else:
        error = figures["mean_angular_error_deg"]
        print_pairs(
            [
                ("classifier", str(out)),
                ("model", trained.model.kind),
                ("patterns", f"{trained.card['patterns']['drawn']:,}"),
                ("accuracy", f"{share(figures['accuracy'])} of {figures['n']:,} unseen patterns"),
                ("mean angular error", "-" if error is None else f"{error:.1f}°"),
                ("calibration error", "-" if figures["ece"] is None else f"{figures['ece']:.3f}"),
                ("coverage", f"{share(figures['coverage'])} at {trained.threshold:g}"),
                ("selective accuracy", share(figures["selective_accuracy"])),
            ]
        )
    if figures["split"] == "positions":
        warn([_ONE_GROUP])
    note(f"Trained in {duration(seconds)}.")


def _check_out(path: Path) -> None:
    """Before hours of training, not after."""
    if path.suffix != ".safetensors":
        fail(f"{path} does not end in .safetensors; give it another name.")
    if not path.parent.is_dir():
        fail(f"There is no folder {path.parent} to write {path.name} to; make it first.")


def _told(preset: str | None, recipe: Path | None) -> str:
    """What the card calls the recipe."""
    if recipe is None:
        return preset or "robust"
    return recipe.stem if preset is None else f"{preset}, {recipe.stem}"


def _on(checkpoint: Path | None) -> str:
    from napari_polmap.classifiers.training import checkpoint_files

    if checkpoint is None or not checkpoint_files(checkpoint):
        return ""
    return f" The same command goes on from {checkpoint}."
