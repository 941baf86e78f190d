"""Rotation and flip of the detector against the scan, from the curl of the center of mass."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.diffraction.lattice import Lattice, find_lattice
from napari_polmap.diffraction.part_images import PartImages, Region, iter_part_images
from napari_polmap.scan import Scan
from napari_polmap.steps import finish

Floats = npt.NDArray[np.float64]
Waves = npt.NDArray[np.complex128]

NO_LATTICE = (
    "No crystal lattice is seen in the scan. The center of mass tells the detector's rotation only "
    "where the scan resolves the lattice, with at least three positions per cell; take the "
    "rotation from a scan of a known crystal at the same camera length."
)
NO_FIELD = (
    "The center of mass shows too little of the lattice to tell the detector's rotation; use "
    "a scan with more electrons or a larger part of it."
)
NO_ROTATION = (
    "The center of mass follows the lattice no better for one rotation than for another; "
    "the specimen is too thick or too tilted here."
)
HINT = (
    "Atoms attract the beam in a thin specimen. In simulations of KNN this named the right one in "
    "4 of 4 cases at 2 nm and 7 of 8 at 4 to 8 nm, but only in 15 of 32 in thicker ones: no better "
    "than a coin."
)
"""How far `Rotation.hint` can be trusted (tilts to 2 mrad, defocus to 3 nm, 200 kV, 24 mrad)."""
_ORDER = 3
_SIGNAL = 8.0
"""Power of a harmonic over its noise from which on it counts."""
_LEAST_HARMONICS = 3
_SATURATION = 0.05
"""Weights stop growing where a harmonic's power is beyond the noise by one over this: tilt and
thickness, not noise, limit the strong ones."""
_SAME_DEG = 0.05
_MOST_CURL = 0.3
"""Share of curl above which a rotation is none (0.5: as much as in noise)."""
_CHANCE = 0.01
"""That the curls of the two flips differ as much if neither were better."""


class Candidate(NamedTuple):
    """A way to bring patterns into the scan's frame: flip first, then rotation."""

    rotation_deg: float
    flip: bool

    def holds(self, calibration: Calibration) -> bool:
        """Whether a calibration has this rotation and flip."""
        off = (calibration.rotation_deg - self.rotation_deg + 180) % 360 - 180
        return abs(off) < _SAME_DEG and calibration.flip == self.flip

    def implied_angle(self, angle_deg: float, calibration: Calibration) -> float:
        """What a direction becomes that was found with another rotation and flip.

        Parameters
        ----------
        angle_deg : float
            As shown, counter-clockwise from +x with +y up.
        calibration : Calibration
            What it was found with.

        Returns
        -------
        float
            In 0 to 360 degrees.
        """
        sign = {False: 1.0, True: -1.0}
        on_detector = sign[calibration.flip] * (angle_deg - calibration.rotation_deg)
        return float((self.rotation_deg + sign[self.flip] * on_detector) % 360)


@dataclass(frozen=True)
class Rotation:
    """What the center of mass tells of the detector's rotation and flip.

    Parameters
    ----------
    candidates : tuple of Candidate
        Two, half a turn apart, of the flip with less curl; the one that `hint` is for first. Empty
        where nothing can be told.
    error_deg : float
        Standard error of the rotation.
    curl : (float, float)
        Share of curl in the field that is left at the best rotation, without and with flip: 0 for a
        field without any, 0.5 for noise.
    curl_error : (float, float)
        Standard errors of both.
    flip_known : bool
        Whether the curl tells the flip; if not, the candidates have that of the calibration.
    hint : float
        How well the first candidate lets the center of mass point towards what is bright in the
        dark field (or dark in the bright field), 0 to 1. Thin specimens attract the beam to
        their atoms; in thicker ones this reverses again and again, see `HINT`.
    harmonics : int
        Waves of the lattice that this rests on.
    reason : str
        Why nothing can be told, for people; empty where there are candidates.
    """

    candidates: tuple[Candidate, ...] = ()
    error_deg: float = 0.0
    curl: tuple[float, float] = (0.5, 0.5)
    curl_error: tuple[float, float] = (0.0, 0.0)
    flip_known: bool = False
    hint: float = 0.0
    harmonics: int = 0
    reason: str = ""


