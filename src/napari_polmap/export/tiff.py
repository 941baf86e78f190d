"""Label and value images, and images of scans, as TIFF to go on with in other programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap import __version__
from napari_polmap.calibration import Calibration
from napari_polmap.directions import NOT_COMPUTED
from napari_polmap.errors import ExportError
from napari_polmap.export.colors import DIRECTION, layer_values
from napari_polmap.export.files import ending, replacing
from napari_polmap.export.provenance import provenance_json, scan_provenance
from napari_polmap.polarization_map import PolarizationMap
from napari_polmap.scan import Scan

_NM_PER_CM = 1e7


def export_labels(
    polarization_map: PolarizationMap, path: str | Path, *, threshold: float | None = None
) -> Path:
    """Write the directions as a label image: TIFF, uint8, 255 where undecided or not computed.

    Names, angles and where the labels came from are JSON in the ImageDescription, the directions'
    colors are its palette, the scan step its resolution. The file can serve as the truth of a
    labelled data set.

    Parameters
    ----------
    polarization_map : PolarizationMap
    path : str or Path
        File ending in ``.tif`` or ``.tiff``.
    threshold : float, optional
        Confidence below which a position is undecided, instead of the map's own; 0 for no
        undecided positions.

    Raises
    ------
    ExportError
        If the ending is another one or the file cannot be written.
    """
    directions = polarization_map.shown_directions
    palette = np.full((3, 256), 65535, dtype=np.uint16)
    palette[:, : len(directions)] = np.rint(directions.colors.T * 65535)
    return _write(
        polarization_map.calibration,
        path,
        polarization_map.labels(threshold),
        "a label image",
        provenance_json(polarization_map, threshold=threshold, undecided=NOT_COMPUTED),
        photometric="palette",
        colormap=palette,
    )


def export_values(
    polarization_map: PolarizationMap,
    path: str | Path,
    layer: str,
    *,
    threshold: float | None = None,
) -> Path:
    """Write a layer of numbers as TIFF, float32, NaN where not computed.

    Parameters
    ----------
    polarization_map : PolarizationMap
    path : str or Path
        File ending in ``.tif`` or ``.tiff``.
    layer : str
        ``confidence``, ``defects``, ``novelty``, or ``p_<name>``; ``direction`` is a label image,
        see `export_labels`.
    threshold : float, optional
        For the label image.

    Raises
    ------
    ExportError
        If the ending is another one, there is no such layer, or the file cannot be written.
    """
    if layer == DIRECTION:
        return export_labels(polarization_map, path, threshold=threshold)
    values, _ = layer_values(polarization_map, layer)
    about = provenance_json(polarization_map, layer=layer)
    calibration = polarization_map.calibration
    return _write(calibration, path, values, "an image of values", about, photometric="minisblack")


def export_scan_image(
    scan: Scan, image: np.ndarray, path: str | Path, *, title: str, **about: Any
) -> Path:
    """Write an image of a scan as TIFF: float32, or red, green and blue for a color image.

    Title, scan and calibration are JSON in the ImageDescription, the scan step its resolution.

    Parameters
    ----------
    scan : Scan
        What the image was made from.
    image : ndarray, shape (y, x) of numbers or (y, x, 3) of uint8
    path : str or Path
        File ending in ``.tif`` or ``.tiff``.
    title : str
        What the image shows.
    **about
        Further plain values for the description, such as the detector.

    Raises
    ------
    ExportError
        If the ending is another one, the image does not fit the scan, or the file cannot be
        written.
    """
    if image.shape[:2] != scan.scan_shape:
        raise ExportError(
            f"The image has shape {image.shape[:2]}, but the scan has {scan.scan_shape} positions; "
            "give an image with one pixel per probe position."
        )
    in_color = image.ndim == 3
    description = json.dumps({"title": title, **scan_provenance(scan), **about})
    return _write(
        scan.calibration,
        path,
        image if in_color else np.asarray(image, np.float32),
        "an image of a scan",
        description,
        photometric="rgb" if in_color else "minisblack",
    )


def _write(
    calibration: Calibration,
    path: str | Path,
    image: np.ndarray,
    what: str,
    description: str,
    **options: Any,
) -> Path:
    import tifffile

    path = Path(path).expanduser()
    ending(path, ("tif",), what)
    step = calibration.step_nm
    if step is not None:
        options["resolution"] = (_NM_PER_CM / step, _NM_PER_CM / step)
        options["resolutionunit"] = "CENTIMETER"
    with replacing(path) as unfinished:
        tifffile.imwrite(
            unfinished,
            image,
            compression="zlib",
            description=description,
            software=f"napari-polmap {__version__}",
            metadata=None,
            **options,
        )
    return path
