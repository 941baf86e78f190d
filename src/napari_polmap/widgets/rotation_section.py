"""The calibration's part about the detector's rotation: two candidates, and the user's choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QWidget

from napari_polmap.directions import NOT_COMPUTED
from napari_polmap.widgets.calibrator import Calibrator
from napari_polmap.widgets.candidate_card import CandidateCard
from napari_polmap.widgets.jobs import Activity
from napari_polmap.widgets.parts import (
    Notice,
    Section,
    button,
    combo,
    connect_while,
    row,
    wrapped,
)

if TYPE_CHECKING:
    from napari_polmap.diffraction.orientation import Candidate, Rotation

JOB = "rotation"
_TEXT = "Measuring the detector's rotation"
_WHY = (
    "The center of mass follows the lattice without curl: that tells the detector's rotation and "
    "flip, but for half a turn. Taken wrong, the half turn reverses every direction of the map."
)
_BOTH = "Nothing is taken before you choose. Which of the two holds?"
_CLICK = "Click on a position of the map whose direction you know."
_FAR_DEG = 60.0


class RotationSection(Section):
    """Measures the detector's rotation; the user, or a known direction, decides on the half turn.

    Parameters
    ----------
    calibrator : Calibrator
    """

    def __init__(self, calibrator: Calibrator, parent: QWidget | None = None) -> None:
        super().__init__("Detector rotation", open_=False, parent=parent)
        self.calibrator, self.session = calibrator, calibrator.session
        self.found: Rotation | None = None
        self.measure = button(
            "Measure", "Find the rotation and flip that leave least curl in the center of mass"
        )
        self.why = wrapped(_WHY)
        self.why.setEnabled(False)
        self.now = wrapped()
        self.add(row(self.measure, self.now))
        self.rows.itemAt(0).layout().setStretch(1, 1)
        self.add(self.why)
        self.notice = Notice()
        self.add(self.notice)
        self.curl = wrapped()
        self.add(self.curl)
        self.cards = (CandidateCard(), CandidateCard())
        for index, card in enumerate(self.cards):
            self.add(card)
            card.use.clicked.connect(lambda _=False, index=index: self._use(index))
        self.hint = wrapped()
        self.add(self.hint)
        self.place = wrapped()
        self.add(self.place)
        self.truth = combo("The direction that this position truly has")
        self.tell = button("Decide", "Take the candidate that gives this direction")
        self.add(row("It is truly", self.truth, self.tell))
        self.verdict = Notice("info")
        self.add(self.verdict)
        self.measure.clicked.connect(lambda _=False: self.start())
        self.tell.clicked.connect(lambda _=False: self.decide())
        # The dock follows the calibration; these follow position and map.
        connections: list[tuple[Any, Callable[..., None]]] = [
            (self.session.position_changed, self.refresh),
            (self.session.map_changed, self._on_map),
            (self.session.map_started, self.refresh),
        ]
        connect_while(self, connections)
        self.refresh()

    def start(self) -> None:
        """Measure the rotation."""
        from napari_polmap.diffraction.orientation import iter_rotation

        scan = self.session.scan
        if scan is None:
            return

        def advance(steps: list[tuple[int, int]]) -> None:
            self.calibrator.tell(JOB, Activity(_TEXT, *steps[-1]))

        def done(rotation: Rotation) -> None:
            if self.session.scan is not None and self.session.scan.data is scan.data:
                self.found = rotation
            self.verdict.tell([])
            self.refresh()

        self.calibrator.start(
            JOB, Activity(_TEXT), iter_rotation, scan, on_steps=advance, on_done=done
        )

    def forget(self) -> None:
        """Another scan: what was found is of the one before."""
        self.found = None
        self.verdict.tell([])
        self.refresh()

    def decide(self) -> None:
        """Take the candidate that gives the position the direction the user knows."""
        directions, at = self._directions(), self._shown_angle()
        if self.found is None or directions is None or at is None:
            return
        true = directions[self.truth.currentText()]
        calibration = (
            self.session.calibration if self.session.map is None else (self.session.map.calibration)
        )
        implied = [c.implied_angle(at, calibration) for c in self.found.candidates]
        distances = [abs((angle - true + 180) % 360 - 180) for angle in implied]
        best = distances.index(min(distances))
        named = self.truth.currentText()
        if distances[best] > _FAR_DEG:
            told = (
                f"Neither gives {named}: they give {implied[0]:.0f}° and {implied[1]:.0f}°. "
                "Choose another position, or check the direction and the flip."
            )
        else:
            self._use(best)
            told = (
                f"Taken: it gives {implied[best]:.0f}° there, {named} is {true:.0f}°; the other "
                f"gives {implied[1 - best]:.0f}°. Classify again to renew the map."
            )
        self.verdict.tell([told])

    def _use(self, index: int) -> None:
        if self.found is None:
            return
        chosen = self.found.candidates[index]
        self.calibrator.take_measured(
            "detector rotation",
            {"rotation_deg": chosen.rotation_deg, "flip": chosen.flip},
            {"rotation_deg": self.found.error_deg},
        )
        self.verdict.tell([])

    def _on_map(self, _: object) -> None:
        if self.found is not None:
            self.refresh()

    # What is shown

    def refresh(self) -> None:
        """Show what holds and what was found."""
        scan, running = self.session.scan, self.calibrator.running(JOB)
        calibration, found = self.session.calibration, self.found
        self.measure.setEnabled(scan is not None and not running)
        flip = ", flipped" if calibration.flip else ""
        known = "rotation_deg" in calibration.sources
        self.now.setText(
            ""
            if scan is None
            else f"Now {calibration.rotation_deg:.1f}°{flip}{'' if known else ' (not measured)'}"
        )
        candidates = () if found is None else found.candidates
        self.notice.tell([] if found is None or not found.reason else [found.reason])
        open_ = not any(candidate.holds(calibration) for candidate in candidates)
        sentences = [] if found is None or not candidates else [_curl_told(found)]
        self.curl.setText(" ".join([*sentences, *[_BOTH] * (open_ and bool(sentences))]))
        for widget in (self.curl, self.hint, self.place):
            widget.setVisible(bool(candidates))
        self.why.setVisible(not candidates)
        for index, card in enumerate(self.cards):
            card.setVisible(bool(candidates))
            if found is not None and candidates:
                card.show_candidate(
                    candidates[index],
                    found.error_deg,
                    calibration,
                    self.session.map,
                )
        if found is not None and candidates:
            self.hint.setText(_hint_told(found))
        self._show_reference(candidates)

    def _directions(self) -> dict[str, float] | None:
        """Directions of the map with an angle, by name."""
        if self.session.map is None:
            return None
        shown = self.session.map.shown_directions
        pairs = zip(shown.names, shown.angles_deg, strict=True)
        return {name: angle for name, angle in pairs if angle is not None}

    def _shown_angle(self) -> float | None:
        """Angle of the direction that the map has at the position."""
        polarization_map, position = self.session.map, self.session.position
        if polarization_map is None or position is None:
            return None
        index = int(polarization_map.direction[position])
        if index == NOT_COMPUTED:
            return None
        return polarization_map.shown_directions.angles_deg[index]

    def _show_reference(self, candidates: tuple[Candidate, ...]) -> None:
        directions, angle = self._directions(), self._shown_angle()
        ready = bool(candidates) and directions is not None
        line = self.rows.itemAt(self.rows.indexOf(self.place) + 1).layout()
        for index in range(line.count()):
            line.itemAt(index).widget().setVisible(ready and angle is not None)
        self.place.setVisible(ready)
        if not ready or directions is None:
            return
        if angle is None:
            self.place.setText(_CLICK)
            return
        y, x = self.session.position or (0, 0)
        name = min(directions, key=lambda n: abs((directions[n] - angle + 180) % 360 - 180))
        self.place.setText(f"A known direction decides. Row {y}, column {x} is shown as {name}.")
        names = list(directions)
        if [self.truth.itemText(k) for k in range(self.truth.count())] != names:
            self.truth.clear()
            self.truth.addItems(names)


def _curl_told(found: Rotation) -> str:
    parts = [
        f"{100 * share:.0f} ± {100 * error:.0f} % {how}"
        for share, error, how in zip(
            found.curl, found.curl_error, ("without flip", "with flip"), strict=True
        )
    ]
    if found.flip_known:
        told = "the detector is flipped" if found.candidates[0].flip else "no flip"
    else:
        told = "too alike to tell the flip, which stays as it is"
    return f"Curl left: {parts[0]}, {parts[1]} (50 % would be noise): {told}."


def _hint_told(found: Rotation) -> str:
    from napari_polmap.diffraction.orientation import HINT

    return (
        f"If the specimen is thin, physics leans to the first (agreement {100 * found.hint:.0f} "
        f"%). {HINT}"
    )
