"""What a simulation costs, before it runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from napari_polmap.simulation.cells import directions_of, make_cell, make_microscope
from napari_polmap.simulation.incoherent import source_offsets
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.multislice import simulate_patterns
from napari_polmap.simulation.pieces import BlockPiece, Piece, RunPiece, ScenePiece
from napari_polmap.simulation.plan import Plan, plan_simulation
from napari_polmap.simulation.recording import make_recording
from napari_polmap.simulation.spec import Spec
from napari_polmap.simulation.specimens import (
    cells_across,
    draw_runs,
    draw_specimen,
    run_atoms,
    scan_grid,
)
from napari_polmap.simulation.stage import Stage, make_stage

if TYPE_CHECKING:
    from ase import Atoms

_PROBES = 8
_SLICES = 10
# What taking the patterns behind a slice costs, in slices.
_EXIT = 0.7
# Seconds to write a scan.
_WRITE_S = 0.05


@dataclass(frozen=True)
class PieceCost:
    """What a piece computes.

    Parameters
    ----------
    positions : int
        Probe positions whose patterns are stored.
    probes : int
        Probes that are computed: for every place of the source, defocus and configuration.
    potentials : int
        Configurations whose potential is made.
    plan : Plan
        Grid and slices.
    scans : int
        Scans that are written.
    """

    positions: int
    probes: int
    potentials: int
    plan: Plan
    scans: int

    @property
    def work(self) -> float:
        """Points of all waves in all slices; what the time is proportional to."""
        rows, columns = self.plan.gpts
        passed = self.plan.slices + _EXIT * len(self.plan.ends)
        return self.probes * rows * columns * passed


@dataclass(frozen=True)
class Estimate:
    """What is left of a simulation.

    Parameters
    ----------
    scans : int
        Scans to be written.
    positions, probes : int
        Probe positions to be simulated, and probes to be computed for them.
    slices : int
        Slices at most.
    gpts : tuple of int
        Largest grid (rows, columns).
    memory_mb : float
        Arrays of all processes together, at most.
    disk_mb : float
        Size of the scans, before compression.
    seconds : float or None
        Expected time; ``None`` where nothing was measured.
    """

    scans: int
    positions: int
    probes: int
    slices: int
    gpts: tuple[int, int]
    memory_mb: float
    disk_mb: float
    seconds: float | None


def piece_cost(spec: Spec, piece: Piece) -> PieceCost | None:
    """What a piece computes; ``None`` where it only writes.

    Raises
    ------
    PolmapError
        If the description is impossible.
    """
    if isinstance(piece, ScenePiece):
        return None
    if isinstance(piece, BlockPiece):
        return _block_cost(_stage(_Same(spec), piece.seed), piece.index)
    specimen = draw_specimen(spec, piece.seed)
    microscope = make_microscope(spec, piece.seed, piece.family.number)
    assert spec.specimens is not None
    cell = specimen.cell
    lengths = np.multiply((*cells_across(spec.specimens), specimen.depth), cell.lengths_angstrom)
    (rows, columns), steps = scan_grid(spec, cell)
    wave = microscope.wavelength_angstrom * 1e3
    pixel = (float(wave / lengths[0]), float(wave / lengths[1]))
    recording = make_recording(spec, piece.seed, piece.family.number, microscope, pixel)
    plan = plan_simulation(
        [float(edge) for edge in lengths],
        microscope,
        specimen.whole_thickness_nm,
        slice_angstrom=cell.slice_angstrom,
        sampling_angstrom=spec.numerics.sampling_angstrom,
        half_width=recording.half_width(spec, microscope),
    )
    phonons = spec.crystal.phonons if specimen.thermal == "frozen phonon" else 1
    step = steps[0] if steps[0] == steps[1] else None
    return PieceCost(
        positions=rows * columns,
        probes=_places(microscope, rows * columns, step) * len(microscope.defoci_nm()[0]) * phonons,
        potentials=phonons,
        plan=plan,
        scans=len(plan.ends) * len(piece.family.members),
    )


def make_estimate(
    spec: Spec,
    costs: Sequence[PieceCost],
    *,
    jobs: int,
    memory_mb: float,
    speed: Speed | None,
) -> Estimate:
    """What pieces cost together.

    Parameters
    ----------
    spec : Spec
        The description.
    costs : sequence of PieceCost
        Of the pieces that are left.
    jobs : int
        Processes.
    memory_mb : float
        Memory that all of them may use.
    speed : Speed or None
        From `measure_speed`.

    Raises
    ------
    PolmapError
        If a piece does not fit into the memory.
    """
    used = min(jobs, max(1, len(costs)))
    memory = max(
        (
            cost.plan.memory_mb(cost.positions, cost.plan.batch(cost.positions, memory_mb / used))
            for cost in costs
        ),
        default=0.0,
    )
    scans = sum(cost.scans for cost in costs)
    pixels = 0.0
    for cost in costs:
        shape = cost.plan.detector_shape if spec.detector is None else spec.detector.pixels
        thicknesses = len(cost.plan.ends) if spec.scene is not None else cost.scans
        pixels += cost.positions * thicknesses * shape[0] * shape[1]
    return Estimate(
        scans=scans if spec.scene is None else 0,
        positions=sum(cost.positions for cost in costs),
        probes=sum(cost.probes for cost in costs),
        slices=max((cost.plan.slices for cost in costs), default=0),
        gpts=max((cost.plan.gpts for cost in costs), default=(0, 0)),
        memory_mb=memory * used,
        disk_mb=pixels * 2 / 1e6,
        seconds=None if speed is None else sum(map(speed.seconds, costs)) / used,
    )


@dataclass(frozen=True)
class Speed:
    """How fast this machine is, from a small batch.

    Parameters
    ----------
    per_work : float
        Seconds for each unit of `PieceCost.work`.
    per_slice_point : float
        Seconds for each grid point of each slice of the potential.
    """

    per_work: float
    per_slice_point: float

    def seconds(self, cost: PieceCost) -> float:
        """Expected time of a piece in one process."""
        points = cost.plan.gpts[0] * cost.plan.gpts[1]
        potential = cost.potentials * cost.plan.slices * points * self.per_slice_point
        return cost.work * self.per_work + potential + cost.scans * _WRITE_S


def measure_speed(spec: Spec, piece: Piece, device: str) -> Speed:
    """Simulate a few probes through a few slices of a piece; measured once in a process."""
    cost = piece_cost(spec, piece)
    assert cost is not None
    return _speed(_Measured(spec, piece, cost.plan, device))


class _Same:
    """A description as a key of a cache: equal where its hash is."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._key = (spec.sha256, str(spec.root))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


