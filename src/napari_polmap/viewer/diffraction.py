"""What the diffraction view shows: the pattern of a position or region, and the evidence."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components import ViewerModel
from napari.utils.notifications import show_error
from psygnal import Signal

from napari_polmap.classifiers.matching import mismatches, unknowns
from napari_polmap.errors import ClassifierMismatchError, PolmapError
from napari_polmap.scan import Scan
from napari_polmap.viewer.contrast import Contrast
from napari_polmap.viewer.detector_editor import DetectorEditor
from napari_polmap.viewer.diffraction_layers import DiffractionLayers, readout
from napari_polmap.viewer.latest import Deliver, LatestJob
from napari_polmap.viewer.patterns import (
    ShownPattern,
    iter_maximum_pattern,
    iter_region_pattern,
    position_pattern,
    redrawn,
)
from napari_polmap.viewer.picking import PositionPicker
from napari_polmap.viewer.reading import Reading, evidence_reading, map_reading
from napari_polmap.viewer.session import Session

if TYPE_CHECKING:
    from napari_polmap.classifiers import Classifier
    from napari_polmap.mapping import Evidence

POSITION, REGION = "position", "region"
SCAN_MEAN, SCAN_MAXIMUM = "scan mean", "scan maximum"
VIEWS = (POSITION, REGION, SCAN_MEAN, SCAN_MAXIMUM)
"""What the view shows: what was clicked, drawn or chosen last."""

_PATIENCE_S = 0.01
"""How long a click waits for its pattern before other drawing goes on."""
_REST_S = 0.05
"""How long a position must stay the newest before its evidence is computed."""


class DiffractionController:
    """Follows a session: reads patterns and evidence in the background and keeps what to show.

    Parameters
    ----------
    viewer : napari.Viewer
        The main viewer.
    deliver : callable
        Runs a function in the window's thread, later.

    Attributes
    ----------
    view : str
        One of `VIEWS`.
    shown : ShownPattern or None
    reading : Reading or None
        What the map says of it, else the classifier.
    evidence : Evidence or None
        What the classifier saw.
    notice : str
        Why there is no evidence.
    explaining : bool
        Whether evidence is on its way.
    """

    pattern_changed = Signal()
    """`shown` is another pattern."""
    reading_changed = Signal()
    """`reading`, `evidence`, `notice` or `explaining` changed."""
    readout_changed = Signal(str)
    """What is under the cursor."""

    def __init__(self, viewer: Any, deliver: Deliver) -> None:
        viewer = getattr(viewer, "__wrapped__", viewer)
        self.session = Session.of(viewer)
        self.model = ViewerModel(title="diffraction")
        self.layers = DiffractionLayers(self.model)
        self.editor = DetectorEditor(self.model, self.layers, self.session)
        self.picker = PositionPicker(viewer, self.session)
        self.contrast = Contrast()
        self.hold_limits = False
        self.view = POSITION
        self.shown: ShownPattern | None = None
        self.reading: Reading | None = None
        self.evidence: Evidence | None = None
        self.notice = ""
        self.explaining = False
        self._active = True
        self._missed: Any = None
        self._patterns = LatestJob(deliver, "polmap-pattern")
        self._evidences = LatestJob(deliver, "polmap-evidence")
        self._connections = [
            (self.session.scan_changed, self._on_scan),
            (self.session.position_changed, self._on_position),
            (self.session.region_changed, self._on_region),
            (self.session.map_started, self._request_evidence),
            (self.session.map_changed, self._on_map),
            (self.session.classifier_changed, self._request_evidence),
            (self.session.detector_changed, self._on_detector),
            (self.session.detector_dragged, self._on_detector),
        ]
        for signal, slot in self._connections:
            signal.connect(slot)
        self.model.mouse_move_callbacks.append(self._on_mouse_move)
        self._on_scan()
        self._on_detector()

    def close(self) -> None:
        """Stop the threads and let the main viewer go."""
        for signal, slot in self._connections:
            signal.disconnect(slot, missing_ok=True)
        self._connections = []
        self.editor.close()
        self.picker.close()
        self._patterns.close()
        self._evidences.close()
        self.model.mouse_move_callbacks.clear()
        self.model.mouse_drag_callbacks.clear()

    @property
    def busy(self) -> bool:
        """Whether something is being read."""
        return self._patterns.busy or self._evidences.busy

    @property
    def compared(self) -> tuple[int, str]:
        """Index and name of the classifier's direction whose mean stands beside the evidence."""
        classifier, evidence, reading = self.session.classifier, self.evidence, self.reading
        if classifier is None or evidence is None:
            return 0, ""
        names = classifier.directions.names
        shown = None if reading is None else reading.directions.names[reading.direction]
        index = names.index(shown) if shown in names else evidence.direction or 0
        return index, names[index]

    @property
    def active(self) -> bool:
        """Whether the view can be seen; else nothing is read."""
        return self._active

    @active.setter
    def active(self, active: bool) -> None:
        self._active = active
        if active and self._missed is not None:
            missed, self._missed = self._missed, None
            missed()

    def set_contrast(self, contrast: Contrast, hold_limits: bool | None = None) -> None:
        """Draw the present pattern and the next ones with another contrast.

        Parameters
        ----------
        contrast : Contrast
        hold_limits : bool, optional
            Whether the present limits stay as they are for the next patterns.
        """
        changed = contrast != self.contrast
        self.contrast = contrast
        if hold_limits is not None:
            self.hold_limits = hold_limits
        shown, scan = self.shown, self.session.scan
        if changed and shown is not None and scan is not None and shown.complete:
            self._patterns.submit(
                lambda: iter([redrawn(shown, scan, contrast)]), self._show, self._fail
            )

    # What the session says

    def _on_scan(self) -> None:
        scan = self.session.scan
        self.layers.set_scan(scan)
        if scan is None:
            self._patterns.cancel()
            self.shown = None
            self.pattern_changed.emit()
        elif self.shown is not None:
            self.layers.show(self.shown.grey)
        self._on_detector()
        self._on_position()

    def _on_position(self) -> None:
        position, scan = self.session.position, self.session.scan
        self.view = POSITION
        if not self._active or position is None or scan is None:
            self.picker.show_mark(position)
        if not self._active:
            self._missed = self._on_position
            return
        if position is None or scan is None:
            self._patterns.cancel()
            self.shown = None
            self.layers.hide_pattern()
            self.pattern_changed.emit()
            self._request_evidence()
            return
        limits = self._held_limits()
        contrast = self.contrast
        self._patterns.submit(
            lambda: iter([position_pattern(scan, position, contrast, limits)]),
            self._show_and_explain,
            self._fail,
            patience_s=_PATIENCE_S,
        )

    def _on_region(self) -> None:
        region, scan = self.session.region, self.session.scan
        if not self._active:
            self._missed = self._on_region
            return
        if scan is None or region is None or not region.any():
            if self.shown is None or self.shown.position is None:
                self._on_position()
            return
        self.view = REGION
        limits = self._held_limits()
        contrast = self.contrast
        self._patterns.submit(
            lambda: iter_region_pattern(scan, region, contrast, limits),
            self._show_and_explain,
            self._fail,
        )

    def show_view(self, view: str) -> None:
        """Show the pattern of the position, or that of many positions.

        Parameters
        ----------
        view : str
            One of `VIEWS`; without a position or a region nothing changes.
        """
        if view == POSITION:
            self._on_position()
        elif view == REGION:
            self._on_region()
        else:
            self._show_scan(view)
        self.pattern_changed.emit()

    def _show_scan(self, view: str) -> None:
        scan = self.session.scan
        if scan is None:
            return
        self.view = view
        if not self._active:
            self._missed = lambda: self._show_scan(view)
            return
        limits, contrast = self._held_limits(), self.contrast
        steps = iter_maximum_pattern if view == SCAN_MAXIMUM else iter_region_pattern
        everywhere = np.ones(scan.scan_shape, bool)
        self._evidences.cancel()
        self.evidence, self.explaining, self.notice = None, False, ""
        self._patterns.submit(
            lambda: steps(scan, everywhere, contrast, limits),
            self._show_without_evidence,
            self._fail,
        )

    def _show_without_evidence(self, shown: ShownPattern) -> None:
        self._show(shown)
        self._read()
        self.reading_changed.emit()

    def _on_map(self, changed: Any = None) -> None:
        position = self.session.position
        if changed is not None and position is not None:
            rows, columns = changed
            inside = rows.start <= position[0] < rows.stop
            if not (inside and columns.start <= position[1] < columns.stop):
                return
        self._read()
        self.reading_changed.emit()

    def _on_detector(self) -> None:
        self.layers.show_detector(self.session.detector)

    # What the user does in the diffraction view

    def _on_mouse_move(self, _model: Any, event: Any) -> None:
        pixel = self.layers.pixel_at(event.position)
        scan = self.session.scan
        if pixel is None or scan is None:
            self.readout_changed.emit("")
            return
        values = None if self.shown is None else self.shown.values
        self.readout_changed.emit(readout(scan.calibration, pixel, values))

    # Patterns

    def _held_limits(self) -> tuple[float, float] | None:
        return self.shown.limits if self.hold_limits and self.shown is not None else None

    def _show(self, shown: ShownPattern) -> None:
        self.shown = shown
        self.layers.show(shown.grey)
        # In the same turn as the pattern, so that Qt puts the window together once, not twice.
        if shown.position is not None:
            self.picker.show_mark(shown.position)
        self.pattern_changed.emit()

    def _show_and_explain(self, shown: ShownPattern) -> None:
        self._show(shown)
        if shown.complete:
            self._request_evidence()

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, PolmapError):
            raise error
        show_error(str(error))

    # Evidence

    def _read(self) -> None:
        """Take the reading from the map where it has one, else from the evidence."""
        polarization, classifier = self.session.map, self.session.classifier
        position = self._explained_position()
        self.reading = None
        if polarization is not None and position is not None:
            self.reading = map_reading(polarization, *position)
        if self.reading is None and self.evidence is not None and classifier is not None:
            calibration = self.session.calibration
            known = not unknowns(classifier.card, calibration)
            self.reading = evidence_reading(
                self.evidence,
                classifier.directions.rotated(calibration.crystal_angle_deg),
                classifier.threshold if polarization is None else polarization.threshold,
                calibrated=known and (polarization is None or polarization.confidence_calibrated),
            )

    def _explained_position(self) -> tuple[int, int] | None:
        """The position the reading is about; None for a region."""
        if self.shown is not None:
            return self.shown.position
        return self.session.position

    def _request_evidence(self) -> None:
        scan, classifier, shown = self.session.scan, self.session.classifier, self.shown
        about_scan = self.view in (SCAN_MEAN, SCAN_MAXIMUM)  # a mixture of directions
        self.explaining = (
            None not in (scan, classifier, shown) and shown.complete and not about_scan
        )
        self.evidence, self.notice = None, ""
        self._read()
        self.reading_changed.emit()
        if not self.explaining:
            self._evidences.cancel()
            return
        made_with = self._made_with()
        self._evidences.submit(
            lambda: _evidence_steps(scan, classifier, shown, made_with),
            self._take_evidence,
            self._no_evidence,
        )

    def _made_with(self) -> Mapping[str, Any] | None:
        """What the map tells of its classifier, if that is the chosen one."""
        polarization, classifier = self.session.map, self.session.classifier
        if polarization is None or classifier is None:
            return None
        made_with = polarization.classifier
        return made_with if made_with.get("sha256") == classifier.sha256 else None

    def _take_evidence(self, evidence: Evidence | None) -> None:
        if evidence is None:
            return
        self.explaining = False
        if evidence.direction is None:
            self.notice = "There is no data at this position."
        else:
            self.evidence = evidence
        self._read()
        self.reading_changed.emit()

    def _no_evidence(self, error: Exception) -> None:
        if not isinstance(error, PolmapError):
            raise error
        self.notice, self.explaining = str(error), False
        self.reading_changed.emit()


def _evidence_steps(
    scan: Scan, classifier: Classifier, shown: ShownPattern, made_with: Mapping[str, Any] | None
) -> Iterator[Evidence | None]:
    """The evidence, once the mouse rests: its window may take many patterns.

    A map made with the classifier gives its window, and was allowed to be made.
    """
    from napari_polmap import mapping

    time.sleep(_REST_S)
    yield None
    foreign = mismatches(classifier.card, classifier.calibration_of(scan))
    if foreign and made_with is None:
        raise ClassifierMismatchError(
            f"The classifier {classifier.name!r} does not apply to this scan: {' '.join(foreign)}"
        )
    if shown.position is None:
        yield mapping.region_evidence(scan, classifier, shown.values)
    else:
        window = None if made_with is None else made_with.get("window_used_cells")
        yield mapping.evidence(scan, classifier, shown.position, window=window)
