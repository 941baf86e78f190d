"""The lattice's period from virtual images."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.diffraction.lattice import lattice_period


def _image(period: float, angle_deg: float, shape: tuple[int, int], noise: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    y, x = np.indices(shape).astype(float)
    angle = np.deg2rad(angle_deg)
    u = (x * np.cos(angle) - y * np.sin(angle)) / period
    v = (x * np.sin(angle) + y * np.cos(angle)) / period
    atoms = (
        np.cos(2 * np.pi * u)
        + np.cos(2 * np.pi * v)
        + 1.5 * np.cos(2 * np.pi * (u + v)) * np.cos(2 * np.pi * (u - v))
    )
    return (atoms + noise * rng.standard_normal(shape))[None]


@pytest.mark.parametrize("period", [4.2, 7.9, 11.3])
@pytest.mark.parametrize("angle", [0.0, 12.0, 40.0])
def test_period_within_a_percent(period: float, angle: float) -> None:
    assert lattice_period(_image(period, angle, (64, 60), 0.5)) == pytest.approx(period, rel=0.01)


@pytest.mark.parametrize("shape", [(64, 64), (40, 90)])
def test_no_lattice(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    y, x = np.indices(shape)
    assert lattice_period(rng.standard_normal((1, *shape))) is None
    assert lattice_period(np.cos(2 * np.pi * x / 7.0)[None]) is None
    assert lattice_period(np.hypot(y - 20, x - 30)[None]) is None
    assert lattice_period(np.zeros((2, *shape))) is None


def test_too_few_periods() -> None:
    assert lattice_period(_image(16.0, 0, (32, 32), 0.0)) is None
    assert lattice_period(np.ones((1, 4, 4))) is None
