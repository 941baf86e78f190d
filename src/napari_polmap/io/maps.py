"""Polarization maps as zarr (format 3) groups: written whole, or block by block and continued.

Layout::

    map.zarr/            attributes["napari_polmap"]: format, version, complete, directions, ...
        direction, status, probabilities, confidence, novelty, defects     chunks = blocks
        history/0000/    attributes: action, parameters, rows, columns, time
            mask, before/<array>, after/<array>

Every chunk carries a checksum; chunks are moved into place when they are whole.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_polmap.calibration import Calibration
from napari_polmap.directions import NOT_COMPUTED, DirectionSet
from napari_polmap.errors import MapError, PolmapError, reason, unwritable
from napari_polmap.polarization_map import ARRAYS, HistoryStep, PolarizationMap
from napari_polmap.scan import ScanIdentity

if TYPE_CHECKING:
    import zarr

FORMAT = "polarization map"
FORMAT_VERSION = 1
DEFAULT_BLOCK = (256, 256)
"""Chunk (rows, columns) of a map that is saved whole."""

_KEY = "napari_polmap"
_REMOVALS = 50
_OTHER_ENDINGS = (".png", ".svg", ".pdf", ".tif", ".tiff", ".csv", ".npy", ".hspy")
_FILL = {
    "direction": NOT_COMPUTED,
    "status": 0,
    "probabilities": 0.0,
    "confidence": np.nan,
    "novelty": np.nan,
    "defects": np.nan,
    "local_threshold": np.nan,
}
# The status of a block is written last, so that a block counts as computed only when it is whole.
_WRITE_ORDER = tuple(sorted(ARRAYS, key="status".__eq__))
# What zarr and its codecs raise on damaged or missing pieces.
_READ_ERRORS = (OSError, ValueError, TypeError, KeyError, RuntimeError, EOFError)


def save_map(
    polarization_map: PolarizationMap,
    path: str | Path,
    *,
    block: tuple[int, int] = DEFAULT_BLOCK,
) -> Path:
    """Write a map as a zarr group; a map that is there already is replaced.

    The group is written beside `path` and moved into place when it is whole.

    Parameters
    ----------
    polarization_map : PolarizationMap
        The map, with its history.
    path : str or Path
        Folder to write, by custom ending in ``.zarr``.
    block : (int, int)
        Chunk in rows and columns.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    MapError
        If something else than a polarization map is at `path`, or nothing can be written there.
    """
    target = Path(path).expanduser().resolve()
    _refuse_foreign(target)
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with _writing(target):
            group = _create(unfinished, polarization_map, block)
            for name in _WRITE_ORDER:
                _array(group, name)[...] = getattr(polarization_map, name)
            _write_history(group, polarization_map)
            _write_attributes(group, polarization_map, polarization_map.complete)
            _move_into_place(unfinished, target)
    except BaseException:
        _discard(unfinished)
        raise
    return target


def load_map(path: str | Path) -> PolarizationMap:
    """Read a map, bit for bit as it was saved.

    Parameters
    ----------
    path : str or Path
        Folder of the map.

    Raises
    ------
    MapError
        If there is no map, it is damaged, or a newer version of the program wrote it.
    """
    return _load(Path(path).expanduser())[0]


def is_map(path: str | Path) -> bool:
    """Whether a folder is a polarization map of this program, of any version; reads one file."""
    return isinstance(_header(Path(path).expanduser()), dict)


class MapWriter:
    """Writes a map block by block into a group that is marked incomplete until it is finished.

    Parameters
    ----------
    path : str or Path
        Folder to write.
    polarization_map : PolarizationMap
        The map whose arrays the blocks are taken from; held as ``map``.
    block : (int, int)
        Chunk in rows and columns: the grid of the blocks to be written.
    overwrite : bool
        Replace a map that is at `path`.

    Raises
    ------
    MapError
        If something is at `path` that may not be replaced, or nothing can be written there.
    """

    def __init__(
        self,
        path: str | Path,
        polarization_map: PolarizationMap,
        block: tuple[int, int],
        *,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path).expanduser().resolve()
        self.map = polarization_map
        self.block = block
        _refuse_foreign(self.path)
        if self.path.exists() and not overwrite:
            state = "complete" if _header(self.path).get("complete") else "incomplete"
            raise MapError(
                f"There is already a map ({state}) at {self.path}; resume it, or choose another "
                "name."
            )
        unfinished = self.path.with_name(f".{self.path.name}.{uuid.uuid4().hex[:8]}.partial")
        try:
            with _writing(self.path):
                group = _create(unfinished, polarization_map, block)
                _write_attributes(group, polarization_map, complete=False)
                _move_into_place(unfinished, self.path)
                self._group = _open(self.path, "r+")
        except BaseException:
            _discard(unfinished)
            raise
        self._arrays = {name: _array(self._group, name) for name in ARRAYS}

    @classmethod
    def resume(cls, path: str | Path) -> MapWriter:
        """Continue a map: its arrays, as far as they were written, are in the writer's ``map``.

        Raises
        ------
        MapError
            If there is no map, or it cannot be read.
        """
        writer = cls.__new__(cls)
        writer.path = Path(path).expanduser().resolve()
        writer.map, header = _load(writer.path)
        writer.block = (int(header["block"][0]), int(header["block"][1]))
        with _writing(writer.path):
            writer._group = _open(writer.path, "r+")
            writer._arrays = {name: _array(writer._group, name) for name in ARRAYS}
            writer.map.complete = False
            _write_attributes(writer._group, writer.map, complete=False)
        return writer

    def write_block(self, rows: slice, columns: slice) -> None:
        """Write a rectangle of positions from the map's arrays.

        Rectangles of the writer's `block` grid are written without reading anything first.

        Raises
        ------
        MapError
            If the file cannot be written; what was written before is kept.
        """
        with _writing(self.path):
            for name in _WRITE_ORDER:
                self._arrays[name][rows, columns] = getattr(self.map, name)[rows, columns]

    def update(self) -> None:
        """Write the map's attributes as they are now (warnings, threshold, ...), incomplete."""
        with _writing(self.path):
            self.map.complete = False
            _write_attributes(self._group, self.map, complete=False)

    def finish(self) -> PolarizationMap:
        """Write history and attributes, and mark map and file complete."""
        with _writing(self.path):
            _write_history(self._group, self.map)
            _write_attributes(self._group, self.map, complete=True)
            self.map.complete = True
        return self.map


