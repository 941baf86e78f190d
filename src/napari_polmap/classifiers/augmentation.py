"""Changes of training patterns: blur, brightness, noise, and symmetry with the direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_polmap.classifiers.models.base import Classes
from napari_polmap.classifiers.models.features import Floats
from napari_polmap.classifiers.symmetries import symmetries
from napari_polmap.diffraction.preprocessing import Preprocessing, minmax
from napari_polmap.directions import DirectionSet

_ANGLES = 16
"""Rotations are drawn from so many, spread evenly over the range anew in each batch."""


@dataclass(frozen=True)
class Augmentation:
    """How preprocessed training patterns are changed.

    Networks see each batch changed anew. For the models on principal components, which learn in
    one step, changed copies are added to the patterns beforehand.

    Parameters
    ----------
    symmetry : bool
        Turn the patterns by 90°, 180°, 270° and mirror them, their directions with them. Models
        on principal components get all of these at once.
    rotation_deg : float
        Small rotations, uniform up to this in both senses, that leave the direction.
    blur_px : tuple of float
        Lowest and highest standard deviation of a Gaussian blur, in pixels of the pattern.
    blur_share : float
        Share of the patterns that are blurred.
    brightness, contrast : float
        Largest change of the offset, as a share of the brightest pixel, and of the scale.
    brightness_share : float
        Share of the patterns whose brightness and contrast are changed.
    noise : tuple of float
        Lowest and highest standard deviation of Gaussian noise, as a share of the brightest pixel.
    noise_share : float
        Share of the patterns that get it.
    copies : int
        Changed copies of each pattern for the models on principal components.
    """

    symmetry: bool = True
    rotation_deg: float = 0.0
    blur_px: tuple[float, float] = (2.0, 5.0)
    blur_share: float = 0.0
    brightness: float = 0.15
    contrast: float = 0.15
    brightness_share: float = 0.0
    noise: tuple[float, float] = (0.01, 0.03)
    noise_share: float = 0.0
    copies: int = 0


class Augmenter:
    """An augmentation set up for patterns of one kind.

    Parameters
    ----------
    augmentation : Augmentation
    preprocessing : Preprocessing
        Size and normalization of the patterns.
    directions : DirectionSet
    dose : tuple of float, optional
        Lowest and highest number of electrons in a pattern, drawn log-uniformly: patterns without
        noise get counting noise anew each time.
    """

    def __init__(
        self,
        augmentation: Augmentation,
        preprocessing: Preprocessing,
        directions: DirectionSet,
        dose: tuple[float, float] | None = None,
    ) -> None:
        self.augmentation = augmentation
        self.preprocessing = preprocessing
        self.dose = dose
        self._moves = symmetries(directions) if augmentation.symmetry else []

    def __call__(
        self, patterns: Floats, directions: Classes, rng: np.random.Generator
    ) -> tuple[Floats, Classes]:
        """Patterns ``(n, size * size)`` changed at random, with the directions they have then."""
        size = self.preprocessing.size
        patterns, directions = patterns.copy(), directions.copy()
        if len(self._moves) > 1:
            square = patterns.reshape(-1, size, size)
            chosen = rng.integers(len(self._moves), size=len(patterns))
            for index, move in enumerate(self._moves):
                here = chosen == index
                square[here] = move.patterns(square[here])
                directions[here] = move.classes[directions[here]]
        return self._changed(patterns, rng), directions

    def exposed(
        self, patterns: Floats, rng: np.random.Generator
    ) -> tuple[Floats, npt.NDArray[np.float64]]:
        """Patterns ``(n, size * size)`` with counting noise and nothing else; their electrons."""
        assert self.dose is not None
        size = self.preprocessing.size
        electrons = _drawn_dose(self.dose, len(patterns), rng)
        counts = _exposed(patterns.reshape(-1, size, size), electrons, rng)
        return normalized(counts.reshape(len(patterns), -1), self.preprocessing), electrons

    def beforehand(
        self, patterns: Floats, directions: Classes, rng: np.random.Generator
    ) -> tuple[Floats, Classes]:
        """Patterns, changed copies of them, and all of these under every symmetry."""
        count = self.augmentation.copies
        if count:
            changed = [self._changed(patterns.copy(), rng) for _ in range(count)]
            patterns = np.concatenate([patterns, *changed])
            directions = np.tile(directions, count + 1)
        return self.turned(patterns, directions)

    def turned(self, patterns: Floats, directions: Classes) -> tuple[Floats, Classes]:
        """Patterns under every symmetry, with their directions."""
        if not self._moves:
            return patterns, directions
        square = patterns.reshape(-1, self.preprocessing.size, self.preprocessing.size)
        parts = [move.patterns(square).reshape(len(patterns), -1) for move in self._moves]
        return np.concatenate(parts), np.concatenate([m.classes[directions] for m in self._moves])

    def _changed(self, patterns: Floats, rng: np.random.Generator) -> Floats:
        """All changes that leave the direction, in the order in which a microscope makes them."""
        chosen, size = self.augmentation, self.preprocessing.size
        square = patterns.reshape(-1, size, size)
        if chosen.rotation_deg:
            square = _rotated(square, chosen.rotation_deg, rng)
        here = rng.random(len(square)) < chosen.blur_share
        square[here] = _blurred(square[here], rng.uniform(*chosen.blur_px, np.count_nonzero(here)))
        if self.dose is not None:
            square = _exposed(square, _drawn_dose(self.dose, len(square), rng), rng)
        brightest = square.max(axis=(1, 2), keepdims=True)
        here = rng.random(len(square)) < chosen.brightness_share
        scale, offset = rng.uniform(-1, 1, (2, np.count_nonzero(here), 1, 1)).astype(np.float32)
        square[here] *= 1 + chosen.contrast * scale
        square[here] += chosen.brightness * offset * brightest[here]
        here = rng.random(len(square)) < chosen.noise_share
        spread = rng.uniform(*chosen.noise, (np.count_nonzero(here), 1, 1)) * brightest[here]
        square[here] += (spread * rng.standard_normal(square[here].shape)).astype(np.float32)
        flat = np.maximum(square, 0).reshape(len(patterns), -1)
        if self.preprocessing.normalization == "minmax":
            return np.minimum(flat, 1)
        return normalized(flat, self.preprocessing)


def normalized(patterns: Floats, preprocessing: Preprocessing) -> Floats:
    """Patterns ``(n, f)`` in the preprocessing's normalization."""
    if preprocessing.normalization == "minmax":
        return minmax(patterns)
    mean = patterns.mean(axis=1, keepdims=True)
    return np.asarray(patterns / np.where(mean > 0, mean, 1), np.float32)


