"""Square lattices in images: found in the Fourier transform, refined by least squares."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.diffraction.lattice_peaks import (
    HIGHEST_ORDER,
    LEAST_PERIODS,
    LEAST_POSITIONS,
    square_candidates,
)

Floats = npt.NDArray[np.float64]

_UNEQUAL = 0.05
"""Power along one edge over that along the other, at least."""
_MOST_DEPARTURE = 0.035
"""Departure from a square up to which a lattice is one (seen through a distorted scan)."""
_BASIC = 0.3
"""Share of the lattice's own variance that waves of twice its cell must not explain."""
_SHIFT = 0.01
"""Cells by which domains and drift may shift the lattice from one side to the other, unseen."""
_UNRESOLVED = 0.25
"""Periods per image by which a harmonic folded beside a peak may shift it."""
_STEPS = 12


@dataclass(frozen=True)
class SquareFit:
    """A square lattice fitted to images.

    Parameters
    ----------
    period : float
        Edge of the square in positions.
    angle_deg : float
        Angle of an edge against +x, counter-clockwise with +y up, in (-45, 45].
    period_error, angle_error_deg : float
        Standard errors: from the residuals, which may be alike within a cell, and from the
        departure.
    departure : float
        How far the two edges depart from a square: the strain that turns one into the other.
    strength : float
        Share of the images' variance (mean over the images) that the lattice explains.
    """

    period: float
    angle_deg: float
    period_error: float
    angle_error_deg: float
    departure: float
    strength: float


def fit_square_lattice(images: npt.NDArray[np.floating]) -> SquareFit | None:
    """The square lattice of images, None where there is none.

    Parameters
    ----------
    images : ndarray, shape (n, y, x)
        Images of the same positions; each counts by what it shows above its own noise.

    Returns
    -------
    SquareFit or None
        None if no two peaks of the Fourier transform, a right angle and the same length apart,
        stand above the noise, with at least about three periods in the images, or if the
        lattice is none of squares.

    Notes
    -----
    The periodogram is divided by each image's noise floor (a quantile in rings of frequency). A
    pair of peaks is the smaller of the values at g and at g turned by 90 degrees. The shortest pair
    that explains the others as its harmonics starts a least-squares fit of both reciprocal vectors
    to all harmonics in all images, amplitudes and phases eliminated (variable projection: Golub and
    Pereyra, SIAM J. Numer. Anal. 10, 413 (1973), with Kaufman's approximation, BIT 15, 49 (1975)).
    It includes harmonics beyond the Nyquist frequency where they fold to places of their own. The
    errors are those of clustered residuals (Liang and Zeger, Biometrika 73, 13 (1986)).
    """
    rows, columns = images.shape[1:]
    if min(rows, columns) < LEAST_PERIODS * LEAST_POSITIONS:
        return None
    flat = _detrended(np.asarray(images, float))
    if not len(flat):
        return None
    for start in square_candidates(flat):
        fit = _refined(flat, start)
        if fit is not None:
            return fit
    return None


def _detrended(images: Floats) -> Floats:
    """The images without their plane, of unit variance; those without any contrast left out."""
    y, x = _places(images.shape[1:])
    basis = np.linalg.qr(np.stack([np.ones_like(y), y, x], axis=1))[0]
    data = images.reshape(len(images), -1)
    rest = data - (data @ basis) @ basis.T
    spread = rest.std(axis=1)
    used = spread > 1e-9 * np.abs(data).max(axis=1)
    return np.asarray((rest[used] / spread[used, None]).reshape(-1, *images.shape[1:]))


