"""The figures of a training or an evaluation, in one sentence and as pictures; no Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers import Classifier
from napari_polmap.directions import DirectionSet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Picture = npt.NDArray[np.uint8]
"""Red, green, blue and opacity, shape (rows, columns, 4)."""

CONFUSION, RELIABILITY = "Confusion", "Reliability"
_LAYOUTS = 3
_SAME_SPECIMENS = (
    "They are of the same specimens as the training's, which is too good; add scans of other "
    "specimens."
)


@dataclass(frozen=True, eq=False)
class Report:
    """What a classifier does on labelled patterns or scans.

    Parameters
    ----------
    title : str
    sentences : tuple of str
        The figures, and what is to be said about them.
    figures : mapping
        As of `napari_polmap.mapping.evaluate`, or a card's ``validation``.
    names : tuple of str
        The directions.
    pictures : mapping of str to Picture
        `CONFUSION`, `RELIABILITY`, then the accuracy over each condition, by its name for people.
    """

    title: str
    sentences: tuple[str, ...]
    figures: Mapping[str, Any]
    names: tuple[str, ...]
    pictures: Mapping[str, Picture] = field(default_factory=dict)

    def save(self, folder: Path) -> list[Path]:
        """Write the figures as PNG and SVG.

        Raises
        ------
        ExportError
            If they cannot be written.
        """
        from napari_polmap.export.evaluation_plots import save_evaluation

        return save_evaluation({**self.figures, "directions": {"names": self.names}}, folder)


def training_report(classifier: Classifier) -> Report:
    """What the card says of a classifier on specimens that its models had not seen."""
    figures = classifier.card["validation"]
    what = f"{figures['n']:,} patterns of specimens that it had not seen"
    notes = []
    if figures.get("split") == "positions":
        what = f"{figures['n']:,} patterns of other positions"
        notes = [_SAME_SPECIMENS]
    names = tuple(classifier.directions.names)
    told = (figures_sentence(figures, what), *notes)
    return Report(classifier.name, told, figures, names, pictures_of(figures, names))


def evaluation_report(
    classifier: str,
    directions: DirectionSet,
    name: str,
    figures: Mapping[str, Any],
    same_data: bool,
) -> Report:
    """What an evaluation found.

    Parameters
    ----------
    classifier : str
        Its name.
    directions : DirectionSet
        The classifier's.
    name : str
        The data set's.
    figures : mapping
        Of `napari_polmap.mapping.evaluate`.
    same_data : bool
        Whether it is the data set that the classifier learned from.
    """
    from napari_polmap.mapping.evaluation import warnings_of

    what = f"{figures['n']:,} labelled positions of {name}"
    notes = []
    if same_data:
        notes = ["It learned from this data set: these figures are too good."]
    notes += warnings_of(figures)
    names = tuple(directions.names)
    title = f"{classifier} on {name}"
    told = (figures_sentence(figures, what), *notes)
    return Report(title, told, figures, names, pictures_of(figures, names))


def figures_sentence(figures: Mapping[str, Any], what: str) -> str:
    """The figures in words.

    Parameters
    ----------
    figures : mapping
        ``accuracy``, ``coverage``, ``selective_accuracy`` and ``ece``.
    what : str
        What was judged, such as ``1,024 patterns``.
    """
    text = f"It named the right direction of {figures['accuracy']:.1%} of {what}"
    coverage, selective = figures["coverage"], figures["selective_accuracy"]
    if selective is None or not coverage:
        text += "; it was sure of none of them, and would leave them undecided"
    else:
        text += f"; it was sure of {coverage:.0%} of them, and right at {selective:.1%} of these"
    if figures["ece"] is None:
        return f"{text}."
    return f"{text}; its confidence is off by {figures['ece']:.1%} on average."


def pictures_of(figures: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Picture]:
    """Confusion matrix, reliability diagram, and accuracy over each condition, as pictures."""
    from napari_polmap.export.evaluation_plots import (
        accuracy_figure,
        condition_label,
        confusion_figure,
        reliability_figure,
    )

    pictures = {
        CONFUSION: picture(confusion_figure(figures["confusion"], names)),
        RELIABILITY: picture(reliability_figure(figures["reliability"], figures["ece"])),
    }
    for name, rows in figures["by"].items():
        if rows:
            chart = accuracy_figure({name: rows}, chance=1 / len(names))
            pictures[condition_label(name)] = picture(chart)
    return pictures


def picture(figure: Figure) -> Picture:
    """A figure drawn."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from napari_polmap.export.figure import STYLE

    canvas = FigureCanvasAgg(figure)
    with matplotlib.rc_context(STYLE):
        # Each layout starts from the one before, and comes to rest after a few.
        for _ in range(_LAYOUTS):
            figure.draw_without_rendering()
        canvas.draw()
    return np.array(canvas.buffer_rgba(), dtype=np.uint8)
