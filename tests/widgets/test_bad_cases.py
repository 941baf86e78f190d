"""Bad input in a real window: told once, nothing is lost, and the window goes on."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.utils.notifications import Notification, notification_manager
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_polmap import classify, load_classifier, load_map, load_scan
from napari_polmap.viewer.tags import Role
from tests.bad_cases import (
    CLASSIFIERS,
    NOTICE,
    NOTIFICATION,
    QUESTION,
    RUNS,
    SCANS,
    Case,
    Work,
    assert_one_sentence,
    contents,
)
from tests.widgets.conftest import Window

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def said() -> Iterator[list[Notification]]:
    """napari's notifications of errors and warnings."""
    heard: list[Notification] = []

    def note(notification: Notification) -> None:
        if str(notification.severity) in ("error", "warning"):
            heard.append(notification)

    notification_manager.notification_ready.connect(note)
    yield heard
    notification_manager.notification_ready.disconnect(note)


def open_all(window: Window, work: Work, said: list[Notification]) -> None:
    """Open the scan, then the classifier, and run, until something is said."""
    dock = window.dock
    dock.controller.open_scan(work.scan, **work.reading, **work.calibration)
    window.settle()
    dock.controller.load_classifier(work.classifier)
    window.settle()
    opened = window.session.scan is not None and window.session.scan.path == work.scan
    if opened and not said and dock.run_section.run.isEnabled():
        dock.run_section.set_target(str(work.out))
        with work.limits():
            QTest.mouseClick(dock.run_section.run, LEFT)
            window.settle()


def shown_notice(window: Window) -> str:
    return window.dock.classifier_section.mismatch.text()


def check(window: Window, name: str, case: Case, work: Work, said: list[Notification]) -> None:
    if case.window == NOTIFICATION:
        (notification,) = said
        assert type(notification) is Notification, "no traceback"
        assert_one_sentence(notification.message, case.words)
    elif case.window == QUESTION:
        question = window.dock.scan_section.question
        assert question.isVisible()
        text = question.message.text()
        assert all(word in text for word in case.words), text
        assert said == []
    elif case.window == NOTICE:
        text = shown_notice(window)
        assert all(word in text for word in case.words[:2]), text
        assert not window.dock.run_section.run.isEnabled()
        assert said == []


@pytest.mark.parametrize("cases", [SCANS, RUNS, CLASSIFIERS], ids=["scans", "runs", "classifiers"])
def test_one_window_goes_through_it_all(
    cases: dict[str, Case],
    window: Window,
    classifier_file: Path,
    tmp_path: Path,
    said: list[Notification],
) -> None:
    session = window.session
    for number, (name, case) in enumerate(cases.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        good = Work.good(folder, classifier_file)
        window.dock.controller.open_scan(good.scan, **good.calibration)
        window.dock.controller.load_classifier(classifier_file)
        window.settle()
        assert session.scan.path == good.scan, f"before {name}"
        assert window.dock.run_section.run.isEnabled(), f"before {name}"
        assert said == [], f"before {name}"
        work = case.spoil(good)
        before = contents(folder)
        open_all(window, work, said)
        try:
            check(window, name, case, work, said)
        except (AssertionError, ValueError) as error:
            raise AssertionError(f"{name}: {[n.message for n in said]}") from error
        assert contents(folder) == before, name
        if cases is SCANS and session.scan.path == good.scan:
            assert session.images[Role.VIRTUAL].shape == (24, 32), "the scan before is kept"
        if cases is CLASSIFIERS:
            assert session.classifier is not None, "the classifier before is kept"
        said.clear()
    # After all of this the work is done as ever.
    last = Work.good(tmp_path, classifier_file)
    open_all(window, last, said)
    assert said == []
    assert session.map.complete
    assert load_map(last.out).complete


def test_a_run_that_is_refused_keeps_the_map(
    window: Window, classifier_file: Path, tmp_path: Path, said: list[Notification]
) -> None:
    good = Work.good(tmp_path, classifier_file)
    open_all(window, good, said)
    shown = window.session.map
    before = contents(good.out)
    work = RUNS["unwritable target"].spoil(good)
    window.dock.run_section.set_target(str(work.out))
    QTest.mouseClick(window.dock.run_section.run, LEFT)
    window.settle()
    (notification,) = said
    assert "cannot be written" in notification.message
    assert window.session.map is shown
    assert window.session.map_path == good.out
    assert contents(good.out) == before


def test_a_disk_that_fills_up_keeps_what_is_shown(
    window: Window, classifier_file: Path, tmp_path: Path, said: list[Notification]
) -> None:
    good = Work.good(tmp_path, classifier_file)
    open_all(window, good, said)
    place = tmp_path / "saved.zarr"
    classify(load_scan(good.scan, **good.calibration), load_classifier(classifier_file), place)
    before = contents(place)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    section = window.dock.export_section
    for kind, name in (("map", "saved.zarr"), ("figure", "figure.png"), ("table", "table.csv")):
        section.kind.setCurrentIndex(section.kind.findData(kind))
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
        try:
            section.write(tmp_path / name)
            window.settle()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        (notification,) = said
        assert_one_sentence(notification.message, (name, "the disk is full"))
        said.clear()
    assert contents(place) == before
    assert sorted(p.name for p in tmp_path.glob("*.[pc]*")) == []
    assert window.session.map.complete


def test_a_file_that_is_dropped(
    window: Window, classifier_file: Path, tmp_path: Path, said: list[Notification]
) -> None:
    good = Work.good(tmp_path, classifier_file)
    window.viewer.open(str(good.scan), plugin="napari-polmap")
    window.settle()
    for name in ("truncated", "not a number", "all zero"):
        work = SCANS[name].spoil(good)
        window.viewer.open(str(work.scan), plugin="napari-polmap")
        window.settle()
        (notification,) = said
        assert_one_sentence(notification.message, SCANS[name].words)
        said.clear()
    damaged = tmp_path / "map.zarr"
    classify(load_scan(good.scan, **good.calibration), load_classifier(classifier_file), damaged)
    (damaged / "status" / "c" / "0" / "0").write_bytes(b"")
    window.viewer.open(str(damaged), plugin="napari-polmap")
    window.settle()
    (notification,) = said
    assert_one_sentence(notification.message, ("map.zarr is damaged", "'status'"))
    said.clear()
    window.viewer.open(str(good.scan), plugin="napari-polmap")
    window.settle()
    assert np.isfinite(window.session.images[Role.VIRTUAL]).all()
    assert window.session.scan.path == good.scan
    assert said == []
