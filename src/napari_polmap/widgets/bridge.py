"""From background threads to the window's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from qtpy.QtCore import QObject, Signal


class Bridge(QObject):
    """Hands calls from other threads to the one that made it."""

    _calls = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._calls.connect(self._run)

    def deliver(self, call: Callable[[], None]) -> None:
        """Run a function in the window's thread, later."""
        # The window may be gone by the time a thread is done.
        with contextlib.suppress(RuntimeError):
            self._calls.emit(call)

    def _run(self, call: Callable[[], None]) -> None:
        call()
