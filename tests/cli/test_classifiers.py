from __future__ import annotations

import json
from dataclasses import replace

import pytest

from napari_polmap.classifiers import read_classifier, save_classifier

NAMES = ["RM", "RU", "MU", "LU", "LM", "LD", "MD", "RD"]


def listed(polmap):
    result = polmap("classifiers", "--json")
    assert result.exit_code == 0, result.stderr
    return {entry["name"]: entry for entry in json.loads(result.stdout)["classifiers"]}


def test_add_rename_and_remove(polmap, classifier_file, library):
    assert polmap("classifiers", "add", classifier_file).exit_code == 0
    entry = listed(polmap)["synthetic"]
    assert entry["origin"] == "user"
    assert entry["directions"]["names"] == NAMES
    assert polmap("classifiers", "rename", "synthetic", "mine").exit_code == 0
    assert {"mine"} == {name for name, e in listed(polmap).items() if e["origin"] == "user"}
    assert (library / "mine.safetensors").is_file()
    assert polmap("classifiers", "remove", "mine").exit_code == 0
    assert "mine" not in listed(polmap)


def test_list_for_people(polmap, classifier_file):
    polmap("classifiers", "add", classifier_file)
    for arguments in ((), ("list",)):
        lines = polmap("classifiers", *arguments).stdout.splitlines()
        assert lines[0].split()[:2] == ["name", "model"]
        assert any(line.startswith("synthetic") and line.endswith("user") for line in lines)


def test_a_range_on_the_card_is_listed(polmap, classifier_file, tmp_path):
    classifier = read_classifier(classifier_file)
    card = {**classifier.card, "semi_angle_mrad": [1.0, 3.0]}
    polmap(
        "classifiers",
        "add",
        save_classifier(replace(classifier, card=card), tmp_path / "n.safetensors"),
    )
    assert "1 to 3 mrad" in polmap("classifiers").stdout


def test_show_a_card(polmap, classifier_file):
    values = json.loads(polmap("classifiers", "show", classifier_file, "--json").stdout)
    assert values["name"] == "synthetic"
    assert values["card"]["energy_kv"] == 200.0
    text = polmap("classifiers", "show", classifier_file).stdout
    assert "card.energy_kv" in text


def test_a_damaged_file_in_the_library_does_not_hide_the_others(polmap, classifier_file, library):
    polmap("classifiers", "add", classifier_file)
    (library / "broken.safetensors").write_bytes(b"nonsense")
    result = polmap("classifiers")
    assert result.exit_code == 0
    assert "synthetic" in result.stdout
    assert "warning: " in result.stderr


@pytest.mark.parametrize(
    "arguments", [("remove", "nobody"), ("rename", "nobody", "x"), ("add", "no.safetensors")]
)
def test_failures_are_named(polmap, arguments):
    result = polmap("classifiers", *arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
