"""The diffraction view's logic without Qt: a headless viewer, the real session, real scans."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_polmap.diffraction.detectors import AnnulusDetector, DiskDetector
from napari_polmap.directions import DirectionSet
from napari_polmap.mapping import classify, evidence
from napari_polmap.polarization_map import (
    STATUS_BY_HAND,
    STATUS_CLASSIFIED,
    STATUS_EDGE_WINDOW,
    PolarizationMap,
)
from napari_polmap.scan import Scan
from napari_polmap.viewer.contrast import MODES, Contrast, grey_values
from napari_polmap.viewer.diffraction import (
    POSITION,
    SCAN_MAXIMUM,
    SCAN_MEAN,
    DiffractionController,
)
from napari_polmap.viewer.diffraction_layers import readout
from napari_polmap.viewer.latest import LatestJob
from napari_polmap.viewer.patterns import iter_maximum_pattern, iter_region_pattern
from napari_polmap.viewer.picking import MARK_NAME
from napari_polmap.viewer.reading import evidence_reading, map_reading
from napari_polmap.viewer.virtual_detector import VirtualDetector
from tests.synthetic import make_scan, train_quick, two_domains

SHAPE = (6, 8, 24, 20)


@pytest.fixture
def scan() -> Scan:
    data = np.random.default_rng(1).poisson(5, SHAPE).astype(np.uint16)
    return Scan(
        data,
        step_nm=0.05,
        center_px=(11.5, 9.0),
        radius_px=6.0,
        semi_angle_mrad=24.0,
        energy_kv=200.0,
    )


class Window:
    """Runs what background threads hand over when told to, as a window's event loop does."""

    def __init__(self) -> None:
        self.calls: list = []
        self.came = threading.Event()

    def deliver(self, call) -> None:
        self.calls.append(call)
        self.came.set()

    def run_until(self, done, timeout: float = 5.0) -> None:
        end = time.monotonic() + timeout
        while not done():
            assert time.monotonic() < end, "nothing came from the background"
            self.came.wait(0.05)
            self.came.clear()
            while self.calls:
                self.calls.pop(0)()


@pytest.fixture
def window() -> Window:
    return Window()


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def controller(viewer, window):
    controller = DiffractionController(viewer, window.deliver)
    yield controller
    controller.close()


def shows(controller, position) -> bool:
    shown = controller.shown
    return shown is not None and shown.complete and shown.position == position


def test_position_shows_its_pattern(controller, window, scan):
    controller.session.open(scan)
    assert controller.shown is None
    controller.session.set_position((2, 3))
    window.run_until(lambda: shows(controller, (2, 3)))
    np.testing.assert_array_equal(controller.shown.values, scan.data[2, 3].compute())
    pattern = controller.model.layers["pattern"]
    assert pattern.visible
    np.testing.assert_array_equal(pattern.data, controller.shown.grey)
    assert pattern.data.min() == 0
    assert pattern.data.max() == 255


def test_patterns_are_read_outside_the_main_thread(controller, window, scan, monkeypatch):
    readers = []
    read = Scan.pattern

    def noted(self, y, x):
        readers.append(threading.current_thread())
        return read(self, y, x)

    monkeypatch.setattr(Scan, "pattern", noted)
    controller.session.open(scan)
    controller.session.set_position((0, 0))
    window.run_until(lambda: shows(controller, (0, 0)))
    assert readers
    assert threading.main_thread() not in readers


def test_only_the_newest_position_is_shown(controller, window, scan, monkeypatch):
    read, shown = Scan.pattern, []

    def slow(self, y, x):
        time.sleep(0.05)
        return read(self, y, x)

    monkeypatch.setattr(Scan, "pattern", slow)
    controller.pattern_changed.connect(lambda: shown.append(controller.shown))
    controller.session.open(scan)
    for x in range(8):
        controller.session.set_position((1, x))
    window.run_until(lambda: shows(controller, (1, 7)))
    assert [s.position for s in shown if s is not None] == [(1, 7)]


