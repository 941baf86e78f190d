"""Work in the background: generators in napari's worker threads, their steps in the window's.

The one place where napari's workers are used. A step is anything a generator yields; steps that
come faster than the window should draw are handed over together.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QThreadPool

SECONDS_BETWEEN_STEPS = 0.15
"""The window draws what came about this often; a job can be cancelled at each of its steps."""

SWITCH_SECONDS = 0.001
"""While a job runs, Python threads take turns this often, so that drawing, which asks for its turn
at every OpenGL call, need not wait 5 ms (Python's own setting) each time."""

EXIT_MS = 10_000
"""How long the end of the program waits for jobs to reach their next step."""

Steps = Callable[..., Generator[Any, None, Any]]

_SWITCH_SECONDS_BEFORE = sys.getswitchinterval()
_alive: set[Job] = set()
"""Jobs under way; Qt would forget the slots of one that nobody holds."""


class Job:
    """A generator that runs in a worker thread.

    Parameters
    ----------
    steps : callable
        Gives the generator; all its code runs in the background.
    *arguments
        For `steps`.
    on_steps : callable, optional
        Takes the list of steps yielded since the last call, in the window's thread.
    on_done : callable, optional
        Takes the generator's return value.
    on_stopped : callable, optional
        Called instead of `on_done` after `stop`.
    on_failed : callable, optional
        Takes the exception that ended it.
    """

    def __init__(
        self,
        steps: Steps,
        *arguments: Any,
        on_steps: Callable[[list[Any]], None] | None = None,
        on_done: Callable[[Any], None] | None = None,
        on_stopped: Callable[[], None] | None = None,
        on_failed: Callable[[Exception], None] | None = None,
    ) -> None:
        self._stop = threading.Event()
        self._dropped = False
        self.running = True
        self._on_steps = on_steps
        self._on_done = on_done
        self._on_stopped = on_stopped
        self._on_failed = on_failed
        self._worker = create_worker(
            _paced,
            steps,
            arguments,
            self._stop,
            _start_thread=False,
            # Errors come to `on_failed`, and are told once.
            _ignore_errors=True,
        )
        self._worker.yielded.connect(self._take_steps)
        self._worker.returned.connect(self._take_result)
        self._worker.errored.connect(self._take_error)
        self._worker.aborted.connect(self._take_abort)
        self._worker.finished.connect(self._end)
        _alive.add(self)
        sys.setswitchinterval(SWITCH_SECONDS)
        self._worker.start()

    def stop(self) -> None:
        """End it at its next step; what it did is kept and `on_stopped` is called."""
        self._stop.set()

    def drop(self) -> None:
        """End it at its next step and hear nothing more of it."""
        self._dropped = True
        self.running = False
        self._stop.set()

    def _take_steps(self, steps: list[Any]) -> None:
        if not self._dropped and self._on_steps is not None:
            self._on_steps(steps)

    def _take_result(self, outcome: tuple[bool, Any]) -> None:
        self.running = False
        if self._dropped:
            return
        finished, value = outcome
        if finished and self._on_done is not None:
            self._on_done(value)
        elif not finished and self._on_stopped is not None:
            self._on_stopped()

    def _take_error(self, error: Exception) -> None:
        self.running = False
        if self._dropped:
            return
        if self._on_failed is None:
            raise error
        self._on_failed(error)

    def _take_abort(self) -> None:
        # The window is closing.
        self.drop()

    def _end(self) -> None:
        _alive.discard(self)
        if not _alive:
            sys.setswitchinterval(_SWITCH_SECONDS_BEFORE)


@atexit.register
def _end_all() -> None:
    """Let no thread outlive Qt: it would tear the program down with an error."""
    for job in list(_alive):
        job.drop()
    QThreadPool.globalInstance().waitForDone(EXIT_MS)


def _paced(
    steps: Steps, arguments: tuple[Any, ...], stop: threading.Event
) -> Generator[list[Any], None, tuple[bool, Any]]:
    """Hand steps on in batches; ends early, with the generator closed, when `stop` is set."""
    batch: list[Any] = []
    due = 0.0
    with closing(steps(*arguments)) as running:
        while True:
            try:
                batch.append(next(running))
            except StopIteration as end:
                if batch:
                    yield batch
                return True, end.value
            if stop.is_set():
                return False, None
            if time.monotonic() >= due:
                yield batch
                batch = []
                due = time.monotonic() + SECONDS_BETWEEN_STEPS
