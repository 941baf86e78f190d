"""Bad input: one clear sentence, in the library and on the command line, and nothing is lost."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner, Result

from napari_polmap import (
    classify,
    evaluate,
    load_classifier,
    load_dataset,
    load_map,
    load_scan,
    save_map,
)
from napari_polmap.classifiers import save_classifier
from napari_polmap.cli import app
from napari_polmap.errors import DatasetError, MapError, PolmapError
from tests.bad_cases import (
    CASES,
    PATTERNS,
    Case,
    Work,
    assert_one_sentence,
    contents,
    fill,
    small_disk,
)
from tests.synthetic import train_quick


@pytest.fixture(scope="session")
def classifier_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    return save_classifier(train_quick(folder / "data"), folder / "synthetic.safetensors")


@pytest.fixture
def good(tmp_path: Path, classifier_file: Path) -> Work:
    return Work.good(tmp_path, classifier_file)


def run_library(work: Work) -> None:
    scan = load_scan(work.scan, **work.reading, **work.calibration)
    classify(scan, load_classifier(work.classifier), work.out)


def polmap(*arguments: object) -> Result:
    """A command in this process; bugs raise."""
    runner = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"})
    return runner.invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def assert_one_line(result: Result, words: tuple[str, ...]) -> None:
    """It failed, and says why in one line on stderr and nothing on stdout."""
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert_one_sentence(line.removeprefix("error: "), words)


def test_what_is_right_goes_through(good: Work) -> None:
    """So that the cases fail for their own reason."""
    run_library(good)
    assert load_map(good.out).complete
    shutil.rmtree(good.out)
    result = polmap(*good.arguments(), "--json")
    assert result.exit_code == 0, result.stderr
    assert load_map(good.out).complete


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_library(case: Case, good: Work, tmp_path: Path) -> None:
    work = case.spoil(good)
    before = contents(tmp_path)
    with work.limits(), pytest.raises(PolmapError) as caught:
        run_library(work)
    assert type(caught.value) is case.error
    assert_one_sentence(str(caught.value), case.words)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_command_line(case: Case, good: Work, tmp_path: Path) -> None:
    work = case.spoil(good)
    before = contents(tmp_path)
    with work.limits():
        result = polmap(*work.arguments(), "--json")
    assert_one_line(result, case.words)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["classifier: pickle", "run: full target"])
def test_a_process_of_its_own(name: str, good: Work, tmp_path: Path) -> None:
    case = CASES[name]
    work = case.spoil(good)
    before = contents(tmp_path)

    def limit() -> None:
        if work.file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (work.file_bytes, work.file_bytes))

    done = subprocess.run(
        [sys.executable, "-m", "napari_polmap", *work.arguments(), "--json"],
        check=False, capture_output=True, text=True, preexec_fn=limit,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert_one_sentence(line.removeprefix("error: "), case.words)
    assert contents(tmp_path) == before


def test_a_folder_with_a_damaged_file(good: Work, tmp_path: Path) -> None:
    folder = tmp_path / "patterns"
    folder.mkdir()
    for number, pattern in enumerate(PATTERNS[0, :12]):
        tifffile.imwrite(folder / f"{number}.tif", pattern)
    work = replace(good, scan=folder, reading={"nav_shape": (3, 4)})
    damaged = folder / "5.tif"
    damaged.write_bytes(damaged.read_bytes()[:200])
    before = contents(tmp_path)
    words = ("5.tif", "check that it is complete")
    with pytest.raises(PolmapError) as caught:
        run_library(work)
    assert_one_sentence(str(caught.value), words)
    # What the library logs of it would be further lines.
    command = [sys.executable, "-m", "napari_polmap", *work.arguments(), "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert_one_sentence(line.removeprefix("error: "), words)
    assert contents(tmp_path) == before


# A disk that fills up while a map grows


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a part of the map."""
    with small_disk(tmp_path / "disk", 160) as folder:
        yield folder


