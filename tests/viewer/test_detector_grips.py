"""Where detectors are taken, and what a drag makes of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.detectors import (
    AnnulusDetector,
    DiskDetector,
    PolygonDetector,
    RectangleDetector,
    WedgeDetector,
)
from napari_polmap.viewer.detector_grips import MOVE, dragged, grip_at, grown

PLAIN = Calibration()
C = (20.0, 30.0)
DISK = DiskDetector(C, 8.0)
RING = AnnulusDetector(C, 5.0, 12.0)
DARK = AnnulusDetector(C, 9.0, math.inf)
WEDGE = WedgeDetector(C, 4.0, 12.0, 90.0, 60.0)
BOX = RectangleDetector(C, 8.0, 12.0)
DRAWN = PolygonDetector((((10, 10), (10, 20), (20, 20), (20, 10)),))


@pytest.mark.parametrize(
    ("detector", "point", "grip"),
    [
        (DISK, (20, 30), MOVE),
        (DISK, (20, 38.5), "outer"),
        (DISK, (20, 40), None),
        (RING, (20, 34.5), "inner"),
        (RING, (20, 38), MOVE),
        (RING, (8.2, 30), "outer"),
        (RING, (20, 30), None),
        (DARK, (20, 39.5), "inner"),
        (DARK, (20, 55), None),  # there the pattern is panned
        (WEDGE, (12, 30), MOVE),  # 90° is up
        (WEDGE, (28, 30), None),
        (WEDGE, (8, 30), "outer"),
        (
            WEDGE,
            (20 - 8 * math.sin(math.radians(61)), 30 + 8 * math.cos(math.radians(61))),
            "first",
        ),
        (
            WEDGE,
            (20 - 8 * math.sin(math.radians(119)), 30 + 8 * math.cos(math.radians(119))),
            "last",
        ),
        (BOX, (20, 30), MOVE),
        (BOX, (16.2, 30), "-y"),
        (BOX, (20, 36.4), "+x"),
        (BOX, (24.3, 24.2), "+y-x"),
        (BOX, (27, 30), None),
        (DRAWN, (15, 15), MOVE),
        (DRAWN, (10.4, 19.8), "0:1"),
        (DRAWN, (25, 25), None),
    ],
)
def test_what_is_under_the_mouse(detector, point, grip) -> None:
    assert grip_at(detector, point, 1.0, PLAIN) == grip


def test_small_detectors_can_still_be_moved() -> None:
    assert grip_at(DiskDetector(C, 2.0), C, 8.0, PLAIN) == MOVE
    assert grip_at(RectangleDetector(C, 2.0, 2.0), C, 8.0, PLAIN) == MOVE


def test_drags() -> None:
    assert dragged(DISK, MOVE, (20, 30), (22, 27), PLAIN) == DiskDetector((22, 27), 8.0)
    assert dragged(DISK, "outer", (20, 38), (20, 41), PLAIN).radius == pytest.approx(11)
    assert dragged(DISK, "outer", (20, 38), C, PLAIN).radius == 0.5
    assert dragged(RING, "inner", (20, 35), (20, 37), PLAIN).inner == pytest.approx(7)
    assert dragged(RING, "inner", (20, 35), (20, 60), PLAIN).inner == 11.5
    assert dragged(RING, "outer", (20, 42), (20, 31), PLAIN).outer == 5.5
    assert dragged(DARK, "inner", (20, 39), (20, 36), PLAIN).inner == pytest.approx(6)
    wider = dragged(WEDGE, "last", (0, 0), (20, 20), PLAIN)  # to 180°
    assert wider.sides_deg == pytest.approx((60, 180))
    turned = dragged(WEDGE, "first", (0, 0), (20, 40), PLAIN)  # to 0°
    assert turned.sides_deg == pytest.approx((0, 120))
    assert dragged(BOX, "-y", (16, 30), (13, 99), PLAIN) == RectangleDetector((18.5, 30), 11, 12)
    corner = dragged(BOX, "+y+x", (24, 36), (26, 37), PLAIN)
    assert corner == RectangleDetector((21, 30.5), 10, 13)
    assert dragged(BOX, "+x", (20, 36), (20, 0), PLAIN).width == 1.0
    assert dragged(DRAWN, "0:2", (20, 20), (25, 26), PLAIN).parts[0][2] == (25, 26)


def test_drags_on_a_distorted_pattern_end_under_the_mouse() -> None:
    calibration = Calibration(ellipse=(1.4, 20.0))
    end = (26.0, 37.0)
    ring = dragged(RING, "outer", (0, 0), end, calibration)
    nearest = np.hypot(*(ring.outlines(calibration)[1] - end).T).min()
    assert nearest < 0.5
    assert grip_at(ring, end, 1.0, calibration) == "outer"


def test_growing_and_shrinking() -> None:
    assert grown(DISK, 1).radius == 9
    assert grown(DISK, -20).radius == 0.5
    assert grown(RING, 2).outer == 14
    assert grown(DARK, -1).inner == 8
    assert grown(WEDGE, -20).outer == 4.5
    assert grown(BOX, 1) == RectangleDetector(C, 10, 14)
    larger = np.array(grown(DRAWN, math.sqrt(2)).parts[0])
    np.testing.assert_allclose(larger, [(9, 9), (9, 21), (21, 21), (21, 9)])
