"""Processes that simulate end with the program that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("abtem")

SCRIPT = """
import os, time
from napari_polmap.simulation.workers import workers
with workers(2) as (pool, shared):
    found = {pool.submit(os.getpid).result()}
    print(*found, flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks processes up in /proc")
def test_processes_end_with_a_killed_program() -> None:
    program = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True)
    try:
        assert program.stdout is not None
        child = int(program.stdout.readline())
        assert _runs(child)
    finally:
        os.kill(program.pid, signal.SIGKILL)
        program.wait()

    deadline = time.monotonic() + 20
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert not _runs(child)


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    except OSError:
        return False
    return state[0] != "Z"
