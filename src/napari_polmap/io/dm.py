"""Gatan's .dm3 and .dm4 files, in which scan and detector come in either order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.errors import ScanChoiceError, ScanError
from napari_polmap.io.arrangement import ArrangedView
from napari_polmap.io.axes import Axis
from napari_polmap.io.opened import READER_ERRORS, Opened, unreadable
from napari_polmap.io.records import read_no_more

_DTYPES = {
    1: "i2",
    2: "f4",
    6: "u1",
    7: "i4",
    9: "i1",
    10: "u2",
    11: "u4",
    12: "f8",
    14: "u1",
    39: "i8",
    40: "u8",
}
"""DigitalMicrograph's data types that are real numbers."""
_SLOW_BYTES = 2**28


def open_dm(path: Path, dataset: str | None) -> Opened:
    """Open a .dm3 or .dm4 file as a memory map.

    Parameters
    ----------
    path : Path
    dataset : str, optional
        Name or number of the image in a file with several; by default the largest scan.

    Raises
    ------
    ScanError
        If the file is damaged or holds no scan.

    Notes
    -----
    DigitalMicrograph lists the dimensions fastest first. Files of recent versions list the
    detector before the scan and say so by the tag ``Meta Data:Data Order Swapped``; older ones list
    the scan first. RosettaSciIO does not look at the tag, so only its parser of tags serves here;
    where there is no tag, the axes' units and the scan's size in the tags tell.
    """
    from rsciio.digitalmicrograph._api import DigitalMicrographReader

    try:
        with path.open("rb") as file:
            reader = DigitalMicrographReader(file)
            reader.parse_file()
            images = reader.get_image_dictionaries() or []
        image = _choose(path, images, dataset)
        described = image["ImageData"]
        shape = tuple(int(n) for n in reversed(described["Dimensions"].values()))
        offset = int(described["Data"]["offset"])
        order = "<" if described["Data"]["endian"] == "little" else ">"
        dtype = np.dtype(order + _DTYPES[described["DataType"]])
        axes = _axes(described, len(shape))
        found, wanted = path.stat().st_size - offset, int(np.prod(shape)) * dtype.itemsize
        if found < wanted:
            raise ScanError(
                f"{path} is cut off: it holds {max(0, found)} of the {wanted} bytes of its data; "
                "copy it again."
            )
        data = np.memmap(path, dtype, "r", offset, shape)
    except READER_ERRORS as error:
        raise unreadable(path, error) from error
    tags = image.get("ImageTags", {})
    warnings: list[str] = []
    storage: tuple[int, int] | None = None
    view: Any = data
    if data.ndim >= 4:
        extra = data.ndim - 4
        scan_last, doubt = _scan_last(tags, axes, shape)
        storage = (1, 1)
        if scan_last:
            last = [*range(extra), extra + 2, extra + 3, extra, extra + 1]
            view = ArrangedView(data, last, [False] * data.ndim, [shape[i] for i in last])
            axes = tuple(axes[i] for i in last)
            # A pattern's pixels lie far apart, those of a row of positions side by side.
            storage = (1, shape[-1])
            read_no_more(data)
            if data.nbytes > _SLOW_BYTES:
                warnings.append(
                    f"{path.name} stores the scan pixel by pixel of the detector, so that patterns "
                    "are slow to read; save it with the data order swapped, or as .hspy."
                )
        if doubt:
            warnings.append(doubt)
    elif (lines := _titan_shape(tags)) is not None and lines[0] * lines[1] == shape[0]:
        view = data.reshape(*lines, *shape[1:])
        warnings.append(
            f"The scan's shape {lines} comes from the file's tags; give nav_shape as (rows, "
            "columns) if it is wrong."
        )
        axes = (Axis(), Axis(), *axes[1:])
        storage = (1, 1)
    return Opened(view, axes, _metadata(image, tags), warnings, storage)


