from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_polmap import save_map
from napari_polmap.scan import Scan
from napari_polmap.viewer.autosave import kept_maps_folder, new_map_path, remove_old_maps
from tests.viewer.scenes import filled_map


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_names_are_new_and_safe(cache: Path) -> None:
    first = new_map_path("a scan/with: odd*name")
    assert first.parent == kept_maps_folder()
    assert cache in first.parents
    assert first.name.startswith("a_scan_with_odd_name-")
    first.mkdir(parents=True)
    assert new_map_path("a scan/with: odd*name") != first
    assert new_map_path("...").name.startswith("map-")


def test_only_old_maps_are_removed(scan: Scan) -> None:
    assert remove_old_maps(1) == []
    folder = kept_maps_folder()
    made = []
    for age in range(3):
        path = save_map(filled_map(scan), folder / f"m{age}.zarr")
        os.utime(path, (1000 - age, 1000 - age))
        made.append(path)
    (folder / "notes.zarr").mkdir()
    assert remove_old_maps(2) == [made[2]]
    assert made[0].exists()
    assert (folder / "notes.zarr").exists()
