"""The part of the dock "Virtual imaging" about the images: which, how shown, saved."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.notifications import show_info
from qtpy.QtCore import QSignalBlocker
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QFileDialog, QLabel, QWidget

from napari_polmap.diffraction.center_of_mass import color_wheel
from napari_polmap.diffraction.detectors import describe
from napari_polmap.scan import Scan
from napari_polmap.viewer.contrast import IMAGE_MODES, ImageContrast
from napari_polmap.viewer.images import CenterOfMassChoice
from napari_polmap.viewer.tags import COM_ROLES, IMAGE_ROLES, Role
from napari_polmap.widgets.imager import Imager
from napari_polmap.widgets.jobs import Activity
from napari_polmap.widgets.parts import NARROW, Section, button, combo, row

_WHEEL_PIXELS = 36
_TEXTS = {
    Role.VIRTUAL: ("Virtual image", "The intensity under the detector"),
    Role.COM_X: (
        "Center of mass, x",
        (
            "Of each pattern against the disk's center, in detector pixels, along the scan's rows "
            "to the right (detector's flip and rotation taken off)"
        ),
    ),
    Role.COM_Y: (
        "Center of mass, y",
        "The same across the rows, positive upwards as the scan is shown",
    ),
    Role.COM_MAGNITUDE: ("Center of mass, magnitude", "How far it lies from the disk's center"),
    Role.COM_COLORS: (
        "Center of mass, color wheel",
        "Its angle as hue (the colors of the directions), its magnitude as brightness",
    ),
    Role.COM_INTEGRATED: (
        "Center of mass, integrated",
        (
            "The image whose gradient is the center of mass: about the projected potential of a "
            "thin specimen"
        ),
    ),
}


class ImageSection(Section):
    """Which images are shown, with which contrast; saves one.

    Parameters
    ----------
    imager : Imager
    """

    def __init__(self, imager: Imager, parent: QWidget | None = None) -> None:
        super().__init__("Images", parent=parent)
        self.imager, self.session, self.manager = imager, imager.session, imager.manager
        self.boxes: dict[Role, QCheckBox] = {}
        self._awaited: Role | None = None
        for role, (text, tooltip) in _TEXTS.items():
            box = self.boxes[role] = QCheckBox(text)
            box.setToolTip(tooltip)
            box.toggled.connect(lambda on, role=role: self._show_role(role, on))
            self.add(row(box, None, _wheel()) if role is Role.COM_COLORS else box)
        self.about_mean = QCheckBox("About its mean")
        self.about_mean.setToolTip("Take the mean center of mass over the scan off")
        self.high_pass = _number(
            0, 10_000, 1, "Of the integrated image: waves longer than this are damped; 0 keeps all"
        )
        self.high_pass.setSuffix(" positions")
        self.high_pass.setSpecialValueText("off")
        self.add(row(self.about_mean, None, "High-pass", self.high_pass))
        self.image = combo("The image whose contrast is set here, and that is saved")
        self.mode = combo("Curve from value to brightness; images with a sign keep zero's color")
        for mode in IMAGE_MODES:
            self.mode.addItem(mode.capitalize(), mode)
        self.gamma = _number(0.05, 10, 2, "Exponent of the curve; below 1 lifts what is dark")
        self.low = _number(0, 100, 1, "Percentile of the values shown darkest")
        self.high = _number(0, 100, 1, "Percentile of the values shown brightest")
        line = row("Contrast of", self.image)
        line.setStretch(1, 1)
        self.add(line)
        self.add(row(self.mode, self.gamma))
        self.add(row("Percentiles", self.low, self.high, None))
        self.save = button("Save image…", "Write the image as TIFF with its calibration")
        self.add(row(None, self.save))
        self.about_mean.toggled.connect(self._choose_com)
        self.high_pass.valueChanged.connect(self._choose_com)
        self.image.activated.connect(self.refresh)
        self.mode.activated.connect(self._set_contrast)
        for field in (self.gamma, self.low, self.high):
            field.valueChanged.connect(self._set_contrast)
        self.save.clicked.connect(self._ask_and_save)

    def _show_role(self, role: Role, wanted: bool) -> None:
        if role is Role.VIRTUAL:
            self.manager.show(role, wanted)
        else:
            self.imager.want(role, wanted)
        if wanted:
            self._awaited = role
            self.refresh()

    def _choose_com(self) -> None:
        choice = CenterOfMassChoice(self.about_mean.isChecked(), self.high_pass.value())
        self.imager.choose_com(choice)

    @property
    def chosen(self) -> Role | None:
        """The image whose contrast is set."""
        return self.image.currentData()

    def _set_contrast(self) -> None:
        role = self.chosen
        if role is None:
            return
        low = self.low.value()
        contrast = ImageContrast(
            self.mode.currentData(), low, max(self.high.value(), low + 0.1), self.gamma.value()
        )
        self.manager.set_contrast(role, contrast)
        self.gamma.setVisible(contrast.mode == "gamma")

    def _list_images(self) -> None:
        there = [
            role
            for role in IMAGE_ROLES
            if role in self.session.images and (role is Role.VIRTUAL or role in self.imager.wanted)
        ]
        if there != [self.image.itemData(index) for index in range(self.image.count())]:
            before = self.chosen
            if self._awaited in there:
                before, self._awaited = self._awaited, None
            with QSignalBlocker(self.image):
                self.image.clear()
                for role in there:
                    self.image.addItem(_TEXTS[role][0], role)
                self.image.setCurrentIndex(max(0, self.image.findData(before)))

    def refresh(self) -> None:
        """Show which images there are and how they are shown."""
        scan = self.session.scan
        self.body.setEnabled(scan is not None)
        for role, box in self.boxes.items():
            # A layer that is removed or hidden in napari's own list counts as well.
            waits = role in self.imager.wanted and role not in self.session.images
            with QSignalBlocker(box):
                box.setChecked(scan is not None and (waits or self.manager.shown(role)))
        choice = self.imager.choice
        for field, value in ((self.about_mean, choice.about_mean),):
            with QSignalBlocker(field):
                field.setChecked(value)
        _fill(self.high_pass, choice.high_pass)
        any_com = bool(self.imager.wanted)
        self.about_mean.setEnabled(any_com)
        self.high_pass.setEnabled(Role.COM_INTEGRATED in self.imager.wanted)
        self._list_images()
        role = self.chosen
        self.save.setEnabled(role is not None)
        plain = role is not None and role is not Role.COM_COLORS
        for widget in (self.mode, self.gamma, self.low, self.high):
            widget.setEnabled(plain)
        if role is None:
            return
        contrast = self.manager.contrast(role)
        with QSignalBlocker(self.mode):
            self.mode.setCurrentIndex(self.mode.findData(contrast.mode))
        self.gamma.setVisible(contrast.mode == "gamma")
        _fill(self.gamma, contrast.gamma)
        _fill(self.low, contrast.low)
        _fill(self.high, contrast.high)

    # Saving

    def _ask_and_save(self) -> None:
        scan, role = self.session.scan, self.chosen
        if scan is None or role is None:
            return
        start = str(Path.cwd() / f"{scan.name} {role.value}.tif")
        path, _ = QFileDialog.getSaveFileName(self, "Save image", start, "TIFF (*.tif *.tiff)")
        if path:
            self.save_to(Path(path))

    def save_to(self, path: Path) -> None:
        """Write the chosen image in the background."""
        scan, role = self.session.scan, self.chosen
        if scan is None or role is None:
            return
        if not path.suffix:
            path = path.with_suffix(".tif")
        detector = self.session.detector
        title, about = role.value, {}
        if role is Role.VIRTUAL and detector is not None:
            title = detector.title
            about = {"detector": describe(detector.shape), "pair": detector.paired}
        elif role in COM_ROLES:
            choice = self.imager.choice
            about = {"about_mean": choice.about_mean, "unit": "detector pixels"}
            if role is Role.COM_INTEGRATED:
                about["high_pass_positions"] = choice.high_pass
                about["unit"] = "detector pixels x " + (
                    "positions" if scan.calibration.step_nm is None else "nm"
                )
        image = self.session.images[role].copy()
        self.imager.start(
            "save",
            Activity(f"Saving {path.name}"),
            _iter_save,
            scan,
            image,
            path,
            {"title": title, **about},
            on_done=lambda saved: show_info(f"Saved {saved}."),
        )


def _iter_save(
    scan: Scan, image: Any, path: Path, about: dict[str, Any]
) -> Generator[None, None, Path]:
    from napari_polmap.export import export_scan_image

    saved = export_scan_image(scan, image, path, **about)
    yield
    return saved


def _wheel() -> QLabel:
    """The colors of all angles, 0° to the right."""
    down, across = np.mgrid[-1 : 1 : _WHEEL_PIXELS * 1j, -1 : 1 : _WHEEL_PIXELS * 1j]
    colors = color_wheel(np.stack([across, -down], -1), longest=1.0)
    opaque = np.where(np.hypot(down, across) <= 1, 255, 0).astype(np.uint8)
    pixels = np.ascontiguousarray(np.dstack([colors, opaque]))
    picture = QImage(pixels.data, *pixels.shape[1::-1], QImage.Format.Format_RGBA8888).copy()
    label = QLabel()
    label.setPixmap(QPixmap.fromImage(picture))
    label.setToolTip("Direction of the center of mass by color, as the scan is shown")
    return label


def _number(low: float, high: float, decimals: int, tooltip: str) -> QDoubleSpinBox:
    field = QDoubleSpinBox()
    field.setStyleSheet(NARROW)
    field.setRange(low, high)
    field.setDecimals(decimals)
    field.setSingleStep(10.0**-decimals if decimals else 1.0)
    field.setKeyboardTracking(False)
    field.setToolTip(tooltip)
    return field


def _fill(field: QDoubleSpinBox, value: float) -> None:
    with QSignalBlocker(field):
        field.setValue(value)
