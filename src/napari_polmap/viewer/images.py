"""Which images of a scan a window shows, and how they are made in the background."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.reduced import ReducedScan
from napari_polmap.scan import Scan
from napari_polmap.viewer.preview import preview_image
from napari_polmap.viewer.tags import COM_ROLES, Role
from napari_polmap.viewer.virtual_detector import VirtualDetector

Image = npt.NDArray[Any]
Offsets = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CenterOfMassChoice:
    """How images of the center of mass are made.

    Parameters
    ----------
    about_mean : bool
        Whether the mean over the scan is taken off, instead of only the disk's center.
    high_pass : float
        Of the integrated one, in positions, see `center_of_mass.integrated`; 0 for none.
    """

    about_mean: bool = False
    high_pass: float = 0.0


@dataclass(frozen=True)
class ImageStep:
    """Images as far as they are computed.

    Parameters
    ----------
    done, total : int
        Positions.
    images : dict of Role to ndarray
        By role, shape ``(y, x)``, with a third axis for colors.
    """

    done: int
    total: int
    images: dict[Role, Image]


def com_images(
    offsets: Offsets, calibration: Calibration, roles: Iterable[Role], choice: CenterOfMassChoice
) -> dict[Role, Image]:
    """Images of the center of mass.

    Parameters
    ----------
    offsets : ndarray of float32, shape (y, x, 2)
        (row, column) on the detector, from `napari_polmap.diffraction.virtual.center_of_mass`.
    calibration : Calibration
        Brings them into the scan's frame.
    roles : iterable of Role
        Those wanted of `COM_ROLES`.
    choice : CenterOfMassChoice
    """
    from napari_polmap.diffraction.center_of_mass import (
        about_mean,
        color_wheel,
        in_scan_frame,
        integrated,
        magnitude,
    )

    vectors = in_scan_frame(offsets, calibration)
    if choice.about_mean:
        vectors = about_mean(vectors)
    makers = {
        Role.COM_X: lambda: np.ascontiguousarray(vectors[..., 0]),
        Role.COM_Y: lambda: np.ascontiguousarray(vectors[..., 1]),
        Role.COM_MAGNITUDE: lambda: magnitude(vectors),
        Role.COM_COLORS: lambda: color_wheel(vectors),
        Role.COM_INTEGRATED: lambda: integrated(
            vectors, calibration.step_nm or 1.0, choice.high_pass
        ),
    }
    return {role: makers[role]() for role in COM_ROLES if role in set(roles)}


def iter_com_images(
    offsets: Offsets, calibration: Calibration, roles: Iterable[Role], choice: CenterOfMassChoice
) -> Generator[None, None, dict[Role, Image]]:
    """`com_images` as a background job."""
    yield
    return com_images(offsets, calibration, roles, choice)


def live_image(scan: Scan, detector: VirtualDetector, reduced: ReducedScan | None) -> Image:
    """A virtual image at once: from the reduced copy, else from a part of the positions.

    NaN where neither is there.
    """
    if reduced is not None:
        return reduced.image(detector.mask(scan))
    return preview_image(scan, detector.weighting)


def iter_images(
    scan: Scan,
    detector: VirtualDetector | None,
    center_of_mass: bool,
    reduced: ReducedScan | None,
) -> Generator[ImageStep, None, Offsets | None]:
    """The exact virtual image of a detector, block by block, and the centers of mass.

    Parameters
    ----------
    scan : Scan
    detector : VirtualDetector, optional
    center_of_mass : bool
    reduced : ReducedScan, optional
        Where the image comes from until it is computed; by default it is a preview.

    Returns
    -------
    ndarray of float32, shape (y, x, 2), or None
        Centers of mass on the detector.
    """
    from napari_polmap.diffraction.virtual import CENTER_OF_MASS, iter_virtual

    total = int(np.prod(scan.scan_shape))
    shown: dict[Role, Image] = {}
    name = Role.VIRTUAL.value
    if detector is not None:
        shown[Role.VIRTUAL] = np.array(live_image(scan, detector, reduced), np.float32)
        yield ImageStep(0, total, dict(shown))
    offsets = None
    wanted = {} if detector is None else {name: detector.weighting}
    for step in iter_virtual(scan, wanted, center_of_mass=center_of_mass):
        if detector is not None:
            place = step.rows, step.columns
            shown[Role.VIRTUAL][place] = step.images[name][place]
        offsets = step.images.get(CENTER_OF_MASS)
        yield ImageStep(step.done, step.total, dict(shown))
    return offsets


def iter_reduced(scan: Scan, most_bytes: int) -> Generator[Any, None, ReducedScan]:
    """The reduced copy of a scan, see `napari_polmap.diffraction.reduced.iter_reduce`."""
    from napari_polmap.diffraction.reduced import iter_reduce

    return (yield from iter_reduce(scan, most_bytes))
