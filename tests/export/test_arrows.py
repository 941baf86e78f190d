from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.directions import DirectionSet
from napari_polmap.export import block_arrows
from napari_polmap.polarization_map import STATUS_CLASSIFIED


def test_small_maps_have_an_arrow_per_shown_position(make_map):
    result = make_map()
    arrows = block_arrows(result)
    assert arrows.block == 1
    shown = np.argwhere(result.labels() != 255)
    np.testing.assert_array_equal(arrows.positions, shown)
    np.testing.assert_array_equal(arrows.directions, result.labels()[tuple(shown.T)])


def test_arrows_point_as_on_screen(make_map):
    result = make_map(directions=DirectionSet(("up", "left"), (90.0, 180.0)))
    arrows = block_arrows(result, threshold=0.0)
    np.testing.assert_allclose(arrows.vectors[arrows.directions == 0][0], [-1, 0], atol=1e-12)
    np.testing.assert_allclose(arrows.vectors[arrows.directions == 1][0], [0, -1], atol=1e-12)


def test_arrows_turn_with_the_crystal(make_map):
    arrows = block_arrows(make_map(calibration=Calibration(crystal_angle_deg=90.0)))
    np.testing.assert_allclose(arrows.vectors[arrows.directions == 0][0], [-1, 0], atol=1e-12)


@pytest.mark.parametrize("shape", [(300, 512), (4, 900), (701, 3), (21, 21)])
def test_never_more_arrows_than_asked_for(make_map, shape):
    arrows = block_arrows(make_map(*shape), threshold=0.0, most=300)
    assert 0 < len(arrows.positions) <= 300
    assert (arrows.positions >= 0).all()
    assert (arrows.positions < shape).all()


def test_the_majority_of_a_block_counts(make_map):
    result = make_map(4, 4)
    result.direction[:] = 3
    result.direction[0, :3] = 5
    result.confidence[:] = 1.0
    result.confidence[3] = 0.1
    arrows = block_arrows(result, block=4)
    np.testing.assert_array_equal(arrows.directions, [3])
    np.testing.assert_array_equal(arrows.positions, [[1.5, 1.5]])


def test_no_arrow_where_half_a_block_is_undecided(make_map):
    result = make_map(4, 4)
    result.direction[:] = 3
    result.status[:] = STATUS_CLASSIFIED
    result.confidence[:2], result.confidence[2:] = 1.0, 0.1
    assert len(block_arrows(result, block=4).positions) == 0


def test_no_arrow_without_an_angle(make_map):
    result = make_map(directions=DirectionSet(("in", "out"), (0.0, None)))
    assert set(block_arrows(result, threshold=0.0).directions) == {0}


def test_small_rests_at_the_edge_have_no_arrow(make_map):
    arrows = block_arrows(make_map(10, 11), threshold=0.0, block=4)
    np.testing.assert_array_equal(np.unique(arrows.positions[:, 0]), [1.5, 5.5, 8.5])
    np.testing.assert_array_equal(np.unique(arrows.positions[:, 1]), [1.5, 5.5, 9.0])
    arrows = block_arrows(make_map(9, 9), threshold=0.0, block=4)
    np.testing.assert_array_equal(np.unique(arrows.positions), [1.5, 5.5])