def _blurred(square: Floats, sigma: npt.NDArray[np.float64]) -> Floats:
    """Each pattern ``(n, size, size)`` blurred by its own Gaussian, its edges repeated outward."""
    size = square.shape[1]
    # Reaching four standard deviations beyond the edge; what lies there is the edge's pixel.
    reach = int(np.ceil(4 * sigma.max(initial=0.0)))
    places = np.arange(-reach, size + reach)
    weights = np.exp(-0.5 * ((np.arange(size)[:, None] - places) / sigma[:, None, None]) ** 2)
    weights /= weights.sum(axis=2, keepdims=True)
    matrix = np.zeros((len(square), size, size), np.float32)
    for k, place in enumerate(np.clip(places, 0, size - 1)):
        matrix[:, :, place] += weights[:, :, k]
    return np.asarray(matrix @ square @ matrix.transpose(0, 2, 1), np.float32)


def _rotated(square: Floats, limit_deg: float, rng: np.random.Generator) -> Floats:
    """Each pattern turned about its middle by one of some angles within the limit, bilinearly."""
    from scipy.ndimage import map_coordinates

    size = square.shape[1]
    spread = (np.arange(_ANGLES) + rng.random()) / _ANGLES * 2 - 1
    chosen = rng.integers(_ANGLES, size=len(square))
    axis = np.arange(size) - (size - 1) / 2
    turned = np.empty_like(square)
    for index, share in enumerate(spread):
        here = np.flatnonzero(chosen == index)
        if not len(here):
            continue
        angle = np.deg2rad(limit_deg * share)
        rows = np.cos(angle) * axis[:, None] - np.sin(angle) * axis + (size - 1) / 2
        columns = np.sin(angle) * axis[:, None] + np.cos(angle) * axis + (size - 1) / 2
        for k in here:
            map_coordinates(square[k], (rows, columns), turned[k], order=1, mode="nearest")
    return turned


def _drawn_dose(
    dose: tuple[float, float], count: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    low, high = np.log(dose)
    return np.asarray(np.exp(rng.uniform(low, high, count)))


def _exposed(
    square: Floats, electrons: npt.NDArray[np.float64], rng: np.random.Generator
) -> Floats:
    """Counts of each pattern ``(n, size, size)`` for a dose of its own."""
    totals = square.sum(axis=(1, 2))
    scale = electrons / np.where(totals > 0, totals, 1)
    return rng.poisson(np.maximum(square, 0) * scale[:, None, None]).astype(np.float32)
