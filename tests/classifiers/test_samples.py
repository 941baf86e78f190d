"""Training patterns: drawn where the beam stands, of one domain, with the dose asked for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_polmap.classifiers import samples
from napari_polmap.classifiers.samples import UNLABELLED, Sampler, Sampling, quotas
from napari_polmap.diffraction.preprocessing import Preprocessing
from napari_polmap.scan import Scan
from tests.synthetic import CALIBRATION, CELL, make_scan

LABELS = np.zeros((16, 16), int)
PLAIN = Sampling(dose=None, center_jitter=0, radius_jitter=0, rotation_jitter_deg=0, blur=(0, 0))


def _drawn(scan: Scan) -> np.ndarray:
    return Sampler(Preprocessing(size=16), PLAIN, np.random.default_rng(0)).draw(scan, 0, 4)[0]


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


def _sampler(**values: object) -> Sampler:
    return Sampler(
        Preprocessing(size=16), dataclasses.replace(PLAIN, **values), np.random.default_rng(0)
    )


def test_samples_have_the_dose_and_the_mean_asked_for() -> None:
    scan = make_scan(np.zeros((8, 8), int), dose=1e6)
    noisy, _, electrons = _sampler(dose=(2000, 2000)).draw(scan, 0, 60)
    np.testing.assert_allclose(electrons, 2000)
    clean, *_ = _sampler(dose=(2000, 2000)).draw(scan, 0, 60, noise=False)
    np.testing.assert_allclose(noisy.mean(1), 1, rtol=1e-5)
    bright = clean.mean(0) > 1
    spread = noisy.std(0)[bright] / clean.mean(0)[bright]
    # 2,000 electrons over about 116 output pixels of the disk, each the mean of some two pixels.
    assert 0.05 < spread.mean() < 0.25
    np.testing.assert_allclose(noisy.mean(0)[bright], clean.mean(0)[bright], rtol=0.15)


def test_jitter_moves_and_turns_the_disk() -> None:
    scan = make_scan(np.zeros((8, 8), int), dose=1e7)
    axis = (np.arange(16) - 7.5) / 8 * 1.3
    drawn, *_ = _sampler(center_jitter=0.05).draw(scan, 0, 60)
    centers = (drawn.reshape(-1, 16, 16).sum(1) * axis).sum(1) / 256
    assert 0.02 < centers.std() < 0.09
    # The polarization points right; with the detector's rotation it wanders up and down.
    turned, *_ = _sampler(rotation_jitter_deg=15.0).draw(scan, 0, 60)
    square = turned.reshape(-1, 16, 16)
    angle = np.arctan2(square.sum(2) @ axis, square.sum(1) @ axis)
    assert 8 < np.rad2deg(angle.std()) < 22


def test_blur_softens_the_edge() -> None:
    scan = make_scan(np.zeros((8, 8), int), dose=1e7)
    sharp, *_ = _sampler().draw(scan, 0, 4)
    soft, *_ = _sampler(blur=(0.15, 0.15)).draw(scan, 0, 4)
    steepest = [np.abs(np.diff(p.reshape(4, 16, 16), axis=1)).max() for p in (sharp, soft)]
    assert steepest[1] < 0.85 * steepest[0]


def test_the_filter_takes_the_patterns_that_depart() -> None:
    scan = make_scan(np.zeros((16, 16), int), dose=1e6)
    every, *_ = _sampler(width_cells=(0, 0)).draw(scan, 0, 10_000)
    some, *_ = _sampler(width_cells=(0, 0), filter=True).draw(scan, 0, 10_000)
    assert len(every) == 256
    assert 0.3 < len(some) / 256 < 0.7
    axis = np.arange(16) - 7.5

    def departures(patterns: np.ndarray) -> np.ndarray:
        square = patterns.reshape(-1, 16, 16) / 256
        centers = np.stack([square.sum(2) @ axis, square.sum(1) @ axis], axis=1)
        return np.hypot(*(centers - mean).T) if mean is not None else centers

    mean = None
    mean = departures(every).mean(axis=0)
    assert departures(some).min() > 0.9 * departures(every).mean()


def test_bands_of_rows_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = make_scan(LABELS, dose=3e6)
    singles = {"width_cells": (0, 0), "filter": True}
    expected = [_sampler(**values).draw(scan, 0, 20)[0] for values in ({}, singles)]
    monkeypatch.setattr(samples, "_BAND_BYTES", 3 * 16 * 32 * 32 * 4)
    monkeypatch.setattr(samples, "_SUM_BYTES", 3 * 32 * 32 * 4)
    given = [_sampler(**values).draw(scan, 0, 20)[0] for values in ({}, singles)]
    for first, second in zip(expected, given, strict=True):
        np.testing.assert_allclose(second, first, rtol=1e-5, atol=1e-5)


def test_windows_lie_in_one_domain() -> None:
    labels = np.full((40, 40), 2)
    labels[:, 14:] = 6
    truth = labels.copy()
    truth[:, 34:] = UNLABELLED
    scan = make_scan(labels, dose=1e5)
    sampler = _sampler(width_cells=(0.7, 1.0))
    weights, directions = sampler._windows(scan, truth, 60)
    assert set(directions) == {2, 6}
    inside = [weights[k] @ (truth == d).ravel() for k, d in enumerate(directions)]
    assert min(inside) >= 0.95
    patterns, drawn, _ = sampler.draw(scan, truth, 60)
    assert len(patterns) == len(drawn) == 60
    # A domain that is narrower than any window gives none.
    narrow = np.full((40, 40), UNLABELLED)
    narrow[:, 10 : 10 + int(CELL / 4)] = 3
    assert len(sampler.draw(scan, narrow, 5)[0]) == 0


def test_quotas_are_even_over_the_directions() -> None:
    rng = np.random.default_rng(0)
    directions = ["RM"] * 30 + ["LM"] * 10
    few = quotas(directions, Sampling(), 12, rng)
    assert few.sum() == 12
    assert few[:30].sum() == few[30:].sum() == 6
    assert (quotas(directions, Sampling(per_scan=3), None, rng) == 3).all()
    every = quotas(directions, Sampling(patterns=100), None, rng)
    assert every.sum() == 100
    assert set(every) == {2, 3}
    assert quotas(directions, Sampling(patterns=10**6), None, rng).max() == 256
