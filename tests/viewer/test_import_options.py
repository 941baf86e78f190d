"""The order of axes in two parts, and which options read the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_polmap import load_scan
from napari_polmap.viewer.import_options import (
    DETECTOR_TURNS,
    TURNS,
    AxesOrder,
    parse_shape,
    same_reading,
)

BY_NUMPY = {
    "as stored": lambda image: image,
    "transposed": lambda image: image.T,
    "upside down": np.flipud,
    "mirrored": np.fliplr,
    "turned by 180°": lambda image: np.rot90(image, 2),
    "turned by 90° to the left": np.rot90,
    "turned by 90° to the right": lambda image: np.rot90(image, -1),
    "transposed and turned by 180°": lambda image: np.rot90(image.T, 2),
}


@pytest.mark.parametrize("axes", TURNS)
def test_a_turn_does_to_the_image_what_its_name_says(axes: str, tmp_path: Path) -> None:
    stored = np.arange(1, 13, dtype=np.uint16).reshape(3, 4)
    pattern = np.ones((5, 6), np.uint16)
    np.save(tmp_path / "scan.npy", stored[..., None, None] * pattern)
    np.save(tmp_path / "first.npy", pattern[..., None, None] * stored)
    expected = BY_NUMPY[TURNS[axes]](stored)
    for name, detector_first in (("scan.npy", False), ("first.npy", True)):
        order = AxesOrder(scan=axes, detector_first=detector_first)
        scan = load_scan(tmp_path / name, axes=order.text, measure=False, sidecar=False)
        np.testing.assert_array_equal(np.asarray(scan.data)[..., 0, 0], expected)


@pytest.mark.parametrize("axes", DETECTOR_TURNS)
def test_a_turn_does_the_same_to_patterns(axes: str, tmp_path: Path) -> None:
    pattern = np.arange(1, 13, dtype=np.uint16).reshape(3, 4)
    np.save(tmp_path / "scan.npy", np.broadcast_to(pattern, (5, 6, 3, 4)))
    order = AxesOrder(detector=axes)
    scan = load_scan(tmp_path / "scan.npy", axes=order.text, measure=False, sidecar=False)
    np.testing.assert_array_equal(scan.pattern(1, 1), BY_NUMPY[DETECTOR_TURNS[axes]](pattern))


def test_orders_are_parsed_back() -> None:
    assert AxesOrder().text is None
    assert AxesOrder.parse(None) == AxesOrder()
    for scan in TURNS:
        for detector in DETECTOR_TURNS:
            order = AxesOrder(scan, detector, detector_first=True)
            assert AxesOrder.parse(order.text) == order
    assert AxesOrder.parse("kx, ky, -x, y") == AxesOrder("-x,y", "kx,ky", detector_first=True)
    assert AxesOrder.parse("y,ky,x,kx") is None


@pytest.mark.parametrize(
    ("text", "shape"),
    [("128 × 130", (128, 130)), ("7, 8", (7, 8)), ("7", None), ("", None), ("0 x 5", None)],
)
def test_shapes_are_parsed(text: str, shape: tuple[int, int] | None) -> None:
    assert parse_shape(text) == shape


def test_the_same_reading() -> None:
    assert same_reading({"index": 1, "flip": True}, {"index": (1,), "flyback": 0})
    assert same_reading({"nav_shape": [3, 4]}, {"nav_shape": (3, 4)})
    assert not same_reading({"axes": "x,y,ky,kx"}, {})
