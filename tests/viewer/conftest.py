"""A headless viewer, and a scan and a map that need no files."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_polmap.polarization_map import PolarizationMap
from napari_polmap.scan import Scan
from tests.viewer.scenes import filled_map

SHAPE = (12, 20)
STEP_NM = 0.05


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def scan() -> Scan:
    data = np.random.default_rng(1).poisson(4, (*SHAPE, 8, 8)).astype(np.uint16)
    return Scan(
        data, name="tiny", step_nm=STEP_NM, center_px=(3.6, 3.4), radius_px=2.5, energy_kv=200
    )


@pytest.fixture
def polarization_map(scan: Scan) -> PolarizationMap:
    return filled_map(scan)
