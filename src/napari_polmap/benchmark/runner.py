"""Running a benchmark: each classifier trained once, each evaluation made once.

What is finished is a file that was moved into place, together with what it was made from, so that
the same command goes on where the last one stopped, and makes anew only what has changed.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.benchmark.exposure import scans_of
from napari_polmap.benchmark.protocol import Benchmark, DataFile, Test
from napari_polmap.benchmark.results import Results, collect
from napari_polmap.benchmark.store import Run, Store, origin_of, write_json
from napari_polmap.classifiers.classifier import Classifier
from napari_polmap.classifiers.files import read_classifier, save_classifier
from napari_polmap.classifiers.training import checkpoint_files, iter_train
from napari_polmap.errors import PolmapError
from napari_polmap.export.files import replacing
from napari_polmap.io.datasets import load_dataset
from napari_polmap.mapping.evaluation import iter_evaluate
from napari_polmap.simulation.workers import this_worker, workers

_POLL_S = 0.2
_TRAINING = 0.6
"""Share of a run that its training takes, roughly."""
_EFFORT = {"pca-knn": 1.0, "pca-lda": 1.0, "cnn": 4.0, "parity": 3.0}
_MOST_EFFORT = 20.0


@dataclass(frozen=True)
class BenchmarkProgress:
    """How far a benchmark is.

    Parameters
    ----------
    done, total : int
        Classifiers that are trained and evaluated, those of earlier times included, and all.
    share : float
        Of the work that was left at the beginning.
    message : str
        What is being done.
    remaining_s : float or None
        Expected remaining time in seconds.
    """

    done: int
    total: int
    share: float
    message: str
    remaining_s: float | None


def iter_benchmark(
    benchmark: Benchmark,
    out: str | Path,
    *,
    jobs: int = 1,
    device: str = "auto",
) -> Generator[BenchmarkProgress, None, Results]:
    """Train and measure everything that is not there yet.

    Closing the generator keeps what is finished; run again in the same folder it goes on.

    Parameters
    ----------
    benchmark : Benchmark
    out : str or Path
        Folder for classifiers, evaluations and tables.
    jobs : int
        Classifiers worked on at a time.
    device : {"auto", "cpu", "cuda"}
        Where networks are trained, unless a run of the benchmark says so itself.

    Yields
    ------
    BenchmarkProgress

    Returns
    -------
    Results
        Of all runs; with a reason where one could not be measured here.

    Raises
    ------
    DatasetError
        If the training data cannot be read, or a test's data set is wrong.
    """
    load_dataset(benchmark.train.path, benchmark.train.root)
    store = Store(Path(out).expanduser())
    every = [Run(column, seed) for column in benchmark.columns for seed in column.seeds]
    missing = {
        test.key: f"the data set {test.data.path} is not there"
        for test in benchmark.tests
        if not test.data.path.exists()
    }
    for test in benchmark.tests:
        if test.key not in missing:
            scans_of(test)
    left: list[Run] = []
    reasons: dict[str, dict[str, str]] = {}
    for run in every:
        reasons[run.key] = dict(missing)
        unfinished = _unfinished(benchmark, run, store, missing)
        told = cannot_run(run, device) if unfinished else None
        if told is not None:
            reasons[run.key] |= dict.fromkeys(unfinished, told)
        elif unfinished:
            left.append(run)
    efforts = {run.key: _EFFORT.get(run.column.model, _MOST_EFFORT) for run in left}
    begun, whole = time.monotonic(), sum(efforts.values())
    finished: list[Run] = []

    def progress(shares: Mapping[str, float]) -> BenchmarkProgress:
        done = sum(efforts[run.key] for run in finished)
        done += sum(efforts[key] * share for key, share in shares.items())
        share = done / whole if whole else 1.0
        passed = time.monotonic() - begun
        working = [run.label for run in left if shares.get(run.key, 0) > 0]
        return BenchmarkProgress(
            len(every) - len(left) + len(finished),
            len(every),
            share,
            "; ".join(working) if working else "tables",
            passed * (1 - share) / share if share > 0 else None,
        )

    yield progress({})
    if left:
        with workers(min(jobs, len(left))) as (pool, shared):
            waiting: dict[Future[dict[str, str]], int] = {}
            for index, run in enumerate(left):
                task = (benchmark, run, store, device, sorted(missing), index)
                waiting[pool.submit(_work, *task)] = index
            while waiting:
                ended, _ = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                for future in ended:
                    index = waiting.pop(future)
                    finished.append(left[index])
                    try:
                        reasons[left[index].key] |= future.result()
                    except BrokenProcessPool as error:
                        raise PolmapError(
                            "A process of the benchmark was ended from outside, most likely for "
                            "want of memory; use fewer --jobs. What is finished is kept."
                        ) from error
                shares = shared.shares(waiting.values())
                yield progress({left[index].key: share for index, share in shares.items()})
    return collect(benchmark, store.folder, reasons)


def cannot_run(run: Run, device: str) -> str | None:
    """Why a run cannot be measured on this machine, if it cannot."""
    wanted = run.column.device if run.column.device != "auto" else device
    if wanted != "cuda":
        return None
    import torch

    return None if torch.cuda.is_available() else "there is no GPU here that CUDA can use"


def _work(
    benchmark: Benchmark, run: Run, store: Store, device: str, missing: Sequence[str], index: int
) -> dict[str, str]:
    """A run in a worker, telling its share until told to stop."""
    shared = this_worker()
    shared.tell(index, 1e-3)
    with closing(iter_run(benchmark, run, store, device, missing, shared.stop.is_set)) as steps:
        while True:
            try:
                share = next(steps)
            except StopIteration as finished:
                reasons: dict[str, str] = finished.value
                return reasons
            shared.tell(index, max(share, 1e-3))
            if shared.stop.is_set():
                return {}


def iter_run(
    benchmark: Benchmark,
    run: Run,
    store: Store,
    device: str,
    missing: Sequence[str],
    stop: Callable[[], bool] | None = None,
) -> Generator[float, None, dict[str, str]]:
    """Train a classifier, and evaluate it on each test.

    Parameters
    ----------
    benchmark, run, store
    device : str
        See `iter_benchmark`.
    missing : sequence of str
        Keys of tests that cannot be measured.
    stop : callable, optional
        Asked at each step; once it says so the run ends, and what is not finished is not kept.

    Yields
    ------
    float
        The share that is done.

    Returns
    -------
    dict
        For the key of each test that could not be measured, why.
    """
    try:
        classifier = yield from _trained(benchmark, run, store, device, stop)
    except PolmapError as error:
        return {test.key: str(error) for test in benchmark.tests}
    reasons: dict[str, str] = {}
    tests = [test for test in benchmark.tests if test.key not in missing]
    for number, test in enumerate(tests):
        if classifier is None or (stop is not None and stop()):
            return {}
        origin = _evaluation_origin(test, classifier.sha256)
        if origin_of(store.figures(run, test)) == origin:
            continue
        start = _TRAINING + (1 - _TRAINING) * number / len(tests)
        width = (1 - _TRAINING) / len(tests)
        try:
            for share in _evaluated(classifier, test, run, store, origin):
                yield start + width * share
        except PolmapError as error:
            reasons[test.key] = str(error)
    return reasons


def _trained(
    benchmark: Benchmark, run: Run, store: Store, device: str, stop: Callable[[], bool] | None
) -> Generator[float, None, Classifier | None]:
    path = store.classifier(run)
    record = path.with_suffix(".json")
    origin = training_origin(benchmark, run)
    if path.exists() and origin_of(record) == origin:
        return read_classifier(path)
    column, checkpoint = run.column, store.checkpoint(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A checkpoint of other data or settings is told apart, and begun anew, by the fit itself.
    start = time.monotonic()
    steps = iter_train(
        load_dataset(benchmark.train.path, benchmark.train.root),
        column.model,
        objective=column.objective,
        preset=column.preset,
        recipe=benchmark.recipe_of(column),
        seed=run.seed,
        name=run.key,
        device=column.device if column.device != "auto" else device,
        checkpoint=checkpoint,
        stop=stop,
    )
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as finished:
                classifier: Classifier = finished.value
                break
            yield _TRAINING * min(step.done / max(step.total, 1), 0.999)
    if stop is not None and stop():
        return None
    save_classifier(classifier, path)
    seconds = round(time.monotonic() - start, 1)
    write_json(record, {"origin": origin, "training_s": seconds, "card": classifier.card})
    for kept in checkpoint_files(checkpoint):
        kept.unlink(missing_ok=True)
    return read_classifier(path)


def _evaluated(
    classifier: Classifier, test: Test, run: Run, store: Store, origin: str
) -> Generator[float, None, None]:
    dataset = scans_of(test)
    steps = iter_evaluate(classifier, dataset, window=test.window, force=test.force)
    maps: dict[str, np.ndarray[Any, Any]] = {}
    start, uncalibrated = time.monotonic(), 0
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as finished:
                figures: dict[str, Any] = finished.value
                break
            if step.map is not None:
                number = len(maps) // 2
                maps[f"direction_{number}"] = step.map.direction
                maps[f"confidence_{number}"] = step.map.confidence.astype(np.float16)
                uncalibrated += not step.map.confidence_calibrated
            yield step.done / step.total
    with replacing(store.maps(run, test)) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **maps)
    told = {
        "origin": origin,
        "seconds": round(time.monotonic() - start, 2),
        "uncalibrated_scans": uncalibrated,
        **figures,
    }
    write_json(store.figures(run, test), told)


def training_origin(benchmark: Benchmark, run: Run) -> str:
    """Hash of all that decides a classifier: data set, recipe, model, objective and seed."""
    column = run.column
    recipe = json.dumps(benchmark.recipe_of(column).to_dict(), sort_keys=True, default=str)
    return _hash(_content(benchmark.train), recipe, column.model, column.objective, str(run.seed))


def _evaluation_origin(test: Test, classifier_sha256: str) -> str:
    chosen = [test.scan, test.select, test.dose, test.window, test.force]
    told = json.dumps(chosen, sort_keys=True, default=str)
    return _hash(_content(test.data), told, classifier_sha256)


def _content(data: DataFile) -> str:
    return data.path.read_text(encoding="utf-8")


def _hash(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _unfinished(
    benchmark: Benchmark, run: Run, store: Store, missing: Mapping[str, str]
) -> list[str]:
    """Keys of the tests that a run is still to be evaluated on."""
    path = store.classifier(run)
    tests = [test for test in benchmark.tests if test.key not in missing]
    if not path.exists() or origin_of(path.with_suffix(".json")) != training_origin(benchmark, run):
        return [test.key for test in tests]
    sha256 = read_classifier(path).sha256
    return [
        test.key
        for test in tests
        if origin_of(store.figures(run, test)) != _evaluation_origin(test, sha256)
    ]
