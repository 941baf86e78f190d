"""Scans of a scene block by block, each with its surroundings only.

The cost of a probe grows with the area that it is computed on. A large scan is cut into blocks of
positions; each is simulated from the atoms around it, made periodic, so that the cost grows with
the number of positions and not with the scene.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.microscope import Microscope
from napari_polmap.simulation.multislice import Patterns, simulate_patterns
from napari_polmap.simulation.scenes import Scene, Surface

Floats = npt.NDArray[np.float64]
Block = tuple[slice, slice]

# A cut through the crystal may come this much closer than the padding, to pass between atoms.
_GIVE_ANGSTROM = 0.1
# What a block costs beside its probes, in probes: the potential (5 to 8 for 16 to 24 Å across).
_POTENTIAL_PROBES = 6.0
_LARGEST_BLOCK = 32


def probe_padding(microscope: Microscope, thickness_nm: float) -> float:
    """How far the atoms that a probe can feel lie from its position, in Å.

    The rays of the aperture, α at most, are ``α max(|f|, |t - f|)`` off the axis at most, f being
    the focus' depth and t the thickness; astigmatism, focal spread (three standard deviations) and
    spherical aberration widen them. To this come the lean of a tilted column over the thickness,
    the source, and the probe's own size, taken as 2 λ/α: three times the radius of the first
    minimum of an Airy disk.

    Parameters
    ----------
    microscope : Microscope
        Illumination and tilt.
    thickness_nm : float
        Largest thickness.

    Notes
    -----
    What lies farther away still matters a little, as the tails of a probe with a sharp aperture
    fall off slowly. Patterns of KNN (200 kV, 24 mrad) change by, in relative L2 norm, if beyond
    this padding the mixed sites are arranged otherwise: 0.7 % at 10, 0.6 % at 20, 0.7 % at 40 nm;
    if the polarization points the other way: 3, 3 and 2.5 %; if there is vacuum: 13, 12 and 11 %.
    Half of that remains with about twice the padding.
    """
    angle = microscope.semi_angle_mrad * 1e-3
    depth, focus = thickness_nm * 10, microscope.defocus_nm * 10
    blur = 10 * (microscope.astigmatism_nm + 3 * microscope.focal_spread_nm)
    spread = angle * (max(abs(focus), abs(depth - focus)) + blur)
    spread += abs(microscope.spherical_aberration_mm) * 1e7 * angle**3
    lean = float(np.hypot(*microscope.tilt_mrad)) * 1e-3 * depth
    own = 2 * microscope.wavelength_angstrom / angle
    return float(spread + lean + 3 * microscope.source_sigma_angstrom + own)


def block_size(step_angstrom: float, padding_angstrom: float) -> int:
    """Positions along the edge of a block for which a position costs least."""
    sizes = np.arange(1, _LARGEST_BLOCK + 1)
    area = ((sizes - 1) * step_angstrom + 2 * padding_angstrom) ** 2
    return int(sizes[(area * (1 + _POTENTIAL_PROBES / sizes**2)).argmin()])


@dataclass(frozen=True, eq=False)
class BlockScan:
    """A scan of a scene, to be simulated block by block.

    Parameters
    ----------
    scene : Scene
        The specimen.
    positions : numpy.ndarray, shape (y, x, 2)
        Probe positions (row, column) in Å in the crystal's frame.
    microscope : Microscope
        Illumination, and the tilt that the scene's bending adds to. Within a block the tilt is the
        mean over its positions.
    size : int, optional
        Positions along the edge of a block; by default `block_size`.
    padding_angstrom : float, optional
        Crystal around the block's positions on all sides; by default `probe_padding`.
    seed : int
        Decides the frozen phonons, if there are any; every block draws its own.
    options : mapping of str to object
        More keyword arguments of `simulate_patterns`, such as ``sigmas`` and ``phonons``.

    Raises
    ------
    PolmapError
        If the positions have another shape, the blocks no size or the padding is negative.
    """

    scene: Scene
    positions: Floats
    microscope: Microscope
    size: int | None = None
    padding_angstrom: float | None = None
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.positions.ndim != 3 or self.positions.shape[2] != 2 or not self.positions.size:
            raise PolmapError(
                f"Probe positions need the shape (y, x, 2), but have {self.positions.shape}; "
                "reshape them."
            )
        if (self.size is not None and self.size < 1) or (self.padding_angstrom or 0.0) < 0:
            raise PolmapError(
                f"Blocks need at least one position along their edge and a padding that is not "
                f"negative, but have {self.size} and {self.padding_angstrom} Å; correct them."
            )

    @property
    def padding(self) -> float:
        """Crystal around the positions of a block, in Å."""
        if self.padding_angstrom is not None:
            return self.padding_angstrom
        thickest = float(self.scene.thickness_at(self.positions).max())
        bending = np.linalg.norm(self.scene.bend.at(self.positions), axis=-1).max()
        return probe_padding(self.microscope, thickest) + float(bending) * 1e-2 * thickest

    def blocks(self) -> list[Block]:
        """Rows and columns of the scan that each block covers."""
        size = self.size
        if size is None:
            steps = [np.linalg.norm(np.diff(self.positions, axis=axis), axis=-1) for axis in (0, 1)]
            known = np.concatenate([step.ravel() for step in steps])
            step = float(np.median(known)) if known.size else 0.0
            size = block_size(step, self.padding)
        rows, columns = self.positions.shape[:2]
        return [
            (slice(row, min(row + size, rows)), slice(column, min(column + size, columns)))
            for row in range(0, rows, size)
            for column in range(0, columns, size)
        ]

    def window(self, block: Block) -> tuple[Floats, Floats]:
        """Corner and edges (rows, columns) in Å of what a block is simulated from.

        The edges are whole cells, and the same for all blocks, so that all patterns have the same
        pixels; square ones where the cell is a square across the beam. The corner lies where the
        cut passes between the atoms, as far as the padding lets.
        """
        edges = np.array(self.scene.crystal.cell.lengths_angstrom[:2])
        padding = self.padding
        boxes = [self._box(other) for other in self.blocks()]
        need = np.max([high - low for low, high in boxes], axis=0) + 2 * padding
        if abs(edges[0] - edges[1]) < 1e-6 * edges[0]:
            need[:] = need.max()
        lengths = np.maximum(np.ceil(need / edges - 1e-9), 1) * edges
        low, high = self._box(block)
        first = high + padding - lengths - _GIVE_ANGSTROM
        last = low - padding + _GIVE_ANGSTROM
        seam = self.scene.crystal.cell.seam()
        nearest = (np.round((first + last) / 2 / edges - seam) + seam) * edges
        return np.clip(nearest, first, last), lengths

    def simulate_block(self, block: Block) -> Patterns:
        """Patterns of a block, position by position along its rows.

        Returns
        -------
        Patterns
            One entry of the first axis for each of the scene's thicknesses; a single one, with the
            mean thickness, where the thickness varies over the scene.
        """
        low, lengths = self.window(block)
        points = self.positions[block].reshape(-1, 2)
        tilt_x, tilt_y = self.scene.bend.at(points).mean(axis=0)
        microscope = replace(
            self.microscope,
            tilt_mrad=(
                self.microscope.tilt_mrad[0] + float(tilt_x),
                self.microscope.tilt_mrad[1] + float(tilt_y),
            ),
        )
        atoms = self.scene.atoms(low, lengths)
        slice_angstrom = self.scene.crystal.cell.slice_angstrom
        place = [self.seed, block[0].start, block[1].start]
        options = {
            "slice_angstrom": slice_angstrom,
            "rng": np.random.default_rng(place),
            **self.options,
        }
        thickness = self.scene.thickness_nm
        if not isinstance(thickness, Surface):
            return simulate_patterns(atoms, points - low, microscope, list(thickness), **options)
        slices = np.round(self.scene.thickness_at(points) * 10 / slice_angstrom).astype(int)
        # Nowhere: one slice without atoms, which changes no intensity.
        chosen = np.unique(slices[slices > 0])
        parts = []
        if chosen.size:
            ends = chosen * slice_angstrom / 10
            full = simulate_patterns(atoms, points - low, microscope, list(ends), **options)
            parts.append((full, np.searchsorted(chosen, slices), slices > 0))
        if (slices == 0).any():
            empty = atoms[:0]
            thin = simulate_patterns(
                empty, points - low, microscope, [slice_angstrom / 10], **options
            )
            parts.append((thin, np.zeros(len(points), int), slices == 0))
        data = np.empty((1, len(points), *parts[0][0].data.shape[2:]), np.float32)
        for patterns, index, here in parts:
            data[0, here] = patterns.data[index[here], here]
        mean = float(slices.mean() * slice_angstrom / 10)
        return replace(parts[0][0], data=data, thickness_nm=(mean,))

    def _box(self, block: Block) -> tuple[Floats, Floats]:
        points = self.positions[block].reshape(-1, 2)
        return points.min(axis=0), points.max(axis=0)
