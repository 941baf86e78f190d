"""The state one napari window works on: scan, classifier, map, position; events, no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_polmap.polarization_map import PolarizationMap
from napari_polmap.scan import Scan

if TYPE_CHECKING:
    from napari_polmap.classifiers import Classifier
    from napari_polmap.mapping import Progress


@dataclass(frozen=True)
class VirtualDetector:
    """The detector whose intensity makes the virtual image.

    Parameters
    ----------
    kind : str
        A preset's name, or ``"drawn"``.
    mask : ndarray of float32, shape (ky, kx)
        Weight of each detector pixel.
    """

    kind: str
    mask: npt.NDArray[np.float32]


class Session:
    """What the docks of one viewer share; views listen to its signals."""

    scan_changed = Signal()
    """Another scan, or the same with another calibration."""
    classifier_changed = Signal()
    map_started = Signal()
    """A new `map` is there, to be filled."""
    map_changed = Signal(object)
    """Positions changed: ``(rows, columns)`` slices, or None for all (also threshold, undo)."""
    position_changed = Signal()
    region_changed = Signal()
    """Another drawn region (a mask over positions), or none."""
    detector_changed = Signal()

    _sessions: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.scan: Scan | None = None
        self.classifier: Classifier | None = None
        self.map: PolarizationMap | None = None
        self.position: tuple[int, int] | None = None
        self.region: npt.NDArray[np.bool_] | None = None
        self.detector: VirtualDetector | None = None
        self.progress: Progress | None = None

    @classmethod
    def of(cls, viewer: Any) -> Session:
        """The session of a viewer, made when first asked for."""
        key = getattr(viewer, "__wrapped__", viewer)
        if key not in cls._sessions:
            cls._sessions[key] = cls()
        return cls._sessions[key]
