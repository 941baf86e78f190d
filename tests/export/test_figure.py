from __future__ import annotations

import json
import re
import threading

import numpy as np
import pytest
import tifffile
from matplotlib import rcParams
from matplotlib.image import imread

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import ExportError
from napari_polmap.export import export_image, layer_image, render_rgba
from napari_polmap.export.legend import legend_rows
from napari_polmap.export.scale_bar import nice_length, scale_bar
from napari_polmap.export.text import broken, text_width


def pixels(path):
    return np.rint(imread(path) * 255).astype(np.uint8)


def texts(path):
    """The words of an SVG: matplotlib writes each text as a comment beside its outline."""
    return re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8"))


def test_raw_pixels_equal_what_is_shown(make_map, tmp_path):
    result = make_map()
    raw = pixels(export_image(result, tmp_path / "raw.png", raw=True))
    np.testing.assert_array_equal(raw, render_rgba(result))
    raw = tifffile.imread(export_image(result, tmp_path / "raw.tif", raw=True, threshold=0.3))
    np.testing.assert_array_equal(raw, render_rgba(result, threshold=0.3))
    raw = pixels(export_image(result, tmp_path / "raw.png", raw=True, layer="defects"))
    np.testing.assert_array_equal(raw, layer_image(result, "defects"))


@pytest.mark.parametrize("shape", [(6, 10), (64, 64), (300, 97), (40, 512)])
def test_a_figures_picture_is_the_map_enlarged_exactly(make_map, tmp_path, shape):
    result = make_map(*shape)
    path = export_image(result, tmp_path / "map.png", arrows=False, legend=False)
    figure = pixels(path)[..., :3]
    expected = render_rgba(result)
    expected[expected[..., 3] == 0] = 255  # undecided: white paper
    expected[0, 0] = 219  # not computed: grey
    per_inch = max(shape[0] / 3.8, shape[1] / 4.2, 5)
    scale = int(np.ceil(300 / per_inch))
    left = top = round(0.08 * scale * per_inch)
    # The middle of each position's square; the frame covers the outermost pixels.
    found = figure[top + scale // 2 :: scale, left + scale // 2 :: scale][: shape[0], : shape[1]]
    np.testing.assert_array_equal(found[1:-1, 1:-1], expected[1:-1, 1:-1, :3])
    if scale > 4:
        corner = figure[top + scale : top + 2 * scale, left + scale : left + 2 * scale]
        assert (corner == expected[1, 1, :3]).all()


def test_endings_and_contents(make_map, tmp_path):
    result = make_map()
    for name, start in (
        ("map.png", b"\x89PNG"),
        ("map.svg", b"<?xml"),
        ("map.pdf", b"%PDF"),
        ("map.TIF", b"II*\0"),
    ):
        path = export_image(result, tmp_path / name)
        assert path.read_bytes().startswith(start)
    with tifffile.TiffFile(tmp_path / "map.TIF") as file:
        page = file.pages[0]
        assert page.shape[-1] == 3
        numerator, denominator = page.tags["XResolution"].value
        assert numerator / denominator >= 300
        assert json.loads(page.description)["classifier"] == "default"


def test_the_same_map_gives_the_same_file(make_map, tmp_path):
    for name in ("a.svg", "a.pdf", "a.png"):
        first = export_image(make_map(), tmp_path / name).read_bytes()
        assert export_image(make_map(), tmp_path / name).read_bytes() == first


def test_png_says_where_it_came_from(make_map, tmp_path):
    from PIL import Image

    with Image.open(export_image(make_map(), tmp_path / "map.png")) as image:
        about = json.loads(image.text["Description"])
        assert image.info["dpi"][0] >= 299.9
    assert about["layer"] == "direction"
    assert about["classifier_sha256"] == "0123"
    assert about["scan"] == "wall.hspy"


def test_legend_names_every_direction_with_its_share(make_map, tmp_path):
    found = texts(export_image(make_map(), tmp_path / "map.svg"))
    for text in ("RM 0°", "RD 315°", "undecided (&lt; 0.80)", "not computed", "0.1 nm"):
        assert text in found
    assert "Direction" not in texts(export_image(make_map(), tmp_path / "map.svg", legend=False))


def test_legend_counts_what_is_shown(make_map):
    result = make_map()
    rows = {row.text: row for row in legend_rows(result)}
    assert {name.split()[0]: row.count for name, row in rows.items() if row.count} == {
        "RM": 29,
        "RU": 15,
        "undecided": 15,
        "not": 1,
    }
    assert rows["undecided (< 0.80)"].share == "25.4 %"
    assert sum(row.count for row in legend_rows(result, threshold=0.95)) == 60


def test_legend_of_many_directions_lists_the_frequent_ones(make_map):
    many = DirectionSet(tuple(f"d{i}" for i in range(60)), tuple(6.0 * i for i in range(60)))
    result = make_map(10, 12, directions=many)
    result.direction[1:] = 50
    rows = legend_rows(result, threshold=0.0)
    assert len(rows) <= 27
    assert any(row.text.startswith("d50") and row.count == 108 for row in rows)
    assert any(row.text == "37 others" for row in rows)


def test_uncalibrated_confidence_and_missing_positions_are_noted(make_map, tmp_path):
    result = make_map(confidence_calibrated=False, complete=False)
    found = " ".join(texts(export_image(result, tmp_path / "map.svg")))
    assert "Confidence uncalibrated" in found
    assert "incomplete: 1 of 60 positions" in found
    assert "Confidence (uncalibrated)" in texts(
        export_image(result, tmp_path / "map.svg", layer="confidence")
    )
    calm = " ".join(texts(export_image(make_map(), tmp_path / "map.svg")))
    assert "uncalibrated" not in calm
    assert "incomplete" not in calm


def test_names_are_not_read_as_formulas(make_map, tmp_path):
    directions = DirectionSet(("$a$", r"\frac"), (0.0, 90.0))
    assert "$a$ 0°" in texts(export_image(make_map(directions=directions), tmp_path / "map.svg"))


def test_a_background_shows_where_the_direction_is_undecided(make_map, tmp_path):
    result = make_map()
    image = np.zeros((6, 10))
    image[0, 7] = 1.0
    path = export_image(result, tmp_path / "raw.png", raw=True, background=image, opacity=1.0)
    raw = pixels(path)
    np.testing.assert_array_equal(raw[0, 7], [255, 255, 255, 255])
    np.testing.assert_array_equal(raw[0, 8], [0, 0, 0, 255])
    np.testing.assert_array_equal(raw[-1], render_rgba(result)[-1])


@pytest.mark.parametrize("dpi", [0, -3, 5000, float("nan")])
def test_impossible_resolutions_are_refused(make_map, tmp_path, dpi):
    with pytest.raises(ExportError, match="dots per inch"):
        export_image(make_map(), tmp_path / "map.png", dpi=dpi)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3)])
