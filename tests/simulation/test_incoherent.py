from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.incoherent import (
    TOLERANCE,
    blur_scan,
    gaussian_nodes,
    grid_weights,
    source_offsets,
)


@pytest.mark.parametrize(("phase", "most"), [(0.3, 2), (1.0, 4), (4.0, 9), (10.0, 15)])
def test_nodes_damp_every_frequency_as_the_gaussian(phase: float, most: int) -> None:
    nodes, weights = gaussian_nodes(phase)
    assert len(nodes) <= most
    assert weights.sum() == pytest.approx(1)
    for rate in np.linspace(0, phase, 77):
        mean = (weights * np.exp(1j * rate * nodes)).sum()
        assert abs(mean - np.exp(-(rate**2) / 2)) < 1.1 * TOLERANCE


def test_nothing_to_average_takes_one_node() -> None:
    nodes, weights = gaussian_nodes(0.0)
    assert (nodes.tolist(), weights.tolist()) == ([0.0], [1.0])


def test_too_many_nodes_are_refused() -> None:
    with pytest.raises(PolmapError, match="99"):
        gaussian_nodes(500.0)


def test_grid_is_fine_enough_or_not() -> None:
    # Frequencies up to 1.9/Å, as for 200 kV and 24 mrad: half the inverse step must be well above.
    weights = grid_weights(0.34, 0.2, 1.9)
    assert weights is not None
    places = 0.2 * (np.arange(len(weights)) - len(weights) // 2)
    for frequency in np.linspace(0, 1.9, 50):
        damping = weights @ np.cos(2 * np.pi * frequency * places)
        expected = np.exp(-2 * (np.pi * 0.34 * frequency) ** 2)
        assert damping == pytest.approx(expected, abs=TOLERANCE)
    assert grid_weights(0.34, 0.4, 1.9) is None
    assert grid_weights(0.0, 0.4, 1.9) == pytest.approx([1.0])


@pytest.mark.parametrize("step", [None, 0.2, 0.7])
def test_offsets_stand_for_the_source(step: float | None) -> None:
    offsets, weights = source_offsets(0.34, 1.9, step)
    assert weights.sum() == pytest.approx(1)
    assert weights @ offsets == pytest.approx([0, 0], abs=1e-9)
    for frequency in [(1.9, 0.0), (0.0, 1.2), (0.8, -1.1)]:
        phase = 2 * np.pi * offsets @ np.array(frequency)
        expected = np.exp(-2 * np.pi**2 * 0.34**2 * np.dot(frequency, frequency))
        assert weights @ np.cos(phase) == pytest.approx(expected, abs=2 * TOLERANCE)
    if step is not None:
        finer = step / offsets[offsets > 1e-9].min()
        assert finer == pytest.approx(round(finer))


def test_blurred_scan_of_a_wave() -> None:
    step, frequency, sigma = 0.2, 1.3, 0.3
    places = step * np.arange(40)
    wave = 1 + 0.5 * np.cos(2 * np.pi * frequency * places)
    scan = (wave[:, None] * wave)[..., None, None] * np.ones((2, 2))
    damped = 1 + 0.5 * np.cos(2 * np.pi * frequency * places) * np.exp(
        -2 * (np.pi * frequency * sigma) ** 2
    )
    blurred = blur_scan(scan, step, sigma, 1.9)
    inside = np.s_[6:-6, 6:-6]
    expected = (damped[:, None] * damped)[..., None, None] * np.ones((2, 2))
    assert blurred[inside] == pytest.approx(expected[inside], abs=0.01)
    assert np.abs(blurred - scan)[inside].max() > 0.3
    flat = np.ones((5, 6, 2, 2))
    assert blur_scan(flat, step, sigma, 1.9) == pytest.approx(flat)


def test_coarse_scan_is_not_blurred() -> None:
    with pytest.raises(PolmapError, match="too coarse"):
        blur_scan(np.ones((4, 4, 2, 2)), 0.5, 0.2, 1.9)
