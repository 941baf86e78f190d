"""Training: reproducible, calibrated on unseen groups, with a card."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from napari_polmap.classifiers import Classifier, iter_train, save_classifier, train
from napari_polmap.classifiers.samples import Sampler, Sampling, with_symmetry
from napari_polmap.diffraction.preprocessing import Preprocessing
from napari_polmap.directions import DirectionSet
from napari_polmap.errors import ClassifierError, DatasetError
from napari_polmap.io.datasets import load_dataset
from tests.synthetic import CALIBRATION, DIRECTIONS, QUICK, make_patterns, make_scan, write_dataset


def test_same_seed_same_file(dataset: Path, tmp_path: Path) -> None:
    files = [
        save_classifier(
            train(dataset, recipe=QUICK, seed=seed, name="twin"), tmp_path / f"{k}.safetensors"
        ).read_bytes()
        for k, seed in enumerate((4, 4, 5))
    ]
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_card_and_figures(classifier: Classifier) -> None:
    card = classifier.card
    assert (card["groups"], card["scans"]) == (4, 32)
    assert card["energy_kv"] == 200
    assert card["lattice_nm"] == pytest.approx(0.396)
    assert card["thickness_nm"] == [20.0, 20.0]
    assert card["cross_validation"]["accuracy"] > 0.95
    assert 0.3 <= classifier.threshold <= 0.6


@pytest.mark.parametrize("model", ["pca-knn", "pca-lda"])
def test_every_model_learns(dataset: Path, model: str) -> None:
    recipe = QUICK if model == "pca-lda" else dataclasses.replace(QUICK, settings={})
    trained = train(dataset, model, recipe=recipe, seed=0)
    means = np.stack([make_patterns(np.full((8, 8), k), seed=91).mean((0, 1)) for k in range(8)])
    predicted = trained.predict_proba(means, CALIBRATION).argmax(1)
    assert (predicted == np.arange(8)).mean() >= 0.75


def test_paper_recipe_on_single_patterns(tmp_path: Path) -> None:
    trained = train(write_dataset(tmp_path / "d", groups=2, detector=96), "pca-knn", preset="paper")
    assert trained.window_cells == 0
    assert trained.preprocessing.normalization == "minmax"
    assert trained.model.settings()["components"] == 20


def test_progress_counts_to_the_end(dataset: Path) -> None:
    steps = list(iter_train(dataset, recipe=QUICK))
    assert [s.done for s in steps] == sorted(s.done for s in steps)
    assert steps[-1].done < steps[-1].total == steps[0].total


def test_unknown_model_and_single_group(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match="pca-knn, pca-lda"):
        train(dataset, "resnet9000", recipe=QUICK)
    with pytest.raises(DatasetError, match="of one group"):
        train(write_dataset(tmp_path / "one", groups=1), recipe=QUICK)


def test_direction_without_a_scan(dataset: Path) -> None:
    content = load_dataset(dataset)
    fewer = tuple(s for s in content.scans if s.direction != ("RU",))
    with pytest.raises(DatasetError, match="no scan of RU"):
        train(dataclasses.replace(content, scans=fewer), recipe=QUICK)


def test_symmetry_turns_the_direction_with_the_pattern() -> None:
    # An arrow in the pattern that points where the polarization points.
    size = 9
    patterns = []
    for name in DIRECTIONS.names:
        dy, dx = DIRECTIONS.vectors[DIRECTIONS.index(name)]
        square = np.zeros((size, size), np.float32)
        square[round(4 + 3 * dy), round(4 + 3 * dx)] = 1
        patterns.append(square.ravel())
    turned, classes, source = with_symmetry(np.stack(patterns), np.arange(8), DIRECTIONS, size)
    assert len(turned) == 64
    assert sorted(np.bincount(source)) == [8] * 8
    for pattern, index in zip(turned, classes, strict=True):
        np.testing.assert_array_equal(pattern, patterns[index])


def test_symmetry_only_where_the_set_allows_it() -> None:
    halves = DirectionSet.from_names(["right", "left", "none"], [0.0, 180.0, None])
    patterns = np.arange(12, dtype=np.float32).reshape(3, 4)
    turned, classes, _ = with_symmetry(patterns, np.arange(3), halves, 2)
    # Identity, 180°, mirror left-right and mirror up-down; no quarter turns.
    assert len(turned) == 12
    np.testing.assert_array_equal(classes[:3], [0, 1, 2])
    np.testing.assert_array_equal(classes[3:6], [1, 0, 2])


def test_samples_have_the_dose_and_the_mean_asked_for() -> None:
    scan = make_scan(np.zeros((8, 8), int), dose=1e6)
    sampling = Sampling(
        per_scan=60, dose=(2000, 2000), center_jitter=0, radius_jitter=0, operators=1
    )
    noisy = Sampler(Preprocessing(size=16), sampling, np.random.default_rng(0)).draw(scan)
    clean = Sampler(
        Preprocessing(size=16), dataclasses.replace(sampling, dose=None), np.random.default_rng(0)
    ).draw(scan)
    np.testing.assert_allclose(noisy.mean(1), 1, rtol=1e-5)
    bright = clean.mean(0) > 1
    spread = noisy.std(0)[bright] / clean.mean(0)[bright]
    # 2,000 electrons over about 116 output pixels of the disk, each the mean of some two pixels.
    assert 0.05 < spread.mean() < 0.25
    np.testing.assert_allclose(noisy.mean(0)[bright], clean.mean(0)[bright], rtol=0.15)


def test_jitter_moves_the_disk() -> None:
    scan = make_scan(np.zeros((8, 8), int), dose=1e7)
    sampling = Sampling(per_scan=40, dose=None, center_jitter=0.05, radius_jitter=0.0)
    drawn = Sampler(Preprocessing(size=16), sampling, np.random.default_rng(0)).draw(scan)
    axis = (np.arange(16) - 7.5) / 8 * 1.3
    centers = (drawn.reshape(-1, 16, 16).sum(1) * axis).sum(1) / 256
    assert 0.02 < centers.std() < 0.09
