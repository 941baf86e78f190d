"""What cannot work ends in one sentence in the window, and nothing is lost."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from napari_polmap.scan import Scan
from napari_polmap.widgets.runs import RunSettings
from tests.synthetic import CALIBRATION, make_patterns, two_domains
from tests.viewer.scenes import filled_map
from tests.widgets.conftest import Window


@pytest.mark.parametrize("content", [b"", b"no classifier", pickle.dumps({"a": 1}), None])
def test_what_is_no_classifier(
    window: Window, tmp_path: Path, told: list[str], content: bytes | None
) -> None:
    path = tmp_path / "file.safetensors"
    if content is not None:
        path.write_bytes(content)
    before = window.session.classifier
    window.dock.controller.load_classifier(path)
    window.settle()
    assert len(told) == 1
    assert window.session.classifier is before


@pytest.fixture
def ready(window: Window, scan: Scan, classifier_file: Path) -> Window:
    window.session.open(scan)
    window.dock.controller.load_classifier(classifier_file)
    window.settle()
    return window


def test_a_map_that_cannot_be_written(ready: Window, tmp_path: Path, told: list[str]) -> None:
    earlier = filled_map(ready.session.scan)
    ready.session.start_map(earlier)
    (tmp_path / "file").write_text("in the way")
    ready.dock.run_section.set_target(str(tmp_path / "file" / "map.zarr"))
    ready.dock.run_section.start()
    ready.settle()
    assert len(told) == 1
    assert "file" in told[0]
    assert ready.session.map is earlier
    assert ready.dock.run_section.run.isEnabled()


def test_a_window_without_the_step_it_needs(ready: Window, told: list[str]) -> None:
    ready.session.recalibrate(ready.session.scan.calibrated("user", step_nm=None))
    ready.settle()
    ready.dock.runs.run(RunSettings(window_cells=1.0))
    ready.settle()
    assert len(told) == 1
    assert "step" in told[0]
    assert ready.session.map is None


def test_no_region_to_run_or_reclassify(ready: Window, told: list[str]) -> None:
    ready.dock.runs.run(RunSettings(window_cells=1.0, only_region=True))
    assert "Draw a region" in told[0]
    ready.session.start_map(filled_map(ready.session.scan))
    ready.dock.runs.reclassify(1.0)
    ready.settle()
    assert len(told) == 2
    assert ready.session.map.history == []


def test_impossible_calibration_goes_back(ready: Window, told: list[str]) -> None:
    ready.dock.controller.calibrator.set_calibration(radius_px=-3.0)
    assert len(told) == 1
    assert "radius_px" in told[0]
    assert ready.session.calibration.radius_px == CALIBRATION.radius_px


@pytest.mark.parametrize("kind", ["zeros", "nan", "noise"])
def test_scans_without_anything_to_see(
    window: Window, classifier_file: Path, told: list[str], kind: str
) -> None:
    shape = (12, 14, 32, 32)
    data = {
        "zeros": np.zeros(shape, np.uint16),
        "nan": np.full(shape, np.nan, np.float32),
        "noise": np.random.default_rng(0).poisson(5, shape).astype(np.uint16),
    }[kind]
    window.session.open(Scan(data, step_nm=0.05, energy_kv=200, semi_angle_mrad=24))
    window.dock.controller.load_classifier(classifier_file)
    window.settle()
    dock = window.dock
    if kind == "noise":
        assert told == []
        assert dock.scan_section.warnings.isVisible()
    else:
        assert len(told) == 1
        assert {"zeros": "are zero", "nan": "not finite"}[kind] in told[0]
    assert "bright-field disk is not known" in dock.detector_section.notice.text()
    told.clear()
    dock.run_section.start()
    window.settle()
    assert len(told) == 1
    assert window.session.map is None


def test_positions_without_data_break_nothing(ready: Window, told: list[str]) -> None:
    patterns = make_patterns(two_domains())
    patterns[20:24, 20:24] = 0
    session = ready.session
    session.open(Scan(patterns, CALIBRATION))
    ready.settle()
    ready.dock.run_section.start()
    ready.settle()
    assert told == []
    assert session.map.complete
    assert (session.map.status != 0).all()
