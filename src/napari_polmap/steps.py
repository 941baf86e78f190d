"""Long work as generators: they yield their progress and return their result."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

Progress = TypeVar("Progress")
Result = TypeVar("Result")


def finish(
    steps: Generator[Progress, None, Result],
    progress: Callable[[Progress], object] | None = None,
) -> Result:
    """Run a generator to its end.

    Parameters
    ----------
    steps : generator
    progress : callable, optional
        Called with everything it yields.

    Returns
    -------
    object
        What the generator returns.
    """
    while True:
        try:
            step = next(steps)
        except StopIteration as finished:
            result: Result = finished.value
            return result
        if progress is not None:
            progress(step)
