from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from napari_polmap.errors import PolmapError
from napari_polmap.simulation.spec import read_spec, spec_from
from napari_polmap.viewer.simulation_values import PRESETS, SimulationValues, preset_values
from tests.simulation.specs import SCENE, small

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_the_examples(name: str) -> None:
    example = tomllib.loads((EXAMPLES / PRESETS[name]).read_text(encoding="utf-8"))
    assert preset_values(name) == example


@pytest.mark.parametrize("example", ["custom_cif", "batio3", "knn_training"])
def test_a_file_that_is_read_and_written_is_the_same_simulation(
    example: str, tmp_path: Path
) -> None:
    values = SimulationValues()
    values.read(EXAMPLES / f"{example}.toml")
    again = read_spec(values.write(tmp_path / "again"))
    before = read_spec(EXAMPLES / f"{example}.toml")
    if before.crystal.file is None:
        assert again.values == before.values
        assert again.sha256 == before.sha256
    else:
        assert (again.root / again.crystal.file).samefile(EXAMPLES / before.crystal.file)


def test_a_value_is_changed_alone_and_checked() -> None:
    values = SimulationValues(small())
    told: list[str] = []
    values.changed.connect(told.append)
    assert values.set("microscope.energy_kv", 300)
    assert told == ["microscope.energy_kv"]
    expected = small()
    expected["microscope"]["energy_kv"] = 300
    assert values.values == expected
    assert not values.set("microscope.energy_kv", -3)
    assert "microscope.energy_kv is -3, but must be" in values.errors["microscope.energy_kv"]
    assert values.get("microscope.energy_kv") == 300
    with pytest.raises(PolmapError, match="energy_kv is -3"):
        values.spec()
    assert values.set("microscope.energy_kv", None)
    assert values.values == small()
    assert values.shown("microscope.energy_kv") == 200.0
    assert values.spec() == spec_from(small())
    # A section without fields goes, unless it says something by being there.
    values.set("numerics.sampling_angstrom", None)
    assert "numerics" not in values.values


def test_what_is_left_out_comes_back_as_it_was() -> None:
    values = SimulationValues(small(microscope={"tilt_mrad": [1, 2]}))
    before = values.get("specimens")
    values.choose(leave_out=("specimens",), scene={"thickness_nm": 2, "direction": "RM"})
    assert values.spec().scene.direction == "RM"
    values.set("scene.thickness_nm", 3)
    values.choose(leave_out=("scene",), specimens={"sets": {"train": "1"}, "thickness_nm": 9})
    assert values.get("specimens") == before
    values.choose(leave_out=("specimens",), scene={"thickness_nm": 2})
    assert values.get("scene") == {"thickness_nm": 3, "direction": "RM"}


def test_an_impossible_description_changes_nothing() -> None:
    values = SimulationValues(small(**SCENE))
    with pytest.raises(PolmapError, match="either"):
        values.fill(small(scene={"thickness_nm": 3, "direction": "RM"}))
    assert values.values == small(**SCENE)
