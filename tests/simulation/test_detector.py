from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.detector import Detector
from napari_polmap.simulation.multislice import Patterns


def disk(half: int, radius: float) -> np.ndarray:
    rows, columns = np.indices((2 * half + 1, 2 * half + 1)) - half
    inside = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1)
    return (inside / inside.sum()).astype(np.float32)


def test_detector_keeps_intensity_and_puts_the_beam_on_its_center() -> None:
    patterns = Patterns(disk(40, 20.0)[None, None], (1.2, 1.2), 24.0, (10.0,))
    detector = Detector((72, 76), 1.0, (34.3, 38.1))
    recorded = detector.record(patterns)
    assert recorded.shape == (1, 1, 72, 76)
    image = recorded[0, 0].astype(float)
    assert image.sum() == pytest.approx(1.0, rel=2e-3)
    rows, columns = np.indices(image.shape)
    assert (image * rows).sum() / image.sum() == pytest.approx(34.3, abs=0.02)
    assert (image * columns).sum() / image.sum() == pytest.approx(38.1, abs=0.02)


def test_detector_beyond_the_simulation_is_refused() -> None:
    patterns = Patterns(disk(20, 10.0)[None, None], (1.0, 1.0), 10.0, (10.0,))
    with pytest.raises(PolmapError, match="half width"):
        Detector((64, 64), 1.0, (31.5, 31.5)).record(patterns)
