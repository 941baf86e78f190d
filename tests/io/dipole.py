"""A scan that looks different however its axes are swapped or reversed."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.scan import Scan

SHAPE = (3, 5, 8, 7)


def make_dipole(
    shape: tuple[int, int, int, int] = SHAPE, dtype: npt.DTypeLike = "u2"
) -> npt.NDArray[Any]:
    """A synthetic dipole ``(y, x, ky, kx)``, asymmetric in the scan and in the detector.

    A bright pixel in the upper right of the detector, at (ky // 4, kx - 2), shows the position:
    150 + 1000 y + 10 x (in dtypes of one byte 150 + 20 y + 4 x); the others show their place on the
    detector, ky * width + kx modulo 100.
    """
    rows, columns, height, width = shape
    data = np.empty(shape, dtype)
    data[...] = np.arange(height * width).reshape(height, width) % 100
    down, right = (20, 4) if np.dtype(dtype).itemsize == 1 else (1000, 10)
    y, x = np.indices((rows, columns))
    data[:, :, height // 4, width - 2] = 150 + down * y + right * x
    return data


def check_dipole(scan: Scan, shape: tuple[int, int, int, int] = SHAPE) -> None:
    """Fail, and say what is wrong, unless a scan is `make_dipole` of this shape."""
    found = scan.data.compute()
    expected = make_dipole(shape, scan.dtype.newbyteorder("="))
    if found.shape == shape and np.array_equal(found, expected):
        y, x, ky, kx = (n - 1 for n in shape)
        np.testing.assert_array_equal(scan.pattern(y, 0), expected[y, 0])
        np.testing.assert_array_equal(scan.pattern(0, x)[ky, kx], expected[0, x, ky, kx])
        return
    for order in permutations(range(4)):
        if tuple(shape[i] for i in order) != found.shape:
            continue
        for steps in product((1, -1), repeat=4):
            turned = expected.transpose(order)[tuple(slice(None, None, s) for s in steps)]
            if np.array_equal(found, turned):
                names = [
                    ("-" if s < 0 else "") + ("y", "x", "ky", "kx")[i]
                    for i, s in zip(order, steps, strict=True)
                ]
                raise AssertionError(f"the axes are {', '.join(names)}")
    raise AssertionError(f"shape {found.shape}, dtype {found.dtype}: other data")