def test_mark_follows_the_position_and_leaves_the_selection(controller, window, viewer, scan):
    image = viewer.add_image(np.zeros(scan.scan_shape), scale=(0.05, 0.05))
    controller.session.open(scan)
    controller.session.set_position((2, 3))
    window.run_until(lambda: shows(controller, (2, 3)))
    mark = viewer.layers[MARK_NAME]
    np.testing.assert_array_equal(mark.data, [(2, 3)])
    np.testing.assert_allclose(mark.scale, (0.05, 0.05))
    assert viewer.layers.selection.active is image
    controller.session.set_position((4, 5))
    window.run_until(lambda: shows(controller, (4, 5)))
    np.testing.assert_array_equal(mark.data, [(4, 5)])
    # It keeps its size on the screen.
    size = float(mark.size[0])
    viewer.scene.camera.zoom *= 2
    np.testing.assert_allclose(mark.size, size / 2)
    controller.session.recalibrate(scan.calibrated(step_nm=0.1))
    np.testing.assert_allclose(mark.scale, (0.1, 0.1))
    viewer.layers.remove(mark)  # the user may
    controller.session.set_position((0, 1))
    window.run_until(lambda: shows(controller, (0, 1)))
    np.testing.assert_array_equal(viewer.layers[MARK_NAME].data, [(0, 1)])
    controller.session.set_position(None)
    assert MARK_NAME not in viewer.layers


def test_position_at_world_coordinates(controller, scan):
    picker = controller.picker
    assert picker.position_at((0.1, 0.15)) is None  # no scan yet
    controller.session.open(scan)
    assert picker.position_at((0.1, 0.16)) == (2, 3)
    assert picker.position_at((-0.03, 0.1)) is None
    assert picker.position_at((0.1, 8 * 0.05)) is None


def test_coordinates_are_mrad_from_the_disk_center(controller, scan):
    controller.session.open(scan)
    pattern, disk = controller.model.layers["pattern"], controller.model.layers["bright-field disk"]
    np.testing.assert_allclose(pattern.scale, (4.0, 4.0))
    np.testing.assert_allclose(pattern.data_to_world((11.5, 9.0)), (0, 0), atol=1e-9)
    assert {str(unit) for unit in pattern.units} == {"milliradian"}
    corners = disk.data[0]
    np.testing.assert_allclose(corners.min(axis=0), (5.5, 3.0))
    np.testing.assert_allclose(corners.max(axis=0), (17.5, 15.0))
    controller.session.recalibrate(scan.calibrated("user", radius_px=8.0))
    np.testing.assert_allclose(pattern.scale, (3.0, 3.0))
    np.testing.assert_allclose(disk.data[0].max(axis=0), (19.5, 17.0))


def test_pixels_without_calibration(controller, window):
    controller.session.open(Scan(np.ones((2, 2, 6, 5), np.uint8)))
    assert {str(u) for u in controller.model.layers["pattern"].units} == {"pixel"}
    assert not controller.model.layers["bright-field disk"].data
    assert controller.layers.pixel_at((5, 4)) == (5, 4)
    assert controller.layers.pixel_at((6, 4)) is None


def test_readout(scan):
    pattern = np.zeros(SHAPE[2:], np.uint16)
    pattern[11, 14] = 153
    text = readout(scan.calibration, (11, 14), pattern)
    assert text.startswith("ky 11  kx 14 px · 153 counts · 20.1 mrad")
    # 24/6 mrad a pixel times hypot(0.5, 5), over 2.508 pm at 200 kV
    assert "0.801 1/Å" in text
    assert "mrad" not in readout(Scan(np.ones((1, 1, 3, 3))).calibration, (1, 1), None)


def test_region_shows_the_mean_block_by_block(scan, window, controller):
    region = np.zeros(scan.scan_shape, bool)
    region[1:4, 2:7] = True
    region[2, 3] = False
    controller.session.open(scan)
    controller.session.set_region(region)
    window.run_until(lambda: shows(controller, None))
    expected = scan.data.compute()[region].mean(axis=0)
    np.testing.assert_allclose(controller.shown.values, expected, rtol=1e-6)
    assert controller.shown.title == "Mean of 14 positions"


def test_region_steps_report_how_far_they_are():
    import dask.array as da

    data = np.zeros((64, 128, 64, 64), np.uint8)
    data += np.arange(128, dtype=np.uint8)[:, None, None]
    scan = Scan(da.from_array(data, chunks=(32, 32, 64, 64)))
    region = np.ones(scan.scan_shape, bool)
    region[:32, :32] = False
    steps = list(iter_region_pattern(scan, region, Contrast()))
    assert [step.done for step in steps] == [1024 * (i + 1) for i in range(7)]
    assert [step.complete for step in steps] == [False] * 6 + [True]
    np.testing.assert_allclose(steps[0].values, 47.5)
    np.testing.assert_allclose(steps[-1].values, data[region].mean(axis=0), rtol=1e-6)


