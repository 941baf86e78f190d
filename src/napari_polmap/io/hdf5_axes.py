"""What an HDF5 file says of the axes of a data set: their names, units, scales and order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_polmap.io.axes import Axis

_ROLES = (
    ("y", "scany", "yscan", "ny", "row", "rows", "scanrow", "scanrows", "ypos", "posy"),
    ("x", "scanx", "xscan", "nx", "column", "columns", "scancolumn", "scancolumns", "xpos", "posx"),
    ("ky", "dety", "detectory", "qy", "frameheight", "framey", "detectorrow", "detectorrows"),
    ("kx", "detx", "detectorx", "qx", "framewidth", "framex", "detectorcolumn", "detectorcolumns"),
)


def described_axes(dataset: Any) -> tuple[Axis, ...]:
    """Axes as an EMD group's ``dim`` data sets, NeXus or dimension scales describe them.

    Parameters
    ----------
    dataset : h5py.Dataset

    Returns
    -------
    tuple of Axis
        One for each axis of the data set as stored; those nothing is said of have no name.
    """
    for describe in (_emd_axes, _nexus_axes, _scale_axes):
        axes = describe(dataset)
        if axes is not None and len(axes) == dataset.ndim and any(a != Axis() for a in axes):
            return tuple(axes)
    return (Axis(),) * int(dataset.ndim)


def order_by_names(axes: Sequence[Axis]) -> list[int] | None:
    """Which axes are y, x, ky, kx, the others before them; None if the names do not tell."""
    names = ["".join(c for c in axis.name.lower() if c.isalnum()) for axis in axes]
    last: list[int] = []
    for role in _ROLES:
        fitting = [i for i, name in enumerate(names) if name in role]
        if len(fitting) != 1:
            return None
        last += fitting
    return [i for i in range(len(axes)) if i not in last] + last


def detector_first(axes: Sequence[Axis]) -> bool:
    """Whether the last four axes' units say (detector, detector, scan, scan)."""
    if len(axes) < 4:
        return False
    lengths = [axis.nm is not None for axis in axes[-4:]]
    angles = [axis.mrad is not None or axis.per_nm is not None for axis in axes[-4:]]
    return lengths == [False, False, True, True] and angles == [True, True, False, False]


def text(value: Any) -> str:
    """An attribute or scalar data set as text."""
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0] if value.size else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def axis_of(values: Any, name: str = "") -> Axis:
    """An axis from a data set that holds its coordinates, with ``name`` and ``units``."""
    import h5py

    attributes = values.attrs
    label = attributes.get("name", attributes.get("long_name", name))
    scale, offset = 1.0, 0.0
    if (
        isinstance(values, h5py.Dataset)
        and values.ndim == 1
        and values.dtype.kind in "uif"
        and values.shape[0] > 1
    ):
        offset = float(values[0])
        scale = (float(values[-1]) - offset) / (values.shape[0] - 1)
    described = {"name": text(label), "units": text(attributes.get("units", ""))}
    axis = Axis.from_mapping({**described, "scale": scale, "offset": offset})
    return axis if axis.scale else Axis(axis.name, axis.units)


def _emd_axes(dataset: Any) -> list[Axis] | None:
    group = dataset.parent
    first = 0 if "dim0" in group else 1
    names = [f"dim{first + i}" for i in range(dataset.ndim)]
    if not all(name in group for name in names):
        return None
    return [axis_of(group[name]) for name in names]


def _nexus_axes(dataset: Any) -> list[Axis] | None:
    group = dataset.parent
    said = dataset.attrs.get("axes", group.attrs.get("axes"))
    if said is None:
        return None
    if isinstance(said, str | bytes):
        plain = text(said).strip("[] ")
        names = [n.strip() for n in plain.replace(",", ":").split(":")]
    else:
        names = [text(name) for name in np.ravel(said)]
    axes = [Axis()] * int(dataset.ndim)
    for place, name in enumerate(names):
        # Axes of more than one dimension say which they belong to.
        indices = np.ravel(group.attrs.get(f"{name}_indices", place))
        at = int(indices[0]) if len(indices) == 1 else place
        if name == "." or not 0 <= at < len(axes):
            continue
        axes[at] = axis_of(group[name], name) if name in group else Axis(name)
    return axes


def _scale_axes(dataset: Any) -> list[Axis]:
    axes = []
    for dimension in dataset.dims:
        label = dimension.label
        scales = dimension.values()
        axis = axis_of(scales[0], label or scales[0].name.split("/")[-1]) if scales else Axis(label)
        axes.append(Axis(label, axis.units, axis.scale, axis.offset) if label else axis)
    return axes
