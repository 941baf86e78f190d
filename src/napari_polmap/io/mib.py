"""Merlin .mib files: every frame counted, the scan's shape never guessed silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.errors import ScanShapeError
from napari_polmap.io.axes import Axis
from napari_polmap.io.frames import check_scan_shape, scan_shapes
from napari_polmap.io.opened import READER_ERRORS, Opened, unreadable
from napari_polmap.io.rosetta import quiet_readers


def open_mib(path: Path, nav_shape: tuple[int, int] | None) -> Opened:
    """Open a .mib file as a memory map.

    Parameters
    ----------
    path : Path
    nav_shape : (int, int), optional
        Rows and columns; by default as the frames' time stamps suggest, with a warning.

    Raises
    ------
    ScanShapeError
        If the scan's shape is not known or does not fit the number of frames.
    ScanError
        If the file is not what its header says.

    Notes
    -----
    RosettaSciIO drops the frames that do not fit a shape; here they are counted first. As there,
    detector rows are reversed, because the file stores them from the bottom up.
    """
    from rsciio.quantumdetector import file_reader, load_mib_data

    options: dict[str, Any] = {} if nav_shape is None else {"navigation_shape": nav_shape[::-1]}
    try:
        with quiet_readers():
            frames = load_mib_data(str(path), lazy=True)
            signal = file_reader(str(path), lazy=True, **options)[0]
    except READER_ERRORS as error:
        raise unreadable(path, error) from error
    found = len(frames)
    properties = signal["original_metadata"]["mib_properties"]
    frame_bytes = properties["head_size"] + int(np.prod(frames.shape[1:])) * frames.dtype.itemsize
    rest = path.stat().st_size - found * frame_bytes
    recorded = _recorded_frames(signal["original_metadata"].get("hdr_file"))
    notes: list[str] = []
    if rest or found < recorded:
        said = f"{found} of {recorded} frames" if found < recorded else f"{found} whole frames"
        cut = f"{path} holds {said}" + (", the last one cut off" if rest else "")
        if nav_shape is None or nav_shape[0] * nav_shape[1] > found:
            lines = signal["data"].shape[:2] if signal["data"].ndim == 4 else (1, found)
            raise ScanShapeError(
                f"{cut}: the acquisition was stopped or the copy is incomplete; copy the file "
                f"again, or open its complete rows with nav_shape such as {lines}.",
                scan_shapes(found),
            )
        frames = frames[: nav_shape[0] * nav_shape[1]]
        notes.append(f"{cut}; only the first {nav_shape[0]} x {nav_shape[1]} are used.")
    elif nav_shape is not None:
        check_scan_shape(str(path), found, nav_shape)
    else:
        guess = tuple(int(n) for n in signal["data"].shape[:-2])
        fits = len(guess) == 2 and min(guess) > 1 and guess[0] * guess[1] == found
        nav_shape = (guess[0], guess[1]) if fits else check_scan_shape(str(path), found, None)
        notes.append(
            f"The scan's shape {nav_shape} comes from the frames' time stamps or triggers; give "
            "nav_shape as (rows, columns) if it is wrong."
        )
    data = frames.reshape(*nav_shape, *frames.shape[1:])[:, :, ::-1, :]
    axes = tuple(Axis.from_mapping(values) for values in signal["axes"])
    axes = axes if len(axes) == 4 else (Axis(),) * 4
    return Opened(data, axes, dict(signal["metadata"]), notes)


def _recorded_frames(header: dict[str, str] | None) -> int:
    """How many frames the acquisition was to have, by the .hdr file; 0 if that is not known."""
    try:
        return int((header or {})["Frames in Acquisition (Number)"])
    except (KeyError, ValueError):
        return 0
