"""Images of scans as TIFF."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_polmap.errors import ExportError
from napari_polmap.export import export_scan_image
from napari_polmap.scan import Scan

SCAN = Scan(np.ones((4, 6, 3, 3), np.uint8), step_nm=0.25, rotation_deg=12.0)


def test_numbers_come_back_with_step_and_calibration(tmp_path: Path) -> None:
    image = np.arange(24.0).reshape(4, 6)
    image[1, 2] = np.nan
    path = export_scan_image(SCAN, image, tmp_path / "a.tif", title="ring", pair=False)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        np.testing.assert_array_equal(page.asarray(), image.astype(np.float32))
        about = json.loads(page.description)
        numerator, denominator = page.tags["XResolution"].value
    assert about["title"] == "ring"
    assert about["pair"] is False
    assert about["step_nm"] == 0.25
    assert about["calibration"]["rotation_deg"] == 12.0
    assert numerator / denominator == pytest.approx(4e7)  # positions per cm


def test_colors_stay_colors(tmp_path: Path) -> None:
    colors = np.random.default_rng(0).integers(0, 255, (4, 6, 3), np.uint8)
    path = export_scan_image(SCAN, colors, tmp_path / "a.tiff", title="colors")
    np.testing.assert_array_equal(tifffile.imread(path), colors)


def test_images_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="one pixel per probe position"):
        export_scan_image(SCAN, np.ones((6, 4)), tmp_path / "a.tif", title="turned")
    with pytest.raises(ExportError):
        export_scan_image(SCAN, np.ones((4, 6)), tmp_path / "a.png", title="ring")
    assert not list(tmp_path.iterdir())
