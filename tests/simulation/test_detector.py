from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.preprocessing import Preprocessing
from napari_polmap.errors import PolmapError
from napari_polmap.simulation.detector import Detector
from napari_polmap.simulation.multislice import Patterns

Image = npt.NDArray[np.float64]

WIDE = {"shape": (81, 81), "mrad_per_pixel": 1.0, "center": (40.0, 40.0)}


def disk(half: int, radius: float) -> npt.NDArray[np.float32]:
    rows, columns = np.indices((2 * half + 1, 2 * half + 1)) - half
    inside = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1)
    return (inside / inside.sum()).astype(np.float32)


def spots(
    places_mrad: list[tuple[float, float]], pixel_mrad: tuple[float, float] = (1.2, 1.2)
) -> Patterns:
    """Round spots at (x, y) mrad, +y up, of falling brightness."""
    half = [int(np.ceil(66 / edge)) for edge in pixel_mrad]
    rows = (np.arange(2 * half[0] + 1) - half[0])[:, None] * pixel_mrad[0]
    columns = (np.arange(2 * half[1] + 1) - half[1])[None] * pixel_mrad[1]
    image = sum(
        np.exp(-((rows + y) ** 2 + (columns - x) ** 2) / (2 * 3.0**2)) / (k + 1)
        for k, (x, y) in enumerate(places_mrad)
    )
    image = np.asarray(image / np.sum(image), dtype=np.float32)
    return Patterns(image[None, None], pixel_mrad, 24.0, (10.0,))


def middle(image: Image) -> tuple[float, float]:
    """Center of mass (row, column)."""
    rows, columns = np.indices(image.shape)
    return float((image * rows).sum() / image.sum()), float((image * columns).sum() / image.sum())


def recorded(detector: Detector, patterns: Patterns, crystal_angle_deg: float = 0.0) -> Image:
    return detector.record(patterns, crystal_angle_deg)[0, 0].astype(float)


def test_detector_keeps_intensity_and_puts_the_beam_on_its_center() -> None:
    patterns = Patterns(disk(40, 20.0)[None, None], (1.2, 1.2), 24.0, (10.0,))
    image = recorded(Detector((72, 76), 1.0, (34.3, 38.1)), patterns)
    assert image.shape == (72, 76)
    assert image.sum() == pytest.approx(1.0, rel=1e-5)
    assert middle(image) == pytest.approx((34.3, 38.1), abs=0.01)


@pytest.mark.parametrize("edge", [0.45, 1.0, 2.3])
@pytest.mark.parametrize("angle", [0.0, 33.0])
def test_intensity_is_kept_by_pixels_of_any_size(edge: float, angle: float) -> None:
    patterns = spots([(10.0, 5.0), (-12.0, 0.0)])
    pixels = round(81 / edge)
    detector = Detector((pixels, pixels), edge, ((pixels - 1) / 2,) * 2, rotation_deg=angle)
    image = recorded(detector, patterns)
    assert image.sum() == pytest.approx(1.0, abs=1e-4)
    # A pixel takes the mean over its area: the spots' width grows by that of a pixel.
    spot = recorded(detector, spots([(0.0, 0.0)]))
    rows = (np.arange(pixels) - (pixels - 1) / 2) * edge
    variance = spot.sum(1) @ rows**2 / spot.sum()
    assert variance == pytest.approx(9.0 + edge**2 / 12 + 1.2**2 / 6, rel=0.01)


def test_same_pixels_change_nothing_inside() -> None:
    # Linear interpolation and the mean over a pixel of the same place and size blur by little.
    patterns = Patterns(disk(30, 15.0)[None, None], (1.0, 1.0), 15.0, (10.0,))
    image = recorded(Detector((61, 61), 1.0, (30.0, 30.0)), patterns)
    assert image[22:39, 22:39] == pytest.approx(patterns.data[0, 0, 22:39, 22:39], rel=1e-4)


def test_rectangular_pixels_become_squares() -> None:
    patterns = spots([(12.0, 6.0)], (1.7, 0.9))
    image = recorded(Detector(**WIDE), patterns)
    assert image.sum() == pytest.approx(1.0, abs=1e-4)
    assert middle(image) == pytest.approx((40.0 - 6.0, 40.0 + 12.0), abs=0.02)
    square = recorded(Detector(**WIDE), spots([(12.0, 6.0)], (0.9, 0.9)))
    assert np.abs(image - square).sum() < 0.1


@pytest.mark.parametrize(
    ("rotation", "flip", "expected"),
    [
        # What lies at +x in the scan's frame, and where the detector has it as (row, column).
        (0.0, False, (0.0, 20.0)),
        (90.0, False, (20.0, 0.0)),
        (-90.0, False, (-20.0, 0.0)),
        (90.0, True, (-20.0, 0.0)),
        (0.0, True, (0.0, 20.0)),
        (30.0, False, (10.0, 20 * np.cos(np.pi / 6))),
        (30.0, True, (-10.0, 20 * np.cos(np.pi / 6))),
    ],
)
def test_dipole_turns_and_flips_as_designed(
    rotation: float, flip: bool, expected: tuple[float, float]
) -> None:
    patterns = spots([(20.0, 0.0)])
    image = recorded(Detector(**WIDE, rotation_deg=rotation, flip=flip), patterns)
    found = np.array(middle(image)) - 40.0
    assert found == pytest.approx(expected, abs=0.02)
    # Flip first (reverse ky), then the rotation counter-clockwise bring it into the scan's frame.
    row, column = found * (-1 if flip else 1, 1)
    turn = np.exp(1j * np.deg2rad(rotation)) * complex(column, -row)
    assert turn == pytest.approx(20.0, abs=0.03)


