"""Training: reproducible, calibrated on unseen groups, with a card."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from napari_polmap.classifiers import (
    Classifier,
    iter_train,
    read_classifier,
    save_classifier,
    train,
)
from napari_polmap.classifiers.card import dataset_sha256
from napari_polmap.classifiers.ensemble import Ensemble
from napari_polmap.classifiers.training import checkpoint_files
from napari_polmap.errors import ClassifierError, DatasetError, TrainingStoppedError
from napari_polmap.io.datasets import load_dataset
from tests.synthetic import CALIBRATION, QUICK, make_patterns, make_scan, write_dataset

NO_HALO = ((0, 0), (0, 0))
PLAIN = dataclasses.replace(QUICK, settings={})
CNN = dataclasses.replace(
    QUICK, settings={"epochs": 8, "batch": 16, "learning_rate": 2e-3, "standardize": True}
)


def _accuracy(trained: Classifier) -> float:
    means = np.stack([make_patterns(np.full((8, 8), k), seed=91).mean((0, 1)) for k in range(8)])
    predicted = trained.predict_proba(means, CALIBRATION).argmax(1)
    return float((predicted == np.arange(8)).mean())


def test_same_seed_same_file(dataset: Path, tmp_path: Path) -> None:
    files = [
        save_classifier(
            train(dataset, "pca-lda", recipe=QUICK, seed=seed, name="twin"),
            tmp_path / f"{k}.safetensors",
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
    assert 0.3 <= classifier.threshold <= 0.6
    figures = card["validation"]
    assert figures["split"] == "groups"
    assert figures["accuracy"] > 0.95
    confusion = np.array(figures["confusion"])
    assert confusion.shape == (8, 8)
    assert confusion.sum() == figures["n"] == card["patterns"]["judged"] == 96
    assert np.trace(confusion) / 96 == pytest.approx(figures["accuracy"], rel=1e-5)
    assert sum(row[2] for row in figures["reliability"]) == 96
    assert sum(row[2] for row in figures["by"]["electrons"]) == 96


@pytest.mark.parametrize("model", ["pca-knn", "pca-lda"])
def test_every_model_learns(dataset: Path, model: str) -> None:
    trained = train(dataset, model, recipe=QUICK if model == "pca-lda" else PLAIN, seed=0)
    assert _accuracy(trained) >= 0.75


def test_a_network_learns_and_classifies_scans(dataset: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(CNN, sampling=dataclasses.replace(QUICK.sampling, per_scan=12))
    steps = iter_train(dataset, "cnn", recipe=recipe, seed=3)
    told = []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as finished:
            trained: Classifier = finished.value
            break
    curves = told[-1].curves
    assert curves is not None
    assert curves.epochs == list(range(1, len(curves.epochs) + 1))
    assert curves.loss[-1] < curves.loss[0]
    assert any(step.remaining_s for step in told)
    assert trained.card["training"]["curves"][0]["epochs"] == curves.epochs
    assert trained.card["validation"]["n"] == 8 * 12  # one group of four
    read = read_classifier(save_classifier(trained, tmp_path / "cnn.safetensors"))
    for index in (1, 6):
        block = make_patterns(np.full((24, 24), index), seed=77)
        prediction = read.predict_block(block, NO_HALO, CALIBRATION)
        assert (prediction.probabilities.argmax(-1) == index).mean() > 0.8
        assert np.median(prediction.novelty) < 1.2
    predictor = read.predictor(CALIBRATION, (24, 24), (32, 32))
    seen, _ = predictor.seen(block, NO_HALO)
    plain = dataclasses.replace(read, context=None).predict_block(block, NO_HALO, CALIBRATION)
    expected = read.calibration.apply(read.model.predict_proba(seen.reshape(24 * 24, -1)))
    np.testing.assert_allclose(plain.probabilities.reshape(-1, 8), expected, atol=1e-4)


def test_ensembles_speak_together(dataset: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(PLAIN, vote="majority")
    told: list[str] = []
    trained = train(
        dataset,
        ["pca-knn", "pca-lda"],
        recipe=recipe,
        seeds=[1, 2],
        progress=lambda step: told.append(step.message),
    )
    assert "pca-lda seed 1 (3 of 4): fold 1 of 2" in told
    assert isinstance(trained.model, Ensemble)
    assert [member.kind for member in trained.model.members] == ["pca-knn"] * 2 + ["pca-lda"] * 2
    assert trained.card["model"] == ["pca-knn"] * 2 + ["pca-lda"] * 2
    assert _accuracy(trained) >= 0.75
    block = make_patterns(np.full((12, 12), 2), seed=77)
    read = read_classifier(save_classifier(trained, tmp_path / "several.safetensors"))
    given = trained.predict_block(block, NO_HALO, CALIBRATION)
    again = read.predict_block(block, NO_HALO, CALIBRATION)
    np.testing.assert_array_equal(again.probabilities, given.probabilities)
    assert np.median(given.novelty) < 1.5


def test_another_region_is_another_data_set(dataset: Path) -> None:
    whole = load_dataset(dataset)
    first = dataclasses.replace(whole.scans[0], region=(slice(0, 4), slice(0, 8)))
    part = dataclasses.replace(whole, scans=(first, *whole.scans[1:]))
    assert dataset_sha256(part) != dataset_sha256(whole)


def test_isotonic_calibration_keeps_the_figures(dataset: Path) -> None:
    trained = train(
        dataset, "pca-lda", recipe=dataclasses.replace(QUICK, calibration="isotonic"), seed=1
    )
    assert trained.calibration.knots
    assert trained.card["validation"]["ece"] < 0.15


def test_paper_recipe_on_single_patterns(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "d", groups=2, detector=96)
    trained = train(data, "pca-knn", preset="paper", max_patterns=256)
    assert trained.window_cells == 0
    assert trained.preprocessing.normalization == "minmax"
    assert trained.model.settings()["components"] == 20
    assert trained.card["patterns"]["drawn"] == 256
    scan = make_scan(np.full((4, 4), 3), detector=96, dose=20000)
    calibration = trained.calibration_of(scan.with_calibration(CALIBRATION))
    block = scan.read(slice(0, 4), slice(0, 4))
    assert trained.predict_block(block, NO_HALO, calibration).covered.all()


def test_progress_counts_to_the_end(dataset: Path) -> None:
    steps = list(iter_train(dataset, "pca-lda", recipe=QUICK))
    assert [s.done for s in steps] == sorted(s.done for s in steps)
    assert steps[-1].done < steps[-1].total == steps[0].total
    assert steps[0].message == "reading scan 1 of 32"


def test_stopped_while_reading_there_is_nothing_to_keep(dataset: Path) -> None:
    with pytest.raises(TrainingStoppedError, match="after 0 of 32 scans"):
        train(dataset, "pca-lda", recipe=QUICK, stop=lambda: True)


def test_stopped_later_it_keeps_the_best_so_far(dataset: Path) -> None:
    stopping: list[bool] = []
    recipe = dataclasses.replace(CNN, settings={"epochs": 50, "batch": 16})

    def told(step: object) -> None:
        if "epoch 2 " in str(step):
            stopping.append(True)

    trained = train(dataset, "cnn", recipe=recipe, stop=lambda: bool(stopping), progress=told)
    assert trained.card["training"]["stopped"]
    assert len(trained.card["training"]["curves"][0]["epochs"]) <= 2
    stopping.clear()

    def folded(step: object) -> None:
        if "fold 1" in str(step):
            stopping.append(True)

    trained = train(dataset, "pca-lda", recipe=QUICK, stop=lambda: bool(stopping), progress=folded)
    assert _accuracy(trained) >= 0.75
    assert trained.card["validation"]["n"] == 48  # one fold of two


@pytest.mark.parametrize("thousandths", [500, 800])
def test_stopped_in_a_later_fold_it_keeps_what_has_learned(dataset: Path, thousandths: int) -> None:
    """In the second of two folds, and in the fit to all that follows."""
    settings = {"epochs": 20, "batch": 32, "odd": 10, "even": 6}
    recipe = dataclasses.replace(QUICK, settings=settings)
    reached: list[int] = []
    trained = train(
        dataset,
        "parity",
        recipe=recipe,
        stop=lambda: bool(reached) and reached[-1] >= thousandths,
        progress=lambda step: reached.append(step.done),
    )
    assert trained.card["training"]["stopped"]
    assert trained.card["validation"]["accuracy"] >= 0.75
    assert _accuracy(trained) >= 0.75


def test_goes_on_from_a_checkpoint(dataset: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(CNN, settings={"epochs": 3, "batch": 16})
    whole = train(dataset, "cnn", recipe=recipe, name="a")
    stopping: list[bool] = []

    def told(step: object) -> None:
        if "epoch 2 " in str(step):
            stopping.append(True)

    options = {"recipe": recipe, "name": "a", "checkpoint": tmp_path / "on.safetensors"}
    train(dataset, "cnn", **options, stop=lambda: bool(stopping), progress=told)
    resumed = train(dataset, "cnn", **options)
    for name, array in whole.model.arrays().items():
        np.testing.assert_array_equal(resumed.model.arrays()[name], array)


def test_the_files_of_a_checkpoint_are_those_of_one_training(tmp_path: Path) -> None:
    own = ["a-1.ckpt", "a-1-0.ckpt", "a-1-fold-2.ckpt", "a-1-fold-2-1.ckpt"]
    for name in [*own, "a-10.ckpt", "a-1.safetensors", "a-1-fold.ckpt", "b-a-1.ckpt"]:
        (tmp_path / name).touch()
    found = checkpoint_files(tmp_path / "a-1.ckpt")
    assert sorted(path.name for path in found) == sorted(own)


def test_label_images_are_learned_from(tmp_path: Path) -> None:
    lines = ['name = "walls"', 'directions = ["RM", "RU", "MU", "LU", "LM", "LD", "MD", "RD"]']
    for group in range(3):
        labels = np.repeat(np.arange(8), 24)[:, None] * np.ones((1, 16), int)
        np.save(tmp_path / f"{group}.npy", make_patterns(labels, seed=group, dose=20000))
        truth = labels.astype(np.uint8)
        truth[:2] = 255
        np.save(tmp_path / f"{group}_truth.npy", truth)
        lines += [
            "[[scan]]", f'path = "{group}.npy"', f'truth = "{group}_truth.npy"',
            f'group = "{group}"', "step_nm = 0.0495", "lattice_nm = 0.396", "energy_kv = 200",
            "semi_angle_mrad = 24", "center = [15.6, 15.2]", "radius = 9.0",
        ]  # fmt: skip
    toml = tmp_path / "walls.toml"
    toml.write_text("\n".join(lines) + "\n")
    narrow = dataclasses.replace(QUICK.sampling, per_scan=80, width_cells=(0.9, 1.1))
    trained = train(toml, "pca-lda", recipe=dataclasses.replace(QUICK, sampling=narrow))
    assert trained.card["validation"]["accuracy"] > 0.85
    assert trained.card["patterns"]["drawn"] == 240


def test_unknown_model_and_what_networks_alone_take(dataset: Path) -> None:
    with pytest.raises(ClassifierError, match="pca-knn, pca-lda"):
        train(dataset, "resnet9000", recipe=QUICK)
    with pytest.raises(DatasetError, match="objective 'prototype' is for networks"):
        train(dataset, "pca-lda", objective="prototype")
    with pytest.raises(DatasetError, match="no field 'epochs'"):
        train(dataset, "pca-lda", recipe=dataclasses.replace(QUICK, settings={"epochs": 3}))


def test_one_group_is_parted_and_the_card_says_so(tmp_path: Path) -> None:
    trained = train(write_dataset(tmp_path / "one", groups=1), "pca-lda", recipe=QUICK)
    assert trained.card["validation"]["split"] == "positions"


def test_direction_without_a_scan(dataset: Path) -> None:
    content = load_dataset(dataset)
    fewer = tuple(s for s in content.scans if s.direction != ("RU",))
    with pytest.raises(DatasetError, match="no scan of RU"):
        train(dataclasses.replace(content, scans=fewer), "pca-lda", recipe=QUICK)
