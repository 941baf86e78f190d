"""Labelled data sets: TOML files that list scans with their directions (DESIGN: Files)."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import VALUE_NAMES, Calibration
from napari_polmap.directions import NOT_COMPUTED, DirectionSet
from napari_polmap.errors import CalibrationError, DatasetError, ScanError, reason
from napari_polmap.io.arrangement import Arrangement
from napari_polmap.io.scans import load_scan
from napari_polmap.scan import Scan

_ALIASES = {
    "step": "step_nm",
    "energy": "energy_kv",
    "semi_angle": "semi_angle_mrad",
    "lattice": "lattice_nm",
    "center": "center_px",
    "radius": "radius_px",
    "descan": "descan_px",
    "rotation": "rotation_deg",
    "crystal_angle": "crystal_angle_deg",
    "mask": "bad_pixels",
}
_READING = ("nav_shape", "dataset", "index", "axes", "flyback", "bad_pixels")
_SEVERAL = ("center_px", "descan_px", "ellipse")
"""Calibration values of several numbers."""
_OWN = ("path", "direction", "truth", "group", "region")
_TOP = ("name", "directions", "angles_deg", "root", "scan")
_ALIKE = 0.8
"""Share of letters from which on an unknown key is a known one misspelled."""


@dataclass(frozen=True)
class LabelledScan:
    """One scan of a labelled data set.

    Parameters
    ----------
    path : Path
        Any readable scan.
    direction : tuple of str or None
        Direction of the whole scan; with several, any of them counts as right.
    truth : Path or None
        Or a label image: index in the order of the data set's directions, 255 = not labelled.
    group : str
        Specimen: training, validation and test never share one.
    reading : mapping
        Options of `load_scan` such as ``nav_shape``.
    calibration : mapping
        Calibration values, see `Calibration`.
    region : (slice, slice) or None
        Rows and columns of the positions that count; the scan's other positions are not there.
    conditions : mapping
        All other keys (``thickness_nm``, ``tilt_mrad``, ``dose``, ...), by which evaluation breaks
        its figures down.
    """

    path: Path
    direction: tuple[str, ...] | None
    truth: Path | None
    group: str
    reading: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    region: tuple[slice, slice] | None = None

    def open(self) -> Scan:
        """The scan, lazily, with the calibration of the data set; the rest is measured.

        Raises
        ------
        ScanError
            If it cannot be read.
        """
        given = {"center_px", "radius_px", "lattice_nm"} <= self.calibration.keys()
        scan = load_scan(self.path, measure=not given, **self.reading, **self.calibration)
        return scan if self.region is None else scan.region(*self.region)

    def truth_mask(
        self, directions: DirectionSet, scan_shape: tuple[int, int]
    ) -> npt.NDArray[np.bool_]:
        """Which directions count as right at each position.

        Parameters
        ----------
        directions : DirectionSet
            The data set's.
        scan_shape : (int, int)
            Of the scan, or of its region.

        Returns
        -------
        ndarray of bool, shape (y, x, n_directions)
            All false where a position is not labelled.

        Raises
        ------
        DatasetError
            If the label image cannot be read, has another shape, or an unknown label.
        """
        mask = np.zeros((*scan_shape, len(directions)), bool)
        if self.direction is not None:
            mask[..., [directions.index(name) for name in self.direction]] = True
            return mask
        assert self.truth is not None
        labels = _label_image(self.truth)
        if self.region is not None:
            labels = labels[self.region]
        if labels.shape != scan_shape:
            raise DatasetError(
                f"The label image {self.truth.name} has shape {labels.shape}, but the scan "
                f"{self.path.name} has {scan_shape}; give one label per position."
            )
        wrong = np.setdiff1d(labels, [*range(len(directions)), NOT_COMPUTED])
        if len(wrong):
            raise DatasetError(
                f"The label image {self.truth.name} holds the label {wrong[0]}; allowed are 0 to "
                f"{len(directions) - 1} (in the order of directions) and {NOT_COMPUTED} for "
                "positions without a label."
            )
        for index in range(len(directions)):
            mask[..., index] = labels == index
        return mask


@dataclass(frozen=True)
class LabelledDataset:
    """Labelled scans with a common set of directions.

    Parameters
    ----------
    name : str
    directions : DirectionSet
    scans : tuple of LabelledScan
    path : Path or None
        The TOML file.
    """

    name: str
    directions: DirectionSet
    scans: tuple[LabelledScan, ...]
    path: Path | None = None


def load_dataset(path: str | Path, root: str | Path | None = None) -> LabelledDataset:
    """Read a labelled data set's TOML file; the scans are opened only when asked for.

    Parameters
    ----------
    path : str or Path
    root : str or Path, optional
        Folder that the paths are relative to, instead of the file's own ``root``.

    Raises
    ------
    DatasetError
        If the file cannot be read, or a field is missing or not allowed.
    """
    path = Path(path).expanduser()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(
            f"The data set {path} cannot be read ({reason(error)}); check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path} is not a text file, but a labelled data set is a TOML file; choose one."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise DatasetError(f"{path.name} is not a TOML file: {error}; correct it.") from error
    _check_spelling(content, _TOP, path.name)
    names = content.get("directions")
    if not names or not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        given = "missing" if names is None else repr(names)
        raise DatasetError(
            f"{path.name}: `directions` is {given}, but must be a list of direction names, such as "
            '["RU", "LD"].'
        )
    directions = DirectionSet.from_names(names, _angles(path, content, names))
    entries = content.get("scan")
    if not isinstance(entries, list) or not entries:
        raise DatasetError(f"{path.name} lists no scan; add a [[scan]] with path and direction.")
    named = path.parent / _text(content.get("root", "."), f"{path.name}: `root`", "a folder")
    root = named if root is None else Path(root).expanduser()
    scans = tuple(
        _entry(entry, f"{path.name}, scan {number}", root, directions)
        for number, entry in enumerate(entries, 1)
    )
    return LabelledDataset(str(content.get("name", path.stem)), directions, scans, path)


def _angles(path: Path, content: Mapping[str, Any], names: list[str]) -> list[float | None] | None:
    """Angles of the directions, in degrees; names of the default set bring their own."""
    angles = content.get("angles_deg")
    if angles is None:
        return None
    numbers = isinstance(angles, list) and all(isinstance(a, int | float | str) for a in angles)
    if not numbers or len(angles) != len(names):
        raise DatasetError(
            f"{path.name}: `angles_deg` is {angles!r}, but must hold one angle in degrees, or "
            '"none", per direction.'
        )
    return [None if isinstance(angle, str) else float(angle) for angle in angles]


def _entry(entry: Any, where: str, root: Path, directions: DirectionSet) -> LabelledScan:
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        raise DatasetError(f"{where}: `path` is missing; give the scan's file or folder.")
    if ("direction" in entry) == ("truth" in entry):
        raise DatasetError(
            f"{where}: give either `direction` (a name, or a list of which any counts as right) or "
            "`truth` (a label image)."
        )
    direction = entry.get("direction")
    if direction is not None:
        listed = [direction] if isinstance(direction, str) else direction
        if not isinstance(listed, list) or not listed or set(listed) - set(directions.names):
            raise DatasetError(
                f"{where}: `direction` is {direction!r}, but allowed are "
                f"{', '.join(directions.names)}, or a list of these."
            )
        direction = tuple(listed)
    _check_spelling(entry, (*_OWN, *_READING, *VALUE_NAMES, *_ALIASES), where)
    fields: dict[str, Any] = {}
    for key, value in entry.items():
        name = _ALIASES.get(str(key), str(key))
        if name in fields:
            raise DatasetError(f"{where}: `{name}` is given twice; leave one of them out.")
        if name not in _OWN:
            fields[name] = value
    reading = {key: fields.pop(key) for key in _READING if key in fields}
    if "nav_shape" in reading:
        reading["nav_shape"] = _pair(reading["nav_shape"], f"{where}: `nav_shape`", int)
    if "bad_pixels" in reading:
        reading["bad_pixels"] = root / _text(reading["bad_pixels"], f"{where}: `mask`", "a file")
    if "dataset" in reading:
        reading["dataset"] = str(reading["dataset"])
    index = reading.get("index", 0)
    if not all(_is_number(i, int) for i in (index if isinstance(index, list) else [index])):
        raise DatasetError(f"{where}: `index` is {index!r}, but must be one or more whole numbers.")
    try:
        Arrangement.of(**{key: value for key, value in reading.items() if key != "bad_pixels"})
    except ScanError as error:
        raise DatasetError(f"{where}: {error}") from error
    calibration = {key: value for key, value in fields.items() if key in VALUE_NAMES}
    if "center_px" in calibration:
        calibration["center_px"] = _pair(calibration["center_px"], f"{where}: `center`", float)
    for key, value in calibration.items():
        if key == "flip" and not isinstance(value, bool):
            raise DatasetError(f"{where}: `flip` is {value!r}, but must be true or false.")
        if key not in (*_SEVERAL, "flip") and not _is_number(value):
            raise DatasetError(f"{where}: `{key}` is {value!r}, but must be a number.")
    try:
        Calibration().updated("user", **calibration)
    except CalibrationError as error:
        raise DatasetError(f"{where}: {error}") from error
    truth = entry.get("truth")
    return LabelledScan(
        path=root / entry["path"],
        direction=direction,
        truth=None if truth is None else root / _text(truth, f"{where}: `truth`", "an image"),
        group=str(entry.get("group", entry["path"])),
        reading=reading,
        calibration=calibration,
        conditions={key: value for key, value in fields.items() if key not in VALUE_NAMES},
        region=None if "region" not in entry else _region(entry["region"], f"{where}: `region`"),
    )


def _check_spelling(given: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Other keys are the user's own, unless they look like a known one misspelled."""
    for key in given:
        if key in known:
            continue
        meant = difflib.get_close_matches(key.lower().replace("-", "_"), known, 1, _ALIKE)
        if meant:
            raise DatasetError(f"{where}: there is no field `{key}`; write `{meant[0]}`.")


