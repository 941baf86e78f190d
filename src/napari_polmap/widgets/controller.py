"""What the dock does: starts background jobs and hands their results to the session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from psygnal import Signal

from napari_polmap.errors import PolmapError, ScanChoiceError
from napari_polmap.scan import Scan
from napari_polmap.viewer.jobs import (
    iter_load_classifier,
    iter_open,
    iter_open_again,
    iter_warm_up,
)
from napari_polmap.viewer.manager import LayerManager
from napari_polmap.viewer.preview import Image
from napari_polmap.viewer.reader import follow
from napari_polmap.viewer.regions import RegionWatcher
from napari_polmap.viewer.session import Session, ShapeQuestion
from napari_polmap.viewer.tags import Role
from napari_polmap.widgets.calibrator import Calibrator
from napari_polmap.widgets.imager import Imager
from napari_polmap.widgets.jobs import Activity, Jobs

WARM_UP = "warm-up"


class Controller(Jobs):
    """Starts and ends the dock's background jobs for opening scans and reading classifiers.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    classifier_failed = Signal(str)
    """A classifier could not be read."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        follow(viewer)
        self.calibrator = Calibrator.of(viewer)
        self.calibrator.join(id(self))
        self.imager = Imager.of(viewer)
        self.imager.join(self)
        self.manager = LayerManager.of(viewer)
        self.session = Session.of(viewer)
        self.regions = RegionWatcher(viewer)
        self._connections: list[tuple[Any, Callable[..., None]]] = [
            (self.session.scan_opened, self._on_scan_opened),
            (self.calibrator.activity_changed, self.activity_changed.emit),
            (self.imager.activity_changed, self.activity_changed.emit),
            (self.activity_changed, self._warm_up),
        ]
        for signal, slot in self._connections:
            signal.connect(slot)
        self._warm = False
        if self.session.scan is not None or self.session.map is not None:
            self._on_scan_opened()

    def close(self) -> None:
        """End all jobs and stop listening."""
        for signal, slot in self._connections:
            signal.disconnect(slot, missing_ok=True)
        self._connections = []
        self.drop_all()
        self.calibrator.leave(id(self))
        self.imager.leave(self)
        self.regions.close()

    @property
    def busy(self) -> bool:
        """Whether any job is under way, here, in the calibration or for images."""
        return super().busy or self.calibrator.busy or self.imager.busy

    def _warm_up(self) -> None:
        """Once, when there is a scan and nothing else is to be done."""
        idle = not self.busy and bool(self._connections)
        if idle and not self._warm and self.session.scan is not None:
            self._warm = True
            self.start(WARM_UP, Activity("Getting ready"), iter_warm_up)

    # Scan

    def open_scan(
        self,
        path: Path,
        *,
        on_opened: Callable[[], None] | None = None,
        on_failed: Callable[[str], None] | None = None,
        **options: Any,
    ) -> None:
        """Open a scan file.

        Parameters
        ----------
        path : Path
        on_opened : callable, optional
            Called when it is shown.
        on_failed : callable, optional
            Takes the sentence of what is wrong, instead of a notification or a question.
        **options
            Of `napari_polmap.load_scan`.
        """
        if on_failed is None:
            self.session.answered()

        def done(opened: tuple[Scan, Image]) -> None:
            self._show_scan(*opened, asked=bool(options))
            if on_opened is not None:
                on_opened()

        def failed(error: Exception) -> None:
            if on_failed is not None and isinstance(error, PolmapError):
                on_failed(str(error))
            elif isinstance(error, ScanChoiceError):
                self.session.ask_shape(ShapeQuestion.of(path, error, options))
            else:
                self._tell(error)

        self.start(
            "open",
            Activity(f"Opening {path.name}"),
            iter_open,
            path,
            options,
            on_done=done,
            on_failed=failed,
        )

    def _show_scan(self, scan: Scan, image: Image, asked: bool) -> None:
        self.session.open(scan, {Role.VIRTUAL: image})
        if asked:
            # What the user was asked for once is not asked again.
            self.session.calibration_edited.emit()

    def _on_scan_opened(self) -> None:
        if self.session.scan is not None:
            self.calibrator.measure()
        elif self.session.map is not None:
            self._find_scan()

    def _find_scan(self) -> None:
        """Open the scan that a map was made from, where it still lies."""
        polarization_map = self.session.map
        path = None if polarization_map is None else polarization_map.scan.path
        if polarization_map is None or path is None or not Path(path).exists():
            return
        identity = polarization_map.scan

        def join(opened: tuple[Scan, Image]) -> None:
            scan, image = opened
            if self.session.map is polarization_map and scan.shape == identity.shape:
                calibrated = scan.with_calibration(polarization_map.calibration)
                self.session.images[Role.VIRTUAL] = image
                self.session.join_scan(calibrated)

        self.start(
            "open",
            Activity(f"Opening {Path(path).name}"),
            iter_open_again,
            Path(path),
            identity.shape,
            on_done=join,
            # The map can be looked at without its scan.
            on_failed=lambda _: None,
        )

    # Classifier

    def load_classifier(self, name_or_path: str | Path) -> None:
        """Read a classifier and choose it."""

        def failed(error: Exception) -> None:
            self._tell(error)
            self.classifier_failed.emit(str(error))

        self.start(
            "classifier",
            Activity(f"Reading classifier {name_or_path}"),
            iter_load_classifier,
            name_or_path,
            on_done=self.session.set_classifier,
            on_failed=failed,
        )