def test_outlines_of_the_detector(controller, scan):
    controller.session.open(scan)
    outline = controller.model.layers["virtual detector"]
    assert not outline.visible
    ring = VirtualDetector.free(AnnulusDetector((11.0, 9.0), 3.0, 6.0))
    controller.session.set_detector(ring)
    assert outline.visible
    inner, outer = outline.data
    np.testing.assert_allclose(outer.min(axis=0), (5, 3), atol=0.01)
    np.testing.assert_allclose(inner.max(axis=0), (14, 12), atol=0.01)
    controller.session.drag_detector(VirtualDetector.free(DiskDetector((4.0, 5.0), 2.0)))
    np.testing.assert_allclose(outline.data[0].min(axis=0), (2, 3), atol=0.01)
    # A pair has its mirror image through the beam, in another color.
    controller.session.set_detector(VirtualDetector.free(DiskDetector((4.0, 5.0), 2.0), True))
    assert len(outline.data) == 2
    np.testing.assert_allclose(outline.data[0].mean(axis=0), (19, 13), atol=0.1)
    assert not np.allclose(*outline.edge_color)
    controller.session.set_detector(None)
    assert not outline.visible


def test_outline_follows_the_distortion(controller, scan):
    controller.session.open(scan.calibrated(ellipse=(1.3, 20.0)))
    controller.session.set_detector(VirtualDetector.free(DiskDetector((11.5, 9.0), 4.0)))
    line = controller.model.layers["virtual detector"].data[0]
    calibration = controller.session.calibration
    np.testing.assert_allclose(calibration.disk_distance(*line.T), 4.0, atol=1e-4)


def test_keys_nudge_grow_and_undo(controller, scan):
    session, editor = controller.session, controller.editor
    session.open(scan)
    first = VirtualDetector("bright field", DiskDetector((11.5, 9.0), 6.0))
    session.set_detector(first)
    assert not editor.can_undo
    keymap = controller.model.keymap
    press = {str(key): action for key, action in keymap.items()}
    press["Left"](controller.model)
    assert session.detector == VirtualDetector("disk", DiskDetector((11.5, 8.0), 6.0))
    press["Shift+Down"](controller.model)
    assert session.detector.shape.center == (21.5, 8.0)
    press["-"](controller.model)
    press["="](controller.model)
    press["="](controller.model)
    assert session.detector.shape.radius == 7.0
    for _ in range(4):
        press["Ctrl+Z"](controller.model)
    assert session.detector.shape == DiskDetector((11.5, 8.0), 6.0)
    press["Ctrl+Z"](controller.model)
    assert session.detector == first
    press["Ctrl+Z"](controller.model)
    assert session.detector == first
    press["Ctrl+Y"](controller.model)
    assert session.detector.kind == "disk"
    # What the calibration does to a preset is no step of the detector's.
    session.set_detector(first)
    steps = len(editor._undo)
    session.set_detector(VirtualDetector("bright field", DiskDetector((12.0, 9.0), 6.0)))
    assert len(editor._undo) == steps
    session.open(scan)
    assert not editor.can_undo


def test_mean_and_maximum_of_the_scan(controller, window, scan):
    controller.session.open(scan)
    controller.session.set_position((2, 3))
    window.run_until(lambda: shows(controller, (2, 3)))
    counts = scan.data.compute()
    controller.show_view(SCAN_MEAN)
    window.run_until(lambda: shows(controller, None))
    np.testing.assert_allclose(controller.shown.values, counts.mean(axis=(0, 1)), rtol=1e-5)
    assert controller.shown.title == "Mean of 48 positions"
    controller.show_view(SCAN_MAXIMUM)
    window.run_until(lambda: controller.shown.title.startswith("Maximum"))
    np.testing.assert_array_equal(controller.shown.values, counts.max(axis=(0, 1)))
    assert controller.view == SCAN_MAXIMUM
    controller.session.set_position((1, 1))
    window.run_until(lambda: shows(controller, (1, 1)))
    assert controller.view == POSITION


