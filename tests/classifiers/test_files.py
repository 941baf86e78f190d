"""Classifier files: what is written is read; what is no classifier is refused in one sentence."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from napari_polmap.classifiers import Classifier, read_classifier, save_classifier
from napari_polmap.errors import ClassifierError
from tests.synthetic import CALIBRATION, make_patterns


def test_round_trip(classifier: Classifier, tmp_path: Path) -> None:
    path = save_classifier(classifier, tmp_path / "mine.safetensors")
    again = read_classifier(path)
    assert again.directions == classifier.directions
    assert again.preprocessing == classifier.preprocessing
    assert again.card == json.loads(json.dumps(classifier.card))
    assert (again.threshold, again.window_cells) == (classifier.threshold, 1.0)
    assert len(again.sha256) == 64
    block = make_patterns(np.zeros((10, 10), int), seed=5)
    given = classifier.predict_block(block, ((0, 0), (0, 0)), CALIBRATION)
    read = again.predict_block(block, ((0, 0), (0, 0)), CALIBRATION)
    np.testing.assert_array_equal(read.probabilities, given.probabilities)
    assert not list(tmp_path.glob("*.part"))


def test_same_classifier_same_file(classifier: Classifier, tmp_path: Path) -> None:
    first = save_classifier(classifier, tmp_path / "a.safetensors").read_bytes()
    assert save_classifier(classifier, tmp_path / "b.safetensors").read_bytes() == first


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match="cannot be read"):
        read_classifier(tmp_path / "none.safetensors")


def test_pickle_renamed_is_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "run"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (marker.touch, ())

    path = tmp_path / "evil.safetensors"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ClassifierError, match="not a classifier file"):
        read_classifier(path)
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\xff" * 64, b"{}", b"PK\x03\x04 zip"])
def test_other_contents(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(ClassifierError, match="not a classifier file"):
        read_classifier(path)


def test_safetensors_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"weight": np.zeros(3)}, path, metadata={"format": "pt"})
    with pytest.raises(ClassifierError, match="not a classifier file"):
        read_classifier(path)


def test_truncated_and_newer(classifier: Classifier, tmp_path: Path) -> None:
    path = save_classifier(classifier, tmp_path / "mine.safetensors")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ClassifierError, match="damaged"):
        read_classifier(path)
    path.write_bytes(data.replace(b'format_version\\": 1', b'format_version\\": 9'))
    with pytest.raises(ClassifierError, match="newer napari-polmap"):
        read_classifier(path)


def test_folder_that_is_not_there(classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match="cannot be written"):
        save_classifier(classifier, tmp_path / "no" / "mine.safetensors")