def test_a_disk_that_fills_up_keeps_what_was_done(good: Work, disk: Path, tmp_path: Path) -> None:
    work = replace(good, out=disk / "map.zarr")
    assert_one_line(polmap(*work.arguments(), "--json"), ("the disk is full", "make room"))
    kept = load_map(work.out)
    assert not kept.complete
    assert 0 < kept.computed.sum() < kept.computed.size
    # There is room again: it goes on, and ends as if nothing had been.
    roomy = replace(work, out=Path(shutil.copytree(work.out, tmp_path / "roomy.zarr")))
    assert polmap(*roomy.arguments(), "--resume").exit_code == 0
    run_library(good)
    np.testing.assert_array_equal(load_map(roomy.out).direction, load_map(good.out).direction)


def test_a_full_disk_keeps_the_map_that_was_saved(good: Work, disk: Path) -> None:
    run_library(good)
    result = load_map(good.out)
    place = disk / "kept.zarr"
    save_map(result, place)
    before = contents(place)
    fill(disk)
    result.direction[:] = 3
    with pytest.raises(MapError) as caught:
        save_map(result, place)
    assert_one_sentence(str(caught.value), ("the disk is full",))
    assert contents(place) == before


def test_a_refused_continuation_leaves_the_map_complete(good: Work) -> None:
    run_library(good)
    before = contents(good.out)
    result = polmap(*good.arguments(), "--resume", "--window", "0.5", "--json")
    assert_one_line(result, ("another scan, calibration, classifier or window",))
    assert contents(good.out) == before


# Maps


def _missing(path: Path) -> None:
    shutil.rmtree(path)


def _damaged(path: Path) -> None:
    (path / "direction" / "c" / "0" / "0").write_bytes(b"no chunk")


def _cut(path: Path) -> None:
    (path / "zarr.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_missing, ("There is no map", "check the path")),
        (_damaged, ("damaged", "'direction'", "restore it")),
        (_cut, ("not a polarization map", "choose")),
    ],
)
def test_maps(spoil: Callable[[Path], None], words: tuple[str, ...], good: Work) -> None:
    run_library(good)
    spoil(good.out)
    with pytest.raises(MapError) as caught:
        load_map(good.out)
    assert_one_sentence(str(caught.value), words)
    picture = good.out.with_suffix(".png")
    assert_one_line(polmap("export", good.out, "-o", picture), words)
    assert not picture.exists()


# Labelled data sets

