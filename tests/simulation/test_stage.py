from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.stage import make_stage
from tests.simulation.specs import SCENE, small_spec

TURNED = {"shape": [4, 6], "step_nm": 0.02, "crystal_angle_deg": 90.0}


def test_neighbors_on_a_grid_share_the_places_of_the_source() -> None:
    stage = make_stage(small_spec(**SCENE | {"scan": TURNED}), 3)
    places = stage.blocks.positions
    expected = np.stack([places[1, 0] - places[0, 0], places[0, 1] - places[0, 0]])
    assert stage.blocks.options["step_vectors"] == pytest.approx(expected)
    assert np.abs(expected - np.diag(np.diag(expected))).max() == pytest.approx(0.2)


def test_noise_makes_the_scan_no_grid() -> None:
    stage = make_stage(small_spec(**SCENE | {"scan": TURNED | {"noise_angstrom": 0.1}}), 3)
    assert stage.blocks.options["step_vectors"] is None


def test_directions_are_gone_through_seed_by_seed() -> None:
    scene = {"thickness_nm": 0.8, "direction": ["RM", "MU"]}
    spec = small_spec(**SCENE | {"scene": scene})
    stages = [make_stage(spec, seed) for seed in (2, 3, 4)]
    truths = [stage.blocks.scene.truth(stage.blocks.positions).direction for stage in stages]
    assert [np.unique(truth).tolist() for truth in truths] == [[0], [1], [0]]
    wrong = small_spec(**SCENE | {"scene": scene | {"direction": ["RM", "up"]}})
    with pytest.raises(PolmapError, match="names the direction 'up'"):
        make_stage(wrong, 2)
