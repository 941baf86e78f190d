"""EMPAD scans: an .xml file that describes a .raw file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_polmap.errors import ScanError
from napari_polmap.io.axes import Axis
from napari_polmap.io.opened import READER_ERRORS, Opened, unreadable
from napari_polmap.io.records import Records, check_complete

_RECORDS = Records((128, 128), np.dtype("<f4"), after=2 * 128 * 4)
_LFS = b"version https://git-lfs"


def open_empad(path: Path, nav_shape: tuple[int, int] | None) -> Opened:
    """Open an EMPAD scan as a memory map of its raw file.

    Parameters
    ----------
    path : Path
        The .xml file.
    nav_shape : (int, int), optional
        Rows and columns, to open the complete rows of a short file.

    Raises
    ------
    ScanError
        If the .xml file cannot be read, or the raw file is missing or too short.

    Notes
    -----
    RosettaSciIO reads the .xml file; lazily it looks at the raw file only when it reads patterns.
    """
    from rsciio.empad._api import _parse_xml, file_reader

    from napari_polmap.io.rosetta import quiet_readers

    try:
        tree, info = _parse_xml(str(path))
        raw = path.parent / str(info["raw_filename"])
        names = ("series_count",) if "series_count" in info else ("scan_y", "scan_x")
        shape = tuple(int(info[name]) for name in names)
        with quiet_readers():
            signal = file_reader(str(path), lazy=True)[0] if _check_raw(path, raw) else {}
    except READER_ERRORS as error:
        raise unreadable(path, error) from error
    wanted = int(np.prod(shape))
    found, rest = _RECORDS.count(raw)
    hints = [shape] if len(shape) == 2 else []
    short = found < wanted
    notes = check_complete(
        str(raw), min(found, wanted), wanted, short and bool(rest), nav_shape, hints
    )
    metadata = dict(signal["metadata"])
    volts = tree.get("root.iom_measurements.source.get_voltage")
    if volts:
        metadata["Acquisition_instrument"] = {"TEM": {"beam_energy": float(volts) / 1000}}
    described = [Axis.from_mapping(values) for values in signal["axes"]]
    if len(described) != len(shape) + 2:  # axes of length one are left out
        described = [*[Axis()] * len(shape), *described[-2:]]
    frames = _RECORDS.map(raw, min(found, wanted))
    if notes and nav_shape is not None:
        shape = nav_shape
        frames = frames[: shape[0] * shape[1]]
        described = [*[described[0]] * 2, *described[-2:]]
    data = frames.reshape(*shape, *_RECORDS.shape)
    return Opened(data, tuple(described), metadata, notes, (1, 1) if len(shape) == 2 else None)


def _check_raw(path: Path, raw: Path) -> bool:
    """See that the raw file is there."""
    if not raw.is_file():
        raise ScanError(
            f"{path} describes the patterns in {raw.name}, but that file is not beside it; copy "
            "both into one folder, with the names they had."
        )
    with raw.open("rb") as file:
        if file.read(len(_LFS)) == _LFS:
            raise ScanError(
                f"{raw} is only a pointer to a file kept by Git LFS; fetch it with 'git lfs pull'."
            )
    return True
