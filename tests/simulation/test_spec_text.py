from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from napari_polmap.simulation.spec import read_spec
from napari_polmap.simulation.spec_text import spec_text, write_spec

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.toml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_written_as_they_are_read(path: Path) -> None:
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    assert tomllib.loads(spec_text(values, "a comment\nof two lines")) == values


def test_names_and_numbers_survive() -> None:
    values = {
        "name": 'a "quoted" \\ näme\x7f\n',
        "crystal": {
            "material": "KNN",
            "lattice_angstrom": 0.1 + 0.2,
            "sigmas_angstrom": {"K": 1e-7, "O 2": 3.0, "Na": 1, "Nb": 2},
            "thermal": ["none"],
        },
        "directions": {"by_symmetry": True},
        "scene": {"defects": [{"kind": "column", "cell": [-1, 2]}, {"kind": "vacuum"}]},
    }
    assert tomllib.loads(spec_text(values)) == values


def test_a_written_description_still_finds_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "cell.cif").write_text("x")
    values = {
        "crystal": {"file": "cell.cif", "displacements": {"RM": {"Ti": [0.0, 0.1, 0.0]}}},
        "scene": {"thickness_nm": 2, "direction": "RM"},
    }
    path = write_spec(tmp_path / "b" / "spec", values, tmp_path / "a")
    assert path.name == "spec.toml"
    spec = read_spec(path)
    assert spec.crystal.file == "../a/cell.cif"
    assert (spec.root / spec.crystal.file).is_file()
    assert values["crystal"]["file"] == "cell.cif"
    assert read_spec(
        write_spec(tmp_path / "a" / "s.toml", values, tmp_path / "a")
    ).crystal.file == ("cell.cif")
