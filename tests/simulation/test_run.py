from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_polmap import load_dataset
from napari_polmap.diffraction.symmetry import rotate_scan
from napari_polmap.directions import NOT_COMPUTED
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.run import Progress, Simulated, estimate, iter_simulate, plan_work
from napari_polmap.simulation.spec import Spec
from napari_polmap.steps import finish
from tests.simulation.specs import SCENE, small, small_spec

pytest.importorskip("abtem")


def simulated(spec: Spec, folder: Path, **options: Any) -> tuple[Simulated, list[Progress]]:
    steps: list[Progress] = []
    return finish(iter_simulate(spec, folder, **options), steps.append), steps


def scans_of(path: Path) -> dict[tuple[str, str, float], np.ndarray[Any, Any]]:
    return {
        (one.group, one.direction[0], round(one.conditions["thickness_nm"], 4)): one.open().read(
            slice(None), slice(None)
        )
        for one in load_dataset(path).scans
        if one.direction
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Progress]]:
    folder = tmp_path_factory.mktemp("run") / "out"
    _, steps = simulated(small_spec(), folder)
    return folder, steps


def test_specimens_become_a_labelled_data_set(made: tuple[Path, list[Progress]]) -> None:
    folder, steps = made
    dataset = load_dataset(folder / "train.toml")
    assert dataset.directions.names == ("RM", "MU")
    assert len(dataset.scans) == 8
    assert {scan.group for scan in dataset.scans} == {"seed-3", "seed-4"}
    one = dataset.scans[0]
    assert one.direction == ("RM",)
    scan = one.open()
    assert scan.shape[:2] == (2, 2)
    assert scan.dtype == np.float16
    assert scan.calibration.cell_positions == pytest.approx(2)
    sums = scan.read(slice(0, 2), slice(0, 2)).astype(np.float32).sum((-2, -1))
    assert 8_000 < sums.mean() < 10_010
    assert scan.calibration.center_px == tuple((n - 1) / 2 for n in scan.detector_shape)
    told = scan.metadata["Simulation"]
    assert json.loads(told["description"]) == small()
    assert told["tilt_mrad"] == pytest.approx(one.conditions["tilt_mrad"])
    assert not list(folder.rglob("part_*"))
    assert (steps[0].done, steps[-1].done, steps[-1].total) == (0, 16, 16)
    assert (steps[-1].pieces_done, steps[-1].pieces) == (4, 4)


def test_a_second_call_makes_only_what_is_missing(
    made: tuple[Path, list[Progress]], tmp_path: Path
) -> None:
    import shutil

    folder = tmp_path / "out"
    shutil.copytree(made[0], folder)
    kept = folder / "scans" / "seed-0003" / "RM_0.8nm.hspy"
    lost = folder / "scans" / "seed-0003" / "MU_0.8nm.hspy"
    before, other = kept.stat().st_mtime_ns, scans_of(folder / "train.toml")
    lost.unlink()
    lost.with_name("MU.json").unlink()
    (kept.parent / "part_RM_0.8nm.hspy").write_bytes(b"cut off")
    # More seeds may be added; the first ones stay.
    more = small_spec(specimens={"sets": {"train": "3-4", "test": "9"}})
    result, steps = simulated(more, folder)
    assert (steps[0].pieces_done, steps[0].pieces) == (3, 6)
    assert kept.stat().st_mtime_ns == before
    assert not list(folder.rglob("part_*"))
    again = scans_of(folder / "train.toml")
    assert again.keys() == other.keys()
    assert all(np.allclose(again[key], other[key], rtol=1e-3, atol=1e-3) for key in other)
    assert [path.name for path in result.datasets] == ["train.toml", "test.toml"]


def test_another_description_is_refused_unless_it_may_overwrite(
    made: tuple[Path, list[Progress]], tmp_path: Path
) -> None:
    import shutil

    folder = tmp_path / "out"
    shutil.copytree(made[0], folder)
    other = small_spec(specimens={"thickness_nm": [0.8]})
    with pytest.raises(PolmapError, match=r"specimens\.thickness_nm was \[0.8, 1.6\].*--overwrite"):
        next(iter_simulate(other, folder))
    assert len(list(folder.rglob("*.hspy"))) == 8
    simulated(other, folder, overwrite=True)
    assert len(list(folder.rglob("*.hspy"))) == 4
    strange = tmp_path / "strange"
    (strange / "scans").mkdir(parents=True)
    with pytest.raises(PolmapError, match="not made by this program"):
        next(iter_simulate(other, strange))


