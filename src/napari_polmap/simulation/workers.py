"""Threads and processes that work on the pieces of a simulation."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any

from napari_polmap.simulation.pieces import Effort, Piece
from napari_polmap.simulation.spec import Spec

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Shared:
    """What the worker threads or processes tell, and whether they are to stop.

    Parameters
    ----------
    shares : sequence of float
        Shared by all workers.
    stop : event
        Set when they are to stop.
    """

    def __init__(self, shares: Any, stop: Any) -> None:
        self._shares, self.stop = shares, stop

    def tell(self, index: int, share: float) -> None:
        """Tell the share of a piece that is done."""
        slot = index % len(self._shares)
        self._shares[slot] = share

    def shares(self, indices: Iterable[int]) -> dict[int, float]:
        """What is told of pieces."""
        return {index: self._shares[index % len(self._shares)] for index in indices}


_SLOTS = 4096
_LOCAL = threading.local()


class _Process(SpawnProcess):
    """A process that does not run this program's main module again.

    It needs nothing of that; it may be a script without ``if __name__ == "__main__"``, or take
    seconds to load, as napari does.
    """

    def start(self) -> None:
        """Start it."""
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            super().start()
        finally:
            sys.modules["__main__"] = main


class _Context(SpawnContext):
    Process = _Process


@contextmanager
def workers(jobs: int) -> Iterator[tuple[Executor, Shared]]:
    """Threads or processes that simulate; at the end of the block they are stopped."""
    if jobs == 1:
        shared = Shared([0.0] * _SLOTS, threading.Event())
        pool: Executor = ThreadPoolExecutor(1, initializer=_begin, initargs=(shared,))
        try:
            yield pool, shared
        finally:
            shared.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
        return
    context = _Context()
    shared = Shared(context.Array("d", _SLOTS, lock=False), context.Event())
    others = set(multiprocessing.active_children())
    kept = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    pool = ProcessPoolExecutor(
        jobs, mp_context=context, initializer=_begin_process, initargs=(shared,)
    )
    try:
        yield pool, shared
    except BaseException:
        # What they have begun has no record yet and is made again.
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _begin(shared: Shared) -> None:
    _LOCAL.shared = shared


def _begin_process(shared: Shared) -> None:
    # Ctrl+C reaches all processes of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _begin(shared)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def this_worker() -> Shared:
    """What the worker that runs this shares with the others."""
    shared: Shared = _LOCAL.shared
    return shared


class _StoppedError(Exception):
    """The simulation was cancelled."""


def work_on(
    spec: Spec, folder: Path, piece: Piece, device: str, memory_mb: float, index: int
) -> None:
    """Make a piece in a worker, telling its share under its index until told to stop."""
    shared = this_worker()

    def progress(share: float) -> None:
        shared.tell(index, share)
        if shared.stop.is_set():
            raise _StoppedError

    shared.tell(index, 0.0)
    piece.make(spec, folder, Effort(device, memory_mb, progress))
