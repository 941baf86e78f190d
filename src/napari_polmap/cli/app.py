"""The command ``polmap`` and its subcommands.

Heavy libraries are imported inside the commands, so that help comes at once.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from napari_polmap import __version__
from napari_polmap.cli.benchmark import benchmark
from napari_polmap.cli.calibrate import calibrate
from napari_polmap.cli.classifiers import classifiers
from napari_polmap.cli.demo import demo
from napari_polmap.cli.evaluate import evaluate
from napari_polmap.cli.make_classifier import make_classifier
from napari_polmap.cli.maps import export
from napari_polmap.cli.output import fail
from napari_polmap.cli.scans import classify, info
from napari_polmap.cli.simulate import simulate
from napari_polmap.cli.train import train
from napari_polmap.cli.virtual import virtual
from napari_polmap.errors import PolmapError


class _Commands(TyperGroup):
    """Commands whose failures are one line on stderr and exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except PolmapError as error:
            fail(str(error))
        except MemoryError:
            fail("There is not enough memory for this; ask for less, or close other programs.")


app = typer.Typer(
    name="polmap",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"napari-polmap {__version__}")
        raise typer.Exit


_ABOUT = """\
Maps of polarization directions from 4D-STEM scans of ferroelectrics.

A scan, with axes (y, x, ky, kx), becomes a map: for each probe position the direction of \
polarization, the confidence in it, and a defect score. Angles run counter-clockwise from +x \
(right) on the displayed scan.

Exit status: 0 on success, 1 on a failure (named in one line on stderr), 2 on bad arguments, \
130 after Ctrl+C.
"""


@app.callback(help=_ABOUT)
def polmap(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Maps of polarization directions from 4D-STEM scans of ferroelectrics."""
    # What it logs of damaged files comes as an error, which is told in one line.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)


def _add(command: Callable[..., None]) -> None:
    """Add a command whose docstring, with each paragraph in one line, is its help."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    app.command(help="\n\n".join(" ".join(p.split()) for p in paragraphs))(command)


for _command in (
    demo, info, calibrate, virtual, classify, simulate, make_classifier, train, evaluate, benchmark,
    export,
):  # fmt: skip
    _add(_command)
app.add_typer(classifiers, name="classifiers")


def main() -> None:
    """Entry point of the command ``polmap``."""
    app()
