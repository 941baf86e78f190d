"""Directions of polarization: names, angles and fixed colors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import DatasetError

NOT_COMPUTED = 255
"""Value of a direction image where no direction was computed or labelled."""

_GREY = (0.55, 0.55, 0.55)

# Cyclic control colors over the angle, every 45 degrees from 0 to 315: neighbors differ by at most
# 18 in lightness, and any two stay apart (CIEDE2000 above 10) also under protanopia, deuteranopia
# and tritanopia (found by random search; tests/test_directions.py measures both).
_CYCLE = np.array(
    [
        (0.824, 0.254, 0.242),
        (0.900, 0.469, 0.071),
        (0.931, 0.737, 0.043),
        (0.760, 0.862, 0.529),
        (0.050, 0.726, 0.533),
        (0.030, 0.519, 0.852),
        (0.659, 0.653, 1.000),
        (0.883, 0.525, 0.750),
    ]
)


def angle_color(angle_deg: float) -> tuple[float, float, float]:
    """Color of an in-plane angle on the cyclic colormap.

    Parameters
    ----------
    angle_deg : float
        Angle in degrees, counter-clockwise from +x on the displayed image.

    Returns
    -------
    tuple of float
        Red, green and blue in 0..1.
    """
    position = (angle_deg % 360.0) / 360.0 * len(_CYCLE)
    low = int(np.floor(position)) % len(_CYCLE)
    share = position - np.floor(position)
    color = (1 - share) * _CYCLE[low] + share * _CYCLE[(low + 1) % len(_CYCLE)]
    return (float(color[0]), float(color[1]), float(color[2]))


@dataclass(frozen=True)
class DirectionSet:
    """The classes of a classifier: names, in-plane angles and colors.

    Parameters
    ----------
    names : tuple of str
        Short unique names, in the order of the class indices.
    angles_deg : tuple of float or None
        Angle of each direction in degrees, counter-clockwise from +x (right) on the displayed scan
        image, +y up; ``None`` for a class without one ("vacuum", "out of plane").

    Raises
    ------
    DatasetError
        If names repeat, are empty, or do not match the angles in number.
    """

    names: tuple[str, ...]
    angles_deg: tuple[float | None, ...]

    def __post_init__(self) -> None:
        if not self.names or len(self.names) != len(self.angles_deg):
            raise DatasetError(
                f"A set of directions needs one angle (or none) per name, but there are "
                f"{len(self.names)} names and {len(self.angles_deg)} angles; give both in the "
                "same order."
            )
        if len(set(self.names)) != len(self.names) or not all(self.names):
            raise DatasetError(
                f"Direction names must be unique and not empty, but are {list(self.names)}; "
                "rename the repeated ones."
            )
        if len(self.names) > 200:
            raise DatasetError(
                f"A set holds at most 200 directions, but {len(self.names)} were given; merge some."
            )

    @classmethod
    def default(cls) -> DirectionSet:
        """Eight in-plane directions of a pseudo-cubic perovskite along [001]."""
        names = ("RM", "RU", "MU", "LU", "LM", "LD", "MD", "RD")
        return cls(names, tuple(45.0 * index for index in range(8)))

    @classmethod
    def from_names(
        cls, names: Sequence[str], angles_deg: Sequence[float | None] | None = None
    ) -> DirectionSet:
        """A set from names alone; names of the default set bring their angles."""
        if angles_deg is None:
            known = dict(zip(cls.default().names, cls.default().angles_deg, strict=True))
            angles_deg = [known.get(name) for name in names]
        angles = tuple(None if angle is None else float(angle) % 360.0 for angle in angles_deg)
        return cls(tuple(str(name) for name in names), angles)

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Class index of a name.

        Raises
        ------
        DatasetError
            If the set has no such direction.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise DatasetError(
                f"There is no direction {name!r}; the directions here are {', '.join(self.names)}."
            ) from None

    @property
    def colors(self) -> npt.NDArray[np.float64]:
        """Colors, shape ``(n, 3)`` in 0..1; grey for directions without an angle."""
        return np.array(
            [_GREY if angle is None else angle_color(angle) for angle in self.angles_deg]
        )

    @property
    def vectors(self) -> npt.NDArray[np.float64]:
        """Unit vectors on screen, shape ``(n, 2)`` as (dy, dx) = (-sin, cos); NaN without angle."""
        return screen_vectors(self.angles_deg)

    def rotated(self, angle_deg: float) -> DirectionSet:
        """The same names with every angle turned counter-clockwise by `angle_deg`."""
        return DirectionSet(
            self.names,
            tuple(None if a is None else (a + angle_deg) % 360.0 for a in self.angles_deg),
        )

    def label(self, index: int) -> str:
        """Name and angle for people, for instance ``RU 45°``."""
        angle = self.angles_deg[index]
        return self.names[index] if angle is None else f"{self.names[index]} {angle:.0f}°"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"names": list(self.names), "angles_deg": list(self.angles_deg)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DirectionSet:
        """Inverse of `to_dict`."""
        return cls.from_names(values["names"], values["angles_deg"])


def screen_vectors(angles_deg: Sequence[float | None]) -> npt.NDArray[np.float64]:
    """Unit vectors (dy, dx) = (-sin θ, cos θ) of angles in degrees; NaN where there is none."""
    angles = np.deg2rad(np.array([np.nan if a is None else a for a in angles_deg], dtype=float))
    return np.stack([-np.sin(angles), np.cos(angles)], axis=-1)
