"""What is computed in the background for a window: generators, without threads and without Qt.

None of them touches a layer or the session; whoever runs them hands their steps over.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_polmap.directions import DirectionSet
from napari_polmap.polarization_map import HistoryStep, PolarizationMap
from napari_polmap.scan import Scan
from napari_polmap.viewer.autosave import remove_old_maps
from napari_polmap.viewer.preferences import preferences
from napari_polmap.viewer.preview import Image
from napari_polmap.viewer.reader import open_scan

if TYPE_CHECKING:
    from napari_polmap.classifiers import Classifier
    from napari_polmap.mapping import Progress


def iter_open(path: Path, options: dict[str, Any]) -> Generator[None, None, tuple[Scan, Image]]:
    """Open a scan; returns it with a first image."""
    yield
    return open_scan(path, **options)


def iter_open_again(
    path: Path, shape: tuple[int, ...]
) -> Generator[None, None, tuple[Scan, Image]]:
    """Open the scan of a map, as it was opened for it."""
    from napari_polmap.io.sidecar import load_sidecar

    yield
    kept = load_sidecar(path)
    if kept is not None and kept.identity.shape == shape:
        return open_scan(path)
    return open_scan(path, nav_shape=shape[:2])


def iter_measure(scan: Scan) -> Generator[None, None, Scan]:
    """Measure what the file does not say of a scan's calibration."""
    from napari_polmap.diffraction.measure import measured

    yield
    return measured(scan)


def iter_warm_up() -> Generator[None, None, None]:
    """Load and compile what the first map would otherwise make the window wait for."""
    import importlib

    from napari.layers import Shapes

    from napari_polmap.viewer.layers import label_colormap

    # napari takes pandas for the names of labels.
    for module in ("pandas", "napari_polmap.mapping", "napari_polmap.export"):
        yield
        importlib.import_module(module)
    # napari compiles its colormaps of labels, and how it draws shapes, when it needs them first.
    yield
    label_colormap(DirectionSet.default()).map(np.zeros((2, 2), np.uint8))
    yield
    Shapes([[[0, 0], [0, 1], [1, 1]]], shape_type="polygon")


def iter_run(
    scan: Scan, classifier: Classifier, path: Path, options: dict[str, Any]
) -> Generator[Progress, None, PolarizationMap]:
    """Classify a scan into a map that grows at `path`; see `napari_polmap.iter_classify`."""
    from napari_polmap import iter_classify

    remove_old_maps(preferences().keep_maps)
    return (yield from iter_classify(scan, classifier, out=path, **options))


def iter_change(
    polarization_map: PolarizationMap,
    scan: Scan,
    region: npt.NDArray[np.bool_],
    classifier: Classifier,
    options: dict[str, Any],
) -> Generator[Progress, None, HistoryStep]:
    """Classify a region again; see `napari_polmap.mapping.iter_reclassify`."""
    from napari_polmap.mapping import iter_reclassify

    return (yield from iter_reclassify(polarization_map, scan, region, classifier, **options))


def iter_load_classifier(name_or_path: str | Path) -> Generator[None, None, Classifier]:
    """Read a classifier."""
    from napari_polmap import load_classifier

    yield
    return load_classifier(name_or_path)


def iter_save(polarization_map: PolarizationMap, path: Path) -> Generator[None, None, Path]:
    """Save a map that nobody changes meanwhile; no stop comes before it is saved."""
    from napari_polmap import save_map

    saved = save_map(polarization_map, path)
    yield
    return saved
