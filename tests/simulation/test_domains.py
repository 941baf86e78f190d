from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.directions import NOT_COMPUTED, DirectionSet
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.domains import (
    LabelledDomains,
    OneDomain,
    TwoDomains,
    Wall,
    labels_at,
)

DIRECTIONS = DirectionSet.default()


@pytest.mark.parametrize("profile", ["tanh", "linear"])
def test_wall_divides_two_domains(profile: str) -> None:
    wall = Wall(position=(2.0, 3.0), normal_deg=0.0, width=1.0, profile=profile)
    points = [(1.0, 0.5), (2.0, 3.0), (3.0, 7.5)]
    shares = TwoDomains(("RU", "RD"), wall).shares(points, DIRECTIONS)
    first, second = DIRECTIONS.index("RU"), DIRECTIONS.index("RD")
    assert shares[:, first] == pytest.approx([1.0, 0.5, 0.0], abs=1e-3)
    assert shares[:, second] == pytest.approx([0.0, 0.5, 1.0], abs=1e-3)
    assert wall.distance(0.0, 5.0) == pytest.approx(2.0)


def test_wall_normal_follows_the_displayed_frame() -> None:
    # A normal of 90° points up: the second domain lies at smaller rows.
    assert Wall((2.0, 3.0), 90.0).distance(0.5, 7.0) == pytest.approx(1.5)


def test_one_domain_is_everywhere() -> None:
    labels = labels_at(OneDomain("LU"), np.zeros((2, 3, 2)), DIRECTIONS)
    assert (labels == DIRECTIONS.index("LU")).all()
    assert labels.shape == (2, 3)


def test_labels_are_left_out_within_half_a_width_of_the_wall() -> None:
    domains = TwoDomains(("RU", "MD"), Wall((0.0, 10.0), 0.0, width=4.0))
    points = np.stack(np.broadcast_arrays(0.0, [0.0, 7.9, 8.1, 11.9, 12.1, 20.0]), -1)
    names = [DIRECTIONS.index("RU"), DIRECTIONS.index("MD")]
    expected = [names[0], names[0], NOT_COMPUTED, NOT_COMPUTED, names[1], names[1]]
    assert labels_at(domains, points, DIRECTIONS).tolist() == expected


def test_both_sides_may_be_the_same_domain() -> None:
    domains = TwoDomains(("RU", "RU"), Wall((0.0, 0.0), 0.0))
    assert domains.shares([0.0, 0.0], DIRECTIONS)[DIRECTIONS.index("RU")] == 1.0


def test_label_image_is_where_it_says_and_its_walls_as_wide() -> None:
    image = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 2], [2, 2, 2, 2]])
    large = np.kron(image, np.ones((20, 20), int))
    domains = LabelledDomains(large, ("RM", "LM", "MU"), 0.5, origin=(100.0, 50.0), width=4.0)
    points = np.array([(105.0, 55.0), (105.0, 85.0), (135.0, 70.0), (0.0, 0.0), (105.0, 70.0)])
    names = [*(DIRECTIONS.index(name) for name in ("RM", "LM", "MU", "RM")), NOT_COMPUTED]
    assert labels_at(domains, points, DIRECTIONS).tolist() == names
    # The wall between the first two lies at column 70 Å, half its width is 2 Å.
    for column, inside in ((67.7, True), (68.3, False), (71.7, False), (72.3, True)):
        label = labels_at(domains, [105.0, column], DIRECTIONS)
        assert (label != NOT_COMPUTED) == inside
    assert domains.shares(points, DIRECTIONS).sum(-1) == pytest.approx(1.0)


def test_impossible_domains_are_refused() -> None:
    with pytest.raises(PolmapError, match="profile"):
        Wall((0, 0), 0.0, profile="step")
    with pytest.raises(PolmapError, match="width"):
        Wall((0, 0), 0.0, width=0.0)
    with pytest.raises(PolmapError, match="label image"):
        LabelledDomains(np.array([[0, 2]]), ("RM", "LM"), 1.0)
    with pytest.raises(PolmapError, match="positive width"):
        LabelledDomains(np.array([[0, 1]]), ("RM", "LM"), 0.0)
