"""What a viewer's docks do with the calibration: measure it, change it, keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from napari.utils.notifications import show_error, show_warning

from napari_polmap.errors import PolmapError
from napari_polmap.scan import Scan
from napari_polmap.viewer.jobs import iter_measure
from napari_polmap.viewer.keeper import Keeper
from napari_polmap.viewer.session import Session
from napari_polmap.widgets.bridge import Bridge
from napari_polmap.widgets.jobs import Activity, Jobs

MEASURE = "measure"


class Calibrator(Jobs):
    """The calibration of a viewer's scan: one for all its docks, at work while one is open.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    _calibrators: ClassVar[WeakKeyDictionary[Any, Calibrator]] = WeakKeyDictionary()

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.session = Session.of(viewer)
        self.keeper: Keeper | None = None
        self._bridge = Bridge()
        self._users: set[int] = set()
        self._measured: Scan | None = None

    @classmethod
    def of(cls, viewer: Any) -> Calibrator:
        """The one of a viewer, made when first asked for."""
        key = getattr(viewer, "__wrapped__", viewer)
        if key not in cls._calibrators:
            cls._calibrators[key] = cls(viewer)
        return cls._calibrators[key]

    # While a dock is open

    def join(self, user: int) -> None:
        """Work for a dock (its ``id``), until it leaves."""
        if not self._users:
            self.keeper = Keeper(self.session, self._bridge.deliver, show_warning)
            self.session.scan_opened.connect(self._on_scan_opened)
        self._users.add(user)

    def leave(self, user: int) -> None:
        """End the work with the last dock; what is to be kept is kept."""
        self._users.discard(user)
        if not self._users and self.keeper is not None:
            self.session.scan_opened.disconnect(self._on_scan_opened, missing_ok=True)
            self.drop_all()
            self.keeper.close()
            self.keeper = None

    def _on_scan_opened(self) -> None:
        self.drop_all()
        self.measure()

    # What is not known

    @property
    def measuring(self) -> bool:
        """Whether what is not known is being measured."""
        return self.running(MEASURE)

    def measure(self) -> None:
        """Measure what is not known of the calibration."""
        scan = self.session.scan
        if scan is None or (self.measuring and self._measured is scan):
            return
        self._measured = scan

        def done(measured: Scan) -> None:
            if self.session.scan is scan:
                self.session.recalibrate(measured)
            else:
                # The user changed a value meanwhile.
                self.measure()

        def failed(error: Exception) -> None:
            self._tell(error)
            if self.session.scan is scan:
                # Those who waited for it go on with what there is.
                self.session.recalibrate(scan)

        self.start(
            MEASURE,
            Activity("Measuring the bright-field disk"),
            iter_measure,
            scan,
            on_done=done,
            on_failed=failed,
        )

    # Changes, each one step that can be undone

    def set_calibration(self, **values: Any) -> None:
        """Take the user's values; impossible ones are told and change nothing."""
        self._told(lambda: self.session.set_calibration(**values))

    def take_measured(
        self, text: str, values: Mapping[str, Any], errors: Mapping[str, Any] | None = None
    ) -> None:
        """Take measured values, with their standard errors where known."""
        self._told(lambda: self.session.take_measured(text, values, errors))

    def set_bad_pixels(self, mask: Any, text: str = "bad pixels") -> None:
        """Mask other pixels; an impossible mask is told and changes nothing."""
        self._told(lambda: self.session.set_bad_pixels(mask, text))

    def reset(self, name: str) -> None:
        """Back to the file's value, or to a measured one."""
        if self.session.reset_calibration(name):
            self.measure()

    def reset_all(self) -> None:
        """Back to what the file says; the rest is measured."""
        self.session.reset_all()
        self.measure()

    def undo(self) -> None:
        """Take the last change back."""
        self.session.undo_calibration()
        self.fill()

    def redo(self) -> None:
        """Make the change undone last again."""
        self.session.redo_calibration()
        self.fill()

    def fill(self) -> None:
        """Measure if the disk is not known, as after a step back."""
        calibration = self.session.calibration
        if calibration.center_px is None or calibration.radius_px is None:
            self.measure()

    def keep(self) -> None:
        """Keep the calibration as it is, though the user changed nothing."""
        self.session.calibration_edited.emit()

    @staticmethod
    def _told(change: Callable[[], None]) -> None:
        try:
            change()
        except PolmapError as error:
            show_error(str(error))
