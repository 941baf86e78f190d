"""Interiors of domains, and the disagreement of neighboring labels."""

from __future__ import annotations

import numpy as np

from napari_polmap.analysis.labels import interior, label_disagreement


def test_disagreement_is_the_share_of_other_neighbors() -> None:
    labels = np.zeros((4, 5), int)
    labels[1, 2] = 3
    shares = label_disagreement(labels)
    assert shares[1, 2] == 1
    assert shares[2, 2] == np.float32(1 / 8)
    assert shares[0, 2] == np.float32(1 / 5)
    assert shares[3, 4] == 0


def test_interior_is_further_than_a_distance_from_walls() -> None:
    labels = np.zeros((10, 20), np.uint8)
    labels[:, 10:] = 3
    labels[:, 8:12] = 255  # not labelled around the wall, whose middle lies at 9.5
    inner = interior(labels, np.zeros(labels.shape, bool), 4.0)
    expected = np.abs(np.arange(20) - 9.5) > 4.0
    np.testing.assert_array_equal(inner, np.broadcast_to(expected, labels.shape))


def test_interior_is_further_than_a_distance_from_defects() -> None:
    defects = np.zeros((11, 11), bool)
    defects[5, 5] = True
    inner = interior(np.zeros((11, 11), np.uint8), defects, 3.0)
    y, x = np.indices((11, 11)) - 5
    np.testing.assert_array_equal(inner, np.hypot(y, x) > 3.0)
    assert interior(np.zeros((3, 3), np.uint8), np.zeros((3, 3), bool), 5.0).all()
