from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from napari_polmap.widgets.workers import SECONDS_BETWEEN_STEPS, Job


@pytest.fixture
def here() -> int:
    return threading.get_ident()


def test_steps_and_result_come_to_the_window_s_thread(qtbot: Any, here: int) -> None:
    threads, batches, results = [], [], []

    def steps(count: int) -> Any:
        threads.append(threading.get_ident())
        for number in range(count):
            time.sleep(0.01)
            yield number
        return "done"

    def take(batch: list[int]) -> None:
        assert threading.get_ident() == here
        batches.append(batch)

    job = Job(steps, 40, on_steps=take, on_done=results.append)
    qtbot.waitUntil(lambda: bool(results), timeout=10_000)
    assert results == ["done"]
    assert not job.running
    assert [number for batch in batches for number in batch] == list(range(40))
    assert threads != [here]
    # Not a redraw for each step, but about one in the time that is set.
    assert 2 <= len(batches) <= 2 + 0.8 / SECONDS_BETWEEN_STEPS + 4


def test_stopping_closes_the_generator_and_keeps_what_was_done(qtbot: Any) -> None:
    closed, done, stopped = [], [], []

    def steps() -> Any:
        try:
            while True:
                time.sleep(0.01)
                done.append(1)
                yield
        finally:
            closed.append(threading.get_ident())

    job = Job(steps, on_stopped=lambda: stopped.append(1))
    qtbot.waitUntil(lambda: len(done) > 3, timeout=10_000)
    start = time.monotonic()
    job.stop()
    qtbot.waitUntil(lambda: bool(stopped), timeout=10_000)
    assert time.monotonic() - start < 2
    assert closed
    assert closed[0] != threading.get_ident()


def test_a_dropped_job_is_not_heard_again(qtbot: Any) -> None:
    heard, ended = [], threading.Event()

    def steps() -> Any:
        try:
            for _ in range(20):
                time.sleep(0.02)
                yield
        finally:
            ended.set()

    job = Job(
        steps, on_steps=heard.append, on_done=heard.append, on_stopped=lambda: heard.append(0)
    )
    job.drop()
    qtbot.waitUntil(ended.is_set, timeout=10_000)
    qtbot.wait(200)
    assert heard == []


def test_errors_are_handed_over_once(qtbot: Any) -> None:
    errors = []

    def steps() -> Any:
        yield
        raise ValueError("broken")

    Job(steps, on_failed=errors.append)
    qtbot.waitUntil(lambda: bool(errors), timeout=10_000)
    qtbot.wait(100)
    assert [str(error) for error in errors] == ["broken"]


def test_unexpected_errors_are_raised(qtbot: Any) -> None:
    def steps() -> Any:
        yield
        raise ValueError("a bug")

    with qtbot.capture_exceptions() as raised:
        Job(steps)
        qtbot.waitUntil(lambda: bool(raised), timeout=10_000)
    assert raised[0][0] is ValueError
