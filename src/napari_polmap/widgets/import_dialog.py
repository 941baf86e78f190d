"""The dialog that opens a 4D-STEM scan: what is recognized, options, a preview, presets."""

# ruff: noqa: N802  Qt names its own methods

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari.viewer import Viewer
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QFontDatabase, QGuiApplication, QKeyEvent
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFrame,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_polmap.io.command_line import command_line
from napari_polmap.viewer.import_options import same_reading
from napari_polmap.viewer.import_preview import Facts, Opened
from napari_polmap.viewer.reader import show_dock
from napari_polmap.widgets.controller import Controller
from napari_polmap.widgets.import_form import ImportForm
from napari_polmap.widgets.import_preview_panel import ImportPreviewPanel
from napari_polmap.widgets.parts import (
    ElidedLabel,
    Notice,
    button,
    bytes_text,
    row,
    show_dialog,
    wrapped,
)
from napari_polmap.widgets.preset_bar import PresetBar

FILTER = (
    "4D-STEM scans (*.hspy *.zspy *.mib *.blo *.npy *.emd *.h5 *.hdf5 *.app5 *.xml *.mrc *.tvips "
    "*.dm3 *.dm4 *.nxs *.mat *.tif *.tiff);;All files (*)"
)
_SIZE = 900, 600
_FORM_WIDTH = 330
_TYPING_MS = 300
_FRAME = {"rotation_deg": 0.0, "flip": False}
"""Options that change nothing in what is read, and their defaults."""


