"""NanoMegas Topspin .app5 files: one data set a pattern, read when it is needed."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from napari_polmap.io.axes import Axis
from napari_polmap.io.frames import FrameStack, forward_slices
from napari_polmap.io.hdf5_axes import text
from napari_polmap.io.hdf5_layouts import Candidate

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class _Frames:
    """The patterns of a group, each in ``<number>/Data``, as a lazy stack ``(n, ky, kx)``.

    Where a pattern lies in the file is looked up once, when it is first read.
    """

    ndim = 3

    def __init__(self, path: Path, group: Any, count: int) -> None:
        first = group["0/Data"]
        self._path = path.absolute()
        self._group = group.name
        self.shape = (count, *(int(n) for n in first.shape))
        self.dtype = first.dtype
        self._mapped = first.chunks is None and first.id.get_offset() is not None
        self._offsets = np.full(count, -1, np.int64)
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self._path, self._group, self.shape[0])

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        import h5py

        (frames, *detector), finish = forward_slices(key, self.shape)
        numbers = np.arange(self.shape[0])[frames]
        if not self._mapped:
            with h5py.File(self._path, "r") as file:
                group = file[self._group]
                patterns = [group[f"{n}/Data"][tuple(detector)] for n in numbers]
        else:
            self._look_up(numbers)
            bytes_ = np.memmap(self._path, np.uint8, mode="r")
            size = int(np.prod(self.shape[1:])) * self.dtype.itemsize
            patterns = [
                bytes_[at : at + size].view(self.dtype).reshape(self.shape[1:])[tuple(detector)]
                for at in self._offsets[numbers]
            ]
        sizes = (len(range(*s.indices(n))) for s, n in zip(detector, self.shape[1:], strict=True))
        out = np.stack(patterns) if patterns else np.empty((0, *sizes), self.dtype)
        return out[finish]

    def _look_up(self, numbers: npt.NDArray[np.int64]) -> None:
        import h5py

        with self._lock:
            unknown = [n for n in numbers if self._offsets[n] < 0]
            if not unknown:
                return
            with h5py.File(self._path, "r") as file:
                group = file[self._group]
                for n in unknown:
                    self._offsets[n] = group[f"{n}/Data"].id.get_offset()


def _reopened(path: Path, group: str, count: int) -> _Frames:
    import h5py

    with h5py.File(path, "r") as file:
        return _Frames(path, file[group], count)


def topspin_candidates(file: Any) -> list[Candidate] | None:
    """Scans of an .app5 file: groups of numbered patterns in one or several sessions."""
    sessions = [file] if "Metadata" in file else [file[n] for n in file if _GUID.fullmatch(n)]
    found = []
    for session in sessions:
        if "Metadata" not in session:
            continue
        for name in session:
            group = session[name]
            if _GUID.fullmatch(name) and not hasattr(group, "shape") and "0" in group:
                found.append(_candidate(file, session, group))
    return found or None


def _candidate(file: Any, session: Any, group: Any) -> Candidate:
    count = len(group)
    columns, step_x, step_y = _scan(group, count)
    frames = _Frames(Path(file.filename), group, count)
    detector = _detector(group)
    metadata = {}
    voltage = _item(text(session["Metadata"][()]), "GunHighVoltage")
    if voltage is not None:
        metadata = {"Acquisition_instrument": {"TEM": {"beam_energy": voltage}}}
    name = group.name.strip("/")
    if columns is None:
        return Candidate(
            name, frames.shape, frames.dtype, (Axis(), *detector), lambda: frames, metadata=metadata
        )
    shape = (count // columns, columns)
    axes = (Axis("y", "m", step_y), Axis("x", "m", step_x), *detector)
    return Candidate(
        name,
        (*shape, *frames.shape[1:]),
        frames.dtype,
        axes,
        lambda: FrameStack(frames, shape),
        metadata=metadata,
    )


def _scan(group: Any, count: int) -> tuple[int | None, float, float]:
    """Columns of the scan and the steps (m) along x and y, from the first row's positions."""
    first = _position(group, 0)
    if first is None:
        return None, 1.0, 1.0
    step_x = 0.0
    for number in range(1, count):
        position = _position(group, number)
        if position is None:
            return None, 1.0, 1.0
        right, down = position[0] - first[0], position[1] - first[1]
        if number == 1:
            step_x = right
        if down and abs(right) <= 0.5 * abs(step_x):
            return (None if count % number else number), step_x or 1.0, down
    return count, step_x or 1.0, 1.0


def _position(group: Any, number: int) -> tuple[float, float] | None:
    found = _xml(group, number).find(".//Item/Value[@Serializer='ImagePositionSerializer']")
    return None if found is None else (_number(found, "X"), _number(found, "Y"))


def _detector(group: Any) -> tuple[Axis, Axis]:
    calibration = _xml(group, 0).find("Calibration")
    axes = []
    for name, key in (("ky", "Y"), ("kx", "X")):
        found = None if calibration is None else calibration.find(key)
        if found is None:
            axes.append(Axis(name))
            continue
        unit = found.findtext("Type/Text") or ""
        axes.append(Axis(name, unit, _number(found, "Scale") or 1.0, _number(found, "Offset")))
    return axes[0], axes[1]


def _xml(group: Any, number: int) -> ElementTree.Element:
    return ElementTree.fromstring(text(group[f"{number}/Metadata"][()]).encode("utf-16"))


def _number(element: ElementTree.Element, key: str) -> float:
    try:
        return float(element.findtext(key) or 0)
    except ValueError:
        return 0.0


def _item(xml: str, name: str) -> float | None:
    """A number in a session's long description, without parsing it whole."""
    found = re.search(rf"<Name[^>]*>{name}</Name>\s*<Value[^>]*>([^<]+)</Value>", xml)
    try:
        return None if found is None else float(found[1])
    except ValueError:
        return None
