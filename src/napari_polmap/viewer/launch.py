"""A napari window with the docks, started from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_polmap.viewer.reader import show_dock
from napari_polmap.viewer.sample import demo_path
from napari_polmap.viewer.session import Session

WINDOW = (1600, 1000)
"""Width and height of the window in pixels."""


def launch(*, demo: bool = False) -> None:
    """Open a window and work in it until it is closed.

    Parameters
    ----------
    demo : bool
        Open the bundled scan and classify it.
    """
    import napari

    _, dock, _ = open_window()
    if demo:
        dock.controller.open_scan(demo_path())
        dock.when_idle([dock.run_section.start])
    napari.run()


def screenshot(path: str | Path) -> Path:
    """Open a window, classify the bundled scan in it, and save what it shows.

    Parameters
    ----------
    path : str or Path
        PNG file.
    """
    import napari

    target = Path(path).expanduser()
    target.parent.mkdir(parents=True, exist_ok=True)
    viewer, dock, patterns = open_window()
    session = Session.of(viewer)

    def choose_position() -> None:
        shape = session.scan_shape
        if shape is not None:
            session.set_position((shape[0] // 3, shape[1] // 4))

    def save() -> None:
        viewer.window.screenshot(str(target), canvas_only=False, flash=False)
        viewer.close()

    dock.controller.open_scan(demo_path())
    actions = [dock.run_section.start, choose_position, save]
    dock.when_idle(actions, lambda: patterns.controller.busy)
    napari.run()
    return target


def open_window() -> tuple[Any, Any, Any]:
    """A napari window with both docks.

    Returns
    -------
    viewer : napari.Viewer
    dock : PolarizationDock
    patterns : DiffractionDock
    """
    import napari

    viewer = napari.Viewer(title="napari-polmap")
    viewer.window.resize(*WINDOW)
    dock = show_dock(viewer, always=True)
    return viewer, dock, dock.show_patterns()
