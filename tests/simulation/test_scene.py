from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.simulation.crystal import perovskite, random_a_sites
from napari_polmap.simulation.detector import Detector
from napari_polmap.simulation.multislice import Microscope, simulate_patterns
from napari_polmap.simulation.scene import Scene

pytest.importorskip("abtem")


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_cells_lie_where_the_whole_crystal_has_them(jobs: int) -> None:
    # The block of one cell with its surroundings shows the patterns of the whole crystal.
    shape = (4, 3, 4)
    crystal = perovskite(
        random_a_sites(shape, np.random.default_rng(0)), np.full((4, 3, 2), 0.1), 4.0
    )
    detector = Detector((31, 31), 3.0, (15.0, 15.0))
    scene = Scene(crystal, 1, 2, Microscope(), detector, debye_waller=False)
    assert scene.cells == (2, 1)
    rows, columns = scene.positions_in_cells()
    assert rows.shape == (4, 2)
    scan = np.empty((4, 2, 31, 31))
    for block, patterns in scene.simulate(jobs):
        scan[block] = patterns

    chosen = (3, 0)
    square = crystal.block(1, 0, 3, 3)
    place = (rows[chosen] - 1, columns[chosen])
    assert (rows[chosen], columns[chosen]) == (2.75, 1.25)
    direct = simulate_patterns(
        square.atoms(),
        [np.array(place) * 4.0],
        Microscope(),
        [1.6],
        slice_angstrom=2.0,
        half_width=2.0,
    )
    assert scan[chosen] == pytest.approx(detector.record(direct)[0, 0], abs=1e-5)
    assert np.abs(scan[3, 0] - scan[1, 0]).max() > 5e-5