def _choose(path: Path, images: list[dict[str, Any]], dataset: str | None) -> dict[str, Any]:
    def shape(image: Mapping[str, Any]) -> tuple[int, ...]:
        return tuple(int(n) for n in reversed(image["ImageData"]["Dimensions"].values()))

    names = [str(image.get("Name") or number) for number, image in enumerate(images)]
    listed = ", ".join(
        f"{name!r} of shape {shape(image)}" for name, image in zip(names, images, strict=True)
    )
    if dataset is not None:
        for number, (name, image) in enumerate(zip(names, images, strict=True)):
            if dataset in (name, str(number)):
                return image
        raise ScanChoiceError(
            f"{path} has no dataset {dataset!r}; it holds {listed}.", datasets=tuple(names)
        )
    fitting = [
        image
        for image in images
        if len(shape(image)) >= 3 and image["ImageData"]["DataType"] in _DTYPES
    ]
    if not fitting:
        raise ScanError(
            f"{path} holds no 4D-STEM scan but {listed or 'nothing'}; a scan has rows and columns "
            "of two-dimensional patterns."
        )
    return max(fitting, key=lambda image: (len(shape(image)) >= 4, int(np.prod(shape(image)))))


def _axes(described: Mapping[str, Any], ndim: int) -> tuple[Axis, ...]:
    """Axes in the order of the array, slowest first."""
    calibrations = described.get("Calibrations", {}).get("Dimension", {})
    axes = []
    for values in list(calibrations.values())[:ndim]:
        scale, units = float(values.get("Scale", 1.0)), values.get("Units") or ""
        # DigitalMicrograph gives the origin in pixels.
        offset = -float(values.get("Origin", 0.0)) * scale
        axes.append(
            Axis.from_mapping({"units": str(units), "scale": scale or 1.0, "offset": offset})
        )
    axes += [Axis()] * (ndim - len(axes))
    return tuple(reversed(axes))


def _scan_last(
    tags: Mapping[str, Any], axes: tuple[Axis, ...], shape: tuple[int, ...]
) -> tuple[bool, str]:
    """Whether an array's last two axes are the scan's, and what to tell if that is not certain."""
    swapped = _tag(tags, "Meta Data", "Data Order Swapped")
    by_units = _scan_last_by_units(axes)
    if swapped is not None:
        doubt = (
            "The units of the axes contradict the tag 'Data Order Swapped', which is followed; "
            "give axes as 'ky,kx,y,x' if the patterns look like images of the specimen."
        )
        return not swapped, doubt if by_units == bool(swapped) else ""
    if by_units is not None:
        return by_units, ""
    sampling = [
        _tag(tags, "SI", "Acquisition", "Spatial Sampling", f"{name} (pixels)")
        for name in ("Height", "Width")
    ]
    first, last = list(shape[-4:-2]) == sampling, list(shape[-2:]) == sampling
    if first != last:
        return last, ""
    return True, (
        "Whether scan or detector comes first is not in the file; the scan is taken to vary "
        "fastest, as in old files: give axes as 'ky,kx,y,x' if the patterns look like images of "
        "the specimen."
    )


def _scan_last_by_units(axes: tuple[Axis, ...]) -> bool | None:
    lengths = [axis.nm is not None for axis in axes[-4:]]
    angles = [axis.mrad is not None or axis.per_nm is not None for axis in axes[-4:]]
    if all(lengths[:2]) and all(angles[2:]):
        return False
    if all(angles[:2]) and all(lengths[2:]):
        return True
    return None


def _titan_shape(tags: Mapping[str, Any]) -> tuple[int, int] | None:
    """The scan's shape (rows, columns) in the tags that NCEM's TitanX writes with its stacks."""
    rows, columns = (_tag(tags, "4D STEM Tags", f"Scan shape {axis}") for axis in "YX")
    try:
        return int(rows), int(columns)
    except (TypeError, ValueError):
        return None


def _metadata(image: Mapping[str, Any], tags: Mapping[str, Any]) -> dict[str, Any]:
    """In HyperSpy's layout."""
    microscope = {
        "beam_energy": _kilovolts(_tag(tags, "Microscope Info", "Voltage")),
        "camera_length": _tag(tags, "Microscope Info", "STEM Camera Length"),
        "convergence_angle": _tag(
            tags, "EELS", "Experimental Conditions", "Convergence semi-angle (mrad)"
        ),
    }
    known = {name: value for name, value in microscope.items() if value}
    metadata: dict[str, Any] = {"General": {"title": str(image.get("Name") or "")}}
    if known:
        metadata["Acquisition_instrument"] = {"TEM": known}
    return metadata


def _kilovolts(volts: Any) -> float | None:
    return float(volts) / 1000 if isinstance(volts, int | float) and volts > 0 else None


def _tag(tags: Mapping[str, Any], *names: str) -> Any:
    value: Any = tags
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
