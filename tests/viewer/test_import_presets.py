"""Presets are kept under a name and offered for files of the same kind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.scan import Scan
from napari_polmap.viewer.import_presets import (
    FileKind,
    Preset,
    delete_preset,
    load_presets,
    presets_path,
    save_preset,
)

MERLIN = {"Acquisition_instrument": {"TEM": {"microscope": "ARM200F", "Detector": {"Camera": {}}}}}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLMAP_CONFIG", str(tmp_path / "config"))


def scan_of(shape: tuple[int, ...], metadata: dict | None = None) -> Scan:
    return Scan(np.zeros(shape, np.uint8), metadata=metadata)


def test_presets_come_back_as_they_were_saved(tmp_path: Path) -> None:
    assert load_presets() == []
    kind = FileKind.of(Path("a.MIB"), scan_of((2, 3, 8, 16), MERLIN))
    assert (kind.format, kind.detector, kind.instrument) == ("mib", (8, 16), "ARM200F")
    options = {
        "nav_shape": (3, 4),
        "index": (1,),
        "axes": "ky,kx,y,x",
        "bad_pixels": tmp_path / "mask.npy",
        "rotation_deg": -12.5,
        "flip": True,
    }
    saved = Preset("Merlin ü", kind, options)
    save_preset(saved)
    save_preset(Preset("Another", kind, {"flyback": 2}))
    assert [preset.name for preset in load_presets()] == ["Another", "Merlin ü"]
    assert load_presets()[1] == saved
    save_preset(Preset("Another", kind, {"flyback": 3}))
    assert load_presets()[0].options == {"flyback": 3}
    delete_preset("Another")
    assert load_presets() == [saved]
    assert [path.name for path in presets_path().parent.iterdir()] == ["import_presets.json"]


@pytest.mark.parametrize(
    ("name", "shape", "metadata", "held"),
    [
        ("b.mib", (9, 9, 8, 16), MERLIN, True),
        ("b.mib", (8, 16, 9, 9), MERLIN, True),  # before its axes are put in order
        ("b.npy", (9, 9, 8, 16), MERLIN, False),
        ("b.mib", (9, 9, 8, 16), None, False),
        ("b.mib", (9, 8, 16, 17), MERLIN, True),
        ("b.mib", (9, 9, 8, 8), MERLIN, False),
    ],
)
def test_which_files_are_of_a_kind(
    name: str, shape: tuple[int, ...], metadata: dict | None, held: bool
) -> None:
    kind = FileKind("mib", (8, 16), "ARM200F")
    assert kind.holds(Path(name), scan_of(shape, metadata)) == held


@pytest.mark.parametrize("content", ["", "[]", '{"presets": [{"name": "x"}]}', '{"presets": 3}'])
def test_a_damaged_file_is_told_and_left_alone(content: str) -> None:
    presets_path().parent.mkdir()
    presets_path().write_text(content)
    with pytest.raises(PolmapError, match=r"cannot be read .*; correct that file or delete it"):
        load_presets()
    with pytest.raises(PolmapError):
        save_preset(Preset("a", FileKind("npy", (4, 4))))
    assert presets_path().read_text() == content


def test_nothing_is_left_where_presets_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("POLMAP_CONFIG", str(tmp_path / "taken"))
    with pytest.raises(PolmapError, match="is a file, not a folder"):
        save_preset(Preset("a", FileKind("npy", (4, 4))))


def test_unknown_options_of_another_version_are_left_out() -> None:
    save_preset(Preset("a", FileKind("npy", (4, 4)), {"flip": True}))
    content = json.loads(presets_path().read_text())
    content["presets"][0]["options"]["from_the_future"] = 1
    presets_path().write_text(json.dumps(content))
    assert load_presets()[0].options == {"flip": True}