def test_maximum_follows_the_descan(scan):
    calibration = scan.calibration.updated("user", descan_px=(1.0, 0.0, 0.0, -1.0))
    data = np.zeros((5, 5, 24, 20), np.uint16)
    for y, x in np.ndindex(5, 5):
        ky, kx = np.rint(calibration.center_at(y, x, (5, 5))).astype(int)
        data[y, x, ky, kx] = 10 + y
    steps = list(iter_maximum_pattern(Scan(data, calibration), np.ones((5, 5), bool), Contrast()))
    assert np.count_nonzero(steps[-1].values > 3) <= 4  # all spots on one place
    assert steps[-1].values.max() == pytest.approx(14, rel=0.5)


def test_hidden_view_reads_nothing_until_it_is_seen(controller, window, viewer, scan):
    controller.session.open(scan)
    controller.active = False
    controller.session.set_position((1, 1))
    assert not controller.busy
    assert controller.shown is None
    assert MARK_NAME in viewer.layers
    controller.active = True
    window.run_until(lambda: shows(controller, (1, 1)))


def test_unreadable_scan_is_said(controller, window, scan, monkeypatch):
    import dask.array as da

    from napari_polmap.viewer import diffraction

    said = []
    monkeypatch.setattr(diffraction, "show_error", said.append)

    def fails(block):
        raise OSError("disk gone")

    broken = Scan(da.map_blocks(fails, scan.data, dtype=np.uint16, meta=np.empty((0,) * 4)))
    controller.session.open(broken)
    controller.session.set_position((0, 0))
    window.run_until(lambda: bool(said))
    assert "cannot be read (disk gone)" in said[0]
    assert controller.shown is None


def test_another_scan_clears_the_view(controller, window, scan):
    controller.session.open(scan)
    controller.session.set_position((1, 1))
    window.run_until(lambda: shows(controller, (1, 1)))
    controller.session.open(Scan(np.ones((3, 3, 10, 10), np.uint8)))
    assert controller.shown is None
    assert not controller.model.layers["pattern"].visible
    assert controller.model.layers["pattern"].data.shape == (10, 10)


def test_closing_gives_the_main_viewer_back(viewer, window, scan):
    before = list(viewer.mouse_drag_callbacks)
    controller = DiffractionController(viewer, window.deliver)
    controller.session.open(scan)
    controller.session.set_position((1, 1))
    window.run_until(lambda: shows(controller, (1, 1)))
    assert MARK_NAME in viewer.layers
    controller.close()
    assert viewer.mouse_drag_callbacks == before
    assert MARK_NAME not in viewer.layers
    controller.session.set_position((2, 2))
    assert MARK_NAME not in viewer.layers
    assert "polmap-pattern" not in {thread.name for thread in threading.enumerate()}


# Readings


def polarization_map(scan: Scan) -> PolarizationMap:
    result = PolarizationMap.empty(
        scan.scan_shape,
        DirectionSet.default(),
        threshold=0.8,
        calibration=scan.calibration,
        scan=scan.identity(),
        classifier={"name": "test", "sha256": "0"},
    )
    result.direction[:] = 1
    result.status[:] = STATUS_CLASSIFIED
    result.probabilities[..., 1] = 0.97
    result.confidence[:] = 0.97
    return result


def test_reading_of_a_map(scan):
    result = polarization_map(scan)
    assert map_reading(result, 1, 1).text == "RU 45° · confidence 0.97"
    result.confidence[1, 1] = 0.5
    assert map_reading(result, 1, 1).text == "undecided, most likely RU 45° · confidence 0.50"
    result.status[1, 1] = STATUS_BY_HAND
    assert map_reading(result, 1, 1).text == "RU 45° · confidence 0.50 · set by hand"
    result.status[0, 0] |= STATUS_EDGE_WINDOW
    result.confidence_calibrated = False
    expected = "RU 45° · confidence 0.97 (uncalibrated) · window at an edge"
    assert map_reading(result, 0, 0).text == expected
    result.direction[2, 2] = 255
    assert map_reading(result, 2, 2) is None


def test_reading_turns_with_the_crystal(scan):
    turned = scan.calibrated(crystal_angle_deg=30.0)
    assert map_reading(polarization_map(turned), 1, 1).text.startswith("RU 75°")


