"""Exported files tell the calibration their map was made with."""

from __future__ import annotations

import json

from napari_polmap.calibration import Calibration
from napari_polmap.export.provenance import provenance_json


def test_known_calibration_values_are_told_with_their_sources(make_map):
    values = {"descan_px": (0.01, 0.0, -0.02, 0.0), "ellipse": (1.05, 30.0), "step_nm": 0.05}
    about = json.loads(
        provenance_json(make_map(calibration=Calibration().updated("user", **values)))
    )
    told = about["calibration"]
    assert told["descan_px"] == [0.01, 0.0, -0.02, 0.0]
    assert told["ellipse"] == [1.05, 30.0]
    assert told["sources"] == dict.fromkeys(values, "user")
    assert "lattice_nm" not in told
    assert Calibration.from_dict(told) == Calibration().updated("user", **values)