def _create(path: Path, polarization_map: PolarizationMap, block: tuple[int, int]) -> zarr.Group:
    import zarr
    from zarr.codecs import ZstdCodec

    path.parent.mkdir(parents=True, exist_ok=True)
    group = zarr.open_group(path, mode="w-", zarr_format=3)
    rows, columns = polarization_map.shape
    chunk = (min(block[0], rows), min(block[1], columns))
    for name in ARRAYS:
        array = getattr(polarization_map, name)
        group.create_array(
            name,
            shape=array.shape,
            dtype=array.dtype,
            chunks=chunk + array.shape[2:],
            fill_value=_FILL[name],
            compressors=[ZstdCodec(level=1, checksum=True)],
            dimension_names=("y", "x", "direction")[: array.ndim],
            # Chunks equal to the fill value are written too: NaN payloads would be lost
            # otherwise, and a missing chunk would not be noticed.
            config={"write_empty_chunks": True},
        )
    group.attrs[_KEY] = {"format": FORMAT, "version": FORMAT_VERSION, "block": list(block)}
    return group


def _open(path: Path, mode: Literal["r", "r+"]) -> zarr.Group:
    import zarr

    return zarr.open_group(path, mode=mode, zarr_format=3)


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    import zarr

    # An opened array takes this setting from here; see `_create` for why.
    with zarr.config.set({"array.write_empty_chunks": True}):
        array = group[name]
    if not isinstance(array, zarr.Array):
        raise KeyError(f"{name!r} is not an array")
    return array


def _write_attributes(group: zarr.Group, polarization_map: PolarizationMap, complete: bool) -> None:
    pmap = polarization_map
    header = {
        **group.attrs[_KEY],  # type: ignore[dict-item]
        "complete": complete,
        "directions": pmap.directions.to_dict(),
        "threshold": pmap.threshold,
        "calibration": pmap.calibration.to_dict(),
        "scan": pmap.scan.to_dict(),
        "classifier": pmap.classifier,
        "warnings": pmap.warnings,
        "confidence_calibrated": pmap.confidence_calibrated,
        "software": pmap.software,
        "undone": pmap.undone,
        "chunks": {name: _array(group, name).nchunks_initialized for name in ARRAYS}
        if complete
        else None,
    }
    group.attrs[_KEY] = _plain(header)


def _write_history(group: zarr.Group, polarization_map: PolarizationMap) -> None:
    from zarr.codecs import ZstdCodec

    def write(parent: zarr.Group, name: str, array: np.ndarray) -> None:
        stored = parent.create_array(
            name,
            shape=array.shape,
            dtype=array.dtype,
            chunks=tuple(max(1, n) for n in array.shape),
            compressors=[ZstdCodec(level=1, checksum=True)],
            config={"write_empty_chunks": True},
        )
        if array.size:
            stored[...] = array

    history = group.create_group("history", overwrite=True)
    for number, step in enumerate(polarization_map.history):
        stored = history.create_group(f"{number:04d}")
        write(stored, "mask", step.mask)
        for side, values in (("before", step.before), ("after", step.after)):
            arrays = stored.create_group(side)
            for name, value in values.items():
                write(arrays, name, np.asarray(value))
        stored.attrs.update(
            _plain(
                {
                    "action": step.action,
                    "parameters": step.parameters,
                    "rows": step.rows,
                    "columns": step.columns,
                    "time": step.time,
                }
            )
        )


