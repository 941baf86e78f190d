"""What parameters are drawn from, and random numbers that each parameter has for itself.

A parameter is a plain value, a `Choice` or a `Range`. Each takes its unit numbers (uniform in
0..1) from a random stream that follows from the seed, the parameter's name and, where every run
draws anew, the run's number alone: another parameter, or another range, changes none of them, and
nothing tells a run what its direction means.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_polmap.errors import PolmapError

DISTRIBUTIONS = ("uniform", "normal", "log-uniform")
"""How the values of a range are distributed; `Disk` has a distribution of its own."""

ARRANGEMENT, VIBRATION = 1, 2
"""Streams of a specimen that are drawn from without end, see `stream`."""

# Streams that follow a specimen's seed. The first parameters share two of them; classifiers rest
# on these draws, so each keeps its place there.
_SPECIMEN, _RUN, _NAMED = 0, 3, 4
_SPECIMEN_PLACES = ("origin_row", "origin_column", "lattice_angstrom", "b_share")
_RUN_PLACES = ("tilt_radius", "tilt_azimuth", "magnitude_angstrom", "defocus_nm")
# A normal distribution lies within its limits at this many standard deviations.
_NORMAL_REACH = 2.0


def unit_number(seed: int, name: str, run: int | None = None) -> float:
    """The random number in 0..1 of a parameter.

    Parameters
    ----------
    seed : int
        The specimen.
    name : str
        The parameter.
    run : int, optional
        Number of the run, where each draws anew.
    """
    if run is None and name in _SPECIMEN_PLACES:
        key, place = [seed, _SPECIMEN], _SPECIMEN_PLACES.index(name)
    elif run is not None and name in _RUN_PLACES:
        key, place = [seed, _RUN, run], _RUN_PLACES.index(name)
    else:
        key, place = [seed, _NAMED, zlib.crc32(name.encode()), 0 if run is None else run + 1], 0
    return float(np.random.default_rng(key).random(place + 1)[place])


def stream(seed: int, purpose: int | str, run: int | None = None) -> np.random.Generator:
    """A random stream of a specimen for what takes many numbers.

    Parameters
    ----------
    seed : int
        The specimen.
    purpose : int or str
        `ARRANGEMENT`, `VIBRATION`, or a name.
    run : int, optional
        Number of the run, where each has its own.
    """
    if isinstance(purpose, int):
        return np.random.default_rng([seed, purpose])
    number = 0 if run is None else run + 1
    return np.random.default_rng([seed, _NAMED, zlib.crc32(purpose.encode()), number, 1])


@dataclass(frozen=True)
class Range:
    """Numbers between two limits.

    Parameters
    ----------
    low, high : float
        The limits.
    distribution : str
        One of `DISTRIBUTIONS`. ``normal`` has its mean in the middle and the limits at two
        standard deviations, beyond which nothing is drawn; ``log-uniform`` is uniform in the
        logarithm.

    Raises
    ------
    PolmapError
        If the limits or the distribution are impossible.
    """

    low: float
    high: float
    distribution: str = "uniform"

    def __post_init__(self) -> None:
        if self.distribution not in DISTRIBUTIONS:
            raise PolmapError(
                f"There is no distribution {self.distribution!r} of a number; choose "
                f"{', '.join(DISTRIBUTIONS)}."
            )
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise PolmapError(
                f"A range needs a min that is at most its max, but has {self.low} and {self.high}."
            )
        if self.distribution == "log-uniform" and self.low <= 0:
            raise PolmapError(
                f"A log-uniform range needs a min above 0, but has {self.low}; raise it or choose "
                "another distribution."
            )

    def at(self, unit: float) -> float:
        """The value of a unit number."""
        if self.distribution == "uniform":
            # As NumPy's Generator.uniform has it, to the last bit.
            return self.low + (self.high - self.low) * unit
        if self.distribution == "log-uniform":
            return float(self.low * (self.high / self.low) ** unit)
        from statistics import NormalDist

        normal = NormalDist()
        beyond = normal.cdf(-_NORMAL_REACH)
        sigmas = normal.inv_cdf(beyond + (1 - 2 * beyond) * unit)
        share = 0.5 + sigmas / (2 * _NORMAL_REACH)
        return self.low + (self.high - self.low) * min(max(share, 0.0), 1.0)


@dataclass(frozen=True)
class Disk:
    """Vectors (x, y) uniform in a disk around the origin.

    Parameters
    ----------
    radius : float
        Of the disk.

    Raises
    ------
    PolmapError
        If it is negative.
    """

    radius: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.radius) and self.radius >= 0):
            raise PolmapError(f"A disk needs a radius of at least 0, but has {self.radius}.")

    def at(self, radius_unit: float, azimuth_unit: float) -> tuple[float, float]:
        """The vector of two unit numbers."""
        radius = self.radius * np.sqrt(radius_unit)
        azimuth = 2 * np.pi * azimuth_unit
        return float(radius * np.cos(azimuth)), float(radius * np.sin(azimuth))


@dataclass(frozen=True)
class Choice:
    """One of several values, each as likely.

    Parameters
    ----------
    values : tuple
        The values.
    """

    values: tuple[Any, ...]

    def at(self, unit: float) -> Any:
        """The value of a unit number."""
        return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]


Number = float | Choice | Range
"""A number, or what one is drawn from."""
Vector = tuple[float, float] | Choice | Disk
"""A vector (x, y), or what one is drawn from."""


def draw(parameter: Any, seed: int, name: str, run: int | None = None) -> Any:
    """The value of a parameter for a specimen, or for one of its runs.

    Parameters
    ----------
    parameter : object
        A `Range`, `Choice` or `Disk`; anything else is the value itself.
    seed, name, run
        As for `unit_number`.
    """
    if isinstance(parameter, Disk):
        stem = name.split("_")[0]
        units = (unit_number(seed, f"{stem}_{part}", run) for part in ("radius", "azimuth"))
        return parameter.at(*units)
    if isinstance(parameter, Range | Choice):
        return parameter.at(unit_number(seed, name, run))
    return parameter


def map_values(parameter: Any, check: Callable[[Any], Any]) -> Any:
    """The parameter with its values, or its ends, passed through a check."""
    if isinstance(parameter, Range):
        return Range(check(parameter.low), check(parameter.high), parameter.distribution)
    if isinstance(parameter, Choice):
        return Choice(tuple(check(value) for value in parameter.values))
    return parameter if isinstance(parameter, Disk) else check(parameter)
