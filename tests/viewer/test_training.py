from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from napari_polmap.directions import DirectionSet
from napari_polmap.errors import DatasetError
from napari_polmap.viewer.training import Choices, objective_reasons, seeds_from, summarize
from napari_polmap.viewer.training_jobs import leaving_a_core
from napari_polmap.viewer.training_report import figures_sentence, pictures_of
from napari_polmap.viewer.training_store import begin_training, kept_trainings
from tests.synthetic import write_dataset


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user"))


def test_seeds() -> None:
    assert seeds_from(" 888, 1212;3 ") == (888, 1212, 3)
    for text in ("", "one", "-1", "1.5", "1, 1", "99999999999"):
        with pytest.raises(DatasetError, match="seed"):
            seeds_from(text)


def test_objectives_and_why_not() -> None:
    default = DirectionSet.default()
    assert set(objective_reasons("cnn", default).values()) == {""}
    assert "only networks" in objective_reasons("pca-lda", default)["prototype"]
    out = DirectionSet.from_names(["RM", "OUT"])
    assert "OUT has none" in objective_reasons("cnn", out)["regression"]
    assert not objective_reasons("cnn", out)["prototype"]


def test_what_a_data_set_holds_and_what_is_wrong_with_it(tmp_path: Path) -> None:
    told = summarize(write_dataset(tmp_path / "two", groups=2))
    assert told.counts.startswith("16 scans of 2 specimens, 8 directions: RM, RU")
    assert {"Voltage: 200 kV", "Thickness: 20 nm"} <= set(told.ranges)
    assert told.warnings == ()
    one = write_dataset(tmp_path / "one", groups=1)
    (tmp_path / "one" / "RU_0.npy").unlink()
    missing, same = summarize(one).warnings
    assert missing.startswith("1 scan of 8 cannot be found, such as")
    assert "too good" in same
    text = one.read_text().replace('direction = "RU"', 'direction = "RM"')
    one.write_text(text)
    assert "no scan of RU" in summarize(one).warnings[1]


def test_a_training_is_kept_with_its_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text("[model.cnn]\nepochs = 3\n")
    choices = Choices("data.toml", "a b", "cnn", recipe_file=str(recipe), seeds=(1, 2), vote="mean")
    begun = begin_training(choices)
    assert begin_training(choices).folder != begun.folder
    recipe.write_text("[model.cnn]\nepochs = 4\n")
    with begun.at_work():
        (other,) = kept_trainings()
        assert other.folder != begun.folder
        # Its program came to an end without saying so.
        long_ago = time.time() - 1000
        os.utime(begun.folder / "running", (long_ago, long_ago))
        assert len(kept_trainings()) == 2
    other.discard()
    (kept,) = kept_trainings()
    assert kept.choices == choices
    assert kept.recipe.to_dict() == begun.recipe.to_dict()
    assert kept.recipe.settings_of("cnn") == {"epochs": 3, "standardize": True}
    (kept.folder / "training.json").write_text("{}")
    assert kept_trainings() == []


def test_figures_in_words_and_as_pictures() -> None:
    figures = {"accuracy": 0.5, "coverage": 0.25, "selective_accuracy": 1.0, "ece": 0.031}
    assert figures_sentence(figures, "8 patterns") == (
        "It named the right direction of 50.0% of 8 patterns; it was sure of 25% of them, and "
        "right at 100.0% of these; its confidence is off by 3.1% on average."
    )
    unsure = {**figures, "coverage": 0.0, "selective_accuracy": None, "ece": None}
    assert figures_sentence(unsure, "8 patterns").endswith("would leave them undecided.")
    rows = [[k / 15, (k + 1) / 15, 1, (k + 0.5) / 15, 0.5] for k in range(15)]
    by = {"thickness_nm": [[10, 10, 4, 0.5], [20, 20, 4, 0.5]], "dose": []}
    tables = {"confusion": [[2, 2], [2, 2]], "reliability": rows, "ece": 0.03, "by": by}
    drawn = pictures_of(tables, ("RM", "LM"))
    assert list(drawn) == ["Confusion", "Reliability", "thickness (nm)"]
    for picture in drawn.values():
        assert picture.ndim == 3
        assert picture[..., :3].std() > 5


def test_the_window_keeps_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    torch.set_num_threads(2)
    try:
        with leaving_a_core(True):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
