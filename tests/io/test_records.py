"""Joined frames index like the whole array, whatever parts they lie in."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from napari_polmap.io.records import Joined, Records

FRAMES = np.arange(11 * 4 * 3).reshape(11, 4, 3)


@pytest.mark.parametrize("bounds", [(), (4,), (1, 2, 9), (5, 5, 11)])
def test_joined_frames(bounds: tuple[int, ...]) -> None:
    joined = Joined(np.split(FRAMES, bounds))
    assert joined.shape == FRAMES.shape
    for start, stop, step in itertools.product((0, 3, 9), (4, 10, 11), (1, 2, 5)):
        np.testing.assert_array_equal(joined[start:stop:step], FRAMES[start:stop:step])
    np.testing.assert_array_equal(joined[::-1, 1:3], FRAMES[::-1, 1:3])
    np.testing.assert_array_equal(joined[7, 2], FRAMES[7, 2])
    assert joined[4:4].shape == (0, 4, 3)
    for start, count in ((0, 11), (2, 5), (4, 1), (10, 1)):
        part = joined.cut(start, count)
        assert part.shape == (count, 4, 3)
        np.testing.assert_array_equal(part[:], FRAMES[start : start + count])


def test_records_between_headers(tmp_path) -> None:
    records = Records((4, 3), np.dtype(">u2"), offset=10, before=6, after=2)
    path = tmp_path / "a"
    path.write_bytes(
        bytes(10) + b"".join(b"h" * 6 + f.astype(">u2").tobytes() + b"tt" for f in FRAMES) + b"cut"
    )
    assert records.count(path) == (11, 3)
    np.testing.assert_array_equal(records.map(path, 11), FRAMES)
    assert records.map(path, 0).shape == (0, 4, 3)
