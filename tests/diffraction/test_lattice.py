"""The lattice's period and orientation, on images of known truth and on the demo scan."""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_polmap.diffraction.lattice import find_lattice, folded_angle, measure_lattice
from napari_polmap.diffraction.measure import measured
from napari_polmap.io.scans import load_scan
from napari_polmap.scan import Scan
from tests.synthetic import CALIBRATION, make_patterns, two_domains


def lattice_images(
    period: float,
    angle_deg: float,
    shape: tuple[int, int],
    noise: float = 0.5,
    seed: int = 0,
    basic: float = 1.0,
    stretch: float = 1.0,
) -> np.ndarray:
    """Columns on the corners and, differing from them by `basic`, in the middles of squares."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((shape[0] + 2, shape[1] + 2)).astype(float)
    angle = np.deg2rad(angle_deg)
    u = (x * np.cos(angle) - y * np.sin(angle)) / period
    v = (x * np.sin(angle) + y * np.cos(angle)) / (period * stretch)
    image = basic * (np.cos(2 * np.pi * u) + np.cos(2 * np.pi * v)) + 1.5 * np.cos(
        2 * np.pi * (u + v)
    ) * np.cos(2 * np.pi * (u - v))
    gradients = np.gradient(image)
    # Without the edges, where differences are of another kind.
    images = np.stack([image, -image, *gradients])[:, 1:-1, 1:-1]
    images /= images.std(axis=(1, 2), keepdims=True)
    return images + noise * rng.standard_normal(images.shape)


def demo() -> Scan:
    with as_file(files("napari_polmap") / "data" / "demo_knn.hspy") as path:
        return load_scan(path, measure=False, center_px=(44.8, 42.7), radius_px=24.08)


@pytest.mark.parametrize("period", [3.0, 3.4, 4.2, 7.9, 11.3, 20.0])
@pytest.mark.parametrize("angle", [0.0, 12.0, 45.0, -30.0])
def test_period_and_angle(period: float, angle: float) -> None:
    lattice = find_lattice(lattice_images(period, angle, (64, 60)), step_nm=0.05)
    assert lattice is not None
    assert lattice.period_positions == pytest.approx(period, rel=2e-3)
    assert lattice.period_nm == pytest.approx(0.05 * period, rel=2e-3)
    assert abs(folded_angle(lattice.crystal_angle_deg - angle)) < 0.1
    assert -45 < lattice.crystal_angle_deg <= 45
    assert lattice.significant(angle) == (angle != 0)


@pytest.mark.parametrize("period", [4.0, 6.0])
def test_whole_positions_per_cell_hold_nothing_fast(period: float) -> None:
    """Harmonics at the Nyquist frequency have no phase to read a period from."""
    for seed, angle in enumerate((0.4, 0.8, -1.0)):
        images = lattice_images(1.003 * period, angle, (40, 44), noise=0.3, seed=seed)
        lattice = find_lattice(images)
        assert lattice is not None
        assert lattice.period_positions == pytest.approx(1.003 * period, rel=1e-3)
        assert lattice.crystal_angle_deg == pytest.approx(angle, abs=0.1)


def test_three_positions_per_cell_are_told_as_less_exact() -> None:
    """There the second harmonics fold onto the first peaks."""
    for seed, angle in enumerate((0.0, 0.4, -1.0)):
        lattice = find_lattice(lattice_images(3.02, angle, (40, 44), noise=0.3, seed=seed))
        assert lattice is not None
        assert abs(lattice.crystal_angle_deg - angle) < 2 * lattice.angle_error_deg
        assert abs(lattice.period_positions - 3.02) < 2 * lattice.period_error
        assert not lattice.significant(lattice.crystal_angle_deg)


def test_errors_are_those_that_occur() -> None:
    rng = np.random.default_rng(3)
    periods, angles = [], []
    for seed in range(40):
        period, angle = rng.uniform(4, 8), rng.uniform(-45, 45)
        lattice = find_lattice(lattice_images(period, angle, (48, 40), noise=1.5, seed=seed))
        assert lattice is not None
        periods.append((lattice.period_positions - period) / lattice.period_error)
        angles.append(folded_angle(lattice.crystal_angle_deg - angle) / lattice.angle_error_deg)
    # In units of their own error estimates.
    assert 0.4 < np.sqrt(np.mean(np.square(periods))) < 1.5
    assert 0.4 < np.sqrt(np.mean(np.square(angles))) < 1.5


def test_columns_that_look_nearly_alike() -> None:
    """The cell is the larger one as long as its own peaks are seen; the other is told."""
    lattice = find_lattice(lattice_images(8.0, 10.0, (64, 64), basic=0.2))
    assert lattice is not None
    assert lattice.period_positions == pytest.approx(8.0, rel=2e-3)
    alike = find_lattice(lattice_images(8.0, 10.0, (64, 64), basic=0.0))
    assert alike is not None
    (larger, angle), (smaller, _) = alike.alternatives
    assert alike.period_positions == pytest.approx(8 / np.sqrt(2) / np.sqrt(2), rel=2e-3) or (
        larger == pytest.approx(8.0, rel=2e-3)
    )
    assert larger == pytest.approx(2 * smaller)
    assert abs(folded_angle(angle - alike.crystal_angle_deg)) == pytest.approx(45, abs=1e-6)


@pytest.mark.parametrize("shape", [(12, 14), (48, 48), (40, 90)])
def test_no_lattice(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    y, x = np.indices(shape)
    for _ in range(20):
        assert find_lattice(rng.standard_normal((4, *shape))) is None
        stripes = np.cos(2 * np.pi * x / 7.0 + y / rng.uniform(3, 9))
        assert find_lattice(stripes + 0.3 * rng.standard_normal((3, *shape))) is None
        domains = gaussian_filter(rng.standard_normal(shape), 5) > 0
        assert find_lattice(domains + 0.1 * rng.standard_normal((3, *shape))) is None
    assert find_lattice(np.hypot(y - 20, x - 30)[None]) is None
    assert find_lattice(np.zeros((2, *shape))) is None
    assert find_lattice(np.ones((1, 4, 4))) is None


def test_amorphous_has_none() -> None:
    """Speckle of a preferred distance, with its gradients."""
    frequency = np.hypot(np.fft.fftfreq(56)[:, None], np.fft.fftfreq(64)[None])
    for seed in range(30):
        rng = np.random.default_rng(seed)
        ring = np.exp(-(((frequency - 0.14) / 0.03) ** 2) / 2)
        speckle = np.fft.ifft2(np.fft.fft2(rng.standard_normal((56, 64))) * ring).real
        images = np.stack([speckle, -speckle, *np.gradient(speckle)])
        images /= images.std(axis=(1, 2), keepdims=True)
        assert find_lattice(images + 0.3 * rng.standard_normal(images.shape)) is None


@pytest.mark.parametrize("stretch", [1.1, 1.25])
def test_rectangles_are_no_squares(stretch: float) -> None:
    assert find_lattice(lattice_images(7.0, 15.0, (64, 64), stretch=stretch)) is None


def test_distorted_scans_are_told_by_departure_and_errors() -> None:
    lattice = find_lattice(lattice_images(7.0, 15.0, (64, 64), stretch=1.02))
    assert lattice is not None
    assert lattice.departure == pytest.approx(0.02, rel=0.2)
    assert lattice.period_error / lattice.period_positions > 0.004


def test_too_few_periods() -> None:
    assert find_lattice(lattice_images(16.0, 0, (32, 32), noise=0.0)) is None
    assert find_lattice(lattice_images(13.0, 0, (32, 32), noise=0.1)) is None
    # Its own first peaks are too few, their harmonics must not be taken for it.
    assert find_lattice(lattice_images(25.0, 20, (60, 60), noise=0.1)) is None


def test_demo_scan() -> None:
    scan = demo()
    lattice = measure_lattice(scan)
    assert lattice is not None
    assert lattice.period_nm == pytest.approx(0.396, rel=2e-3)
    assert abs(lattice.crystal_angle_deg) < 0.2
    assert not lattice.significant(lattice.crystal_angle_deg)
    part = measure_lattice(scan, (slice(0, 30), slice(10, 50)))
    assert part is not None
    assert part.period_nm == pytest.approx(0.396, rel=0.02)


def test_five_hundred_electrons_a_pattern() -> None:
    rng = np.random.default_rng(0)
    scan = demo()
    counts = scan.data.compute()
    faint = rng.binomial(counts, 500 / counts.sum(axis=(2, 3)).mean()).astype(np.uint8)
    lattice = measure_lattice(Scan(faint, scan.calibration))
    assert lattice is not None
    assert lattice.period_nm == pytest.approx(0.396, rel=3e-3)
    assert abs(lattice.crystal_angle_deg) < 0.3


def test_load_fills_period_and_significant_angles_only() -> None:
    scan = Scan(make_patterns(two_domains((56, 64)), seed=81), step_nm=0.0495)
    found = measured(scan).calibration
    assert found.lattice_nm == pytest.approx(0.396, rel=5e-3)
    assert "crystal_angle_deg" not in found.sources
    values = CALIBRATION.to_dict() | {"lattice_nm": None, "sources": {"step_nm": "file"}}
    turned = Scan(turned_patterns(20.0), CALIBRATION.from_dict(values))
    found = measured(turned).calibration
    assert found.crystal_angle_deg == pytest.approx(20.0, abs=0.4)
    assert found.sources["crystal_angle_deg"] == found.sources["lattice_nm"] == "measured"


def test_a_known_period_decides_between_cells() -> None:
    turned = turned_patterns(20.0)
    diagonal = measured(Scan(turned, CALIBRATION.updated("file", lattice_nm=0.396 * np.sqrt(2))))
    assert diagonal.calibration.crystal_angle_deg == pytest.approx(-25.0, abs=0.4)
    assert diagonal.calibration.lattice_nm == pytest.approx(0.396 * np.sqrt(2))
    other = measured(Scan(turned, CALIBRATION.updated("file", lattice_nm=0.48)))
    assert "crystal_angle_deg" not in other.calibration.sources
    set_by_user = measured(Scan(turned, CALIBRATION, crystal_angle_deg=0.0))
    assert set_by_user.calibration.crystal_angle_deg == 0.0


def turned_patterns(angle_deg: float, shape: tuple[int, int] = (56, 64)) -> np.ndarray:
    """Those of `tests.synthetic`, the crystal turned; RU on the left and LM on the right."""
    from tests.synthetic import CELL, DIRECTIONS

    rng = np.random.default_rng(5)
    y, x = np.indices(shape).astype(float)
    angle = np.deg2rad(angle_deg)
    u = x * np.cos(angle) - y * np.sin(angle)
    v = -(x * np.sin(angle) + y * np.cos(angle))
    sway_u, sway_v = np.sin(2 * np.pi * u / CELL), np.sin(2 * np.pi * v / CELL)
    ky, kx = np.mgrid[:32, :32].astype(float)
    down = (ky - CALIBRATION.center_px[0]) / CALIBRATION.radius_px
    right = (kx - CALIBRATION.center_px[1]) / CALIBRATION.radius_px
    radius = np.hypot(down, right)
    disk = 1 / (1 + np.exp((radius - 1) * 20)) + 0.05 * np.exp(-((radius / 1.6) ** 4))
    polar = np.deg2rad([DIRECTIONS.angles_deg[k] for k in two_domains(shape).ravel()])
    polar = polar.reshape(shape)
    along = 0.08 * np.cos(polar) + 0.4 * sway_u
    up = 0.08 * np.sin(polar) - 0.4 * sway_v
    slope_x = along * np.cos(angle) - up * np.sin(angle)
    slope_y = -(along * np.sin(angle) + up * np.cos(angle))
    tilt = 1 + slope_y[..., None, None] * down + slope_x[..., None, None] * right
    intensity = disk * np.clip(tilt, 0, None)
    intensity *= 5000 / intensity.sum(axis=(2, 3), keepdims=True)
    return rng.poisson(intensity).astype(np.uint16)


def test_directions_turn_with_the_crystal(tmp_path) -> None:
    """A map of a crystal turned by 20 degrees has directions turned by 20 degrees."""
    import napari_polmap as polmap
    from tests.synthetic import train_quick

    classifier = train_quick(tmp_path)
    turned = Scan(turned_patterns(20.0), CALIBRATION)
    scan = measured(turned)
    assert scan.calibration.crystal_angle_deg == pytest.approx(20.0, abs=0.4)
    found = polmap.classify(scan, classifier, out=tmp_path / "map.zarr")
    left, right = found.direction[8:-8, 8:24], found.direction[8:-8, 40:-8]
    names = found.directions.names
    assert (left == names.index("RU")).mean() > 0.9
    assert (right == names.index("LM")).mean() > 0.9
    angles = found.shown_directions.angles_deg
    assert angles[names.index("RU")] == pytest.approx(65.0, abs=0.4)
    assert angles[names.index("LM")] == pytest.approx(200.0, abs=0.4)
