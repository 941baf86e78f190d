"""The user's choices on napari's Preferences page of this plugin."""

from __future__ import annotations

from dataclasses import dataclass

PLUGIN = "napari-polmap"


@dataclass(frozen=True)
class Preferences:
    """Choices with the defaults that ``napari.yaml`` states.

    Parameters
    ----------
    threshold : float
        Least confidence of a new map's directions; 0 takes each classifier's own.
    open_dock : bool
        Whether the dock opens with a scan or map.
    keep_maps : int
        How many maps are kept in the cache folder.
    reduced_mb : int
        Memory in MB for the reduced copy of a scan that images come from while a detector is
        dragged.
    """

    threshold: float = 0.0
    open_dock: bool = True
    keep_maps: int = 20
    reduced_mb: int = 512


def preferences() -> Preferences:
    """The choices as they are now; the defaults where napari does not know the plugin."""
    from napari.settings import get_plugin_settings

    try:
        settings = get_plugin_settings(PLUGIN)
        maps, window = settings.maps, settings.window
    except (KeyError, AttributeError):
        return Preferences()
    return Preferences(
        threshold=float(maps.threshold),
        open_dock=bool(window.open_dock),
        keep_maps=int(maps.keep_maps),
        reduced_mb=int(settings.images.reduced_mb),
    )
