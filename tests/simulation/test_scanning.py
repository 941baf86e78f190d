from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.scanning import ScanGrid, scan_positions


def test_plain_grid() -> None:
    grid = ScanGrid((2, 3), 0.05, origin_angstrom=(1.0, 2.0))
    expected = scan_positions((1.0, 2.0), (2, 3), 0.5)
    assert grid.crystal_frame().reshape(-1, 2) == pytest.approx(expected)
    assert grid.crystal_frame()[1, 2] == pytest.approx([1.5, 3.0])
    assert grid.scan_frame()[1, 2] == pytest.approx([0.5, 1.0])
    assert grid.step_vectors() == pytest.approx(np.diag([0.5, 0.5]))


def test_crystal_angle_turns_the_path_the_other_way() -> None:
    # [100] points up in the scan's image: scanning to the right goes along the crystal's -y,
    # which is down its rows, and scanning down goes against its [100].
    grid = ScanGrid((2, 2), 0.1, crystal_angle_deg=90.0)
    places = grid.crystal_frame()
    assert places[0, 1] == pytest.approx([1.0, 0.0], abs=1e-9)
    assert places[1, 0] == pytest.approx([0.0, -1.0], abs=1e-9)
    vectors = grid.step_vectors()
    assert vectors is not None
    assert vectors == pytest.approx(np.stack([places[1, 0], places[0, 1]]), abs=1e-9)


def test_oblique_crystal_angle() -> None:
    # A step along [100], which lies at 30° in the image, is a step along the columns.
    grid = ScanGrid((1, 1), 0.1, crystal_angle_deg=30.0)
    vectors = grid.step_vectors()
    assert vectors is not None
    along = -np.sin(np.pi / 6) * vectors[0] + np.cos(np.pi / 6) * vectors[1]
    assert along == pytest.approx([0.0, 1.0])


def test_centered_on_a_place() -> None:
    grid = ScanGrid((5, 3), 0.04, crystal_angle_deg=20.0).centered_on(7.0, 9.0)
    assert grid.crystal_frame()[2, 1] == pytest.approx([7.0, 9.0])


def test_noise_has_its_size_and_seed() -> None:
    grid = ScanGrid((60, 50), 0.02, noise_angstrom=0.1, seed=4)
    away = grid.scan_frame() - ScanGrid((60, 50), 0.02).scan_frame()
    assert away.std(axis=(0, 1)) == pytest.approx([0.1, 0.1], rel=0.05)
    assert away.mean(axis=(0, 1)) == pytest.approx([0, 0], abs=0.01)
    assert (grid.scan_frame() == grid.scan_frame()).all()
    other = ScanGrid((60, 50), 0.02, noise_angstrom=0.1, seed=5)
    assert (grid.scan_frame() != other.scan_frame()).all()
    assert grid.step_vectors() is None


def test_drift_is_steady() -> None:
    grid = ScanGrid((4, 10), 0.02, drift_angstrom=(0.3, -0.1))
    away = grid.scan_frame() - ScanGrid((4, 10), 0.02).scan_frame()
    assert away[3, 0] == pytest.approx([0.9, -0.3])
    assert away[1, 5] == pytest.approx([0.45, -0.15])
    assert grid.step_vectors() is None


@pytest.mark.parametrize(
    "values",
    [
        {"shape": (0, 3)},
        {"shape": (2.5, 3)},
        {"shape": 4},
        {"step_nm": 0.0},
        {"noise_angstrom": -0.1},
        {"crystal_angle_deg": np.nan},
        {"drift_angstrom": (0.1,)},
    ],
)
def test_impossible_scans_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(PolmapError, match="correct it"):
        ScanGrid(**({"shape": (2, 2), "step_nm": 0.1} | values))
