"""The lattice's period and orientation, from virtual images and centers of mass."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.diffraction.lattice_fit import fit_square_lattice
from napari_polmap.diffraction.part_images import Region, iter_part_images
from napari_polmap.scan import Scan
from napari_polmap.steps import finish

_SIGMAS = 3.0
_LEAST_ANGLE_DEG = 0.3


@dataclass(frozen=True)
class Lattice:
    """A square (pseudo-cubic) lattice as seen in a scan.

    Parameters
    ----------
    period_positions : float
        Edge of the cell in probe positions.
    crystal_angle_deg : float
        Angle of [100] against the scan's +x, counter-clockwise with +y up, in (-45, 45]: a square
        lattice looks the same after a quarter turn.
    period_error, angle_error_deg : float
        Standard errors of both.
    departure : float
        Strain by which the two edges depart from a square, such as by a distorted scan.
    strength : float
        Share of the images' variance that the lattice explains.
    step_nm : float, optional
        The scan step, if it is known.
    """

    period_positions: float
    crystal_angle_deg: float
    period_error: float
    angle_error_deg: float
    departure: float
    strength: float
    step_nm: float | None = None

    @property
    def period_nm(self) -> float | None:
        """The period in nm, if the scan step is known."""
        return None if self.step_nm is None else self.period_positions * self.step_nm

    def significant(self, angle_deg: float) -> bool:
        """Whether an angle departs from zero by more than the error of the measured one."""
        return abs(angle_deg) >= max(_LEAST_ANGLE_DEG, _SIGMAS * self.angle_error_deg)

    @property
    def alternatives(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """What else the lattice may be: (period in positions, crystal angle) of two others.

        First the larger cell, turned by 45 degrees, whose corners and middles look alike in the
        images; then the smaller one, of which the measured one would be a superstructure.
        """
        angle = folded_angle(self.crystal_angle_deg + 45)
        larger, smaller = np.sqrt(2) * self.period_positions, self.period_positions / np.sqrt(2)
        return (float(larger), angle), (float(smaller), angle)


def folded_angle(angle_deg: float, near_deg: float = 0.0) -> float:
    """The angle of a square lattice's edge that is nearest to another, up to 45 degrees from it."""
    return float(near_deg + 45 - (45 - (angle_deg - near_deg)) % 90)


def find_lattice(images: npt.NDArray[np.floating], step_nm: float | None = None) -> Lattice | None:
    """The square lattice in images, None where there is none.

    Parameters
    ----------
    images : ndarray, shape (n, y, x)
        Virtual images and center-of-mass components of the same positions, of any scale: each
        counts by what it shows above its own noise.
    step_nm : float, optional
        The scan step.

    See Also
    --------
    napari_polmap.diffraction.lattice_fit.fit_square_lattice : The method.
    """
    fit = fit_square_lattice(images)
    if fit is None:
        return None
    return Lattice(
        fit.period,
        fit.angle_deg,
        fit.period_error,
        fit.angle_error_deg,
        fit.departure,
        fit.strength,
        step_nm,
    )


def measure_lattice(scan: Scan, region: Region | None = None) -> Lattice | None:
    """Period and orientation of a scan's lattice, from a bounded part of it.

    Parameters
    ----------
    scan : Scan
    region : tuple of slice, optional
        Rows and columns of positions to look at, by default the scan's middle.

    Returns
    -------
    Lattice or None
        None where there is no square lattice: no crystal, too much noise, fewer than about three
        periods or three positions per period.

    Raises
    ------
    ScanError
        If the file cannot be read.
    """
    return finish(iter_lattice(scan, region))


def iter_lattice(
    scan: Scan, region: Region | None = None
) -> Generator[tuple[int, int], None, Lattice | None]:
    """`measure_lattice` step by step; yields the positions done, and all of them."""
    images = yield from iter_part_images(scan, region)
    return find_lattice(images.stack(), scan.calibration.step_nm)
