"""Checks of numbers that come from the user."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from napari_polmap.errors import PolmapError


def checked(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, above: bool = False
) -> float:
    """A finite number within limits.

    Parameters
    ----------
    name : str
        What the value is called, its unit included.
    value : object
        What was given.
    low, high : float
        The limits, themselves allowed.
    above : bool
        The lower limit itself is not allowed.

    Raises
    ------
    PolmapError
        If it is none.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number > high or number < low or (above and number == low):
        raise PolmapError(
            f"{name} must be a number {_limits(low, high, above)}, but is {value!r}; correct it."
        )
    return number


def checked_pair(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, above: bool = False
) -> tuple[float, float]:
    """Two finite numbers within limits.

    Raises
    ------
    PolmapError
        If it is anything else.
    """
    parts = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    if len(parts) != 2:
        raise PolmapError(f"{name} must be two numbers, but is {value!r}; correct it.")
    first, second = (checked(name, part, low, high, above=above) for part in parts)
    return first, second


def _limits(low: float, high: float, above: bool) -> str:
    if math.isinf(low) and math.isinf(high):
        return "that is finite"
    if math.isinf(high):
        return f"{'above' if above else 'of at least'} {low:g}"
    if math.isinf(low):
        return f"of at most {high:g}"
    return f"{'above' if above else 'from'} {low:g} {'and at most' if above else 'to'} {high:g}"
