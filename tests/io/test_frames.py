"""Frames as scans: shapes and lazy views, against plain NumPy."""

from __future__ import annotations

import itertools

import dask.array as da
import numpy as np
import pytest

from napari_polmap.errors import ScanShapeError
from napari_polmap.io.frames import (
    Flattened,
    FrameStack,
    ScanShape,
    check_scan_shape,
    forward_slices,
    left_out,
    scan_shapes,
)

FRAMES = np.arange(5 * 7 * 4 * 3, dtype=np.uint16).reshape(35, 4, 3)


def test_likely_shapes_near_square_and_round_first() -> None:
    assert scan_shapes(16384)[0] == (128, 128, 0)
    assert set(scan_shapes(16384)[1:3]) == {(64, 256, 0), (256, 64, 0)}
    assert scan_shapes(12288)[0] == (96, 128, 0)
    assert scan_shapes(13) == [(1, 13, 0), (13, 1, 0)]
    assert ScanShape(1, 12) not in scan_shapes(12)
    assert all(shape.flyback == 0 for shape in scan_shapes(30))
    assert len(scan_shapes(720720)) <= 8
    assert scan_shapes(1) == [(1, 1, 0)]


@pytest.mark.parametrize(
    ("frames", "first"),
    [
        (128 * 129, (128, 129, 1)),
        (256 * 257, (256, 257, 1)),
        (512 * 514, (512, 514, 2)),
        (128 * 128, (128, 128, 0)),
        (128 * 128 + 3, (128, 128, 0)),  # three left over
    ],
)
def test_flyback_columns_and_frames_left_over(frames: int, first: tuple[int, int, int]) -> None:
    assert scan_shapes(frames)[0] == first


def test_hints_that_fit_come_first() -> None:
    assert scan_shapes(16384, [(32, 512), (100, 100)])[:2] == [(32, 512, 0), (128, 128, 0)]
    assert scan_shapes(16512, [(129, 128, 0)])[0] == (129, 128, 0)


@pytest.mark.parametrize("frames", range(1, 400))
def test_every_shape_fits(frames: int) -> None:
    shapes = scan_shapes(frames)
    assert shapes
    assert len(set(shapes)) == len(shapes)
    for rows, columns, flyback in shapes:
        assert 0 <= frames - rows * columns < columns
        assert 0 <= flyback < columns


def test_missing_and_wrong_shapes_list_candidates() -> None:
    with pytest.raises(ScanShapeError, match=r"16384 frames.*\(128, 128\)") as caught:
        check_scan_shape("x.npy", 16384, None)
    assert caught.value.candidates[0] == (128, 128)
    with pytest.raises(ScanShapeError, match=r"12 frames.*5 x 3 = 15.*\(3, 4\)"):
        check_scan_shape("x.npy", 12, (5, 3))
    assert caught.value.frames == 16384
    assert check_scan_shape("x.npy", 12, (2, 6)) == (2, 6)


def test_less_than_a_row_is_left_out_and_told() -> None:
    assert check_scan_shape("x.npy", 16387, (128, 128)) == (128, 128)
    assert left_out("x.npy", 16387, (128, 128)) == [
        "The last 3 of 16387 frames are left out: x.npy is opened as 128 rows of 128."
    ]
    assert left_out("x.npy", 16384, (128, 128)) == []
    for frames in (16383, 128 * 129):
        with pytest.raises(ScanShapeError, match="do not fit"):
            check_scan_shape("x.npy", frames, (128, 128))


KEYS = [
    np.s_[:],
    np.s_[2],
    np.s_[-1, -2],
    np.s_[1:4, 2:6],
    np.s_[::2, ::3],
    np.s_[1:5:2, 6:0:-2],
    np.s_[::-1],
    np.s_[3:3],
    np.s_[..., 1:3, 0],
    np.s_[4, 5, 3, 2],
    np.s_[0:2, ..., ::-1],
]


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("lazy", [False, True])
def test_views_index_like_arrays(key, lazy: bool) -> None:
    source = da.from_array(FRAMES, chunks=(4, 4, 3)) if lazy else FRAMES
    whole = FRAMES.reshape(5, 7, 4, 3)
    np.testing.assert_array_equal(FrameStack(source, (5, 7))[key], whole[key])
    grid = da.from_array(whole, chunks=(2, 3, 4, 3)) if lazy else whole
    np.testing.assert_array_equal(
        FrameStack(Flattened(grid), (7, 5))[:], FRAMES.reshape(7, 5, 4, 3)
    )


def test_flattened_slices() -> None:
    grid = FRAMES.reshape(5, 7, 4, 3)
    flat = Flattened(grid)
    assert flat.shape == FRAMES.shape
    for start, stop, step in itertools.product((0, 3, 8, 20), (9, 15, 35), (1, 2, 3, 7, 11)):
        np.testing.assert_array_equal(flat[start:stop:step], FRAMES[start:stop:step])
    assert flat[5:5].shape == (0, 4, 3)
    np.testing.assert_array_equal(flat[12, 1:3], FRAMES[12, 1:3])


def test_forward_slices_refuse_positions_outside() -> None:
    with pytest.raises(IndexError):
        forward_slices((5,), (5, 7))