def test_reading_of_evidence():
    seen = SimpleNamespace(probabilities=np.full(8, 0.125), direction=2, confidence=0.125)
    reading = evidence_reading(seen, DirectionSet.default(), 0.5)
    assert reading.text == "undecided, most likely MU 90° · confidence 0.12"


def test_reading_follows_the_map(controller, window, scan):
    controller.session.open(scan)
    controller.session.set_position((1, 1))
    window.run_until(lambda: shows(controller, (1, 1)))
    assert controller.reading is None
    result = polarization_map(scan)
    controller.session.start_map(result)
    assert controller.reading.text.startswith("RU 45°")
    controller.session.set_threshold(0.99)
    assert controller.reading.undecided
    heard = []
    controller.reading_changed.connect(lambda: heard.append(1))
    controller.session.note_progress(None, (slice(3, 5), slice(0, 8)))
    assert not heard  # another part of the map
    controller.session.note_progress(None, (slice(0, 3), slice(0, 8)))
    assert heard


# Evidence


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return train_quick(tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="module")
def domains() -> Scan:
    """RU on the left, LM on the right."""
    return make_scan(two_domains((24, 32)))


def explained(controller, window) -> None:
    window.run_until(lambda: controller.evidence is not None or bool(controller.notice))


def test_evidence_of_a_position(controller, window, classifier, domains):
    controller.session.open(domains)
    controller.session.set_position((12, 6))
    window.run_until(lambda: shows(controller, (12, 6)))
    assert controller.evidence is None
    controller.session.set_classifier(classifier)
    explained(controller, window)
    assert controller.reading.text.startswith("RU 45° · confidence")
    assert controller.reading.calibrated
    assert controller.evidence.seen.shape == controller.evidence.class_means.shape[1:]
    controller.session.set_position((12, 27))
    window.run_until(lambda: shows(controller, (12, 27)))
    explained(controller, window)
    assert controller.reading.text.startswith("LM 180°")


def test_evidence_of_a_region(controller, window, classifier, domains):
    controller.session.open(domains)
    controller.session.set_classifier(classifier)
    region = np.zeros(domains.scan_shape, bool)
    region[4:12, 2:10] = True  # one cell
    controller.session.set_region(region)
    window.run_until(lambda: shows(controller, None))
    explained(controller, window)
    assert controller.reading.text.startswith("RU 45°")
    np.testing.assert_allclose(controller.evidence.pattern, controller.shown.values)


def test_map_tells_the_direction_and_evidence_the_pattern(controller, window, classifier, domains):
    controller.session.open(domains)
    controller.session.set_classifier(classifier)
    made = classify(domains, classifier, window=2.0)
    controller.session.start_map(made)
    controller.session.set_position((12, 6))
    window.run_until(lambda: shows(controller, (12, 6)))
    direction = made.direction[12, 6]
    assert controller.reading.direction == direction  # at once
    assert controller.evidence is None
    explained(controller, window)
    # Seen through the window the map was made with, not through the classifier's own.
    expected = evidence(domains, classifier, (12, 6), window=2.0)
    np.testing.assert_allclose(controller.evidence.seen, expected.seen)
    assert controller.compared == (direction, classifier.directions.names[direction])
    np.testing.assert_allclose(controller.reading.probabilities, expected.probabilities, atol=2e-3)


def test_classifier_that_does_not_apply_says_so(controller, window, classifier, domains):
    controller.session.open(domains.calibrated(energy_kv=80.0))
    controller.session.set_classifier(classifier)
    controller.session.set_position((12, 6))
    window.run_until(lambda: shows(controller, (12, 6)))
    explained(controller, window)
    assert "does not apply to this scan" in controller.notice
    assert "80 kV" in controller.notice
    assert controller.reading is None
    assert not controller.explaining
    # Where the user had it classified all the same, the map stands and shows what it rests on.
    foreign = controller.session.scan
    controller.session.start_map(classify(foreign, classifier, force=True))
    explained(controller, window)
    assert controller.evidence is not None
    assert "(uncalibrated)" in controller.reading.text


def test_unknown_voltage_leaves_the_confidence_uncalibrated(
    controller, window, classifier, domains
):
    controller.session.open(domains.calibrated(energy_kv=None))
    controller.session.set_classifier(classifier)
    controller.session.set_position((12, 6))
    window.run_until(lambda: shows(controller, (12, 6)))
    explained(controller, window)
    assert controller.reading.text.endswith("(uncalibrated)")


