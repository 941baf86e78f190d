"""Layers as HyperSpy files, with calibrated axes and where they came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.export.colors import DIRECTION, layer_values
from napari_polmap.export.files import ending, replacing
from napari_polmap.export.provenance import provenance_json
from napari_polmap.polarization_map import PolarizationMap


def export_signal(
    polarization_map: PolarizationMap,
    path: str | Path,
    layer: str = DIRECTION,
    *,
    threshold: float | None = None,
) -> Path:
    """Write a layer as a HyperSpy file: a two-dimensional signal with axes y and x in nm.

    Parameters
    ----------
    polarization_map : PolarizationMap
    path : str or Path
        File ending in ``.hspy``.
    layer : str
        ``direction`` (uint8 labels, 255 where undecided or not computed), ``confidence``,
        ``defects``, ``novelty``, or ``p_<name>`` (float32, NaN where not computed).
    threshold : float, optional
        Confidence below which a position is undecided, instead of the map's own.

    Raises
    ------
    ExportError
        If the ending is another one, there is no such layer, or the file cannot be written.
    """
    import hyperspy.api as hs

    path = Path(path).expanduser()
    ending(path, ("hspy",), "a HyperSpy file")
    values: np.ndarray[Any, Any]
    if layer == DIRECTION:
        values = polarization_map.labels(threshold)
    else:
        values, _ = layer_values(polarization_map, layer)
    step = polarization_map.calibration.step_nm
    axes = [
        {"name": name, "size": size, "scale": step or 1.0, "units": "nm" if step else "px"}
        for name, size in zip(("y", "x"), values.shape, strict=True)
    ]
    signal = hs.signals.Signal2D(values, axes=axes)
    signal.metadata.General.title = layer
    about = json.loads(provenance_json(polarization_map, layer=layer, threshold=threshold))
    signal.metadata.add_dictionary({"napari_polmap": about})
    with replacing(path) as unfinished:
        # HyperSpy chooses the format by the ending.
        written = unfinished.with_name(f"{unfinished.name}.hspy")
        try:
            signal.save(written, overwrite=True)
            written.replace(unfinished)
        finally:
            written.unlink(missing_ok=True)
    return path