class _Measured:
    """What the speed depends on: the grid, the device and the elements."""

    def __init__(self, spec: Spec, piece: Piece, plan: Plan, device: str) -> None:
        self.spec, self.piece, self.plan, self.device = spec, piece, plan, device
        cell, _ = make_cell(spec, piece.seed)
        self._key = (plan.gpts, device, cell.elements)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Measured) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=8)
def _speed(measured: _Measured) -> Speed:
    spec, piece, plan = measured.spec, measured.piece, measured.plan
    microscope = Microscope(
        make_microscope(spec, piece.seed).energy_kv,
        make_microscope(spec, piece.seed).semi_angle_mrad,
    )
    atoms = _atoms(spec, piece)
    slices = min(_SLICES, plan.slices)

    def seconds(probes: int) -> float:
        start = time.perf_counter()
        simulate_patterns(
            atoms,
            np.zeros((probes, 2)),
            microscope,
            [slices * plan.slice_angstrom / 10],
            slice_angstrom=plan.slice_angstrom,
            sampling_angstrom=spec.numerics.sampling_angstrom,
            device=measured.device,
        )
        return time.perf_counter() - start

    seconds(1)  # loads and compiles
    few, many = seconds(1), seconds(1 + _PROBES)
    points = plan.gpts[0] * plan.gpts[1]
    each = max(many - few, 0.2 * many) / _PROBES
    return Speed(
        per_work=each / (points * (slices + _EXIT)),
        per_slice_point=max(few - each, 0.0) / (points * slices),
    )


def _atoms(spec: Spec, piece: Piece) -> Atoms:
    if isinstance(piece, RunPiece):
        specimen = draw_specimen(spec, piece.seed)
        run = draw_runs(spec, specimen, directions_of(spec))[piece.family.number]
        return run_atoms(spec, specimen, run)
    stage = make_stage(spec, piece.seed)
    low, lengths = stage.blocks.window(stage.blocks.blocks()[0])
    return stage.blocks.scene.atoms(low, lengths)


@lru_cache(maxsize=4)
def _stage(same: _Same, seed: int) -> Stage:
    return make_stage(same.spec, seed)


def _block_cost(stage: Stage, index: int) -> PieceCost:
    blocks = stage.blocks
    block = blocks.blocks()[index]
    _, lengths = blocks.window(block)
    scene = blocks.scene
    thickest = scene.thickness_at(blocks.positions[block])
    cell = scene.crystal.cell
    options = blocks.options
    listed = stage.thickness_nm
    if len(listed) == 1:
        listed = (max(float(thickest.max()), cell.slice_angstrom / 10),)
    plan = plan_simulation(
        (float(lengths[0]), float(lengths[1]), scene.depth_angstrom),
        blocks.microscope,
        listed,
        slice_angstrom=cell.slice_angstrom,
        sampling_angstrom=options["sampling_angstrom"],
        half_width=options["half_width"],
    )
    rows, columns = block
    count = (rows.stop - rows.start) * (columns.stop - columns.start)
    phonons = max(1, options["phonons"])
    step = None if options["step_vectors"] is None else stage.grid.step_angstrom
    return PieceCost(
        positions=count,
        probes=_places(blocks.microscope, count, step)
        * len(blocks.microscope.defoci_nm()[0])
        * phonons,
        potentials=phonons,
        plan=plan,
        scans=0,
    )


def _places(microscope: Microscope, positions: int, step_angstrom: float | None) -> int:
    """Probes for the places of an extended source; neighbors on a grid share some."""
    sigma = microscope.source_sigma_angstrom
    if sigma == 0:
        return positions
    offsets, _ = source_offsets(sigma, microscope.passed_frequency, step_angstrom)
    if step_angstrom is None:
        return positions * len(offsets)
    parts = np.unique(np.round(offsets / step_angstrom, 6) % 1, axis=0)
    edge = np.sqrt(positions) + 2 * np.abs(offsets).max() / step_angstrom
    return int(min(positions * len(offsets), edge**2 * len(parts)))