@pytest.mark.parametrize("layer", ["direction", "confidence"])
def test_any_shape_of_scan_can_be_drawn(make_map, tmp_path, shape, layer):
    result = make_map(*shape, confidence_calibrated=False)
    assert export_image(result, tmp_path / "map.png", layer=layer).stat().st_size > 1000


def test_an_empty_map_can_be_drawn(make_map, tmp_path):
    from napari_polmap.polarization_map import PolarizationMap

    other = make_map()
    empty = PolarizationMap.empty(
        (5, 5),
        other.directions,
        threshold=0.5,
        calibration=other.calibration,
        scan=other.scan,
        classifier={},
    )
    for layer in ("direction", "confidence", "defects", "p_RM"):
        export_image(empty, tmp_path / "map.png", layer=layer)


def test_the_users_matplotlib_is_left_alone(make_map, tmp_path):
    before = dict(rcParams)
    failures = []

    def draw():
        try:
            export_image(make_map(), tmp_path / "map.png")
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    assert not failures
    assert dict(rcParams) == before


@pytest.mark.parametrize(
    ("extent", "length"), [(3.0, 1.0), (3.2, 1.0), (6.1, 2.0), (1500, 500), (0.2, 0.05), (29, 5)]
)
def test_scale_bars_have_nice_lengths(extent, length):
    assert nice_length(extent) == pytest.approx(length)


def test_scale_bar_in_nm_or_in_positions():
    assert scale_bar(64, 0.05) == (pytest.approx(20), "1 nm")
    assert scale_bar(64, 0.0025) == (pytest.approx(20), "0.05 nm")
    assert scale_bar(64, None) == (pytest.approx(20), "20 positions")
    assert scale_bar(2, None) == (1.0, "1 position")


def test_lines_are_broken_to_a_width():
    lines = broken("one two three four five six seven", 7.0, 1.0)
    assert len(lines) > 1
    assert all(text_width(line, 7.0) <= 1.0 for line in lines)
    assert " ".join(lines) == "one two three four five six seven"


def test_positions_without_a_value_are_grey_and_explained(make_map, tmp_path):
    result = make_map()
    result.defects[:, 0] = np.nan
    figure = pixels(export_image(result, tmp_path / "map.png", layer="defects"))
    assert (figure[200, 40, :3] == 219).all()
    assert "Grey: no value." in texts(export_image(result, tmp_path / "map.svg", layer="defects"))
    assert "Grey: no value." not in texts(export_image(result, tmp_path / "map.svg"))
