from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from napari_polmap.errors import ExportError
from napari_polmap.export import export_csv, export_image, export_labels, export_values
from napari_polmap.export.files import replacing

EXPORTS = {
    "figure": lambda m, folder: export_image(m, folder / "map.png"),
    "vectors": lambda m, folder: export_image(m, folder / "map.svg"),
    "pixels": lambda m, folder: export_image(m, folder / "map.png", raw=True),
    "labels": lambda m, folder: export_labels(m, folder / "map.tif"),
    "values": lambda m, folder: export_values(m, folder / "map.tif", "defects"),
    "table": lambda m, folder: export_csv(m, folder / "map.csv"),
}


@contextmanager
def small_files():
    """No file may grow beyond 100 bytes: the disk is as good as full.

    Only around the call itself: pytest's own output may go to a file, too.
    """
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)
def test_a_full_disk_is_one_sentence_and_nothing_is_lost(make_map, tmp_path, export):
    result = make_map(30, 30)
    old = export(result, tmp_path).read_bytes()
    result.direction[:] = 2
    rng = np.random.default_rng(0)
    result.defects[:] = rng.normal(size=result.shape)
    with small_files(), pytest.raises(ExportError, match=r"cannot be written .*make room"):
        export(result, tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == old


@pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)
def test_a_file_in_the_place_of_the_folder(make_map, tmp_path, export):
    (tmp_path / "folder").write_text("mine")
    with pytest.raises(ExportError, match="cannot be written"):
        export(make_map(), tmp_path / "folder")
    assert (tmp_path / "folder").read_text() == "mine"


@pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)
def test_missing_folders_are_made(make_map, tmp_path, export):
    path = export(make_map(), tmp_path / "new" / "folder")
    assert path.is_file()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_folder_of_the_files_name_is_kept(make_map, tmp_path):
    (tmp_path / "map.csv").mkdir()
    with pytest.raises(ExportError, match="there is a folder of this name"):
        export_csv(make_map(), tmp_path / "map.csv")
    assert [entry.name for entry in tmp_path.iterdir()] == ["map.csv"]


def test_a_failure_of_another_kind_leaves_nothing_behind(tmp_path):
    def fail():
        with replacing(tmp_path / "a.txt") as unfinished:
            unfinished.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("export", "name", "allowed"),
    [
        (export_image, "map.jpg", ".png, .svg, .pdf, .tif"),
        (export_image, "map", ".png, .svg, .pdf, .tif"),
        (lambda m, path: export_image(m, path, raw=True), "map.pdf", ".png, .tif"),
        (export_labels, "map.png", ".tif"),
        (export_csv, "map.tsv", ".csv"),
    ],
)
def test_an_unknown_ending_lists_the_allowed_ones(make_map, tmp_path, export, name, allowed):
    with pytest.raises(ExportError, match=f"can be written as {allowed};"):
        export(make_map(), tmp_path / name)
    assert not list(tmp_path.iterdir())
