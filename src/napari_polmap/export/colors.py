"""The colors of a map's layers, the same in napari, in figures and in exported pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import NOT_COMPUTED
from napari_polmap.errors import ExportError
from napari_polmap.polarization_map import PolarizationMap

DIRECTION = "direction"
PROBABILITY_PREFIX = "p_"


@dataclass(frozen=True)
class Layer:
    """How a layer of numbers is shown.

    Parameters
    ----------
    label : str
        Name for people, on color bars.
    colormap : str
        Name of a colormap that both napari and matplotlib have.
    low : float
        Value of the colormap's first color.
    high : float
        Value of its last color, or, where `follows_data`, the least such value.
    follows_data : bool
        Whether the upper end is the 99.5th percentile of the values where that is larger.
    """

    label: str
    colormap: str
    low: float
    high: float
    follows_data: bool = False

    def limits(self, values: npt.NDArray[Any]) -> tuple[float, float]:
        """The values of the first and the last color."""
        finite = values[np.isfinite(values)]
        if not self.follows_data or not finite.size:
            return self.low, self.high
        return self.low, max(self.high, float(np.percentile(finite, 99.5)))


LAYERS = {
    "confidence": Layer("Confidence", "viridis", 0.0, 1.0),
    "defects": Layer("Defect score (robust z)", "inferno", 0.0, 5.0, follows_data=True),
    "novelty": Layer("Distance from the training data", "magma", 0.0, 1.5, follows_data=True),
}
"""The layers of numbers; beside them ``direction`` and ``p_<name>``, a direction's probability."""


def layer_names(polarization_map: PolarizationMap) -> tuple[str, ...]:
    """Every layer that a map can be exported as."""
    probabilities = (PROBABILITY_PREFIX + name for name in polarization_map.directions.names)
    return (DIRECTION, *LAYERS, *probabilities)


def layer_values(
    polarization_map: PolarizationMap, layer: str
) -> tuple[npt.NDArray[np.float32], Layer]:
    """The numbers of a layer and how they are shown.

    Parameters
    ----------
    polarization_map : PolarizationMap
    layer : str
        One of `LAYERS`, or ``p_<name>``.

    Returns
    -------
    ndarray of float32, shape (y, x)
        NaN where not computed.
    Layer

    Raises
    ------
    ExportError
        If the map has no such layer of numbers.
    """
    if layer in LAYERS:
        return np.asarray(getattr(polarization_map, layer), dtype=np.float32), LAYERS[layer]
    name = layer.removeprefix(PROBABILITY_PREFIX)
    directions = polarization_map.directions
    if layer == name or name not in directions.names:
        raise ExportError(
            f"There is no layer {layer!r} in this map; choose one of "
            f"{', '.join(layer_names(polarization_map))}."
        )
    index = directions.index(name)
    values = polarization_map.probabilities[..., index].astype(np.float32)
    values[~polarization_map.computed] = np.nan
    shown = polarization_map.shown_directions.label(index)
    return values, Layer(f"Probability of {shown}", "viridis", 0.0, 1.0)


def render_rgba(
    polarization_map: PolarizationMap, threshold: float | None = None
) -> npt.NDArray[np.uint8]:
    """The directions in the colors that napari shows.

    Parameters
    ----------
    polarization_map : PolarizationMap
    threshold : float, optional
        Confidence below which a position is undecided, instead of the map's own.

    Returns
    -------
    ndarray of uint8, shape (y, x, 4)
        Red, green, blue, alpha; all zero (transparent) where undecided or not computed.
    """
    directions = polarization_map.shown_directions
    table = np.zeros((NOT_COMPUTED + 1, 4), dtype=np.uint8)
    table[: len(directions), :3] = np.rint(directions.colors * 255)
    table[: len(directions), 3] = 255
    return table[polarization_map.labels(threshold)]


def layer_image(
    polarization_map: PolarizationMap, layer: str = DIRECTION, threshold: float | None = None
) -> npt.NDArray[np.uint8]:
    """Any layer in its colors.

    Parameters
    ----------
    polarization_map : PolarizationMap
    layer : str
        ``direction``, one of `LAYERS`, or ``p_<name>``.
    threshold : float, optional
        See `render_rgba`.

    Returns
    -------
    ndarray of uint8, shape (y, x, 4)
        Transparent where there is nothing to show.

    Raises
    ------
    ExportError
        If the map has no such layer.
    """
    if layer == DIRECTION:
        return render_rgba(polarization_map, threshold)
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    values, style = layer_values(polarization_map, layer)
    normalize = Normalize(*style.limits(values), clip=True)
    colors = colormaps[style.colormap](normalize(np.ma.masked_invalid(values)), bytes=True)
    colors[~np.isfinite(values)] = 0
    return np.asarray(colors, dtype=np.uint8)


def over_background(
    rgba: npt.NDArray[np.uint8], background: npt.ArrayLike, opacity: float
) -> npt.NDArray[np.uint8]:
    """Colors laid over a grey image, such as a virtual image.

    Parameters
    ----------
    rgba : ndarray of uint8, shape (y, x, 4)
    background : array-like of float, shape (y, x)
        Shown from its 0.5th (black) to its 99.5th percentile (white).
    opacity : float
        Of the colors, 0..1.

    Returns
    -------
    ndarray of uint8, shape (y, x, 4)
        Opaque.

    Raises
    ------
    ExportError
        If the image has another shape, or the opacity lies outside 0..1.
    """
    if not 0 <= opacity <= 1:
        raise ExportError(
            f"The opacity must lie between 0 (only the image) and 1 (only the colors), but is "
            f"{opacity}."
        )
    grey = np.asarray(background, dtype=np.float64)
    if grey.shape != rgba.shape[:2]:
        raise ExportError(
            f"The background image has shape {grey.shape}, but the map has {rgba.shape[:2]}; "
            "give an image with one pixel per probe position."
        )
    finite = grey[np.isfinite(grey)]
    low, high = np.percentile(finite, (0.5, 99.5)) if finite.size else (0.0, 1.0)
    grey = np.clip((np.nan_to_num(grey, nan=low) - low) / ((high - low) or 1.0), 0.0, 1.0)
    alpha = rgba[..., 3:] / 255.0 * opacity
    mixed = rgba[..., :3] * alpha + 255.0 * grey[..., None] * (1.0 - alpha)
    opaque = np.full((*grey.shape, 1), 255, dtype=np.uint8)
    return np.concatenate([np.rint(mixed).astype(np.uint8), opaque], axis=-1)