HEAD = 'directions = ["RM", "RU", "MU", "LU", "LM", "LD", "MD", "RD"]\n'
SCAN = '[[scan]]\npath = "good.npy"\n'
KNOWN = "step = 0.0495\nlattice = 0.396\nenergy = 200\nsemi_angle = 24\nradius = 9\n"
CENTER = "center = [15.6, 15.2]\n"
LABELLED = f'{SCAN}direction = "RU"\n{KNOWN}{CENTER}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("directions = [", ("not a TOML file",)),
        (LABELLED, ("`directions` is missing", "list of direction names")),
        (HEAD, ("lists no scan", "[[scan]]")),
        (HEAD + LABELLED.replace("[[scan]]", "[[scans]]"), ("`scans`", "`scan`")),
        (HEAD.replace("directions", "directons") + LABELLED, ("`directons`", "`directions`")),
        (HEAD + SCAN, ("scan 1", "`direction`", "`truth`")),
        (HEAD + SCAN + 'direction = "UP"', ("'UP'", "allowed are RM, RU")),
        (HEAD + LABELLED + "step_mn = 0.05", ("`step_mn`", "write `step_nm`")),
        (HEAD + LABELLED + "nav-shape = [24, 32]", ("`nav-shape`", "write `nav_shape`")),
        (HEAD + LABELLED + "Radius = 9", ("`Radius`", "write `radius`")),
        (HEAD + LABELLED + "radius_px = 9", ("`radius_px` is given twice",)),
        (HEAD + LABELLED + 'rotation = "90"', ("`rotation_deg` is '90'", "number")),
        (HEAD + LABELLED + "rotation = true", ("`rotation_deg` is True", "number")),
        (HEAD + LABELLED + 'flip = "yes"', ("`flip` is 'yes'", "true or false")),
        (HEAD + LABELLED + "mask = 3", ("`mask` is 3", "must name a file")),
        (HEAD + LABELLED + 'index = "first"', ("`index` is 'first'", "whole numbers")),
        (HEAD + LABELLED + "nav_shape = 24", ("`nav_shape` is 24", "two whole numbers")),
        (HEAD + LABELLED.replace(CENTER, "center = 15.6"), ("`center` is 15.6", "two numbers")),
        (HEAD + LABELLED.replace("0.0495", "-1"), ("step_nm", "positive", "-1")),
        ("root = 3\n" + HEAD + LABELLED, ("`root` is 3", "folder")),
    ],
)
def test_labelled_data_sets(
    text: str, words: tuple[str, ...], tmp_path: Path, classifier_file: Path
) -> None:
    path = tmp_path / "dataset.toml"
    path.write_text(text)
    with pytest.raises(DatasetError) as caught:
        load_dataset(path)
    assert_one_sentence(str(caught.value), words)
    assert_one_line(polmap("evaluate", "-c", classifier_file, path, "--json"), words)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, ("label image", "labels.npy", "No such file")),
        (np.zeros((8, 8), np.uint8), ("(8, 8)", "(24, 32)", "one label per position")),
        (np.full((24, 32), 9, np.uint8), ("the label 9", "0 to 7")),
        (np.full((24, 32), 255, np.uint8), ("labels no position",)),
    ],
)
def test_label_images(labels: np.ndarray | None, words: tuple[str, ...], good: Work) -> None:
    folder = good.scan.parent
    if labels is not None:
        np.save(folder / "labels.npy", labels)
    path = folder / "dataset.toml"
    path.write_text(HEAD + SCAN + 'truth = "labels.npy"\n' + KNOWN + CENTER)
    with pytest.raises(DatasetError) as caught:
        evaluate(load_classifier(good.classifier), path)
    assert_one_sentence(str(caught.value), words)
    assert_one_line(polmap("evaluate", "-c", good.classifier, path, "--json"), words)


def test_unlike_keys_of_a_data_set_are_conditions(tmp_path: Path) -> None:
    path = tmp_path / "dataset.toml"
    path.write_text(HEAD + LABELLED + "thickness_nm = 20\ntilt_mrad = 1\ndose = 1e4\noperator = 3")
    (scan,) = load_dataset(path).scans
    assert dict(scan.conditions) == {
        "thickness_nm": 20, "tilt_mrad": 1, "dose": 1e4, "operator": 3,
    }  # fmt: skip
    assert scan.calibration["step_nm"] == 0.0495
    assert scan.calibration["center_px"] == (15.6, 15.2)


# Classifiers of the user's own


def test_an_unwritable_library(
    classifier_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("POLMAP_CLASSIFIERS", str(tmp_path / "file"))
    result = polmap("classifiers", "add", classifier_file)
    assert_one_line(result, ("cannot be written", "is a file, not a folder"))
    assert (tmp_path / "file").read_text() == "mine"


def test_positions_without_data_get_no_direction(good: Work) -> None:
    """Some dead positions are no reason to refuse a scan."""
    patterns = PATTERNS.astype(np.float32)
    patterns[3, 4], patterns[10:12, 6:9] = 0, np.nan
    np.save(good.scan, patterns)
    result = polmap(*good.arguments(), "--window", "0", "--json")
    assert result.exit_code == 0, result.stderr
    computed = load_map(good.out).computed
    assert not computed[3, 4]
    assert not computed[10:12, 6:9].any()
    assert computed.sum() == computed.size - 7
