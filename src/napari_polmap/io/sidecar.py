"""The small file beside a scan that keeps how it is read and its calibration.

``scan.mib`` has ``scan.mib.polmap.json`` beside it, or in the user's data folder where nothing can
be written beside it. One file holds an entry for each of a file's scans (data set, index).
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from napari_polmap.calibration import VALUE_NAMES, Calibration
from napari_polmap.errors import CalibrationError, ScanError, reason, unwritable
from napari_polmap.scan import Scan, ScanIdentity

ENDING = ".polmap.json"
FORMAT = "napari-polmap scan"
VERSION = 1
_SAMPLED_BYTES = 64 * 2**10
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, zlib.error, CalibrationError)
"""What reading something that is no sidecar ends in."""


@dataclass(frozen=True)
class Sidecar:
    """What is kept of one scan.

    Parameters
    ----------
    path : Path
        The sidecar file.
    identity : ScanIdentity
        Of the scan it was saved for.
    reading : mapping
        The options that scan was opened with, see `napari_polmap.load_scan`.
    calibration : Calibration
    bad_pixels : ndarray of bool, shape (ky, kx), optional
    saved : str
        ISO 8601 time in UTC.
    """

    path: Path
    identity: ScanIdentity
    reading: Mapping[str, Any] = field(default_factory=dict)
    calibration: Calibration = field(default_factory=Calibration)
    bad_pixels: npt.NDArray[np.bool_] | None = None
    saved: str = ""

    def fits(self, scan: Scan) -> bool:
        """Whether a scan is the one it was saved for, by its data."""
        if (scan.shape, str(scan.dtype.newbyteorder("="))) != (
            self.identity.shape,
            self.identity.dtype,
        ):
            return False
        if _untouched(self.identity, scan.path):
            return True
        return self.identity.same_data(scan.identity())

    def applied(self, scan: Scan, given: Mapping[str, Any], *, bad_pixels: bool = True) -> Scan:
        """The scan with what is kept of it.

        Parameters
        ----------
        scan : Scan
            As its file and the user describe it.
        given : mapping
            Calibration values the user gave, which win.
        bad_pixels : bool
            Whether the kept mask is taken too.
        """
        mine, sources = self.calibration.sources, dict(scan.calibration.sources)
        values: dict[str, Any] = {}
        for name in VALUE_NAMES - set(given):
            if mine.get(name) == sources.get(name) == "file":
                continue
            # What is not known here was not known then, or the user struck it out.
            values[name] = getattr(self.calibration, name)
            sources.pop(name, None)
            if name in mine:
                sources[name] = mine[name]
        calibration = dataclasses.replace(scan.calibration, **values, sources=sources)
        mask = self.bad_pixels if bad_pixels else scan.bad_pixels
        return scan.with_kept(calibration, mask, self.path)


def sidecar_path(path: str | Path) -> Path:
    """The sidecar file beside a scan's file or folder."""
    path = Path(path).expanduser()
    return path.with_name(path.name + ENDING)


def user_sidecar_path(path: str | Path) -> Path:
    """The sidecar file in the user's data folder, for a scan beside which nothing can be written.

    It is found again by the scan's name and, for a file, its size and a sample of its bytes, so
    that it serves wherever a file lies; for a folder by its path.
    """
    from platformdirs import user_data_path

    path = Path(path).expanduser()
    digest = hashlib.sha256(path.name.encode())
    if path.is_file():
        size = path.stat().st_size
        digest.update(str(size).encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLED_BYTES))
            file.seek(max(0, size - _SAMPLED_BYTES))
            digest.update(file.read(_SAMPLED_BYTES))
    else:
        digest.update(str(path.resolve()).encode())
    folder = user_data_path("napari-polmap") / "scans"
    return folder / f"{path.name[:80]}-{digest.hexdigest()[:24]}{ENDING}"


def load_sidecar(
    path: str | Path,
    *,
    dataset: str | None = None,
    index: Any = None,
    warnings: list[str] | None = None,
) -> Sidecar | None:
    """What is kept of a scan; never raises.

    Parameters
    ----------
    path : str or Path
        The scan's file or folder.
    dataset, index : optional
        Which scan of a file with several; by default the one saved last.
    warnings : list of str, optional
        Takes a sentence for each sidecar that cannot be read, which is left alone.

    Returns
    -------
    Sidecar or None
        None where nothing (readable) is kept.
    """
    asked = _part({"dataset": dataset, "index": index})
    for entry in _entries(Path(path).expanduser(), [] if warnings is None else warnings):
        kept = _part(entry.reading)
        if all(value is None or value == kept[name] for name, value in asked.items()):
            return entry
    return None


def save_sidecar(scan: Scan) -> Path:
    """Keep how a scan is read, its calibration and its bad pixels.

    Parameters
    ----------
    scan : Scan
        One that was opened from a file.

    Returns
    -------
    Path
        The file, beside the scan or in the user's data folder.

    Raises
    ------
    ScanError
        If the scan has no file, or nothing can be written in either place.
    """
    if scan.path is None:
        raise ScanError(
            "The scan was not opened from a file, so there is no place for its calibration; save "
            "the scan first."
        )
    path = Path(scan.path)
    identity = scan.identity()
    reading = {name: _plain(value) for name, value in scan.reading.items()}
    entry = {
        "saved": datetime.now(UTC).isoformat(timespec="microseconds"),
        "identity": {**identity.to_dict(), "path": None},
        "reading": reading,
        "calibration": scan.calibration.to_dict(),
        "bad_pixels": None if scan.bad_pixels is None else _packed(scan.bad_pixels),
    }
    part = _part(reading)
    beside = sidecar_path(path)
    failure: OSError | None = None
    for target in _places(path):
        try:
            scans = [entry, *_other_entries(target, part)]
            content = {"format": FORMAT, "version": VERSION, "scans": scans}
            _write(target, json.dumps(content, indent=1) + "\n")
        except OSError as error:
            failure = error
        else:
            return target
    assert failure is not None
    raise ScanError(
        unwritable(f"The calibration of {path.name} ({beside})", beside, failure)
    ) from failure