def test_position_without_data(controller, window, classifier, domains):
    data = domains.data.compute()
    data[:] = 0
    controller.session.open(Scan(data, domains.calibration))
    controller.session.set_classifier(classifier)
    controller.session.set_position((3, 3))
    window.run_until(lambda: shows(controller, (3, 3)))
    explained(controller, window)
    assert controller.notice == "There is no data at this position."
    assert controller.reading is None


# Contrast and background


@pytest.mark.parametrize("mode", MODES)
def test_contrast_rises_with_intensity_and_takes_any_number(mode):
    pattern = np.linspace(-5, 1000, 256, dtype=np.float32).reshape(16, 16)
    grey = grey_values(pattern, Contrast(mode, 0, 100)).ravel().astype(int)
    assert (np.diff(grey) >= 0).all()
    assert grey[0] == 0
    assert grey[-1] == 255
    spoiled = pattern.copy()
    spoiled[0, :4] = (np.nan, np.inf, -np.inf, 0)
    assert grey_values(spoiled, Contrast(mode)).shape == (16, 16)
    assert grey_values(np.zeros((4, 4)), Contrast(mode)).max() == 0
    assert (grey_values(np.full((4, 4), 7.0), Contrast(mode)) == 0).all()


def test_curves_lift_the_dark_field():
    pattern = np.full((10, 10), 10.0)
    pattern[:5] = 1000
    pattern[9, 9] = 0
    dark = {mode: int(grey_values(pattern, Contrast(mode, 0, 100))[9, 0]) for mode in MODES}
    assert dark["linear"] < dark["square root"]
    assert dark["linear"] < dark["asinh"]


def test_limits_can_be_held(controller, window, scan):
    controller.session.open(scan)
    controller.session.set_position((0, 0))
    window.run_until(lambda: shows(controller, (0, 0)))
    limits = controller.shown.limits
    controller.set_contrast(Contrast("linear", 0.0, 50.0), hold_limits=True)
    window.run_until(lambda: controller.shown.limits != limits)
    limits = controller.shown.limits
    controller.session.set_position((5, 7))
    window.run_until(lambda: shows(controller, (5, 7)))
    assert controller.shown.limits == limits


def test_bad_pixels_do_not_set_the_limits(window, controller, scan):
    data = scan.data.compute()
    data[:, :, 3, 3] = 60000
    bad = np.zeros(SHAPE[2:], bool)
    bad[3, 3] = True
    controller.session.open(Scan(data, bad_pixels=bad))
    controller.session.set_position((0, 0))
    window.run_until(lambda: shows(controller, (0, 0)))
    assert controller.shown.limits[1] < 100
    assert controller.shown.grey[3, 3] == 0


def test_newer_job_stops_the_running_one(window):
    job = LatestJob(window.deliver, "test")
    started, go_on = threading.Event(), threading.Event()
    steps, got = [], []

    def slow():
        for index in range(3):
            steps.append(index)
            started.set()
            yield index
            go_on.wait(5)

    job.submit(slow, got.append, got.append)
    assert started.wait(5)
    job.submit(lambda: iter(["new"]), got.append, got.append)
    go_on.set()
    window.run_until(lambda: "new" in got)
    assert steps in ([0], [0, 1])
    assert got == ["new"]
    job.close()
    job.submit(lambda: iter(["late"]), got.append, got.append)
    assert not job.busy


def test_fast_job_is_waited_for_and_handed_over_once(window):
    job = LatestJob(window.deliver, "test")
    got = []
    job.submit(lambda: iter(["first", "second"]), got.append, got.append, patience_s=5)
    assert got == ["first"]
    window.run_until(lambda: "second" in got)
    assert got == ["first", "second"]
    release = threading.Event()

    def slow():
        release.wait(5)
        yield "late"

    job.submit(slow, got.append, got.append, patience_s=0.01)
    assert got == ["first", "second"]
    release.set()
    window.run_until(lambda: "late" in got)
    job.close()


def test_failure_of_a_job_is_handed_over(window):
    job = LatestJob(window.deliver, "test")
    failed = []

    def breaks():
        yield 1
        raise ValueError("broken")

    job.submit(breaks, lambda _: None, failed.append)
    window.run_until(lambda: bool(failed))
    assert str(failed[0]) == "broken"
    job.close()