def test_crystal_angle_turns_patterns_into_the_scan() -> None:
    # The crystal's [100] points up in the scan's image, and so does what lies along it.
    image = recorded(Detector(**WIDE), spots([(20.0, 0.0)]), crystal_angle_deg=90.0)
    assert np.array(middle(image)) - 40.0 == pytest.approx((-20.0, 0.0), abs=0.02)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("rotation", "crystal"), [(0.0, 0.0), (37.0, 0.0), (-115.0, 20.0)])
def test_calibrated_with_the_same_values_it_shows_the_simulated_frame(
    flip: bool, rotation: float, crystal: float
) -> None:
    patterns = spots([(15.0, 0.0), (-3.0, 11.0), (-14.0, -12.0)])

    def preprocessed(detector: Detector, crystal_angle_deg: float) -> npt.NDArray[np.float32]:
        image = detector.record(patterns, crystal_angle_deg)[0]
        calibration = Calibration(
            center_px=detector.center,
            radius_px=24.0 / detector.mrad_per_pixel,
            rotation_deg=detector.rotation_deg,
            flip=detector.flip,
            crystal_angle_deg=crystal_angle_deg,
        )
        return Preprocessing().operator(calibration, detector.shape).apply(image)[0]

    plain = preprocessed(Detector(**WIDE), 0.0)
    turned = preprocessed(
        Detector((101, 96), 0.9, (51.5, 46.0), rotation_deg=rotation, flip=flip), crystal
    )
    plain, turned = plain / plain.sum(), turned / turned.sum()
    assert np.abs(plain - turned).sum() < 0.02
    assert np.abs(plain - plain.reshape(32, 32)[::-1].ravel()).sum() > 0.5


def test_reach_follows_the_rotation() -> None:
    assert Detector(**WIDE).reach_mrad == pytest.approx(40.0)
    assert Detector((31, 41), 2.0, (10.0, 20.0)).reach_mrad == pytest.approx(40.0)
    turned = Detector(**WIDE, rotation_deg=45.0)
    assert turned.reach_mrad == pytest.approx(40 * np.sqrt(2))
    assert turned.reach(45.0) == pytest.approx(40.0)


def test_detector_beyond_the_simulation_is_refused() -> None:
    patterns = Patterns(disk(20, 10.0)[None, None], (1.0, 1.0), 10.0, (10.0,))
    with pytest.raises(PolmapError, match="half width"):
        Detector((64, 64), 1.0, (31.5, 31.5)).record(patterns)
    with pytest.raises(PolmapError, match="half width"):
        Detector((41, 41), 1.0, (20.0, 20.0), rotation_deg=10.0).record(patterns)


def test_point_spread_widens_spots_and_keeps_the_beam() -> None:
    patterns = spots([(0.0, 0.0)])
    sharp = recorded(Detector(**WIDE), patterns)
    blurred = recorded(Detector(**WIDE, point_spread_px=2.0), patterns)
    rows = np.arange(81) - 40.0
    assert blurred.sum() == pytest.approx(1.0, abs=1e-4)
    grown = blurred.sum(1) @ rows**2 - sharp.sum(1) @ rows**2
    assert grown == pytest.approx(4.0, rel=0.01)
    # What falls just beside a detector is spread onto it.
    beside = Detector((21, 21), 1.0, (10.0, 34.0), point_spread_px=3.0)
    assert (
        recorded(beside, spots([(-5.0, 0.0)]))[10, 20]
        > 3 * (recorded(Detector((21, 21), 1.0, (10.0, 34.0)), spots([(-5.0, 0.0)]))[10, 20])
    )


def test_exposure_of_an_imperfect_detector() -> None:
    detector = Detector(
        **WIDE, gain_variation=0.05, dead_share=0.01, hot_share=0.005, dark_counts=0.2, seed=3
    )
    response = detector.response
    assert response.dead.sum() == round(0.01 * 81**2)
    assert response.hot.sum() == round(0.005 * 81**2)
    clean = detector.record(spots([(5.0, 5.0)]))
    counts = detector.expose(clean, 5000, np.random.default_rng(0))
    assert counts.shape == clean.shape
    assert (counts[..., response.dead] == 0).all()
    assert counts[..., response.hot].min() > 10
    again = detector.expose(clean, 5000, np.random.default_rng(0))
    assert (counts == again).all()


@pytest.mark.parametrize(
    "values",
    [
        {"shape": (0, 4)},
        {"shape": (4.5, 4)},
        {"mrad_per_pixel": 0.0},
        {"center": (1.0, np.nan)},
        {"rotation_deg": np.inf},
        {"point_spread_px": -1.0},
        {"gain_variation": 2.0},
        {"dead_share": 1.1},
        {"hot_share": -0.1},
        {"dark_counts": -1.0},
    ],
)
def test_impossible_detectors_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(PolmapError, match="correct it"):
        Detector(**(WIDE | values))
