"""Measured text for figures: widths in inches, lines broken to a width."""

from __future__ import annotations

from functools import lru_cache

FONT = "DejaVu Sans"
"""Comes with matplotlib, so that figures look the same everywhere."""
POINTS_PER_INCH = 72.0


@lru_cache(maxsize=1024)
def text_width(text: str, size: float) -> float:
    """Width of a line of text in inches.

    Parameters
    ----------
    text : str
    size : float
        Font size in points.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=FONT, size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / POINTS_PER_INCH


def broken(text: str, size: float, width: float) -> list[str]:
    """The text in lines of at most `width` inches; a word that is longer has its own line."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def grouped(number: int) -> str:
    """A number with thin spaces between its thousands."""
    return f"{number:,}".replace(",", "\u2009")
