from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.directions import DirectionSet
from napari_polmap.errors import MapError
from napari_polmap.io.maps import MapWriter, is_map, load_map, save_map
from napari_polmap.polarization_map import (
    ARRAYS,
    STATUS_BY_HAND,
    STATUS_CLASSIFIED,
    STATUS_EDGE_WINDOW,
    HistoryStep,
    PolarizationMap,
)
from napari_polmap.scan import ScanIdentity

PAYLOAD_NAN = np.array([0x7FC00123], np.uint32).view(np.float32)[0]


def make_map(shape: tuple[int, int] = (13, 17), seed: int = 0) -> PolarizationMap:
    rng = np.random.default_rng(seed)
    pmap = PolarizationMap.empty(
        shape,
        DirectionSet.default(),
        threshold=0.7,
        calibration=Calibration(step_nm=0.05, center_px=(31.25, 30.5), radius_px=12.0).updated(
            "measured", radius_px=12.125
        ),
        scan=ScanIdentity("/a/scan.npy", 12, 34, (*shape, 64, 64), "uint16", "ab" * 32),
        classifier={
            "name": "default",
            "sha256": "cd" * 32,
            "card": {"thickness_nm": (10, np.float32(50.0)), "lattice_nm": 0.396},
            "preprocessing": {"size": np.int64(32)},
        },
        warnings=["the detector's step differs"],
        confidence_calibrated=False,
        software={"napari-polmap": "0.1"},
    )
    pmap.direction[:] = rng.integers(0, 8, shape)
    pmap.status[:] = STATUS_CLASSIFIED
    pmap.status[0] |= STATUS_EDGE_WINDOW
    pmap.probabilities[:] = rng.dirichlet(np.ones(8), shape)
    pmap.probabilities[2, 2, 1] = -0.0
    pmap.confidence[:] = rng.random(shape)
    pmap.confidence[2, 2] = np.nan
    pmap.novelty[:] = rng.random(shape) * 2
    pmap.novelty[8:, 12:] = PAYLOAD_NAN  # a whole chunk of NaN that is not the fill value's
    pmap.defects[:] = rng.normal(size=shape)
    pmap.defects[1, 1] = -np.inf
    return pmap


def change(pmap: PolarizationMap, seed: int) -> HistoryStep:
    rng = np.random.default_rng(seed)
    mask = rng.random((4, 5)) < 0.5
    before = {n: getattr(pmap, n)[2:6, 3:8][mask].copy() for n in ("direction", "confidence")}
    after = {
        "direction": np.full(mask.sum(), seed % 8, np.uint8),
        "confidence": np.full(mask.sum(), PAYLOAD_NAN, np.float32),
    }
    step = HistoryStep(
        "reclassified", {"window": 0.5}, (2, 6), (3, 8), mask, before, after, "2026-01-01T00:00:00Z"
    )
    pmap.apply(step)
    return step


def assert_same(a: PolarizationMap, b: PolarizationMap) -> None:
    for name in ARRAYS:
        left, right = getattr(a, name), getattr(b, name)
        assert left.dtype == right.dtype
        assert left.tobytes() == right.tobytes(), name
    assert a.directions == b.directions
    assert a.threshold == b.threshold
    assert a.calibration == b.calibration
    assert a.scan == b.scan
    assert a.warnings == b.warnings
    assert a.confidence_calibrated == b.confidence_calibrated
    assert a.complete == b.complete
    assert a.software == b.software
    assert a.undone == b.undone
    assert len(a.history) == len(b.history)
    for left_step, right_step in zip(a.history, b.history, strict=True):
        assert left_step.action == right_step.action
        assert left_step.parameters == right_step.parameters
        assert (left_step.rows, left_step.columns) == (right_step.rows, right_step.columns)
        assert left_step.time == right_step.time
        np.testing.assert_array_equal(left_step.mask, right_step.mask)
        for mine, other in (
            (left_step.before, right_step.before),
            (left_step.after, right_step.after),
        ):
            assert set(mine) == set(other)
            assert all(mine[name].tobytes() == other[name].tobytes() for name in mine)


def test_round_trip_is_bit_for_bit(tmp_path: Path) -> None:
    pmap = make_map()
    pmap.complete = True
    change(pmap, 1)
    change(pmap, 2)
    pmap.undo()
    path = save_map(pmap, tmp_path / "map.zarr", block=(5, 6))
    loaded = load_map(path)
    assert_same(pmap, loaded)
    assert loaded.classifier["card"] == {"thickness_nm": [10, 50.0], "lattice_nm": 0.396}
    assert list(tmp_path.iterdir()) == [path]


