"""A 4D-STEM scan: a lazy array ``(y, x, ky, kx)`` with its calibration."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import Calibration, Source
from napari_polmap.errors import ScanError, reason

if TYPE_CHECKING:
    import dask.array as da

CHUNK_BYTES = 32 * 2**20
"""Size aimed at for a chunk of whole patterns, and for the engine's blocks."""
_CACHED_BYTES = 2 * CHUNK_BYTES
_MOST_BAD = 0.9
_HASHED_PATTERNS = 4
_SAMPLED_BYTES = 128 * 2**20
"""Read (and decompressed) at most for patterns spread over the scan."""


class _WithoutCopy:
    """Hides an array's ``copy`` from dask, which would otherwise read a memory map whole."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape = array.shape
        self.dtype = array.dtype
        self.ndim = array.ndim

    def __getitem__(self, key: Any) -> Any:
        return self._array[key]


class _Computed:
    """Slices of a dask array, computed when read.

    Rechunking instead would read whole new chunks for a few patterns of each, and makes a task
    for every one of a file's small chunks.
    """

    def __init__(self, array: da.Array) -> None:
        self._array = array
        self.shape = array.shape
        self.dtype = array.dtype
        self.ndim = array.ndim

    def __getitem__(self, key: Any) -> Any:
        return in_memory(self._array[key])


def in_memory(array: da.Array) -> npt.NDArray[Any]:
    """Compute a lazy array in this thread."""
    from dask.local import get_sync

    # The function instead of its name "synchronous": looking that up loads dask.distributed.
    return np.asarray(array.compute(scheduler=get_sync))


def scan_chunks(
    shape: tuple[int, ...],
    itemsize: int,
    chunk_bytes: int = CHUNK_BYTES,
    storage: tuple[int, int] = (1, 1),
) -> tuple[int, int, int, int]:
    """Chunk shape of whole patterns, about square in the scan and `chunk_bytes` large.

    Rows and columns are multiples of `storage`, the positions that are stored together.
    """
    unit = int(np.prod(shape[2:])) * itemsize * storage[0] * storage[1]
    units = max(1, chunk_bytes // max(1, unit))
    grid_rows, grid_columns = (-(-n // s) for n, s in zip(shape, storage, strict=False))
    columns = int(min(grid_columns, max(1, np.sqrt(units))))
    rows = int(min(grid_rows, max(1, units // columns)))
    columns = int(min(grid_columns, max(columns, units // rows)))
    return (
        min(shape[0], rows * storage[0]),
        min(shape[1], columns * storage[1]),
        shape[2],
        shape[3],
    )


@dataclass(frozen=True)
class ScanIdentity:
    """What tells one scan from another without reading it whole.

    Parameters
    ----------
    path : str or None
        The file, where there is one.
    size_bytes, modified_ns : int or None
        Size and modification time of the file.
    shape : tuple of int
    dtype : str
    sampled_sha256 : str
        Hash over a few patterns spread over the scan.
    """

    path: str | None
    size_bytes: int | None
    modified_ns: int | None
    shape: tuple[int, ...]
    dtype: str
    sampled_sha256: str

    def same_data(self, other: ScanIdentity) -> bool:
        """Whether both describe the same data, wherever the file lies."""
        mine = (self.shape, self.dtype, self.sampled_sha256)
        return mine == (other.shape, other.dtype, other.sampled_sha256)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.__dict__, "shape": list(self.shape)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ScanIdentity:
        """Inverse of `to_dict`."""
        return cls(**{**values, "shape": tuple(values["shape"])})


class Scan:
    """A 4D-STEM scan with axes ``(y, x, ky, kx)``.

    Parameters
    ----------
    data : array-like
        NumPy array, memory map or dask array of a real dtype, shape ``(y, x, ky, kx)``.
    calibration : Calibration, optional
        Known calibration; further keywords add to it as the user's values.
    path : Path, optional
        The file the data came from.
    name : str, optional
        Name for people; by default the file's stem.
    metadata : mapping, optional
        The file's own metadata, plain values.
    warnings : tuple of str
        What the reader noticed.
    bad_pixels : ndarray of bool, shape (ky, kx), optional
        True where a detector pixel must not be used.
    storage : (int, int), optional
        Rows and columns of positions that are stored (compressed) together, so that reading one
        pattern reads them all; by default those of a dask array's chunks, else (1, 1).
    reading : mapping, optional
        The options (not the defaults) that the file was opened with, see `load_scan`.
    file_calibration : Calibration, optional
        What the file itself says, where `calibration` holds other values too.
    file_bad_pixels : ndarray of bool, shape (ky, kx), optional
        The file's own mask, where `bad_pixels` is another.
    kept_in : Path, optional
        The file beside the scan that calibration and bad pixels were taken from.
    **values
        Calibration values such as ``step_nm=0.025``, see `Calibration`.

    Raises
    ------
    ScanError
        If the array is not four-dimensional, is empty, or is not of a real dtype.
    """

    def __init__(
        self,
        data: Any,
        calibration: Calibration | None = None,
        *,
        path: Path | None = None,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        warnings: tuple[str, ...] = (),
        bad_pixels: npt.NDArray[np.bool_] | None = None,
        storage: tuple[int, int] | None = None,
        reading: Mapping[str, Any] | None = None,
        file_calibration: Calibration | None = None,
        file_bad_pixels: npt.NDArray[np.bool_] | None = None,
        kept_in: Path | None = None,
        **values: Any,
    ) -> None:
        self._data, self.storage = _as_dask(data, storage)
        if bad_pixels is not None and np.shape(bad_pixels) != self.detector_shape:
            raise ScanError(
                f"The mask of bad pixels has shape {np.shape(bad_pixels)}, but the detector has "
                f"{self.detector_shape}; give a mask of the detector's shape."
            )
        self.bad_pixels = None if bad_pixels is None else np.asarray(bad_pixels, dtype=bool)
        if self.bad_pixels is not None and self.bad_pixels.mean() > _MOST_BAD:
            raise ScanError(
                f"The mask of bad pixels takes {self.bad_pixels.mean():.0%} of the detector away; "
                "give one that is not zero where a pixel is bad, and zero elsewhere."
            )
        calibration = calibration or Calibration()
        self.calibration = calibration.updated("user", **values) if values else calibration
        self.path = path
        self.name = name or (path.stem if path is not None else "scan")
        self.metadata = dict(metadata or {})
        self.warnings = tuple(warnings)
        self.reading: Mapping[str, Any] = dict(reading or {})
        self.file_calibration = file_calibration
        self.file_bad_pixels = file_bad_pixels
        self.kept_in = kept_in
        self._cache: OrderedDict[tuple[int, int], npt.NDArray[Any]] = OrderedDict()
        self._identity: ScanIdentity | None = None

    def __repr__(self) -> str:
        return f"<Scan {self.name!r} {self.shape} {self.dtype}, {self.nbytes / 1e9:.2g} GB>"

    @property
    def data(self) -> da.Array:
        """The lazy array ``(y, x, ky, kx)``, whole patterns in a chunk."""
        return self._data

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Rows and columns of the scan, rows and columns of the detector."""
        return tuple(int(n) for n in self._data.shape)  # type: ignore[return-value]

    @property
    def scan_shape(self) -> tuple[int, int]:
        """Rows and columns of probe positions."""
        return self.shape[:2]

    @property
    def detector_shape(self) -> tuple[int, int]:
        """Rows and columns of the detector."""
        return self.shape[2:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the patterns, as in the file."""
        return np.dtype(self._data.dtype)

    @property
    def nbytes(self) -> int:
        """Size of the whole scan in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    @property
    def bad_pixels_sha256(self) -> str | None:
        """Hash of the mask of bad pixels; None where no pixel is bad."""
        if self.bad_pixels is None or not self.bad_pixels.any():
            return None
        return hashlib.sha256(np.packbits(self.bad_pixels).tobytes()).hexdigest()

    def calibrated(self, source: Source = "user", **values: Any) -> Scan:
        """The same data with some calibration values replaced (see `Calibration.updated`)."""
        return self.with_calibration(self.calibration.updated(source, **values))

    def with_calibration(
        self, calibration: Calibration, warnings: tuple[str, ...] | None = None
    ) -> Scan:
        """The same data with another calibration (and other warnings, where given)."""
        return self._changed(
            calibration=calibration, warnings=self.warnings if warnings is None else warnings
        )

    def with_bad_pixels(self, bad_pixels: npt.NDArray[np.bool_] | None) -> Scan:
        """The same data with another mask of bad pixels ``(ky, kx)``, or none.

        Raises
        ------
        ScanError
            If its shape is not the detector's, or it takes almost all of it away.
        """
        return self._changed(bad_pixels=bad_pixels)

    def with_kept(
        self, calibration: Calibration, bad_pixels: npt.NDArray[np.bool_] | None, path: Path
    ) -> Scan:
        """The same data with what was kept of it in a file."""
        return self._changed(calibration=calibration, bad_pixels=bad_pixels, kept_in=path)

    def region(self, rows: slice, columns: slice) -> Scan:
        """A rectangle of positions as a scan of its own; the file and its name stay the same.

        Parameters
        ----------
        rows, columns : slice
            Rectangle of probe positions.

        Raises
        ------
        ScanError
            If it holds no position.
        """
        whole = self.scan_shape
        starts, stops, steps = zip(
            *(part.indices(n) for part, n in zip((rows, columns), whole, strict=True)), strict=True
        )
        if set(steps) != {1} or any(a >= b for a, b in zip(starts, stops, strict=True)):
            raise ScanError(
                f"The region {rows.start}:{rows.stop},{columns.start}:{columns.stop} holds no "
                f"position of this scan of {whole[0]} x {whole[1]}; give Y0:Y1,X0:X1 within it."
            )
        calibration = self.calibration
        if calibration.center_px is not None and calibration.descan_px is not None:
            middle = [(a + b - 1) / 2 for a, b in zip(starts, stops, strict=True)]
            center = calibration.center_at(middle[0], middle[1], whole)
            calibration = calibration.updated(
                calibration.sources.get("center_px", "measured"),
                center_px=(float(center[0]), float(center[1])),
            )
        cut = self._changed(calibration=calibration)
        cut._data = self._data[rows, columns]
        cut._identity = None
        return cut

    def _changed(self, **changes: Any) -> Scan:
        same = {
            "calibration": self.calibration,
            "path": self.path,
            "name": self.name,
            "metadata": self.metadata,
            "warnings": self.warnings,
            "bad_pixels": self.bad_pixels,
            "storage": self.storage,
            "reading": self.reading,
            "file_calibration": self.file_calibration,
            "file_bad_pixels": self.file_bad_pixels,
            "kept_in": self.kept_in,
        }
        scan = Scan(self._data, **{**same, **changes})
        scan._identity = self._identity
        return scan

    def read(self, rows: slice, columns: slice) -> npt.NDArray[Any]:
        """Patterns of a rectangle of positions, in memory.

        Parameters
        ----------
        rows, columns : slice
            Rectangle of probe positions.

        Returns
        -------
        ndarray, shape (rows, columns, ky, kx)
            In the machine's byte order, dtype as in the file.

        Raises
        ------
        ScanError
            If the file cannot be read there.
        """
        try:
            block = in_memory(self._data[rows, columns])
        except (OSError, ValueError, TypeError, EOFError) as error:
            raise ScanError(
                f"Rows {rows.start}:{rows.stop}, columns {columns.start}:{columns.stop} of "
                f"{self.name} cannot be read ({reason(error)}); check that the file is complete."
            ) from error
        return _native(block)

    def check_end(self) -> None:
        """See that the last pattern's last row is there: a file that is cut off shows at its end.

        Raises
        ------
        ScanError
            If it cannot be read.
        """
        try:
            in_memory(self._data[-1:, -1:, -1:])
        except (OSError, ValueError, TypeError, EOFError) as error:
            raise ScanError(
                f"The last pattern of {self.name} cannot be read ({reason(error)}); check that the "
                "file is complete."
            ) from error

    def pattern(self, y: int, x: int) -> npt.NDArray[Any]:
        """The diffraction pattern of one probe position, shape ``(ky, kx)``.

        Patterns that are stored together with it are kept, so that moving over neighboring
        positions is fast.
        """
        rows, columns = self.storage
        if rows * columns * int(np.prod(self.detector_shape)) * self.dtype.itemsize > _CACHED_BYTES:
            rows = columns = 1
        if rows * columns == 1:
            return self.read(slice(y, y + 1), slice(x, x + 1))[0, 0]
        top, left = y - y % rows, x - x % columns
        stored = self._cache.get((top, left))
        if stored is None:
            stored = self.read(
                slice(top, min(top + rows, self.shape[0])),
                slice(left, min(left + columns, self.shape[1])),
            )
            self._cache[top, left] = stored
            while len(self._cache) > 1 and sum(a.nbytes for a in self._cache.values()) > (
                _CACHED_BYTES
            ):
                self._cache.popitem(last=False)
        return stored[y - top, x - left]

    def blocks(self, region: tuple[slice, slice] | None = None) -> Iterator[tuple[slice, slice]]:
        """Rectangles of positions that tile the scan (or `region`), aligned with the chunks."""
        rows, columns = self._data.chunks[:2]
        starts_y, starts_x = np.cumsum((0, *rows)), np.cumsum((0, *columns))
        window_y, window_x = region or (slice(0, self.shape[0]), slice(0, self.shape[1]))
        for top, bottom in pairwise(starts_y):
            y0, y1 = max(int(top), window_y.start), min(int(bottom), window_y.stop)
            if y0 >= y1:
                continue
            for left, right in pairwise(starts_x):
                x0, x1 = max(int(left), window_x.start), min(int(right), window_x.stop)
                if x0 < x1:
                    yield slice(y0, y1), slice(x0, x1)

    def strided(self, positions: int = 256) -> npt.NDArray[Any]:
        """About `positions` patterns spread over the scan, shape ``(n, ky, kx)``.

        Where positions are stored together, several of each of a few stored blocks are taken.
        """
        rows, columns = self.storage
        block_bytes = rows * columns * int(np.prod(self.detector_shape)) * self.dtype.itemsize
        blocks = max(4, _SAMPLED_BYTES // block_bytes)
        if rows * columns == 1 or blocks >= positions:
            return self._lattice(slice(0, self.shape[0]), slice(0, self.shape[1]), positions)
        tops, lefts = (
            _spread(-(-n // size), np.sqrt(blocks) * n / np.sqrt(self.shape[0] * self.shape[1]))
            for n, size in zip(self.scan_shape, (rows, columns), strict=True)
        )
        return np.concatenate(
            [
                self._lattice(
                    slice(top * rows, min((top + 1) * rows, self.shape[0])),
                    slice(left * columns, min((left + 1) * columns, self.shape[1])),
                    max(1, positions // (len(tops) * len(lefts))),
                )
                for top in tops
                for left in lefts
            ]
        )

    def _lattice(self, rows: slice, columns: slice, positions: int) -> npt.NDArray[Any]:
        height, width = rows.stop - rows.start, columns.stop - columns.start
        step = max(1, int(np.sqrt(height * width / max(1, positions))))
        start_y, start_x = min(step // 2, height - 1), min(step // 2, width - 1)
        sample = self._data[
            rows.start + start_y : rows.stop : step, columns.start + start_x : columns.stop : step
        ]
        try:
            patterns = in_memory(sample)
        except (OSError, ValueError, TypeError, EOFError) as error:
            raise ScanError(
                f"{self.name} cannot be read ({reason(error)}); check that the file is complete."
            ) from error
        return _native(patterns).reshape(-1, *self.detector_shape)

    def identity(self) -> ScanIdentity:
        """Size, times and a sampled hash (a few patterns are read once)."""
        if self._identity is None:
            digest = hashlib.sha256(repr((self.shape, str(self.dtype.newbyteorder("=")))).encode())
            # The same patterns however they are stored.
            whole = (slice(0, self.shape[0]), slice(0, self.shape[1]))
            patterns = self._lattice(*whole, _HASHED_PATTERNS)
            digest.update(np.ascontiguousarray(patterns).tobytes())
            stat = self.path.stat() if self.path is not None and self.path.exists() else None
            self._identity = ScanIdentity(
                path=None if self.path is None else str(self.path),
                size_bytes=None if stat is None else stat.st_size,
                modified_ns=None if stat is None else stat.st_mtime_ns,
                shape=self.shape,
                dtype=str(self.dtype.newbyteorder("=")),
                sampled_sha256=digest.hexdigest(),
            )
        return self._identity

    @classmethod
    def from_signal(cls, signal: Any, **values: Any) -> Scan:
        """A scan from a HyperSpy signal with two navigation and two signal axes.

        Parameters
        ----------
        signal : hyperspy.api.signals.BaseSignal
            Lazy or not.
        **values
            Calibration values that win over the signal's own.

        Raises
        ------
        ScanError
            If the signal has not two navigation and two signal axes.
        """
        from napari_polmap import scan_from_signal

        scan: Scan = scan_from_signal(signal)
        return scan.calibrated("user", **values) if values else scan

    def to_signal(self) -> Any:
        """A lazy HyperSpy signal with calibrated axes."""
        from napari_polmap import scan_to_signal

        return scan_to_signal(self)


def _spread(count: int, wanted: float) -> list[int]:
    """About `wanted` of `count` indices, evenly spread."""
    number = int(np.clip(round(wanted), 1, count))
    return [int((index + 0.5) * count / number) for index in range(number)]


def _native(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _as_dask(data: Any, storage: tuple[int, int] | None) -> tuple[da.Array, tuple[int, int]]:
    import dask.array as da

    shape = tuple(getattr(data, "shape", ()))
    if len(shape) != 4:
        raise ScanError(
            f"A scan has four axes (y, x, ky, kx), but this array has {len(shape)} "
            f"(shape {shape}); reshape it or give the scan's shape."
        )
    if 0 in shape:
        raise ScanError(f"The scan is empty (shape {shape}); check that the file is complete.")
    if np.dtype(data.dtype).kind not in "uifb":
        raise ScanError(
            f"Patterns must be real numbers, but the dtype is {data.dtype}; "
            "convert them to intensities first."
        )
    itemsize = np.dtype(data.dtype).itemsize
    source: Any = data
    if isinstance(data, da.Array):
        if storage is None:
            storage = (int(data.chunksize[0]), int(data.chunksize[1]))
        whole = all(len(chunks) == 1 for chunks in data.chunks[2:])
        chunk_bytes = int(np.prod(data.chunksize, dtype=np.int64)) * itemsize
        small = chunk_bytes < CHUNK_BYTES // 8 and data.npartitions > 1
        if whole and not small and chunk_bytes <= 2 * CHUNK_BYTES:
            return data, storage
        source = _Computed(data)
    storage = unit = storage or (1, 1)
    if unit[0] * unit[1] * int(np.prod(shape[2:])) * itemsize > 4 * CHUNK_BYTES:
        unit = (1, 1)
    chunks = scan_chunks(shape, itemsize, storage=unit)
    # A name of its own: hashing the contents would read the whole file.
    array = da.from_array(_WithoutCopy(source), chunks=chunks, name=False, asarray=False)
    return array, storage
