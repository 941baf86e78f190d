from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from napari_polmap import load_dataset, load_scan
from napari_polmap.directions import DirectionSet
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.dataset import (
    write_array,
    write_dataset,
    write_image,
    write_json,
    write_scan,
)

ENTRY = {
    "path": "scans/a.hspy",
    "direction": "RU",
    "step_nm": 0.05,
    "mrad_per_pixel": 1.2,
    "center": [2.0, 3.0],
    "radius_px": 2.0,
    "energy_kv": 200.0,
    "semi_angle_mrad": 24.0,
    "lattice_nm": 0.4,
    "thickness_nm": 12.0,
    "thermal": "none",
}


def test_scans_carry_calibrated_axes_and_all_parameters(tmp_path: Path) -> None:
    data = np.random.default_rng(0).random((3, 4, 5, 7)).astype(np.float16)
    path = tmp_path / "scans" / "a.hspy"
    write_scan(path, data, ENTRY, "a scan", {"software": "this"})
    scan = load_scan(path, measure=False)
    assert (scan.read(slice(0, 3), slice(0, 4)) == data).all()
    assert scan.dtype == np.float16
    calibration = scan.calibration
    assert calibration.step_nm == pytest.approx(0.05)
    assert calibration.mrad_per_pixel == pytest.approx(1.2)
    assert calibration.energy_kv == 200.0
    told = scan.metadata["Simulation"]
    assert told["thickness_nm"] == 12.0
    assert told["direction"] == "RU"
    assert told["software"] == "this"
    assert [p.name for p in path.parent.iterdir()] == ["a.hspy"]


def test_arrays_images_and_records(tmp_path: Path) -> None:
    import tifffile

    write_scan(tmp_path / "a.npy", np.ones((1, 2, 3, 4), np.uint16), ENTRY, "", {})
    assert np.load(tmp_path / "a.npy").shape == (1, 2, 3, 4)
    write_image(tmp_path / "truth.tif", np.full((3, 4), 255, np.uint8))
    assert (tifffile.imread(tmp_path / "truth.tif") == 255).all()
    write_json(tmp_path / "record.json", [1, {"a": 2.5}])
    assert json.loads((tmp_path / "record.json").read_text()) == [1, {"a": 2.5}]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PolmapError, match="cannot be written"):
        write_array(tmp_path / "file" / "a.npy", np.ones(3))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


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
    write_dataset(path, 'KNN "small"', ["RM", "RU"], entries, comment="Made in a test")
    read = tomllib.loads(path.read_text(encoding="utf-8"))
    assert read["name"] == 'KNN "small"'
    assert read["directions"] == ["RM", "RU"]
    assert read["root"] == "."
    assert read["scan"] == [entries[0] | {"thickness_nm": pytest.approx(19.998)}]


def test_directions_of_other_names_keep_their_angles(tmp_path: Path) -> None:
    directions = DirectionSet(("up", "out"), (90.0, None))
    path = tmp_path / "set.toml"
    write_dataset(path, "two", directions, [{"path": "a.npy", "direction": "up"}])
    assert load_dataset(path).directions == directions
