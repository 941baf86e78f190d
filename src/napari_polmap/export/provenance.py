"""What a picture or data file says about where it came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_polmap import __version__
from napari_polmap.calibration import Calibration
from napari_polmap.polarization_map import PolarizationMap
from napari_polmap.scan import Scan


def provenance(polarization_map: PolarizationMap, threshold: float | None = None) -> dict[str, Any]:
    """Plain values that tell scan, calibration, classifier, threshold and what the labels mean.

    Parameters
    ----------
    polarization_map : PolarizationMap
    threshold : float, optional
        Confidence below which a position is undecided, instead of the map's own.
    """
    scan, classifier = polarization_map.scan, polarization_map.classifier
    shown = polarization_map.shown_directions
    return {
        "software": f"napari-polmap {__version__}",
        "scan": None if scan.path is None else Path(scan.path).name,
        "scan_sampled_sha256": scan.sampled_sha256,
        "classifier": classifier.get("name"),
        "classifier_sha256": classifier.get("sha256"),
        "threshold": polarization_map.threshold if threshold is None else threshold,
        "confidence_calibrated": polarization_map.confidence_calibrated,
        "complete": polarization_map.complete,
        "step_nm": polarization_map.calibration.step_nm,
        "calibration": _known(polarization_map.calibration),
        "directions": list(shown.names),
        "angles_deg": list(shown.angles_deg),
    }


def scan_provenance(scan: Scan) -> dict[str, Any]:
    """Plain values that tell a scan and its calibration."""
    return {
        "software": f"napari-polmap {__version__}",
        "scan": None if scan.path is None else scan.path.name,
        "scan_sampled_sha256": scan.identity().sampled_sha256,
        "step_nm": scan.calibration.step_nm,
        "calibration": _known(scan.calibration),
    }


def _known(calibration: Calibration) -> dict[str, Any]:
    """The calibration's values that are known, each with its source."""
    return {name: value for name, value in calibration.to_dict().items() if value is not None}


def provenance_json(polarization_map: PolarizationMap, **values: Any) -> str:
    """`provenance` and further values as JSON in plain ASCII."""
    threshold = values.pop("threshold", None)
    return json.dumps(provenance(polarization_map, threshold) | values)
