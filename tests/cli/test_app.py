"""The real command in a process of its own: exit status, what goes where, speed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from napari_polmap import __version__

COMMAND = [sys.executable, "-m", "napari_polmap"]


def run(*arguments, **options):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )


def test_help_comes_at_once_and_loads_nothing_heavy():
    code = (
        "import sys; from napari_polmap.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'hyperspy', 'sklearn', 'scipy', 'matplotlib', 'zarr', 'dask', 'napari',"
        " 'qtpy'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, timeout=60
    )
    assert time.perf_counter() - start < 3  # under 1 s on a quiet machine
    assert done.stderr.strip() == "[]"
    for command in ("demo", "info", "classifiers", "classify", "evaluate", "export"):
        assert command in done.stdout


def test_version(polmap):
    assert polmap("--version").stdout == f"napari-polmap {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("info",),
        ("info", "scan.npy", "--nav-shape", "3"),
        ("info", "scan.npy", "--step", "far"),
        ("classify", "scan.npy"),
        ("classify", "scan.npy", "-o", "m.zarr", "--region", "1:2"),
        ("classify", "scan.npy", "-o", "m.zarr", "--threshold", "1.5"),
        ("export", "m.zarr", "-o", "m.csv", "--layer", "defects"),
        ("export", "m.zarr", "-o", "m.tif", "--background", "bright field"),
        ("export", "m.zarr", "-o", "m.png", "--as", "sculpture"),
    ],
)
def test_bad_arguments_end_with_2(polmap, arguments):
    result = polmap(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


def test_a_failure_is_one_line_on_stderr_and_1(tmp_path):
    done = run("info", tmp_path / "nothing.npy")
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"error: There is no file .*nothing\.npy.*\n", done.stderr)


def test_stdout_is_pure_json_also_with_progress_and_warnings(
    tmp_path, scan_file, classifier_file, calibration
):
    done = run(
        *("classify", scan_file, "-c", classifier_file, "-o", tmp_path / "map.zarr", "--json"),
        *("--region", "2:9,:12", *calibration),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["positions"] == 84
    assert "of 84 positions" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT to a process")
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(
    polmap, tmp_path, classifier_file, labels, calibration
):
    from napari_polmap import load_map
    from tests.synthetic import make_patterns

    scan = tmp_path / "large.npy"
    # Large enough that it is still running after the first positions are in the map.
    np.save(scan, np.tile(make_patterns(labels, dose=20000), (5, 6, 1, 1)))
    out = tmp_path / "map.zarr"
    command = ["classify", scan, "-c", classifier_file, "-o", out, *calibration]
    process = subprocess.Popen(
        [*COMMAND, *map(str, command)], stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    deadline = time.monotonic() + 60
    while not (list(out.glob("status/c/*/*")) or process.poll() is not None):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    message = process.communicate(timeout=60)[1]
    assert process.returncode == 130, message
    assert "--resume" in message
    assert "Traceback" not in message
    partial = load_map(out)
    assert not partial.complete
    assert 0 < partial.computed.sum() < partial.direction.size
    done = polmap(*command, "--resume", "--json")
    assert done.exit_code == 0, done.stderr
    complete = load_map(out)
    assert complete.complete
    assert complete.computed.all()
    kept = partial.computed
    np.testing.assert_array_equal(complete.direction[kept], partial.direction[kept])
