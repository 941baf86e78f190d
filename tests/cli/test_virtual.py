from __future__ import annotations

import json
import math

import numpy as np
import pytest
import tifffile

from napari_polmap import load_scan
from napari_polmap.calibration import Calibration
from napari_polmap.cli.virtual import parse_detector
from napari_polmap.diffraction.center_of_mass import in_scan_frame, integrated, magnitude
from napari_polmap.diffraction.detectors import AnnulusDetector, DiskDetector
from napari_polmap.diffraction.virtual import center_of_mass, virtual_image
from napari_polmap.errors import CalibrationError

C = (15.6, 15.2)
KNOWN = Calibration(center_px=C, radius_px=9.0, semi_angle_mrad=24.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bright-field", DiskDetector(C, 9.0)),
        ("Annular dark field", AnnulusDetector(C, 9.9, math.inf)),
        ("disk:0.5R", DiskDetector(C, 4.5)),
        ("disk:12mrad", DiskDetector(C, 4.5)),
        ("annulus:3px, 1 r", AnnulusDetector(C, 3.0, 9.0)),
        ("annulus:2R,inf", AnnulusDetector(C, 18.0, math.inf)),
    ],
)
def test_detectors(text, expected):
    found = parse_detector(text, KNOWN)
    assert type(found) is type(expected)
    assert found.radii == pytest.approx(expected.radii)
    assert found.center == C


@pytest.mark.parametrize(
    ("text", "calibration", "words"),
    [
        ("ring", KNOWN, "choose bright-field"),
        ("disk", KNOWN, "disk:RADIUS"),
        ("disk:5", KNOWN, "with its unit"),
        ("disk:xR", KNOWN, "with its unit"),
        ("annulus:2R,1R", KNOWN, "below the outer one"),
        ("disk:2px", Calibration(), "--center"),
        ("disk:2R", Calibration(center_px=C), "--radius"),
        ("disk:2mrad", Calibration(center_px=C), "--mrad-per-pixel"),
    ],
)
def test_impossible_detectors(text, calibration, words):
    with pytest.raises(CalibrationError, match=words):
        parse_detector(text, calibration)


def test_the_image_of_a_ring(polmap, tmp_path, scan_file, calibration):
    out = tmp_path / "ring.tif"
    result = polmap(
        "virtual", scan_file, "-o", out, "--detector", "annulus:0.5R,24mrad", "--json", *calibration
    )
    assert result.exit_code == 0, result.stderr
    scan = load_scan(scan_file, measure=False)
    expected = virtual_image(scan, AnnulusDetector(C, 4.5, 9.0))
    np.testing.assert_allclose(tifffile.imread(out), expected, rtol=1e-5)
    values = json.loads(result.stdout)
    assert values["shape"] == [32, 48]
    assert values["max"] == pytest.approx(expected.max(), rel=1e-5)
    with tifffile.TiffFile(out) as file:
        about = json.loads(file.pages[0].description)
    assert about["title"] == "annulus:0.5R,24mrad"
    assert about["calibration"]["semi_angle_mrad"] == 24.0


@pytest.mark.parametrize("image", ["com-x", "com-y", "com", "icom"])
def test_images_of_the_center_of_mass(polmap, tmp_path, scan_file, calibration, image):
    out = tmp_path / "com.tif"
    turned = ("--rotation", "30", "--flip")
    result = polmap("virtual", scan_file, "-o", out, "--image", image, *calibration, *turned)
    assert result.exit_code == 0, result.stderr
    scan = load_scan(scan_file, measure=False, center_px=C, rotation_deg=30.0, flip=True)
    vectors = in_scan_frame(center_of_mass(scan), scan.calibration)
    expected = {
        "com-x": vectors[..., 0],
        "com-y": vectors[..., 1],
        "com": magnitude(vectors),
        "icom": integrated(vectors, 0.0495),
    }[image]
    np.testing.assert_allclose(tifffile.imread(out), expected, atol=1e-4)


def test_what_is_wrong_is_one_line(polmap, tmp_path, scan_file):
    result = polmap("virtual", scan_file, "-o", tmp_path / "a.tif", "--detector", "blob")
    assert result.exit_code == 1
    assert "There is no detector 'blob'" in result.stderr
    result = polmap("virtual", scan_file, "-o", tmp_path / "a.png")
    assert result.exit_code == 1
    assert not (tmp_path / "a.png").exists()
    assert polmap("virtual", scan_file, "-o", tmp_path / "a.tif", "--image", "x").exit_code == 2
