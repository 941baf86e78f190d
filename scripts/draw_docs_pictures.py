"""Draw the documentation's pictures of the window from the demo scan.

    xvfb-run -a -s "-screen 0 1600x1000x24" python scripts/draw_docs_pictures.py [NAME ...]

Writes docs/images/NAME.png for window, import-dialog, calibration (with calibration-rotation),
virtual-imaging, simulate-dock, make-classifier and train-dock (by default all). Settings and what
is kept of scans go to a temporary folder; for train-dock build/quick is simulated first, if it is
not there.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

IMAGES = Path(__file__).parents[1] / "docs" / "images"
DEMO = "demo_knn.hspy"
FLYBACK = 4
WINDOW = (1500, 940)


def main() -> None:
    """Draw the pictures that are named."""
    os.environ.setdefault("QT_API", "pyqt6")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "POLMAP_CONFIG"):
            os.environ[name] = folder
        os.chdir(folder)
        with as_file(files("napari_polmap") / "data" / DEMO) as path:
            shutil.copy(path, DEMO)
        for name in sys.argv[1:] or _PICTURES:
            target = IMAGES / f"{name}.png"
            _PICTURES[name](target)
            _shrink(target)
            print(f"{target.name}: {target.stat().st_size // 1000} kB")


def window(target: Path) -> None:
    """The demo scan, classified."""

    def draw(viewer: Any, dock: Any, _: Any) -> list[Callable[[], Any]]:
        def choose_position() -> None:
            rows, columns = dock.controller.session.scan_shape
            dock.controller.session.set_position((rows // 3, columns // 4))

        def save() -> None:
            # Without the folders.
            dock.scan_section.path.set_full(DEMO)
            dock.run_section.target.set_full("Map: demo_knn.zarr")
            _save(viewer, target)

        return [dock.run_section.start, choose_position, lambda: None, save]

    _run(draw, bool)


def import_dialog(target: Path) -> None:
    """A stack of frames with flyback columns, as a detector without a scan engine records it."""
    from napari_polmap import load_scan
    from napari_polmap.widgets.import_dialog import ImportDialog

    data = np.asarray(load_scan(DEMO, measure=False).data)
    rows = np.concatenate([data, data[:, -1 : -1 - FLYBACK : -1]], axis=1)
    np.save("frames.npy", rows.reshape(-1, *rows.shape[2:]))

    def draw(_: Any, dock: Any, __: Any) -> list[Callable[[], Any]]:
        dialog = ImportDialog(dock.controller, dock, path=Path("frames.npy"))
        dialog.resize(980, 640)
        dialog.show()
        lines = dialog.form.shapes

        def choose() -> None:
            texts = [lines.item(number).text() for number in range(lines.count())]
            lines.setCurrentRow(next(n for n, text in enumerate(texts) if "flyback" in text))

        def save() -> None:
            dialog.grab().save(str(target))
            dialog.reject()

        busy.append(lambda: dialog.busy)
        return [choose, lambda: None, save]

    busy: list[Callable[[], bool]] = []
    _run(draw, lambda: any(still() for still in busy), scan=False)


def calibration(target: Path) -> None:
    """Disk and lattice, both to be dragged, and two candidates for the rotation."""
    from qtpy.QtWidgets import QApplication

    from napari_polmap.widgets.arrange import open_over
    from napari_polmap.widgets.calibrator import Calibrator

    def draw(viewer: Any, dock: Any, patterns: Any) -> list[Callable[[], Any]]:
        opened: list[Any] = []

        def measure() -> None:
            shown = open_over(viewer, "Calibration", dock)
            opened.append(shown)
            shown.disk_section.start()
            shown.lattice_section.start()
            shown.rotation_section.start()

        def show() -> None:
            shown = opened[0]
            shown.disk_section.drag.setChecked(True)
            shown.lattice_section.vectors.setChecked(True)
            viewer.scene.camera.zoom *= 0.8
            _show_mean(patterns)

        def show_rotation() -> None:
            section = opened[0].rotation_section
            section.header.click()
            QApplication.processEvents()
            place = target.with_name("calibration-rotation.png")
            section.grab().save(str(place))
            _shrink(place)

        def save() -> None:
            opened[0].kept.set_full(f"Kept in {DEMO}.polmap.json")  # without the folder
            QApplication.processEvents()
            _save(viewer, target)

        return [measure, show, lambda: None, save, show_rotation]

    def busy() -> bool:
        import napari

        viewer = napari.current_viewer()
        return viewer is not None and bool(Calibrator.of(viewer).activities)

    _run(draw, busy)


def virtual_imaging(target: Path) -> None:
    """A wedge and its mirror image, and the center of mass in colors."""
    from napari_polmap.diffraction.detectors import WedgeDetector
    from napari_polmap.viewer.tags import Role
    from napari_polmap.viewer.virtual_detector import VirtualDetector
    from napari_polmap.widgets.arrange import open_over

    def draw(viewer: Any, dock: Any, patterns: Any) -> list[Callable[[], Any]]:
        def choose() -> None:
            shown = open_over(viewer, "Virtual imaging", dock)
            opened.append(shown)
            disk = shown.session.calibration
            wedge = WedgeDetector(
                disk.center_px, 0.35 * disk.radius_px, disk.radius_px, angle_deg=45, width_deg=80
            )
            shown.session.set_detector(VirtualDetector.free(wedge))
            shown.imager.pair(True)
            shown.image_section.boxes[Role.COM_COLORS].setChecked(True)

        def spread() -> None:
            _show_mean(patterns)
            viewer.canvas.grid.enabled = True
            viewer.canvas.grid.shape = (2, 1)
            viewer.reset_view()

        return [choose, spread, lambda: None, partial(_save, viewer, target)]

    opened: list[Any] = []
    _run(draw, lambda: bool(opened and opened[0].imager.activities))


def simulate_dock(target: Path) -> None:
    """A simulated scene with its truth, and the dock that it was described in."""
    from qtpy.QtCore import Qt, QTimer

    from napari_polmap.viewer.simulation_values import preset_values
    from napari_polmap.widgets.arrange import dock_of, open_over

    def draw(viewer: Any, dock: Any, patterns: Any) -> list[Callable[[], Any]]:
        def describe() -> None:
            shown = open_over(viewer, "Simulate", dock)
            opened.append(shown)
            values = preset_values("BaTiO3, a 90° wall")
            values["scene"].update(thickness_nm=8, wedge_nm_per_nm=[0.0, 0.2])
            values["scan"].update(shape=[30, 30], step_nm=0.08)
            del values["detector"]
            shown.fill(values)
            shown.run_section.set_folder(Path("BaTiO3").absolute())

        def spread() -> None:
            section = opened[0].run_section
            # Without the temporary folder.
            section.folder.set_full(f"~/Documents/{_SIMULATED}")
            section.state.setText(f"Done: 1 scan in ~/Documents/{_SIMULATED}.")
            opened[0]._scroll.verticalScrollBar().setValue(opened[0].preview_section.y())
            dock_of(patterns).hide()
            docks, width = [dock_of(opened[0])], opened[0].sizeHint().width()
            window = viewer.window._qt_window
            QTimer.singleShot(
                0, lambda: window.resizeDocks(docks, [width], Qt.Orientation.Horizontal)
            )

        return [
            describe,
            lambda: None,
            lambda: opened[0].run_section.start(),
            lambda: opened[0].preview_section.start(),
            spread,
            viewer.reset_view,
            partial(_save, viewer, target),
        ]

    def busy() -> bool:
        if not opened:
            return False
        run, preview = opened[0].run_section, opened[0].preview_section
        estimated = run.outlook is not None or run.running
        return not estimated or run.latest.busy or run.jobs.busy or preview.jobs.busy

    opened: list[Any] = []
    _run(draw, busy, scan=False)


_SIMULATED = "napari-polmap/simulations/BaTiO3-a-90-wall"
_MADE = "napari-polmap/simulations/KNN-200-kV-24-mrad"


def make_classifier(target: Path) -> None:
    """What it takes to make a classifier for the demo scan."""
    from napari_polmap.widgets.arrange import open_over

    def draw(viewer: Any, dock: Any, _: Any) -> list[Callable[[], Any]]:
        def show() -> None:
            shown = open_over(viewer, "Simulate", dock)
            opened.append(shown)
            shown.make_section.header.setChecked(True)

        def save() -> None:
            section = opened[0].make_section
            section.folder.set_full(f"~/Documents/{_MADE}")  # without the temporary folder
            section.grab().save(str(target))

        return [show, lambda: None, save]

    def busy() -> bool:
        if not opened:
            return False
        outlook = opened[0].make_section.outlook
        return outlook is None or outlook.seconds is None

    opened: list[Any] = []
    _run(draw, busy)


def train_dock(target: Path) -> None:
    """A network that was trained on a small simulated data set."""
    from napari_polmap.simulation.run import iter_simulate
    from napari_polmap.simulation.spec import read_spec
    from napari_polmap.steps import finish
    from napari_polmap.widgets.arrange import dock_of, open_over

    root = IMAGES.parents[1]
    dataset = root / "build" / "quick" / "train.toml"
    if not dataset.exists():
        finish(iter_simulate(read_spec(root / "examples" / "knn_quick.toml"), dataset.parent))

    def draw(viewer: Any, dock: Any, patterns: Any) -> list[Callable[[], Any]]:
        def choose() -> None:
            shown = open_over(viewer, "Train", dock)
            opened.append(shown)
            shown.model_section.model.setCurrentText("cnn")
            shown.model_section.most.setValue(3000)
            shown.model_section.name.setText("knn-quick-cnn")
            shown.take_dataset(dataset)

        def spread() -> None:
            shown = opened[0]
            shown.dataset_section.shown.set_full("~/build/quick/train.toml")
            shown.run_section.problem.hide()
            place = shown.run_section.y() - shown.run_section.header.height()
            shown._scroll.verticalScrollBar().setValue(place)
            dock_of(patterns).hide()
            viewer.reset_view()

        return [
            choose,
            lambda: opened[0].run_section.start(),
            spread,
            spread,
            partial(_save, viewer, target),
        ]

    def busy() -> bool:
        if not opened:
            return False
        shown = opened[0]
        return shown.dataset_section.summary is None or shown.run_section.running

    opened: list[Any] = []
    _run(draw, busy)


def _run(
    draw: Callable[[Any, Any, Any], list[Callable[[], Any]]],
    busy: Callable[[], bool],
    *,
    scan: bool = True,
) -> None:
    """Open a window, do one thing after another, each when the one before is done."""
    import napari

    from napari_polmap.viewer.launch import open_window

    viewer, dock, patterns = open_window()
    viewer.window.resize(*WINDOW)
    if scan:
        dock.controller.open_scan(Path(DEMO))
    actions = draw(viewer, dock, patterns)
    dock.when_idle([*actions, viewer.close], lambda: busy() or bool(patterns.controller.busy))
    napari.run()


def _show_mean(patterns: Any) -> None:
    patterns.view.setCurrentText("Mean of scan")
    patterns.view.activated.emit(patterns.view.currentIndex())
    patterns.mode.setCurrentText("Linear")


def _save(viewer: Any, target: Path) -> None:
    viewer.window.screenshot(str(target), canvas_only=False, flash=False)


def _shrink(target: Path) -> None:
    from PIL import Image

    # Fewer colors would make it smaller, and change those of the directions.
    Image.open(target).convert("RGB").save(target, optimize=True)


_PICTURES: dict[str, Callable[[Path], None]] = {
    "window": window,
    "import-dialog": import_dialog,
    "calibration": calibration,
    "virtual-imaging": virtual_imaging,
    "simulate-dock": simulate_dock,
    "make-classifier": make_classifier,
    "train-dock": train_dock,
}

if __name__ == "__main__":
    main()