class ImportDialog(QDialog):
    """Chooses a file or folder and how it is read, with a preview of what comes out.

    Parameters
    ----------
    controller : Controller
    path : Path, optional
        What to open at first.
    options : mapping, optional
        Of `napari_polmap.load_scan`; by default as that file was opened before.
    """

    def __init__(
        self,
        controller: Controller,
        parent: QWidget | None = None,
        *,
        path: Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Open a 4D-STEM scan")
        self.resize(*_SIZE)
        self.setAcceptDrops(True)
        self._controller = controller
        self._facts: Facts | None = None
        self._opened: Opened | None = None
        self._looked: Path | None = None
        self._read_with: dict[str, Any] | None = None
        self._opening = False
        self._build()
        self._connect()
        self._show_command()
        self._refresh_button()
        if path is not None:
            self._start(path, options)

    def _build(self) -> None:
        self.path = QLineEdit()
        self.path.setPlaceholderText("A file, or a folder with one TIFF per pattern; drop it here")
        self.file = button("File…", "Choose a file")
        self.folder = button("Folder…", "Choose a folder with one TIFF per pattern")
        self.facts = wrapped()
        self.warnings = Notice()
        self.warnings.setMaximumHeight(90)
        self.presets = PresetBar()
        self.form = ImportForm()
        scroll = QScrollArea()
        scroll.setWidget(self.form)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setFixedWidth(_FORM_WIDTH)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.preview = ImportPreviewPanel()
        self.command = ElidedLabel()
        self.command.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.command.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.copy = button("Copy", "Copy the command line that does the same")
        self.offer = Notice("info")
        self.notice = Notice()
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel
        )
        middle = row(scroll, self.preview, spacing=10)
        middle.setStretch(1, 1)
        command = row(self.command, self.copy)
        command.setStretch(0, 1)
        layout = QVBoxLayout(self)
        layout.setSpacing(6)
        layout.addLayout(row(self.path, self.file, self.folder))
        layout.addWidget(self.facts)
        layout.addWidget(self.warnings)
        layout.addWidget(self.offer)
        layout.addLayout(row("Preset", self.presets))
        layout.addLayout(middle, 1)
        layout.addLayout(command)
        layout.addWidget(self.notice)
        layout.addWidget(self.buttons)

    def _connect(self) -> None:
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(_TYPING_MS)
        self._typing.timeout.connect(self._path_typed)
        self.path.textChanged.connect(lambda _: self._typing.start())
        self.path.editingFinished.connect(self._path_typed)
        self.file.clicked.connect(self._choose_file)
        self.folder.clicked.connect(self._choose_folder)
        self.form.changed.connect(self._form_changed)
        self.presets.chosen.connect(self._use_preset)
        self.presets.told.connect(self._tell)
        self.preview.facts_known.connect(self._take_facts)
        self.preview.opened.connect(self._take_opened)
        self.preview.failed.connect(self._take_failure)
        self.preview.detector_changed.connect(self._look)
        self.copy.clicked.connect(self._copy_command)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)

    # The file

    @property
    def busy(self) -> bool:
        """Whether the file is still looked at, or being opened."""
        return self._typing.isActive() or self.preview.busy or self._opening

    def _current_path(self) -> Path | None:
        text = self.path.text().strip()
        return Path(text).expanduser() if text else None

    def _path_typed(self) -> None:
        self._typing.stop()
        path = self._current_path()
        if path is not None and path != self._looked:
            self._start(path, None)

    def _start(self, path: Path, options: Mapping[str, Any] | None) -> None:
        """Look into another file."""
        self.path.setText(str(path))
        self._typing.stop()
        self._facts = self._opened = self._read_with = None
        self._looked = path
        self._refresh_button()
        self.form.show_facts(None)
        self.form.show_options(options or {})
        self.preview.clear()
        self.facts.setText(f"Looking into {path.name} …")
        for notice in (self.warnings, self.offer, self.notice):
            notice.tell([])
        self.preview.look(path, options)
        self._show_command()

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a 4D-STEM scan", self._place(), FILTER)
        if path:
            self._start(Path(path), None)

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open a folder of TIFF files", self._place())
        if path:
            self._start(Path(path), None)

    def _place(self) -> str:
        path = self._current_path()
        return "" if path is None else str(path.parent)

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Qt: take files."""
        data = None if event is None else event.mimeData()
        if event is not None and data is not None and data.hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Qt: open the first file that was dropped."""
        data = None if event is None else event.mimeData()
        paths = [url.toLocalFile() for url in data.urls()] if data is not None else []
        if event is not None and paths and paths[0]:
            event.acceptProposedAction()
            self._start(Path(paths[0]), None)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Qt: the return key ends a field; only the button opens."""
        returns = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        ends = event is not None and event.key() in returns
        if not ends or isinstance(self.focusWidget(), QPushButton):
            super().keyPressEvent(event)

    # The options

    def _form_changed(self) -> None:
        self._show_command()
        self._show_frame()
        options = self._options()
        if options is not None and self._reading_of(options) != self._read_with:
            self._look()

    def _options(self) -> dict[str, Any] | None:
        """What the form says, None (and told) where it makes no sense."""
        try:
            options = self.form.options()
        except ValueError as error:
            self._tell(str(error))
            return None
        self._tell("")
        return options

    def _look(self) -> None:
        options = self._options()
        if self._looked is None or options is None:
            return
        self._read_with = self._reading_of(options)
        self.preview.look(self._looked, self._read_with, self._facts)

    @staticmethod
    def _reading_of(options: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in options.items() if name not in _FRAME}

    def _use_preset(self, options: Mapping[str, Any]) -> None:
        options = dict(options)
        shape, facts = options.get("nav_shape"), self._facts
        if shape is not None and facts is not None and facts.shapes:
            frames = facts.shapes[0].rows * facts.shapes[0].columns
            if shape[0] * shape[1] != frames:
                # The detector's preset serves scans of every size.
                del options["nav_shape"]
                options.pop("flyback", None)
        self.form.show_options(options)
        self.offer.tell([])
        self._show_command()
        self._show_frame()
        self._look()

    # What the preview found

    def _take_facts(self, facts: Facts) -> None:
        if facts is not self._facts:
            self._facts = facts
            self.form.show_facts(facts)

    def _take_opened(self, opened: Opened) -> None:
        first = self._opened is None
        self._opened = opened
        self._refresh_button()
        frame: dict[str, Any] = _FRAME
        if not first:
            frame = {name: self._frame()[name] for name in _FRAME}
        # What the file needs, and what was kept of it, stands in the form now.
        self.form.show_options({**frame, **opened.options})
        self._read_with = self._reading_of(self.form.options())
        self._tell("")
        self._show_facts(opened)
        self.presets.show_file(opened.facts.path, opened.scan)
        if first:
            name = self.presets.fitting_name
            self.offer.tell([] if name is None else [_OFFER.format(name)])
        self._show_frame()
        self._show_command()

    def _take_failure(self, message: str) -> None:
        self._opened = None
        self._refresh_button()
        self.facts.setText("")
        self.warnings.tell([])
        self._tell(message)

    def _show_facts(self, opened: Opened) -> None:
        scan, calibration = opened.scan, opened.scan.calibration
        rows, columns, ky, kx = scan.shape
        ending = "TIFF folder" if opened.facts.path.is_dir() else opened.facts.path.suffix.lower()
        parts = [
            ending,
            f"{rows} × {columns} positions",
            f"{ky} × {kx} px",
            scan.dtype.name,
            bytes_text(scan.nbytes),
        ]
        known = (
            (calibration.step_nm, "step {:.4g} nm"),
            (calibration.mrad_per_pixel, "{:.4g} mrad per pixel"),
            (calibration.energy_kv, "{:.4g} kV"),
        )
        values = [text.format(value) for value, text in known if value is not None]
        self.facts.setText(" · ".join([*parts, *(values or ["no calibration in the file"])]))
        self.warnings.tell(list(scan.warnings))

    def _frame(self) -> dict[str, Any]:
        return {"rotation_deg": self.form.rotation.value(), "flip": self.form.flip.isChecked()}

    def _show_frame(self) -> None:
        self.preview.show_frame(**self._frame())

    # The command line

    def _show_command(self) -> None:
        path = self._current_path()
        try:
            options = self.form.options()
        except ValueError:
            return
        self.presets.show_options(options)
        self.command.set_full("" if path is None else command_line(path, options))
        self.copy.setEnabled(path is not None)

    def _copy_command(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.command.toolTip())

    # The end

    def accept(self) -> None:
        """Qt: open what is chosen, if it can be opened."""
        self._path_typed()
        options = self._options()
        # Nobody should open what was not seen.
        if self._opened is None or options is None or self._opening:
            return
        path, wanted = self._opened.facts.path, options
        self._set_opening(True)

        def open_(kept: Mapping[str, Any] | None) -> None:
            self._controller.open_scan(
                path,
                on_opened=self._finish,
                on_failed=self._open_failed,
                **self._with_kept(wanted, kept),
            )

        # Since the file was looked into, another window may have kept something of it.
        self.preview.ask_kept(path, open_)

    def _with_kept(self, options: dict[str, Any], kept: Mapping[str, Any] | None) -> dict[str, Any]:
        """The options, and whether the calibration kept beside the scan is for what they read."""
        if kept is None:
            return options
        if not same_reading(options, kept):
            return {**options, "sidecar": False}
        changed = {k: v for k, v in self._frame().items() if v != kept.get(k, _FRAME[k])}
        return {**self._reading_of(options), **changed}

    def _set_opening(self, opening: bool) -> None:
        self._opening = opening
        for part in (self.path, self.file, self.folder, self.presets, self.form):
            part.setEnabled(not opening)
        self._refresh_button()

    def _refresh_button(self) -> None:
        made = self.buttons.button(QDialogButtonBox.StandardButton.Open)
        if made is not None:
            made.setEnabled(self._opened is not None and not self._opening)
            made.setText("Opening…" if self._opening else "Open")

    def _finish(self) -> None:
        self._opening = False
        super().accept()

    def _open_failed(self, message: str) -> None:
        self._set_opening(False)
        self._tell(message)

    def _tell(self, message: str) -> None:
        self.notice.tell([message] if message else [])

    def done(self, result: int) -> None:
        """Qt: end what is under way."""
        if self._opening:
            self._opening = False
            self._controller.drop("open")
        self._typing.stop()
        self.preview.close_threads()
        super().done(result)


_OFFER = "The preset “{}” was saved for files like this one; press Use to take its options."


def ask_and_open(viewer: Viewer) -> None:
    """Napari's menu: open the dock and ask for a scan."""
    dock = show_dock(viewer, always=True)
    show_dialog(ImportDialog(dock.controller, dock))
