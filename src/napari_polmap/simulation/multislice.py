"""Multislice simulation of convergent-beam patterns through abTEM.

abTEM's first array axis is the displayed image's row (downward) and its second axis the column,
in real and in reciprocal space, so that its patterns are (ky, kx) as they come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import PolmapError

if TYPE_CHECKING:
    from ase import Atoms

# Physical constants in SI units (CODATA 2018).
_PLANCK = 6.62607015e-34
_ELECTRON_MASS = 9.1093837015e-31
_ELEMENTARY_CHARGE = 1.602176634e-19
_LIGHT_SPEED = 299792458.0


@dataclass(frozen=True)
class Microscope:
    """The illumination and the specimen's tilt.

    Parameters
    ----------
    energy_kv : float
        Acceleration voltage.
    semi_angle_mrad : float
        Convergence semi-angle, the radius of the bright-field disk.
    defocus_nm : float
        Defocus against a probe focused on the entrance surface, as abTEM counts it.
    tilt_mrad : tuple of float
        Where the crystal's zone axis (the center of the Laue circle) lies in the pattern against
        the beam, as (x, y) of the displayed frame with +y up. The atom columns lean by this angle
        along the beam.
    """

    energy_kv: float = 200.0
    semi_angle_mrad: float = 24.0
    defocus_nm: float = 0.0
    tilt_mrad: tuple[float, float] = (0.0, 0.0)

    @property
    def wavelength_angstrom(self) -> float:
        """Relativistic wavelength in Å."""
        energy = self.energy_kv * 1e3 * _ELEMENTARY_CHARGE
        momentum = np.sqrt(
            2 * _ELECTRON_MASS * energy * (1 + energy / (2 * _ELECTRON_MASS * _LIGHT_SPEED**2))
        )
        return float(_PLANCK / momentum * 1e10)


@dataclass(frozen=True)
class Patterns:
    """Simulated patterns with their calibration.

    Parameters
    ----------
    data : numpy.ndarray of float32, shape (thicknesses, positions, ky, kx)
        Intensities; the whole incident beam sums to 1.
    mrad_per_pixel : float
        Detector pixel.
    radius_px : float
        Radius of the bright-field disk.
    thickness_nm : tuple of float
        Specimen thickness of each entry of the first axis.
    """

    data: npt.NDArray[np.float32]
    mrad_per_pixel: float
    radius_px: float
    thickness_nm: tuple[float, ...]

    @property
    def center(self) -> tuple[float, float]:
        """The beam (ky, kx) in pixels: the middle pixel, as the detector is odd."""
        rows, columns = self.data.shape[-2:]
        return (rows - 1) / 2, (columns - 1) / 2


def simulate_patterns(
    atoms: Atoms,
    positions: npt.ArrayLike,
    microscope: Microscope,
    thickness_nm: Sequence[float],
    *,
    slice_angstrom: float = 1.98,
    sampling_angstrom: float = 0.1,
    half_width: float = 1.7,
    sigmas: Mapping[str, float] | None = None,
    batch: int = 64,
) -> Patterns:
    """Patterns of a focused probe at the given positions.

    Infinitely projected Lobato potentials, conventional multislice with a tilted propagator (good
    for small tilts), one pass for all thicknesses.

    Parameters
    ----------
    atoms : ase.Atoms
        The specimen as `Crystal.atoms` makes it: positions are (row, column, depth) in Å, the
        lateral cell is a square and periodic.
    positions : array_like, shape (positions, 2)
        Probe positions as (row, column) in Å.
    microscope : Microscope
        Illumination and tilt.
    thickness_nm : sequence of float
        Thicknesses wanted, increasing; each is rounded to whole slices.
    slice_angstrom : float
        Slice thickness; rounded so that whole slices fill the specimen.
    sampling_angstrom : float
        Real-space pixel at most; the grid is the next one with small prime factors.
    half_width : float
        Half of the detector's width in units of the disk's radius, at least; the detector has an
        odd number of pixels with the beam on the middle one.
    sigmas : mapping of str to float, optional
        Root-mean-square vibration along one axis in Å by element, for Debye-Waller damped
        potentials.
    batch : int
        Probe positions computed at once.

    Returns
    -------
    Patterns
        Shape (thicknesses, positions, ky, kx).

    Raises
    ------
    PolmapError
        If abTEM is missing, the lateral cell is no square, a thickness is outside the specimen, or
        the sampling cannot hold the detector.
    """
    try:
        import abtem
    except ImportError as error:
        raise PolmapError(
            'Simulating needs abTEM, which is not installed; run pip install "napari-polmap'
            '[simulate]".'
        ) from error
    from scipy.fft import next_fast_len

    height, width, depth = (float(length) for length in atoms.cell.lengths())
    if abs(height - width) > 1e-6 * height:
        raise PolmapError(
            f"The specimen is {height:.3f} x {width:.3f} Å across, but detector pixels are square "
            "only for a square cell; give as many cells in rows as in columns."
        )
    slices = max(1, round(depth / slice_angstrom))
    slice_thickness = depth / slices
    ends = [round(t * 10 / slice_thickness) for t in thickness_nm]
    if not ends or ends[0] < 1 or ends[-1] > slices or any(np.diff(ends) < 1):
        raise PolmapError(
            f"The thicknesses {list(thickness_nm)} nm must increase within 0..{depth / 10:.2f} nm, "
            "at least one slice apart; change them or make a thicker specimen."
        )

    gpts = next_fast_len(int(np.ceil(height / sampling_angstrom - 1e-9)))
    mrad_per_pixel = microscope.wavelength_angstrom / height * 1e3
    radius_px = microscope.semi_angle_mrad / mrad_per_pixel
    half = int(np.ceil(half_width * radius_px))
    # The multislice keeps spatial frequencies up to two thirds of the grid's own limit.
    if half > gpts // 3:
        raise PolmapError(
            f"A detector of {half_width:.2f} disk radii needs a finer sampling than "
            f"{sampling_angstrom} Å; lower the sampling or the detector's width."
        )

    tilt_x, tilt_y = microscope.tilt_mrad
    lean_row, lean_column = -tilt_y, tilt_x
    with abtem.config.set({"diagnostics.progress_bar": False, "fftw.threads": 1}):
        potential = abtem.PotentialArray(
            projected_potential(atoms, gpts, ends[-1], slice_thickness, sigmas),
            slice_thickness=slice_thickness,
            extent=(height, width),
            exit_planes=tuple(end - 1 for end in ends),
        )
        # abTEM's tilt moves the wave along the tilt in the frame of the columns.
        probe = abtem.Probe(
            energy=microscope.energy_kv * 1e3,
            semiangle_cutoff=microscope.semi_angle_mrad,
            defocus=microscope.defocus_nm * 10,
            tilt=(-lean_row, -lean_column),
            gpts=(gpts, gpts),
            extent=(height, width),
        )
        detector = abtem.PixelatedDetector(max_angle="full")
        points = np.asarray(positions, dtype=float).reshape(-1, 2)
        crop = slice(gpts // 2 - half, gpts // 2 + half + 1)
        data = np.empty((len(ends), len(points), 2 * half + 1, 2 * half + 1), np.float32)
        for start in range(0, len(points), batch):
            chosen = slice(start, start + batch)
            measured: Any = probe.multislice(
                potential, scan=abtem.CustomScan(points[chosen]), detectors=detector, lazy=False
            )
            full = measured.array.reshape(len(ends), -1, gpts, gpts)
            data[:, chosen] = full[..., crop, crop]
    return Patterns(
        data=data,
        mrad_per_pixel=mrad_per_pixel,
        radius_px=radius_px,
        thickness_nm=tuple(end * slice_thickness / 10 for end in ends),
    )


def projected_potential(
    atoms: Atoms,
    gpts: int,
    slices: int,
    slice_angstrom: float,
    sigmas: Mapping[str, float] | None = None,
) -> npt.NDArray[np.float32]:
    """Infinitely projected Lobato potentials of the first slices, in abTEM's units.

    Structure factors are summed exactly in reciprocal space. abTEM's own infinite projection
    spreads each atom over four pixels, which at a sampling of 0.125 Å changes patterns by several
    percent with the sub-pixel position; the polarization moves atoms by that much.

    Parameters
    ----------
    atoms : ase.Atoms
        Positions are (row, column, depth) in Å, periodic across.
    gpts : int
        Grid points along the rows and along the columns.
    slices : int
        Slices from the entrance surface on.
    slice_angstrom : float
        Slice thickness.
    sigmas : mapping of str to float, optional
        Root-mean-square vibration along one axis in Å by element: damps the potentials.

    Returns
    -------
    numpy.ndarray of float32
        Shape (slices, gpts, gpts).
    """
    from abtem.parametrizations import LobatoParametrization
    from scipy.fft import irfft2

    height, width, _ = atoms.cell.lengths()
    rows = np.fft.fftfreq(gpts, height / gpts)
    columns = np.fft.rfftfreq(gpts, width / gpts)
    squared = rows[:, None] ** 2 + columns[None] ** 2
    lobato: Any = LobatoParametrization()
    elements = np.array(atoms.get_chemical_symbols())
    depth = np.floor(atoms.positions[:, 2] / slice_angstrom).astype(int)
    potential = np.zeros((slices, gpts, gpts), np.float32)
    factors = {}
    for element in np.unique(elements):
        factor = lobato.projected_scattering_factor(str(element))(squared)
        if sigmas is not None:
            factor = factor * np.exp(-2 * np.pi**2 * sigmas[str(element)] ** 2 * squared)
        factors[element] = (factor * gpts**2 / (height * width)).astype(np.float32)
    for index in range(slices):
        total = np.zeros(squared.shape, np.complex64)
        for element, factor in factors.items():
            chosen = atoms.positions[(depth == index) & (elements == element), :2]
            if len(chosen):
                along_rows = np.exp(-2j * np.pi * np.outer(rows, chosen[:, 0]))
                along_columns = np.exp(-2j * np.pi * np.outer(chosen[:, 1], columns))
                total += factor * (
                    along_rows.astype(np.complex64) @ along_columns.astype(np.complex64)
                )
        potential[index] = irfft2(total, s=(gpts, gpts))
    return potential


def scan_positions(
    origin: tuple[float, float], shape: tuple[int, int], step_angstrom: float
) -> npt.NDArray[np.float64]:
    """Positions (row, column) in Å of a scan, row by row, shape (rows * columns, 2)."""
    grid = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 2)
    return np.asarray(origin, dtype=float) + step_angstrom * grid
