"""``polmap calibrate``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_polmap import load_scan
from napari_polmap.viewer.sample import demo_path
from tests.cli.conftest import Polmap


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo scan as a file of its own, with a hot pixel in it."""
    scan = load_scan(demo_path(), measure=False, sidecar=False)
    data = scan.read(slice(0, 64), slice(0, 64)).copy()
    data[:, :, 40, 30] = 250
    path = tmp_path_factory.mktemp("calibrate") / "scan.npy"
    np.save(path, data)
    return path


@pytest.fixture
def scan_file(demo: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(demo, tmp_path / "scan.npy"))


STEP = ("--step", "0.0495", "--energy", "200", "--semi-angle", "24")


def test_it_measures_and_keeps(polmap: Polmap, scan_file: Path) -> None:
    result = polmap("calibrate", scan_file, *STEP, "--radius", "24.3", "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["bad_pixels"] == 1
    assert len(told["rotation_candidates"]) == 2
    scan = load_scan(scan_file)
    found = scan.calibration
    assert scan.bad_pixels is not None
    assert scan.bad_pixels[40, 30]
    assert found.center_px == pytest.approx((44.8, 42.7), abs=0.12)
    assert found.lattice_nm == pytest.approx(0.396, rel=0.003)
    assert (found.radius_px, found.sources["radius_px"]) == (24.3, "user")
    assert found.descan_px is None
    # Never chosen silently.
    assert (found.rotation_deg, found.flip) == (0.0, False)
    assert "rotation_deg" not in found.sources


def test_a_rotation_is_taken_when_asked_for(polmap: Polmap, scan_file: Path) -> None:
    first, second = (
        json.loads(polmap("calibrate", scan_file, *STEP, "--use-rotation", n, "--json").stdout)
        for n in (1, 2)
    )
    turns = [told["calibration"]["rotation_deg"] for told in (first, second)]
    assert abs(turns[0] - turns[1]) == pytest.approx(180.0, abs=0.2)
    assert load_scan(scan_file).calibration.rotation_deg == pytest.approx(turns[1])


def test_a_dry_run_keeps_nothing(polmap: Polmap, scan_file: Path) -> None:
    result = polmap("calibrate", scan_file, *STEP, "--dry-run")
    assert result.exit_code == 0
    assert "1 hot" in result.stdout
    assert "candidate 2" in result.stdout
    assert "--use-rotation" in result.stderr
    assert sorted(p.name for p in scan_file.parent.iterdir()) == ["scan.npy"]


def test_no_lattice_no_rotation(polmap: Polmap, tmp_path: Path) -> None:
    ky, kx = np.mgrid[:32, :32]
    disk = 100 / (1 + np.exp(2 * (np.hypot(ky - 15, kx - 16) - 9)))
    counts = np.random.default_rng(3).poisson(disk, (12, 12, 32, 32)).astype(np.uint16)
    np.save(tmp_path / "flat.npy", counts)
    told = polmap("calibrate", tmp_path / "flat.npy", *STEP, "--dry-run")
    assert told.exit_code == 0
    assert "none seen" in told.stdout
    asked = polmap("calibrate", tmp_path / "flat.npy", *STEP, "--use-rotation", "1")
    assert asked.exit_code == 1
    assert "No crystal lattice" in asked.stderr
