"""The cases of bad input in a real window: told once, nothing is lost, the window goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.utils.notifications import Notification, notification_manager
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_polmap import classify, load_classifier, load_map, load_scan
from napari_polmap.io.sidecar import ENDING
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
    fill,
    small_disk,
)
from tests.widgets.conftest import Window

LEFT = Qt.MouseButton.LeftButton
# A full disk is tried below: with the limit on files, pytest could not note what napari prints.
IN_WINDOW = {name: case for name, case in RUNS.items() if name != "full target"}


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
        QTest.mouseClick(dock.run_section.run, LEFT)
        window.settle()


def user_files(folder: Path) -> dict[str, bytes | None]:
    """What lies in a folder but for what is kept beside scans, which opening them may change."""
    return {name: held for name, held in contents(folder).items() if not name.endswith(ENDING)}


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


@pytest.mark.parametrize(
    "cases", [SCANS, IN_WINDOW, CLASSIFIERS], ids=["scans", "runs", "classifiers"]
)
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
        before = user_files(folder)
        open_all(window, work, said)
        try:
            check(window, name, case, work, said)
        except (AssertionError, ValueError) as error:
            raise AssertionError(f"{name}: {[n.message for n in said]}") from error
        assert user_files(folder) == before, name
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


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a map or two."""
    with small_disk(tmp_path / "disk", 1024) as folder:
        yield folder


def test_a_run_goes_on_when_there_is_room_again(
    window: Window, classifier_file: Path, tmp_path: Path, disk: Path, said: list[Notification]
) -> None:
    good = Work.good(tmp_path, classifier_file)
    filler = fill(disk, but_kib=160)
    open_all(window, replace(good, out=disk / "map.zarr"), said)
    (notification,) = said
    assert type(notification) is Notification
    assert_one_sentence(notification.message, ("the disk is full", "make room"))
    said.clear()
    shown, section = window.session.map, window.dock.run_section
    assert 0 < shown.computed.sum() < shown.computed.size, "what was done is shown"
    assert not shown.complete
    filler.unlink()
    assert section.go_on.isVisible()
    QTest.mouseClick(section.go_on, LEFT)
    window.settle()
    assert said == []
    assert window.session.map.complete
    assert load_map(disk / "map.zarr").complete


def test_an_export_to_a_full_disk_keeps_what_is_there(
    window: Window, classifier_file: Path, tmp_path: Path, disk: Path, said: list[Notification]
) -> None:
    good = Work.good(tmp_path, classifier_file)
    open_all(window, good, said)
    section = window.dock.export_section
    for kind, name in (("map", "saved.zarr"), ("figure", "figure.png"), ("table", "table.csv")):
        section.kind.setCurrentIndex(section.kind.findData(kind))
        section.write(disk / name)
        window.settle()
        assert said == []
        filler = fill(disk)
        before = contents(disk)
        section.write(disk / name)
        window.settle()
        (notification,) = said
        assert_one_sentence(notification.message, (name, "the disk is full"))
        assert contents(disk) == before
        said.clear()
        filler.unlink()
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
