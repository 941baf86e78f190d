"""How far the beam wanders on the detector over a scan: a plane through the disk's positions."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from napari_polmap.diffraction.disk import Disk, follow_disk, measure_disk
from napari_polmap.errors import CalibrationError
from napari_polmap.scan import Scan
from napari_polmap.steps import finish

Floats = npt.NDArray[np.float64]

READ_BYTES = 512 * 2**20
"""Read at most, unless one block of patterns that are stored together is larger."""
_QUICK_BYTES, _SURE_BYTES = 24 * 2**20, 128 * 2**20
_QUICK_TILES, _SURE_TILES = 3, 6
_LEAST_TILES, _MOST_TILES = 4, 8
"""Along each axis of the scan."""
_TILE = 8
"""Positions along an edge of a tile, at least, where the scan is large enough for that."""
_OUTLIER = 4.0
_SIGNIFICANCE, _SUSPICION = 4.0, 2.0
_SURE, _EXPLAINED = 5.0, 0.8
_FEWEST = 6
"""Tiles that make a plane with something left to judge it by."""
_OTHER_RADIUS = 0.1
_LEAST_SHARE = 0.01
"""The beam's way over the scan, in radii of the disk, that is worth a correction."""
_CRYSTAL_PX = 0.06
"""What differences of thickness and polarization do to the measured way, standard deviation."""


@dataclass(frozen=True)
class Descan:
    """The beam's way on the detector.

    Parameters
    ----------
    descan_px : (float, float, float, float)
        Pixels per position, (dky/dy, dky/dx, dkx/dy, dkx/dx), as in
        `napari_polmap.calibration.Calibration`.
    center_px : (float, float)
        Center (ky, kx) of the disk in the middle of the scan.
    radius_px : float
        Median radius of the disks of parts of the scan, which is not smeared by the descan.
    range_px : float
        Way from corner to corner of the scan, along the longer diagonal.
    error_px : float
        Standard error of the center at the scan's corners.
    significance : float
        Largest component of the way in units of its standard error, in which what the crystal does
        to the disk's edge is included.
    explained : float
        Share of the centers' variance over the parts of the scan that the plane explains, 0..1.
    tiles : int
        Parts of the scan in which the disk was found and fits in with the others.
    """

    descan_px: tuple[float, float, float, float]
    center_px: tuple[float, float]
    radius_px: float
    range_px: float
    error_px: float
    significance: float
    explained: float
    tiles: int

    @property
    def significant(self) -> bool:
        """Whether it is more than noise, and large enough to matter."""
        return self._large and self.significance > _SIGNIFICANCE

    @property
    def beyond_doubt(self) -> bool:
        """Whether it may be taken out without asking.

        Then it is a plane indeed: a wall between domains, or a scan of one cell, makes steps and
        waves, of which a plane explains no more than three quarters.
        """
        return self._large and self.significance > _SURE and self.explained > _EXPLAINED

    @property
    def suspected(self) -> bool:
        """Whether it is worth to look closer."""
        return self._large and self.significance > _SUSPICION

    @property
    def _large(self) -> bool:
        return self.range_px > _LEAST_SHARE * self.radius_px


@dataclass(frozen=True)
class DescanProgress:
    """How far `iter_descan` is: parts of the scan."""

    done: int
    total: int


def measure_descan(
    scan: Scan,
    progress: Callable[[DescanProgress], object] | None = None,
    *,
    read_bytes: int = READ_BYTES,
) -> Descan | None:
    """Run `iter_descan` to its end."""
    return finish(iter_descan(scan, read_bytes=read_bytes), progress)


