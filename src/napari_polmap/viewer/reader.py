"""napari's reader: scans and maps by drag and drop or File > Open."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_polmap.calibration import Calibration
from napari_polmap.errors import PolmapError, ScanChoiceError
from napari_polmap.scan import Scan
from napari_polmap.viewer.layers import LayerData, image_layer, map_layers
from napari_polmap.viewer.preview import Image, first_image
from napari_polmap.viewer.probe import kind_of
from napari_polmap.viewer.session import Session, ShapeQuestion
from napari_polmap.viewer.tags import Role

PathOrPaths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
NOTHING: list[Any] = [(None,)]
"""napari's sign for a file that was dealt with but adds no layer here."""

DOCK = "Polarization map"


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Say whether this plugin opens a path; quick, never raises.

    Parameters
    ----------
    path : path-like or list of path-like

    Returns
    -------
    callable or None
        None for pictures and volumes, which napari opens by itself.
    """
    first = _first(path)
    kind = None if first is None else kind_of(first)
    return None if kind is None else {"scan": read_scan, "map": read_map}[kind]


def read_scan(path: PathOrPaths) -> list[LayerData]:
    """A scan's preview as an image layer; the dock computes the rest in the background.

    In a napari window a file that cannot be read ends in one notification, and one whose scan
    shape only the user knows in a question in the dock; without a window it raises.

    Raises
    ------
    PolmapError
        If the file cannot be read, and there is no window to tell it in.
    """
    return _told(_scan_layers, path)


def read_map(path: PathOrPaths) -> list[LayerData]:
    """The layers of a saved polarization map; see `read_scan` for what goes wrong."""
    return _told(_map_layers, path)


def open_scan(path: Path, **options: Any) -> tuple[Scan, Image]:
    """A scan with what its file says of it, and a first image from a part of its positions.

    Parameters
    ----------
    path : Path
    **options
        See `napari_polmap.load_scan`.

    Returns
    -------
    scan : Scan
    image : ndarray of float32, shape (y, x)
    """
    from napari_polmap import load_scan

    scan = load_scan(path, measure=False, **options)
    return scan, first_image(scan)


def _scan_layers(path: Path, viewer: Any) -> list[LayerData]:
    try:
        scan, image = open_scan(path)
    except ScanChoiceError as error:
        if viewer is None:
            raise
        Session.of(viewer).ask_shape(ShapeQuestion.of(path, error))
        show_dock(viewer)
        return NOTHING
    _make_room(viewer, scan.calibration)
    name = f"{scan.name}: {Role.VIRTUAL.value}"
    return [image_layer(Role.VIRTUAL, name, image, scan)]


def _map_layers(path: Path, viewer: Any) -> list[LayerData]:
    from napari_polmap import load_map

    polarization_map = load_map(path)
    _make_room(viewer, polarization_map.calibration)
    layers = map_layers(polarization_map, path.stem, polarization_map.calibration)
    # In a window the layers' manager adds the others when it takes this one over.
    return [layers[Role.POLARIZATION]] if viewer is not None else list(layers.values())


def _make_room(viewer: Any, calibration: Calibration) -> None:
    from napari_polmap.viewer.manager import LayerManager

    if viewer is not None:
        LayerManager.of(viewer).make_room(calibration)


def _told(read: Callable[[Path, Any], list[LayerData]], path: PathOrPaths) -> list[LayerData]:
    """Read with errors as one notification where there is a window."""
    from napari import current_viewer
    from napari.utils.notifications import show_error

    first = _first(path)
    viewer = current_viewer()
    if first is None:
        return NOTHING
    if viewer is not None:
        follow(viewer)
    try:
        return read(Path(first), viewer)
    except PolmapError as error:
        if viewer is None:
            raise
        show_error(str(error))
        return NOTHING


def follow(viewer: Any) -> None:
    """Let a viewer's layers be managed, and the dock come with a scan or map."""
    from napari_polmap.viewer.manager import LayerManager

    LayerManager.of(viewer).on_opened = _show_opened


def _show_opened(viewer: Any) -> None:
    dock = show_dock(viewer)
    if dock is not None:
        dock.fit_view()


def show_dock(viewer: Any, *, always: bool = False) -> Any:
    """Open the dock "Polarization map", where the viewer has a window.

    Parameters
    ----------
    viewer : napari.Viewer or ViewerModel
    always : bool
        Although the preferences say that it does not open by itself.

    Returns
    -------
    PolarizationDock or None
    """
    from napari_polmap.viewer.preferences import PLUGIN, preferences

    window = getattr(viewer, "window", None)
    if window is None or not (always or preferences().open_dock):
        return None
    return window.add_plugin_dock_widget(PLUGIN, DOCK)[1]


def _first(path: PathOrPaths) -> str | os.PathLike[str] | None:
    if isinstance(path, str | os.PathLike):
        return path
    # Several files at once are a stack of pictures, unless they are parts of one scan.
    return path[0] if len(path) == 1 else None
