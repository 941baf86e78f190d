"""Domains of one direction each, and the walls between them.

Points are (row, column) in Å, and so are a wall's lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import NOT_COMPUTED, DirectionSet, screen_vectors
from napari_polmap.errors import PolmapError

Floats = npt.NDArray[np.float64]

INSIDE = 0.5 * (1 + np.tanh(1.0))
"""Share of a direction from which on a point counts as inside its domain (0.88).

A ``tanh`` wall has that share half its width away from its middle.
"""


class Domains(Protocol):
    """How the directions share the plane."""

    def shares(self, points: npt.ArrayLike, directions: DirectionSet) -> Floats:
        """Share of each direction, shape (..., directions), at points of shape (..., 2)."""


@dataclass(frozen=True)
class OneDomain:
    """The same direction everywhere.

    Parameters
    ----------
    direction : str
        Its name.
    """

    direction: str

    def shares(self, points: npt.ArrayLike, directions: DirectionSet) -> Floats:
        """Share of each direction, shape (..., directions)."""
        shape = np.asarray(points).shape[:-1]
        shares = np.zeros((*shape, len(directions)))
        shares[..., directions.index(self.direction)] = 1.0
        return shares


@dataclass(frozen=True)
class Wall:
    """A straight wall between two domains.

    Parameters
    ----------
    position : tuple of float
        A point on the wall as (row, column).
    normal_deg : float
        Angle of the wall's normal, counter-clockwise from +x on the displayed image; it points
        into the second domain.
    width : float
        Width of the transition: for ``tanh`` the polarization has gone 76 % of the way
        from half a width before the wall to half a width behind it, for ``linear`` all of it.
    profile : str
        ``tanh`` or ``linear``.

    Raises
    ------
    PolmapError
        If the profile is unknown or the width is not positive.
    """

    position: tuple[float, float]
    normal_deg: float
    width: float = 1.0
    profile: str = "tanh"

    def __post_init__(self) -> None:
        if self.profile not in ("tanh", "linear") or not self.width > 0:
            raise PolmapError(
                f"A wall's profile is 'tanh' or 'linear' and its width positive, but they are "
                f"{self.profile!r} and {self.width}; correct them."
            )

    def distance(self, rows: npt.ArrayLike, columns: npt.ArrayLike) -> Floats:
        """Distance of points from the wall, positive behind it."""
        normal = screen_vectors([self.normal_deg])[0]
        return normal[0] * (np.asarray(rows, float) - self.position[0]) + normal[1] * (
            np.asarray(columns, float) - self.position[1]
        )

    def second_share(self, rows: npt.ArrayLike, columns: npt.ArrayLike) -> Floats:
        """Share of the second domain's polarization, 0..1, at points."""
        reduced = 2 * self.distance(rows, columns) / self.width
        if self.profile == "tanh":
            return 0.5 * (1 + np.tanh(reduced))
        return np.clip(0.5 * (1 + reduced), 0.0, 1.0)


@dataclass(frozen=True)
class TwoDomains:
    """Two domains with a straight wall between them.

    Parameters
    ----------
    directions : tuple of str
        Names of the directions before and behind the wall.
    wall : Wall
        Where they meet, in Å.
    """

    directions: tuple[str, str]
    wall: Wall

    def shares(self, points: npt.ArrayLike, directions: DirectionSet) -> Floats:
        """Share of each direction, shape (..., directions)."""
        places = np.asarray(points, float)
        second = self.wall.second_share(places[..., 0], places[..., 1])
        shares = np.zeros((*second.shape, len(directions)))
        first_name, second_name = self.directions
        shares[..., directions.index(first_name)] += 1 - second
        shares[..., directions.index(second_name)] += second
        return shares


@dataclass(frozen=True, eq=False)
class LabelledDomains:
    """Domains drawn as a label image.

    Parameters
    ----------
    labels : numpy.ndarray of int, shape (rows, columns)
        Index of the direction of each pixel, in the order of `names`. Beyond the image's edges its
        outermost pixels go on.
    names : tuple of str
        Names of the directions.
    pixel_angstrom : float
        Edge of a pixel.
    origin : tuple of float
        Where the image's upper left corner lies, (row, column) in Å.
    width : float
        Width in Å over which one domain goes over into the next, as a `Wall`'s.

    Raises
    ------
    PolmapError
        If the labels are no image of indices of the names, or a length is not positive.
    """

    labels: npt.NDArray[np.integer]
    names: tuple[str, ...]
    pixel_angstrom: float
    origin: tuple[float, float] = (0.0, 0.0)
    width: float = 4.0

    def __post_init__(self) -> None:
        labels = self.labels
        if (
            labels.ndim != 2
            or not labels.size
            or not 0 <= labels.min() <= labels.max() < len(self.names)
        ):
            raise PolmapError(
                f"A label image has two dimensions and values from 0 to {len(self.names) - 1}, "
                f"one for each of {', '.join(self.names)}, but this one has shape {labels.shape} "
                f"and other values; correct it."
            )
        if not (self.pixel_angstrom > 0 and self.width > 0):
            raise PolmapError(
                f"The pixels of a label image and the walls in it need a positive width, but have "
                f"{self.pixel_angstrom} and {self.width} Å; correct them."
            )

    def shares(self, points: npt.ArrayLike, directions: DirectionSet) -> Floats:
        """Share of each direction, shape (..., directions): the labels, blurred by the width."""
        from scipy.ndimage import gaussian_filter, map_coordinates
        from scipy.special import ndtri

        places = np.asarray(points, float)
        where = ((places - self.origin) / self.pixel_angstrom - 0.5).reshape(-1, 2).T
        sigma = self.width / 2 / float(ndtri(INSIDE)) / self.pixel_angstrom
        shares = np.zeros((*places.shape[:-1], len(directions)))
        for label, name in enumerate(self.names):
            if (self.labels == label).any():
                share = gaussian_filter((self.labels == label).astype(float), sigma, mode="nearest")
                here = map_coordinates(share, where, order=1, mode="nearest")
                shares[..., directions.index(name)] += here.reshape(places.shape[:-1])
        return shares


def labels_at(
    domains: Domains, points: npt.ArrayLike, directions: DirectionSet
) -> npt.NDArray[np.uint8]:
    """Index of the direction at points, `NOT_COMPUTED` within half a wall's width of its middle."""
    shares = domains.shares(points, directions)
    labels = np.where(shares.max(-1) < INSIDE, NOT_COMPUTED, shares.argmax(-1))
    return labels.astype(np.uint8)
