"""How long after a click on the map its pattern is drawn in the diffraction dock.

Real mouse events in a real window, positions at random over the whole scan; the time runs from the
press of the button until the diffraction canvas has been drawn with that position's pattern
(glFinish included). Beside it a baseline without any of this program: NumPy's memory map (or h5py)
indexed at the position and the array given to a napari layer of the same canvas, in the window's
own thread.

    xvfb-run -s "-screen 0 1600x1000x24" python benchmarks/click_to_pattern.py
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import napari
import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from vispy import gloo

from napari_polmap import load_classifier, load_scan
from napari_polmap.errors import PolmapError
from napari_polmap.scan import Scan
from napari_polmap.viewer.layers import geometry
from napari_polmap.viewer.session import Session
from napari_polmap.widgets.diffraction_dock import DiffractionDock

DEMO = Path(__file__).parents[1] / "src/napari_polmap/data/demo_knn.hspy"
SHAPE = (128, 128, 256, 256)
LARGE = {
    "step_nm": 0.0495,
    "lattice_nm": 0.396,
    "energy_kv": 200.0,
    "semi_angle_mrad": 24.0,
    "center_px": (127.5, 127.5),
    "radius_px": 72.0,
}
"""Calibration of the large scan, one that the bundled classifier takes."""
PATIENCE_S = 10.0


def write_scan(path: Path) -> None:
    """2.1 GB of counts as .npy: a bright-field disk with noise."""
    rng = np.random.default_rng(0)
    data = np.lib.format.open_memmap(path, "w+", np.uint16, SHAPE)
    radius = np.hypot(*(np.mgrid[: SHAPE[2], : SHAPE[3]] - 127.5))
    disk = 3 / (1 + np.exp((radius - LARGE["radius_px"]) / 2)) + 0.05
    row = rng.poisson(disk, SHAPE[1:]).astype(np.uint16)
    for y in range(SHAPE[0]):
        data[y] = np.roll(row, y, axis=0)  # no two rows alike
    data.flush()


class Stage:
    """A window with the dock and a scan, and a note of what was drawn when."""

    def __init__(self, scan: Scan) -> None:
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(1600, 1000)
        self.session = Session.of(self.viewer)
        self.dock = DiffractionDock(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="Diffraction", area="right")
        image = np.zeros(scan.scan_shape, np.float32)
        self.viewer.add_image(image, contrast_limits=(0, 1), **geometry(scan.calibration))
        self.session.open(scan)
        self.viewer.reset_view()
        self.scale = geometry(scan.calibration)["scale"]
        self.on_drawn: Callable[[], None] = lambda: None
        self.canvas = self.dock.qt_viewer.canvas
        self.canvas.events.draw.connect(self._after_draw, position="last")
        self.settle(1.0)

    def settle(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            QApplication.processEvents()
            time.sleep(0.005)

    def time_to_draw(self, act: Callable[[], Any], ready: Callable[[], bool]) -> float:
        """Seconds from `act` to the first drawing for which `ready` holds."""
        drawn: list[float] = []

        def note() -> None:
            if ready():
                gloo.gl.glFinish()
                drawn.append(time.perf_counter())

        self.on_drawn = note
        start = time.perf_counter()
        act()
        while not drawn:
            QApplication.processEvents()
            if time.perf_counter() - start > PATIENCE_S:
                raise SystemExit("Nothing was drawn.")
        self.on_drawn = lambda: None
        return drawn[0] - start

    def click(self, y: int, x: int) -> None:
        camera, canvas = self.viewer.scene.camera, self.viewer.window._qt_viewer.canvas
        world = np.array((y, x)) * self.scale
        row, column = (world - np.asarray(camera.center)[-2:]) * camera.zoom
        height, width = canvas.size
        QTest.mouseClick(
            canvas.native,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
            QPoint(round(width / 2 + column), round(height / 2 + row)),
        )

    def shows(self, y: int, x: int) -> bool:
        shown = self.dock.controller.shown
        return shown is not None and shown.position == (y, x)

    def _after_draw(self, _: Any) -> None:
        self.on_drawn()


def measure(
    stage: Stage, positions: np.ndarray, pause_s: float, before: Callable[[], None]
) -> list[float]:
    """Seconds from click to drawing at each position."""
    seconds = []
    for y, x in positions.tolist():
        before()
        seconds.append(
            stage.time_to_draw(
                lambda y=y, x=x: stage.click(y, x), lambda y=y, x=x: stage.shows(y, x)
            )
        )
        stage.settle(pause_s)
    return seconds


def measure_baseline(
    stage: Stage,
    read: Callable[[int, int], np.ndarray],
    positions: np.ndarray,
    pause_s: float,
    before: Callable[[], None],
) -> list[float]:
    """The same canvas, the pattern read and set in the window's own thread."""
    model = stage.dock.controller.model
    for layer in model.layers:
        layer.visible = False
    first = read(0, 0)
    place = {name: getattr(model.layers["pattern"], name) for name in ("scale", "units")}
    layer = model.add_image(first, contrast_limits=(0, float(first.max() or 1)), **place)
    model.reset_view()
    stage.settle(0.5)
    seconds = []
    for y, x in positions.tolist():
        before()

        def show(y: int = y, x: int = x) -> None:
            layer.data = read(y, x)

        seconds.append(stage.time_to_draw(show, lambda: True))
        stage.settle(pause_s)
    model.layers.remove(layer)
    return seconds


