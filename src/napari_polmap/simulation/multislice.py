"""Multislice simulation of convergent-beam patterns through abTEM.

abTEM's first array axis is the displayed image's row (downward) and its second axis the column,
in real and in reciprocal space, so that its patterns are (ky, kx) as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.checks import checked
from napari_polmap.simulation.crystal import vibrate
from napari_polmap.simulation.incoherent import source_offsets
from napari_polmap.simulation.installed import need_abtem
from napari_polmap.simulation.microscope import Microscope, abtem_device
from napari_polmap.simulation.plan import Plan, plan_simulation
from napari_polmap.simulation.potential import projected_potential

if TYPE_CHECKING:
    from ase import Atoms
    from scipy.sparse import csc_matrix

Floats = npt.NDArray[np.float64]

_SAME_PLACE = 1e-4
"""Probe positions in Å closer than this are one."""


@dataclass(frozen=True)
class Patterns:
    """Simulated patterns with their calibration.

    Parameters
    ----------
    data : numpy.ndarray of float32, shape (thicknesses, positions, ky, kx)
        Intensities; the whole incident beam sums to 1. Both detector axes are odd.
    pixel_mrad : tuple of float
        Detector pixel (ky, kx); the two differ where the simulated cell is no square.
    semi_angle_mrad : float
        Convergence semi-angle.
    thickness_nm : tuple of float
        Specimen thickness of each entry of the first axis.
    """

    data: npt.NDArray[np.float32]
    pixel_mrad: tuple[float, float]
    semi_angle_mrad: float
    thickness_nm: tuple[float, ...]

    @property
    def center(self) -> tuple[float, float]:
        """The beam (ky, kx) in pixels: the middle pixel, as the detector is odd."""
        rows, columns = self.data.shape[-2:]
        return (rows - 1) / 2, (columns - 1) / 2

    @property
    def mrad_per_pixel(self) -> float:
        """Edge of a square pixel.

        Raises
        ------
        PolmapError
            If the pixels are no squares.
        """
        along_rows, along_columns = self.pixel_mrad
        if abs(along_rows - along_columns) > 1e-6 * along_rows:
            raise PolmapError(
                f"The simulated pixels are {along_rows:.4f} x {along_columns:.4f} mrad, no "
                "squares; record the patterns on a detector first."
            )
        return along_rows

    @property
    def radius_px(self) -> float:
        """Radius of the bright-field disk in square pixels."""
        return self.semi_angle_mrad / self.mrad_per_pixel

    def cropped(self, half_width: float) -> Patterns:
        """The middle part, half as wide as so many disk radii at least.

        Raises
        ------
        PolmapError
            If there is less than that.
        """
        half = [int(np.ceil(half_width * self.semi_angle_mrad / edge)) for edge in self.pixel_mrad]
        middle = [int(center) for center in self.center]
        if half[0] > middle[0] or half[1] > middle[1]:
            raise PolmapError(
                f"The patterns do not reach to {half_width:g} disk radii; crop less or simulate a "
                "larger half width."
            )
        rows, columns = (slice(m - h, m + h + 1) for m, h in zip(middle, half, strict=True))
        return replace(self, data=self.data[..., rows, columns])


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
    phonons: int = 0,
    rng: np.random.Generator | None = None,
    step_vectors: npt.ArrayLike | None = None,
    batch: int | None = None,
    memory_mb: float = 1000.0,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> Patterns:
    """Patterns of a focused probe at the given positions.

    Infinitely projected Lobato potentials, conventional multislice with a tilted propagator (good
    for small tilts), one pass for all thicknesses. Source size, focal spread and frozen phonons
    are means of intensities over several passes, see `napari_polmap.simulation.incoherent`.

    Parameters
    ----------
    atoms : ase.Atoms
        The specimen as `Crystal.atoms` makes it: positions are (row, column, depth) in Å, the
        lateral cell is rectangular and periodic.
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
        Half of the detector's width in units of the disk's radius, at least; the detector has odd
        numbers of pixels with the beam on the middle one.
    sigmas : mapping of str to float, optional
        Root-mean-square vibration along one axis in Å by element, for Debye-Waller damped
        potentials, or for frozen phonons.
    phonons : int
        Configurations of frozen phonons to average; 0 damps the potentials instead.
    rng : numpy.random.Generator, optional
        Draws the configurations.
    step_vectors : array_like, shape (2, 2), optional
        From a position to the next row's and the next column's as (row, column) in Å, at right
        angles and equally long, where the positions lie on a grid: they then share the places of
        an extended source, which costs many times less.
    batch : int, optional
        Probes computed at once; by default what `memory_mb` holds.
    memory_mb : float
        Memory for arrays (`Plan.memory_mb`), of the GPU where one is used.
    device : {"cpu", "cuda", "auto"}
        A GPU needs CuPy; ``auto`` takes one where there is one.
    progress : callable, optional
        Called after every batch with the share that is done; what it raises ends the simulation.

    Returns
    -------
    Patterns
        Shape (thicknesses, positions, ky, kx).

    Raises
    ------
    PolmapError
        If abTEM or the device is missing, a thickness is outside the specimen, the sampling cannot
        hold the detector, or a setting is impossible.
    """
    need_abtem()
    import abtem

    plan = plan_simulation(
        atoms.cell.lengths(),
        microscope,
        thickness_nm,
        slice_angstrom=slice_angstrom,
        sampling_angstrom=sampling_angstrom,
        half_width=half_width,
    )
    points = np.asarray(positions, dtype=float).reshape(-1, 2)
    places, shares = _places(points, microscope, step_vectors)
    defoci, defocus_shares = microscope.defoci_nm()
    used = abtem_device(device)
    at_once = batch or plan.batch(len(points), memory_mb, cached=used == "cpu")
    configurations = _configurations(atoms, sigmas, phonons, rng)
    passes = max(1, phonons) * len(defoci) * len(places)
    data = np.zeros((len(plan.ends), len(points), *plan.detector_shape), np.float32)
    done = 0
    with abtem.config.set({"device": used, "diagnostics.progress_bar": False, "fftw.threads": 1}):
        for specimen, damping in configurations:
            potential = _potential(specimen, plan, damping, used)
            for defocus, share in zip(defoci, defocus_shares / max(1, phonons), strict=True):
                probe = microscope.probe(plan.gpts, plan.extent_angstrom, float(defocus), used)
                for start in range(0, len(places), at_once):
                    chosen = slice(start, start + at_once)
                    patterns = _run(probe, potential, places[chosen], plan)
                    _add(data, patterns * np.float32(share), chosen, shares)
                    done += patterns.shape[1]
                    if progress is not None:
                        progress(done / passes)
    return Patterns(data, plan.pixel_mrad, microscope.semi_angle_mrad, plan.thickness_nm)


def _configurations(
    atoms: Atoms,
    sigmas: Mapping[str, float] | None,
    phonons: int,
    rng: np.random.Generator | None,
) -> Iterator[tuple[Atoms, Mapping[str, float] | None]]:
    """Specimens to average over, each with the vibration that damps its potential."""
    if sigmas is not None:
        unknown = sorted(set(atoms.get_chemical_symbols()) - set(sigmas))
        if unknown:
            raise PolmapError(
                f"The specimen contains {', '.join(unknown)}, whose thermal vibration is not "
                "given; give it in Å."
            )
    if not phonons:
        return iter([(atoms, sigmas)])
    if sigmas is None or rng is None or phonons < 0:
        raise PolmapError(
            "Frozen phonons need a positive number of configurations, the elements' vibrations "
            "and a random generator; give all three."
        )
    return ((vibrate(atoms, sigmas, rng), None) for _ in range(phonons))


def _places(
    points: Floats, microscope: Microscope, step_vectors: npt.ArrayLike | None
) -> tuple[Floats, csc_matrix | None]:
    """Where the probe is put, and what each place contributes to each position's pattern."""
    from scipy.sparse import csc_matrix

    sigma = microscope.source_sigma_angstrom
    if sigma == 0:
        return points, None
    axes = np.eye(2)
    step = None
    if step_vectors is not None:
        vectors = np.asarray(step_vectors, dtype=float)
        lengths = np.linalg.norm(vectors, axis=1) if vectors.shape == (2, 2) else np.zeros(2)
        step = checked("The scan step in Å", lengths[0], 0, above=True)
        axes = vectors / step
        if np.abs(axes @ axes.T - np.eye(2)).max() > 1e-3:
            raise PolmapError(
                "The step vectors of a scan must be two at right angles and equally long, but are "
                f"{vectors.tolist()}; leave them out."
            )
    offsets, weights = source_offsets(sigma, microscope.passed_frequency, step)
    every = (points[:, None] + offsets @ axes).reshape(-1, 2)
    # Counted from the first position, so that places on a grid fall into the middle of a bin.
    bins = np.round((every - every[0]) / _SAME_PLACE).astype(np.int64)
    _, first, place = np.unique(bins, axis=0, return_index=True, return_inverse=True)
    position = np.repeat(np.arange(len(points)), len(offsets))
    matrix = csc_matrix(
        (np.tile(weights, len(points)), (position, place.ravel())), shape=(len(points), len(first))
    )
    return every[first], matrix.astype(np.float32)


