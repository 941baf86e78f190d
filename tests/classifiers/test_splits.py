"""Groups parted for fitting, early stopping and judging."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.classifiers.splits import folds, held_out, parts_of_scans

GROUPS = [f"seed-{k // 4}" for k in range(40)]
DIRECTIONS = [frozenset([k % 4]) for k in range(40)]


def test_each_group_is_judged_once_by_the_others() -> None:
    splits = folds(GROUPS, DIRECTIONS, 4, np.random.default_rng(0))
    assert splits is not None
    assert len(splits) == 4
    assert sorted(g for split in splits for g in split.judged) == sorted(set(GROUPS))
    for split in splits:
        assert not split.fit & split.judged
        assert split.fit | split.judged == set(GROUPS)


def test_held_out_groups_serve_one_purpose() -> None:
    split = held_out(GROUPS, DIRECTIONS, 0.2, np.random.default_rng(0))
    assert split is not None
    assert (len(split.fit), len(split.early), len(split.judged)) == (6, 2, 2)
    assert not split.fit & split.early
    assert not split.early & split.judged
    two = held_out(["a", "a", "b", "b"], [frozenset([k % 2]) for k in range(4)], 0.2,
                   np.random.default_rng(0))  # fmt: skip
    assert two is not None
    assert two.early == two.judged != two.fit


def test_every_fold_learns_every_direction() -> None:
    # Direction 1 is of two groups only: they must not be judged together.
    groups = ["a", "b", "c", "d", "a", "b"]
    directions = [frozenset([0])] * 4 + [frozenset([1])] * 2
    for seed in range(20):
        splits = folds(groups, directions, 2, np.random.default_rng(seed))
        assert splits is not None
        assert all(split.fit & {"a", "b"} for split in splits)


@pytest.mark.parametrize("groups", [["a", "a"], ["a", "b"]])
def test_groups_of_one_direction_cannot_be_parted(groups: list[str]) -> None:
    directions = [frozenset([0]), frozenset([1])]
    assert folds(groups, directions, 4, np.random.default_rng(0)) is None
    assert held_out(groups, directions, 0.2, np.random.default_rng(0)) is None


def test_parts_are_bands_of_each_scan() -> None:
    names = parts_of_scans(np.repeat([0, 1], [16, 8]))
    assert names[:16].tolist() == [f"part-{k // 2}" for k in range(16)]
    assert names[16:].tolist() == [f"part-{k}" for k in range(8)]
