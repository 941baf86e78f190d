"""What the dock does: starts background jobs and hands their results to the session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error
from psygnal import Signal

from napari_polmap.errors import PolmapError, ScanShapeError
from napari_polmap.scan import Scan
from napari_polmap.viewer.jobs import (
    ImageStep,
    iter_images,
    iter_load_classifier,
    iter_measure,
    iter_open,
    iter_warm_up,
    preset_detector,
)
from napari_polmap.viewer.manager import LayerManager
from napari_polmap.viewer.preview import Image
from napari_polmap.viewer.reader import follow
from napari_polmap.viewer.regions import RegionWatcher
from napari_polmap.viewer.session import DRAWN, Session, ShapeQuestion
from napari_polmap.viewer.tags import Role
from napari_polmap.widgets.workers import Job

BRIGHT_FIELD = "bright field"
WARM_UP = "warm-up"


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


class Controller:
    """Starts and ends the dock's background jobs for opening, calibration, images, classifiers.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    activity_changed = Signal()
    """`activities` are others."""
    classifier_failed = Signal(str)
    """A classifier could not be read."""

    def __init__(self, viewer: Any) -> None:
        follow(viewer)
        self.manager = LayerManager.of(viewer)
        self.session = Session.of(viewer)
        self.regions = RegionWatcher(viewer)
        self.activities: dict[str, Activity] = {}
        self.detector_kind = BRIGHT_FIELD
        self.center_of_mass = False
        self._jobs: dict[str, Job] = {}
        self._imaged: tuple[Any, Any, bool] | None = None
        self._connections: list[tuple[Any, Callable[..., None]]] = [
            (self.session.scan_opened, self._on_scan_opened),
            (self.session.scan_changed, self._on_scan_changed),
            (self.session.detector_changed, self._on_detector),
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
        for name in list(self._jobs):
            self.drop(name)
        self.regions.close()

    # Jobs

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
        self._warm_up()

    def _warm_up(self) -> None:
        """Once, when there is a scan and nothing else is to be done."""
        idle = not self._jobs and bool(self._connections)
        if idle and not self._warm and self.session.scan is not None:
            self._warm = True
            self.start(WARM_UP, Activity("Getting ready"), iter_warm_up)

    @staticmethod
    def _tell(error: Exception) -> None:
        if not isinstance(error, PolmapError):
            raise error
        show_error(str(error))

    # Scan

    def open_scan(self, path: Path, **options: Any) -> None:
        """Open a scan file with options of `napari_polmap.load_scan`."""
        self.session.answered()

        def failed(error: Exception) -> None:
            if isinstance(error, ScanShapeError):
                self.session.ask_shape(ShapeQuestion(path, str(error), error.candidates, options))
            else:
                self._tell(error)

        self.start(
            "open",
            Activity(f"Opening {path.name}"),
            iter_open,
            path,
            options,
            on_done=lambda opened: self._show_scan(*opened),
            on_failed=failed,
        )

    def _show_scan(self, scan: Scan, image: Image) -> None:
        self.session.open(scan, {Role.VIRTUAL: image})

    def _on_scan_opened(self) -> None:
        for name in ("measure", "images"):
            self.drop(name)
        self._imaged = None
        self.detector_kind = BRIGHT_FIELD
        if self.session.scan is not None:
            self.measure()
        elif self.session.map is not None:
            self._find_scan()

    def _find_scan(self) -> None:
        """Open the scan that a map was made from, where it still lies."""
        polarization_map = self.session.map
        path = None if polarization_map is None else polarization_map.scan.path
        if polarization_map is None or path is None or not Path(path).exists():
            return
        identity = polarization_map.scan
        options = {"nav_shape": identity.shape[:2]}

        def join(opened: tuple[Scan, Image]) -> None:
            scan, image = opened
            if self.session.map is polarization_map and scan.shape == identity.shape:
                calibrated = scan.with_calibration(polarization_map.calibration)
                self.session.images[Role.VIRTUAL] = image
                self.session.join_scan(calibrated)

        self.start(
            "open",
            Activity(f"Opening {Path(path).name}"),
            iter_open,
            Path(path),
            options,
            on_done=join,
            # The map can be looked at without its scan.
            on_failed=lambda _: None,
        )

    def measure(self) -> None:
        """Measure what is not known of the calibration, then make the virtual image."""
        scan = self.session.scan
        if scan is None:
            return

        def done(measured: Scan) -> None:
            if self.session.scan is scan:
                self.session.recalibrate(measured)
            else:
                # The user changed a value meanwhile.
                self.measure()

        def failed(error: Exception) -> None:
            self._tell(error)
            self.choose_detector(self.detector_kind)

        self.start(
            "measure",
            Activity("Measuring the bright-field disk"),
            iter_measure,
            scan,
            on_done=done,
            on_failed=failed,
        )

    def set_calibration(self, **values: Any) -> None:
        """Take the user's values; impossible ones are told and change nothing."""
        try:
            self.session.set_calibration(**values)
        except PolmapError as error:
            show_error(str(error))

    def reset_calibration(self, name: str) -> None:
        """Back to the file's value, or to a measured one."""
        if self.session.reset_calibration(name):
            self.measure()

    # Images

    def choose_detector(self, kind: str) -> None:
        """Choose a preset of the virtual detector."""
        self.detector_kind = kind
        scan = self.session.scan
        if scan is not None and kind != DRAWN:
            detector = preset_detector(kind, scan.calibration, scan.detector_shape)
            if detector is not None:
                self.session.set_detector(detector)

    def set_center_of_mass(self, wanted: bool) -> None:
        """Compute the center of mass too."""
        self.center_of_mass = wanted
        for role in (Role.COM_KY, Role.COM_KX):
            self.manager.show(role, wanted)
        self._make_images()

    def _on_scan_changed(self) -> None:
        if self.session.scan is not None and not self.running("measure"):
            if self.session.detector is None or self.session.detector.kind != DRAWN:
                self.choose_detector(self.detector_kind)
            else:
                self._make_images()

    def _on_detector(self) -> None:
        if self.session.detector is not None:
            self.detector_kind = self.session.detector.kind
        self._make_images()

    def _make_images(self) -> None:
        scan, detector = self.session.scan, self.session.detector
        if scan is None or detector is None:
            return
        center = scan.calibration.center_px
        wanted = (scan.data.name, detector.mask.tobytes(), self.center_of_mass and center)
        if wanted == self._imaged:
            return
        self._imaged = wanted
        self.start(
            "images",
            Activity(f"Virtual image: {detector.kind}", 0, 1),
            iter_images,
            scan,
            detector.mask,
            self.center_of_mass,
            on_steps=self._take_images,
        )

    def _take_images(self, steps: list[ImageStep]) -> None:
        last = steps[-1]
        for role, image in last.images.items():
            self.session.set_image(role, image)
        if self.session.detector is not None:
            text = f"Virtual image: {self.session.detector.kind}"
            self.tell("images", Activity(text, last.done, last.total))

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
