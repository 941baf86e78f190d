"""A few patterns of what is going to be simulated, within seconds; no Qt.

Coarser than the simulation itself: fewer positions in a cell, no more cells than the probe needs,
a coarser grid. The mean over a cell does not depend on defocus, aberrations and source size, as
beams of different scattering vectors interfere with phases that average to zero. Positions lie
evenly about the cell's corner, an inversion center of the crystal without polarization, so that
too few of them add nothing that is antisymmetric.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.simulation.cells import directions_of, make_cell, make_microscope
from napari_polmap.simulation.sections import SpecimensSpec
from napari_polmap.simulation.spec import Spec
from napari_polmap.simulation.specimens import (
    cells_across,
    draw_runs,
    draw_specimen,
    simulate_run,
)
from napari_polmap.viewer.simulation_structure import typical, typical_spec

_POSITIONS = 6
_THICKEST_NM = 30.0
_FEWEST_CELLS = 4
_PROBE_SIZES = 8
_SAMPLING, _HALF_WIDTH = 0.16, 1.3


@dataclass(frozen=True, eq=False)
class PatternPreview:
    """The mean pattern of a cell, for a direction and a thickness.

    Parameters
    ----------
    direction : str
        Its name.
    thickness_nm : float
        Of whole cells.
    pattern : numpy.ndarray, shape (ky, kx)
        The incident beam sums to 1.
    tilt_mrad : tuple of float
        Of the run.
    """

    direction: str
    thickness_nm: float
    pattern: npt.NDArray[np.float32]
    tilt_mrad: tuple[float, float]

    @property
    def antisymmetric(self) -> npt.NDArray[np.float32]:
        """Half the difference to the pattern turned by 180°."""
        return 0.5 * (self.pattern - self.pattern[::-1, ::-1])

    @property
    def antisymmetric_share(self) -> float:
        """Sum of the antisymmetric part's magnitudes as a share of the intensity."""
        return float(np.abs(self.antisymmetric).sum() / self.pattern.sum())


def iter_preview_patterns(
    spec: Spec, *, as_drawn: bool = False
) -> Generator[list[PatternPreview], None, None]:
    """Patterns of every direction at two thicknesses, direction by direction.

    Parameters
    ----------
    spec : Spec
        The description; of a scene its crystal and microscope count.
    as_drawn : bool
        With the tilt and the arrangement of the first specimen, instead of a crystal without tilt
        in the middle of all ranges.

    Yields
    ------
    list of PatternPreview
        Of a direction; an empty list first.

    Raises
    ------
    PolmapError
        If abTEM is missing or the description is impossible.
    """
    yield []
    short, seed = preview_spec(spec, as_drawn=as_drawn)
    specimen = draw_specimen(short, seed)
    if not as_drawn:
        specimen = dataclasses.replace(specimen, origin=(0.0, 0.0))
    for run in draw_runs(short, specimen, directions_of(short)):
        patterns = simulate_run(short, specimen, run)
        means = patterns.data.mean(axis=1)
        yield [
            PatternPreview(run.direction, thickness, mean, run.microscope.tilt_mrad)
            for thickness, mean in zip(patterns.thickness_nm, means, strict=True)
        ]


def preview_spec(spec: Spec, *, as_drawn: bool = False) -> tuple[Spec, int]:
    """A quick description of the same crystal, and the seed that it is made from."""
    seed = _seed(spec)
    wanted = spec.specimens
    if wanted is None:
        assert spec.scene is not None
        wanted = SpecimensSpec({"scene": (seed,)}, spec.scene.thickness_nm, _FEWEST_CELLS)
    if not as_drawn:
        spec = typical_spec(spec)
        if _in_turn_possible(spec, seed):
            spec = dataclasses.replace(
                spec, crystal=dataclasses.replace(spec.crystal, order="in turn")
            )
    microscope = make_microscope(spec, seed)
    edge = make_cell(spec, seed)[0].lengths_angstrom[0]
    wavelength, angle = microscope.wavelength_angstrom, microscope.semi_angle_mrad * 1e-3
    needed = max(_FEWEST_CELLS, math.ceil(_PROBE_SIZES * wavelength / angle / edge))
    half_width = min(spec.numerics.half_width, _HALF_WIDTH)
    finest = 0.95 * wavelength / (3 * half_width * angle)
    sampling = max(spec.numerics.sampling_angstrom, min(_SAMPLING, finest))
    plain = dataclasses.replace(
        spec.microscope, source_size_angstrom=0.0, focal_spread_nm=0.0, defocus_nm=0.0
    )
    rows, columns = cells_across(wanted)
    return dataclasses.replace(
        spec,
        scene=None,
        detector=None,
        specimens=dataclasses.replace(
            wanted,
            sets={"preview": (seed,)},
            thickness_nm=_two(wanted.thickness_nm),
            cells=(min(rows, needed), min(columns, needed)),
            positions=wanted.positions if as_drawn else min(wanted.positions, _POSITIONS),
        ),
        microscope=plain,
        numerics=dataclasses.replace(
            spec.numerics, sampling_angstrom=sampling, half_width=half_width
        ),
    ), seed


def _seed(spec: Spec) -> int:
    if spec.specimens is not None:
        return next(iter(spec.specimens.sets.values()))[0]
    assert spec.scene is not None
    return spec.scene.seeds[0]


def _two(thickness: object) -> tuple[float, ...]:
    """The thinnest, and the thickest that takes little time."""
    low, high = getattr(thickness, "low", None), getattr(thickness, "high", None)
    if low is None or high is None:
        listed = thickness if isinstance(thickness, tuple) else (typical(thickness),)
        low = min(listed)
        high = max((one for one in listed if one <= _THICKEST_NM), default=low)
    high = max(low, min(high, _THICKEST_NM))
    return (float(low),) if low == high else (float(low), float(high))


def _in_turn_possible(spec: Spec, seed: int) -> bool:
    """Whether mixed sites can be ordered, so that they leave no mark of their own."""
    cell, _ = make_cell(spec, seed)
    shares = [list(site.species.values()) for site in cell.sites]
    return all(np.allclose(one, 1 / len(one)) for one in shares)
