"""One background thread that runs only the newest job, without Qt."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Deliver = Callable[[Callable[[], None]], None]
"""Runs a function in the thread that owns the window."""


@dataclass
class _Job:
    ticket: int
    steps: Callable[[], Iterator[Any]]
    receive: Callable[[Any], None]
    failed: Callable[[Exception], None]
    first: Callable[[], None] | None = None
    came: threading.Event = field(default_factory=threading.Event)


class LatestJob:
    """Runs generators in a thread of its own; a new one replaces what waits or runs.

    What a job yields is handed over in the window's thread, unless a newer job came meanwhile. A
    running job stops at its next yield. A thread of its own, not one of Qt's pool, so that a click
    never waits behind a classification.

    Parameters
    ----------
    deliver : callable
        Runs a function in the window's thread.
    name : str
        Name of the thread.
    """

    def __init__(self, deliver: Deliver, name: str) -> None:
        self._deliver = deliver
        self._name = name
        self._condition = threading.Condition()
        self._ticket = 0
        self._waiting: _Job | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._busy = False

    @property
    def busy(self) -> bool:
        """Whether a job waits or runs."""
        with self._condition:
            return self._busy or self._waiting is not None

    def submit(
        self,
        steps: Callable[[], Iterator[Any]],
        receive: Callable[[Any], None],
        failed: Callable[[Exception], None],
        patience_s: float = 0.0,
    ) -> None:
        """Run `steps` next, instead of what waits or runs.

        Parameters
        ----------
        steps : callable
            Gives an iterator; all its work is done in the background thread.
        receive : callable
            Takes each yielded value, in the window's thread.
        failed : callable
            Takes the exception that ended the job, in the window's thread.
        patience_s : float
            How long to wait here for the first value, so that what comes that fast is drawn
            together with everything else that the same mouse event changes.
        """
        with self._condition:
            if self._closed:
                return
            self._ticket += 1
            job = self._waiting = _Job(self._ticket, steps, receive, failed)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._condition.notify()
        if patience_s and job.came.wait(patience_s) and job.first is not None:
            job.first()

    def cancel(self) -> None:
        """Forget what waits or runs."""
        with self._condition:
            self._ticket += 1
            self._waiting = None

    def close(self, timeout: float = 2.0) -> None:
        """End the thread; nothing is handed over any more."""
        with self._condition:
            self._closed = True
            self._ticket += 1
            self._waiting = None
            self._condition.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._busy = False
                while self._waiting is None:
                    if self._closed:
                        return
                    self._condition.wait()
                job, self._waiting = self._waiting, None
                self._busy = True
            self._work(job)

    def _work(self, job: _Job) -> None:
        try:
            for value in job.steps():
                if job.ticket != self._ticket:
                    return
                self._hand_over(job, job.receive, value)
        except Exception as error:  # noqa: BLE001  whatever it is, the window must tell the user
            self._hand_over(job, job.failed, error)

    def _hand_over(self, job: _Job, receive: Callable[[Any], None], value: Any) -> None:
        handed_over = False

        def call() -> None:
            nonlocal handed_over
            if job.ticket == self._ticket and not handed_over:
                handed_over = True
                receive(value)

        if job.first is None:
            job.first = call
            job.came.set()
        self._deliver(call)
