"""Opening 4D-STEM files as scans, without reading them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration
from napari_polmap.errors import ScanError, reason
from napari_polmap.io.arrangement import Arrangement
from napari_polmap.io.axes import Axis, backward_axes, calibrate
from napari_polmap.io.blockfile import open_blockfile
from napari_polmap.io.dm import open_dm
from napari_polmap.io.empad import open_empad
from napari_polmap.io.frames import check_scan_shape
from napari_polmap.io.kinds import KNOWN, is_hdf5, reader_name
from napari_polmap.io.maps import is_map
from napari_polmap.io.mib import open_mib
from napari_polmap.io.mrc import open_mrc
from napari_polmap.io.opened import Opened, unreadable
from napari_polmap.io.records import read_no_more
from napari_polmap.io.rosetta import open_file
from napari_polmap.io.sidecar import load_sidecar, opened_as_kept
from napari_polmap.io.tiff_folder import ENDINGS, TiffFolder, tiff_names
from napari_polmap.io.tiff_stack import open_stack
from napari_polmap.io.tvips import open_tvips
from napari_polmap.scan import Scan


def load_scan(
    path: str | Path,
    *,
    nav_shape: Sequence[int] | None = None,
    dataset: str | None = None,
    index: int | Sequence[int] | None = None,
    axes: str | None = None,
    flyback: int | None = None,
    bad_pixels: npt.ArrayLike | str | Path | None = None,
    measure: bool = True,
    sidecar: bool = True,
    **calibration_values: Any,
) -> Scan:
    """Open a 4D-STEM scan; its patterns are read when they are needed.

    Parameters
    ----------
    path : str or Path
        A file (``.hspy``, ``.zspy``, ``.mib``, ``.blo``, ``.npy``, whatever else RosettaSciIO
        reads as four-dimensional, a TIFF stack) or a folder of TIFF files, one pattern a file,
        row by row in the natural order of their names.
    nav_shape : (int, int), optional
        Rows and columns of the scan as recorded (flyback columns included), where the file does
        not say. Frames at its end that make no whole row are left out, with a warning.
    dataset : str, optional
        Name or number of the dataset, in a file with several.
    index : int or sequence of int, optional
        Which entry of the axes before the scan's rows, in a file of more than four axes.
    axes : str, optional
        The file's last four axes as they are stored, where that is not ``"y,x,ky,kx"``; a minus
        sign reverses an axis, as in ``"-y,x,ky,kx"``. In a stack of frames, y and x stand for the
        frames, and `nav_shape` for these two in the order of `axes`.
    flyback : int
        Columns to cut from the end of each recorded row; by default none.
    bad_pixels : array-like of shape (ky, kx), or path, optional
        Detector pixels that must not be used are not zero; a path names a .npy or TIFF file.
    measure : bool
        Measure from a few patterns what the file does not tell: the bright-field disk and the
        lattice period.
    sidecar : bool
        Use what is kept of the scan: options of reading that are not given, calibration and bad
        pixels, as they were set when it was open before (see `napari_polmap.io.sidecar`).
    **calibration_values
        The user's values, which win over what is kept and over the file's: ``step_nm``,
        ``mrad_per_pixel``, ``center_px``, ``radius_px``, ... (see `Calibration`).

    Returns
    -------
    Scan

    Raises
    ------
    ScanError
        If the path holds no readable scan.
    ScanShapeError
        If the file is a stack of frames and `nav_shape` is missing or does not fit.
    CalibrationError
        If a calibration value is impossible.
    """
    path = Path(path).expanduser()
    values = {name: value for name, value in calibration_values.items() if value is not None}
    Calibration().updated("user", **values)
    reading: dict[str, Any] = {
        "nav_shape": nav_shape,
        "dataset": dataset,
        "index": index,
        "axes": axes,
        "flyback": flyback,
    }
    given = {name: value for name, value in reading.items() if value is not None}
    Arrangement.of(**given)
    warnings: list[str] = []
    kept = load_sidecar(path, dataset=dataset, index=index, warnings=warnings) if sidecar else None

    def open_(options: dict[str, Any]) -> Scan:
        return _load(path, values, Arrangement.of(**options))

    scan, kept = opened_as_kept(open_, given, kept, warnings)
    if kept is not None:
        scan = kept.applied(scan, values, bad_pixels=bad_pixels is None)
    if isinstance(bad_pixels, str | Path):
        bad_pixels = load_mask(bad_pixels)
    if bad_pixels is not None:
        scan = scan.with_bad_pixels(np.asarray(bad_pixels) != 0)
    if warnings:
        scan = scan.with_calibration(scan.calibration, (*scan.warnings, *warnings))
    scan.check_end()
    if measure:
        from napari_polmap.diffraction.measure import measured

        return measured(scan)
    return scan


def _load(path: Path, values: Mapping[str, Any], arrangement: Arrangement) -> Scan:
    opened = _open(path, arrangement.nav_shape, arrangement.dataset)
    arranged = arrangement.apply(str(path), opened.data, opened.axes, opened.storage)
    backward = () if arrangement.axes else backward_axes(opened.axes)
    metadata, energy_kv = opened.metadata, values.get("energy_kv")
    calibration, center, warnings = calibrate(arranged.axes, metadata, energy_kv)
    mask = None if arrangement.axes else opened.bad_pixels
    return Scan(
        arranged.data,
        calibration.updated("user", **values) if values else calibration,
        path=path,
        metadata={**metadata, "axes_center_px": center},
        warnings=(*opened.warnings, *arranged.warnings, *backward, *warnings),
        bad_pixels=mask,
        file_bad_pixels=mask,
        storage=arranged.storage,
        reading=arrangement.options(),
        file_calibration=calibration,
    )


def _open(path: Path, nav_shape: tuple[int, int] | None, dataset: str | None) -> Opened:
    try:
        if not path.exists():
            raise ScanError(f"There is no file or folder {path}; check the path.")
        if path.is_dir():
            return _open_folder(path, nav_shape, dataset)
        if path.stat().st_size == 0:
            raise ScanError(f"{path} is empty (0 bytes); copy it again.")
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise unreadable(path, error) from error
    if start.startswith(b"version https://git-lfs"):
        raise ScanError(
            f"{path} is only a pointer to a file kept by Git LFS; fetch it with 'git lfs pull'."
        )
    ending = path.suffix.lower()
    if is_hdf5(path):  # whatever its ending says
        return open_file(path, nav_shape, dataset)
    if ending in (".dm3", ".dm4"):
        return open_dm(path, dataset)
    if ending in ENDINGS:
        return open_stack(path, dataset)
    open_one = _OPENERS.get(ending)
    if ending == ".xml" and reader_name(path) == "EMPAD":
        open_one = open_empad
    if open_one is None:
        return open_file(path, nav_shape, dataset)
    if dataset is not None:
        raise _no_datasets(path, dataset)
    return open_one(path, nav_shape)


def _open_folder(path: Path, nav_shape: tuple[int, int] | None, dataset: str | None) -> Opened:
    if is_map(path):
        raise ScanError(f"{path} is a polarization map, not a scan; open it with load_map.")
    if path.suffix.lower() == ".zspy":
        return open_file(path, nav_shape, dataset)
    names = tiff_names(path)
    if not names:
        raise ScanError(
            f"The folder {path} holds no TIFF files; choose one with one TIFF file per pattern, "
            f"or a file ({KNOWN})."
        )
    if dataset is not None:
        raise _no_datasets(path, dataset)
    check_scan_shape(str(path), len(names), nav_shape)  # before files are opened
    frames, notes = TiffFolder(path, names), []
    if frames.planes > 1:
        notes.append(
            f"The files of {path.name} hold {frames.planes} images each, of which only the first "
            "is used; save the others as files of their own if they are patterns of the scan."
        )
    return Opened(frames, (Axis(),) * 3, warnings=notes)


def _no_datasets(path: Path, dataset: str) -> ScanError:
    return ScanError(f"{path} holds one data set only, so there is no {dataset!r}; leave it out.")


def _open_npy(path: Path, _: tuple[int, int] | None) -> Opened:
    try:
        data = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise unreadable(path, error) from error
    if not isinstance(data, np.ndarray):
        raise ScanError(f"{path} is an archive of several arrays; save the scan's as .npy.")
    storage = None
    if data.ndim >= 4 and data.strides[-4] < data.strides[-3] < data.strides[-2]:
        # In Fortran's order the positions of a column lie side by side.
        read_no_more(data)
        storage = (data.shape[-4], 1)
    return Opened(data, (Axis(),) * data.ndim, storage=storage)


_OPENERS: dict[str, Callable[[Path, tuple[int, int] | None], Opened]] = {
    ".npy": _open_npy,
    ".mib": open_mib,
    ".mrc": open_mrc,
    ".tvips": open_tvips,
    ".blo": lambda path, _: open_blockfile(path),
}
"""Files of one data set that are read without RosettaSciIO."""


def load_mask(path: str | Path) -> npt.NDArray[np.bool_]:
    """Read an image of bad pixels (.npy or TIFF): true where it is not zero.

    Raises
    ------
    ScanError
        If it cannot be read.
    """
    path = Path(path).expanduser()
    try:
        if path.suffix.lower() in ENDINGS:
            import tifffile

            mask = tifffile.imread(path)
        else:
            mask = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise ScanError(
            f"The mask of bad pixels {path} cannot be read ({reason(error)}); give a "
            ".npy or TIFF image of the detector's shape, not zero where pixels are bad."
        ) from error
    return np.asarray(mask) != 0
