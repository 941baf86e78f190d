from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.multislice import simulate_patterns
from napari_polmap.simulation.plan import plan_simulation
from napari_polmap.simulation.scanning import scan_positions


def test_plan_of_a_rectangular_cell() -> None:
    plan = plan_simulation((16.0, 24.0, 20.0), Microscope(), [0.5, 2.0], sampling_angstrom=0.1)
    assert plan.gpts == (160, 240)
    assert plan.slices == 10
    assert plan.thickness_nm == pytest.approx((0.4, 2.0))
    assert plan.pixel_mrad == pytest.approx((25.079 / 16, 25.079 / 24), rel=1e-4)
    reach = [half * edge for half, edge in zip(plan.half, plan.pixel_mrad, strict=True)]
    assert min(reach) >= 1.7 * 24
    assert max(reach) < 1.7 * 24 + max(plan.pixel_mrad)
    assert plan.detector_shape == (2 * plan.half[0] + 1, 2 * plan.half[1] + 1)


def test_batch_fills_the_memory() -> None:
    plan = plan_simulation((24.0, 24.0, 400.0), Microscope(), [10.0, 40.0])
    assert plan.batch(100, 1e6, cached=False) == 64
    for memory_mb in (80.0, 100.0, 150.0):
        batch = plan.batch(100, memory_mb, cached=False)
        assert 1 <= batch < 64
        assert plan.memory_mb(100, batch) <= memory_mb < plan.memory_mb(100, batch + 1)
    # Waves of 240 x 240 complex pixels take 0.46 MB.
    assert plan.batch(100, 1e6) == 34
    assert plan.batch(100, 80.0) == plan.batch(100, 80.0, cached=False)
    small, large = (
        plan_simulation((edge, edge, 4.0), Microscope(), [0.4]) for edge in (12.0, 60.0)
    )
    assert (small.batch(100, 1e6), large.batch(100, 1e6)) == (64, 8)
    # The potential alone: 202 slices of 240 x 240 pixels.
    assert plan.memory_mb(100, 0) > 46
    with pytest.raises(PolmapError, match="allow more"):
        plan.batch(100, 30.0)


@pytest.mark.parametrize(
    ("memory_mb", "thicknesses"), [(20.0, [0.8]), (50.0, [0.2, 0.4, 0.6, 0.8])]
)
def test_memory_stays_below_its_limit(memory_mb: float, thicknesses: list[float]) -> None:
    pytest.importorskip("abtem")
    from ase import Atoms

    atoms = Atoms("Nb", positions=[(3.0, 4.0, 1.0)], cell=(24.0, 24.0, 8.0), pbc=True)
    places = scan_positions((0.0, 0.0), (4, 10), 0.5)

    def run() -> None:
        simulate_patterns(
            atoms, places, Microscope(), thicknesses, slice_angstrom=2.0, memory_mb=memory_mb
        )

    run()  # imports, and plans of the Fourier transforms
    tracemalloc.start()
    run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.4 * memory_mb < peak / 1e6 < memory_mb


@pytest.mark.parametrize(
    ("cell", "thickness", "options", "message"),
    [
        ((8, 8, 4), [0.8], {}, "thicker"),
        ((8, 8, 4), [0.4, 0.2], {}, "increase"),
        ((8, 8, 4), [], {}, "increase"),
        ((8, 8, 4), [0.4], {"sampling_angstrom": 0.5}, "sampling"),
        ((8, 12, 4), [0.4], {"sampling_angstrom": 0.22}, "sampling"),
        ((8, 8, 4), [0.4], {"slice_angstrom": 0.0}, "slice_angstrom"),
        ((8, 0, 4), [0.4], {}, "edge"),
        ((8, 8, np.nan), [0.4], {}, "edge"),
    ],
)
def test_impossible_plans_are_refused(
    cell: tuple[float, float, float],
    thickness: list[float],
    options: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(PolmapError, match=message):
        plan_simulation(cell, Microscope(), thickness, **options)