@contextmanager
def reader(path: Path):
    """Plain access to one pattern: a memory map, or the HDF5 data set itself."""
    if path.suffix == ".npy":
        data = np.load(path, mmap_mode="r")
        yield lambda y, x: np.array(data[y, x])
        return
    import h5py

    with h5py.File(path) as file:
        found: list[h5py.Dataset] = []
        file.visititems(
            lambda _, item: (
                found.append(item) if isinstance(item, h5py.Dataset) and item.ndim == 4 else None
            )
        )
        yield lambda y, x: found[0][y, x]


def forget(path: Path) -> None:
    """Drop the file from the system's cache, so that the next read comes from the disk."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run(scan: Scan, clicks: int, pause_s: float, classifier: str, cold: bool) -> dict[str, Any]:
    """Figures of one scan."""
    path = scan.path
    assert path is not None
    positions = np.stack(
        [np.random.default_rng(7).integers(0, n, clicks) for n in scan.scan_shape], axis=1
    )
    positions = positions[np.any(np.diff(positions, axis=0, prepend=-1) != 0, axis=1)]

    def before() -> None:
        if cold:
            forget(path)

    stage = Stage(scan)
    figures: dict[str, Any] = {"file": path.name, "shape": list(scan.shape), "cold": cold}
    figures["click"] = summary(measure(stage, positions, pause_s, before))
    if classifier:
        try:
            stage.session.set_classifier(load_classifier(classifier))
        except PolmapError as error:
            figures["classifier"] = str(error)
        else:
            figures["click with evidence"] = summary(measure(stage, positions, pause_s, before))
            stage.settle(1.0)
            figures["evidence"] = stage.dock.controller.notice or "shown"
    with reader(path) as read:
        figures["baseline"] = summary(measure_baseline(stage, read, positions, pause_s, before))
    stage.viewer.close()
    return figures


def summary(seconds: list[float]) -> dict[str, float]:
    """Median, 95th percentile and maximum in ms."""
    values = np.array(seconds) * 1e3
    return {
        "n": len(values),
        "median_ms": round(float(np.median(values)), 1),
        "p95_ms": round(float(np.percentile(values, 95)), 1),
        "max_ms": round(float(values.max()), 1),
    }


def main() -> None:
    """Measure and print one JSON object a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=200)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two clicks")
    parser.add_argument("--scan", type=Path, help="keep the 2.1 GB scan in this .npy file")
    parser.add_argument("--classifier", default="default", help="'' for none")
    parser.add_argument(
        "--cold", action="store_true", help="read from the disk, not from its cache"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        large = arguments.scan or Path(folder) / "large.npy"
        if not large.exists():
            write_scan(large)
        for scan in (load_scan(large, measure=False, **LARGE), load_scan(DEMO)):
            figures = run(
                scan, arguments.clicks, arguments.pause, arguments.classifier, arguments.cold
            )
            print(json.dumps(figures))


if __name__ == "__main__":
    main()
