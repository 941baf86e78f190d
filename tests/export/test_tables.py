from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tifffile

from napari_polmap.calibration import Calibration
from napari_polmap.directions import DirectionSet
from napari_polmap.errors import ExportError
from napari_polmap.export import export_csv, export_labels, export_values


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_table_has_a_line_per_position_in_scan_order(make_map, tmp_path):
    result = make_map()
    lines = read(export_csv(result, tmp_path / "map.csv"))
    places = [(int(line["y"]), int(line["x"])) for line in lines]
    assert places == list(np.ndindex(6, 10))
    names = np.array([line["direction"] for line in lines]).reshape(6, 10)
    assert (names[1:, :5] == "RM").all()
    assert (names[:, 5:] == "RU").all()


def test_table_of_one_position_in_full(make_map, tmp_path):
    line = read(export_csv(make_map(), tmp_path / "map.csv"))[17]
    probabilities = {name: float(line.pop(name)) for name in list(line) if name.startswith("p_")}
    defect = float(line.pop("defects"))
    assert line == {
        "y": "1",
        "x": "7",
        "y_nm": "0.05",
        "x_nm": "0.35",
        "direction": "RU",
        "angle_deg": "45",
        "confidence": "0.5",
        "novelty": "0.5",
        "status": "classified",
        "edge_window": "0",
        "undecided": "1",
    }
    assert defect == pytest.approx(np.linspace(-1, 9, 60)[17], rel=1e-5)
    assert list(probabilities) == [f"p_{name}" for name in DirectionSet.default().names]
    assert probabilities["p_RU"] == 0.5
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-3)


def test_table_leaves_cells_without_a_value_empty(make_map, tmp_path):
    result = make_map(step_nm=None)
    first = read(export_csv(result, tmp_path / "map.csv"))[0]
    filled = {name: value for name, value in first.items() if value}
    nothing = {"status": "not computed", "edge_window": "0", "undecided": "0"}
    assert filled == {"y": "0", "x": "0", **nothing}
    last = read(tmp_path / "map.csv")[-1]
    assert (last["status"], last["undecided"], last["confidence"]) == ("by hand", "0", "")


def test_table_marks_edge_windows_and_takes_a_threshold(make_map, tmp_path):
    lines = read(export_csv(make_map(), tmp_path / "map.csv", threshold=0.95))
    assert [line["edge_window"] for line in lines[10:13]] == ["1", "0", "0"]
    assert lines[10]["undecided"] == "1"


def test_label_image_holds_what_is_shown(make_map, tmp_path):
    result = make_map(calibration=Calibration(step_nm=0.05, crystal_angle_deg=10.0))
    path = export_labels(result, tmp_path / "map.tif")
    labels = tifffile.imread(path)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, result.labels())
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        about = json.loads(page.description)
        numerator, denominator = page.tags["XResolution"].value
        assert page.resolutionunit == tifffile.RESUNIT.CENTIMETER
        palette = page.colormap
    assert about["directions"] == list(result.directions.names)
    assert about["angles_deg"][:2] == [10.0, 55.0]
    assert about["undecided"] == 255
    assert (about["scan"], about["classifier"]) == ("wall.hspy", "default")
    assert numerator / denominator == pytest.approx(1e7 / 0.05)
    expected = np.rint(result.shown_directions.colors * 65535)
    np.testing.assert_array_equal(palette[:, :8].T, expected)


def test_label_image_at_another_threshold(make_map, tmp_path):
    result = make_map()
    labels = tifffile.imread(export_labels(result, tmp_path / "map.tiff", threshold=0.0))
    shown = result.computed
    np.testing.assert_array_equal(labels[shown], result.direction[shown])


@pytest.mark.parametrize("layer", ["confidence", "defects", "novelty"])
def test_values_are_written_bit_for_bit(make_map, tmp_path, layer):
    result = make_map()
    values = tifffile.imread(export_values(result, tmp_path / "map.tif", layer))
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, getattr(result, layer))


def test_values_of_a_probability(make_map, tmp_path):
    result = make_map()
    values = tifffile.imread(export_values(result, tmp_path / "map.tif", "p_RU"))
    assert np.isnan(values[0, 0])
    np.testing.assert_array_equal(values[1:], result.probabilities[1:, :, 1])


def test_values_of_the_directions_are_labels(make_map, tmp_path):
    result = make_map()
    values = tifffile.imread(export_values(result, tmp_path / "map.tif", "direction"))
    np.testing.assert_array_equal(values, result.labels())


def test_values_of_an_unknown_layer(make_map, tmp_path):
    with pytest.raises(ExportError, match="no layer"):
        export_values(make_map(), tmp_path / "map.tif", "depth")
    assert not list(tmp_path.iterdir())
