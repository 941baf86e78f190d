from __future__ import annotations

from typing import Any

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


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"bend_x_mrad_per_nm": [0, 1000]}, "tilt the scan by up to 1000 mrad.*at most 50"),
        (
            {"defects": [{"kind": "column", "cell": [0, 0], "site": "B", "element": "Xx"}]},
            "element is 'Xx', but must be the symbol",
        ),
    ],
)
def test_what_cannot_be_simulated(changes: dict[str, Any], told: str) -> None:
    spec = small_spec(**SCENE | {"scene": SCENE["scene"] | changes})
    with pytest.raises(PolmapError, match=told):
        make_stage(spec, 2)


def test_a_substituted_element_needs_a_vibration() -> None:
    column = {"kind": "column", "cell": [0, 0], "site": "A", "element": "Sr"}
    crystal = SCENE["crystal"] | {"thermal": "debye-waller"}
    changes = SCENE | {"scene": SCENE["scene"] | {"defects": [column]}}
    with pytest.raises(PolmapError, match="sigmas_angstrom names no vibration of Sr"):
        make_stage(small_spec(**changes | {"crystal": crystal}), 2)
    stage = make_stage(
        small_spec(**changes | {"crystal": crystal | {"sigmas_angstrom": {"Sr": 0.08}}}), 2
    )
    assert {"K", "Na", "Nb", "O", "Sr"} <= set(stage.blocks.options["sigmas"])
