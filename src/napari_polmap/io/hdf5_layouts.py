"""Data sets of an HDF5 file that may be a scan, in the layouts of instruments and programs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from napari_polmap.io.axes import Axis
from napari_polmap.io.hdf5_array import lazy_array, missing_files
from napari_polmap.io.hdf5_axes import (
    described_axes,
    detector_first,
    order_by_names,
    text,
)

_MOST_MEMBERS = 1000
"""Of a group; larger ones hold a table or one data set a pattern, and are not looked through."""
_FEW_MEMBERS = 50
_DEEPEST = 32
_VOLTAGES = ("beam_energy", "accelerating_voltage", "acceleration_voltage", "voltage", "E0")


@dataclass
class Candidate:
    """Something in an HDF5 file that may be a scan.

    Parameters
    ----------
    name : str
        Its path in the file.
    shape, dtype
        As `data` gives it.
    axes : tuple of Axis
        One for each axis.
    data : callable
        Gives the lazy array; raises ScanError where it cannot be read.
    title : str
        What people call it, where that is not the path.
    order : list of int, optional
        Its axes in the order (..., y, x, ky, kx).
    metadata : dict
        In HyperSpy's layout.
    warnings : list of str
    preferred : bool
        Whether the file names it as what to look at.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: tuple[Axis, ...]
    data: Callable[[], Any]
    title: str = ""
    order: list[int] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    preferred: bool = False


def hyperspy_candidates(file: Any) -> list[Candidate] | None:
    """Signals of a .hspy file (its format's versions 1 to 3)."""
    experiments = file.get("Experiments")
    if experiments is None:
        return None
    found = []
    for title, group in _groups(experiments):
        dataset = group.get("data")
        if dataset is None or not hasattr(dataset, "shape"):
            continue
        described = [dict(group[f"axis-{i}"].attrs) for i in _count(group, "axis-{}")]
        if not described and (listed := group.get(f"_list_{dataset.ndim}_axes")) is not None:
            described = [dict(listed[name].attrs) for name in sorted(listed)]
        if len(described) != dataset.ndim:
            described = [{}] * dataset.ndim
        navigate = [bool(values.get("navigate", False)) for values in described]
        order = None
        if sum(navigate) == dataset.ndim - 2:
            order = sorted(range(dataset.ndim), key=lambda i: not navigate[i])
        plain = [{key: _plain(value) for key, value in values.items()} for values in described]
        metadata = group.get("metadata", group.get("mapped_parameters"))
        found.append(
            _candidate(
                dataset,
                title=title,
                axes=tuple(Axis.from_mapping(values) for values in plain),
                order=order,
                metadata={} if metadata is None else _mapping(metadata),
            )
        )
    return found


def velox_candidates(file: Any) -> list[Candidate] | None:
    """Images of a Velox .emd file; stored as (ky, kx, frame)."""
    images = file.get("Data/Image")
    if images is None:
        return None
    found = []
    for title, group in _groups(images):
        dataset = group.get("Data")
        if dataset is None or dataset.ndim != 3:
            continue
        about = _velox_metadata(group)
        pixel = about.get("BinaryResult", {}).get("PixelSize", {})
        unit = about.get("BinaryResult", {}).get("PixelUnitX", "")
        # 1/m and m: SI units throughout.
        detector = tuple(
            Axis.from_mapping({"name": name, "units": unit, "scale": pixel.get(key, 1)})
            for name, key in (("ky", "height"), ("kx", "width"))
        )
        optics = about.get("Optics", {})
        microscope = {"beam_energy": optics.get("AccelerationVoltage")}
        if (angle := _float(optics.get("BeamConvergence"))) is not None:
            microscope["convergence_angle"] = angle * 1e3
        found.append(
            _candidate(
                dataset,
                title=title,
                axes=(*detector, Axis()),
                order=[2, 0, 1],
                metadata=_microscope(microscope),
            )
        )
    return found


