"""The reduced copy against exact virtual images."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.detectors import DiskDetector
from napari_polmap.diffraction.reduced import MOST_BYTES, Reduction, iter_reduce, reduction
from napari_polmap.diffraction.virtual import virtual_image
from napari_polmap.scan import Scan
from napari_polmap.steps import finish
from tests.synthetic import make_scan, two_domains

SCAN = make_scan(two_domains((20, 26)), seed=3)


def test_nothing_is_lost_where_it_fits() -> None:
    reduced = finish(iter_reduce(SCAN))
    assert reduced.how == Reduction(1, 1)
    for center in ((15.6, 15.2), (15.6, 16.2), (14.0, 17.0), (3.0, 3.0), (15.6, 15.2)):
        mask = DiskDetector(center, 6.0).mask((32, 32))
        np.testing.assert_allclose(reduced.image(mask), virtual_image(SCAN, mask), rtol=1e-4)
    assert (reduced.image(np.zeros((32, 32), np.float32)) == 0).all()


def test_sides_that_the_binning_does_not_divide() -> None:
    scan = Scan(SCAN.data[:, :, :31, :29])
    assert Reduction(4, 1).binned_shape((31, 29)) == (8, 8)
    reduced = finish(iter_reduce(scan, 20 * 26 * 36 * 4))
    assert reduced.nbytes <= 20 * 26 * 36 * 4
    whole = np.ones((31, 29), np.float32)
    first, stride = reduced.how.stride // 2, reduced.how.stride
    np.testing.assert_allclose(
        reduced.image(whole)[first::stride, first::stride],
        virtual_image(scan, whole)[first::stride, first::stride],
        rtol=1e-5,
    )


@pytest.mark.parametrize("binning", [2, 3, 5])
def test_binning_sums_squares(binning: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_polmap.diffraction import reduced as module

    monkeypatch.setattr(module, "reduction", lambda shape, most: Reduction(binning, 1))
    reduced = finish(iter_reduce(SCAN))
    whole = np.ones((32, 32), np.float32)
    exact = np.asarray(SCAN.data.compute(), float)
    np.testing.assert_allclose(reduced.image(whole), exact.sum((2, 3)), rtol=1e-6)
    rows, columns = np.indices((32, 32)) // binning
    even = ((rows + columns) % 3 == 0).astype(np.float32)
    np.testing.assert_allclose(reduced.image(even), (exact * even).sum((2, 3)), rtol=1e-5)
    smooth = DiskDetector((13.0, 18.0), 5.0).mask((32, 32))
    image, wanted = reduced.image(smooth), (exact * smooth).sum((2, 3))
    assert np.corrcoef(image.ravel(), wanted.ravel())[0, 1] > 0.9
    assert image.mean() == pytest.approx(wanted.mean(), rel=0.1)


def test_too_many_positions_are_taken_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_polmap.diffraction import reduced as module

    monkeypatch.setattr(module, "reduction", lambda shape, most: Reduction(1, 3))
    scan = Scan(SCAN.data.rechunk((7, 9, 32, 32)), SCAN.calibration)
    reduced = finish(iter_reduce(scan))
    mask = DiskDetector((15.6, 15.2), 6.0).mask((32, 32))
    exact, image = virtual_image(SCAN, mask), reduced.image(mask)
    assert image.shape == exact.shape
    np.testing.assert_allclose(image[1::3, 1::3], exact[1::3, 1::3], rtol=1e-4)
    np.testing.assert_allclose(image[0:3, 3:6], exact[1, 4], rtol=1e-4)


@pytest.mark.parametrize(
    "shape",
    [
        (256, 256, 128, 128),
        (256, 256, 256, 256),
        (512, 512, 256, 256),
        (2048, 2048, 512, 512),
        (10, 12, 2000, 100),
        (300, 1, 8, 8),
        (3, 3, 1, 1),
    ],
)
def test_reductions_fit_into_memory(shape: tuple[int, int, int, int]) -> None:
    how = reduction(shape)
    binned = how.binned_shape(shape[2:])
    positions = [len(how.positions(n)) for n in shape[:2]]
    assert 4 * np.prod(binned) * np.prod(positions) <= MOST_BYTES
    assert min(32, max(shape[2:])) <= max(binned) <= 48
    if shape == (256, 256, 128, 128):
        assert how == Reduction(3, 1)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_beam_rests_and_bad_pixels_count_nothing(
    stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_polmap.diffraction import reduced as module

    monkeypatch.setattr(module, "reduction", lambda shape, most: Reduction(1, stride))
    calibration = Calibration(center_px=(15.0, 16.0), descan_px=(1.0, 0.0, -1.0, 1.0))
    shape = (7, 5)
    data = np.zeros((*shape, 32, 32), np.uint16)
    centers = calibration.center_at(*np.indices(shape), shape)
    for y, x in np.ndindex(*shape):
        ky, kx = np.rint(centers[y, x]).astype(int)
        data[y, x, ky, kx] = 100 + 10 * y + x
    data[:, :, 30, 30] = 60000
    bad = np.zeros((32, 32), bool)
    bad[30, 30] = True
    scan = Scan(data, calibration, bad_pixels=bad)
    reduced = finish(iter_reduce(scan))
    image = reduced.image(DiskDetector((15.0, 16.0), 1.2).mask((32, 32)))
    y, x = np.indices(shape)
    first = stride // 2
    np.testing.assert_allclose(
        image[first::stride, first::stride], (100 + 10 * y + x)[first::stride, first::stride]
    )
    assert reduced.image(np.ones((32, 32), np.float32)).max() < 200


def test_progress_reaches_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_polmap.diffraction import virtual

    monkeypatch.setattr(virtual, "CHUNK_BYTES", 5 * 26 * 32 * 32 * 4)
    scan = Scan(SCAN.data.compute())
    steps = list(iter_reduce(scan))
    assert [step.done for step in steps] == [130, 260, 390, 520]
    assert {step.total for step in steps} == {520}
