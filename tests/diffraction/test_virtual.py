"""Virtual images against plain NumPy; centers of mass; previews."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.detectors import (
    PRESETS,
    DiskDetector,
    PairDetector,
    WedgeDetector,
    preset,
    preset_mask,
)
from napari_polmap.diffraction.virtual import (
    CENTER_OF_MASS,
    center_of_mass,
    detector_mask,
    iter_virtual,
    preview,
    virtual_image,
)
from napari_polmap.errors import CalibrationError
from napari_polmap.scan import Scan
from tests.synthetic import CALIBRATION, make_scan, two_domains

SCAN = make_scan(two_domains(), seed=80)
DATA = np.asarray(SCAN.data.compute()).astype(float)


def test_presets_have_the_disks_areas() -> None:
    area = np.pi * 9.0**2
    masks = {kind: preset_mask(kind, CALIBRATION, (32, 32)) for kind in PRESETS}
    assert masks["bright field"].sum() == pytest.approx(area, rel=0.01)
    assert masks["annular bright field"].sum() == pytest.approx(0.75 * area, rel=0.02)
    ky, kx = np.indices((32, 32))
    beyond = np.hypot(ky - 15.6, kx - 15.2) > 18
    assert masks["outer dark field"].sum() == pytest.approx(beyond.sum(), rel=0.05)
    assert masks["annular dark field"].sum() == pytest.approx(32**2 - 1.21 * area, rel=0.01)


@pytest.mark.parametrize("kind", PRESETS)
def test_image_equals_a_plain_sum(kind: str) -> None:
    mask = preset_mask(kind, CALIBRATION, (32, 32))
    np.testing.assert_allclose(virtual_image(SCAN, mask), (DATA * mask).sum((2, 3)), rtol=1e-5)


def test_center_of_mass_is_an_offset_from_the_disk() -> None:
    ky, kx = np.indices((32, 32))
    total = DATA.sum((2, 3))
    expected = np.stack(
        [(DATA * ky).sum((2, 3)) / total - 15.6, (DATA * kx).sum((2, 3)) / total - 15.2], -1
    )
    np.testing.assert_allclose(center_of_mass(SCAN), expected, atol=1e-3)


def test_several_images_grow_in_one_pass() -> None:
    masks = {kind: preset_mask(kind, CALIBRATION, (32, 32)) for kind in PRESETS}
    scan = Scan(SCAN.data.rechunk((12, 56, 32, 32)), CALIBRATION)
    steps = iter_virtual(scan, masks, center_of_mass=True)
    step = next(steps)
    assert set(step.images) == {*PRESETS, CENTER_OF_MASS}
    while step.done < step.total:
        filled = np.isfinite(step.images["bright field"]).sum()
        assert filled == step.done
        step = next(steps)
    assert np.isfinite(step.images[CENTER_OF_MASS]).all()


def test_preview_has_the_scans_shape_and_looks() -> None:
    mask = preset_mask("bright field", CALIBRATION, (32, 32))
    whole = virtual_image(SCAN, mask)
    np.testing.assert_allclose(preview(SCAN, mask, positions=10**6), whole, rtol=1e-5)
    coarse = preview(SCAN, mask, positions=100)
    assert coarse.shape == whole.shape
    assert len(np.unique(coarse)) <= 150


def test_empty_bad_and_missing_pixels() -> None:
    data = DATA.astype(np.float32)
    data[3, 4] = 0
    data[5, 6] = np.nan
    bad = np.zeros((32, 32), bool)
    bad[20, 20] = True
    data[:, :, 20, 20] = 1e9
    scan = Scan(data, CALIBRATION, bad_pixels=bad)
    image = virtual_image(scan, np.ones((32, 32), np.float32))
    assert image[3, 4] == 0
    assert np.isnan(image[5, 6])
    assert np.nanmax(image) < 1e5
    offsets = center_of_mass(scan)
    assert (offsets[3, 4] == 0).all()


def test_bad_detectors() -> None:
    with pytest.raises(CalibrationError, match="choose bright field"):
        preset_mask("dark matter", CALIBRATION, (32, 32))
    with pytest.raises(CalibrationError, match="center and radius"):
        preset_mask("bright field", CALIBRATION.updated("user", radius_px=None), (32, 32))
    with pytest.raises(CalibrationError, match="has shape"):
        virtual_image(SCAN, np.ones((4, 4), np.float32))


@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (3, 200), (1, 1)])
def test_preview_of_narrow_scans(shape: tuple[int, int]) -> None:
    data = np.random.default_rng(0).poisson(5, (*shape, 8, 8)).astype(np.uint16)
    mask = np.ones((8, 8), np.float32)
    for positions in (1, 7, 10**6):
        image = preview(Scan(data), mask, positions)
        assert image.shape == shape
        assert np.isfinite(image).all()
    np.testing.assert_allclose(image, data.sum((2, 3)))


def test_preview_in_pieces_equals_one(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = preset_mask("annular dark field", CALIBRATION, (32, 32))
    whole = preview(SCAN, mask, positions=300)
    monkeypatch.setattr("napari_polmap.diffraction.virtual._PREVIEW_BYTES", 1)
    np.testing.assert_allclose(preview(SCAN, mask, positions=300), whole, rtol=1e-6)


def wandering(shift_at) -> tuple[Scan, np.ndarray]:
    """Spots that the descan moves over the detector, by whole pixels at each position."""
    calibration = Calibration(
        center_px=(15.0, 16.0), radius_px=5.0, descan_px=(0.5, 0.0, -0.25, 1.0)
    )
    shape = (9, 7)
    data = np.zeros((*shape, 32, 32), np.uint16)
    centers = calibration.center_at(*np.indices(shape), shape)
    rows, columns = np.indices((32, 32))
    for y, x in np.ndindex(*shape):
        ky, kx = rows - centers[y, x, 0], columns - centers[y, x, 1]
        disk = np.hypot(ky, kx) <= 5
        data[y, x] = 10 * disk + shift_at(y, x) * disk * (kx > 0)
    return Scan(data, calibration), centers


def test_detectors_follow_the_descan() -> None:
    scan, centers = wandering(lambda y, x: 0)
    plain = np.asarray(scan.data.compute(), float)
    wide = DiskDetector((15.0, 16.0), 7.0)
    # All of the disk is under it everywhere, although the disk wanders by several pixels.
    np.testing.assert_allclose(virtual_image(scan, wide), plain.sum((2, 3)), rtol=1e-6)
    fixed = Scan(plain, scan.calibration.updated("user", descan_px=None))
    assert virtual_image(fixed, wide)[0, 0] < 0.95 * plain[0, 0].sum()
    small = DiskDetector((13.0, 17.0), 2.0)
    expected = np.empty(scan.scan_shape)
    for y, x in np.ndindex(*scan.scan_shape):
        moved = np.rint((centers[y, x] - (15.0, 16.0)) / 0.25) * 0.25
        expected[y, x] = (plain[y, x] * small.moved(*moved).mask((32, 32))).sum()
    np.testing.assert_allclose(virtual_image(scan, small), expected, rtol=1e-5)
    # A mask that is an array moves too.
    as_array = virtual_image(scan, small.mask((32, 32)))
    np.testing.assert_allclose(as_array, expected, rtol=0.15)


def test_descan_is_taken_off_the_center_of_mass() -> None:
    scan, centers = wandering(lambda y, x: 3 * x)
    plain = np.asarray(scan.data.compute(), float)
    rows, columns = np.indices((32, 32))
    total = plain.sum((2, 3))
    expected = np.stack(
        [(plain * rows).sum((2, 3)) / total, (plain * columns).sum((2, 3)) / total], -1
    )
    np.testing.assert_allclose(center_of_mass(scan), expected - centers, atol=1e-4)


def test_a_pair_makes_a_difference_image() -> None:
    wedge = WedgeDetector(CALIBRATION.center_px, 2.0, 8.0, 0.0, 90.0)
    pair = PairDetector(wedge)
    mirrored = wedge.mirrored(CALIBRATION.center_px)
    expected = (DATA * wedge.mask((32, 32))).sum((2, 3)) - (DATA * mirrored.mask((32, 32))).sum(
        (2, 3)
    )
    np.testing.assert_allclose(virtual_image(SCAN, pair), expected, atol=0.05)
    assert expected.min() < 0 < expected.max()


def test_weights_on_a_scan_leave_bad_pixels_out() -> None:
    bad = np.zeros((32, 32), bool)
    bad[15, 15] = True
    scan = Scan(SCAN.data, CALIBRATION, bad_pixels=bad)
    mask = detector_mask(scan, preset(PRESETS[0], CALIBRATION))
    assert mask[15, 15] == 0
    assert mask[15, 16] == 1
    np.testing.assert_array_equal(preview(scan, mask, 10**6), virtual_image(scan, mask))
