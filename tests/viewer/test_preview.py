from __future__ import annotations

import numpy as np

from napari_polmap.scan import Scan
from napari_polmap.viewer.preview import MOST_BYTES, first_image, preview_positions


class Untouched:
    """An array of gigabytes that must not be read."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.dtype, self.ndim = shape, np.dtype(np.uint16), len(shape)
        self.read_bytes = 0

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        part = np.broadcast_to(np.uint16(1), self.shape)[key]
        self.read_bytes += part.size * 2
        return np.array(part)


def test_a_small_scan_is_shown_as_it_is() -> None:
    data = np.random.default_rng(0).poisson(3, (5, 7, 4, 4)).astype(np.uint8)
    np.testing.assert_array_equal(first_image(Scan(data)), data.sum(axis=(2, 3)))


def test_the_disk_is_taken_where_it_is_known() -> None:
    data = np.random.default_rng(0).poisson(3, (5, 7, 16, 16)).astype(np.uint8)
    image = first_image(Scan(data, center_px=(8, 8), radius_px=3))
    assert (image < data.sum(axis=(2, 3))).all()


def test_little_is_read_of_a_large_scan() -> None:
    data = Untouched((200, 300, 256, 256))
    scan = Scan(data)
    image = first_image(scan)
    assert image.shape == (200, 300)
    assert np.isfinite(image).all()
    assert 0 < data.read_bytes <= 2 * MOST_BYTES


def test_large_compressed_chunks_are_left_for_the_background() -> None:
    data = Untouched((200, 300, 256, 256))
    scan = Scan(data, storage=(32, 32))
    assert preview_positions(scan) == 0
    assert np.isnan(first_image(scan)).all()
    assert data.read_bytes == 0
