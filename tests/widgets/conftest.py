"""A shown window with the dock, a synthetic scan, and a real classifier for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_polmap.classifiers import Classifier, load_classifier, save_classifier
from napari_polmap.scan import Scan
from napari_polmap.viewer.session import Session
from napari_polmap.widgets.polarization_dock import PolarizationDock
from tests.synthetic import CALIBRATION, make_patterns, train_quick, two_domains

TILES = 6
"""Copies of the scan along each side of the large one."""
LONG = 60_000
"""Milliseconds after which something that takes seconds has failed."""


@pytest.fixture(scope="session")
def classifier_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier trained on synthetic patterns."""
    folder = tmp_path_factory.mktemp("classifier")
    return save_classifier(train_quick(folder / "data"), folder / "synthetic.safetensors")


@pytest.fixture
def classifier(classifier_file: Path) -> Classifier:
    return load_classifier(classifier_file)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep maps and classifiers of the tests apart from the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("POLMAP_CLASSIFIERS", str(tmp_path / "classifiers"))
    monkeypatch.setenv("POLMAP_CONFIG", str(tmp_path / "config"))


@pytest.fixture
def scan_file(tmp_path: Path) -> Path:
    """Two domains, memory-mapped."""
    path = tmp_path / "domains.npy"
    np.save(path, make_patterns(two_domains(), defect=(24, 12)))
    return path


@pytest.fixture
def scan(scan_file: Path) -> Scan:
    return Scan(np.load(scan_file, mmap_mode="r"), CALIBRATION, path=scan_file)


@pytest.fixture
def large_scan(scan: Scan, tmp_path: Path) -> Scan:
    """Two domains again and again: takes about a second to classify."""
    path = tmp_path / "large.npy"
    np.save(path, np.tile(np.asarray(scan.data), (TILES, TILES, 1, 1)))
    return Scan(np.load(path, mmap_mode="r"), CALIBRATION, path=path)


class Window:
    """A napari window with the dock.

    Parameters
    ----------
    viewer : napari.Viewer
    qtbot : pytestqt.qtbot.QtBot
    """

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        self.session = Session.of(viewer)

    @property
    def dock(self) -> PolarizationDock:
        """The dock, opened if it is not yet."""
        widget = self.viewer.window.add_plugin_dock_widget("napari-polmap", "Polarization map")[1]
        return getattr(widget, "__wrapped__", widget)

    def wait(self, condition: Callable[[], Any], timeout: int = LONG) -> None:
        """Let the window work until a condition holds."""
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=timeout)

    def activate(self) -> None:
        """Give the window the keyboard."""
        window = self.dock.window()
        window.activateWindow()
        self.qtbot.waitUntil(window.isActiveWindow, timeout=LONG)

    def settle(self) -> None:
        """Wait until nothing is computed any more."""
        self.wait(lambda: not self.dock.controller.busy)


@pytest.fixture
def window(make_napari_viewer_proxy: Any, qtbot: Any) -> Iterator[Window]:
    """A shown window with the dock, its scan prepared."""
    viewer = make_napari_viewer_proxy(show=True)
    made = Window(viewer, qtbot)
    dock = made.dock
    yield made
    for widget in viewer.window.dock_widgets.values():
        getattr(widget, "close_dock", lambda: None)()
    dock.close_dock()
    qtbot.wait(50)


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What napari's notifications say of errors and warnings."""
    from napari.utils.notifications import Notification, notification_manager

    messages: list[str] = []

    def note(notification: Notification) -> None:
        if str(notification.severity) in ("error", "warning"):
            messages.append(notification.message)

    notification_manager.notification_ready.connect(note)
    yield messages
    notification_manager.notification_ready.disconnect(note)
