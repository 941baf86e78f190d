"""Diffracted disks that do not overlap: which is the direct beam's, and where it is exactly.

Where the disks stand apart (nanobeam) a diffracted one may be as bright as the direct beam's, and
small disks are few pixels, so that the structure inside of one moves its fitted center. Many disks
of a lattice know better than one where its origin is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.diffraction.disk_edge import Bools, Edge, Floats, coarse_edge, fine_edge
from napari_polmap.errors import CalibrationError

_RIVAL = 0.4
"""A disk nearer to the middle of the detector, and this bright at least, is the direct beam's."""
_ALIKE = 0.8
"""Of the direct beam's brightness: it is doubtful where another disk has as much."""
_FAINTEST, _MOST = 0.04, 21
"""Disks of a lattice: brightness relative to the brightest, and how many at most."""
_FEWEST = 5
_LEAST_CONTRAST = 0.25
_OFF_LATTICE = 0.3
"""Largest departure of a disk from its place on the lattice, in radii."""
_FARTHEST = 0.15
"""Largest correction of the direct beam's center, in radii."""
_ROUNDS = 4


@dataclass(frozen=True)
class Spot:
    """A round bright area.

    Parameters
    ----------
    center : ndarray, shape (2,)
        Row and column, to a fraction of a pixel.
    brightness : float
        Its mean less that of its surroundings.
    """

    center: Floats
    brightness: float


def find_spots(pattern: Floats, use: Bools, radius: float) -> list[Spot]:
    """Bright disks of a radius that stand apart, the brightest first.

    Parameters
    ----------
    pattern : ndarray, shape (ky, kx)
    use : ndarray of bool, shape (ky, kx)
        Pixels that count.
    radius : float
        In pixels.
    """
    from scipy import ndimage

    inside, around = _means(pattern, use, radius)
    gain = np.nan_to_num(inside - around)
    distinct = gain > np.maximum(_LEAST_CONTRAST * np.nan_to_num(inside), _FAINTEST * gain.max())
    size = 2 * int(0.9 * radius) + 1
    peak = (ndimage.maximum_filter(gain, size) == gain) & distinct & (gain > 0)
    places = np.argwhere(peak)
    spots = [Spot(_summit(gain, place), float(gain[tuple(place)])) for place in places]
    return sorted(spots, key=lambda spot: -spot.brightness)


def _summit(gain: Floats, place: npt.NDArray[np.intp]) -> Floats:
    """Where parabolas through a largest pixel and its neighbors are highest."""
    found = place.astype(float)
    for axis in (0, 1):
        if 0 < place[axis] < gain.shape[axis] - 1:
            step = np.eye(2, dtype=int)[axis]
            below, top, above = (float(gain[tuple(place + k * step)]) for k in (-1, 0, 1))
            curve = 2 * top - below - above
            found[axis] += 0.5 * (above - below) / curve if curve > 0 else 0.0
    return found


def clearest_disk(pattern: Floats, use: Bools) -> tuple[tuple[float, float], float] | None:
    """Center and radius of the clearest disk, where brightness alone parts none from the others.

    Over radii, the disk that stands out most from the ring around it, by the length of its edge;
    ``None`` unless it and its neighbors form a lattice, as noise does not.
    """
    best: tuple[float, list[Spot], float] | None = None
    for radius in np.geomspace(3, min(pattern.shape) / 5, 16):
        spots = find_spots(pattern, use, float(radius))
        if spots and (best is None or spots[0].brightness * radius > best[0]):
            best = spots[0].brightness * radius, spots, float(radius)
    if best is None:
        return None
    _, spots, radius = best
    center = float(spots[0].center[0]), float(spots[0].center[1])
    found = on_lattice(pattern, use, spots, Edge(*center, radius, 0.1 * radius))
    return None if found is None else (center, found.radius)


def direct_beam(spots: list[Spot], edge: Edge, shape: tuple[int, ...]) -> tuple[Spot | None, bool]:
    """The disk that is most likely the direct beam's, and whether that is doubtful.

    A thick tilted crystal may send more electrons into a diffracted beam than it leaves in the
    direct one. Among disks of like brightness the one nearest to the detector's middle is taken;
    it is doubtful where another one is as bright.

    Parameters
    ----------
    spots : list of Spot
        From `find_spots`.
    edge : Edge
        The clearest disk's.
    shape : (int, int)
        Of the detector.
    """
    middle = (np.array(shape) - 1) / 2
    own = np.array([edge.center_y, edge.center_x])
    mine = next((s for s in spots if np.hypot(*(s.center - own)) < edge.radius), None)
    if mine is None:
        return None, False
    rivals = [s for s in spots if s.brightness > _RIVAL * mine.brightness]
    beam = min(rivals, key=lambda s: float(np.hypot(*(s.center - middle))))
    return beam, any(s.brightness > _ALIKE * beam.brightness for s in spots if s is not beam)


