from __future__ import annotations

import json

import numpy as np
import pytest
import typer

from napari_polmap.cli.options import numbers, region


def test_numbers_with_commas():
    assert numbers("3,4", int, "--nav-shape", "Y,X", count=2) == (3, 4)
    assert numbers("1.5,-2", float, "--center", "KY,KX", count=2) == (1.5, -2.0)
    assert numbers("7", int, "--index", "I,...") == (7,)
    assert numbers(None, int, "--index", "I,...") is None


@pytest.mark.parametrize("text", ["", "3", "3,4,5", "3x4", "a,b", "1.5,2"])
def test_numbers_of_another_form_are_bad_arguments(text):
    with pytest.raises(typer.BadParameter, match="is not of the form Y,X"):
        numbers(text, int, "--nav-shape", "Y,X", count=2)


def test_regions():
    assert region("1:5,2:8") == (slice(1, 5), slice(2, 8))
    assert region(":5,2:") == (slice(None, 5), slice(2, None))
    assert region(None) is None


@pytest.mark.parametrize("text", ["", "1:5", "1,2", "1:5,2", "1:2:3,4:5", "a:b,c:d", "1:2,3:4,5:6"])
def test_regions_of_another_form_are_bad_arguments(text):
    with pytest.raises(typer.BadParameter, match="is not of the form Y0:Y1,X0:X1"):
        region(text)


def test_every_command_that_opens_a_scan_takes_the_same_options(polmap):
    names = ["--nav-shape", "--dataset", "--index", "--mask", "--step", "--mrad-per-pixel"]
    names += ["--energy", "--semi-angle", "--center", "--radius", "--rotation", "--flip"]
    names += ["--no-flip", "--crystal-angle", "--lattice", "--descan", "--ellipse"]
    names += ["--axes", "--flyback", "--no-sidecar"]
    for command in ("info", "classify", "export"):
        text = polmap(command, "--help").stdout
        assert [name for name in names if name not in text] == []


def test_the_users_values_reach_the_scan(polmap, scan_file):
    result = polmap(
        *("info", scan_file, "--json", "--nav-shape", "48,32"),
        *("--step", 0.1, "--mrad-per-pixel", 2.5, "--energy", 300, "--semi-angle", 21),
        *("--center", "15,16", "--radius", 8.5, "--rotation", 30, "--flip"),
        *("--crystal-angle", -5, "--lattice", 0.4),
        *("--descan", "-0.02,0,0.001,1e-3", "--ellipse", "1.04,-30"),
    )
    assert result.exit_code == 0, result.stderr
    values = json.loads(result.stdout)
    assert values["shape"] == [48, 32, 32, 32]
    calibration = values["calibration"]
    assert calibration.pop("sources") == dict.fromkeys(calibration, "user")
    assert calibration == {
        "step_nm": 0.1,
        "mrad_per_pixel": 2.5,
        "energy_kv": 300.0,
        "semi_angle_mrad": 21.0,
        "center_px": [15.0, 16.0],
        "radius_px": 8.5,
        "rotation_deg": 30.0,
        "flip": True,
        "crystal_angle_deg": -5.0,
        "lattice_nm": 0.4,
        "descan_px": [-0.02, 0.0, 0.001, 0.001],
        "ellipse": [1.04, -30.0],
    }
    assert values["descan_px"] == calibration["descan_px"]
    assert values["ellipse"] == calibration["ellipse"]


def test_the_arrangement_reaches_the_scan(polmap, tmp_path):
    shape = (4, 6, 32, 30)
    np.save(tmp_path / "a.npy", np.ones(shape, "u2"))

    def info(*options):
        result = polmap("info", tmp_path / "a.npy", "--json", *options)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)["shape"]

    assert info("--axes", "-y,x,ky,kx", "--flyback", 2) == [4, 4, 32, 30]
    assert info("--axes", "x,y,kx,ky") == [6, 4, 30, 32]
    assert info("--nav-shape", "3,8", "--axes=x,-y,ky,kx", "--flyback", 1) == [7, 3, 32, 30]
    result = polmap("info", tmp_path / "a.npy", "--axes", "y,x")
    assert result.exit_code == 1
    assert "axes must name y, x, ky and kx once each" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--descan", "0.1,0", "is not of the form A,B,C,D"),
        ("--ellipse", "1.05", "is not of the form RATIO,DEG"),
    ],
)
def test_too_few_numbers_are_bad_arguments(polmap, scan_file, option, value, message):
    result = polmap("info", scan_file, option, value)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_impossible_ellipse_is_told_in_one_line(polmap, scan_file):
    result = polmap("info", scan_file, "--ellipse", "0.9,0")
    assert result.exit_code == 1
    assert "longer axis over its shorter one must be 1 to 2" in result.stderr
    assert "Traceback" not in result.stderr
