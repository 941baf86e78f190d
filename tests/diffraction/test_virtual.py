"""Virtual images against plain NumPy; centers of mass; previews."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.diffraction.virtual import (
    CENTER_OF_MASS,
    PRESETS,
    center_of_mass,
    iter_virtual,
    preset_mask,
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
