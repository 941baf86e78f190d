"""What each layer of a scan or a map looks like: data and arguments for napari, no viewer."""

from __future__ import annotations

import dataclasses
from types import MethodType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.directions import NOT_COMPUTED, DirectionSet
from napari_polmap.export import LAYERS, block_arrows
from napari_polmap.polarization_map import PolarizationMap
from napari_polmap.scan import Scan
from napari_polmap.viewer.contrast import ImageContrast
from napari_polmap.viewer.reading import map_reading
from napari_polmap.viewer.tags import Role, role_of, tag
from napari_polmap.viewer.virtual_detector import VirtualDetector

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer
    from napari.utils.colormaps import Colormap, DirectLabelColormap

LayerData = tuple[Any, dict[str, Any], str]

MOST_ARROWS = 600
POLARIZATION_OPACITY = 0.75
_ARROW_LENGTH = 0.8  # of the distance between arrows
_COLORMAPS = {Role.COM_MAGNITUDE: "magma"}
_CURVE_COLORS = 1024


def geometry(calibration: Calibration) -> dict[str, Any]:
    """Scale, units and axis names of every layer over a scan.

    Positions are pixels where the step is not known.
    """
    step = calibration.step_nm
    unit = "pixel" if step is None else "nm"
    scale = 1.0 if step is None else step
    return {"scale": (scale, scale), "units": (unit, unit), "axis_labels": ("y", "x")}


def is_signed(role: Role, detector: VirtualDetector | None) -> bool:
    """Whether an image's values lie on both sides of a zero that means something."""
    if role is Role.VIRTUAL:
        return detector is not None and detector.paired
    return role in (Role.COM_X, Role.COM_Y)


def image_colormap(role: Role, contrast: ImageContrast, signed: bool) -> str | Colormap:
    """Colors of an image; a curve other than a straight line lies in the colormap.

    The values stay as they are, and so does what the status bar tells of them.
    """
    from napari.utils.colormaps import Colormap, ensure_colormap

    base = "PiYG" if signed else _COLORMAPS.get(role, "gray")
    if contrast.mode == "linear":
        return base
    places = contrast.curve(np.linspace(0, 1, _CURVE_COLORS), signed)
    detail = f"{contrast.mode} {contrast.gamma:g}" if contrast.mode == "gamma" else contrast.mode
    return Colormap(ensure_colormap(base).map(places), name=f"{base}, {detail}")


def image_layer(
    role: Role,
    name: str,
    image: npt.NDArray[Any],
    scan: Scan,
    contrast: ImageContrast | None = None,
    *,
    signed: bool = False,
) -> LayerData:
    """Layer of a virtual image or of one of the center of mass.

    Parameters
    ----------
    role : Role
        One of `IMAGE_ROLES`.
    name : str
        Name of the layer.
    image : ndarray, shape (y, x) or (y, x, 3)
        Values (float32), or colors (uint8).
    scan : Scan
        The scan it was made from.
    contrast : ImageContrast, optional
    signed : bool
        Whether the values lie on both sides of zero, see `is_signed`.
    """
    arguments = {"name": name, "metadata": tag(role, scan=scan), **geometry(scan.calibration)}
    if role is Role.COM_COLORS:
        return image, {**arguments, "rgb": True}, "image"
    contrast = contrast or ImageContrast()
    arguments["colormap"] = image_colormap(role, contrast, signed)
    arguments["contrast_limits"] = contrast.limits(image, signed)
    return image, arguments, "image"


def label_colormap(directions: DirectionSet) -> DirectLabelColormap:
    """One fixed color a direction; undecided is transparent."""
    from napari.utils.colormaps import DirectLabelColormap

    colors: dict[int | None, Any] = {
        index: (*color, 1.0) for index, color in enumerate(directions.colors)
    }
    colors[None] = colors[NOT_COMPUTED] = (0.0, 0.0, 0.0, 0.0)
    return DirectLabelColormap(color_dict=colors, background_value=NOT_COMPUTED)