def test_closing_it_keeps_what_is_done(tmp_path: Path) -> None:
    spec = small_spec(specimens={"sets": {"train": "3-6"}, "positions": 6})
    steps = iter_simulate(spec, tmp_path)
    step = next(steps)
    while step.pieces_done < 2:
        step = next(steps)
    steps.close()
    records = list((tmp_path / "scans").rglob("*.json"))
    assert 2 <= len(records) < 8
    assert len(load_dataset(tmp_path / "train.toml").scans) == 2 * len(records)
    assert len(plan_work(spec, tmp_path).left) == 8 - len(records)


@pytest.mark.slow
def test_processes_write_the_same_and_end(
    made: tuple[Path, list[Progress]], tmp_path: Path
) -> None:
    simulated(small_spec(), tmp_path / "two", jobs=2)
    one, two = (scans_of(folder / "train.toml") for folder in (made[0], tmp_path / "two"))
    assert all(np.allclose(one[key], two[key], rtol=1e-3, atol=1e-3) for key in one)
    steps = iter_simulate(small_spec(specimens={"positions": 8}), tmp_path / "cut", jobs=2)
    for _ in range(3):
        next(steps)
    steps.close()
    assert not multiprocessing.active_children()


def test_directions_by_symmetry_are_those_of_the_turned_scan(tmp_path: Path) -> None:
    spec = small_spec(
        directions={"names": ["RM", "MU", "LM"], "by_symmetry": True},
        specimens={"sets": {"train": "4"}},
        output={"format": "npy"},
    )
    simulated(spec, tmp_path)
    scans = load_dataset(tmp_path / "train.toml").scans
    assert [scan.direction for scan in scans] == [
        (n,) for n in ("RM", "RM", "MU", "MU", "LM", "LM")
    ]
    first, turned = scans[0], scans[2]
    assert (np.load(turned.path) == rotate_scan(np.load(first.path), 1)).all()
    assert not any("astigmatism" in name for name in turned.conditions)
    azimuth = (turned.conditions["tilt_azimuth_deg"] - first.conditions["tilt_azimuth_deg"]) % 360
    assert azimuth == pytest.approx(90)


def test_a_turned_scan_is_what_a_simulation_of_its_own_gives(tmp_path: Path) -> None:
    means = []
    for by_symmetry in (True, False):
        spec = small_spec(
            crystal={"material": "KNbO3", "thermal": "none", "magnitude_angstrom": 0.2},
            microscope={"tilt_mrad": [0, 0], "defocus_nm": 0.0},
            directions={"names": ["RM", "MU"], "by_symmetry": by_symmetry},
            specimens={"sets": {"train": "4"}, "thickness_nm": [1.6], "positions": 8},
        )
        folder = tmp_path / str(by_symmetry)
        simulated(spec, folder)
        scans = scans_of(folder / "train.toml")
        up = next(data for key, data in scans.items() if key[1] == "MU")
        means.append(up.astype(np.float64).mean((0, 1)))
    asymmetric = np.abs(means[1] - means[1][::-1, ::-1]).sum()
    assert asymmetric > 20
    assert np.abs(means[0] - means[1]).sum() < 0.03 * asymmetric


def test_a_detector_counts(tmp_path: Path) -> None:
    spec = small_spec(
        specimens={"sets": {"train": "3"}, "thickness_nm": [0.8]},
        detector={
            "pixels": [24, 20],
            "mrad_per_pixel": 2.6,
            "beam_offset_px": [1.0, -2.0],
            "dead_share": 0.01,
            "dose": 4000,
        },
    )
    simulated(spec, tmp_path)
    one = load_dataset(tmp_path / "train.toml").scans[0]
    scan = one.open()
    counts = scan.read(slice(None), slice(None))
    assert counts.dtype == np.uint16
    assert scan.detector_shape == (24, 20)
    assert scan.calibration.center_px == (9.5, 10.5)
    assert scan.bad_pixels is not None
    assert scan.bad_pixels.sum() == 5
    assert not counts[..., scan.bad_pixels].any()
    assert 3000 < counts.sum((-2, -1)).mean() < 4100
    assert one.conditions["dose"] == 4000.0


