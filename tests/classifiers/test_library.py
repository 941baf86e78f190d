"""The library of installed classifiers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from napari_polmap.classifiers import (
    Classifier,
    add_classifier,
    list_classifiers,
    load_classifier,
    remove_classifier,
    rename_classifier,
    save_classifier,
)
from napari_polmap.classifiers.files import read_card
from napari_polmap.classifiers.library import suggest_classifier
from napari_polmap.errors import ClassifierError
from tests.synthetic import CALIBRATION


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLMAP_CLASSIFIERS", str(tmp_path / "library"))


def test_default_is_bundled() -> None:
    entry = list_classifiers()[0]
    assert entry.origin == "bundled"
    default = load_classifier("default")
    assert default.path == entry.path
    assert default.card["energy_kv"] == pytest.approx(200)
    assert len(default.directions) == 8


def test_suggests_an_installed_classifier_that_applies(
    classifier: Classifier, tmp_path: Path
) -> None:
    unlike = replace(classifier, card={**classifier.card, "energy_kv": 80.0, "overlap": None})
    scan = CALIBRATION.updated("user", energy_kv=80.0)
    assert suggest_classifier(scan) is None
    entry = add_classifier(save_classifier(unlike, tmp_path / "mine.safetensors"))
    assert suggest_classifier(scan) == entry
    assert suggest_classifier(scan, instead_of=entry.path) is None
    assert suggest_classifier(scan.updated("user", energy_kv=None)) is None
    assert read_card(entry.path) == unlike.card
    entry.path.write_bytes(b"damaged")
    assert suggest_classifier(scan) is None


def test_add_rename_remove(classifier: Classifier, tmp_path: Path) -> None:
    file = save_classifier(classifier, tmp_path / "mine.safetensors")
    assert add_classifier(file).name == "mine"
    with pytest.raises(ClassifierError, match="installed already"):
        add_classifier(file)
    rename_classifier("mine", "barium")
    assert [e.name for e in list_classifiers() if e.origin == "user"] == ["barium"]
    assert load_classifier("barium").name == "synthetic"
    assert load_classifier(file).sha256 == load_classifier("barium").sha256
    remove_classifier("barium")
    with pytest.raises(ClassifierError, match="no classifier named 'barium'"):
        load_classifier("barium")


def test_bundled_cannot_be_removed() -> None:
    with pytest.raises(ClassifierError, match="comes with the program"):
        remove_classifier(list_classifiers()[0].name)


@pytest.mark.parametrize("name", ["", "a/b", "..", "default"])
def test_impossible_names(classifier: Classifier, tmp_path: Path, name: str) -> None:
    add_classifier(save_classifier(classifier, tmp_path / "mine.safetensors"))
    with pytest.raises(ClassifierError, match="cannot be a classifier's name"):
        rename_classifier("mine", name)


def test_what_is_no_classifier_is_not_added(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(ClassifierError, match="not a classifier file"):
        add_classifier(path)
    assert not (tmp_path / "library").exists()