def label_features(directions: DirectionSet) -> dict[str, list[Any]]:
    """Names and angles by label value."""
    angles = [np.nan if angle is None else angle for angle in directions.angles_deg]
    return {
        "index": [*range(len(directions)), NOT_COMPUTED],
        "direction": [*directions.names, "undecided"],
        "angle in degrees": [*angles, np.nan],
    }


def shown_labels(
    polarization_map: PolarizationMap, rows: slice, columns: slice
) -> npt.NDArray[np.uint8]:
    """What a rectangle of the map shows: direction index, 255 where undecided or not computed."""
    parts = {name: array[rows, columns] for name, array in polarization_map.arrays().items()}
    return dataclasses.replace(polarization_map, **parts).labels()


def arrow_data(
    polarization_map: PolarizationMap,
) -> tuple[npt.NDArray[np.float64], float]:
    """Arrows as napari's vectors, shape ``(n, 2, 2)``, and their width in positions."""
    arrows = block_arrows(polarization_map, most=MOST_ARROWS)
    length = _ARROW_LENGTH * arrows.block
    start = arrows.positions - 0.5 * length * arrows.vectors
    data = np.stack([start, length * arrows.vectors], axis=1)
    return data.reshape(-1, 2, 2), max(0.1, 0.12 * arrows.block)


def map_layers(
    polarization_map: PolarizationMap, name: str, calibration: Calibration
) -> dict[Role, LayerData]:
    """The layers of a map, bottom to top.

    Parameters
    ----------
    polarization_map : PolarizationMap
    name : str
        What the map is of; begins the layers' names.
    calibration : Calibration
        Gives scale and units.
    """
    directions = polarization_map.shown_directions
    vectors, width = arrow_data(polarization_map)
    placed = geometry(calibration)
    layers: dict[Role, LayerData] = {
        Role.POLARIZATION: (
            polarization_map.labels(),
            {
                "colormap": label_colormap(directions),
                "features": label_features(directions),
                "opacity": POLARIZATION_OPACITY,
            },
            "labels",
        )
    }
    for role in (Role.CONFIDENCE, Role.DEFECTS):
        values = getattr(polarization_map, role.value)
        style = LAYERS[role.value]
        layers[role] = (
            values,
            {
                "colormap": style.colormap,
                "contrast_limits": style.limits(values),
                "visible": False,
            },
            "image",
        )
    layers[Role.ARROWS] = (
        vectors,
        {
            "ndim": 2,
            "vector_style": "arrow",
            "edge_color": "white",
            "edge_width": width,
            "opacity": 0.9,
        },
        "vectors",
    )
    for role, (_, arguments, _) in layers.items():
        arguments.update(
            name=f"{name}: {role.value}", metadata=tag(role, map=polarization_map), **placed
        )
    return layers


def describe(polarization_map: PolarizationMap, y: float, x: float) -> str:
    """Direction and confidence at a position, for the status bar.

    Parameters
    ----------
    polarization_map : PolarizationMap
    y, x : float
        In positions.

    Returns
    -------
    str
        Empty outside the map.
    """
    row, column = round(y), round(x)
    rows, columns = polarization_map.shape
    if not (0 <= row < rows and 0 <= column < columns):
        return ""
    reading = map_reading(polarization_map, row, column)
    return "not computed" if reading is None else reading.text


def name_in_status_bar(layer: Layer, find_map: Callable[[], PolarizationMap | None]) -> None:
    """Let a layer's status name the direction and the confidence under the cursor.

    Parameters
    ----------
    layer : napari.layers.Layer
    find_map : callable
        Gives the map at that time, or None.
    """
    plain = type(layer).get_status
    only_direction = role_of(layer) is Role.POLARIZATION

    def get_status(self: Layer, position: Any = None, **options: Any) -> dict[str, str]:
        status = plain(self, position, **options)
        polarization_map = find_map()
        if polarization_map is None or position is None:
            return status
        place = self.world_to_data(position) if options.get("world") else position
        text = describe(polarization_map, place[-2], place[-1])
        if text:
            value = text if only_direction or not status["value"] else f"{status['value']}; {text}"
            status["value"] = value
            status["coordinates"] = f"{status['coords']}: {value}"
        return status

    layer.get_status = MethodType(get_status, layer)  # type: ignore[method-assign]
