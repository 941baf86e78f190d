"""Simulating all pieces of a description: several processes, progress, cancel and resume."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.errors import PolmapError, reason, unwritable
from napari_polmap.simulation.cells import directions_of
from napari_polmap.simulation.dataset import PART, write_array, write_dataset, write_json
from napari_polmap.simulation.estimate import (
    Estimate,
    PieceCost,
    make_estimate,
    measure_speed,
    piece_cost,
)
from napari_polmap.simulation.installed import need_abtem
from napari_polmap.simulation.microscope import abtem_device
from napari_polmap.simulation.pieces import (
    BAD_PIXELS,
    BlockPiece,
    Piece,
    RunPiece,
    ScenePiece,
    make_scene_array,
    read_entries,
)
from napari_polmap.simulation.quarter_turns import check_families, families
from napari_polmap.simulation.recording import make_recording
from napari_polmap.simulation.spec import Spec
from napari_polmap.simulation.specimens import cells_across, draw_runs, draw_specimen
from napari_polmap.simulation.stage import make_stage
from napari_polmap.simulation.workers import work_on, workers

MEMORY_MB = 2000.0
"""Memory for arrays of all processes together, where none is given."""

STATE = "simulation.json"
"""What the folder of a simulation was made from."""

_POLL_S = 0.1


@dataclass(frozen=True)
class Progress:
    """How far a simulation is.

    Parameters
    ----------
    done, total : int
        Probe positions simulated, those of earlier runs included, and all.
    pieces_done, pieces : int
        Runs and blocks that are finished, and all.
    remaining_s : float or None
        Expected remaining time.
    estimate : Estimate
        Of what was left at the beginning.
    """

    done: int
    total: int
    pieces_done: int
    pieces: int
    remaining_s: float | None
    estimate: Estimate


@dataclass(frozen=True)
class Simulated:
    """What a simulation has written.

    Parameters
    ----------
    folder : Path
        Where.
    datasets : tuple of Path
        The labelled data sets.
    scans : int
        Scans in all of them.
    """

    folder: Path
    datasets: tuple[Path, ...]
    scans: int


@dataclass(frozen=True)
class Work:
    """The pieces of a simulation and what each computes."""

    pieces: tuple[Piece, ...]
    costs: tuple[PieceCost | None, ...]
    left: tuple[int, ...]

    @property
    def left_costs(self) -> list[PieceCost]:
        """Of the pieces that are not done."""
        return [cost for i in self.left if (cost := self.costs[i]) is not None]


def plan_work(spec: Spec, folder: Path | None = None) -> Work:
    """The pieces of a simulation, and which are left.

    Parameters
    ----------
    spec : Spec
        The description.
    folder : Path, optional
        Where pieces may be done already.

    Raises
    ------
    PolmapError
        If the description is impossible, or abTEM is not installed.
    """
    need_abtem()
    pieces = tuple(_pieces(spec))
    costs = tuple(piece_cost(spec, piece) for piece in pieces)
    done = {i for i, p in enumerate(pieces) if folder is not None and p.record(folder).exists()}
    scenes = {p.seed for i, p in enumerate(pieces) if i in done and isinstance(p, ScenePiece)}
    done |= {i for i, p in enumerate(pieces) if isinstance(p, BlockPiece) and p.seed in scenes}
    return Work(pieces, costs, tuple(i for i in range(len(pieces)) if i not in done))


def estimate(
    spec: Spec,
    folder: Path | None = None,
    *,
    jobs: int = 1,
    device: str = "auto",
    memory_mb: float = MEMORY_MB,
    measure: bool = True,
) -> Estimate:
    """What is left of a simulation, and what it costs.

    Parameters
    ----------
    spec, folder
        As for `plan_work`.
    jobs, device, memory_mb
        As for `iter_simulate`.
    measure : bool
        Simulate a small batch, once in this process, to tell the time.

    Raises
    ------
    PolmapError
        If the description is impossible, or a piece does not fit into the memory.
    """
    work = plan_work(spec, folder)
    return _estimate(spec, work, jobs, device, memory_mb, measure)


def iter_simulate(
    spec: Spec,
    folder: str | Path,
    *,
    jobs: int = 1,
    device: str = "auto",
    memory_mb: float = MEMORY_MB,
    overwrite: bool = False,
) -> Generator[Progress, None, Simulated]:
    """Simulate what a description describes, step by step.

    Finished pieces stay when it is cancelled (the generator closed) or fails; called again with
    the same description it goes on with the others. More seeds may be added.

    Parameters
    ----------
    spec : Spec
        The description.
    folder : str or Path
        Where the scans, truth images and data sets are written.
    jobs : int
        Processes, of one thread each; with 1, and on a GPU, it is simulated in a thread of this
        process.
    device : {"auto", "cpu", "cuda"}
        ``auto`` takes a GPU where there is one.
    memory_mb : float
        Memory for arrays of all processes together.
    overwrite : bool
        Take away what another description has made in this folder.

    Yields
    ------
    Progress
        At least ten times a second.

    Raises
    ------
    PolmapError
        If the description is impossible, the folder holds another simulation, or it cannot be
        written.
    """
    folder = Path(folder).expanduser()
    used = "cpu" if abtem_device(device) == "cpu" else "cuda"
    # Processes would share the one GPU and its memory.
    jobs = 1 if used == "cuda" else jobs
    prepare_folder(spec, folder, overwrite)
    work = plan_work(spec, folder)
    first = _estimate(spec, work, jobs, used, memory_mb, True)
    _write_common(spec, folder, work)
    try:
        yield from _run(spec, folder, work, first, max(1, jobs), used, memory_mb)
    finally:
        datasets, scans = _write_datasets(spec, folder, work)
    return Simulated(folder, datasets, scans)


def prepare_folder(spec: Spec, folder: Path, overwrite: bool = False) -> None:
    """Make the folder of a simulation, or see that it is this one's.

    Raises
    ------
    PolmapError
        If it holds another simulation and that is not to be overwritten, or cannot be written.
    """
    state = folder / STATE
    told = {"sha256": spec.sha256, "description": spec.values}
    try:
        if state.exists():
            before = json.loads(state.read_text(encoding="utf-8"))
            if before.get("sha256") != told["sha256"]:
                if not overwrite:
                    changed = _changed(before.get("description", {}), spec.values)
                    raise PolmapError(
                        f"{folder} holds scans of another description ({changed}); choose another "
                        "folder, or replace them with --overwrite."
                    )
                shutil.rmtree(folder / "scans", ignore_errors=True)
                (folder / BAD_PIXELS).unlink(missing_ok=True)
        elif (folder / "scans").exists():
            raise PolmapError(
                f"{folder / 'scans'} is there, but was not made by this program; choose another "
                "folder."
            )
        for part in folder.glob(f"scans/**/{PART}*"):
            part.unlink(missing_ok=True)
        write_json(state, told)
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError):
            raise PolmapError(
                f"{state} cannot be read ({reason(error)}); choose another folder."
            ) from error
        raise PolmapError(unwritable(f"The folder {folder}", state, error)) from error


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first field that differs."""
    for section in dict.fromkeys([*now, *before]):
        old, new = before.get(section, {}), now.get(section, {})
        if not isinstance(old, Mapping) or not isinstance(new, Mapping):
            continue
        for name in dict.fromkeys([*new, *old]):
            if old.get(name) != new.get(name):
                return (
                    f"{section}.{name} was {old.get(name, 'left out')!r}, now it is "
                    f"{new.get(name, 'left out')!r}"
                )
    return "a file that it names has changed"


