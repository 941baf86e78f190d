"""The state one napari window works on: scan, classifier, map, position; events, no Qt.

Everything here happens in the main thread. Whoever changes the state calls a method of `Session`;
layers and docks listen to its signals.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_polmap.calibration import VALUE_NAMES, Calibration, Source
from napari_polmap.errors import ScanChoiceError, ScanShapeError
from napari_polmap.polarization_map import HistoryStep, PolarizationMap
from napari_polmap.scan import Scan
from napari_polmap.viewer.calibration_history import CalibrationHistory, labeled
from napari_polmap.viewer.virtual_detector import VirtualDetector

if TYPE_CHECKING:
    from napari_polmap.classifiers import Classifier
    from napari_polmap.mapping import Progress

Rectangle = tuple[slice, slice]


DISK, BAD_PIXELS = "disk", "bad pixels"
"""What `Session.editing` can be."""


@dataclass(frozen=True)
class ShapeQuestion:
    """A file that opens only with an option that the user knows, mostly the scan's shape.

    Parameters
    ----------
    path : Path
        The file.
    message : str
        The sentence that asks.
    candidates : tuple of (int, int)
        Likely shapes (rows, columns), the likeliest first; empty where another option is missing.
    options : dict
        The other options it was opened with.
    """

    path: Path
    message: str
    candidates: tuple[tuple[int, int], ...]
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, path: Path, error: ScanChoiceError, options: dict[str, Any] | None = None
    ) -> ShapeQuestion:
        """The question that an error raises."""
        candidates = error.candidates if isinstance(error, ScanShapeError) else ()
        return cls(path, str(error), candidates, dict(options or {}))


class Session:
    """What the docks of one viewer share; views listen to its signals."""

    scan_opened = Signal()
    """Another scan, or none; `scan_changed` follows."""
    scan_changed = Signal()
    """Another scan, or the same with another calibration."""
    shape_asked = Signal()
    """`question` waits for an answer, or no longer."""
    classifier_changed = Signal()
    classifiers_changed = Signal()
    """Other classifiers are installed, or they have other names."""
    map_started = Signal()
    """A new `map` is there, to be filled, or read from a file."""
    map_changed = Signal(object)
    """Positions changed: ``(rows, columns)`` slices, or None for all (also threshold, undo)."""
    images_changed = Signal(str)
    """The image of this name in `images` is new or has new values."""
    position_changed = Signal()
    region_changed = Signal()
    """Another drawn region (a mask over positions), or none."""
    detector_changed = Signal()
    detector_dragged = Signal()
    """`detector` is a passing one, while the mouse drags it."""
    calibration_edited = Signal()
    """The user changed or accepted a calibration, which is worth keeping."""
    editing_changed = Signal()
    """`editing`, `brush_px` or `erasing` is another."""

    _sessions: ClassVar[WeakKeyDictionary[Any, Session]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.scan: Scan | None = None
        self.loaded: Calibration = Calibration()
        """What the scan's file says of its calibration."""
        self.calibrations = CalibrationHistory()
        self.errors: dict[str, tuple[Any, Any]] = {}
        """Measured values by name, each with its standard error."""
        self.editing = ""
        """What is edited with the mouse in the diffraction view: `DISK`, `BAD_PIXELS` or none."""
        self.brush_px, self.erasing = 3, False
        self.question: ShapeQuestion | None = None
        self.classifier: Classifier | None = None
        self.map: PolarizationMap | None = None
        self.map_path: Path | None = None
        """Where the map is kept while it grows and after each change."""
        self.images: dict[str, npt.NDArray[np.float32]] = {}
        """Virtual images and the center of mass by name, shape ``(y, x)``."""
        self.position: tuple[int, int] | None = None
        self.region: npt.NDArray[np.bool_] | None = None
        self.detector: VirtualDetector | None = None
        self.progress: Progress | None = None

    @classmethod
    def of(cls, viewer: Any) -> Session:
        """The session of a viewer, made when first asked for."""
        key = getattr(viewer, "__wrapped__", viewer)
        if key not in cls._sessions:
            cls._sessions[key] = cls()
        return cls._sessions[key]

    @property
    def scan_shape(self) -> tuple[int, int] | None:
        """Rows and columns of the positions that are shown, if there are any."""
        if self.scan is not None:
            return self.scan.scan_shape
        return None if self.map is None else self.map.shape

    @property
    def calibration(self) -> Calibration:
        """The scan's calibration as it is now, else the map's, else an empty one."""
        if self.scan is not None:
            return self.scan.calibration
        return Calibration() if self.map is None else self.map.calibration

    # Scan

    def open(self, scan: Scan, images: dict[str, npt.NDArray[np.float32]] | None = None) -> None:
        """Work on another scan; map, images and selections of the one before are let go.

        Parameters
        ----------
        scan : Scan
        images : dict of str to ndarray, optional
            Images of it that are there already, such as a preview.
        """
        self._take(scan)
        self.map = self.map_path = self.progress = None
        self.images = dict(images or {})
        self.position = self.region = self.detector = None
        self.answered()
        self.position_changed.emit()
        self.scan_opened.emit()
        self.scan_changed.emit()
        self.region_changed.emit()

    def join_scan(self, scan: Scan) -> None:
        """Add the scan that the map shown was made from; the map stays."""
        self._take(scan)
        self.scan_opened.emit()
        self.scan_changed.emit()

    def _take(self, scan: Scan) -> None:
        self.scan, self.loaded = scan, scan.file_calibration or scan.calibration
        self.calibrations.clear()
        self.errors = {}

    # Calibration

    def recalibrate(self, scan: Scan) -> None:
        """Take the same data with another calibration; this is no step to undo."""
        self.scan = scan
        self.scan_changed.emit()

    def set_calibration(self, source: Source = "user", text: str = "", **values: Any) -> None:
        """Take values as one step that can be undone.

        Parameters
        ----------
        source : {"user", "measured", "file"}
        text : str
            What was done, for people; by default the values' names.
        **values
            See `Calibration`; ``None`` forgets a value.

        Raises
        ------
        CalibrationError
            If a value is impossible; nothing is changed then.
        """
        if self.scan is not None:
            calibration = self.scan.calibration.updated(source, **values).following(*values)
            self._edit(self.scan.with_calibration(calibration), text or labeled(values))

    def take_measured(
        self, text: str, values: Mapping[str, Any], errors: Mapping[str, Any] | None = None
    ) -> None:
        """Take measured values, with their standard errors where known, as one step."""
        for name, error in (errors or {}).items():
            self.errors[name] = (values[name], error)
        self.set_calibration("measured", text, **values)

    def set_bad_pixels(self, mask: npt.NDArray[np.bool_] | None, text: str = "bad pixels") -> None:
        """Mask other detector pixels (ky, kx), or none, as one step that can be undone.

        Raises
        ------
        ScanError
            If the mask does not fit the detector or takes almost all of it away.
        """
        if self.scan is not None:
            scan = self.scan.with_bad_pixels(mask)
            self._edit(scan if scan.bad_pixels_sha256 else self.scan.with_bad_pixels(None), text)

    def reset_calibration(self, name: str) -> bool:
        """Forget the user's value: the file's comes back, else the value is not known.

        Returns
        -------
        bool
            Whether the value must be measured again.
        """
        if self.scan is None or name not in VALUE_NAMES:
            return False
        self._edit(self._as_loaded([name]), f"reset of {labeled([name])}")
        return name not in self.loaded.sources

    def reset_all(self) -> None:
        """Back to what the file says, of values and bad pixels; the rest is not known."""
        if self.scan is not None:
            scan = self._as_loaded(sorted(VALUE_NAMES))
            scan = scan.with_bad_pixels(scan.file_bad_pixels)
            self._edit(scan, "reset of everything")

    def undo_calibration(self) -> None:
        """Take the last change of the calibration or the bad pixels back."""
        if self.scan is not None and self.can_undo_calibration:
            self._edited(self.calibrations.undo(self.scan))

    def redo_calibration(self) -> None:
        """Make the change of the calibration undone last again."""
        if self.scan is not None and self.can_redo_calibration:
            self._edited(self.calibrations.redo(self.scan))

    @property
    def can_undo_calibration(self) -> bool:
        """Whether there is a change of the calibration to take back."""
        return bool(self.calibrations.to_undo)

    @property
    def can_redo_calibration(self) -> bool:
        """Whether there is an undone change of the calibration."""
        return bool(self.calibrations.to_redo)

    def edit(self, what: str, *, brush_px: int | None = None, erasing: bool = False) -> None:
        """Choose what is edited with the mouse in the diffraction view.

        Parameters
        ----------
        what : str
            `DISK`, `BAD_PIXELS`, or empty for nothing.
        brush_px : int, optional
            Width of the brush for bad pixels.
        erasing : bool
            Whether the brush takes bad pixels away.
        """
        state = (what, brush_px or self.brush_px, erasing)
        if state != (self.editing, self.brush_px, self.erasing):
            self.editing, self.brush_px, self.erasing = state
            self.editing_changed.emit()

    def _as_loaded(self, names: list[str]) -> Scan:
        assert self.scan is not None
        empty, loaded = Calibration(), self.loaded
        calibration = self.scan.calibration
        values = {n: getattr(loaded if n in loaded.sources else empty, n) for n in names}
        sources = {key: s for key, s in calibration.sources.items() if key not in values}
        sources |= {n: loaded.sources[n] for n in names if n in loaded.sources}
        calibration = dataclasses.replace(calibration, **values, sources=sources)
        return self.scan.with_calibration(calibration.following(*names))

    def _edit(self, scan: Scan, text: str) -> None:
        assert self.scan is not None
        if self.calibrations.note(self.scan, scan, text):
            self._edited(scan)

    def _edited(self, scan: Scan) -> None:
        self.recalibrate(scan)
        self.calibration_edited.emit()

    def ask_shape(self, question: ShapeQuestion) -> None:
        """Ask the user for the scan shape of a file."""
        self.question = question
        self.shape_asked.emit()

    def answered(self) -> None:
        """Withdraw the question for a scan shape."""
        if self.question is not None:
            self.question = None
            self.shape_asked.emit()

    # Images and selections

    def set_image(self, name: str, image: npt.NDArray[np.float32]) -> None:
        """Show an image ``(y, x)`` under a name, or tell that its values changed."""
        self.images[name] = image
        self.images_changed.emit(name)

    def set_detector(self, detector: VirtualDetector | None) -> None:
        """Choose the detector of the virtual image."""
        self.detector = detector
        self.detector_changed.emit()

    def drag_detector(self, detector: VirtualDetector) -> None:
        """Take a detector for the time being, while the mouse drags it."""
        self.detector = detector
        self.detector_dragged.emit()

    def set_position(self, position: tuple[int, int] | None) -> None:
        """Choose a probe position (row, column)."""
        self.position = position
        self.position_changed.emit()

    def set_region(self, region: npt.NDArray[np.bool_] | None) -> None:
        """Choose the positions a drawn region covers."""
        self.region = region
        self.region_changed.emit()

    def set_classifier(self, classifier: Classifier | None) -> None:
        """Choose the classifier."""
        self.classifier = classifier
        self.classifier_changed.emit()

    # Map

    def start_map(self, polarization_map: PolarizationMap, path: Path | None = None) -> None:
        """Show a map from now on."""
        self.map, self.map_path = polarization_map, path
        self.map_started.emit()

    def show_map(self, polarization_map: PolarizationMap) -> None:
        """Show a map from a file; a scan that it was not made from is let go."""
        keeps_scan = self._made_from_scan(polarization_map)
        if not keeps_scan:
            self.scan, self.loaded = None, Calibration()
            self.images, self.detector = {}, None
        self.map = polarization_map
        self.progress = self.position = self.region = None
        if not keeps_scan:
            self.scan_opened.emit()
            self.scan_changed.emit()
        self.start_map(polarization_map)
        self.position_changed.emit()
        self.region_changed.emit()

    def _made_from_scan(self, polarization_map: PolarizationMap) -> bool:
        """Whether the scan at hand is the map's, by file and shape (nothing is read)."""
        if self.scan is None or self.scan.path is None:
            return False
        identity = polarization_map.scan
        return str(self.scan.path) == identity.path and self.scan.shape == identity.shape

    def note_progress(self, progress: Progress, changed: Rectangle | None) -> None:
        """The map was computed further, in a rectangle of positions where one is given."""
        self.progress = progress
        if changed is not None:
            self.map_changed.emit(changed)

    def end_progress(self) -> None:
        """Nothing is computed any more; all of the map counts as changed."""
        self.progress = None
        if self.map is not None:
            self.map_changed.emit(None)

    def set_threshold(self, threshold: float) -> None:
        """Show positions of less confidence than this as undecided."""
        if self.map is not None and self.map.threshold != threshold:
            self.map.threshold = threshold
            self.map_changed.emit(None)

    def apply(self, step: HistoryStep) -> None:
        """Change the map and note it in its history."""
        if self.map is not None:
            self.map.apply(step)
            self.map_changed.emit(None)

    def undo(self) -> None:
        """Take the last change of the map back.

        Raises
        ------
        MapError
            If there is nothing to undo.
        """
        if self.map is not None:
            self.map.undo()
            self.map_changed.emit(None)

    def redo(self) -> None:
        """Make the change undone last again.

        Raises
        ------
        MapError
            If there is nothing to redo.
        """
        if self.map is not None:
            self.map.redo()
            self.map_changed.emit(None)

    @property
    def stale_values(self) -> list[str]:
        """Calibration values that changed since the map was made."""
        if self.scan is None or self.map is None:
            return []
        now, then = self.scan.calibration, self.map.calibration
        stale = [name for name in sorted(VALUE_NAMES) if getattr(now, name) != getattr(then, name)]
        masked = self.scan.bad_pixels_sha256
        # Maps of earlier versions do not tell.
        if masked != self.map.classifier.get("bad_pixels_sha256", masked):
            stale.append("bad_pixels")
        return stale
