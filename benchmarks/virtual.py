"""How fast an image follows a detector that is dragged, and how fast the exact one comes.

Real mouse events in a real window on a scan of 256 x 256 positions and 128 x 128 pixels in memory:
from a move of the mouse in the diffraction view until the virtual image has its new values, and
until the main canvas has been drawn with them (glFinish included). Beside it the exact image of the
whole scan, against NumPy's plain loop over the rows of positions.

    xvfb-run -s "-screen 0 1600x1000x24" python benchmarks/virtual.py [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import napari
import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from vispy import gloo

from napari_polmap.diffraction.detectors import AnnulusDetector, DiskDetector
from napari_polmap.diffraction.virtual import virtual_image
from napari_polmap.scan import Scan
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.tags import Role
from napari_polmap.viewer.virtual_detector import VirtualDetector

CENTER, RADIUS = (63.5, 63.5), 30.0
TARGET_MS = 100.0
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
PATIENCE_S = 60.0
DETECTORS = {
    "bright field": DiskDetector(CENTER, RADIUS),
    "small disk": DiskDetector(CENTER, RADIUS / 4),
    "annulus": AnnulusDetector(CENTER, 0.5 * RADIUS, RADIUS),
    "wide annulus": AnnulusDetector(CENTER, RADIUS, 2 * RADIUS),
}


def make_scan(positions: int, pixels: int) -> Scan:
    """Counts of a disk whose brightness changes with the position."""
    rng = np.random.default_rng(0)
    radius = np.hypot(*(np.mgrid[:pixels, :pixels] - (pixels - 1) / 2)) * 128 / pixels
    disk = 4 / (1 + np.exp(radius - RADIUS)) + 0.1
    row = rng.poisson(disk, (positions, pixels, pixels)).astype(np.uint16)
    data = np.empty((positions, positions, pixels, pixels), np.uint16)
    for y in range(positions):
        data[y] = np.roll(row, 3 * y, axis=0)
    known = {"step_nm": 0.05, "semi_angle_mrad": 24.0, "energy_kv": 200.0}
    scale = pixels / 128
    center = ((pixels - 1) / 2, (pixels - 1) / 2)
    return Scan(data, center_px=center, radius_px=RADIUS * scale, **known)


class Stage:
    """A window with both docks and the scan."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(1600, 1000)
        opened = self.viewer.window.add_plugin_dock_widget("napari-polmap", "Virtual imaging")[1]
        self.dock = getattr(opened, "__wrapped__", opened)
        self.imager = self.dock.imager
        self.session = Session.of(self.viewer)
        self.session.open(scan)
        self.patterns = self.dock.show_patterns()
        self.settle()
        self.viewer.reset_view()
        self.settle()
        self.canvas = self.patterns.qt_viewer.canvas
        self.main = self.viewer.window._qt_viewer.canvas
        self.on_drawn: Callable[[], None] = lambda: None
        self.main.events.draw.connect(lambda _: self.on_drawn(), position="last")

    def settle(self) -> None:
        """Let the window do what it has to."""
        end = time.perf_counter() + 0.5
        while time.perf_counter() < end or self.imager.busy:
            QApplication.processEvents()
            time.sleep(0.005)

    def point(self, ky: float, kx: float) -> QPoint:
        """Where a detector pixel lies on the diffraction canvas."""
        model = self.patterns.controller.model
        world = model.layers["pattern"].data_to_world((ky, kx))
        height, width = self.canvas.size
        camera = model.scene.camera
        y, x = (np.asarray(world) - np.asarray(camera.center)[-2:]) * camera.zoom
        return QPoint(round(width / 2 + x), round(height / 2 + y))

    def move(self, place: QPoint) -> None:
        """A move of the mouse with its button down."""
        native = self.canvas.native
        where, on_screen = QPointF(place), QPointF(native.mapToGlobal(place))
        kind = QEvent.Type.MouseMove
        QApplication.sendEvent(native, QMouseEvent(kind, where, on_screen, LEFT, LEFT, NONE))

    def drag(self, detector: Any, moves: int) -> dict[str, list[float]]:
        """Milliseconds from each move to the new values, and to their frame."""
        self.session.set_detector(VirtualDetector.free(detector))
        self.settle()
        inner, outer = detector.radii
        start = (detector.center[0], detector.center[1] + (inner + outer) / 2)
        native = self.canvas.native
        QTest.mouseMove(native, self.point(*start))
        QTest.mousePress(native, LEFT, NONE, self.point(*start))
        for offset in (1, 2):  # napari throttles the moves right after a press
            self.move(self.point(start[0] + offset, start[1]))
            self.settle()
        times: dict[str, list[float]] = {"values": [], "frame": []}
        for index in range(moves):
            angle = 2 * np.pi * index / moves
            place = self.point(start[0] + 9 * np.sin(angle), start[1] + 9 * np.cos(angle) - 4)
            came: list[float] = []
            drawn: list[float] = []

            def note(name: str, came: list[float] = came) -> None:
                if name == Role.VIRTUAL:
                    came.append(time.perf_counter())

            def after(came: list[float] = came, drawn: list[float] = drawn) -> None:
                if came:
                    gloo.gl.glFinish()
                    drawn.append(time.perf_counter())

            self.session.images_changed.connect(note)
            self.on_drawn = after
            begin = time.perf_counter()
            self.move(place)
            while not drawn:
                QApplication.processEvents()
                if time.perf_counter() - begin > PATIENCE_S:
                    raise SystemExit("Nothing was drawn.")
            self.session.images_changed.disconnect(note)
            self.on_drawn = lambda: None
            times["values"].append(1e3 * (came[0] - begin))
            times["frame"].append(1e3 * (drawn[0] - begin))
            QApplication.processEvents()
        begin = time.perf_counter()
        QTest.mouseRelease(native, LEFT, NONE, place)
        while self.imager.busy:
            QApplication.processEvents()
        times["exact after release"] = [1e3 * (time.perf_counter() - begin)]
        exact = virtual_image(self.scan, self.session.detector.shape)
        shown = self.imager.manager.get(Role.VIRTUAL).data
        if not np.allclose(shown, exact, rtol=1e-5):
            raise SystemExit("The released image is not the exact one.")
        return times


