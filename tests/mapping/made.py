"""A small simulated scan, and values with which a classifier for it is made in seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_polmap.calibration import Calibration
from napari_polmap.mapping import scan_spec
from napari_polmap.mapping.scan_spec import spec_for_scan
from napari_polmap.scan import Scan

KNOWN = Calibration(
    step_nm=0.0495,
    energy_kv=200.0,
    semi_angle_mrad=24.0,
    center_px=(15.5, 15.5),
    radius_px=9.0,
    lattice_nm=0.396,
).to_dict()


def make_scan(path: Path | None = None, shape: tuple[int, int] = (16, 16), **values: Any) -> Scan:
    """A disk with some noise, calibrated as `KNOWN` and with other values."""
    rng = np.random.default_rng(0)
    ky, kx = np.mgrid[:32, :32] - 15.5
    mean = 40.0 * (np.hypot(ky, kx) <= 9)
    data = rng.poisson(np.broadcast_to(mean, (*shape, 32, 32))).astype(np.uint16)
    known = Calibration.from_dict({**KNOWN, **values})
    if path is None:
        return Scan(data, known, name="disk")
    np.save(path, data)
    return Scan(np.load(path, mmap_mode="r"), known, path=path)


def tiny_values(scan: Scan, **sections: Any) -> dict[str, Any]:
    """What `spec_for_scan` says, made as small as it goes."""
    values = spec_for_scan(scan, thickness_nm=(1.0, 2.0), specimens=(2, 1))
    values["specimens"] |= {"thickness_nm": [0.8], "cells": 2, "positions": 4}
    values["directions"] = {"names": ["RM", "MU"], "by_symmetry": True}
    values["crystal"] |= {"thermal": "none"}
    values["numerics"] |= {"sampling_angstrom": 0.16}
    for name, fields in sections.items():
        values[name] = {**values[name], **fields}
    return values


def few_patterns(patch: pytest.MonkeyPatch) -> None:
    """Train on so few patterns that it takes a moment."""
    own = scan_spec.PRESETS["robust"]
    few = replace(own, sampling=replace(own.sampling, patterns=400))
    patch.setattr(scan_spec, "PRESETS", {**scan_spec.PRESETS, "robust": few})
