"""Marks in a layer's metadata that tell what it shows and what it came from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from napari_polmap.polarization_map import PolarizationMap
from napari_polmap.scan import Scan

KEY = "napari_polmap"
"""Key of the marks in ``layer.metadata``."""


class Role(StrEnum):
    """What a layer of this program shows."""

    VIRTUAL = "virtual image"
    COM_X = "center of mass x"
    COM_Y = "center of mass y"
    COM_MAGNITUDE = "center of mass magnitude"
    COM_COLORS = "center of mass colors"
    COM_INTEGRATED = "integrated center of mass"
    POLARIZATION = "polarization"
    ARROWS = "arrows"
    CONFIDENCE = "confidence"
    DEFECTS = "defects"
    REGIONS = "regions"
    LATTICE = "lattice"


COM_ROLES = (
    Role.COM_X,
    Role.COM_Y,
    Role.COM_MAGNITUDE,
    Role.COM_COLORS,
    Role.COM_INTEGRATED,
)
IMAGE_ROLES = (Role.VIRTUAL, *COM_ROLES)
MAP_ROLES = (Role.POLARIZATION, Role.ARROWS, Role.CONFIDENCE, Role.DEFECTS)


@dataclass(frozen=True)
class Source:
    """The objects behind a layer; copies of the layer share them.

    Parameters
    ----------
    scan : Scan, optional
    map : PolarizationMap, optional
    """

    scan: Scan | None = None
    map: PolarizationMap | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Source:
        # A copy of a memory-mapped scan would be read into memory whole.
        return self

    def __repr__(self) -> str:
        return f"<{self.map or self.scan!r}>"


def tag(
    role: Role,
    *,
    scan: Scan | None = None,
    map: PolarizationMap | None = None,  # noqa: A002
) -> dict[str, Any]:
    """Metadata of a layer: its role, its objects and, in plain values, where it came from."""
    provenance: dict[str, Any] = {}
    if map is not None:
        provenance = {
            "scan": map.scan.to_dict(),
            "classifier": dict(map.classifier),
            "calibration": map.calibration.to_dict(),
            "directions": map.directions.to_dict(),
            "software": dict(map.software),
            "warnings": list(map.warnings),
            "confidence_calibrated": map.confidence_calibrated,
        }
    elif scan is not None:
        provenance = {
            "path": None if scan.path is None else str(scan.path),
            "shape": list(scan.shape),
            "dtype": str(scan.dtype),
            "calibration": scan.calibration.to_dict(),
        }
    return {KEY: {"role": str(role), "source": Source(scan, map), "provenance": provenance}}


def role_of(layer: Any) -> Role | None:
    """The role of a layer, None for layers that are not this program's."""
    return role_of_metadata(layer.metadata)


def role_of_metadata(metadata: Any) -> Role | None:
    """The role that a layer's metadata state."""
    mark = metadata.get(KEY)
    if not isinstance(mark, dict) or mark.get("role") not in set(Role):
        return None
    return Role(mark["role"])


def source_of(metadata: Any) -> Source:
    """The objects behind a layer, from its metadata; empty for other layers."""
    mark = metadata.get(KEY)
    source = mark.get("source") if isinstance(mark, dict) else None
    return source if isinstance(source, Source) else Source()