def matlab_candidates(file: Any) -> list[Candidate] | None:
    """Arrays of a MATLAB 7.3 file; stored column by column, so that all axes are reversed."""
    members = islice(_members(file), _FEW_MEMBERS)
    if not any("MATLAB_class" in item.attrs for _, item in members):
        return None
    found = []
    for dataset in walk(file, []):
        if "MATLAB_empty" not in dataset.attrs:
            order = list(range(dataset.ndim))[::-1]
            found.append(_candidate(dataset, axes=(Axis(),) * dataset.ndim, order=order))
    return found


def prismatic_candidates(file: Any) -> list[Candidate] | None:
    """Data cubes of a Prismatic simulation: one a depth, x before y."""
    cubes = file.get("4DSTEM_simulation/data/datacubes")
    if cubes is None:
        return None
    import dask.array as da

    about = file.get("4DSTEM_simulation/metadata/metadata_0/original/simulation_parameters")
    values = {} if about is None else about.attrs
    metadata = _microscope({"beam_energy": values.get("E"), "convergence_angle": values.get("sa")})
    stacks: dict[str, list[Any]] = {}
    for name, group in _groups(cubes):
        dataset = group.get("datacube", group.get("data"))
        if dataset is not None and dataset.ndim == 4:
            stacks.setdefault(re.sub(r"\d{4}$", "", name), []).append(dataset)
    found = []
    for name, parts in stacks.items():
        axes, order = described_axes(parts[0]), [1, 0, 3, 2]
        if len(parts) == 1:
            found.append(
                _candidate(parts[0], title=name, axes=axes, order=order, metadata=metadata)
            )
            continue

        def stacked(parts: list[Any] = parts) -> Any:
            lazy = [lazy_array(part) for part in parts]
            chunks = [part.chunks or part.shape for part in parts]
            return da.stack(
                [
                    da.from_array(part, chunks=size, name=False, asarray=False)
                    for part, size in zip(lazy, chunks, strict=True)
                ]
            )

        shape = (len(parts), *(int(n) for n in parts[0].shape))
        found.append(
            Candidate(
                f"{cubes.name}/{name}",
                shape,
                parts[0].dtype,
                (Axis("depth"), *axes),
                stacked,
                name,
                [0, *(1 + i for i in order)],
                metadata,
            )
        )
    return found


def described_candidates(file: Any) -> list[Candidate]:
    """Any data set of at least three axes, with what EMD, NeXus or dimension scales say of it.

    Raises
    ------
    ScanError
        If there is none, but links to other files that are not there.
    """
    missing: list[str] = []
    datasets = walk(file, missing)
    if not datasets and missing:
        from pathlib import Path

        raise missing_files(Path(file.filename), missing)
    preferred = _default(file)
    metadata = _microscope({"beam_energy": _energy(file)})
    found = []
    for dataset in datasets:
        axes = described_axes(dataset)
        order = order_by_names(axes)
        warnings = []
        if dataset.name.startswith("/signals/") and "dim1" in dataset.parent:
            # HyperSpy writes EMD files with all axes reversed.
            order = list(range(dataset.ndim))[::-1]
            if (named := order_by_names([axes[i] for i in order])) is not None:
                order = [order[i] for i in named]
        elif order is None and detector_first(axes):
            first = dataset.ndim - 4
            order = [*range(first), first + 2, first + 3, first, first + 1]
            warnings.append(
                f"By its units, {dataset.name} stores the detector's axes before the scan's; they "
                "are swapped (give the order of the axes if that is wrong)."
            )
        parent = dataset.parent.name.split("/")[-1]
        candidate = _candidate(
            dataset, title=parent, axes=axes, order=order, metadata=metadata, warnings=warnings
        )
        candidate.preferred = dataset.name == preferred
        found.append(candidate)
    return found