def test_a_scene_becomes_scans_with_truth(tmp_path: Path) -> None:
    spec = small_spec(**SCENE)
    _, steps = simulated(spec, tmp_path)
    assert (steps[-1].done, steps[-1].pieces) == (24, 5)
    dataset = load_dataset(tmp_path / "scenes.toml")
    one = dataset.scans[0]
    scan = one.open()
    assert scan.shape[:2] == (4, 6)
    mask = one.truth_mask(dataset.directions, (4, 6))
    assert mask[0, 0].tolist() == [True, False]
    assert mask[0, 5].tolist() == [False, True]
    truth = tifffile.imread(one.truth)
    assert set(np.unique(truth)) <= {0, 1, NOT_COMPUTED}
    thickness = tifffile.imread(one.path.with_name("scan_thickness_nm.tif"))
    assert thickness == pytest.approx(0.8)
    assert not tifffile.imread(one.path.with_name("scan_defects.tif")).any()
    assert not (one.path.parent / "blocks").exists()
    assert plan_work(spec, tmp_path).left == ()
    # Uncut, within what the padding leaves.
    whole = small_spec(**{**SCENE, "numerics": {"block": 6, "padding_angstrom": 6.0}})
    simulated(whole, tmp_path / "whole")
    other = load_dataset(tmp_path / "whole" / "scenes.toml").scans[0].open()
    sums = [s.read(slice(None), slice(None)).astype(float).sum((-2, -1)) for s in (scan, other)]
    assert sums[0] == pytest.approx(sums[1], rel=0.02)


def test_a_wedge_with_a_hole_and_bending(tmp_path: Path) -> None:
    scene = {
        "thickness_nm": 0.8,
        "direction": "RM",
        "wedge_nm_per_nm": [0.0, 0.8],
        "bend_x_mrad_per_nm": [1.0, 0.0],
        "defects": [
            {"kind": "vacuum", "position_nm": [0.0, 0.0], "radius_nm": 0.3},
            {"kind": "column", "cell": [1, 2], "site": "B"},
        ],
    }
    spec = small_spec(**{**SCENE, "scene": scene})
    simulated(spec, tmp_path)
    one = load_dataset(tmp_path / "scenes.toml").scans[0]
    assert tifffile.imread(one.truth)[0, 0] == NOT_COMPUTED
    thickness = tifffile.imread(one.path.with_name("scan_thickness_nm.tif"))
    assert thickness[0, 0] == 0
    assert thickness[3, 5] > thickness[3, 0] > 0
    assert tifffile.imread(one.path.with_name("scan_defects.tif")).any()
    assert tifffile.imread(one.path.with_name("scan_bending_mrad.tif")).shape == (2, 4, 6)


def test_the_estimate_counts_what_is_left(made: tuple[Path, list[Progress]]) -> None:
    spec = small_spec(specimens={"sets": {"train": "3-6"}})
    cost = estimate(spec, measure=False)
    assert (cost.positions, cost.scans, cost.probes) == (32, 16, 32)
    assert cost.slices == 8
    assert cost.seconds is None
    assert estimate(spec, made[0], measure=False).positions == 16
    timed = estimate(spec)
    assert timed.seconds is not None
    assert timed.seconds > 0
    wide = small_spec(microscope={"source_size_angstrom": 1.0, "focal_spread_nm": 10.0})
    assert estimate(wide, measure=False).probes > 4 * 16
    with pytest.raises(PolmapError, match="allow more"):
        estimate(small_spec(specimens={"cells": 12}), memory_mb=5, measure=False)


@pytest.mark.parametrize(
    ("scene", "told"),
    [
        ({"thickness_nm": 1}, "no direction"),
        ({"thickness_nm": 1, "direction": "UP"}, "'UP', but this crystal has RM"),
        ({"thickness_nm": 1, "directions": ["RM", "MU"]}, "two with"),
        ({"thickness_nm": [1, 2], "direction": "RM", "wedge_nm_per_nm": [0, 1]}, "wedge starts"),
        ({"thickness_nm": 1, "labels": "no.tif"}, "label_pixel_nm is missing"),
        ({"thickness_nm": 1, "labels": "no.tif", "label_pixel_nm": 1}, "cannot be read"),
        (
            {"thickness_nm": 1, "direction": "RM", "defects": [{"kind": "column", "cell": [0, 0]}]},
            "defects.site is missing; the column needs it",
        ),
        (
            {
                "thickness_nm": 1,
                "direction": "RM",
                "defects": [{"kind": "column", "cell": [0, 0], "site": "Q"}],
            },
            "no site 'Q'",
        ),
    ],
)
def test_scenes_that_do_not_fit(scene: dict[str, Any], told: str) -> None:
    with pytest.raises(PolmapError, match=told):
        plan_work(small_spec(**{**SCENE, "scene": scene}))
