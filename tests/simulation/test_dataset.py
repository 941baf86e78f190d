from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.dataset import write_dataset, write_specimen
from napari_polmap.simulation.multislice import Microscope
from napari_polmap.simulation.specimens import (
    THERMAL_MODES,
    Ranges,
    draw_runs,
    draw_specimen,
    rounded_thickness,
    simulate_run,
)

SMALL = Ranges(thickness_nm=(0.8, 1.6), cells=2, positions=2)
TWO = DirectionSet.from_names(["RM", "MU"])


def test_draws_follow_the_seed_and_stay_in_their_ranges() -> None:
    ranges = Ranges()
    assert draw_specimen(5, ranges) == draw_specimen(5, ranges)
    specimens = [draw_specimen(seed, ranges) for seed in range(60)]
    assert {specimen.thermal for specimen in specimens} == set(THERMAL_MODES)
    lattice = np.array([specimen.lattice_angstrom for specimen in specimens])
    assert 3.93 <= lattice.min() < 3.94
    assert 4.00 < lattice.max() <= 4.01


def test_tilt_and_magnitude_tell_nothing_about_the_direction() -> None:
    directions = DirectionSet.default()
    runs = [list(draw_runs(seed, Ranges(), directions)) for seed in range(200)]
    tilt = np.array([[run.tilt_mrad for run in specimen] for specimen in runs])
    length = np.hypot(tilt[..., 0], tilt[..., 1])
    assert length.max() <= 3.2
    # Uniform in the disk: a quarter within half the radius.
    assert (length < 1.6).mean() == pytest.approx(0.25, abs=0.03)
    angle = np.deg2rad(np.array(directions.angles_deg, dtype=float))
    along = tilt[..., 0] * np.cos(angle) + tilt[..., 1] * np.sin(angle)
    assert abs(along.mean()) < 0.12
    magnitude = np.array([[r.displacement_angstrom for r in specimen] for specimen in runs])
    assert np.ptp(magnitude.mean(axis=0)) < 0.02
    assert abs(np.corrcoef(magnitude[:, 0], magnitude[:, 1])[0, 1]) < 0.2


def test_directions_without_an_angle_are_refused() -> None:
    with pytest.raises(PolmapError, match="vacuum"):
        list(draw_runs(1, SMALL, DirectionSet.from_names(["RM", "vacuum"])))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_run_of_every_thermal_mode(seed: int) -> None:
    pytest.importorskip("abtem")
    specimen = draw_specimen(seed, SMALL)
    assert specimen.thermal == THERMAL_MODES[seed]
    run = next(draw_runs(seed, SMALL, TWO))
    scans, patterns = simulate_run(specimen, run, SMALL)
    assert scans.shape == (2, 2, 2, *patterns.data.shape[-2:])
    assert patterns.thickness_nm == pytest.approx(
        rounded_thickness(specimen.lattice_angstrom, SMALL)
    )
    assert 0.8 < scans.sum((-2, -1)).min() <= scans.sum((-2, -1)).max() < 1.001


def test_specimens_are_written_and_not_made_again(tmp_path: Path) -> None:
    pytest.importorskip("abtem")
    entries = write_specimen(tmp_path, 3, SMALL, Microscope(), TWO)
    assert len(entries) == 4
    assert not list(tmp_path.rglob("*.part"))
    scan = np.load(tmp_path / entries[0]["path"])
    assert scan.dtype == np.float16
    assert scan.shape[:2] == (2, 2)
    assert 8_000 < scan.astype(np.float32).sum((-2, -1)).mean() < 10_010
    assert entries[0]["center"] == [(scan.shape[2] - 1) / 2] * 2

    kept = tmp_path / entries[0]["path"]
    lost = tmp_path / entries[2]["path"]
    before = kept.stat().st_mtime_ns
    again = lost.read_bytes()
    lost.unlink()
    (lost.parent / "MU.json").unlink()
    assert write_specimen(tmp_path, 3, SMALL, Microscope(), TWO) == entries
    assert kept.stat().st_mtime_ns == before
    assert np.frombuffer(lost.read_bytes()[128:], np.float16) == pytest.approx(
        np.frombuffer(again[128:], np.float16), abs=0.05
    )


def test_data_set_file(tmp_path: Path) -> None:
    entries = [
        {
            "path": "scans/a b.npy",
            "direction": "RU",
            "group": "seed-1",
            "center": [39.0, 39.0],
            "thickness_nm": 19.997999999,
            "cells": 3,
        }
    ]
    path = tmp_path / "train.toml"
    write_dataset(path, 'KNN "small"', TWO.names, entries, comment="Made in a test")
    read = tomllib.loads(path.read_text(encoding="utf-8"))
    assert read["name"] == 'KNN "small"'
    assert read["directions"] == ["RM", "MU"]
    assert read["root"] == "."
    assert read["scan"] == [entries[0] | {"thickness_nm": pytest.approx(19.998)}]
