"""Writing simulated scans, truth images and labelled data sets; whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import PolmapError, unwritable
from napari_polmap.io.signals import scan_to_signal
from napari_polmap.scan import Scan

PART = "part_"
"""Begins the names of files that are not whole yet."""

_CALIBRATION = {
    "step_nm": "step_nm",
    "mrad_per_pixel": "mrad_per_pixel",
    "center": "center_px",
    "radius_px": "radius_px",
    "energy_kv": "energy_kv",
    "semi_angle_mrad": "semi_angle_mrad",
    "lattice_nm": "lattice_nm",
    "rotation_deg": "rotation_deg",
    "flip": "flip",
    "crystal_angle_deg": "crystal_angle_deg",
}


def write_scan(
    path: Path, data: Any, entry: Mapping[str, Any], title: str, more: Mapping[str, Any]
) -> None:
    """Write a scan.

    Parameters
    ----------
    path : Path
        Ending in ``.hspy``: a HyperSpy file with calibrated axes; or in ``.npy``: the array alone.
    data : array-like, shape (y, x, ky, kx)
        NumPy or dask array.
    entry : mapping
        The scan's entry in the labelled data set, whose values become calibration and metadata.
    title : str
        Of the signal.
    more : mapping
        Further metadata of plain values.
    """
    if path.suffix == ".npy":
        write_array(path, np.asarray(data))
        return
    values = {own: entry[name] for name, own in _CALIBRATION.items() if name in entry}
    values["center_px"] = tuple(values["center_px"])
    scan = Scan(data, name=title, **values)
    signal = scan_to_signal(scan)
    told = {name: value for name, value in entry.items() if name != "path"}
    signal.metadata.add_dictionary({"Simulation": {**told, **more}})
    rows, columns = (min(length, 8) for length in scan.scan_shape)

    def save(part: Path) -> None:
        # HyperSpy's compression of small files costs less time than their bytes on most disks.
        signal.save(
            part,
            overwrite=True,
            compression="gzip",
            compression_opts=1,
            chunks=(rows, columns, *scan.detector_shape),
            show_progressbar=False,
        )

    _whole(path, save)


def write_array(path: Path, array: np.ndarray[Any, Any]) -> None:
    """Write a ``.npy`` file."""

    def save(part: Path) -> None:
        with part.open("wb") as file:
            np.save(file, array, allow_pickle=False)

    _whole(path, save)


def write_image(path: Path, image: np.ndarray[Any, Any]) -> None:
    """Write an image as TIFF."""
    import tifffile

    _whole(path, lambda part: tifffile.imwrite(part, image))


def write_json(path: Path, values: Any) -> None:
    """Write plain values as JSON."""
    content = json.dumps(values, indent=1).encode()
    _whole(path, lambda part: part.write_bytes(content))


def write_text(path: Path, content: str) -> None:
    """Write a text."""
    _whole(path, lambda part: part.write_bytes(content.encode()))


def write_dataset(
    path: Path,
    name: str,
    directions: DirectionSet | Sequence[str],
    entries: Iterable[Mapping[str, Any]],
    comment: str = "",
) -> None:
    """Write a labelled data set's TOML file; paths of the entries are relative to its folder.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of the data set.
    directions : DirectionSet or sequence of str
        The directions in the order of label images; names alone where they bring their angles.
    entries : iterable of mapping
        Keys and values of each ``[[scan]]``.
    comment : str
        Line at the top of the file.
    """
    names = directions.names if isinstance(directions, DirectionSet) else tuple(directions)
    lines = [f"# {comment}"] if comment else []
    lines += [f"name = {_toml(name)}", f"directions = {_toml(list(names))}"]
    if isinstance(directions, DirectionSet) and directions != DirectionSet.from_names(names):
        angles = ["none" if angle is None else angle for angle in directions.angles_deg]
        lines.append(f"angles_deg = {_toml(angles)}")
    lines.append('root = "."')
    for entry in entries:
        lines += ["", "[[scan]]"]
        lines += [f"{key} = {_toml(value)}" for key, value in entry.items()]
    write_text(path, "\n".join(lines) + "\n")


def _toml(value: Any) -> str:
    """A TOML value; strings, numbers and lists are written as in JSON, floats shortened."""
    if isinstance(value, float):
        return repr(float(f"{value:.8g}"))
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _whole(path: Path, save: Callable[[Path], object]) -> None:
    """Write to a temporary name of the same ending, and move it into place."""
    part = path.with_name(PART + path.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(part)
        part.replace(path)
    except OSError as error:
        raise PolmapError(unwritable(str(path), path, error)) from error
    finally:
        if part.parent.is_dir():
            part.unlink(missing_ok=True)