def measure_rotation(scan: Scan, region: Region | None = None) -> Rotation:
    """Rotation and flip of the detector against the scan, but for half a turn.

    Parameters
    ----------
    scan : Scan
    region : tuple of slice, optional
        Rows and columns of positions to look at, by default the scan's middle (a bounded part).

    Returns
    -------
    Rotation

    Raises
    ------
    ScanError
        If the file cannot be read.

    Notes
    -----
    The center of mass of a thin specimen's patterns is the gradient of its potential (Müller et
    al., Nat. Commun. 5, 5653 (2014)), whose curl is zero: the rotation that leaves least curl is
    the detector's, for each flip (as in Savitzky et al., py4DSTEM, Microsc. Microanal. 27, 712
    (2021)). At the lattice's harmonics alone this holds for thick crystals too: mirror planes let
    the field of a wave point along it. The curl's power is a sinusoid in twice the rotation, so
    that its minimum has a closed form. A rotation by half a turn changes the field's sign, not its
    curl. Errors are those of leaving out one harmonic at a time (jackknife).
    """
    return finish(iter_rotation(scan, region))


def iter_rotation(
    scan: Scan, region: Region | None = None
) -> Generator[tuple[int, int], None, Rotation]:
    """`measure_rotation` step by step; yields the positions done, and all of them."""
    images = yield from iter_part_images(scan, region)
    lattice = find_lattice(images.stack())
    if lattice is None:
        return Rotation(reason=NO_LATTICE)
    return rotation_of(images, lattice, scan.calibration)


def rotation_of(images: PartImages, lattice: Lattice, calibration: Calibration) -> Rotation:
    """`measure_rotation` from images and the lattice in them."""
    waves = _lattice_waves(lattice)
    field, contrast, noise = _amplitudes(images, waves, calibration)
    power = (np.abs(field) ** 2).sum(axis=1)
    seen = power > _SIGNAL * noise
    if seen.sum() < _LEAST_HARMONICS:
        return Rotation(reason=NO_FIELD, harmonics=int(seen.sum()))
    waves, field, contrast, power = waves[seen], field[seen], contrast[seen], power[seen]
    weights = 1 / (noise + _SATURATION * power)
    fits = []
    for flip in (False, True):
        turned = field * np.array([1.0, -1.0]) if flip else field
        fits.append(_least_curl(*_parts(turned, waves), weights))
    curls = [fit.curl for fit in fits]
    known = _tell_apart(curls, len(waves))
    flip = curls[1] < curls[0] if known else calibration.flip
    if not known and curls[int(flip)] > _MOST_CURL:
        flip = not flip
    best = fits[int(flip)]
    curl = (curls[0], curls[1])
    curl_error = (_jackknife_error(fits[0].left_out), _jackknife_error(fits[1].left_out))
    if best.curl > _MOST_CURL:
        return Rotation((), 0.0, curl, curl_error, False, 0.0, len(waves), NO_ROTATION)
    turned = field * np.array([1.0, -1.0]) if flip else field
    hint = _hint(turned, waves, contrast, weights, best.angle)
    angle = np.degrees(best.angle) + (180.0 if hint < 0 else 0.0)
    candidates = tuple(Candidate(_within_half_turn(angle + half), flip) for half in (0.0, 180.0))
    return Rotation(
        candidates,
        float(np.degrees(best.error)),
        curl,
        curl_error,
        known,
        abs(hint),
        len(waves),
    )


def _tell_apart(curls: list[float], harmonics: int) -> bool:
    """Whether one flip leaves less curl than the other by more than chance (an F test)."""
    from scipy.special import fdtrc

    ratio = max(curls) / max(min(curls), 1e-12)
    return bool(fdtrc(harmonics - 1, harmonics - 1, ratio) < _CHANCE)


def _lattice_waves(lattice: Lattice) -> Floats:
    """Wave vectors (x, y up) per position of the harmonics below the Nyquist frequency, (n, 2)."""
    angle = np.radians(lattice.crystal_angle_deg)
    first = np.exp(1j * angle) / lattice.period_positions
    orders = [
        (m, n)
        for m in range(-_ORDER, _ORDER + 1)
        for n in range(_ORDER + 1)
        if (n > 0 or m > 0) and m**2 + n**2 <= _ORDER**2
    ]
    waves = [(m + 1j * n) * first for m, n in orders]
    kept = [w for w in waves if max(abs(w.real), abs(w.imag)) < 0.47]
    return np.array([(w.real, w.imag) for w in kept]).reshape(-1, 2)


