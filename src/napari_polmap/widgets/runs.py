"""Classifying, reclassifying, undoing and keeping maps, in the background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_error, show_info
from psygnal import Signal

from napari_polmap.errors import PolmapError
from napari_polmap.polarization_map import HistoryStep
from napari_polmap.viewer.autosave import new_map_path
from napari_polmap.viewer.jobs import iter_change, iter_run, iter_save
from napari_polmap.viewer.preferences import preferences
from napari_polmap.viewer.session import Rectangle
from napari_polmap.widgets.controller import Activity, Controller
from napari_polmap.widgets.parts import duration_text

if TYPE_CHECKING:
    from napari_polmap.mapping import Progress

MAP, REGION, SAVE = "map", "region", "save"


@dataclass(frozen=True)
class RunSettings:
    """How a scan is classified.

    Parameters
    ----------
    window_cells : float
        Width of the window in unit cells.
    only_region : bool
        Only the rectangle around the drawn region.
    force : bool
        Although the classifier does not apply.
    out : Path, optional
        Where the map grows; by default in the cache folder.
    """

    window_cells: float
    only_region: bool = False
    force: bool = False
    out: Path | None = None


class Runs:
    """Starts and ends what makes and changes the session's map.

    Parameters
    ----------
    controller : Controller
    """

    run_changed = Signal()
    """A run or reclassification began, went on or ended."""
    saved = Signal(str)
    """The map was written to this path by itself."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.session = controller.session
        self.unfinished: RunSettings | None = None
        """Settings of a run that was cancelled and can be continued."""
        self._save_again = False
        self.session.scan_opened.connect(self._on_scan_opened)

    def close(self) -> None:
        """Stop listening."""
        self.session.scan_opened.disconnect(self._on_scan_opened, missing_ok=True)

    @property
    def running(self) -> bool:
        """Whether a map is computed or changed."""
        return self.controller.running(MAP) or self.controller.running(REGION)

    def _on_scan_opened(self) -> None:
        for name in (MAP, REGION):
            self.controller.drop(name)
        self.unfinished = None
        self.run_changed.emit()

    # A whole map

    def run(self, settings: RunSettings, *, resume: bool = False) -> None:
        """Classify the session's scan with its classifier.

        Parameters
        ----------
        settings : RunSettings
        resume : bool
            Continue the map of the run that was cancelled.
        """
        scan, classifier = self.session.scan, self.session.classifier
        if scan is None or classifier is None:
            show_error("Open a scan and choose a classifier first.")
            return
        region = self._rectangle() if settings.only_region else None
        if settings.only_region and region is None:
            show_error("Draw a region over the scan first, or run over the whole scan.")
            return
        path = self.session.map_path if resume else settings.out
        path = path or new_map_path(scan.name)
        started = False
        last: Progress | None = None

        def step(steps: list[Progress]) -> None:
            nonlocal started, last
            last = steps[-1]
            if not started:
                started = True
                self.session.start_map(last.map, path)
            self.session.note_progress(last, _united(steps))
            self.controller.tell(MAP, _activity("Classifying", last))
            self.run_changed.emit()

        def done(_: Any) -> None:
            self._finish_run(last, None)

        def stopped() -> None:
            self._finish_run(last, settings)

        def failed(error: Exception) -> None:
            self._finish_run(last, settings if started else None)
            self.tell_error(error)

        options = {
            "region": region,
            "window": settings.window_cells,
            # 0: the classifier's own.
            "threshold": preferences().threshold or None,
            "resume": resume,
            "force": settings.force,
        }
        self.unfinished = None
        self.controller.start(
            MAP,
            Activity("Reading the scan"),
            iter_run,
            scan,
            classifier,
            path,
            options,
            on_steps=step,
            on_done=done,
            on_stopped=stopped,
            on_failed=failed,
        )
        self.run_changed.emit()

    def cancel(self) -> None:
        """End the run; what is done stays."""
        for name in (MAP, REGION):
            self.controller.stop(name)

    def _finish_run(self, last: Progress | None, unfinished: RunSettings | None) -> None:
        self.unfinished = unfinished if last is not None else None
        self.session.end_progress()
        self.run_changed.emit()

    def _rectangle(self) -> Rectangle | None:
        region = self.session.region
        if region is None or not region.any():
            return None
        rows, columns = np.nonzero(region.any(axis=1))[0], np.nonzero(region.any(axis=0))[0]
        return (
            slice(int(rows[0]), int(rows[-1]) + 1),
            slice(int(columns[0]), int(columns[-1]) + 1),
        )

    # Changes

    def reclassify(self, window_cells: float, *, force: bool = False) -> None:
        """Classify the drawn region again, as a step that can be undone."""
        scan, classifier = self.session.scan, self.session.classifier
        polarization_map, region = self.session.map, self.session.region
        if scan is None or classifier is None or polarization_map is None:
            show_error("Open the scan, choose a classifier and make a map first.")
            return
        if region is None:
            show_error("Draw a region over the map first.")
            return

        def done(step: HistoryStep) -> None:
            if self.session.map is polarization_map:
                self._change(lambda: self.session.apply(step))

        self.controller.start(
            REGION,
            Activity("Reclassifying the region"),
            iter_change,
            polarization_map,
            scan,
            region,
            classifier,
            {"window": window_cells, "force": force},
            on_steps=lambda steps: self.controller.tell(
                REGION, _activity("Reclassifying the region", steps[-1])
            ),
            on_done=done,
            on_stopped=self.run_changed.emit,
            on_failed=self._failed,
        )
        self.run_changed.emit()

    def undo(self) -> None:
        """Take the map's last change back."""
        self._change(self.session.undo)

    def redo(self) -> None:
        """Make the change undone last again."""
        self._change(self.session.redo)

    def set_threshold(self, threshold: float) -> None:
        """Show positions of less confidence as undecided; nothing is computed again."""
        self.session.set_threshold(threshold)

    def _change(self, change: Callable[[], None]) -> None:
        if self.running:
            show_info("The map is still being computed; cancel that or wait for its end.")
            return
        try:
            change()
        except PolmapError as error:
            show_error(str(error))
            return
        self.keep()
        self.run_changed.emit()

    def _failed(self, error: Exception) -> None:
        self.run_changed.emit()
        self.tell_error(error)

    @staticmethod
    def tell_error(error: Exception) -> None:
        """One notification for what the user must know; bugs are raised."""
        if not isinstance(error, PolmapError):
            raise error
        show_error(str(error))

    # Keeping

    def keep(self) -> None:
        """Write the map as it is now to its place, in the background."""
        polarization_map = self.session.map
        if polarization_map is None or self.controller.running(MAP):
            return
        if self.controller.running(SAVE):
            self._save_again = True
            return
        if self.session.map_path is None:
            self.session.map_path = new_map_path(Path(polarization_map.scan.path or "map").stem)

        def done(path: Path) -> None:
            self.saved.emit(str(path))
            if self._save_again:
                self._save_again = False
                self.keep()

        self.controller.start(
            SAVE,
            Activity("Keeping the map"),
            iter_save,
            polarization_map.copy(),
            self.session.map_path,
            on_done=done,
            on_failed=self._failed,
        )


def _united(steps: list[Progress]) -> Rectangle | None:
    """The smallest rectangle around all changed positions, None where there are none."""
    changed = [(s.rows, s.columns) for s in steps if s.rows is not None and s.columns is not None]
    if not changed:
        return None
    return (
        slice(min(r.start for r, _ in changed), max(r.stop for r, _ in changed)),
        slice(min(c.start for _, c in changed), max(c.stop for _, c in changed)),
    )


def _activity(text: str, progress: Progress) -> Activity:
    left = progress.remaining_s
    if left is not None and progress.done < progress.total:
        text = f"{text}, {duration_text(left)} left"
    return Activity(text, progress.done, progress.total)
