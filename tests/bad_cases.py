"""What users get wrong, once for the library, the command line and the window."""

from __future__ import annotations

import pickle
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_polmap.errors import (
    CalibrationError,
    ClassifierError,
    ClassifierMismatchError,
    MapError,
    PolmapError,
    ScanChoiceError,
    ScanError,
    ScanShapeError,
)
from tests.synthetic import CALIBRATION, make_patterns, two_domains

PATTERNS = make_patterns(two_domains((24, 32)), dose=20000)
NOTICE, NOTIFICATION, QUESTION = "notice", "notification", "question"


@dataclass(frozen=True)
class Work:
    """A scan to be classified into a map.

    Parameters
    ----------
    scan, classifier, out : Path
    reading : dict
        Options of `load_scan`.
    calibration : dict
        The user's values.
    file_bytes : int, optional
        No file can grow beyond this: a full disk.
    """

    scan: Path
    classifier: Path
    out: Path
    reading: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)
    file_bytes: int | None = None

    @classmethod
    def good(cls, folder: Path, classifier: Path) -> Work:
        """Work with nothing wrong."""
        scan = folder / "good.npy"
        np.save(scan, PATTERNS)
        names = ("step_nm", "lattice_nm", "energy_kv", "semi_angle_mrad", "center_px", "radius_px")
        known = {name: getattr(CALIBRATION, name) for name in names}
        return cls(scan, classifier, folder / "map.zarr", calibration=known)

    def calibrated(self, **values: Any) -> Work:
        """With other calibration values, None for what is not known."""
        known = {**self.calibration, **values}
        given = {name: value for name, value in known.items() if value is not None}
        return replace(self, calibration=given)

    @contextmanager
    def limits(self) -> Iterator[None]:
        """While it runs."""
        if self.file_bytes is None:
            yield
            return
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.file_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def arguments(self) -> list[str]:
        """Of ``polmap classify``."""
        names = {
            "step_nm": "--step",
            "lattice_nm": "--lattice",
            "energy_kv": "--energy",
            "semi_angle_mrad": "--semi-angle",
            "center_px": "--center",
            "radius_px": "--radius",
            "nav_shape": "--nav-shape",
            "bad_pixels": "--mask",
        }
        said = ["classify", str(self.scan), "-c", str(self.classifier), "-o", str(self.out)]
        for name, value in {**self.reading, **self.calibration}.items():
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            said += [f"{names[name]}={text}"]
        return said


@dataclass(frozen=True)
class Case:
    """One thing that is wrong.

    Parameters
    ----------
    spoil : callable
        Makes work with it from work that is right.
    error : type
        What the library raises.
    words : tuple of str
        What the sentence says.
    window : str
        How the window says it: in a notification, beside the classifier, or by asking for the
        scan's shape.
    """

    spoil: Callable[[Work], Work]
    error: type[PolmapError]
    words: tuple[str, ...]
    window: str = NOTIFICATION


def _scan(name: str, content: Any) -> Callable[[Work], Work]:
    """The scan is another array or other bytes."""

    def spoil(work: Work) -> Work:
        path = work.scan.with_name(name)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            np.save(path, content)
        return replace(work, scan=path)

    return spoil


