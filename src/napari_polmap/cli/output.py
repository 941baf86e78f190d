"""What the commands print: figures on stdout; progress, warnings and errors on stderr."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol

import typer

from napari_polmap.errors import PolmapError

FAILURE = 1
INTERRUPTED = 130
"""Exit status after Ctrl+C, as shells have it."""


def plain(value: Any) -> Any:
    """A value as JSON has it: plain types, and ``None`` instead of NaN and infinity."""
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def print_json(values: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout."""
    typer.echo(json.dumps(plain(values), indent=2, allow_nan=False))


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns on stdout, the first one to the left, the others to the right."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        typer.echo("  ".join(cells).rstrip())


def print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names and values on stdout, the values aligned."""
    listed = list(pairs)
    width = max((len(name) for name, _ in listed), default=0)
    for name, value in listed:
        typer.echo(f"{name:<{width}}  {value}".rstrip())


def share(value: float | None) -> str:
    """A share in percent, or a dash where it is not known."""
    return "-" if value is None or not math.isfinite(value) else f"{100 * value:.1f} %"


def note(text: str) -> None:
    """Say something on stderr."""
    typer.echo(text, err=True)


def warn(warnings: Iterable[str]) -> None:
    """Print warnings on stderr, one a line."""
    for warning in warnings:
        note(f"warning: {_one_line(warning)}")


def fail(text: str) -> NoReturn:
    """End with exit status 1 after one line on stderr."""
    note(f"error: {_one_line(text)}")
    raise typer.Exit(FAILURE)


def _one_line(text: str) -> str:
    return " ".join(text.split())


class Advance(Protocol):
    """Moves a progress bar on."""

    def __call__(
        self, done: int, total: int, remaining_s: float | None = None, *, text: str | None = None
    ) -> None:
        """Show that `done` of `total` are done; `text` says so in other words than numbers."""


@contextmanager
def progress_bar(what: str) -> Iterator[Advance]:
    """A bar on stderr with the share done and the remaining time.

    Where stderr is not a terminal, only the last state is printed, and nothing after a failure.

    Parameters
    ----------
    what : str
        What is counted, such as ``positions``.

    Yields
    ------
    Advance
        Call it with what is done, the total, and the seconds left where they are known.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = Console(stderr=True)
    bar = Progress(
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn("{task.fields[counted]}"),
        TextColumn("{task.fields[left]}"),
        console=console,
        disable=not console.is_terminal,
    )
    task = bar.add_task(what, counted="", left="", total=None)

    def advance(
        done: int, total: int, remaining_s: float | None = None, *, text: str | None = None
    ) -> None:
        left = "" if remaining_s is None or done == total else f"{duration(remaining_s)} left"
        counted = f"{done:,} of {total:,} {what}" if text is None else text
        bar.update(task, completed=done, total=total, counted=counted, left=left)

    with bar:
        try:
            yield advance
        except PolmapError:
            # Nothing but the error is left to read.
            bar.live.transient = True
            raise
    if not console.is_terminal:
        console.print(bar.get_renderable())


def duration(seconds: float) -> str:
    """A time for people, such as ``1 min 20 s``."""
    whole = max(0, math.ceil(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
