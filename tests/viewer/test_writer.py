from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from npe2 import PluginManager, PluginManifest

import napari_polmap
from napari_polmap import load_map
from napari_polmap.errors import ExportError, MapError
from napari_polmap.polarization_map import PolarizationMap
from napari_polmap.scan import Scan
from napari_polmap.viewer.manager import LayerManager
from napari_polmap.viewer.session import Session
from napari_polmap.viewer.tags import Role

PLUGIN = "napari-polmap"


@pytest.fixture(autouse=True)
def _discovered() -> None:
    """What napari does when its window starts."""
    PluginManager.instance().discover()


@pytest.fixture
def layer(viewer: ViewerModel, scan: Scan, polarization_map: PolarizationMap):
    manager = LayerManager.of(viewer)
    Session.of(viewer).open(scan)
    Session.of(viewer).start_map(polarization_map)
    return manager.get(Role.POLARIZATION)


def test_zarr_round_trip(layer, polarization_map: PolarizationMap, tmp_path: Path) -> None:
    written = layer.save(str(tmp_path / "map.zarr"), plugin=PLUGIN)
    loaded = load_map(written[0])
    for name, array in polarization_map.arrays().items():
        np.testing.assert_array_equal(getattr(loaded, name), array)
    assert loaded.classifier["name"] == "test"


def test_label_image_and_table(layer, polarization_map: PolarizationMap, tmp_path: Path) -> None:
    (tif,) = layer.save(str(tmp_path / "labels.tif"), plugin=PLUGIN)
    np.testing.assert_array_equal(tifffile.imread(tif), polarization_map.labels())
    (table,) = layer.save(str(tmp_path / "table.csv"), plugin=PLUGIN)
    lines = [line for line in Path(table).read_text().splitlines() if not line.startswith("#")]
    assert len(list(csv.reader(lines))) == 1 + polarization_map.direction.size
    (png,) = layer.save(str(tmp_path / "figure.png"), plugin=PLUGIN)
    assert Path(png).read_bytes().startswith(b"\x89PNG")


def test_other_labels_stay_napari_s(viewer: ViewerModel, tmp_path: Path) -> None:
    data = np.arange(12, dtype=np.uint8).reshape(3, 4)
    layer = viewer.add_labels(data)
    (tif,) = layer.save(str(tmp_path / "labels.tif"), plugin=PLUGIN)
    np.testing.assert_array_equal(tifffile.imread(tif), data)
    with pytest.raises(ExportError, match="no polarization map"):
        layer.save(str(tmp_path / "labels.csv"), plugin=PLUGIN)


def test_a_target_that_cannot_be_written_is_one_sentence(layer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MapError):
        layer.save(str(tmp_path / "file" / "map.zarr"), plugin=PLUGIN)
    (tmp_path / "foreign.zarr").mkdir()
    (tmp_path / "foreign.zarr" / "precious.txt").write_text("mine")
    with pytest.raises(MapError):
        layer.save(str(tmp_path / "foreign.zarr"), plugin=PLUGIN)
    assert (tmp_path / "foreign.zarr" / "precious.txt").read_text() == "mine"


def test_manifest_is_valid_and_its_commands_are_there() -> None:
    path = Path(napari_polmap.__file__).with_name("napari.yaml")
    manifest = PluginManifest.from_file(path)
    manifest.validate_imports()
    assert manifest.name == PLUGIN
    manager = PluginManager.instance()
    assert PLUGIN in {found.name for found in manager.iter_manifests()}
    menus = {menu for menu, items in manifest.contributions.menus.items() if items}
    assert menus == {
        "napari/layers/classify",
        "napari/layers/visualize",
        "napari/layers/data",
        "napari/file/io_utilities",
    }
    (sample,) = manifest.contributions.sample_data
    assert sample.display_name == "KNN domains (simulated)"
