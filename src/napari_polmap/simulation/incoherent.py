"""Sums over what does not interfere: the places of the source and the defoci of the beam.

Patterns change with the probe's position and with the defocus only so fast, with spatial
frequencies up to 2α/λ and πα²/λ. So a Gaussian mean over either is a sum over few nodes, exact to
`TOLERANCE`: every frequency that can occur is damped as the Gaussian damps it, to that share.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import PolmapError

Floats = npt.NDArray[np.float64]

TOLERANCE = 2e-3
"""Largest error of the damping of any frequency."""

_MOST_NODES = 99


def gaussian_nodes(phase: float) -> tuple[Floats, Floats]:
    """Nodes and weights of the mean over a standard normal distribution.

    Parameters
    ----------
    phase : float
        Fastest change of what is averaged: it is a sum of cos(b x) and sin(b x) with b at most
        this.

    Returns
    -------
    nodes, weights : numpy.ndarray
        The fewest nodes that do, of Gauss and Hermite for slow changes and equally spaced for fast
        ones. The weights sum to 1.

    Raises
    ------
    PolmapError
        If it takes more than 99 nodes.
    """
    from numpy.polynomial.hermite_e import hermegauss

    if phase == 0:
        return np.zeros(1), np.ones(1)
    for count in range(1, _MOST_NODES + 1):
        nodes, weights = (np.asarray(part, dtype=np.float64) for part in hermegauss(count))
        weights /= weights.sum()
        if _damping_error(phase, nodes, weights) <= TOLERANCE:
            return nodes, weights
        if count % 2:
            # As much is cut off as is folded back by the spacing.
            spacing = (math.sqrt(phase**2 + 4 * math.pi * count) - phase) / count
            nodes = np.asarray((np.arange(count) - count // 2) * spacing, dtype=np.float64)
            weights = _normal(nodes)
            if _damping_error(phase, nodes, weights) <= TOLERANCE:
                return nodes, weights
    raise PolmapError(
        f"Averaging over the source or the focal spread would take more than {_MOST_NODES} nodes; "
        "lower the source's size or the focal spread."
    )


def grid_weights(sigma: float, spacing: float, frequency: float) -> Floats | None:
    """Weights of the neighbors on a grid that stand for a Gaussian.

    Parameters
    ----------
    sigma : float
        Standard deviation of the Gaussian.
    spacing : float
        Distance of neighbors, in the same units.
    frequency : float
        Highest spatial frequency of what is averaged, in the inverse of these units.

    Returns
    -------
    numpy.ndarray or None
        An odd number of weights that sum to 1, the middle one the position's own; ``None`` where
        the grid is too coarse.
    """
    if sigma == 0:
        return np.ones(1)
    phase = 2 * math.pi * frequency * sigma
    for reach in range(math.ceil(5 * sigma / spacing) + 1):
        nodes = np.arange(-reach, reach + 1, dtype=np.float64) * (spacing / sigma)
        weights = _normal(nodes)
        if _damping_error(phase, nodes, weights) <= TOLERANCE:
            return weights
    return None


def source_offsets(
    sigma: float, frequency: float, step: float | None = None
) -> tuple[Floats, Floats]:
    """Places of the source around the probe's position.

    Parameters
    ----------
    sigma : float
        Standard deviation of the source's image in the specimen.
    frequency : float
        Highest spatial frequency with which patterns change with the position.
    step : float, optional
        Step of a scan, in the same units: the places then lie on its grid or a finer one that
        contains it, so that neighboring positions share them.

    Returns
    -------
    offsets, weights : numpy.ndarray, shape (n, 2) and (n,)
        Along the scan's rows and columns; the weights sum to 1.
    """
    if step is None or sigma == 0:
        nodes, weights = gaussian_nodes(2 * math.pi * frequency * sigma)
        along = nodes * sigma
    else:
        parts = 1
        found = grid_weights(sigma, step, frequency)
        while found is None:
            parts += 1
            found = grid_weights(sigma, step / parts, frequency)
        weights = found
        along = (np.arange(len(weights), dtype=np.float64) - len(weights) // 2) * (step / parts)
    shares = np.outer(weights, weights).ravel()
    offsets = np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2)
    # The corners of the square weigh next to nothing; what weighs the same goes together, so that
    # the rest is as symmetric.
    ordered = np.sort(shares)
    least = ordered[np.searchsorted(np.cumsum(ordered), TOLERANCE / 4)]
    kept = shares > least * (1 - 1e-6)
    return offsets[kept], shares[kept] / shares[kept].sum()


def blur_scan(
    scan: npt.ArrayLike, step_angstrom: float, sigma_angstrom: float, frequency: float
) -> npt.NDArray[np.float32]:
    """The scan of a point source as an extended source sees it.

    For scans with a step fine enough that are there already; at the edges, within about three
    standard deviations, only the positions inside are averaged. Elsewhere
    `napari_polmap.simulation.multislice.simulate_patterns` does it exactly.

    Parameters
    ----------
    scan : array_like, shape (y, x, ky, kx)
        Patterns on a regular grid.
    step_angstrom : float
        Scan step.
    sigma_angstrom : float
        `Microscope.source_sigma_angstrom`.
    frequency : float
        `Microscope.passed_frequency`.

    Returns
    -------
    numpy.ndarray of float32, shape (y, x, ky, kx)

    Raises
    ------
    PolmapError
        If the step is too coarse for the source.
    """
    weights = grid_weights(sigma_angstrom, step_angstrom, frequency)
    if weights is None:
        raise PolmapError(
            f"A scan step of {step_angstrom:g} Å is too coarse to apply a source of "
            f"{sigma_angstrom:.3g} Å (standard deviation) afterwards; simulate with the source."
        )
    blurred = np.asarray(scan, dtype=np.float32)
    for axis in (0, 1):
        matrix = _neighbor_matrix(blurred.shape[axis], weights)
        blurred = np.moveaxis(np.tensordot(matrix, blurred, axes=(1, axis)), 0, axis)
    return blurred


def _neighbor_matrix(length: int, weights: Floats) -> npt.NDArray[np.float32]:
    """Mean over neighbors along one axis, those beyond its ends left out."""
    distance = np.subtract.outer(np.arange(length), np.arange(length)) + len(weights) // 2
    inside = (distance >= 0) & (distance < len(weights))
    matrix = np.where(inside, weights[np.clip(distance, 0, len(weights) - 1)], 0)
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), dtype=np.float32)


def _normal(nodes: Floats) -> Floats:
    weights = np.exp(-0.5 * nodes**2)
    return np.asarray(weights / weights.sum())


def _damping_error(phase: float, nodes: Floats, weights: Floats) -> float:
    """Largest error of the mean of cos(b x) over all b up to `phase`."""
    rates = np.linspace(0, phase, 200)
    mean = np.cos(np.outer(rates, nodes)) @ weights
    return float(np.abs(mean - np.exp(-0.5 * rates**2)).max())