def test_undo_after_loading_restores_the_map_before(tmp_path: Path) -> None:
    pmap = make_map()
    original = pmap.copy()
    change(pmap, 3)
    pmap.status[0, 0] = STATUS_BY_HAND
    loaded = load_map(save_map(pmap, tmp_path / "m.zarr"))
    loaded.undo()
    for name in ("direction", "confidence", "probabilities"):
        assert getattr(loaded, name).tobytes() == getattr(original, name).tobytes()
    assert loaded.status[0, 0] == STATUS_BY_HAND


def test_history_step_without_positions(tmp_path: Path) -> None:
    pmap = make_map()
    empty = {"direction": np.empty(0, np.uint8), "probabilities": np.empty((0, 8), np.float16)}
    mask = np.zeros((1, 1), bool)
    pmap.apply(HistoryStep("nothing", {}, (0, 1), (0, 1), mask, empty, dict(empty), "t"))
    loaded = load_map(save_map(pmap, tmp_path / "m.zarr"))
    assert loaded.history[0].after["probabilities"].shape == (0, 8)


def test_saving_replaces_a_map_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "map.zarr"
    save_map(make_map(seed=1), path)
    second = make_map((4, 5), seed=2)
    save_map(second, path)
    assert_same(second, load_map(path))

    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "precious.txt").write_text("mine")
    with pytest.raises(MapError, match="not a polarization map"):
        save_map(second, folder)
    with pytest.raises(MapError, match="not a polarization map"):
        MapWriter(folder, second, (4, 4), overwrite=True)
    assert (folder / "precious.txt").read_text() == "mine"
    file = tmp_path / "file.zarr"
    file.write_text("mine")
    with pytest.raises(MapError, match="not a polarization map"):
        save_map(second, file)
    assert file.read_text() == "mine"
    foreign = tmp_path / "foreign.zarr"
    foreign.mkdir()
    (foreign / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    with pytest.raises(MapError, match="not a polarization map"):
        save_map(second, foreign)


def test_a_link_to_a_map_stays_a_link(tmp_path: Path) -> None:
    real = save_map(make_map(), tmp_path / "real.zarr")
    link = tmp_path / "link.zarr"
    link.symlink_to(real, target_is_directory=True)
    save_map(make_map((3, 3)), link)
    assert link.is_symlink()
    assert load_map(real).shape == (3, 3)


def test_writer_grows_in_place_and_resumes(tmp_path: Path) -> None:
    pmap = make_map()
    path = tmp_path / "grow.zarr"
    writer = MapWriter(path, pmap, (5, 6))
    started = load_map(path)
    assert not started.complete
    assert not started.computed.any()
    assert np.isnan(started.confidence).all()

    writer.write_block(slice(0, 5), slice(6, 12))
    partial = load_map(path)
    assert partial.direction[:5, 6:12].tobytes() == pmap.direction[:5, 6:12].tobytes()
    assert np.count_nonzero(partial.status) == 30

    again = MapWriter.resume(path)
    assert again.block == (5, 6)
    assert again.map.status[0, 6] == STATUS_CLASSIFIED | STATUS_EDGE_WINDOW
    for name in ARRAYS:
        getattr(again.map, name)[...] = getattr(pmap, name)
    for top in range(0, 13, 5):
        for left in range(0, 17, 6):
            again.write_block(slice(top, min(top + 5, 13)), slice(left, min(left + 6, 17)))
    again.map.warnings.append("one more")
    again.update()
    assert load_map(path).warnings[-1] == "one more"
    assert not load_map(path).complete
    assert again.finish().complete
    pmap.complete = True
    pmap.warnings.append("one more")
    assert_same(pmap, load_map(path))


def test_finishing_part_of_a_scan(tmp_path: Path) -> None:
    writer = MapWriter(tmp_path / "m.zarr", make_map(), (5, 6))
    writer.write_block(slice(5, 10), slice(0, 6))
    writer.finish()
    loaded = load_map(tmp_path / "m.zarr")
    assert loaded.complete
    assert np.count_nonzero(loaded.status) == 30


def test_writer_refuses_an_existing_map(tmp_path: Path) -> None:
    path = save_map(make_map(), tmp_path / "m.zarr")
    with pytest.raises(MapError, match="already a map"):
        MapWriter(path, make_map((4, 4)), (2, 2))
    assert load_map(path).shape == (13, 17)
    MapWriter(path, make_map((4, 4)), (2, 2), overwrite=True)
    assert load_map(path).shape == (4, 4)
    assert [p.name for p in tmp_path.iterdir()] == ["m.zarr"]


def test_a_killed_process_leaves_a_map_to_resume(tmp_path: Path) -> None:
    path = tmp_path / "m.zarr"
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_maps import make_map
from napari_polmap.io.maps import MapWriter
writer = MapWriter({str(path)!r}, make_map(), (5, 6))
writer.write_block(slice(0, 5), slice(0, 6))
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    writer = MapWriter.resume(path)
    assert np.count_nonzero(writer.map.status) == 30
    assert not writer.map.complete


def test_missing_and_foreign_paths(tmp_path: Path) -> None:
    with pytest.raises(MapError, match="no map at"):
        load_map(tmp_path / "none.zarr")
    with pytest.raises(MapError, match="not a polarization map"):
        load_map(tmp_path)
    file = tmp_path / "x.npy"
    np.save(file, np.zeros(3))
    with pytest.raises(MapError, match="not a polarization map"):
        load_map(file)
    assert not is_map(file)
    with pytest.raises(MapError, match="no map at"):
        MapWriter.resume(tmp_path / "none.zarr")


def edit_header(path: Path, **values: object) -> None:
    file = path / "zarr.json"
    content = json.loads(file.read_text())
    content["attributes"]["napari_polmap"].update(values)
    file.write_text(json.dumps(content))


def test_newer_version(tmp_path: Path) -> None:
    path = save_map(make_map(), tmp_path / "m.zarr")
    edit_header(path, version=7)
    with pytest.raises(MapError, match=r"version 7.*update napari-polmap"):
        load_map(path)
    assert is_map(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("directions", {"names": ["A", "A"], "angles_deg": [0, 1]}),
        ("directions", {"names": ["A"], "angles_deg": [0]}),
        ("calibration", {"step_nm": -1}),
        ("threshold", "high"),
        ("scan", {}),
    ],
)
def test_damaged_attributes(tmp_path: Path, key: str, value: object) -> None:
    path = save_map(make_map(), tmp_path / "m.zarr")
    edit_header(path, **{key: value})
    with pytest.raises(MapError, match="damaged") as caught:
        load_map(path)
    assert "\n" not in str(caught.value)


