"""Patterns against calculations written out here."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.crystal import vibrate
from napari_polmap.simulation.incoherent import blur_scan
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.multislice import Patterns, simulate_patterns
from napari_polmap.simulation.potential import projected_potential
from napari_polmap.simulation.scanning import scan_positions

abtem = pytest.importorskip("abtem")
ase = pytest.importorskip("ase")

SLICE = 2.0
COARSE = {"slice_angstrom": SLICE, "sampling_angstrom": 0.15}
SIGMAS = {"Nb": 0.08, "O": 0.1, "K": 0.12}
Arrays = npt.NDArray[np.float64]


def specimen(cell: tuple[float, float] = (8.0, 8.0), layers: int = 3) -> ase.Atoms:
    """Some atoms without any symmetry, each in the middle of a slice."""
    rng = np.random.default_rng(2)
    count = 12 * layers
    positions = rng.random((count, 3)) * (*cell, 1.0)
    positions[:, 2] = SLICE * (np.arange(count) % layers + 0.5)
    symbols = [("Nb", "O", "K", "Nb")[k % 4] for k in range(count)]
    return ase.Atoms(symbols, positions=positions, cell=(*cell, layers * SLICE), pbc=True)


def away(found: npt.NDArray[np.float32], expected: npt.NDArray[np.floating]) -> float:
    """Sum of the differences as a share of the intensity."""
    return float(np.abs(found.astype(float) - expected).sum() / expected.sum())


def written_out(
    potential: npt.NDArray[np.float32],
    extent: tuple[float, float],
    place: tuple[float, float],
    microscope: Microscope,
) -> Arrays:
    """Multislice in double precision from Kirkland's formulas; the beam on the first pixel."""
    gpts = potential.shape[1:]
    wavelength = microscope.wavelength_angstrom
    k_row = np.fft.fftfreq(gpts[0], extent[0] / gpts[0])[:, None]
    k_column = np.fft.fftfreq(gpts[1], extent[1] / gpts[1])[None]
    k = np.hypot(k_row, k_column)
    # Interaction constant 2π m e λ / h², relativistic, in rad/(V Å).
    energy, rest = microscope.energy_kv * 1e3, 510_998.95
    sigma = 2 * np.pi / (wavelength * energy) * (rest + energy) / (2 * rest + energy)
    limit = min(n / length for n, length in zip(gpts, extent, strict=True)) / 3
    passed = k < limit
    tilt_x, tilt_y = np.tan(np.array(microscope.tilt_mrad) * 1e-3)
    # The columns lean by the tilt: in their frame the beam goes the other way.
    drift = 2 * np.pi * SLICE * (k_row * tilt_y - k_column * tilt_x)
    propagator = passed * np.exp(-1j * (np.pi * wavelength * k**2 * SLICE + drift))
    # The aperture's edge is as soft as one pixel.
    pixel = np.hypot(k_row / extent[0], k_column / extent[1]) / np.where(k > 0, k, 1)
    edge = (microscope.semi_angle_mrad * 1e-3 / wavelength - k) / np.where(pixel > 0, pixel, 1)
    wave = np.clip(edge + 0.5, 0, 1) * np.exp(
        1j * np.pi * wavelength * microscope.defocus_nm * 10 * k**2
        - 2j * np.pi * (k_row * place[0] + k_column * place[1])
    )
    wave[0, 0] = 1
    wave /= np.sqrt((np.abs(wave) ** 2).sum())
    for layer in potential.astype(float):
        transmission = np.fft.ifft2(np.fft.fft2(np.exp(1j * sigma * layer)) * passed)
        wave = np.fft.fft2(np.fft.ifft2(wave) * transmission) * propagator
    return np.abs(wave) ** 2


