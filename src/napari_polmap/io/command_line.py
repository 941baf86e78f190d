"""The command line that opens a scan with the same options."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_OPTIONS = {
    "nav_shape": "--nav-shape",
    "dataset": "--dataset",
    "index": "--index",
    "axes": "--axes",
    "flyback": "--flyback",
    "sidecar": "--sidecar",
    "bad_pixels": "--mask",
    "step_nm": "--step",
    "mrad_per_pixel": "--mrad-per-pixel",
    "energy_kv": "--energy",
    "semi_angle_mrad": "--semi-angle",
    "center_px": "--center",
    "radius_px": "--radius",
    "descan_px": "--descan",
    "ellipse": "--ellipse",
    "rotation_deg": "--rotation",
    "flip": "--flip",
    "crystal_angle_deg": "--crystal-angle",
    "lattice_nm": "--lattice",
}
"""Options of `load_scan`, and how the command line calls them."""


def command_line(path: str | Path, options: Mapping[str, Any]) -> str:
    """The command that shows a scan opened with these options.

    Parameters
    ----------
    path : str or Path
        The scan.
    options : mapping
        Options of `load_scan` and calibration values; those that are None are left out.

    Returns
    -------
    str
        ``polmap info PATH --nav-shape 3,5 ...``, quoted for a shell.

    Raises
    ------
    KeyError
        If the command line has no such option.
    """
    place = str(path)
    words = ["polmap", "info", f"./{place}" if place.startswith("-") else place]
    for name, value in options.items():
        if value is None:
            continue
        option = _OPTIONS[name]
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        else:
            words += [option, _text(value)]
    return shlex.join(words)


def _text(value: Any) -> str:
    if isinstance(value, str | Path):
        return str(value)
    try:
        return ",".join(_text(part) for part in value)
    except TypeError:
        plain = value.item() if hasattr(value, "item") else value
        return str(plain)
