"""Simulate, train, test and classify in one go, with real abTEM on the smallest settings."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from napari_polmap import list_classifiers, load_map
from napari_polmap.errors import PolmapError
from napari_polmap.mapping.make_classifier import (
    STAGES,
    Made,
    MakeProgress,
    estimate_classifier,
    figures_text,
    iter_make_classifier,
)
from napari_polmap.mapping.scan_spec import spec_for_scan
from napari_polmap.steps import finish
from tests.mapping.made import few_patterns, make_scan, tiny_values

pytest.importorskip("abtem")


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "library"
    monkeypatch.setenv("POLMAP_CLASSIFIERS", str(folder))
    few_patterns(monkeypatch)
    return folder


def make(folder: Path, **options: Any) -> tuple[Made, list[MakeProgress]]:
    steps: list[MakeProgress] = []
    scan = make_scan()
    values = options.pop("values", None) or tiny_values(scan)
    options.setdefault("model", "pca-lda")
    return finish(iter_make_classifier(scan, values, folder, **options), steps.append), steps


@dataclass(frozen=True)
class Whole:
    """A classifier made from the beginning to the end, with its library, in a folder."""

    folder: Path
    made: Made
    steps: list[MakeProgress]
    installed: list[str]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLMAP_CLASSIFIERS", str(folder / "library"))
        few_patterns(patch)
        made, steps = make(folder / "out", name="mine")
        installed = [entry.name for entry in list_classifiers() if entry.path == made.path]
    return Whole(folder, made, steps, installed)


@pytest.fixture
def folder(whole: Whole, tmp_path: Path, library: Path) -> Path:
    """A copy of it, with its library."""
    shutil.copytree(whole.folder / "library", library)
    return Path(shutil.copytree(whole.folder / "out", tmp_path / "out"))


def test_all_stages_in_one_go(whole: Whole) -> None:
    made, steps = whole.made, whole.steps
    assert tuple(dict.fromkeys(step.stage for step in steps)) == STAGES
    assert steps[0].stages == STAGES
    for stage in STAGES:
        of_stage = [step for step in steps if step.stage == stage]
        assert all(0 <= step.done <= step.total for step in of_stage)
        assert of_stage[-1].total > 0
    assert made.classifier.name == "mine"
    assert whole.installed == ["mine"]
    assert made.classifier.card["energy_kv"] == 200
    assert made.map is not None
    assert made.map.complete
    assert made.map.shape == (16, 16)
    assert load_map(next((whole.folder / "out").glob("disk-*.zarr"))).complete
    assert made.figures["groups"] == 1
    assert 0 <= made.figures["accuracy"] <= 1
    assert "On 1 specimen that it had never seen" in figures_text(made.figures)


def test_what_is_finished_is_not_made_again(folder: Path, library: Path) -> None:
    kept = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.suffix in (".npy", ".toml")}
    trained = (folder / "mine.safetensors").stat().st_mtime_ns
    made, steps = make(folder, name="mine")
    assert {step.stage for step in steps} == {"simulate"}
    assert all(p.stat().st_mtime_ns == t for p, t in kept.items() if p.suffix == ".npy")
    assert (folder / "mine.safetensors").stat().st_mtime_ns == trained
    assert [path.name for path in library.iterdir()] == ["mine.safetensors"]
    assert made.map is not None
    # More specimens: only theirs are simulated, and the new classifier takes a name of its own.
    values = tiny_values(make_scan())
    values["specimens"]["sets"]["train"] = "1-3"
    more, steps = make(folder, name="mine", values=values, classify=False)
    assert (steps[1].done, steps[1].total) == (3 * 16, 4 * 16)
    assert more.map is None
    assert more.classifier.name == "mine-2"
    assert sorted(p.name for p in library.iterdir()) == ["mine-2.safetensors", "mine.safetensors"]
    again, steps = make(folder, name="mine", values=values, classify=False)
    assert again.path == more.path
    assert {step.stage for step in steps} == {"simulate"}


def stop_in(stage: str, steps: Generator[MakeProgress, None, Made], done: int = 0) -> None:
    for step in steps:
        if step.stage == stage and step.done >= done and step.total:
            break
    steps.close()


@pytest.mark.parametrize("stage", STAGES)
def test_it_goes_on_after_a_cancel_in_each_stage(stage: str, tmp_path: Path) -> None:
    scan = make_scan()
    values = tiny_values(scan)
    steps = iter_make_classifier(scan, values, tmp_path / "out", name="cut", model="pca-lda")
    stop_in(stage, steps, 16 if stage == "simulate" else 1 if stage == "classify" else 0)
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.npy")}
    assert len(files) >= 2
    trained = tmp_path / "out" / "cut.safetensors"
    assert trained.exists() == (stage in ("test", "classify"))
    before = trained.stat().st_mtime_ns if trained.exists() else None
    assert not [e for e in list_classifiers() if e.origin == "user"] or stage == "classify"
    made, after = make(tmp_path / "out", name="cut", values=values)
    assert made.map is not None
    assert made.map.complete
    assert all(path.stat().st_mtime_ns == time for path, time in files.items())
    if before is not None:
        assert trained.stat().st_mtime_ns == before
    assert after[-1].stage == "classify"
    assert [e.name for e in list_classifiers() if e.origin == "user"] == ["cut"]


def test_wrong_input_is_told_before_anything_is_simulated(tmp_path: Path) -> None:
    scan = make_scan()
    values = tiny_values(scan)
    one_set = {**values, "specimens": {**values["specimens"], "sets": {"train": "1-2"}}}
    unknown = make_scan(energy_kv=None)
    for cause, told in (
        ((scan, one_set, {}), "the sets train .* and test"),
        ((scan, values, {"name": "a/b"}), "cannot be a classifier's name"),
        ((unknown, values, {}), "does not tell the acceleration voltage"),
    ):
        with pytest.raises(PolmapError, match=told):
            next(iter_make_classifier(*cause[:2], tmp_path / "out", **cause[2]))
    assert not (tmp_path / "out").exists()


def test_another_simulation_in_the_folder_is_not_overwritten(folder: Path) -> None:
    scan = make_scan()
    other = tiny_values(scan, specimens={"thickness_nm": [1.2]})
    with pytest.raises(PolmapError, match=r"thickness_nm was \[0.8\]"):
        make(folder, values=other)


def test_the_estimate_counts_what_is_left(folder: Path, tmp_path: Path) -> None:
    scan = make_scan()
    whole, seconds = estimate_classifier(tiny_values(scan), tmp_path / "new")
    assert whole.positions == 3 * 16
    assert whole.seconds is not None
    assert seconds is not None
    assert seconds > whole.seconds
    left, _ = estimate_classifier(tiny_values(scan), folder)
    assert left.positions == 0
    quick = spec_for_scan(scan, thickness_nm=(20, 40))
    assert estimate_classifier(quick)[0].memory_mb < 2000
