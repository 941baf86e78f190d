"""Making a classifier for the open scan: what is taken from it, what it costs; no Qt."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_polmap.calibration import Calibration
from napari_polmap.mapping.make_classifier import estimate_classifier
from napari_polmap.mapping.scan_spec import Quality, spec_for_scan
from napari_polmap.scan import Scan
from napari_polmap.simulation.estimate import Estimate
from napari_polmap.simulation.materials import MATERIALS
from napari_polmap.simulation.spec import spec_from
from napari_polmap.viewer.simulation_results import default_folder, folder_state

_TAKEN = (
    ("energy_kv", "voltage", "kV"),
    ("semi_angle_mrad", "semi-angle", "mrad"),
    ("step_nm", "step", "nm"),
    ("lattice_nm", "lattice period", "nm"),
)
_SOURCES = {"file": "from the file", "measured": "measured", "user": "entered"}


@dataclass(frozen=True)
class Wish:
    """What the user asks for, beside what the scan tells.

    Parameters
    ----------
    material : str or mapping
        Name, or the fields of a description's ``[crystal]``.
    thickness_nm : (float, float)
    quality : {"quick", "full"}
    specimens : (int, int)
        For training and for testing.
    tilt_mrad : float
    """

    material: str | Mapping[str, Any]
    thickness_nm: tuple[float, float]
    quality: Quality
    specimens: tuple[int, int]
    tilt_mrad: float

    def values(self, scan: Scan) -> dict[str, Any]:
        """The description of the simulation, see `spec_for_scan`."""
        return spec_for_scan(
            scan,
            self.material,
            thickness_nm=self.thickness_nm,
            quality=self.quality,
            specimens=self.specimens,
            tilt_mrad=self.tilt_mrad,
        )


@dataclass(frozen=True)
class MakingOutlook:
    """What is going to be made.

    Parameters
    ----------
    values : dict
        The description of the simulation.
    folder : Path
        Where it goes.
    begun : bool
        Whether something of the same is there already.
    estimate : Estimate
        Of what is left of the simulation.
    seconds : float or None
        Expected time with training and testing; ``None`` where it is not measured (yet).
    """

    values: dict[str, Any]
    folder: Path
    begun: bool
    estimate: Estimate
    seconds: float | None


def materials() -> list[str]:
    """Built-in materials that have a polarization."""
    return [name for name, material in MATERIALS.items() if material.magnitude_angstrom]


def taken_text(calibration: Calibration) -> str:
    """What is taken from a scan, and where it came from, one value a line."""
    lines = []
    for name, label, unit in _TAKEN:
        value = getattr(calibration, name)
        source = _SOURCES.get(calibration.sources.get(name, ""), "")
        if value is None:
            lines.append(f"{label}: not known")
        else:
            lines.append(f"{label}: {value:.4g} {unit}" + (f" ({source})" if source else ""))
    return "\n".join(lines)


def iter_outlook(
    scan: Scan, wish: Wish, folder: Path | None, **effort: Any
) -> Generator[MakingOutlook, None, None]:
    """What is going to be made: at once without the time, then with it.

    Parameters
    ----------
    scan : Scan
    wish : Wish
    folder : Path or None
        Where it goes; ``None`` for one of the simulation's name, new or made from the same.
    **effort
        ``jobs``, ``device`` and ``memory_mb`` of `estimate_classifier`.

    Raises
    ------
    PolmapError
        If the scan does not tell what is needed, or something cannot be simulated.
    """
    values = wish.values(scan)
    spec = spec_from(values)
    place = default_folder(spec) if folder is None else folder
    begun = folder_state(spec, place) == "same"
    known = place if begun else None
    for measure in (False, True):
        cost, seconds = estimate_classifier(values, known, measure=measure, **effort)
        yield MakingOutlook(values, place, begun, cost, seconds)
