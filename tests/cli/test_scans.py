from __future__ import annotations

import json

import numpy as np

from napari_polmap import load_map


def test_info_of_an_array_without_calibration(polmap, scan_file):
    result = polmap("info", scan_file, "--json")
    assert result.exit_code == 0, result.stderr
    values = json.loads(result.stdout)
    assert values["shape"] == [32, 48, 32, 32]
    assert values["dtype"] == "uint16"
    assert values["axes"][0] == {"name": "y", "units": "nm", "scale": None}
    assert [axis["name"] for axis in values["axes"]] == ["y", "x", "ky", "kx"]
    np.testing.assert_allclose(values["center_px"], [15.6, 15.2], atol=0.3)
    np.testing.assert_allclose(values["radius_px"], 9.0, atol=0.5)
    assert values["calibration"]["sources"]["radius_px"] == "measured"
    assert values["chunks"][2:] == [32, 32]
    assert values["lattice_nm"] is None


def test_info_for_people(polmap, scan_file):
    result = polmap("info", scan_file, "--step", 0.05, "--semi-angle", 24)
    lines = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    lines = {name: value.strip() for name, value in lines.items()}
    assert lines["positions"] == "32 x 48 (y, x)"
    assert lines["step"] == "0.05 nm  (user)"
    assert lines["voltage"] == "not known"
    assert lines["disk center"].startswith("ky 15.")
    assert lines["disk center"].endswith("px  (measured)")


def test_info_tells_descan_and_ellipse(polmap, scan_file):
    def lines(*options):
        result = polmap("info", scan_file, *options)
        pairs = (line.split("  ", 1) for line in result.stdout.splitlines())
        return {name: value.strip() for name, value in pairs}

    plain = lines()
    assert plain["descan"] == plain["ellipse"] == "not known"
    given = lines("--descan", "0.1,0,0,-0.01", "--ellipse", "1.05,-30")
    # 31 steps down, 47 across.
    assert given["descan"] == (
        "ky 0.1 a row, 0 a column; kx 0 a row, -0.01 a column: 3.14 px over the scan  (user)"
    )
    assert given["ellipse"] == "axes 1.05 : 1, the longer one at -30°  (user)"
    values = json.loads(polmap("info", scan_file, "--json").stdout)
    assert values["descan_px"] is None
    assert values["ellipse"] is None


def test_classify_writes_the_map_and_counts(
    polmap, tmp_path, scan_file, classifier_file, labels, calibration
):
    out = tmp_path / "map.zarr"
    result = polmap("classify", scan_file, "-c", classifier_file, "-o", out, *calibration, "--json")
    assert result.exit_code == 0, result.stderr
    values = json.loads(result.stdout)
    saved = load_map(out)
    assert saved.complete
    assert values["positions"] == 32 * 48
    assert values["directions"] == saved.counts()
    assert values["undecided"] == int(saved.undecided.sum())
    assert values["complete"] is True
    assert values["threshold"] == saved.threshold
    assert np.mean(saved.direction == labels) > 0.8


def test_classify_for_people(polmap, tmp_path, scan_file, classifier_file, calibration):
    out = tmp_path / "map.zarr"
    result = polmap(
        *("classify", scan_file, "-c", classifier_file, "-o", out, *calibration),
        *("--threshold", 0.25),
    )
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["direction", "positions", "share"]
    assert any(line.startswith("RU 45°") for line in lines)
    assert lines[-1].startswith("undecided (confidence < 0.25)")
    assert str(out) in result.stderr
    assert load_map(out).threshold == 0.25


def test_classify_a_region_only(polmap, tmp_path, scan_file, classifier_file, calibration):
    out = tmp_path / "map.zarr"
    result = polmap(
        *("classify", scan_file, "-c", classifier_file, "-o", out, *calibration),
        *("--region", "3:7,10:", "--window", 0.5),
    )
    assert result.exit_code == 0, result.stderr
    saved = load_map(out)
    expected = np.zeros((32, 48), dtype=bool)
    expected[3:7, 10:] = True
    np.testing.assert_array_equal(saved.computed, expected)
    assert saved.classifier["window_used_cells"] == 0.5


def test_a_map_that_is_there_is_kept(polmap, tmp_path, scan_file, classifier_file, calibration):
    out = tmp_path / "map.zarr"
    arguments = ("classify", scan_file, "-c", classifier_file, "-o", out, *calibration)
    assert polmap(*arguments, "--region", "0:4,0:4").exit_code == 0
    before = load_map(out)
    result = polmap(*arguments)
    assert result.exit_code == 1
    assert "already a map" in result.stderr
    np.testing.assert_array_equal(load_map(out).direction, before.direction)


def test_a_classifier_for_another_voltage(
    polmap, tmp_path, scan_file, classifier_file, calibration
):
    out = tmp_path / "map.zarr"
    arguments = [*calibration, "--energy", "80"]
    result = polmap("classify", scan_file, "-c", classifier_file, "-o", out, *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "voltage is 80 kV" in result.stderr
    assert not out.exists()
    forced = polmap(
        "classify", scan_file, "-c", classifier_file, "-o", out, *arguments, "--force", "--json"
    )
    values = json.loads(forced.stdout)
    assert values["confidence_calibrated"] is False
    assert any("voltage" in warning for warning in values["warnings"])
    assert "warning: " in forced.stderr


def test_a_missing_classifier(polmap, tmp_path, scan_file):
    result = polmap("classify", scan_file, "-c", "nobody", "-o", tmp_path / "map.zarr")
    assert result.exit_code == 1
    assert "no classifier named 'nobody'" in result.stderr


def test_an_unwritable_target(polmap, tmp_path, scan_file, classifier_file, calibration):
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "file" / "map.zarr"
    result = polmap("classify", scan_file, "-c", classifier_file, "-o", out, *calibration)
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()[-1]) > 20
    assert (tmp_path / "file").read_text() == "mine"


def test_info_uses_what_is_kept_unless_told_otherwise(polmap, scan_file):
    from napari_polmap import load_scan
    from napari_polmap.io.sidecar import save_sidecar

    save_sidecar(load_scan(scan_file, step_nm=0.07))
    assert json.loads(polmap("info", scan_file, "--json").stdout)["axes"][0]["scale"] == 0.07
    plain = json.loads(polmap("info", scan_file, "--json", "--no-sidecar").stdout)
    assert plain["axes"][0]["scale"] is None
