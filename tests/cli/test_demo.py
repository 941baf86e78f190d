from __future__ import annotations

import csv
import sys
from importlib.resources import files

import numpy as np
import pytest
import tifffile
from matplotlib.image import imread

from napari_polmap import load_map

linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the display is known by its variables"
)


@linux
def test_without_a_display_a_window_is_refused_in_one_line(polmap, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    result = polmap("demo")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: There is no display for a window; write files with 'polmap demo --headless DIR'.\n"
    )


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    """The files of a demo without a display, and what it printed."""
    from typer.testing import CliRunner

    from napari_polmap.cli import app

    folder = tmp_path_factory.mktemp("demo") / "new"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            patch.delenv(name, raising=False)
        result = CliRunner().invoke(app, ["demo", "--headless", str(folder)])
    assert result.exit_code == 0, result.stderr
    return folder, result


@linux
def test_demo_names_the_files_it_wrote(demo_folder):
    folder, result = demo_folder
    names = ["map.zarr", "direction.png", "confidence.png", "defects.png", "labels.tif", "map.csv"]
    assert result.stdout.splitlines()[:6] == [str(folder / name) for name in names]
    assert sorted(names) == sorted(path.name for path in folder.iterdir())
    assert "no picture of the window" in result.stderr


@linux
def test_demo_files_agree(demo_folder):
    folder, _ = demo_folder
    saved = load_map(folder / "map.zarr")
    assert saved.complete
    np.testing.assert_array_equal(tifffile.imread(folder / "labels.tif"), saved.labels())
    with (folder / "map.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 1 + saved.direction.size
    for name in ("direction", "confidence", "defects"):
        assert min(imread(folder / f"{name}.png").shape[:2]) > 900


@linux
def test_demo_reports_the_accuracy_of_both_domains(demo_folder):
    folder, result = demo_folder
    lines = result.stdout.split("\n\n")[1].splitlines()
    assert lines[0].split()[:3] == ["domain", "positions", "accuracy"]
    saved = load_map(folder / "map.zarr")
    truth = tifffile.imread(files("napari_polmap") / "data" / "demo_knn_truth.tif")
    for line, name in zip(lines[1:3], ("RU", "RD"), strict=True):
        assert line.startswith(f"{name} ")
        domain = truth == saved.directions.index(name)
        count, accuracy = line.partition("°")[2].split()[:2]
        assert int(count.replace(",", "")) == domain.sum()
        assert float(accuracy) == pytest.approx(
            100 * np.mean(saved.direction[domain] == truth[domain]), abs=0.06
        )