def _is_number(value: Any, kind: Any = (int, float)) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _text(value: Any, where: str, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise DatasetError(f"{where} is {value!r}, but must name {what}.")
    return value


def _pair(value: Any, where: str, kind: type[int] | type[float]) -> tuple[Any, Any]:
    numbers = isinstance(value, list) and len(value) == 2
    allowed = int if kind is int else (int, float)
    if not numbers or not all(_is_number(v, allowed) for v in value):
        whole = "whole " if kind is int else ""
        raise DatasetError(f"{where} is {value!r}, but must be two {whole}numbers: [row, column].")
    return value[0], value[1]


def _region(value: Any, where: str) -> tuple[slice, slice]:
    match = re.fullmatch(r"(\d*):(\d*),(\d*):(\d*)", str(value).replace(" ", ""))
    if match is None:
        raise DatasetError(
            f'{where} is {value!r}, but must be rows and columns such as "0:64,32:96".'
        )
    first, last, left, right = (int(end) if end else None for end in match.groups())
    return slice(first, last), slice(left, right)


def _label_image(path: Path) -> npt.NDArray[Any]:
    import tifffile

    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        return np.asarray(tifffile.imread(path))
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise DatasetError(
            f"The label image {path} cannot be read ({reason(error)}); give a TIFF or .npy file."
        ) from error