def territories(spots: list[Spot], shape: tuple[int, ...]) -> npt.NDArray[np.intp]:
    """Index of the nearest spot for each pixel.

    Disks that nearly touch would lie in the ring in which the edge of one is fitted; it is fitted
    in the pixels nearest to it.
    """
    from scipy.spatial import cKDTree

    centers = np.array([spot.center for spot in spots]).reshape(-1, 2)
    if len(centers) < 2:
        return np.zeros(shape, np.intp)
    _, nearest = cKDTree(centers).query(np.indices(shape).reshape(2, -1).T)
    return np.asarray(nearest, np.intp).reshape(shape)


def territory(spots: list[Spot], own: Floats, use: Bools) -> Bools:
    """Pixels that count and lie nearer to the spot at `own` than to the others."""
    if len(spots) < 2:
        return use
    mine = int(np.argmin([np.hypot(*(spot.center - own)) for spot in spots]))
    return np.asarray(use & (territories(spots, use.shape) == mine))


def on_lattice(pattern: Floats, use: Bools, spots: list[Spot], edge: Edge) -> Edge | None:
    """The direct beam's edge by the lattice that it and its neighbors form.

    Parameters
    ----------
    pattern, use : ndarray, shape (ky, kx)
    spots : list of Spot
        From `find_spots`.
    edge : Edge
        The direct beam's, as it was fitted alone.

    Returns
    -------
    Edge or None
        ``None`` where too few disks lie on a lattice.
    """
    fitted, weights = [], []
    nearest = territories(spots, pattern.shape)
    reach = 1.6 * edge.radius + 4
    for number, spot in enumerate(spots[:_MOST]):
        corner = np.maximum(spot.center - reach, 0).astype(int)
        end = (spot.center + reach).astype(int) + 1
        box = slice(corner[0], end[0]), slice(corner[1], end[1])
        inside, mine = pattern[box], use[box] & (nearest[box] == number)
        row, column = (float(place) for place in spot.center - corner)
        start = Edge(row, column, edge.radius, edge.width)
        try:
            found = fine_edge(inside, mine, coarse_edge(inside, mine, start), ellipse=False).edge
        except CalibrationError:
            continue
        if abs(found.radius / edge.radius - 1) < _OFF_LATTICE:
            fitted.append([found.center_y + corner[0], found.center_x + corner[1], found.radius])
            weights.append(spot.brightness)
    if len(fitted) < _FEWEST:
        return None
    values, own = np.array(fitted), np.array([edge.center_y, edge.center_x])
    origin = _origin(values[:, :2], np.sqrt(weights), own, edge.radius)
    if origin is None or np.hypot(*(origin - own)) > _FARTHEST * edge.radius:
        return None
    return Edge(float(origin[0]), float(origin[1]), float(np.median(values[:, 2])), edge.width)


def _origin(
    centers: Floats, weights: npt.NDArray[np.float64], own: Floats, radius: float
) -> Floats | None:
    """Where a lattice fitted to disks has the node that lies at `own`."""
    offsets = centers - own
    lengths = np.hypot(*offsets.T)
    near = [offsets[k] for k in np.argsort(lengths) if lengths[k] > 1.5 * radius]
    apart = [
        v
        for v in near[1:]
        if abs(near[0][0] * v[1] - near[0][1] * v[0]) > 0.5 * np.hypot(*near[0]) * np.hypot(*v)
    ]
    if not apart:
        return None
    basis, origin = np.array([near[0], apart[0]]), own
    for _ in range(_ROUNDS):
        index = np.round((centers - origin) @ np.linalg.inv(basis))
        misfit = np.hypot(*(centers - origin - index @ basis).T) / radius
        use = misfit < _OFF_LATTICE
        if use.sum() < _FEWEST or np.linalg.matrix_rank(index[use] - index[use].mean(0)) < 2:
            return None
        # Disks that were fitted badly count less (Cauchy's weights).
        scale = max(2 * float(np.median(misfit[use])), 1e-3)
        share = (weights / (1 + (misfit / scale) ** 2))[use, None]
        design = np.column_stack([np.ones(len(index)), index])[use] * share
        solved, *_ = np.linalg.lstsq(design, centers[use] * share, rcond=None)
        origin, basis = solved[0], solved[1:]
    return np.asarray(origin)


def _means(pattern: Floats, use: Bools, radius: float) -> tuple[Floats, Floats]:
    """Mean within a disk and within the ring around it, at every pixel; NaN near the borders."""
    from scipy.signal import fftconvolve

    reach = int(np.ceil(1.3 * radius)) + 1
    distance = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    counted = use.astype(float)
    found = []
    for kernel in (
        np.clip(radius + 0.5 - distance, 0, 1),
        ((distance > radius + 0.5) & (distance < 1.3 * radius + 0.8)).astype(float),
    ):
        total = fftconvolve(np.where(use, pattern, 0), kernel, mode="same")
        share = fftconvolve(counted, kernel, mode="same")
        # At the detector's border only disks that lie on it for the most part.
        known = share > 0.7 * kernel.sum()
        found.append(np.where(known, total / np.maximum(share, 1e-9), np.nan))
    return found[0], found[1]