def _pieces(spec: Spec) -> Iterator[Piece]:
    if spec.specimens is not None:
        directions = directions_of(spec)
        found = families(directions, spec.directions.by_symmetry)
        seeds = [seed for part in spec.specimens.sets.values() for seed in part]
        specimen = draw_specimen(spec, seeds[0])
        magnitude = max(run.magnitude_angstrom for run in draw_runs(spec, specimen, directions))
        check_families(specimen.cell, cells_across(spec.specimens), found, magnitude)
        for seed in seeds:
            for family in found:
                yield RunPiece(seed, family)
        return
    assert spec.scene is not None
    for seed in spec.scene.seeds:
        for index in range(len(make_stage(spec, seed).blocks.blocks())):
            yield BlockPiece(seed, index)
        yield ScenePiece(seed)


def _estimate(
    spec: Spec, work: Work, jobs: int, device: str, memory_mb: float, measure: bool
) -> Estimate:
    simulated = [i for i in work.left if work.costs[i] is not None]
    speed = None
    if measure and simulated:
        # The middle one: the first block of a scene may lie in vacuum.
        speed = measure_speed(spec, work.pieces[simulated[len(simulated) // 2]], device)
    return make_estimate(spec, work.left_costs, jobs=jobs, memory_mb=memory_mb, speed=speed)


def _write_common(spec: Spec, folder: Path, work: Work) -> None:
    """What all pieces need: the mask of bad pixels, and the arrays of scenes."""
    if spec.detector is not None and spec.detector.dose is not None:
        seed = work.pieces[0].seed
        specimen = None if spec.specimens is None else draw_specimen(spec, seed)
        stage = None if spec.scene is None else make_stage(spec, seed)
        if specimen is not None:
            run = draw_runs(spec, specimen, directions_of(spec))[0]
            recording = make_recording(spec, seed, 0, run.microscope, (1.0, 1.0))
        else:
            assert stage is not None
            recording = stage.recording
        if recording.bad_pixels is not None:
            write_array(folder / BAD_PIXELS, recording.bad_pixels.astype(np.uint8))
    for index in work.left:
        piece, cost = work.pieces[index], work.costs[index]
        if isinstance(piece, BlockPiece) and cost is not None:
            detector = cost.plan.detector_shape
            used = make_stage(spec, piece.seed).recording.detector if piece.index == 0 else None
            make_scene_array(spec, folder, piece.seed, used.shape if used else detector)


def _run(
    spec: Spec,
    folder: Path,
    work: Work,
    first: Estimate,
    jobs: int,
    device: str,
    memory_mb: float,
) -> Generator[Progress, None, None]:
    positions = [0 if cost is None else cost.positions for cost in work.costs]
    weights = [0.0 if cost is None else cost.work for cost in work.costs]
    left = list(work.left)
    total_work = sum(weights[i] for i in left)
    begun, finished = time.monotonic(), [i for i in range(len(work.pieces)) if i not in left]
    count = len(finished)

    def progress(shares: Mapping[int, float]) -> Progress:
        done = sum(positions[i] for i in finished)
        done += sum(int(share * positions[i]) for i, share in shares.items())
        gone = sum(weights[i] for i in finished[count:])
        gone += sum(share * weights[i] for i, share in shares.items())
        passed = time.monotonic() - begun
        remaining = first.seconds
        if total_work and gone > 0.02 * total_work:
            remaining = passed * (total_work - gone) / gone
        elif remaining is not None:
            remaining = max(0.0, remaining - passed)
        return Progress(done, sum(positions), len(finished), len(work.pieces), remaining, first)

    yield progress({})
    used = min(jobs, max(1, len(left)))
    with workers(used) as (pool, shared):
        waiting: dict[Future[None], int] = {}

        def submit(index: int) -> None:
            task = (spec, folder, work.pieces[index], device, memory_mb / used, index)
            waiting[pool.submit(work_on, *task)] = index

        # A scene's scan is made of its blocks: it waits for them.
        held = [i for i in left if isinstance(work.pieces[i], ScenePiece)]
        for index in left:
            if index not in held:
                submit(index)
        while waiting or held:
            for index in list(held):
                seed = work.pieces[index].seed
                if not any(work.pieces[i].seed == seed for i in waiting.values()):
                    held.remove(index)
                    submit(index)
            ended, _ = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            for future in ended:
                index = waiting.pop(future)
                try:
                    future.result()
                except BrokenProcessPool as error:
                    raise PolmapError(
                        "A process of the simulation was ended from outside, most likely for want "
                        "of memory; lower --memory or --jobs. What is finished is kept."
                    ) from error
                except OSError as error:
                    place = work.pieces[index].record(folder)
                    raise PolmapError(unwritable(str(place.parent), place, error)) from error
                finished.append(index)
            yield progress(shared.shares(waiting.values()))


def _write_datasets(spec: Spec, folder: Path, work: Work) -> tuple[tuple[Path, ...], int]:
    """Write the labelled data sets of what is finished."""
    made: list[Path] = []
    count = 0
    directions = directions_of(spec)
    for name, seeds in _sets(spec):
        pieces = [
            piece
            for piece in work.pieces
            if piece.seed in seeds and not isinstance(piece, BlockPiece)
        ]
        entries = _ordered(read_entries(folder, pieces), directions.names)
        if entries:
            path = folder / f"{name}.toml"
            title = spec.name if len(_sets(spec)) == 1 else f"{spec.name}, {name}"
            write_dataset(path, title, directions, entries, "Made by polmap simulate")
            made.append(path)
            count += len(entries)
    return tuple(made), count


def _ordered(entries: Sequence[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """By specimen in the order of the seeds, then by direction."""
    groups = {
        group: number for number, group in enumerate(dict.fromkeys(e["group"] for e in entries))
    }
    place = {name: number for number, name in enumerate(names)}
    return sorted(entries, key=lambda e: (groups[e["group"]], place.get(e.get("direction", ""), 0)))


def _sets(spec: Spec) -> list[tuple[str, tuple[int, ...]]]:
    if spec.specimens is not None:
        return list(spec.specimens.sets.items())
    assert spec.scene is not None
    return [("scenes", spec.scene.seeds)]
