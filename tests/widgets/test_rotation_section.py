"""The detector's rotation in a real window: two candidates, and who decides."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.orientation import Candidate
from napari_polmap.scan import Scan
from napari_polmap.widgets.calibration_dock import CalibrationDock
from napari_polmap.widgets.candidate_card import implication
from napari_polmap.widgets.rotation_section import RotationSection
from tests.diffraction.test_lattice import demo
from tests.viewer.scenes import filled_map
from tests.widgets.conftest import Window

LEFT = Qt.MouseButton.LeftButton


class Bench:
    """A window with the demo scan and the calibration's dock."""

    def __init__(self, window: Window) -> None:
        self.window, self.session = window, window.session
        self.dock: CalibrationDock = window.dock.show_calibration()
        self.section: RotationSection = self.dock.rotation_section
        self.section.header.setChecked(True)

    def measure(self) -> None:
        QTest.mouseClick(self.section.measure, LEFT)
        self.window.wait(lambda: not self.dock.calibrator.busy)


@pytest.fixture
def bench(window: Window) -> Bench:
    window.viewer.window.resize(1400, 900)
    window.session.open(demo())
    window.settle()
    return Bench(window)


def used(bench: Bench) -> list[bool]:
    return [not card.use.isEnabled() for card in bench.section.cards]


def test_nothing_is_taken_before_the_user_chooses(bench: Bench) -> None:
    section, session = bench.section, bench.session
    assert "not measured" in section.now.text()
    assert not section.cards[0].isVisible()
    before = session.calibration
    bench.measure()
    assert session.calibration == before
    assert section.cards[0].isVisible()
    assert used(bench) == [False, False]
    assert "Nothing is taken" in section.curl.text()
    assert "no flip" in section.curl.text()
    assert "coin" in section.hint.text()
    texts = [card.text.text() for card in section.cards]
    reversing = next(k for k, text in enumerate(texts) if "reversed" in text)
    assert "stay" in texts[1 - reversing]
    QTest.mouseClick(section.cards[reversing].use, LEFT)
    assert abs(session.calibration.rotation_deg) == pytest.approx(180, abs=3)
    assert session.calibration.sources["rotation_deg"] == "measured"
    assert used(bench)[reversing]
    assert "Nothing is taken" not in section.curl.text()
    QTest.mouseClick(bench.dock.undo, LEFT)
    assert session.calibration == before
    assert used(bench) == [False, False]


@pytest.mark.parametrize("true", ["RU", "LD"])
def test_a_known_direction_decides(bench: Bench, true: str) -> None:
    section, session = bench.section, bench.session
    bench.measure()
    assert not section.tell.isVisible()
    assert session.scan is not None
    session.start_map(filled_map(session.scan))
    assert "Click on a position" in section.place.text()
    session.set_position((5, 3))  # shown as RU
    assert "shown as RU" in section.place.text()
    assert "RU becomes LD" in "".join(card.text.text() for card in section.cards)
    section.truth.setCurrentText(true)
    QTest.mouseClick(section.tell, LEFT)
    turned = abs(session.calibration.rotation_deg) > 90
    assert turned == (true == "LD")
    assert "Taken" in section.verdict.text()
    assert "Classify again" in section.verdict.text()
    assert session.stale_values


def test_a_direction_that_fits_neither_is_told(bench: Bench) -> None:
    bench.measure()
    assert bench.session.scan is not None
    before = bench.session.calibration
    bench.session.start_map(filled_map(bench.session.scan))
    bench.session.set_position((5, 3))
    bench.section.truth.setCurrentText("LU")
    QTest.mouseClick(bench.section.tell, LEFT)
    assert "Neither gives LU" in bench.section.verdict.text()
    assert bench.session.calibration == before


def test_it_says_where_it_cannot_tell(bench: Bench, scan: Scan) -> None:
    bench.session.open(Scan(scan.data[::9, ::9], scan.calibration.updated("user", step_nm=3.0)))
    bench.window.wait(lambda: not bench.dock.calibrator.busy)
    bench.measure()
    assert "No crystal lattice is seen" in bench.section.notice.text()
    assert not bench.section.cards[0].isVisible()
    bench.session.open(demo())
    bench.window.wait(lambda: not bench.dock.calibrator.busy)
    assert bench.section.notice.text() == ""


def test_implications_in_words() -> None:
    now = Calibration(rotation_deg=10.0)
    assert implication(Candidate(10.0, False), now, None) == "Directions stay."
    assert implication(Candidate(-170.0, False), now, None) == "Every direction is reversed."
    assert implication(Candidate(40.0, False), now, None) == "Directions turn by 30°."
    assert implication(Candidate(-10.0, True), now, None) == "Directions are mirrored."
