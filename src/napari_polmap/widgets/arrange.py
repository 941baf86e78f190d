"""Placing the plugin's docks beside each other instead of one above the other."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget


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
    docks = [_dock_of(widget) for widget in (left, right)]
    window = left.window()
    if None in docks or not isinstance(window, QMainWindow) or right.window() is not window:
        return False
    window.splitDockWidget(docks[0], docks[1], Qt.Orientation.Horizontal)
    widths = [left.sizeHint().width(), right.sizeHint().width()]
    # Widths hold only once the window has laid the new row out.
    QTimer.singleShot(0, lambda: window.resizeDocks(docks, widths, Qt.Orientation.Horizontal))
    return True


def _dock_of(widget: QWidget) -> QDockWidget | None:
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent
