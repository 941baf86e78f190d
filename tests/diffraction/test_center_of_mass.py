"""The center of mass in the scan's frame, as colors and integrated, against what is known."""

from __future__ import annotations

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.center_of_mass import (
    about_mean,
    color_wheel,
    in_scan_frame,
    integrated,
    magnitude,
)
from napari_polmap.diffraction.virtual import center_of_mass
from napari_polmap.directions import angle_color
from napari_polmap.scan import Scan


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("rotation", [0.0, 90.0, 37.0])
@pytest.mark.parametrize("ellipse", [None, (1.2, 30.0)])
def test_a_push_along_the_scan_comes_back_along_the_scan(
    flip: bool, rotation: float, ellipse: tuple[float, float] | None
) -> None:
    calibration = Calibration(
        flip=flip, rotation_deg=rotation, ellipse=ellipse, crystal_angle_deg=20.0
    )
    # Right, and up: towards smaller rows.
    pushes = np.array([(0.0, 3.0), (-2.0, 0.0)])
    on_detector = pushes @ calibration.to_detector(crystal_frame=False).T
    vectors = in_scan_frame(on_detector, calibration)
    np.testing.assert_allclose(vectors, [(3, 0), (0, 2)], atol=1e-6)


def test_flip_comes_before_the_rotation() -> None:
    # Spot below the center, in a pattern whose ky is reversed: it is above; then 90° to the left.
    data = np.zeros((1, 1, 9, 9), np.uint16)
    data[0, 0, 7, 4] = 5
    scan = Scan(data, center_px=(4, 4), flip=True, rotation_deg=90.0)
    vectors = in_scan_frame(center_of_mass(scan), scan.calibration)
    np.testing.assert_allclose(vectors[0, 0], (-3, 0), atol=1e-6)
    unflipped = Scan(data, center_px=(4, 4), rotation_deg=90.0)
    vectors = in_scan_frame(center_of_mass(unflipped), unflipped.calibration)
    np.testing.assert_allclose(vectors[0, 0], (3, 0), atol=1e-6)


def test_colors_are_those_of_the_directions() -> None:
    angles = np.array([[0.0, 45.0, 90.0, 200.0]])
    vectors = np.stack([np.cos(np.deg2rad(angles)), np.sin(np.deg2rad(angles))], -1)
    colors = color_wheel(2 * vectors.astype(np.float32), longest=2.0)
    for column, angle in enumerate(angles[0]):
        expected = np.rint(255 * np.array(angle_color(angle)))
        np.testing.assert_allclose(colors[0, column], expected, atol=1)
    half = color_wheel(vectors.astype(np.float32), longest=2.0)
    np.testing.assert_allclose(half, colors / 2, atol=1)
    vectors[0, 1] = np.nan
    assert (color_wheel(vectors.astype(np.float32))[0, 1] == 0).all()
    assert (color_wheel(np.zeros((2, 2, 2), np.float32)) == 0).all()


def gradient_of_waves(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A potential and its gradient as (x, y) vectors, y up."""
    y, x = np.indices(shape) + 0.5
    p, q = 3 * np.pi / shape[0], 2 * np.pi / shape[1]
    potential = 5 * np.cos(p * y) * np.cos(q * x) + 2 * np.cos(2 * q * x)
    down = -5 * p * np.sin(p * y) * np.cos(q * x)
    across = -5 * q * np.cos(p * y) * np.sin(q * x) - 4 * q * np.sin(2 * q * x)
    return potential - potential.mean(), np.stack([across, -down], -1)


@pytest.mark.parametrize("shape", [(40, 56), (41, 33), (1, 30), (30, 1)])
def test_a_known_potential_comes_back(shape: tuple[int, int]) -> None:
    potential, vectors = gradient_of_waves(shape)
    if 1 in shape:
        axis = 0 if shape[1] == 1 else 1
        vectors[..., 0 if axis == 0 else 1] = 0
        potential = potential - potential.mean()
    image = integrated(vectors)
    np.testing.assert_allclose(image, potential, atol=1e-4)
    np.testing.assert_allclose(integrated(vectors, step=0.05), 0.05 * image, rtol=1e-5)


def test_edges_need_not_match() -> None:
    y, x = np.indices((48, 64), dtype=float)
    ramp = 0.3 * x - 0.2 * y
    image = integrated(np.stack([np.full(y.shape, 0.3), np.full(y.shape, 0.2)], -1))
    error = image - (ramp - ramp.mean())
    assert np.abs(error[4:-4, 4:-4]).max() < 0.2  # of 19
    bump = np.exp(-((x - 20) ** 2 + (y - 30) ** 2) / 50)
    down, across = np.gradient(bump)
    image = integrated(np.stack([across, -down], -1))
    np.testing.assert_allclose(image, bump - bump.mean(), atol=0.03)


def test_high_pass_keeps_the_lattice_and_takes_the_ramp() -> None:
    x = np.indices((64, 64))[1] + 0.5
    period = 8.0
    slope = -np.sin(2 * np.pi * x / period) * 2 * np.pi / period
    vectors = np.stack([slope + 0.2, np.zeros_like(x)], -1)
    plain, filtered = integrated(vectors), integrated(vectors, high_pass=16.0)
    wave = np.cos(2 * np.pi * x / period)
    assert np.ptp(plain) > 10
    # What is half as long as the cut is kept to 4/5.
    shares = [np.vdot(image[:, 16:48], wave[:, 16:48]) / 1024 for image in (plain, filtered)]
    assert shares[0] == pytest.approx(1.0, abs=0.02)
    assert shares[1] == pytest.approx(0.8, abs=0.02)
    assert np.ptp(filtered) < 3


def test_missing_vectors_spoil_nothing_else() -> None:
    vectors = np.zeros((8, 8, 2), np.float32)
    vectors[..., 0] = 2.0
    vectors[3, 3] = np.nan
    assert np.isfinite(integrated(vectors)).all()
    centered = about_mean(vectors)
    assert np.isnan(centered[3, 3]).all()
    np.testing.assert_allclose(centered[0], 0, atol=1e-6)
    np.testing.assert_allclose(magnitude(vectors)[0], 2.0)
