"""Bad input on the command line: one line that says what to do, exit status 1, nothing lost."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from napari_polmap.export import render_rgba

PATTERNS = np.random.default_rng(0).poisson(5, (4, 5, 32, 32)).astype(np.uint16)


def save(path, array):
    np.save(path, array, allow_pickle=True)
    return path


def missing(folder):
    return folder / "none.npy"


def empty(folder):
    (folder / "empty.npy").touch()
    return folder / "empty.npy"


def truncated(folder):
    content = save(folder / "whole.npy", PATTERNS).read_bytes()
    (folder / "cut.npy").write_bytes(content[: len(content) // 2])
    return folder / "cut.npy"


def nonsense(folder):
    (folder / "scan.hspy").write_bytes(b"hello" * 100)
    return folder / "scan.hspy"


SCANS = {
    "missing": (missing, "no file"),
    "empty": (empty, "is empty"),
    "truncated": (truncated, "complete"),
    "nonsense": (nonsense, "cannot be read"),
    "no positions": (lambda f: save(f / "a.npy", PATTERNS[:0]), "empty"),
    "two axes": (lambda f: save(f / "a.npy", PATTERNS[0, 0]), "a scan has four axes"),
    "no scan shape": (lambda f: save(f / "a.npy", PATTERNS.reshape(20, 32, 32)), "(4, 5), (5, 4)"),
    "not finite": (lambda f: save(f / "a.npy", np.full(PATTERNS.shape, np.nan)), "not finite"),
    "all zero": (lambda f: save(f / "a.npy", np.zeros_like(PATTERNS)), "are zero"),
    "complex": (lambda f: save(f / "a.npy", PATTERNS.astype(complex)), "real numbers"),
    "objects": (lambda f: save(f / "a.npy", np.array([{1: 2}], object)), "cannot be read"),
}


@pytest.mark.parametrize(("make", "words"), SCANS.values(), ids=SCANS)
def test_scans(polmap, tmp_path, make, words):
    path = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    for arguments in (("info", path), ("classify", path, "-o", tmp_path / "map.zarr")):
        result = polmap(*arguments)
        assert result.exit_code == 1
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        assert line.startswith("error: ")
        assert words in line
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--center", "3,3"), "detector"),
        (("--radius", "-3"), "positive number"),
        (("--region", "900:901,0:3"), "no position"),
        (("--window", "50"), "0 to 20 unit cells"),
        (("--nav-shape", "5,7"), "do not fit"),
        (("--mask", "none.npy"), "mask of bad pixels"),
        (("--energy", "80"), "80 kV"),
    ],
)
def test_values_that_do_not_fit(
    polmap, tmp_path, scan_file, classifier_file, calibration, more, words
):
    out = tmp_path / "map.zarr"
    result = polmap("classify", scan_file, "-c", classifier_file, "-o", out, *calibration, *more)
    assert result.exit_code == 1
    assert words in result.stderr.splitlines()[-1]
    assert not out.exists()


def test_a_pickle_as_classifier_is_never_loaded(polmap, tmp_path, scan_file):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "loaded"),))

    path = tmp_path / "trap.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    for arguments in (
        ("classify", scan_file, "-c", path, "-o", tmp_path / "map.zarr"),
        ("classifiers", "add", path),
        ("classifiers", "show", path),
    ):
        result = polmap(*arguments)
        assert result.exit_code == 1
        assert "not a classifier file" in result.stderr
    assert not (tmp_path / "loaded").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of file sizes")
def test_a_full_disk(polmap, tmp_path, scan_file, classifier_file, calibration):
    import resource

    from napari_polmap import load_map

    out, picture = tmp_path / "map.zarr", tmp_path / "map.png"
    arguments = [str(a) for a in ("-c", classifier_file, *calibration)]

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    # As when the disk is full: no file can grow beyond 1000 bytes.
    done = subprocess.run(
        [sys.executable, "-m", "napari_polmap", "classify", scan_file, "-o", out, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=limit,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    if out.exists():  # what was written before is kept, and can be continued
        assert not load_map(out).complete
    assert polmap("classify", scan_file, "-o", out, *arguments, "--resume").exit_code == 0
    assert polmap("export", out, "-o", picture, "--as", "pixels").exit_code == 0
    from matplotlib.image import imread

    np.testing.assert_array_equal(np.rint(imread(picture) * 255), render_rgba(load_map(out)))