def _truncated(work: Work) -> Work:
    whole = work.scan.read_bytes()
    return _scan("truncated.npy", whole[: len(whole) // 2])(work)


def _classifier(name: str, content: bytes | None) -> Callable[[Work], Work]:
    def spoil(work: Work) -> Work:
        path = work.scan.with_name(name)
        if content is not None:
            path.write_bytes(content)
        return replace(work, classifier=path)

    return spoil


def _truncated_classifier(work: Work) -> Work:
    whole = work.classifier.read_bytes()
    return _classifier("cut.safetensors", whole[: len(whole) // 2])(work)


class _Bomb:
    """What would leave a trace if it were unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def _pickle(work: Work) -> Work:
    bomb = _Bomb(work.scan.with_name("unpickled"))
    return _classifier("renamed.safetensors", pickle.dumps(bomb))(work)


def _below_a_file(work: Work) -> Work:
    file = work.scan.with_name("file")
    file.write_text("mine")
    return replace(work, out=file / "map.zarr")


def _foreign_folder(work: Work) -> Work:
    folder = work.scan.with_name("thesis.zarr")
    folder.mkdir()
    (folder / "chapter.txt").write_text("mine")
    return replace(work, out=folder)


def _mask(content: Any) -> Callable[[Work], Work]:
    def spoil(work: Work) -> Work:
        path = work.scan.with_name("mask.npy")
        np.save(path, content)
        return replace(work, reading={"bad_pixels": path})

    return spoil


NOISE = np.random.default_rng(0).poisson(5, PATTERNS.shape).astype(np.uint16)
UNKNOWN_DISK = {"center_px": None, "radius_px": None}
SCANS = {
    "missing": Case(_scan("none.npy", None), ScanError, ("There is no file", "none.npy", "check")),
    "empty": Case(_scan("empty.npy", b""), ScanError, ("empty.npy is empty", "copy it again")),
    "truncated": Case(_truncated, ScanError, ("truncated.npy", "check that it is complete")),
    "two axes": Case(_scan("flat.npy", PATTERNS[0, 0]), ScanError, ("2 axes", "four axes")),
    "five axes": Case(
        _scan("five.npy", PATTERNS[None]), ScanChoiceError, ("5 axes", "by index"), QUESTION
    ),
    "no positions": Case(_scan("zero.npy", PATTERNS[:0]), ScanError, ("empty", "(0, 32, 32, 32)")),
    "complex": Case(_scan("wave.npy", PATTERNS + 1j), ScanError, ("real", "complex128", "convert")),
    "not a number": Case(
        _scan("nan.npy", np.full(PATTERNS.shape, np.nan, np.float32)),
        ScanError,
        ("not finite", "nan", "check"),
    ),
    "all zero": Case(_scan("dark.npy", PATTERNS * 0), ScanError, ("dark are zero", "check")),
    "scan shape missing": Case(
        _scan("stack.npy", PATTERNS.reshape(-1, 32, 32)),
        ScanShapeError,
        ("768 frames", "nav_shape", "(24, 32)"),
        QUESTION,
    ),
    "scan shape that does not fit": Case(
        lambda work: replace(
            _scan("stack.npy", PATTERNS.reshape(-1, 32, 32))(work), reading={"nav_shape": (7, 9)}
        ),
        ScanShapeError,
        ("768 frames", "7 x 9 = 63", "(24, 32)"),
        QUESTION,
    ),
    "mask of another shape": Case(
        _mask(np.zeros((8, 8))), ScanError, ("mask", "(8, 8)", "(32, 32)")
    ),
    "mask the wrong way around": Case(
        _mask(np.ones((32, 32))), ScanError, ("mask", "100%", "not zero where a pixel is bad")
    ),
    "step that is negative": Case(
        lambda work: work.calibrated(step_nm=-0.05), CalibrationError, ("step_nm", "positive")
    ),
    "volts": Case(
        lambda work: work.calibrated(energy_kv=200_000), CalibrationError, ("200000", "in kV")
    ),
}
RUNS = {
    "no disk": Case(
        lambda work: _scan("noise.npy", NOISE)(work).calibrated(**UNKNOWN_DISK),
        CalibrationError,
        ("disk", "could not be measured", "give them"),
    ),
    "crop beyond the detector": Case(
        lambda work: work.calibrated(center_px=(3.0, 3.0)),
        CalibrationError,
        ("detector has 32 x 32 pixels", "check the disk's center"),
    ),
    "step not known": Case(
        lambda work: work.calibrated(step_nm=None), CalibrationError, ("scan step is not known",)
    ),
    "unwritable target": Case(
        _below_a_file, MapError, ("cannot be written", "is a file, not a folder", "another place")
    ),
    "target of another kind": Case(
        _foreign_folder, MapError, ("thesis.zarr", "not a polarization map", "another name")
    ),
    "target for a picture": Case(
        lambda work: replace(work, out=work.out.with_suffix(".png")),
        MapError,
        ("ends in .png", "folder ending in .zarr"),
    ),
    "full target": Case(
        lambda work: replace(work, file_bytes=500), MapError, ("the disk is full", "make room")
    ),
}
CLASSIFIERS = {
    "missing": Case(
        _classifier("none.safetensors", None), ClassifierError, ("none.safetensors", "No such file")
    ),
    "empty": Case(
        _classifier("empty.safetensors", b""), ClassifierError, ("not a classifier", "another file")
    ),
    "text": Case(
        _classifier("text.safetensors", b"hello"), ClassifierError, ("not a classifier file",)
    ),
    "truncated": Case(
        _truncated_classifier, ClassifierError, ("cut.safetensors", "damaged", "copy it again")
    ),
    "pickle": Case(_pickle, ClassifierError, ("renamed.safetensors", "not a classifier file")),
    "a scan": Case(
        lambda work: replace(work, classifier=work.scan), ClassifierError, ("not a classifier",)
    ),
    "another voltage": Case(
        lambda work: work.calibrated(energy_kv=80.0),
        ClassifierMismatchError,
        ("voltage is 80 kV", "trained for 200 kV", "choose or train another"),
        NOTICE,
    ),
}
CASES = {
    f"{kind}: {name}": case
    for kind, cases in (("scan", SCANS), ("run", RUNS), ("classifier", CLASSIFIERS))
    for name, case in cases.items()
}


@contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[Path]:
    """A file system of its own at a folder; the test is skipped where none can be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
    able = shutil.which("mount") is not None
    if not able or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, but_kib: int = 0) -> Path:
    """Leave no more than some room on a disk; returns the file that takes the rest."""
    filler = disk / "filler"
    room = shutil.disk_usage(disk).free - but_kib * 1024
    with filler.open("wb") as file:
        file.write(bytes(max(0, room)))
    return filler


def contents(folder: Path) -> dict[str, bytes | None]:
    """All files and folders below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def assert_one_sentence(text: str, words: tuple[str, ...] = ()) -> None:
    """It is one line, one sentence, and says the words."""
    assert "\n" not in text
    assert text.endswith(".")
    # A period within a sentence belongs to a number, a file or an ending.
    assert ". " not in text
    assert "Traceback" not in text
    assert "Errno" not in text
    for word in words:
        assert word in text
