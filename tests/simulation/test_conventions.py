"""Units and directions from the crystal to a scan that was opened again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from napari_polmap import load_dataset
from napari_polmap.diffraction.center_of_mass import in_scan_frame
from napari_polmap.simulation.dataset import write_dataset, write_scan
from napari_polmap.simulation.detector import Detector
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.multislice import Patterns, simulate_patterns

SEMI_ANGLE = 24.0


def center_of_mass(image: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """(row, column)."""
    rows, columns = np.indices(image.shape)
    return np.array([(image * rows).sum(), (image * columns).sum()]) / image.sum()


@pytest.mark.parametrize("energy_kv", [80.0, 200.0])
def test_disks_lie_at_the_reciprocal_lattice(energy_kv: float) -> None:
    ase = pytest.importorskip("ase")
    pytest.importorskip("abtem")
    # One atom a cell: 5 Å apart down the rows, 4 Å along the columns.
    edges, cells = (5.0, 4.0), (6, 6)
    places = np.moveaxis(np.indices(cells), 0, -1).reshape(-1, 2) * edges
    atoms = ase.Atoms(
        "Nb36",
        positions=np.column_stack([places, np.full(len(places), 1.0)]),
        cell=(*np.multiply(edges, cells), 2.0),
        pbc=True,
    )
    microscope = Microscope(energy_kv=energy_kv, semi_angle_mrad=2.0)
    patterns = simulate_patterns(
        atoms, [(0.0, 0.0)], microscope, [0.2], sampling_angstrom=0.2, half_width=9.0
    )
    detector = Detector((121, 121), 0.25, (60.0, 60.0))
    image = detector.record(patterns)[0, 0].astype(float)
    wavelength = {80.0: 0.041757, 200.0: 0.025079}[energy_kv]
    pixels = 1e3 * wavelength / 0.25
    for axis, edge in enumerate(edges):
        place = np.array([60.0, 60.0])
        place[axis] += pixels / edge
        rows, columns = np.indices(image.shape)
        # As far as the middle between two disks.
        near = np.hypot(rows - place[0], columns - place[1]) < pixels / max(edges) / 2
        window = np.where(near, image, 0.0)
        assert window.sum() > 1e-4 * image.sum()
        assert center_of_mass(window) == pytest.approx(place, abs=0.6)


@pytest.mark.parametrize("angle", [0.0, 45.0, 90.0, 200.0])
@pytest.mark.parametrize(
    ("rotation", "flip", "crystal"), [(0.0, False, 0.0), (33.0, True, 0.0), (-120.0, False, 15.0)]
)
def test_a_dipole_keeps_its_direction_through_the_files(
    tmp_path: Path, angle: float, rotation: float, flip: bool, crystal: float
) -> None:
    # Along the polarization's angle in the crystal's frame there is more intensity.
    half, pixel = 80, 0.8
    y, x = np.meshgrid(np.arange(half, -half - 1, -1), np.arange(-half, half + 1), indexing="ij")
    along = x * np.cos(np.deg2rad(angle)) + y * np.sin(np.deg2rad(angle))
    disk = (np.hypot(x, y) * pixel < SEMI_ANGLE) * (1 + 0.5 * along * pixel / SEMI_ANGLE)
    simulated = Patterns(
        np.asarray(disk / disk.sum(), np.float32)[None, None], (pixel, pixel), SEMI_ANGLE, (10.0,)
    )
    detector = Detector((72, 80), 1.0, (36.2, 38.9), rotation_deg=rotation, flip=flip)
    image = detector.record(simulated, crystal)[0, 0]
    entry = {
        "path": "scan.hspy",
        "direction": "RM",
        "step_nm": 0.05,
        "mrad_per_pixel": 1.0,
        "center": list(detector.center),
        "radius_px": SEMI_ANGLE,
        "rotation_deg": rotation,
        "flip": flip,
        "crystal_angle_deg": crystal,
    }
    write_scan(tmp_path / "scan.hspy", np.broadcast_to(image, (2, 2, 72, 80)), entry, "dipole", {})
    write_dataset(tmp_path / "scans.toml", "dipole", ["RM"], [entry])
    scan = load_dataset(tmp_path / "scans.toml").scans[0].open()
    offset = center_of_mass(scan.pattern(0, 0).astype(float)) - np.array(scan.calibration.center_px)
    right, up = in_scan_frame(offset, scan.calibration)
    found = np.rad2deg(np.arctan2(up, right))
    assert (found - angle - crystal + 180) % 360 - 180 == pytest.approx(0.0, abs=1.0)
    # A quarter of the semi-angle times half: the mean of a uniform disk with such a slope.
    assert np.hypot(right, up) == pytest.approx(0.5 * SEMI_ANGLE / 4, rel=0.02)
