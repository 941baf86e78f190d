"""Placing the plugin's docks beside each other instead of one above the other."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_polmap.viewer.preferences import PLUGIN


def place_beside(left: QWidget, right: QWidget) -> bool:
    """Put the docks of two widgets side by side, as wide as they want to be.

    Parameters
    ----------
    left, right : QWidget
        Widgets inside docks of the same window.

    Returns
    -------
    bool
        False where they are not docked in one window; nothing is changed then.
    """
    docks = [dock_of(widget) for widget in (left, right)]
    window = left.window()
    if None in docks or not isinstance(window, QMainWindow) or right.window() is not window:
        return False
    tabs = window.tabifiedDockWidgets(docks[1])
    if not tabs:
        # First into the row of the other, then before it: Qt only puts one after another, and a
        # neighbor of a tab becomes a tab.
        window.splitDockWidget(docks[1], docks[0], Qt.Orientation.Horizontal)
    window.splitDockWidget(docks[0], docks[1], Qt.Orientation.Horizontal)
    for tab in tabs:
        window.tabifyDockWidget(docks[1], tab)
    docks[1].raise_()
    widths = [left.sizeHint().width(), right.sizeHint().width()]
    # Widths hold only once the window has laid the new row out.
    QTimer.singleShot(0, lambda: window.resizeDocks(docks, widths, Qt.Orientation.Horizontal))
    return True


def open_beside(viewer: Any, name: str, right: QWidget) -> QWidget | None:
    """Open one of the plugin's docks, to the left of another where it is not open yet.

    Parameters
    ----------
    viewer : napari.Viewer or None
    name : str
        The dock's name in the manifest.
    right : QWidget
        A widget inside a dock of the viewer's window.

    Returns
    -------
    QWidget or None
        The dock's widget; None where there is no window.
    """
    window = getattr(viewer, "window", None)
    if window is None:
        return None
    known = list(window.dock_widgets.values())
    opened = window.add_plugin_dock_widget(PLUGIN, name)[1]
    widget: QWidget = getattr(opened, "__wrapped__", opened)
    if widget not in known:
        place_beside(widget, right)
    return widget


def open_over(viewer: Any, name: str, under: QWidget) -> QWidget | None:
    """Open one of the plugin's docks as a tab over another, and bring it to the front.

    Parameters
    ----------
    viewer : napari.Viewer or None
    name : str
        The dock's name in the manifest.
    under : QWidget
        A widget inside a dock of the viewer's window.

    Returns
    -------
    QWidget or None
        The dock's widget; None where there is no window.
    """
    window = getattr(viewer, "window", None)
    if window is None:
        return None
    known = list(window.dock_widgets.values())
    opened = window.add_plugin_dock_widget(PLUGIN, name)[1]
    widget: QWidget = getattr(opened, "__wrapped__", opened)
    dock, other, main = dock_of(widget), dock_of(under), under.window()
    if dock is not None and other is not None and isinstance(main, QMainWindow):
        if widget not in known:
            main.tabifyDockWidget(other, dock)
        dock.show()
        dock.raise_()
    return widget


def put_behind(opened: Any, front: QWidget) -> None:
    """Make a dock that has just come a tab of another, which stays in front.

    Parameters
    ----------
    opened : QWidget or None
        A widget inside a dock; nothing is done where it lies beside or in tabs already.
    front : QWidget
        A widget inside a dock of the same window.
    """
    widget = getattr(opened, "__wrapped__", opened)
    dock, other, main = (None, None, None)
    if widget is not None:
        dock, other, main = dock_of(widget), dock_of(front), front.window()
    if dock is None or other is None or not isinstance(main, QMainWindow):
        return
    below = dock.geometry().left() == other.geometry().left()
    if dock is not other and below and not main.tabifiedDockWidgets(dock):
        main.tabifyDockWidget(other, dock)
        other.raise_()


def dock_of(widget: QWidget) -> QDockWidget | None:
    """The dock that a widget is in."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent
