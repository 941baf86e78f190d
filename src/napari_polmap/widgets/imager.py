"""What a viewer's docks do with images: make them, at once while a detector is dragged, exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from napari.utils.notifications import show_error
from psygnal import Signal

from napari_polmap.diffraction.detectors import BRIGHT_FIELD
from napari_polmap.diffraction.reduced import ReducedScan
from napari_polmap.errors import PolmapError
from napari_polmap.viewer.images import (
    CenterOfMassChoice,
    Image,
    ImageStep,
    Offsets,
    iter_com_images,
    iter_images,
    iter_reduced,
    live_image,
)
from napari_polmap.viewer.latest import LatestJob
from napari_polmap.viewer.manager import LayerManager
from napari_polmap.viewer.preferences import preferences
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.tags import COM_ROLES, Role
from napari_polmap.viewer.virtual_detector import VirtualDetector, followed, make_detector
from napari_polmap.widgets.bridge import Bridge
from napari_polmap.widgets.jobs import Activity, Jobs

IMAGES, REDUCED, COM = "images", "reduced", "center of mass"
"""Names of its jobs."""
_PATIENCE_S = 0.03
"""How long a drag waits for its image, so that outline and image are drawn together."""


class Imager(Jobs):
    """The images of a viewer's scan: one for all its docks, at work while one is open.

    The exact image of the session's detector is computed in the background. While a detector is
    dragged its image comes from a reduced copy of the scan in memory, once that is there.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    wanted_changed = Signal()
    """Other images are wanted, or made otherwise."""

    _imagers: ClassVar[WeakKeyDictionary[Any, Imager]] = WeakKeyDictionary()

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.session = Session.of(viewer)
        self.manager = LayerManager.of(viewer)
        self.kind = BRIGHT_FIELD
        """Of the detector that is chosen, or waits for the disk to be known."""
        self.paired = False
        self.wanted: set[Role] = set()
        """Which of `COM_ROLES` are shown."""
        self.choice = CenterOfMassChoice()
        self.reduced: ReducedScan | None = None
        self.dragging = False
        self._bridge = Bridge()
        self._live: LatestJob | None = None
        self._computing = self._again = False
        self._users: set[int] = set()
        self._draggers: set[int] = set()
        self._offsets: Offsets | None = None
        self._exact: Any = None
        self._offsets_of: Any = None
        self._reduced_of: Any = None

    @classmethod
    def of(cls, viewer: Any) -> Imager:
        """The one of a viewer, made when first asked for."""
        key = getattr(viewer, "__wrapped__", viewer)
        if key not in cls._imagers:
            cls._imagers[key] = cls(viewer)
        return cls._imagers[key]

    # While a dock is open

    @property
    def _connections(self) -> list[tuple[Any, Callable[..., None]]]:
        return [
            (self.session.scan_opened, self._on_scan_opened),
            (self.session.scan_changed, self._on_scan_changed),
            (self.session.detector_changed, self._on_detector),
            (self.session.detector_dragged, self._on_dragged),
        ]

    def join(self, user: object, *, drags: bool = False) -> None:
        """Work for a dock, until it leaves.

        Parameters
        ----------
        user : object
        drags : bool
            Whether it lets the user drag the detector: only then the scan is read for it.
        """
        if not self._users:
            self._live = LatestJob(self._bridge.deliver, "polmap-live-image")
            for signal, slot in self._connections:
                signal.connect(slot)
        self._users.add(id(user))
        if drags:
            self._draggers.add(id(user))
        self._on_scan_changed()

    def leave(self, user: object) -> None:
        """End the work with the last dock."""
        self._draggers.discard(id(user))
        if id(user) not in self._users:
            return
        self._users.discard(id(user))
        if not self._users:
            for signal, slot in self._connections:
                signal.disconnect(slot, missing_ok=True)
            self.drop_all()
            if self._live is not None:
                self._live.close()
                self._live = None
            self.reduced = self._reduced_of = self._exact = None

    # Choices

    def choose(self, kind: str) -> None:
        """Choose a preset or a free shape; one to be drawn waits for its drawing."""
        self.kind = kind
        scan = self.session.scan
        if scan is None:
            return
        detector = make_detector(kind, scan.calibration, scan.detector_shape, self.paired)
        if detector is not None:
            self.session.set_detector(detector)
        self.wanted_changed.emit()

    def pair(self, paired: bool) -> None:
        """Subtract the mirrored detector, or not."""
        self.paired = paired
        detector = self.session.detector
        if detector is not None:
            made = VirtualDetector(detector.kind, detector.shape, paired)
            self.session.set_detector(made)

    def want(self, role: Role, wanted: bool) -> None:
        """Show one of `COM_ROLES`, or not."""
        self.wanted = self.wanted | {role} if wanted else self.wanted - {role}
        self.manager.show(role, wanted)
        self.wanted_changed.emit()
        if wanted:
            self._make_images()

    def choose_com(self, choice: CenterOfMassChoice) -> None:
        """Make the images of the center of mass otherwise."""
        if choice != self.choice:
            self.choice = choice
            self.wanted_changed.emit()
            self._make_com()

    # Following the session

    def _on_scan_opened(self) -> None:
        self.drop_all()
        if self._live is not None:
            self._live.cancel()
        self._computing = self._again = self.dragging = False
        self.reduced = self._offsets = None
        self._exact = self._offsets_of = self._reduced_of = None
        self.kind, self.paired = BRIGHT_FIELD, False
        self.wanted = set()
        self.wanted_changed.emit()

    def _on_scan_changed(self) -> None:
        scan, detector = self.session.scan, self.session.detector
        if scan is None:
            return
        if detector is None:
            detector = make_detector(self.kind, scan.calibration, scan.detector_shape, self.paired)
        else:
            detector = followed(detector, scan.calibration)
        if detector is not None and detector != self.session.detector:
            self.session.set_detector(detector)
        else:
            self._make_images()
        if self._offsets is not None and self._offsets_of == self._offsets_key():
            self._make_com()

    def _on_detector(self) -> None:
        detector = self.session.detector
        if detector is not None:
            self.kind, self.paired = detector.kind, detector.paired
        self.dragging = False
        self.wanted_changed.emit()
        if self.reduced is not None and self.session.scan is not None:
            self._show_live()
        self._make_images()

    def _on_dragged(self) -> None:
        detector = self.session.detector
        if detector is None:
            return
        if not self.dragging:
            self.dragging = True
            self.drop(IMAGES)  # of a detector that is gone
            self._exact = None
        if detector.kind != self.kind:
            self.kind = detector.kind
        self.wanted_changed.emit()
        self._show_live()

    # At once

    def _show_live(self) -> None:
        """The image of the present detector; while one is computed, the newest comes next."""
        scan, detector, reduced = self.session.scan, self.session.detector, self.reduced
        if scan is None or detector is None or self._live is None:
            return
        if self._computing:
            self._again = True
            return
        self._computing, self._again = True, False

        def receive(image: Image) -> None:
            self._computing = False
            if self.session.scan is scan and not self.running(IMAGES):
                self.session.set_image(Role.VIRTUAL, image)
            if self._again:
                self._show_live()

        def failed(error: Exception) -> None:
            self._computing = False
            if not isinstance(error, PolmapError):
                raise error
            show_error(str(error))

        self._live.submit(
            lambda: iter([live_image(scan, detector, reduced)]),
            receive,
            failed,
            patience_s=_PATIENCE_S,
        )

    def _make_reduced(self) -> None:
        """Read the scan for dragging, once nothing else is to be computed."""
        scan = self.session.scan
        if scan is None or not self._draggers or self.running(IMAGES):
            return
        calibration = scan.calibration
        what = (scan.data.name, scan.bad_pixels_sha256, calibration.descan_px)
        if what == self._reduced_of:
            return
        self._reduced_of, self.reduced = what, None
        text = "Getting ready for dragging detectors"

        def done(reduced: ReducedScan) -> None:
            self.reduced = reduced

        def failed(error: Exception) -> None:
            self._tell(error)

        self.start(
            REDUCED,
            Activity(text),
            iter_reduced,
            scan,
            preferences().reduced_mb * 2**20,
            on_steps=lambda steps: self.tell(
                REDUCED, Activity(text, steps[-1].done, steps[-1].total)
            ),
            on_done=done,
            on_failed=failed,
        )

    # Exactly

    def _offsets_key(self) -> Any:
        scan = self.session.scan
        if scan is None:
            return None
        calibration = scan.calibration
        return (
            scan.data.name,
            scan.bad_pixels_sha256,
            calibration.center_px,
            calibration.descan_px,
        )

    def _exact_key(self) -> Any:
        scan, detector = self.session.scan, self.session.detector
        if scan is None or detector is None:
            return None
        calibration = scan.calibration
        turned = calibration.center_px if detector.paired else None
        return (
            scan.data.name,
            scan.bad_pixels_sha256,
            detector,
            calibration.ellipse,
            calibration.descan_px,
            turned,
        )

    def _make_images(self) -> None:
        scan, detector = self.session.scan, self.session.detector
        if scan is None or self.dragging:
            return
        image_missing = detector is not None and self._exact != self._exact_key()
        com_missing = bool(self.wanted) and self._offsets_of != self._offsets_key()
        if not image_missing and not com_missing:
            if self.wanted - set(self.session.images):
                self._make_com()
            self._make_reduced()
            return
        if self.running(IMAGES) and not image_missing and self._exact is not None:
            # The running job goes on to its end; the centers of mass come after it.
            return
        exact, offsets_of = self._exact_key(), self._offsets_key()
        self._exact = exact
        title = "center of mass" if detector is None else detector.title
        text = f"Virtual image: {title}" if image_missing else "Centers of mass"

        def done(offsets: Offsets | None) -> None:
            if offsets is not None:
                self._offsets, self._offsets_of = offsets, offsets_of
                self._make_com()
            self._make_images()

        def failed(error: Exception) -> None:
            self._exact = None
            self._tell(error)

        def steps(came: list[ImageStep]) -> None:
            for role, image in came[-1].images.items():
                self.session.set_image(role, image)
            self.tell(IMAGES, Activity(text, came[-1].done, came[-1].total))

        self.start(
            IMAGES,
            Activity(text, 0, 1),
            iter_images,
            scan,
            detector if image_missing else None,
            com_missing,
            self.reduced,
            on_steps=steps,
            on_done=done,
            on_failed=failed,
        )

    def _make_com(self) -> None:
        scan, offsets = self.session.scan, self._offsets
        if scan is None or offsets is None or not self.wanted:
            return

        def done(images: dict[Role, Image]) -> None:
            for role, image in images.items():
                self.session.set_image(role, image)

        roles = tuple(role for role in COM_ROLES if role in self.wanted)
        self.start(
            COM,
            Activity("Images of the center of mass"),
            iter_com_images,
            offsets,
            scan.calibration,
            roles,
            self.choice,
            on_done=done,
        )