def iter_descan(
    scan: Scan, *, read_bytes: int = READ_BYTES, most_tiles: int = _MOST_TILES
) -> Generator[DescanProgress, None, Descan | None]:
    """Measure how the beam wanders over the detector while it scans.

    Parameters
    ----------
    scan : Scan
    read_bytes : int
        Patterns to read, about; at least one block of what is stored together, or two rows of
        eight, for every part.
    most_tiles : int
        Parts along each axis of the scan.

    Yields
    ------
    DescanProgress

    Returns
    -------
    Descan or None
        ``None`` where it cannot be told: fewer than four by four positions, or too few parts of
        the scan with a disk.

    Raises
    ------
    ScanError
        If patterns cannot be read.

    Notes
    -----
    The disk's center is found by its edge in the mean patterns of tiles of the scan: over whole
    cells the center of mass wanders with the crystal's thickness and tilt, the edge does not. A
    plane is fitted by least squares, tiles that depart from it by more than four standard
    deviations are left out.
    """
    if min(scan.scan_shape) < _LEAST_TILES:
        return None
    cell = scan.calibration.cell_positions
    rows, columns = (_edges(n, cell, most_tiles) for n in scan.scan_shape)
    tiles = [(top, left) for top in pairwise(rows) for left in pairwise(columns)]
    # From the middle outward, so that each disk is looked for where its neighbor's was.
    down, across = ((n - 1) / 2 for n in scan.scan_shape)

    def from_middle(tile: tuple[tuple[int, int], tuple[int, int]]) -> float:
        (top, bottom), (left, right) = tile
        return float(np.hypot((top + bottom) / 2 - down, (left + right) / 2 - across))

    tiles.sort(key=from_middle)
    rng = np.random.default_rng(0)
    found: list[tuple[Floats, Disk]] = []
    for number, (top, left) in enumerate(tiles):
        sample = _sample(scan, slice(*top), slice(*left), read_bytes // len(tiles), rng)
        if sample is not None:
            pattern, place = sample
            disk = _find(pattern, place, found, scan)
            if disk is not None:
                found.append((place, disk))
        yield DescanProgress(number + 1, len(tiles))
    if len(found) < max(_FEWEST, len(tiles) / 2):
        return None
    return _plane(found, scan)


def quick_descan(scan: Scan) -> Descan | None:
    """A descan beyond doubt, or None; quick, as a scan without one is told from a few parts of it.

    Scans of which even these take long to read are left to `iter_descan`.

    Raises
    ------
    ScanError
        If patterns cannot be read.
    """
    if _QUICK_TILES**2 * _block_bytes(scan) > 2 * _QUICK_BYTES:
        return None
    found = finish(iter_descan(scan, read_bytes=_QUICK_BYTES, most_tiles=_QUICK_TILES))
    if found is None or not found.suspected:
        return None
    found = finish(iter_descan(scan, read_bytes=_SURE_BYTES, most_tiles=_SURE_TILES))
    return found if found is not None and found.beyond_doubt else None


def _block_bytes(scan: Scan) -> int:
    """What one tile costs to read at least: the patterns that are stored together."""
    return int(np.prod(scan.storage) * np.prod(scan.detector_shape)) * scan.dtype.itemsize


def _edges(positions: int, cell: float | None, most: int) -> list[int]:
    """Where the tiles along an axis begin and end: parts of a cell tell nothing of the beam."""
    least = min(positions, _LEAST_TILES)
    if cell is not None and cell > 1:
        least = max(1, min(least, int(positions / cell)))
    number = int(np.clip(positions // max(_TILE, round(cell or 0)), least, most))
    return [round(edge) for edge in np.linspace(0, positions, number + 1)]


def _sample(
    scan: Scan, rows: slice, columns: slice, read_bytes: int, rng: np.random.Generator
) -> tuple[Floats, Floats] | None:
    """Mean pattern of a tile and the mean position of what it is made of."""
    height, width = rows.stop - rows.start, columns.stop - columns.start
    pattern_bytes = int(np.prod(scan.detector_shape)) * scan.dtype.itemsize
    if height * width * pattern_bytes <= read_bytes:
        parts = [(rows, columns)]
    elif scan.storage == (1, 1):
        # Runs of about a cell at random places: no beat of a regular grid with the lattice.
        run = min(width, max(_TILE, round(scan.calibration.cell_positions or 0)))
        number = max(2, read_bytes // (run * pattern_bytes))
        parts = []
        for _ in range(number):
            y = int(rng.integers(rows.start, rows.stop))
            x = int(rng.integers(columns.start, columns.stop - run + 1))
            parts.append((slice(y, y + 1), slice(x, x + run)))
    else:
        parts = _stored(scan, rows, columns, max(1, read_bytes // _block_bytes(scan)), rng)
    total, place, count = np.zeros(scan.detector_shape), np.zeros(2), 0
    for part in parts:
        block = scan.read(*part)
        flat = block.reshape(-1, *scan.detector_shape)
        good = (
            np.isfinite(flat).all(axis=(1, 2))
            if flat.dtype.kind == "f"
            else np.ones(len(flat), bool)
        )
        total += flat[good].sum(axis=0, dtype=np.float64)
        grid = np.mgrid[part].reshape(2, -1)[:, good]
        place += grid.sum(axis=1)
        count += int(good.sum())
    return (total / count, place / count) if count else None


def _stored(
    scan: Scan, rows: slice, columns: slice, number: int, rng: np.random.Generator
) -> list[tuple[slice, slice]]:
    """Some of the blocks that are stored together and lie in a tile, cut to it."""
    starts = [
        range(part.start // size * size, part.stop, size)
        for part, size in zip((rows, columns), scan.storage, strict=True)
    ]
    blocks = [(y, x) for y in starts[0] for x in starts[1]]
    chosen = rng.permutation(len(blocks))[:number]
    height, width = scan.storage
    return [
        (
            slice(max(y, rows.start), min(y + height, rows.stop)),
            slice(max(x, columns.start), min(x + width, columns.stop)),
        )
        for y, x in (blocks[index] for index in chosen)
    ]


def _find(
    pattern: Floats, place: Floats, found: list[tuple[Floats, Disk]], scan: Scan
) -> Disk | None:
    try:
        if not found:
            return measure_disk(pattern, scan.bad_pixels)
        nearest = min(found, key=lambda other: float(np.hypot(*(other[0] - place))))
        return follow_disk(pattern, nearest[1], scan.bad_pixels)
    except CalibrationError:
        return None


def _plane(found: list[tuple[Floats, Disk]], scan: Scan) -> Descan | None:
    half = np.array([(n - 1) / 2 for n in scan.scan_shape])
    places = np.array([place for place, _ in found]) - half
    centers = np.array([disk.center_px for _, disk in found])
    design = np.column_stack([np.ones(len(places)), places])
    radii = np.array([disk.radius_px for _, disk in found])
    radius = float(np.median(radii))
    # Another radius is another edge than the disk's.
    alike = np.abs(radii / radius - 1) < _OTHER_RADIUS
    if alike.sum() < _FEWEST:
        return None
    use = alike
    for _ in range(10):
        solution, *_ = np.linalg.lstsq(design[use], centers[use], rcond=None)
        distance = np.hypot(*(centers - design @ solution).T)
        # Of two normal components, the median length is 1.18 standard deviations.
        limit = _OUTLIER * max(float(np.median(distance[use])) / 1.18, 1e-3)
        kept = alike & (distance < limit)
        if np.array_equal(kept, use) or kept.sum() < _FEWEST:
            break
        use = kept
    residual = (centers - design @ solution)[use]
    freedom = 2 * (int(use.sum()) - 3)
    apart = float(((centers[use] - centers[use].mean(axis=0)) ** 2).sum())
    variance = float((residual**2).sum()) / freedom
    covariance = np.linalg.pinv(design[use].T @ design[use]) * variance
    slopes = solution[1:].T
    errors = np.sqrt(np.diag(covariance)[1:])
    corners = half * np.array([[1, 1], [1, -1]])
    ways = [2 * float(np.hypot(*(slopes @ corner))) for corner in corners]
    ways_apart = 2 * half * np.abs(slopes)
    uncertain = np.hypot(2 * half * errors, _CRYSTAL_PX)
    at_corner = np.concatenate([[1.0], half])
    return Descan(
        descan_px=tuple(float(v) for v in slopes.ravel()),  # type: ignore[arg-type]
        center_px=(float(solution[0, 0]), float(solution[0, 1])),
        radius_px=radius,
        range_px=max(ways),
        error_px=float(np.sqrt(at_corner**2 @ np.diag(covariance))),
        significance=_normal((ways_apart / uncertain).max(), freedom),
        explained=1 - float((residual**2).sum() / max(apart, 1e-12)),
        tiles=int(use.sum()),
    )


def _normal(deviations: float, freedom: int) -> float:
    """Standard deviations as if they were known exactly, of such as are estimated from few data."""
    from scipy import stats

    # Far out both are beyond doubt, and their probabilities too small for numbers.
    return float(min(deviations, stats.norm.isf(max(stats.t.sf(deviations, freedom), 1e-300))))