@pytest.mark.parametrize(
    ("cell", "microscope"),
    [
        ((8.0, 8.0), Microscope()),
        ((8.0, 11.0), Microscope(defocus_nm=3.0, tilt_mrad=(8.0, -5.0))),
        ((12.0, 7.5), Microscope(energy_kv=300.0, semi_angle_mrad=20.0)),
    ],
)
def test_patterns_are_those_of_a_multislice_written_out(
    cell: tuple[float, float], microscope: Microscope
) -> None:
    atoms, place = specimen(cell), (1.3, 4.1)
    found = simulate_patterns(atoms, [place], microscope, [0.6], **COARSE)
    gpts = (54, 54) if cell == (8.0, 8.0) else {8.0: (54, 75), 12.0: (80, 50)}[cell[0]]
    whole = written_out(projected_potential(atoms, gpts, 3, SLICE), cell, place, microscope)
    half = [n // 2 for n in found.data.shape[-2:]]
    shifted = np.roll(whole, half, axis=(0, 1))
    expected = shifted[: 2 * half[0] + 1, : 2 * half[1] + 1]
    pixel = [microscope.wavelength_angstrom / edge * 1e3 for edge in cell]
    assert found.pixel_mrad == pytest.approx(pixel)
    assert away(found.data[0, 0], expected) < 0.003
    # What the detector's range keeps, and what the multislice's keeps of the beam.
    assert found.data.sum() == pytest.approx(expected.sum(), rel=1e-3)
    assert whole.sum() == pytest.approx(1.0, abs=0.02)


def test_patterns_are_those_of_plain_abtem() -> None:
    # Its potentials spread every atom over four pixels, which does less at a fine sampling.
    atoms, places = specimen(), [(1.3, 4.1), (6.0, 2.2)]
    found = simulate_patterns(
        atoms, places, Microscope(defocus_nm=2.0), [0.6], slice_angstrom=2.0, sampling_angstrom=0.03
    )
    with abtem.config.set({"diagnostics.progress_bar": False}):
        potential = abtem.Potential(
            atoms, sampling=0.03, slice_thickness=2.0, projection="infinite", periodic=True
        )
        probe = abtem.Probe(energy=200e3, semiangle_cutoff=24, defocus=20)
        expected = probe.multislice(
            potential,
            scan=abtem.CustomScan(places),
            detectors=abtem.PixelatedDetector(max_angle="full"),
            lazy=False,
        ).array
    middle, half = expected.shape[-1] // 2, found.data.shape[-1] // 2
    cut = slice(middle - half, middle + half + 1)
    assert away(found.data[0], expected[:, cut, cut]) < 0.004
    sums = expected[:, cut, cut].sum((1, 2))
    assert found.data[0].sum((1, 2)) == pytest.approx(sums, rel=1e-3)


def test_intensity_is_kept_within_the_range() -> None:
    atoms, places = specimen(), [(1.3, 4.1), (6.0, 2.2)]
    wide = simulate_patterns(atoms, places, Microscope(), [0.2, 0.6], half_width=3.2)
    assert wide.data.sum((2, 3)) == pytest.approx(1.0, abs=5e-3)
    narrow = simulate_patterns(atoms, places, Microscope(), [0.2, 0.6], half_width=1.2)
    assert wide.cropped(1.2).data == pytest.approx(narrow.data, abs=1e-6)
    with pytest.raises(PolmapError, match="half width"):
        narrow.cropped(1.7)


def test_thicknesses_are_separate_simulations() -> None:
    atoms, place = specimen(layers=4), [(2.0, 3.0)]
    both = simulate_patterns(atoms, place, Microscope(), [0.4, 0.8], **COARSE)
    thin = atoms[atoms.positions[:, 2] < 4.0]
    thin.cell[2, 2] = 4.0
    alone = simulate_patterns(thin, place, Microscope(), [0.4], **COARSE)
    assert both.data[0] == pytest.approx(alone.data[0], abs=1e-6)


def test_rectangular_pixels_are_no_squares() -> None:
    result = simulate_patterns(specimen((8.0, 11.0)), [(0, 0)], Microscope(), [0.2], **COARSE)
    rows, columns = result.data.shape[-2:]
    assert columns > rows
    assert result.pixel_mrad[0] / result.pixel_mrad[1] == pytest.approx(11 / 8)
    with pytest.raises(PolmapError, match="no squares"):
        _ = result.radius_px


def test_focal_spread_is_the_mean_over_defoci() -> None:
    atoms, place = specimen(), [(1.3, 4.1)]
    spread = simulate_patterns(atoms, place, Microscope(focal_spread_nm=3.0), [0.6], **COARSE)
    defoci = np.linspace(-10, 10, 41)
    weights = np.exp(-0.5 * (defoci / 3.0) ** 2)
    mean = np.zeros(spread.data.shape)
    for defocus, weight in zip(defoci, weights / weights.sum(), strict=True):
        microscope = Microscope(defocus_nm=defocus)
        mean += weight * simulate_patterns(atoms, place, microscope, [0.6], **COARSE).data
    sharp = simulate_patterns(atoms, place, Microscope(), [0.6], **COARSE).data
    assert away(spread.data, mean) < 1e-3
    assert away(sharp, mean) > 0.02


@pytest.fixture(scope="module")
def source() -> tuple[Microscope, ase.Atoms, Arrays, Arrays]:
    """Two neighbors on a grid, and their means over a dense sum of places."""
    microscope = Microscope(source_size_angstrom=0.7)
    # Close to a column of niobium, where the intensity changes within the source's size.
    atoms = ase.Atoms("Nb3", positions=[(1.0, 2.0, z) for z in (1, 3, 5)], cell=(8, 8, 6), pbc=True)
    places = scan_positions((1.3, 2.2), (1, 2), 0.2)
    sigma = 0.7 / (2 * np.sqrt(2 * np.log(2)))
    along = np.arange(-12, 13) * 0.1
    offsets = np.stack(np.meshgrid(along, along, indexing="ij"), -1).reshape(-1, 2)
    weights = np.exp(-0.5 * (offsets**2).sum(1) / sigma**2)
    means = []
    for place in places:
        result = simulate_patterns(atoms, place + offsets, Microscope(), [0.6], **COARSE)
        means.append(np.tensordot(weights / weights.sum(), result.data[0], 1))
    return microscope, atoms, places, np.stack(means)


@pytest.mark.parametrize("vectors", [None, [[0.2, 0.0], [0.0, 0.2]]])
def test_source_is_the_mean_over_places(
    source: tuple[Microscope, ase.Atoms, Arrays, Arrays], vectors: list[list[float]] | None
) -> None:
    microscope, atoms, places, expected = source
    found = simulate_patterns(atoms, places, microscope, [0.6], step_vectors=vectors, **COARSE)
    assert away(found.data[0], expected) < 1e-3
    sharp = simulate_patterns(atoms, places, Microscope(), [0.6], **COARSE)
    assert away(sharp.data[0], expected) > 0.02


def test_blurred_scan_is_that_of_the_source(
    source: tuple[Microscope, ase.Atoms, Arrays, Arrays],
) -> None:
    microscope, atoms, places, expected = source
    wide = scan_positions(tuple(places[0] - 1.2), (13, 14), 0.2)
    scan = simulate_patterns(atoms, wide, Microscope(), [0.6], **COARSE).data[0]
    blurred = blur_scan(
        scan.reshape(13, 14, *scan.shape[-2:]),
        0.2,
        microscope.source_sigma_angstrom,
        microscope.passed_frequency,
    )
    assert away(blurred[6, 6:8], expected) < 1e-3


def test_step_vectors_must_be_a_grid() -> None:
    with pytest.raises(PolmapError, match="right angles"):
        simulate_patterns(
            specimen(),
            [(0, 0)],
            Microscope(source_size_angstrom=0.5),
            [0.2],
            step_vectors=[[0.2, 0.0], [0.1, 0.2]],
            **COARSE,
        )


def test_frozen_phonons_are_the_mean_over_configurations() -> None:
    atoms, place = specimen(), [(1.3, 4.1)]
    found = simulate_patterns(
        atoms,
        place,
        Microscope(),
        [0.6],
        sigmas=SIGMAS,
        phonons=3,
        rng=np.random.default_rng(5),
        **COARSE,
    )
    rng = np.random.default_rng(5)
    single = [
        simulate_patterns(vibrate(atoms, SIGMAS, rng), place, Microscope(), [0.6], **COARSE).data
        for _ in range(3)
    ]
    assert found.data == pytest.approx(np.mean(single, axis=0), abs=1e-6)
    assert away(single[0], np.mean(single, axis=0)) > 0.01


@pytest.mark.parametrize(
    ("sigmas", "phonons", "message"),
    [({"Nb": 0.1}, 0, "K, O"), (None, 2, "Frozen"), (SIGMAS, -1, "Frozen")],
)
def test_vibrations_must_be_known(
    sigmas: Mapping[str, float] | None, phonons: int, message: str
) -> None:
    with pytest.raises(PolmapError, match=message):
        simulate_patterns(
            specimen(), [(0, 0)], Microscope(), [0.6], sigmas=sigmas, phonons=phonons, **COARSE
        )


def test_progress_counts_every_probe_and_can_end_the_simulation() -> None:
    shares: list[float] = []
    simulate_patterns(
        specimen(),
        scan_positions((0, 0), (1, 3), 0.5),
        Microscope(focal_spread_nm=0.5),
        [0.2],
        batch=2,
        progress=shares.append,
        **COARSE,
    )
    defoci = len(Microscope(focal_spread_nm=0.5).defoci_nm()[0])
    assert defoci > 1
    assert len(shares) == 2 * defoci
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)

    def end(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_patterns(specimen(), [(0, 0)], Microscope(), [0.2], progress=end, **COARSE)


def test_auto_takes_the_processor_where_there_is_no_gpu() -> None:
    found: list[Patterns] = [
        simulate_patterns(specimen(), [(1, 2)], Microscope(), [0.2], device=device, **COARSE)
        for device in ("cpu", "auto")
    ]
    assert found[0].data == pytest.approx(found[1].data, abs=1e-5)