def _potential(atoms: Atoms, plan: Plan, sigmas: Mapping[str, float] | None, device: str) -> Any:
    import abtem

    array = projected_potential(atoms, plan.gpts, plan.slices, plan.slice_angstrom, sigmas)
    potential = abtem.PotentialArray(
        array,
        slice_thickness=plan.slice_angstrom,
        extent=plan.extent_angstrom,
        exit_planes=tuple(end - 1 for end in plan.ends),
    )
    return potential.copy_to_device(device) if device == "gpu" else potential


def _run(probe: Any, potential: Any, places: Floats, plan: Plan) -> npt.NDArray[np.float32]:
    """Patterns of a batch, shape (thicknesses, places, ky, kx)."""
    import abtem

    # Half a pixel more than needed, so that rounding takes none away.
    reach = max((h + 0.5) * edge for h, edge in zip(plan.half, plan.pixel_mrad, strict=True))
    measured = probe.multislice(
        potential,
        scan=abtem.CustomScan(places),
        detectors=abtem.PixelatedDetector(max_angle=reach),
        lazy=False,
    )
    array = measured.array.reshape(len(plan.ends), len(places), *measured.array.shape[-2:])
    # The detector's parity is the grid's; the beam is on the pixel in the middle or behind it.
    rows, columns = (
        slice(length // 2 - half, length // 2 + half + 1)
        for length, half in zip(array.shape[-2:], plan.half, strict=True)
    )
    return np.asarray(array[..., rows, columns])


def _add(
    data: npt.NDArray[np.float32],
    patterns: npt.NDArray[np.float32],
    chosen: slice,
    shares: csc_matrix | None,
) -> None:
    """Add a batch of patterns to the positions that they belong to."""
    if shares is None:
        data[:, chosen] += patterns
        return
    part = shares[:, chosen].tocsr()
    touched = np.flatnonzero(np.diff(part.indptr))
    for sums, batch in zip(data, patterns, strict=True):
        sums[touched] += (part[touched] @ batch.reshape(len(batch), -1)).reshape(
            -1, *sums.shape[-2:]
        )