def plain_loop(data: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image as one writes it in NumPy: mask times patterns, summed, a row at a time."""
    return np.stack([(row * mask).sum(axis=(1, 2)) for row in data])


def best(action: Callable[[], Any], times: int = 3) -> float:
    """Seconds of the fastest of some runs."""
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def measure(positions: int, pixels: int, moves: int) -> dict[str, Any]:
    """All figures."""
    scan = make_scan(positions, pixels)
    stage = Stage(scan)
    report: dict[str, Any] = {
        "shape": list(scan.shape),
        "reduced": {
            "binning": stage.imager.reduced.how.binning,
            "stride": stage.imager.reduced.how.stride,
            "MB": round(stage.imager.reduced.nbytes / 2**20),
        },
        "drag_ms": {},
    }
    stage.drag(DETECTORS["bright field"], 5)  # the first frames of all
    for name, detector in DETECTORS.items():
        times = stage.drag(detector, moves)
        report["drag_ms"][name] = {
            what: {
                "median": round(float(np.median(values)), 1),
                "95th percentile": round(float(np.percentile(values, 95)), 1),
                "maximum": round(float(np.max(values)), 1),
            }
            for what, values in times.items()
        }
    stage.viewer.close()
    data = np.asarray(scan.data.compute())
    exact: dict[str, Any] = {}
    for name in ("bright field", "annulus"):
        mask = DETECTORS[name].mask(scan.detector_shape)
        ours = best(lambda name=name: virtual_image(scan, DETECTORS[name]))
        loop = best(lambda mask=mask: plain_loop(data, mask), 1)
        exact[name] = {
            "seconds": round(ours, 2),
            "numpy_loop_seconds": round(loop, 2),
            "ratio": round(ours / loop, 2),
        }
    report["exact"] = exact
    return report


def main() -> int:
    """Run and print; the exit status tells whether the target is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--positions", type=int, default=256)
    parser.add_argument("--pixels", type=int, default=128)
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = measure(options.positions, options.pixels, options.moves)
    if options.json:
        print(json.dumps(report))
    else:
        print(f"{report['shape']}, reduced copy {report['reduced']}")
        for name, times in report["drag_ms"].items():
            print(name)
            for what, values in times.items():
                told = ", ".join(f"{key} {value} ms" for key, value in values.items())
                print(f"  {what:>20}: {told}")
        for name, values in report["exact"].items():
            print(
                f"exact {name}: {values['seconds']} s, NumPy's loop "
                f"{values['numpy_loop_seconds']} s, ratio {values['ratio']}"
            )
    frames = [times["frame"]["95th percentile"] for times in report["drag_ms"].values()]
    return 0 if max(frames) < TARGET_MS else 1


if __name__ == "__main__":
    sys.exit(main())