def _places(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Rows and columns of all positions from the middle, flattened."""
    y, x = np.indices(shape[-2:], dtype=float)
    return (y - (shape[-2] - 1) / 2).ravel(), (x - (shape[-1] - 1) / 2).ravel()


# Reciprocal vectors are (row, column) per position from here on.


def _refined(images: Floats, start: complex) -> SquareFit | None:
    """Least squares from a start; None where it does not end near it on a square."""
    shape = images.shape[1:]
    data = images.reshape(len(images), -1).T
    begin = vectors = np.array([[-v.imag, v.real] for v in (start, 1j * start)])
    first = _harmonics(start, shape, reach=2.0)
    vectors, _ = _descend(data, shape, vectors, first)
    if np.abs(vectors - begin).max() * max(shape) > 1.5:
        return None
    harmonics = _harmonics(complex(vectors[0, 1], -vectors[0, 0]), shape, reach=9.0)
    vectors, model = _descend(data, shape, vectors, harmonics)
    one, two = (complex(v[1], -v[0]) for v in vectors)
    mean, other = (one - 1j * two) / 2, (one + 1j * two) / 2
    departure = 2 * abs(other) / abs(mean)
    moved = abs(mean - start) * math.hypot(*shape)
    periods = abs(mean) * min(shape)
    if not (departure < _MOST_DEPARTURE and moved < 1.5 and periods >= LEAST_PERIODS):
        return None
    alone = (np.array([wave]) for wave in ((1, 0), (0, 1)))
    along = [_linear(data, shape, vectors, wave).explained.mean() for wave in alone]
    if min(along) < _UNEQUAL * max(along):
        return None
    for longer in (vectors / 2, np.array([vectors[0] - vectors[1], vectors[0] + vectors[1]]) / 2):
        # Of a larger cell too few of which are seen, the harmonics look like a lattice.
        if np.hypot(*longer[0]) * min(shape) < LEAST_PERIODS:
            basic = _linear(data, shape, longer, np.array([(1, 0), (0, 1)])).explained.mean()
            if basic > _BASIC * model.explained.mean():
                return None
    return _square(model, vectors, mean, departure, shape)


def _harmonics(start: complex, shape: tuple[int, ...], reach: float) -> npt.NDArray[np.int_]:
    """Index pairs of harmonics (one of each pair of opposite ones) that stand apart, folded."""
    pairs = [
        (m, n)
        for m in range(-HIGHEST_ORDER, HIGHEST_ORDER + 1)
        for n in range(HIGHEST_ORDER + 1)
        if n > 0 or m > 0
    ]
    pairs = sorted((p for p in pairs if 0 < np.hypot(*p) ** 2 <= reach), key=lambda p: np.hypot(*p))
    most = max(2, shape[0] * shape[1] // 12)
    taken: list[tuple[int, int]] = []
    places: list[complex] = [0j]
    for m, n in pairs[:most]:
        place = (m + 1j * n) * start
        # A wave beside its own opposite (at the Nyquist frequency) has no amplitude to speak of.
        others = [place - p for p in places] + [place + p for p in places] + [2 * place]
        if abs(place) < 1.0 and all(_apart(other, shape) for other in others):
            taken.append((m, n))
            places.append(place)
    return np.array(taken)


def _apart(difference: complex, shape: tuple[int, ...]) -> bool:
    """Whether two waves of such a difference, folded, can be told apart in the images."""
    across = abs(difference.real - round(difference.real)) * shape[1]
    down = abs(difference.imag - round(difference.imag)) * shape[0]
    return across > 1.5 or down > 1.5


def _unfolded(start: complex, shape: tuple[int, ...]) -> bool:
    """Whether no second-order wave is folded onto a first one, as at three positions a cell."""
    first = [sign * turn * start for sign in (1, -1) for turn in (1, 1j)]
    second = [order * start for order in (2, 2j, 1 + 1j, 1 - 1j)]
    return all(_apart(one - two, shape) for one in first for two in second)


@dataclass(frozen=True)
class _Model:
    """Residuals and Jacobians at a point of the fit: (n, images) and (images, n, 4)."""

    residual: Floats
    jacobian: Floats
    explained: Floats


def _linear(
    data: Floats, shape: tuple[int, ...], vectors: Floats, harmonics: npt.NDArray[np.int_]
) -> _Model:
    """Amplitudes by linear least squares, and how the rest depends on the reciprocal vectors."""
    y, x = _places(shape)
    waves = harmonics @ vectors  # (h, 2)
    phase = 2 * np.pi * (np.outer(y, waves[:, 0]) + np.outer(x, waves[:, 1]))
    cosine, sine = np.cos(phase), np.sin(phase)
    basis = np.concatenate([np.stack([np.ones_like(y), y, x], axis=1), cosine, sine], axis=1)
    q, r = np.linalg.qr(basis)
    projected = q.T @ data
    amplitudes = np.linalg.solve(r, projected)[3:]
    residual = data - q @ projected
    count = len(harmonics)
    jacobian = np.empty((data.shape[1], len(data), 4))
    for index in range(data.shape[1]):
        along, against = amplitudes[:count, index], amplitudes[count:, index]
        slope = 2 * np.pi * (cosine * against - sine * along)  # (n, h)
        for k in range(2):
            part = slope @ harmonics[:, k]
            jacobian[index, :, 2 * k] = part * y
            jacobian[index, :, 2 * k + 1] = part * x
        jacobian[index] -= q @ (q.T @ jacobian[index])
    left = (residual**2).sum(axis=0)
    return _Model(residual, jacobian, 1 - left / (data**2).sum(axis=0))


def _weights(model: _Model) -> Floats:
    """One over each image's residual variance, within a range: no image alone decides."""
    variance = (model.residual**2).mean(axis=0)
    return np.asarray(1 / np.maximum(variance, 0.01))


def _descend(
    data: Floats, shape: tuple[int, ...], vectors: Floats, harmonics: npt.NDArray[np.int_]
) -> tuple[Floats, _Model]:
    """Gauss-Newton steps on both reciprocal vectors, halved where they lead up."""
    model = _linear(data, shape, vectors, harmonics)
    for _ in range(_STEPS):
        weights = _weights(model)
        cost = float(weights @ (model.residual**2).sum(axis=0))
        normal, slope = _normal(model, weights)
        step = np.linalg.lstsq(normal, slope, rcond=1e-10)[0].reshape(2, 2)
        for _ in range(6):
            trial = _linear(data, shape, vectors + step, harmonics)
            if float(weights @ (trial.residual**2).sum(axis=0)) <= cost:
                break
            step = step / 2
        else:
            break
        vectors, model = vectors + step, trial
        if np.abs(step).max() * max(shape) < 1e-5:
            break
    return vectors, model


def _normal(model: _Model, weights: Floats) -> tuple[Floats, Floats]:
    normal, slope = np.zeros((4, 4)), np.zeros(4)
    for index, weight in enumerate(weights):
        jacobian = model.jacobian[index]
        normal += weight * jacobian.T @ jacobian
        slope += weight * jacobian.T @ model.residual[:, index]
    return normal, slope


def _square(
    model: _Model, vectors: Floats, mean: complex, departure: float, shape: tuple[int, ...]
) -> SquareFit:
    """The square nearest to two vectors by their precision, with its errors."""
    weights = _weights(model)
    normal, _ = _normal(model, weights)
    # A square's vectors: (row, column) = (-v, u) and (-u, -v) of u + iv.
    square = np.array([[0.0, -1.0], [1.0, 0.0], [-1.0, 0.0], [0.0, -1.0]])
    inverse = np.linalg.pinv(square.T @ normal @ square)
    u, v = inverse @ square.T @ normal @ vectors.ravel()
    g = complex(u, v)
    if abs(g - mean) > _MOST_DEPARTURE * abs(mean):
        g = mean
    scores = np.einsum("ink,ni,i->nk", model.jacobian, model.residual, weights)
    clusters = _cluster_sums(scores, shape, 1 / abs(mean))
    count = len(clusters)
    meat = clusters.T @ clusters * count / max(1, count - 4)
    spread = inverse @ square.T @ meat @ square @ inverse
    along = np.array([g.real, g.imag]) / abs(g)
    across = np.array([-along[1], along[0]])
    free = np.linalg.pinv(normal)
    expected = np.trace(free @ meat @ free) / 4 / abs(g) ** 2
    # A strain that makes a square's edges unequal turns and stretches it as much.
    strain = np.sqrt(max(0.0, (departure / 2) ** 2 - expected) / 2)
    strain = np.hypot(strain, _SHIFT * np.sqrt(2) / (abs(g) * math.hypot(*shape)))
    if not _unfolded(g, shape):
        strain = np.hypot(strain, _UNRESOLVED / (abs(g) * min(shape)))
    relative = np.hypot(np.sqrt(max(0.0, along @ spread @ along)) / abs(g), strain)
    turn = np.hypot(np.sqrt(max(0.0, across @ spread @ across)) / abs(g), strain)
    angle = np.degrees(np.angle(g))
    return SquareFit(
        period=1 / abs(g),
        angle_deg=float(45 - (45 - angle) % 90),
        period_error=float(relative / abs(g)),
        angle_error_deg=float(np.degrees(turn)),
        departure=float(departure),
        strength=float(np.clip(model.explained, 0, 1).mean()),
    )


def _cluster_sums(scores: Floats, shape: tuple[int, ...], period: float) -> Floats:
    """Sums over squares of about one cell, shape (squares, 4)."""
    rows, columns = np.indices(shape[-2:])
    edge = max(2.0, period)
    across = int(np.ceil(shape[-1] / edge))
    index = (rows // edge * across + columns // edge).astype(int).ravel()
    return np.stack([np.bincount(index, scores[:, k]) for k in range(scores.shape[1])], axis=1)