def walk(file: Any, missing: list[str]) -> list[Any]:
    """Numeric data sets of at least three axes, links followed, each once.

    Of several paths to a data set, the one where most is said of its axes is taken.

    Parameters
    ----------
    file : h5py.File
    missing : list of str
        Takes the names of files that are linked to but not there.

    Returns
    -------
    list of h5py.Dataset
    """
    import h5py

    found: dict[tuple[int, Any], list[Any]] = {}
    seen: set[tuple[int, Any]] = set()
    waiting: list[tuple[Any, int]] = [(file, 0)]
    while waiting:
        group, depth = waiting.pop(0)
        names = islice(group, _FEW_MEMBERS if len(group) > _MOST_MEMBERS else None)
        for name in list(names):
            try:
                item = group[name]
            except (KeyError, OSError):
                link = group.get(name, getlink=True)
                if isinstance(link, h5py.ExternalLink):
                    missing.append(str(link.filename))
                continue
            about = h5py.h5o.get_info(item.id)
            key = (about.fileno, about.addr)
            if isinstance(item, h5py.Group):
                if key not in seen and depth < _DEEPEST:
                    waiting.append((item, depth + 1))
                seen.add(key)
            elif isinstance(item, h5py.Dataset) and _is_numeric(item):
                found.setdefault(key, []).append(item)
    return [paths[0] if len(paths) == 1 else max(paths, key=_said) for paths in found.values()]


def _said(dataset: Any) -> int:
    return sum(axis != Axis() for axis in described_axes(dataset))


def _candidate(dataset: Any, **about: Any) -> Candidate:
    shape = tuple(int(n) for n in dataset.shape)
    about.setdefault("title", "")
    return Candidate(dataset.name, shape, dataset.dtype, data=lambda: lazy_array(dataset), **about)


def _is_numeric(dataset: Any) -> bool:
    shape, dtype = dataset.shape, dataset.dtype
    pairs = dtype.kind == "V" and set(dtype.names or ()) == {"real", "imag"}
    return len(shape or ()) >= 3 and 0 not in shape and (dtype.kind in "uifbc" or pairs)


def _groups(group: Any) -> Iterator[tuple[str, Any]]:
    return ((name, item) for name, item in _members(group) if not hasattr(item, "shape"))


def _members(group: Any) -> Iterator[tuple[str, Any]]:
    """What a group holds, without links that lead nowhere."""
    for name in group:
        try:
            yield name, group[name]
        except (KeyError, OSError):
            continue


def _count(group: Any, pattern: str) -> range:
    number = 0
    while pattern.format(number) in group:
        number += 1
    return range(number)


def _default(file: Any) -> str:
    """The data set that a NeXus file names as what to plot."""
    group = file
    try:
        while "signal" not in group.attrs and "default" in group.attrs:
            group = group[text(group.attrs["default"])]
        if "signal" in group.attrs:
            return f"{group.name.rstrip('/')}/{text(group.attrs['signal'])}"
    except (KeyError, AttributeError):
        pass
    return ""


def _energy(file: Any) -> Any:
    """An acceleration voltage in a group of an EMD file about the microscope, in V or kV."""
    groups = [file.get("microscope")]
    for _, root in islice(_groups(file), _FEW_MEMBERS):
        for inner in ("metadata/microscope", "metadata/metadata_0/microscope", "microscope"):
            groups.append(root.get(inner))
    for group in groups:
        for key in _VOLTAGES:
            value = None if group is None else _float(group.attrs.get(key))
            if value:
                return value
    return None


def _velox_metadata(group: Any) -> dict[str, Any]:
    about = group.get("Metadata")
    if about is None:
        return {}
    characters = about[:, 0] if about.ndim == 2 else about[:]
    try:
        found = json.loads(characters.tobytes().split(b"\0")[0])
    except (ValueError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _microscope(values: dict[str, Any]) -> dict[str, Any]:
    known = {key: number for key, value in values.items() if (number := _float(value))}
    return {"Acquisition_instrument": {"TEM": known}} if known else {}


def _float(value: Any) -> float | None:
    try:
        return float(np.ravel(value)[0])
    except (TypeError, ValueError, IndexError):
        return None


def _mapping(group: Any) -> dict[str, Any]:
    """HyperSpy's metadata: groups are mappings, attributes their values."""
    found = {
        key: _plain(value) for key, value in group.attrs.items() if not str(key).startswith("_")
    }
    return {**found, **{name: _mapping(item) for name, item in _groups(group) if name[0] != "_"}}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value
