"""The errors the program raises for input it cannot work with.

Each message is one sentence for the user: what is wrong, what was expected, what to do.
"""

from __future__ import annotations


class PolmapError(Exception):
    """Base of every error that tells the user about bad input."""


class ScanError(PolmapError):
    """A file or array that cannot be read as a 4D-STEM scan."""


class ScanShapeError(ScanError):
    """A stack of frames whose scan shape is missing or does not fit.

    Parameters
    ----------
    message : str
        The sentence for the user.
    candidates : tuple of (int, int), optional
        Likely scan shapes (rows, columns), the likeliest first.
    """

    def __init__(self, message: str, candidates: tuple[tuple[int, int], ...] = ()) -> None:
        super().__init__(message)
        self.candidates = candidates


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


class ExportError(PolmapError):
    """A picture or data file that cannot be written."""
