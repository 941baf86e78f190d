"""Named background jobs of a window, with what each is doing, for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari.utils.notifications import show_error
from psygnal import Signal

from napari_polmap.errors import PolmapError
from napari_polmap.widgets.workers import Job


@dataclass(frozen=True)
class Activity:
    """What a background job is doing.

    Parameters
    ----------
    text : str
        For people.
    done, total : int
        Steps; a total of 0 where they cannot be counted.
    """

    text: str
    done: int = 0
    total: int = 0


class Jobs:
    """Runs jobs by name, one of each name at a time, and knows what they are doing."""

    activity_changed = Signal()
    """`activities` are others."""

    def __init__(self) -> None:
        self.activities: dict[str, Activity] = {}
        self._jobs: dict[str, Job] = {}

    def drop_all(self) -> None:
        """End all jobs and forget what they did."""
        for name in list(self._jobs):
            self.drop(name)

    def start(
        self,
        name: str,
        activity: Activity,
        steps: Callable[..., Any],
        *arguments: Any,
        **slots: Any,
    ) -> Job:
        """Run a job in the place of the one of the same name.

        Parameters
        ----------
        name : str
        activity : Activity
            What to say until it tells more.
        steps, *arguments, **slots
            See `Job`; errors that tell the user about bad input become one notification.
        """
        self.drop(name)

        def ending(slot: Callable[..., None] | None) -> Callable[..., None]:
            def end(*values: Any) -> None:
                self._forget(name)
                if slot is not None:
                    slot(*values)

            return end

        failed = slots.get("on_failed", self._tell)
        job = Job(
            steps,
            *arguments,
            on_steps=slots.get("on_steps"),
            on_done=ending(slots.get("on_done")),
            on_stopped=ending(slots.get("on_stopped")),
            on_failed=ending(failed),
        )
        self._jobs[name] = job
        self.tell(name, activity)
        return job

    def tell(self, name: str, activity: Activity) -> None:
        """Say what a job is doing now."""
        if name in self._jobs:
            self.activities[name] = activity
            self.activity_changed.emit()

    def drop(self, name: str) -> None:
        """End a job and forget what it did."""
        job = self._jobs.get(name)
        if job is not None:
            job.drop()
            self._forget(name)

    def stop(self, name: str) -> None:
        """End a job and keep what it did."""
        if name in self._jobs:
            self._jobs[name].stop()

    def running(self, name: str) -> bool:
        """Whether a job of this name is under way."""
        return name in self._jobs

    @property
    def busy(self) -> bool:
        """Whether any job is under way."""
        return bool(self._jobs)

    def _forget(self, name: str) -> None:
        self._jobs.pop(name, None)
        self.activities.pop(name, None)
        self.activity_changed.emit()

    @staticmethod
    def _tell(error: Exception) -> None:
        if not isinstance(error, PolmapError):
            raise error
        show_error(str(error))
