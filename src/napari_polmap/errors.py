"""The errors the program raises for input it cannot work with.

Each message is one sentence for the user: what is wrong, what was expected, what to do.
"""

from __future__ import annotations

import errno
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


class PolmapError(Exception):
    """Base of every error that tells the user about bad input."""


class ScanError(PolmapError):
    """A file or array that cannot be read as a 4D-STEM scan."""


class ScanChoiceError(ScanError):
    """A file that opens only with an option that the user chooses.

    Parameters
    ----------
    message : str
        The sentence for the user.
    datasets : tuple of str, optional
        Names to choose the data set from.
    lengths : tuple of int, optional
        Lengths of the axes before the last four, of which an index must be given.
    """

    def __init__(
        self, message: str, *, datasets: tuple[str, ...] = (), lengths: tuple[int, ...] = ()
    ) -> None:
        super().__init__(message)
        self.datasets = datasets
        self.lengths = lengths


class ScanShapeError(ScanChoiceError):
    """A stack of frames whose scan shape is missing or does not fit.

    Parameters
    ----------
    message : str
        The sentence for the user.
    candidates : tuple of (int, int), optional
        Likely scan shapes (rows, columns), the likeliest first.
    frames : int
        How many frames there are; 0 where that is not known.
    """

    def __init__(
        self, message: str, candidates: tuple[tuple[int, int], ...] = (), frames: int = 0
    ) -> None:
        super().__init__(message)
        self.candidates = candidates
        self.frames = frames


class CalibrationError(PolmapError):
    """A calibration that is missing, impossible or could not be measured."""


class ClassifierError(PolmapError):
    """A classifier file that cannot be read, or a classifier used in a way it cannot serve."""


class ClassifierMismatchError(ClassifierError):
    """A scan outside what the classifier was trained for."""


class MapError(PolmapError):
    """A polarization map that cannot be read, written or continued."""


class DatasetError(PolmapError):
    """A labelled data set that cannot be read or does not fit."""


class TrainingStoppedError(PolmapError):
    """A training that was stopped before there was anything to keep."""


class ExportError(PolmapError):
    """A picture or data file that cannot be written."""


def reason(error: BaseException) -> str:
    """Why something failed, in one line without the path that stands in the sentence already."""
    told = error.strerror if isinstance(error, OSError) else None
    return told or " ".join(str(error).split()) or type(error).__name__


def unwritable(what: str, path: Path, error: OSError) -> str:
    """The sentence for a file or folder that cannot be written.

    Parameters
    ----------
    what : str
        How the sentence begins, such as ``The map /data/map.zarr``.
    path : Path
        What was to be written.
    error : OSError
        What the system says.
    """
    parents = [parent for parent in path.absolute().parents if parent.exists()]
    if parents and not parents[0].is_dir():
        why, advice = f"{parents[0]} is a file, not a folder", "choose another place"
    elif error.errno in _FULL:
        why, advice = "the disk is full", "make room on it, or choose another place"
    else:
        why, advice = reason(error), "choose another place"
    return f"{what} cannot be written ({why}); {advice}."
