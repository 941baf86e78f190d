"""Recipes: presets, TOML files, and errors that name field, value and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_polmap.classifiers.recipes import (
    FIELDS,
    PRESETS,
    field_text,
    read_recipe,
    recipe_from,
)
from napari_polmap.errors import DatasetError


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_told_as_values_is_read_as_itself(preset: str) -> None:
    values = PRESETS[preset].to_dict()
    for base in PRESETS:
        again = recipe_from({"preset": base, **values})
        assert again.to_dict() == values


def test_settings_of_one_model_leave_those_of_all_networks() -> None:
    recipe = recipe_from({"model": {"cnn": {"epochs": 3}}})
    assert recipe.settings_of("cnn") == {"standardize": True, "epochs": 3}
    recipe = recipe_from({"model": {"networks": {}}})
    assert recipe.settings_of("cnn") == {}


def test_every_field_of_a_recipe_is_in_the_table() -> None:
    for table, values in PRESETS["robust"].to_dict().items():
        if table != "model":
            assert set(values) <= set(FIELDS[table])


def test_the_papers_recipe() -> None:
    paper = PRESETS["paper"]
    assert paper.preprocessing.to_dict() == {
        "size": 64, "extent": None, "center": "percentile", "normalization": "minmax",
        "unit": "radius",
    }  # fmt: skip
    changes = paper.augmentation
    assert (changes.blur_px, changes.blur_share) == ((2, 5), 0.5)
    assert (changes.brightness, changes.contrast, changes.brightness_share) == (0.15, 0.15, 0.3)
    assert changes.noise_share == 0.2
    assert not changes.symmetry
    assert paper.sampling.filter
    assert (paper.window_cells, paper.sampling.dose, paper.context) == (0, None, None)
    assert paper.settings_of("pca-knn") == paper.settings_of("cnn") == {}


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'preset = "robust"\n[sampling]\ndose = [500, 1e5]\nper_scan = 7\n[preprocessing]\n'
        'extent = "none"\n[validation]\ncalibration = "isotonic"\n[context]\nuse = false\n'
        "[model]\nodd = 12\n[model.cnn]\nepochs = 4\n"
    )
    recipe = read_recipe(path)
    assert recipe.sampling.dose == (500, 1e5)
    assert recipe.sampling.per_scan == 7
    assert recipe.sampling.width_cells == PRESETS["robust"].sampling.width_cells
    assert recipe.preprocessing.extent is None
    assert recipe.calibration == "isotonic"
    assert recipe.context is None
    assert recipe.settings_of("pca-lda") == {"odd": 12}
    assert read_recipe(path, "paper").preprocessing.size == 64


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[sampling]\ndoses = 3", r"\[sampling\] has no field 'doses'; the nearest is 'dose'"),
        ("[sampling]\ndose = -3", r"sampling.dose is -3, but must be the lowest and the highest"),
        ("[sampling]\nwidth_cells = [2, 1]", r"sampling.width_cells is \[2, 1\], but must be"),
        ("[validation]\ncalibration = 'platt'", '"temperature" or "isotonic"'),
        ("[preprocessing]\nsize = 4", "preprocessing.size is 4, but must be a whole number of at"),
        ("preset = 'best'", "no preset 'best'; choose robust or paper"),
        ("[smapling]\n", "nearest is 'sampling'"),
        ("sampling = 3", r"\[sampling\] is 3, but must be a table"),
        ("[sampling]\nfilter = true", "sampling.filter is true, but it tells single patterns"),
        ("[model", "is not a TOML file"),
    ],
)
def test_errors_name_field_value_and_what_is_allowed(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(DatasetError, match=told) as caught:
        read_recipe(path)
    assert str(caught.value).startswith("recipe.toml") or "preset" in text
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(DatasetError, match="pca-lda has no field 'odds'; the nearest is 'odd'"):
        recipe_from({"model": {"odds": 3}}).settings_of("pca-lda")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"epochs": "many"}, "model.epochs is 'many', but must be a whole number of at least 1"),
        ({"networks": {"batch": 1.5}}, "model.batch is 1.5, but must be a whole number"),
        ({"cnn": {"standardize": "yes"}}, "model.standardize is 'yes', but must be true or false"),
        ({"cnnn": {"epochs": 3}}, r"\[model.cnnn\] is for no model; write one of networks"),
    ],
)
def test_settings_of_a_model_that_it_does_not_take(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        recipe_from({"model": settings}).settings_of("cnn")


def test_the_table_of_fields_tells_both_presets() -> None:
    text = field_text()
    assert '| `normalization` | "sum" or "minmax" | sum | minmax |' in text
    assert "- `cnn`: epochs, " in text
