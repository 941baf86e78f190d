"""Keeps a calibration beside the scan when the user changes it, in the background."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from psygnal import Signal

from napari_polmap.errors import PolmapError
from napari_polmap.io.sidecar import save_sidecar
from napari_polmap.scan import Scan
from napari_polmap.viewer.latest import LatestJob
from napari_polmap.viewer.session import Session

REST_S = 0.5
"""How long the calibration must stay the newest before it is written."""


class Keeper:
    """Writes the sidecar of a session's scan after changes, once they have come to rest.

    Parameters
    ----------
    session : Session
    deliver : callable
        Runs a function in the window's thread.
    tell : callable
        Takes the sentence for the user where nothing can be written.
    """

    kept = Signal(object)
    """Path of the sidecar that was written."""

    def __init__(
        self,
        session: Session,
        deliver: Callable[[Callable[[], None]], None],
        tell: Callable[[str], object],
    ) -> None:
        self.session = session
        self._tell = tell
        self._jobs = LatestJob(deliver, "polmap-sidecar")
        self._waiting: Scan | None = None
        session.calibration_edited.connect(self._on_edited)
        session.scan_opened.connect(self.flush)

    def close(self) -> None:
        """Write what waits, and stop listening."""
        self.session.calibration_edited.disconnect(self._on_edited, missing_ok=True)
        self.session.scan_opened.disconnect(self.flush, missing_ok=True)
        self.flush()
        self._jobs.close()

    @property
    def waiting(self) -> bool:
        """Whether something is still to be written."""
        return self._waiting is not None

    def flush(self) -> None:
        """Write at once what waits."""
        scan, self._waiting = self._waiting, None
        self._jobs.cancel()
        if scan is not None:
            # Another scan is being opened or the window closes: no place to tell a failure.
            with contextlib.suppress(PolmapError):
                save_sidecar(scan)

    def _on_edited(self) -> None:
        scan = self.session.scan
        if scan is None or scan.path is None:
            return
        self._waiting = scan

        def steps() -> Iterator[tuple[Scan, Path] | None]:
            time.sleep(REST_S)
            yield None
            yield scan, save_sidecar(scan)

        self._jobs.submit(steps, self._take, self._fail)

    def _take(self, written: tuple[Scan, Path] | None) -> None:
        if written is not None:
            scan, path = written
            if self._waiting is scan:
                self._waiting = None
            self.kept.emit(path)

    def _fail(self, error: Exception) -> None:
        self._waiting = None
        if not isinstance(error, PolmapError):
            raise error
        self._tell(str(error))
