"""Grid, slices, detector and memory of a simulation, known before it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.checks import checked
from napari_polmap.simulation.microscope import Microscope

_MB = 1e6
_MOST_AT_ONCE = 64
_FEWEST_AT_ONCE = 8
# More waves than fit into a processor's cache make each slower, by some 10 percent.
_CACHED_BYTES = 16e6
# Arrays of a wave's size (complex64) that exist at the same time for every probe of a batch, as
# abTEM 1.0 builds, copies and transforms them; five were measured.
_WAVES = 6


@dataclass(frozen=True)
class Plan:
    """What a simulation computes.

    Parameters
    ----------
    extent_angstrom : tuple of float
        Lateral cell (rows, columns).
    gpts : tuple of int
        Grid points (rows, columns).
    slice_angstrom : float
        Thickness of a slice.
    ends : tuple of int
        Slices behind which patterns are taken, counted from 1.
    half : tuple of int
        Detector pixels (ky, kx) on either side of the middle one.
    pixel_mrad : tuple of float
        Detector pixel (ky, kx): λ over the cell's edge.
    """

    extent_angstrom: tuple[float, float]
    gpts: tuple[int, int]
    slice_angstrom: float
    ends: tuple[int, ...]
    half: tuple[int, int]
    pixel_mrad: tuple[float, float]

    @property
    def thickness_nm(self) -> tuple[float, ...]:
        """Thicknesses of whole slices."""
        return tuple(end * self.slice_angstrom / 10 for end in self.ends)

    @property
    def slices(self) -> int:
        """Slices that the waves pass."""
        return self.ends[-1]

    @property
    def detector_shape(self) -> tuple[int, int]:
        """Detector pixels (ky, kx), both odd."""
        return 2 * self.half[0] + 1, 2 * self.half[1] + 1

    def memory_mb(self, positions: int, batch: int = 1) -> float:
        """Memory that arrays take at most: potential, results and the waves of a batch.

        Parameters
        ----------
        positions : int
            Probe positions whose patterns are returned.
        batch : int
            Probes computed at once.
        """
        points = self.gpts[0] * self.gpts[1]
        pattern = self.detector_shape[0] * self.detector_shape[1] * 4 * len(self.ends)
        # The potential as float32 and, while a slice is made, a few arrays of its own size.
        fixed = points * (4 * self.slices + 64) + positions * pattern
        return (fixed + batch * (points * 8 * _WAVES + 2 * pattern)) / _MB

    def batch(self, positions: int, memory_mb: float, *, cached: bool = True) -> int:
        """Probes to compute at once: as many as the memory holds, at most 64.

        More make nothing faster: abTEM's work for each batch is then already below a few percent.

        Parameters
        ----------
        positions : int
            Probe positions whose patterns are returned.
        memory_mb : float
            Memory for arrays, see `memory_mb`.
        cached : bool
            Also no more than a processor's cache holds (16 MB of waves, but eight probes).

        Raises
        ------
        PolmapError
            If the memory does not hold one.
        """
        none, one = self.memory_mb(positions, 0), self.memory_mb(positions, 1)
        if one > memory_mb:
            raise PolmapError(
                f"The simulation needs {one:.0f} MB for a single probe at once, but only "
                f"{memory_mb:g} MB are allowed; allow more, or simulate fewer positions or a "
                "smaller block."
            )
        wave = 8 * self.gpts[0] * self.gpts[1]
        most = max(_FEWEST_AT_ONCE, int(_CACHED_BYTES / wave)) if cached else _MOST_AT_ONCE
        return min(_MOST_AT_ONCE, most, int((memory_mb - none) / (one - none)))


def plan_simulation(
    cell_angstrom: Sequence[float],
    microscope: Microscope,
    thickness_nm: Sequence[float],
    *,
    slice_angstrom: float = 1.98,
    sampling_angstrom: float = 0.1,
    half_width: float = 1.7,
) -> Plan:
    """Grid, slices and detector for a specimen.

    Parameters
    ----------
    cell_angstrom : sequence of float
        The specimen's cell (rows, columns, depth).
    microscope : Microscope
        Illumination.
    thickness_nm : sequence of float
        Thicknesses wanted, increasing; each is rounded to whole slices.
    slice_angstrom : float
        Slice thickness; rounded so that whole slices fill the specimen.
    sampling_angstrom : float
        Real-space pixel at most; the grid is the next one with small prime factors.
    half_width : float
        Half of the detector's width in units of the disk's radius, at least.

    Raises
    ------
    PolmapError
        If a thickness is outside the specimen, or the sampling cannot hold the detector.
    """
    from scipy.fft import next_fast_len

    checked("slice_angstrom", slice_angstrom, 0, above=True)
    checked("sampling_angstrom", sampling_angstrom, 0, above=True)
    checked("half_width", half_width, 0, above=True)
    height, width, depth = (checked("A cell's edge in Å", e, 0, above=True) for e in cell_angstrom)
    slices = max(1, round(depth / slice_angstrom))
    slice_thickness = depth / slices
    ends = tuple(round(t * 10 / slice_thickness) for t in thickness_nm)
    if not ends or ends[0] < 1 or ends[-1] > slices or any(np.diff(ends) < 1):
        raise PolmapError(
            f"The thicknesses {list(thickness_nm)} nm must increase within 0..{depth / 10:.2f} nm, "
            "at least one slice apart; change them or make a thicker specimen."
        )

    extent = (height, width)
    rows, columns = (
        int(next_fast_len(int(np.ceil(edge / sampling_angstrom - 1e-9)))) for edge in extent
    )
    wavelength = microscope.wavelength_angstrom
    pixel_y, pixel_x = (wavelength / edge * 1e3 for edge in extent)
    half_y, half_x = (
        int(np.ceil(half_width * microscope.semi_angle_mrad / pixel))
        for pixel in (pixel_y, pixel_x)
    )
    # The multislice keeps spatial frequencies up to two thirds of the coarser axis' own limit.
    coarser = max(height / rows, width / columns)
    if max(half_y / height, half_x / width) > 1 / (3 * coarser) + 1e-9:
        raise PolmapError(
            f"A detector of {half_width:.2f} disk radii needs a finer sampling than "
            f"{sampling_angstrom} Å; lower the sampling or the detector's width."
        )
    return Plan(
        extent_angstrom=extent,
        gpts=(rows, columns),
        slice_angstrom=slice_thickness,
        ends=ends,
        half=(half_y, half_x),
        pixel_mrad=(pixel_y, pixel_x),
    )
