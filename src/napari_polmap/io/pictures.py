"""Single images of a specimen, such as the HAADF image taken with a scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.errors import ScanError, reason
from napari_polmap.io.axes import Axis
from napari_polmap.io.hdf5_axes import described_axes
from napari_polmap.io.kinds import is_hdf5
from napari_polmap.io.opened import READER_ERRORS
from napari_polmap.io.rosetta import quiet_readers

FILTER = "*.tif *.tiff *.npy *.png *.hspy *.emd *.h5 *.hdf5 *.dm3 *.dm4 *.ser *.mrc *.nxs"
"""Endings of files that hold images, for file dialogs."""
_SMALLEST = 2
_HYPERSPY = (".hspy", ".emd")


@dataclass(frozen=True)
class Picture:
    """An image of the specimen.

    Parameters
    ----------
    name : str
        Within its file; the file's name where that holds one only.
    data : ndarray of float32, shape (rows, columns)
    pixel_nm : (float, float) or None
        Height and width of a pixel, where the file says them.
    """

    name: str
    data: npt.NDArray[np.float32]
    pixel_nm: tuple[float, float] | None = None


def load_pictures(path: str | Path) -> list[Picture]:
    """All images in a file; its scans and spectra are not read.

    Parameters
    ----------
    path : str or Path
        .tif, .npy, .png, HDF5, or what else RosettaSciIO reads as two-dimensional.

    Raises
    ------
    ScanError
        If the file cannot be read or holds no image.
    """
    path = Path(path).expanduser()
    ending = path.suffix.lower()
    try:
        if not path.is_file():
            raise ScanError(f"There is no file {path}; check the path.")
        if ending in (".npy", ".tif", ".tiff", ".png"):
            pictures = [_plain(path.name, _pixels(path, ending))]
        elif is_hdf5(path) and ending not in _HYPERSPY:
            pictures = list(_from_hdf5(path))
        else:
            pictures = list(_from_signals(path))
    except READER_ERRORS as error:
        raise ScanError(
            f"{path} cannot be read as an image ({reason(error)}); give a .tif, .npy or .png file."
        ) from error
    if not pictures:
        raise ScanError(f"{path} holds no image of two axes; give a .tif, .npy or .png file.")
    return pictures


def _pixels(path: Path, ending: str) -> npt.NDArray[Any]:
    if ending == ".npy":
        return np.asarray(np.load(path, allow_pickle=False))
    if ending == ".png":
        from matplotlib.image import imread

        return np.asarray(imread(path))
    import tifffile

    return np.asarray(tifffile.imread(path))


def grey(values: npt.NDArray[Any]) -> npt.NDArray[np.float32] | None:
    """Values or colors as one value a pixel; None where they are no image.

    Parameters
    ----------
    values : ndarray, shape (rows, columns), or (rows, columns, 3 or 4) for colors
    """
    if values.dtype.kind not in "uifb":
        return None
    if values.ndim == 3 and values.shape[2] in (3, 4):
        # Luminance as in ITU-R BT.601.
        values = values[..., :3] @ np.array([0.299, 0.587, 0.114])
    if values.ndim != 2 or min(values.shape) < _SMALLEST:
        return None
    return np.asarray(values, np.float32)


def _plain(name: str, values: npt.NDArray[Any]) -> Picture:
    data = grey(np.squeeze(values) if values.ndim > 3 else values)
    if data is None:
        raise ScanError(
            f"{name} holds an array of shape {values.shape}, but an image has two axes; give "
            "another."
        )
    return Picture(name, data)


def _from_hdf5(path: Path) -> Iterator[Picture]:
    import h5py

    with h5py.File(path, "r") as file:
        found: list[h5py.Dataset] = []

        def visit(_: str, item: Any) -> None:
            real = isinstance(item, h5py.Dataset) and item.dtype.kind in "uif"
            if real and item.ndim == 2 and min(item.shape) >= _SMALLEST:
                found.append(item)

        file.visititems(visit)
        for dataset in found:
            data = np.asarray(dataset[()], np.float32)
            yield Picture(dataset.name.strip("/"), data, _pixel(described_axes(dataset)))


def _from_signals(path: Path) -> Iterator[Picture]:
    import hyperspy.api as hs

    with quiet_readers():
        loaded = hs.load(path, lazy=True)
    for signal in loaded if isinstance(loaded, list) else [loaded]:
        shape = [n for n in signal.data.shape if n != 1]
        if len(shape) != 2 or min(shape) < _SMALLEST or signal.data.dtype.kind not in "uif":
            continue
        described = sorted(
            signal.axes_manager.as_dictionary().items(), key=lambda item: int(item[0].split("-")[1])
        )
        axes = [Axis.from_mapping(values) for _, values in described if values.get("size") != 1]
        data = np.asarray(signal.data, np.float32).reshape(shape)
        title = str(signal.metadata.get_item("General.title", "")) or path.name
        yield Picture(title, data, _pixel(tuple(axes)))


def _pixel(axes: tuple[Axis, ...]) -> tuple[float, float] | None:
    sizes = [axis.nm for axis in axes]
    if len(sizes) != 2 or sizes[0] is None or sizes[1] is None:
        return None
    return sizes[0], sizes[1]
