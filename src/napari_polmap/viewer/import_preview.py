"""What a file holds and what it looks like with some options: background work for the import."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_polmap.errors import CalibrationError, ScanChoiceError, ScanShapeError
from napari_polmap.io.contents import StoredArray, list_arrays
from napari_polmap.io.frames import ScanShape, scan_shapes
from napari_polmap.scan import Scan
from napari_polmap.viewer.import_options import AxesOrder
from napari_polmap.viewer.preview import MOST_BYTES, Image, preview_image

SUM = "sum"
"""Virtual detector that is the whole detector."""
_FINE_POSITIONS = 16_384
_FINE_BYTES = 256 * 2**20
"""Read for the finer image at most."""
_MEAN_PATTERNS = 256
_SECONDS_BETWEEN = 0.1
_CHOOSERS = ("dataset", "axes")
"""Options that decide how many frames there are."""


@dataclass(frozen=True)
class Facts:
    """What a file says of itself before its scan's shape is chosen.

    Parameters
    ----------
    path : Path
    choice : mapping of str to Any
        The options among ``dataset`` and ``axes`` it was looked at with.
    arrays : tuple of StoredArray
        What can be chosen as the data set.
    dataset : str or None
        The first of several that would do, where the file cannot be opened without one.
    lengths : tuple of int
        Of the axes before the last four.
    own_shape : (int, int) or None
        Rows and columns as recorded, where the file says them.
    shapes : tuple of ScanShape
        Likely shapes, the file's own first.
    """

    path: Path
    choice: Mapping[str, Any]
    arrays: tuple[StoredArray, ...]
    dataset: str | None
    lengths: tuple[int, ...]
    own_shape: tuple[int, int] | None
    shapes: tuple[ScanShape, ...]


@dataclass(frozen=True)
class Opened:
    """A file opened with options.

    Parameters
    ----------
    facts : Facts
    options : dict
        Those given, and those that the file cannot be opened without.
    scan : Scan
    """

    facts: Facts
    options: dict[str, Any]
    scan: Scan


@dataclass(frozen=True)
class Look:
    """What a scan looks like, as far as it was read.

    Parameters
    ----------
    scan : Scan
        With the disk measured, where there is one.
    mean : ndarray of float32, shape (ky, kx)
        Mean of patterns spread over the scan.
    image : ndarray of float32, shape (y, x), or None
        Virtual image, NaN where nothing was read yet.
    """

    scan: Scan
    mean: Image
    image: Image | None = None


def iter_import(
    path: Path,
    options: Mapping[str, Any] | None = None,
    detector: str = SUM,
    known: Facts | None = None,
) -> Iterator[Facts | Opened | Look]:
    """Look into a file: what it holds, then the mean pattern, then finer and finer images.

    Parameters
    ----------
    path : Path
    options : mapping, optional
        Of `napari_polmap.load_scan`; by default as the file was opened before.
    detector : str
        Of the image: `SUM`, or a preset of `napari_polmap.diffraction.virtual`; the sum where the
        disk is not found.
    known : Facts, optional
        From a look before, which is used where it still holds.

    Raises
    ------
    PolmapError
        If the file cannot be opened with these options.
    """
    options = (kept_options(path) or {}) if options is None else options
    choice = {name: options[name] for name in _CHOOSERS if options.get(name) is not None}
    if known is not None and known.path == path and known.choice == choice:
        facts = known
    else:
        facts = survey(path, choice, known)
    yield facts
    options = completed(options, facts)
    scan = _load(path, options)
    yield Opened(facts, dict(options), scan)
    yield from iter_look(scan, detector)


def kept_options(path: Path) -> dict[str, Any] | None:
    """The options of a scan kept beside it, see `napari_polmap.io.sidecar`."""
    from napari_polmap.io.sidecar import load_sidecar

    kept = load_sidecar(path)
    if kept is None:
        return None
    options = dict(kept.reading)
    for name in ("rotation_deg", "flip"):
        if getattr(kept.calibration, name):
            options[name] = getattr(kept.calibration, name)
    return options


def survey(path: Path, choice: Mapping[str, Any], known: Facts | None = None) -> Facts:
    """What a file says of itself.

    Parameters
    ----------
    path : Path
    choice : mapping
        Options among ``dataset`` and ``axes``; where the data set or an index is missing that the
        file cannot be opened without, the first is taken.
    known : Facts, optional
        Of the same file.

    Raises
    ------
    PolmapError
        If the file holds no scan.
    """
    arrays = known.arrays if known is not None and known.path == path else list_arrays(path)
    options = dict(choice)
    lengths: tuple[int, ...] = ()
    own: tuple[int, int] | None = None
    shapes: list[ScanShape] = []
    # One more choice with each try: data set, index, shape.
    for _ in range(3):
        try:
            own = _as_stored(_load(path, options).scan_shape, choice.get("axes"))
            shapes = scan_shapes(own[0] * own[1], [own])
            break
        except ScanShapeError as error:
            hints = [shape for shape in error.candidates[:1] if shape != _likeliest(error.frames)]
            shapes = scan_shapes(error.frames, hints)
            break
        except ScanChoiceError as error:
            if error.datasets and "dataset" not in options:
                options["dataset"] = error.datasets[0]
            elif error.lengths and "index" not in options:
                lengths = error.lengths
                options["index"] = (0,) * len(lengths)
            else:
                raise
    dataset = None if "dataset" in choice else options.get("dataset")
    return Facts(path, choice, arrays, dataset, lengths, own, tuple(shapes))


def _as_stored(scan_shape: tuple[int, int], axes: str | None) -> tuple[int, int]:
    order = AxesOrder.parse(axes)
    swapped = order is not None and order.scan_swapped
    return scan_shape[::-1] if swapped else scan_shape


def _likeliest(frames: int) -> tuple[int, int]:
    shape = scan_shapes(frames)[0]
    return shape.rows, shape.columns


def completed(options: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """Options with those added that the file cannot be opened without, the likeliest ones."""
    full = dict(options)
    if facts.dataset is not None:
        full.setdefault("dataset", facts.dataset)
    if len(facts.lengths) != len(_tuple(full.get("index"))):
        full.pop("index", None)
        if facts.lengths:
            full["index"] = (0,) * len(facts.lengths)
    if full.get("nav_shape") is None and facts.own_shape is None and facts.shapes:
        shape = facts.shapes[0]
        full["nav_shape"] = (shape.rows, shape.columns)
        if shape.flyback:
            full.setdefault("flyback", shape.flyback)
    return full


def _tuple(index: int | Sequence[int] | None) -> tuple[int, ...]:
    return () if index is None else (index,) if isinstance(index, int) else tuple(index)


def _load(path: Path, options: Mapping[str, Any]) -> Scan:
    from napari_polmap import load_scan

    return load_scan(path, measure=False, sidecar=False, **options)


def iter_look(scan: Scan, detector: str = SUM) -> Iterator[Look]:
    """The mean pattern of a scan, then its virtual image, coarse first.

    Parameters
    ----------
    scan : Scan
    detector : str
        See `iter_import`.
    """
    pattern_bytes = scan.nbytes // (scan.scan_shape[0] * scan.scan_shape[1])
    count = int(np.clip(MOST_BYTES // max(1, pattern_bytes), 16, _MEAN_PATTERNS))
    mean = np.nan_to_num(scan.strided(count)).mean(axis=0, dtype=np.float32)
    if scan.bad_pixels is not None:
        mean[scan.bad_pixels] = np.nan
    yield Look(scan, mean)
    scan, mask = _detector(scan, mean, detector)
    image = preview_image(scan, mask)
    yield Look(scan, mean, image)
    yield from (Look(scan, mean, finer) for finer in _iter_finer(scan, mask, image))


def _detector(scan: Scan, mean: Image, detector: str) -> tuple[Scan, Image]:
    """The scan with its disk, and the weights of a virtual detector."""
    from napari_polmap.diffraction.detectors import preset_mask
    from napari_polmap.diffraction.disk import measure_disk

    mask = np.ones(scan.detector_shape, np.float32)
    try:
        if scan.calibration.center_px is None or scan.calibration.radius_px is None:
            disk = measure_disk(mean, scan.bad_pixels)
            values = {"center_px": disk.center_px, "radius_px": disk.radius_px}
            scan = scan.with_calibration(scan.calibration.filled("measured", **values))
        if detector != SUM:
            mask = preset_mask(detector, scan.calibration, scan.detector_shape)
    except CalibrationError:
        # Without a disk the sum shows the scan's shape too.
        pass
    if scan.bad_pixels is not None:
        mask = np.where(scan.bad_pixels, np.float32(0), mask)
    return scan, mask


def _iter_finer(scan: Scan, mask: Image, coarse: Image) -> Iterator[Image]:
    """Fill in an image row by row from more positions, as many as are read within seconds."""
    rows, columns = scan.scan_shape
    pattern_bytes = scan.nbytes // (rows * columns)
    together = scan.storage or (1, 1)
    positions = min(_FINE_POSITIONS, _FINE_BYTES // (pattern_bytes * together[0] * together[1]))
    step = max(1, int(np.ceil(np.sqrt(rows * columns / max(1, positions)))))
    read = len(range(min(step // 2, columns - 1), columns, step))
    places = np.minimum(np.arange(columns) // step, read - 1)
    image, due = coarse.copy(), 0.0
    for top in range(0, rows, step):
        line = _row(scan, mask, min(top + step // 2, rows - 1), step)
        image[top : top + step] = line[places]
        if time.monotonic() >= due or top + step >= rows:
            yield image.copy()
            due = time.monotonic() + _SECONDS_BETWEEN


def _row(scan: Scan, mask: Image, row: int, step: int) -> Image:
    """One row of the image, from every `step`-th position."""
    from napari_polmap.scan import in_memory

    columns = scan.scan_shape[1]
    patterns = in_memory(scan.data[row : row + 1, min(step // 2, columns - 1) :: step])[0]
    return np.asarray(
        np.tensordot(patterns.astype(np.float32), mask, axes=((1, 2), (0, 1))), np.float32
    )
