"""Buttons with napari's own icons, in the color of the theme."""

# ruff: noqa: N802  Qt names its own methods

from __future__ import annotations

from napari.resources import get_colorized_svg, get_icon_path
from qtpy.QtCore import QByteArray, QEvent, QRectF, QSize, Qt
from qtpy.QtGui import QIcon, QPainter, QPalette, QPixmap
from qtpy.QtSvg import QSvgRenderer
from qtpy.QtWidgets import QToolButton, QWidget

_SIZE = 20


class IconButton(QToolButton):
    """A flat button with one of napari's icons.

    Parameters
    ----------
    icon : str
        Name of the icon in `napari.resources`.
    tooltip : str
    checkable : bool
    text : str
        Beside the icon.
    """

    def __init__(
        self,
        icon: str,
        tooltip: str,
        *,
        checkable: bool = False,
        text: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._icon_name = icon
        self.setToolTip(tooltip)
        self.setCheckable(checkable)
        self.setIconSize(QSize(_SIZE, _SIZE))
        if text:
            self.setText(text)
            self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setAutoRaise(True)
        self.setStyleSheet("QToolButton:checked { background: palette(highlight); }")
        self._color_icon()

    def changeEvent(self, event: QEvent) -> None:
        """Qt: follow the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._color_icon()

    def _color_icon(self) -> None:
        color = self.palette().color(QPalette.ColorRole.ButtonText)
        svg = get_colorized_svg(get_icon_path(self._icon_name), color=color.name())
        pixmap = QPixmap(4 * _SIZE, 4 * _SIZE)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(pixmap.rect()))
        painter.end()
        self.setIcon(QIcon(pixmap))
