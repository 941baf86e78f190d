"""Training patterns: drawn where the beam stands, without bad pixels."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.classifiers.samples import Sampler, Sampling
from napari_polmap.diffraction.preprocessing import Preprocessing
from napari_polmap.scan import Scan
from tests.synthetic import CALIBRATION, make_scan

LABELS = np.zeros((16, 16), int)
PLAIN = Sampling(per_scan=4, dose=None, center_jitter=0, radius_jitter=0)


def _drawn(scan: Scan) -> np.ndarray:
    return Sampler(Preprocessing(size=16), PLAIN, np.random.default_rng(0)).draw(scan)


@pytest.mark.parametrize(
    "values",
    [{"descan_px": (0.2, 0.0, 0.0, 0.2)}, {"ellipse": (1.15, 30.0)}],
    ids=lambda values: next(iter(values)),
)
def test_descan_and_ellipse_are_taken_out(values: dict) -> None:
    expected = _drawn(make_scan(LABELS, dose=3e6))
    scan = make_scan(LABELS, dose=3e6, calibration=CALIBRATION.updated("user", **values))
    with_it = np.abs(_drawn(scan) - expected).mean()
    without = np.abs(_drawn(scan.with_calibration(CALIBRATION)) - expected).mean()
    assert with_it < 0.025
    assert without > 2 * with_it


@pytest.mark.parametrize("descan", [None, (0.05, 0.0, 0.0, 0.05)])
def test_bad_pixels_leave_no_mark(descan: tuple[float, ...] | None) -> None:
    scan = make_scan(LABELS, dose=3e6, calibration=CALIBRATION.updated("user", descan_px=descan))
    expected = _drawn(scan)
    patterns = scan.read(slice(0, 16), slice(0, 16)).copy()
    bad = np.zeros((32, 32), bool)
    bad[14:16, 12] = bad[20, 20] = True
    patterns[..., bad] = 60000
    spoiled = _drawn(Scan(patterns, scan.calibration, bad_pixels=bad))
    assert np.abs(spoiled - expected).max() < 0.2
    assert np.abs(_drawn(Scan(patterns, scan.calibration)) - expected).max() > 0.5
