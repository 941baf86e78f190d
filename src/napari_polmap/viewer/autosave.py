"""Where maps are kept by themselves, so that nothing is lost by a crash or a forgotten click."""

from __future__ import annotations

import re
import shutil
from datetime import datetime
from pathlib import Path

from napari_polmap.io.maps import is_map


def kept_maps_folder() -> Path:
    """The cache folder of maps."""
    from platformdirs import user_cache_path

    return user_cache_path("napari-polmap") / "maps"


def new_map_path(name: str) -> Path:
    """A path for a new map that nothing is at yet.

    Parameters
    ----------
    name : str
        The scan's name.
    """
    stem = re.sub(r"[^\w.+-]+", "_", name).strip("._") or "map"
    stem = f"{stem[:80]}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    folder, number = kept_maps_folder(), 1
    path = folder / f"{stem}.zarr"
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.zarr"
    return path


def remove_old_maps(keep: int) -> list[Path]:
    """Delete the oldest maps of the cache folder, all but the `keep` newest.

    Returns
    -------
    list of Path
        What was deleted.
    """
    folder = kept_maps_folder()
    if not folder.is_dir():
        return []
    maps = [path for path in folder.glob("*.zarr") if is_map(path)]
    maps.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in maps[keep:]:
        shutil.rmtree(path, ignore_errors=True)
    return maps[keep:]