def opened_as_kept(
    open_: Callable[[dict[str, Any]], Scan],
    given: Mapping[str, Any],
    kept: Sidecar | None,
    warnings: list[str],
) -> tuple[Scan, Sidecar | None]:
    """Open a scan as it was opened before, unless what is kept is of other data.

    Parameters
    ----------
    open_ : callable
        Opens the scan with reading options.
    given : mapping
        The reading options the user gave, which win.
    kept : Sidecar, optional
    warnings : list of str
        Takes a sentence where what is kept is not used.

    Returns
    -------
    scan : Scan
    kept : Sidecar or None
        None where it is of other data.
    """
    if kept is None:
        return open_(dict(given)), None
    try:
        scan = open_({**kept.reading, **given})
    except ScanError:
        if not set(kept.reading) - set(given):
            raise
    else:
        if kept.fits(scan):
            return scan, kept
    scan = open_(dict(given))
    then, now = (" × ".join(str(n) for n in shape) for shape in (kept.identity.shape, scan.shape))
    differ = f"shape {then} instead of {now}" if then != now else "of the same shape"
    warnings.append(
        f"The calibration kept in {kept.path} was made for other data ({differ}) and is not used; "
        "calibrate this scan anew."
    )
    return scan, None


def _places(path: Path) -> list[Path]:
    """Where a sidecar may be written, the best first."""
    import napari_polmap

    beside = sidecar_path(path).absolute()
    # Data that came with the program is not changed.
    own = beside.is_relative_to(Path(napari_polmap.__file__).parent)
    return [user_sidecar_path(path)] if own else [beside, user_sidecar_path(path)]


def _write(target: Path, text: str) -> None:
    part = target.with_name(f".{target.name}.{uuid4().hex[:8]}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(target)
    finally:
        if part.parent.is_dir():
            part.unlink(missing_ok=True)


def _entries(path: Path, warnings: list[str]) -> list[Sidecar]:
    """All that is kept of a file's scans, the newest first."""
    found: list[Sidecar] = []
    places = [sidecar_path(path)]
    # A scan that cannot be read is told of by whoever opens it.
    with contextlib.suppress(OSError):
        places.append(user_sidecar_path(path))
    for place in places:
        try:
            if not place.is_file():
                continue
            found += _parsed(place, json.loads(place.read_text(encoding="utf-8")))
        except _NewerVersionError:
            warnings.append(
                f"The calibration kept in {place} was saved by a newer version of the program and "
                "is not used; update the program."
            )
        except (OSError, *_UNREADABLE) as error:
            warnings.append(
                f"The calibration kept in {place} cannot be read ({reason(error)}) and is not "
                "used; put that file right or delete it."
            )
    return sorted(found, key=lambda entry: entry.saved, reverse=True)


class _NewerVersionError(Exception):
    pass


def _parsed(place: Path, content: Any) -> list[Sidecar]:
    if content["format"] != FORMAT:
        raise ValueError(f"its format is {content['format']!r}")
    if content["version"] > VERSION:
        raise _NewerVersionError
    return [
        Sidecar(
            path=place,
            identity=ScanIdentity.from_dict(entry["identity"]),
            reading=_reading(entry["reading"]),
            calibration=Calibration.from_dict(entry["calibration"]),
            bad_pixels=None if entry["bad_pixels"] is None else _unpacked(entry["bad_pixels"]),
            saved=str(entry["saved"]),
        )
        for entry in content["scans"]
    ]


def _other_entries(place: Path, part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a sidecar keeps of the other scans of a file, as it stands there.

    A file that is no sidecar is put aside.
    """
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
        _parsed(place, content)
    except _NewerVersionError as error:
        raise ScanError(
            f"{place} was saved by a newer version of the program and would lose what only that "
            "one knows; update the program."
        ) from error
    except FileNotFoundError:
        return []
    except _UNREADABLE:
        place.replace(place.with_name(place.name + ".broken"))
        return []
    return [entry for entry in content["scans"] if _part(entry["reading"]) != part]


def _reading(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }


def _part(reading: Mapping[str, Any]) -> dict[str, Any]:
    """Which of several scans in a file the options choose."""
    index = reading.get("index")
    indices = None if index is None else [int(number) for number in np.atleast_1d(index)]
    return {"dataset": reading.get("dataset"), "index": indices}


def _plain(value: Any) -> Any:
    """A reading option as JSON has it."""
    if isinstance(value, np.ndarray | tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value


def _untouched(kept: ScanIdentity, path: Path | None) -> bool:
    """Whether a file has the size and time it had, so that its patterns need not be read."""
    if path is None or not path.is_file() or kept.size_bytes is None:
        return False
    stat = path.stat()
    return (stat.st_size, stat.st_mtime_ns) == (kept.size_bytes, kept.modified_ns)


def _packed(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    data = base64.b64encode(zlib.compress(np.packbits(mask).tobytes(), 9)).decode("ascii")
    return {"shape": list(mask.shape), "zlib_packbits": data}


def _unpacked(values: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    shape = tuple(int(n) for n in values["shape"])
    data = zlib.decompress(base64.b64decode(values["zlib_packbits"], validate=True))
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=int(np.prod(shape)))
    return bits.reshape(shape).astype(bool)
