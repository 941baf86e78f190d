"""Small widgets the docks are made of."""

# ruff: noqa: N802  Qt names its own methods

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QFontMetrics, QResizeEvent
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

NOTICE_COLORS = {
    "warning": ("rgba(229, 160, 13, 45)", "rgb(229, 160, 13)"),
    "info": ("rgba(110, 140, 190, 40)", "rgb(110, 140, 190)"),
}

NARROW = "QDoubleSpinBox { min-width: 48px; padding: 1px 2px; }"
"""Style of a number field narrower than napari's."""


class Section(QWidget):
    """A titled part of a dock that can be folded.

    Parameters
    ----------
    title : str
    open_ : bool
        Whether it is unfolded at first.
    """

    def __init__(self, title: str, *, open_: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.header = QToolButton()
        self.header.setText(title)
        self.header.setCheckable(True)
        self.header.setAutoRaise(True)
        self.header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.header.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.header.setStyleSheet(
            "QToolButton { border: none; font-weight: bold; padding: 3px 2px; text-align: left; }"
        )
        self.body = QWidget()
        self.rows = QVBoxLayout(self.body)
        self.rows.setContentsMargins(6, 2, 2, 6)
        self.rows.setSpacing(5)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(self.header)
        outer.addWidget(self.body)
        self.header.toggled.connect(self._unfold)
        self.header.setChecked(open_)
        self._unfold(open_)

    def _unfold(self, unfolded: bool) -> None:
        self.body.setVisible(unfolded)
        arrow = Qt.ArrowType.DownArrow if unfolded else Qt.ArrowType.RightArrow
        self.header.setArrowType(arrow)

    def add(self, item: QWidget | QLayout) -> None:
        """Put a widget or a row below what is there."""
        if isinstance(item, QLayout):
            self.rows.addLayout(item)
        else:
            self.rows.addWidget(item)


class Notice(QLabel):
    """Sentences the user must see; hidden where there are none.

    Parameters
    ----------
    kind : {"warning", "info"}
    """

    def __init__(self, kind: str = "warning", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        fill, edge = NOTICE_COLORS[kind]
        self.setStyleSheet(
            f"QLabel {{ background: {fill}; border-left: 3px solid {edge}; padding: 5px; }}"
        )
        self.tell([])

    def tell(self, sentences: list[str]) -> None:
        """Show sentences, one below the other."""
        self.setText("\n".join(sentences))
        self.setVisible(bool(sentences))


class ElidedLabel(QLabel):
    """One line that is cut in the middle where the dock is narrow; its tooltip holds all."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._full = ""
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.set_full(text)

    def set_full(self, text: str) -> None:
        """Show another text."""
        self._full = text
        self.setToolTip(text)
        self._cut()

    def minimumSizeHint(self) -> QSize:
        """Qt: any width will do."""
        return QSize(20, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt: cut anew."""
        super().resizeEvent(event)
        self._cut()

    def _cut(self) -> None:
        metrics = QFontMetrics(self.font())
        cut = metrics.elidedText(self._full, Qt.TextElideMode.ElideMiddle, max(20, self.width()))
        self.setText(cut)


def wrapped(text: str = "", tooltip: str = "") -> QLabel:
    """A label of several lines whose text can be copied."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setToolTip(tooltip)
    return label


def button(text: str, tooltip: str) -> QPushButton:
    """A push button with a tooltip."""
    made = QPushButton(text)
    made.setToolTip(tooltip)
    made.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
    return made


def toggle(text: str, tooltip: str) -> QPushButton:
    """A push button that stays down, with a tooltip."""
    made = button(text, tooltip)
    made.setCheckable(True)
    made.setStyleSheet("QPushButton:checked { background: palette(highlight); }")
    return made


def combo(tooltip: str) -> QComboBox:
    """A list to choose from that does not ask for the width of its longest entry."""
    made = QComboBox()
    made.setToolTip(tooltip)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(8)
    made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return made


def show_dialog(dialog: QDialog) -> None:
    """Show a dialog without holding the program up; it is gone when it is closed."""
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.open()


def bytes_text(count: float) -> str:
    """A size for people, such as ``8.59 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def duration_text(seconds: float) -> str:
    """A time for people, such as ``12 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def connect_while(widget: QWidget, connections: Sequence[tuple[Any, Callable[..., None]]]) -> None:
    """Connect psygnal's signals to slots for as long as a widget lives."""

    def part(_: object = None) -> None:
        for signal, slot in kept:
            signal.disconnect(slot, missing_ok=True)
        kept.clear()

    kept = list(connections)
    for signal, slot in kept:
        signal.connect(slot)
    widget.destroyed.connect(part)


def row(*items: QWidget | str | None, spacing: int = 5) -> QHBoxLayout:
    """Widgets side by side: a text becomes a label, None the space that stretches."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    for item in items:
        if item is None:
            layout.addStretch(1)
        elif isinstance(item, str):
            layout.addWidget(QLabel(item))
        else:
            layout.addWidget(item)
    return layout