def _amplitudes(
    images: PartImages, waves: Floats, calibration: Calibration
) -> tuple[Waves, Waves, float]:
    """Amplitudes of the waves in the field (n, 2: x, y up) and in the contrast of atoms (n,).

    Also the noise's power in the field's. The plane that descan leaves is fitted with them.
    """
    offsets = images.center_of_mass.reshape(-1, 2) @ np.linalg.inv(calibration.distortion()).T
    virtual = images.virtual
    bright = virtual.get("annular dark field")
    if bright is None:
        bright = -virtual.get("annular bright field", np.zeros(images.center_of_mass.shape[:2]))
    data = np.stack([offsets[:, 1], -offsets[:, 0], bright.ravel()], axis=1)
    rows, columns = np.indices(images.center_of_mass.shape[:2], dtype=float)
    x, y = columns.ravel() - columns.mean(), rows.mean() - rows.ravel()
    phase = 2 * np.pi * (np.outer(x, waves[:, 0]) + np.outer(y, waves[:, 1]))
    basis = np.concatenate(
        [np.stack([np.ones_like(x), x, y], axis=1), np.cos(phase), np.sin(phase)], axis=1
    )
    solved, _, _, _ = np.linalg.lstsq(basis, data, rcond=1e-8)
    residual = (data - basis @ solved)[:, :2]
    count = len(waves)
    # cos and sin amplitudes (c, s) are those of the wave exp(i phase) (c - i s) / 2.
    amplitudes = (solved[3 : 3 + count] - 1j * solved[3 + count :]) / 2
    noise = float((residual**2).sum() / len(residual) / len(residual))
    return amplitudes[:, :2], amplitudes[:, 2], noise


def _parts(field: Waves, waves: Floats) -> tuple[Waves, Waves]:
    """Parts along the waves and across (counter-clockwise of) them, (n,) each."""
    along = waves / np.linalg.norm(waves, axis=1, keepdims=True)
    return (
        field[:, 0] * along[:, 0] + field[:, 1] * along[:, 1],
        field[:, 1] * along[:, 0] - field[:, 0] * along[:, 1],
    )


@dataclass(frozen=True)
class _Fit:
    angle: float
    curl: float
    error: float
    left_out: Floats  # share of curl without each of the harmonics


def _least_curl(along: Waves, across: Waves, weights: Floats) -> _Fit:
    """The rotation (radians, within a quarter turn) of least curl, and the share that is left."""
    # Turned by t, the part across is across cos t + along sin t.
    terms = np.stack(
        [
            weights * np.abs(along) ** 2,
            weights * np.abs(across) ** 2,
            weights * (across * along.conj()).real,
        ]
    )
    angle, curl = _minimum(terms.sum(axis=1))
    without = [_minimum(terms.sum(axis=1) - terms[:, k]) for k in range(terms.shape[1])]
    # Angles near the one of all, though they repeat every half turn.
    angles = np.array([(t - angle + np.pi / 2) % np.pi - np.pi / 2 for t, _ in without])
    return _Fit(angle, curl, _jackknife_error(angles), np.array([c for _, c in without]))


def _minimum(terms: Floats) -> tuple[float, float]:
    along, across, mixed = terms
    angle = 0.5 * np.arctan2(-mixed, (along - across) / 2)
    share = 0.5 - np.hypot((along - across) / 2, mixed) / max(along + across, 1e-300)
    return float(angle), float(max(0.0, share))


def _jackknife_error(left_out: Floats) -> float:
    count = len(left_out)
    return float(np.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum()))


def _hint(field: Waves, waves: Floats, contrast: Waves, weights: Floats, angle: float) -> float:
    """How alike the potential whose gradient the turned field is and the contrast are, -1 to 1."""
    along, across = _parts(field, waves)
    turned = along * np.cos(angle) - across * np.sin(angle)
    # The gradient of a wave of the potential is 2 pi i |q| times the wave.
    potential = turned / (1j * np.linalg.norm(waves, axis=1))
    scale = weights * np.linalg.norm(waves, axis=1) ** 2
    size = np.sqrt((scale * np.abs(potential) ** 2).sum() * (scale * np.abs(contrast) ** 2).sum())
    return float((scale * potential * contrast.conj()).real.sum() / size) if size > 0 else 0.0


def _within_half_turn(angle_deg: float) -> float:
    """The angle in (-180, 180]."""
    return float(180 - (180 - angle_deg) % 360)
