from __future__ import annotations

import csv

import numpy as np
import pytest
import tifffile
from matplotlib.image import imread

from napari_polmap import load_map
from napari_polmap.export import render_rgba


@pytest.fixture(scope="session")
def map_path(tmp_path_factory, scan_file, classifier_file):
    from napari_polmap import classify, load_classifier, load_scan

    path = tmp_path_factory.mktemp("map") / "map.zarr"
    scan = load_scan(
        scan_file,
        step_nm=0.0495,
        lattice_nm=0.396,
        energy_kv=200.0,
        semi_angle_mrad=24.0,
        center_px=(15.6, 15.2),
        radius_px=9.0,
    )
    classify(scan, load_classifier(classifier_file), path)
    return path


@pytest.mark.parametrize("name", ["map.png", "map.svg", "map.pdf", "map.tif", "map.csv"])
def test_every_ending(polmap, tmp_path, map_path, name):
    result = polmap("export", map_path, "-o", tmp_path / name)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert (tmp_path / name).stat().st_size > 500


def test_tiff_is_data_unless_asked_otherwise(polmap, tmp_path, map_path):
    saved, out = load_map(map_path), tmp_path / "map.tif"
    polmap("export", map_path, "-o", out)
    np.testing.assert_array_equal(tifffile.imread(out), saved.labels())
    polmap("export", map_path, "-o", out, "--threshold", 0)
    np.testing.assert_array_equal(tifffile.imread(out), saved.labels(0))
    polmap("export", map_path, "-o", out, "--layer", "defects")
    np.testing.assert_array_equal(tifffile.imread(out), saved.defects)
    polmap("export", map_path, "-o", out, "--as", "pixels")
    np.testing.assert_array_equal(tifffile.imread(out), render_rgba(saved))
    polmap("export", map_path, "-o", out, "--as", "figure")
    assert tifffile.imread(out).shape[0] > 300


def test_pixels_equal_what_is_shown(polmap, tmp_path, map_path):
    polmap("export", map_path, "-o", tmp_path / "map.png", "--as", "pixels")
    pixels = np.rint(imread(tmp_path / "map.png") * 255)
    np.testing.assert_array_equal(pixels, render_rgba(load_map(map_path)))


def test_figures_take_their_options(polmap, tmp_path, map_path):
    plain, full = tmp_path / "plain.png", tmp_path / "full.png"
    polmap("export", map_path, "-o", full)
    polmap(
        *("export", map_path, "-o", plain, "--dpi", 100),
        *("--no-legend", "--no-arrows", "--no-scale-bar"),
    )
    assert imread(plain).shape[1] < imread(full).shape[1] / 3


def test_table_holds_every_position(polmap, tmp_path, map_path):
    polmap("export", map_path, "-o", tmp_path / "map.csv")
    with (tmp_path / "map.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 1 + 32 * 48


def test_a_virtual_image_beneath(polmap, tmp_path, map_path, scan_file):
    out = tmp_path / "map.png"
    arguments = ("export", map_path, "-o", out, "--as", "pixels", "--opacity", 0)
    result = polmap(*arguments, "--background", "annular-dark-field")
    assert result.exit_code == 0, result.stderr
    from_scan = imread(out)
    moved = tmp_path / "moved.npy"
    moved.write_bytes(scan_file.read_bytes())
    polmap(*arguments, "--background", "annular dark field", "--scan", moved)
    np.testing.assert_array_equal(imread(out), from_scan)
    assert len(np.unique(from_scan[..., 0])) > 20


def test_an_image_file_beneath(polmap, tmp_path, map_path):
    image = np.linspace(0, 1, 32 * 48).reshape(32, 48)
    np.save(tmp_path / "image.npy", image)
    tifffile.imwrite(tmp_path / "image.tif", image)
    pixels = []
    for name in ("image.npy", "image.tif"):
        out = tmp_path / "map.png"
        result = polmap(
            *("export", map_path, "-o", out, "--as", "pixels", "--opacity", 0),
            *("--background", tmp_path / name),
        )
        assert result.exit_code == 0, result.stderr
        pixels.append(imread(out))
    np.testing.assert_array_equal(*pixels)
    assert (np.diff(pixels[0][:, 0, 0]) >= 0).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "map.jpg"), ".png, .svg, .pdf, .tif"),
        (("-o", "map.png", "--layer", "depth"), "no layer 'depth'"),
        (("-o", "map.png", "--background", "bright"), "no background"),
        (("-o", "map.png", "--background", "missing.npy"), "cannot be read as an image"),
        (("-o", "map.png", "--dpi", "0"), "dots per inch"),
        (("-o", "map.svg", "--as", "pixels"), ".png, .tif"),
    ],
)
def test_failures_are_one_line(polmap, tmp_path, map_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    result = polmap("export", map_path, *arguments)
    assert result.exit_code == 1
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert set(tmp_path.iterdir()) == before


def test_a_scan_of_another_shape_is_refused(polmap, tmp_path, map_path):
    np.save(tmp_path / "other.npy", np.ones((3, 3, 8, 8)))
    result = polmap(
        *("export", map_path, "-o", tmp_path / "map.png", "--background", "bright field"),
        *("--scan", tmp_path / "other.npy"),
    )
    assert result.exit_code == 1
    assert "give the map's own scan" in result.stderr


def test_something_that_is_no_map(polmap, tmp_path):
    result = polmap("export", tmp_path, "-o", tmp_path / "map.png")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
