"""napari's writer: a polarization layer as map, figure, label image or table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_polmap.errors import ExportError
from napari_polmap.polarization_map import PolarizationMap
from napari_polmap.viewer.tags import Role, role_of_metadata, source_of

ENDINGS = (".zarr", ".png", ".tif", ".tiff", ".csv")


def write_polarization(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a labels layer; napari's own writer serves layers that show no polarization map.

    Parameters
    ----------
    path : str
        The ending chooses: ``.zarr`` the whole map, ``.png`` a figure, ``.tif`` the label image,
        ``.csv`` a table.
    data : array
        The layer's labels.
    attributes : dict
        The layer's state.

    Returns
    -------
    list of str
        The written path.

    Raises
    ------
    ExportError
        If the layer is no polarization map and napari cannot write it either.
    PolmapError
        If the file cannot be written.
    """
    metadata = attributes.get("metadata", {})
    polarization_map = source_of(metadata).map
    if polarization_map is None or role_of_metadata(metadata) is not Role.POLARIZATION:
        return _napari_writes(path, data, attributes)
    return [str(write_map(polarization_map, Path(path)))]


def write_map(polarization_map: PolarizationMap, path: Path) -> Path:
    """Write a map in the format that the file name's ending names.

    Raises
    ------
    ExportError
        If the ending is none of `ENDINGS`.
    """
    from napari_polmap import export_csv, export_image, export_labels, save_map

    ending = path.suffix.lower()
    writers = {
        ".zarr": save_map,
        ".png": export_image,
        ".tif": export_labels,
        ".tiff": export_labels,
        ".csv": export_csv,
    }
    if ending not in writers:
        raise ExportError(
            f"{path.name!r} does not end in a known way; choose one of {', '.join(ENDINGS)}."
        )
    return writers[ending](polarization_map, path)


def _napari_writes(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    import npe2

    try:
        # With the dot: npe2 compares beginnings, and this plugin's name begins with napari's.
        return npe2.write(path, [(data, attributes, "labels")], plugin_name="napari.")
    except ValueError as error:
        raise ExportError(
            f"This labels layer shows no polarization map, so that it cannot be written as "
            f"{Path(path).suffix}; choose the layer named “…: polarization”, or another ending."
        ) from error