def _load(path: Path) -> tuple[PolarizationMap, dict[str, Any]]:
    header = _checked_header(path)
    try:
        group = _open(path, "r")
        _check_chunks(group, header)
        arrays = {name: _read(group, name) for name in ARRAYS}
        polarization_map = PolarizationMap(
            directions=DirectionSet.from_dict(header["directions"]),
            **arrays,
            threshold=float(header["threshold"]),
            calibration=Calibration.from_dict(header["calibration"]),
            scan=ScanIdentity.from_dict(header["scan"]),
            classifier=header["classifier"],
            warnings=list(header["warnings"]),
            confidence_calibrated=bool(header["confidence_calibrated"]),
            complete=bool(header["complete"]),
            software=header["software"],
            history=list(_read_history(group)),
            undone=int(header["undone"]),
        )
        _check_shapes(polarization_map)
    except PolmapError as error:
        raise MapError(f"The map {path} is damaged: {error}") from error
    except _READ_ERRORS as error:
        raise MapError(
            f"The map {path} is damaged ({type(error).__name__}: {reason(error)}); restore it "
            "from a copy or classify the scan again."
        ) from error
    return polarization_map, header


def _read(group: zarr.Group, name: str) -> np.ndarray:
    try:
        return np.asarray(_array(group, name)[...])
    except _READ_ERRORS as error:
        raise MapError(
            f"its array {name!r} cannot be read ({reason(error)}); restore it from a copy or "
            "classify the scan again."
        ) from error


def _read_history(group: zarr.Group) -> Iterator[HistoryStep]:
    if "history" not in group:
        return
    for number in sorted(group["history"].group_keys()):  # type: ignore[union-attr]
        stored: Any = group[f"history/{number}"]
        rows, columns = stored.attrs["rows"], stored.attrs["columns"]
        yield HistoryStep(
            action=stored.attrs["action"],
            parameters=stored.attrs["parameters"],
            rows=(rows[0], rows[1]),
            columns=(columns[0], columns[1]),
            mask=_read(stored, "mask"),
            before={name: _read(stored["before"], name) for name in stored["before"].array_keys()},
            after={name: _read(stored["after"], name) for name in stored["after"].array_keys()},
            time=stored.attrs["time"],
        )


def _check_chunks(group: zarr.Group, header: Mapping[str, Any]) -> None:
    for name, expected in (header.get("chunks") or {}).items():
        found = _array(group, name).nchunks_initialized
        if found < expected:
            raise MapError(
                f"{expected - found} of {expected} chunks of its array {name!r} are missing; "
                "restore it from a copy or classify the scan again."
            )


def _check_shapes(polarization_map: PolarizationMap) -> None:
    shape = polarization_map.shape
    count = len(polarization_map.directions)
    empty = PolarizationMap.empty(
        shape[:2],
        polarization_map.directions,
        threshold=0.0,
        calibration=polarization_map.calibration,
        scan=polarization_map.scan,
        classifier={},
    )
    for name, expected in empty.arrays().items():
        array = getattr(polarization_map, name)
        if array.shape != expected.shape or array.dtype != expected.dtype:
            raise MapError(
                f"its array {name!r} is {array.dtype} of shape {array.shape}, but {count} "
                f"directions need {expected.dtype} of shape {expected.shape}; classify the scan "
                "again."
            )


def _header(path: Path) -> Any:
    """Our attributes of a group; None if it is not ours. Reads one small file."""
    try:
        attributes = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
        header = attributes[_KEY]
        return header if header["format"] == FORMAT else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _checked_header(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise MapError(f"There is no map at {path}; check the path.")
    header = _header(path)
    if not isinstance(header, dict):
        raise MapError(
            f"{path} is not a polarization map of this program; choose a folder that was saved "
            "as a map (usually ending in .zarr)."
        )
    version = header.get("version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise MapError(
            f"The map {path} has format version {version}, but this program reads up to "
            f"{FORMAT_VERSION}; update napari-polmap."
        )
    return header


def _refuse_foreign(target: Path) -> None:
    if target.suffix.lower() in _OTHER_ENDINGS:
        raise MapError(
            f"{target} ends in {target.suffix}, but a map is a folder ending in .zarr; choose such "
            "a name, and export pictures and tables from the map."
        )
    if target.exists() and not is_map(target):
        raise MapError(
            f"{target} exists and is not a polarization map, so it is not replaced; choose "
            "another name."
        )


def _discard(unfinished: Path) -> None:
    """Remove a group whose writing failed; zarr's other threads may still be writing into it."""
    for _ in range(_REMOVALS):
        shutil.rmtree(unfinished, ignore_errors=True)
        time.sleep(0.02)
        if not unfinished.exists():
            return


def _move_into_place(unfinished: Path, target: Path) -> None:
    """Rename a finished group; a map that was there goes only when the new one has its place."""
    old = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.old")
    replaced = target.exists()
    if replaced:
        target.replace(old)
    try:
        unfinished.replace(target)
    except OSError:
        if replaced:
            old.replace(target)
        raise
    if replaced:
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MapError(unwritable(f"The map {path}", path, error)) from error


def _plain(value: Any) -> Any:
    """Values as JSON holds them: no NumPy types, no NaN."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, slice):
        return [_plain(value.start), _plain(value.stop)]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(value)
