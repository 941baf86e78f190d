from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.storage import INCIDENT, pack, unpack


def test_every_pixel_keeps_its_value() -> None:
    rng = np.random.default_rng(0)
    patterns = (10 ** rng.uniform(-8, -2, (20, 31, 31))).astype(np.float32)
    array, scale = pack(patterns)
    assert array.dtype == np.float16
    assert scale == pytest.approx(1 / INCIDENT)
    back = unpack(array, scale)
    assert np.abs(back / patterns - 1).max() < 5e-4
    assert np.abs(back.astype(float) - patterns).sum() < 2.5e-4 * patterns.sum()
    assert back.sum(dtype=float) == pytest.approx(patterns.sum(dtype=float), rel=1e-5)


def test_other_units() -> None:
    patterns = np.full((2, 3, 3), 7.0)
    array, scale = pack(patterns, incident=100.0)
    assert array == pytest.approx(700.0)
    assert unpack(array, scale) == pytest.approx(patterns, rel=5e-4)


@pytest.mark.parametrize(
    ("value", "incident", "message"),
    [
        (-1.0, 1.0, "not negative"),
        (np.nan, 1.0, "finite"),
        (5.0, 1.0, "incident"),
        (1.0, 0.0, "incident"),
    ],
)
def test_what_cannot_be_stored_is_refused(value: float, incident: float, message: str) -> None:
    with pytest.raises(PolmapError, match=message):
        pack(np.full((2, 2), value), incident)
