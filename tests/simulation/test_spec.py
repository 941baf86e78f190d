from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.ranges import Choice, Disk, Range
from napari_polmap.simulation.spec import field_table, field_text, read_spec, spec_from
from tests.simulation.specs import SCENE, small, small_spec


def test_fields_are_typed() -> None:
    spec = small_spec(
        microscope={
            "energy_kv": [200, 300],
            "source_size_angstrom": {"min": 0.5, "max": 1, "distribution": "normal"},
        },
        specimens={"sets": {"train": "1-3, 7", "test": "10"}},
    )
    assert spec.microscope.tilt_mrad == Disk(3.2)
    assert spec.microscope.energy_kv == Choice((200.0, 300.0))
    assert spec.microscope.source_size_angstrom == Range(0.5, 1.0, "normal")
    assert spec.microscope.semi_angle_mrad == 24.0
    assert spec.specimens is not None
    assert spec.specimens.sets == {"train": (1, 2, 3, 7), "test": (10,)}
    assert spec.specimens.thickness_nm == (0.8, 1.6)
    assert spec.scene is None
    assert spec.detector is None


def test_a_scene_with_defects() -> None:
    scene = {
        **SCENE["scene"],
        "defects": [{"kind": "vacuum", "position_nm": [1, 1], "radius_nm": 1}],
    }
    spec = small_spec(**{**SCENE, "scene": scene})
    assert spec.scene is not None
    assert spec.scene.wall is not None
    assert spec.scene.wall.width_angstrom == 2.0
    assert spec.scene.defects[0].radius_nm == 1.0


def test_a_file_has_no_lattice_parameter_of_a_material() -> None:
    crystal = {"file": "a.cif", "b_share": 0.5}
    with pytest.raises(PolmapError, match=r"b_share is 0.5.*beside crystal\.file; leave one"):
        spec_from({**small(), "crystal": crystal})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"direction": "RM"}, r"\[scene\] has direction and directions"),
        ({"wall": None, "label_pixel_nm": 1}, "labels is missing"),
        (
            {"defects": [{"kind": "vacuum", "position_nm": [0, 0], "share": 0.5}]},
            'share is 0.5.*"vacuum" has only position_nm, radius_nm, normal_deg',
        ),
    ],
)
def test_a_scene_that_contradicts_itself(changes: dict[str, Any], told: str) -> None:
    scene = {name: v for name, v in {**SCENE["scene"], **changes}.items() if v is not None}
    with pytest.raises(PolmapError, match=told):
        small_spec(**{**SCENE, "scene": scene})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"microscope": {"defocus": 1}}, r"\[microscope\] has no field 'defocus'.*'defocus_nm'"),
        ({"microscop": {}}, "has no field 'microscop'; the nearest is 'microscope'"),
        ({"microscope": {"energy_kv": "fast"}}, "energy_kv is 'fast', but must be a number of"),
        ({"microscope": {"energy_kv": 0}}, "energy_kv is 0, but must be a number of at least 1"),
        ({"microscope": {"defocus_nm": {"min": 1}}}, "defocus_nm is .* needs min and max"),
        ({"microscope": {"defocus_nm": {"min": 2, "max": 1}}}, "defocus_nm: .*at most its max"),
        ({"microscope": {"defocus_nm": {"mni": 2, "max": 1}}}, "no field 'mni'.*'min'"),
        (
            {"microscope": {"defocus_nm": {"min": 1, "max": 2, "distribution": "flat"}}},
            "defocus_nm: There is no distribution 'flat'.*uniform",
        ),
        ({"crystal": {"material": "KNN", "beam_sign": 0}}, "beam_sign is 0, but must be 1 or -1"),
        ({"crystal": {"material": "KNN", "zone_axis": [1, 1, 0]}}, "no meaning beside .*material"),
        ({"specimens": {"sets": {"../up": "1"}}}, "sets names '../up'.*file of its name"),
        (
            {"detector": {"pixels": [64, 64], "mrad_per_pixel": 1, "dead_share": 0.1}},
            "dead_share is 0.1, but without detector.dose",
        ),
        ({"scan": {"shape": [100_000, 1]}}, r"scan\.shape is .* at most 4096"),
        ({"microscope": {"tilt_mrad": [1, 2, 3]}}, r"tilt_mrad is \[1, 2, 3\].*two numbers"),
        ({"microscope": {"tilt_mrad": {"max": 99}}}, "tilt_mrad is .*'max': 99.*up to 50"),
        ({"crystal": {"material": "KTN"}}, 'material is \'KTN\'.*"KNN" or "BaTiO3"'),
        ({"crystal": {"thermal": ["none", "hot"]}}, "thermal is .*debye-waller"),
        ({"crystal": {"file": "x.cif"}}, "material and file; give exactly one"),
        ({"crystal": {"sigmas_angstrom": {"K": -1}}}, r"sigmas_angstrom\.K is -1.*at least 0"),
        ({"specimens": {"sets": {"train": "4-1"}}}, r"sets\.train is '4-1'.*such as"),
        ({"specimens": {"sets": {"a": "1-4", "b": "4"}}}, "a seed in two sets"),
        ({"specimens": {"positions": 1.5}}, "positions is 1.5.*whole number"),
        ({"specimens": {"positions": True}}, "positions is True.*whole number"),
        ({"specimens": None}, r"either \[specimens\].* or \[scene\]"),
        ({"crystal": None}, r"no \[crystal\]"),
        ({"output": {"format": "mib"}}, 'format is \'mib\'.*"hspy" or "npy"'),
        ({"detector": {"pixels": [64, 64]}}, "detector.mrad_per_pixel is missing"),
        ({"microscope": 3}, r"\[microscope\] is 3.*a table"),
        ({"name": ""}, "name is ''"),
        (
            {**SCENE, "scene": {**SCENE["scene"], "wall": {"position_nm": [0, 0], "normal": 0}}},
            r"scene\.wall: there is no field 'normal'; the nearest is 'normal_deg'",
        ),
    ],
)
def test_errors_name_the_field_the_value_and_what_is_allowed(
    changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(PolmapError, match=told) as caught:
        small_spec(**changes)
    assert "\n" not in str(caught.value)


def test_the_hash_follows_what_decides_the_scans(tmp_path: Path) -> None:
    first = small_spec().sha256
    assert small_spec(name="other", specimens={"sets": {"a": "1-99"}}).sha256 == first
    assert small_spec(specimens={"thickness_nm": [0.8]}).sha256 != first
    structure = tmp_path / "x.cif"
    structure.write_text("one")
    crystal = {"file": "x.cif", "displacements": {"RM": {"Ti": [0, 0.1, 0]}}}
    values = {**small(), "crystal": crystal}
    before = spec_from(values, tmp_path).sha256
    structure.write_text("two")
    assert spec_from(values, tmp_path).sha256 != before


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PolmapError, match="check the path"):
        read_spec(tmp_path / "none.toml")
    path = tmp_path / "spec.toml"
    path.write_text("[crystal\n")
    with pytest.raises(PolmapError, match=r"spec\.toml is not a TOML file"):
        read_spec(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PolmapError, match="not a text file"):
        read_spec(path)


def test_every_field_is_documented_with_its_unit() -> None:
    rows = field_table()
    assert len(rows) > 60
    assert all(row.takes and row.about for row in rows)
    names = [(row.section, row.name) for row in rows]
    assert len(set(names)) == len(names)
    assert ("microscope", "spherical_aberration_mm") in names
    text = field_text()
    assert "### [detector]" in text
    assert "| `defocus_nm` |" in text
    assert all(line.count("|") >= 5 for line in text.splitlines() if line.startswith("|"))