def chunk_files(path: Path, name: str) -> list[Path]:
    return sorted(p for p in (path / name / "c").rglob("*") if p.is_file())


@pytest.mark.parametrize("name", ARRAYS)
def test_truncated_chunk(tmp_path: Path, name: str) -> None:
    pmap = make_map()
    path = save_map(pmap, tmp_path / "m.zarr", block=(5, 6))
    chunk = chunk_files(path, name)[-1]
    chunk.write_bytes(chunk.read_bytes()[:-3])
    with pytest.raises(MapError, match=f"damaged.*{name}"):
        load_map(path)


def test_flipped_bit_and_missing_chunk(tmp_path: Path) -> None:
    pmap = make_map()
    pmap.complete = True
    path = save_map(pmap, tmp_path / "m.zarr", block=(5, 6))
    chunk = chunk_files(path, "confidence")[2]
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 4
    chunk.write_bytes(content)
    with pytest.raises(MapError, match="confidence"):
        load_map(path)
    chunk.unlink()
    with pytest.raises(MapError, match=r"1 of 9 chunks.*'confidence' are missing"):
        load_map(path)


def test_missing_array(tmp_path: Path) -> None:
    path = save_map(make_map(), tmp_path / "m.zarr")
    shutil.rmtree(path / "defects")
    with pytest.raises(MapError, match=r"damaged.*defects"):
        load_map(path)


def test_a_place_that_cannot_hold_a_map(tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.write_text("mine")
    with pytest.raises(MapError, match=r"cannot be written.*choose another place"):
        save_map(make_map(), file / "map.zarr")
    with pytest.raises(MapError, match=r"cannot be written.*choose another place"):
        MapWriter(file / "map.zarr", make_map(), (5, 6))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    with pytest.raises(MapError, match="Permission denied"):
        save_map(make_map(), folder / "map.zarr")


def test_a_failed_save_keeps_the_old_map(tmp_path: Path) -> None:
    """A process that may write files of 2 kB at most stands for a full disk."""
    path = save_map(make_map(), tmp_path / "m.zarr")
    code = f"""
import resource, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_maps import make_map
from napari_polmap.errors import MapError
from napari_polmap.io.maps import save_map
big = make_map((120, 130))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    save_map(big, {str(path)!r})
except MapError as error:
    assert "cannot be written" in str(error), error
    sys.exit(3)
"""
    if os.name != "posix":
        pytest.skip("needs file size limits")
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert_same(make_map(), load_map(path))
    assert [p.name for p in tmp_path.iterdir()] == ["m.zarr"]
