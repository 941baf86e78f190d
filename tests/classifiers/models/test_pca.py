from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_polmap.classifiers.models import FitProgress, model_class
from napari_polmap.directions import DirectionSet
from napari_polmap.steps import finish

DEFAULT = DirectionSet.default()


@pytest.mark.parametrize("kind", ["pca-knn", "pca-lda"])
def test_a_fit_yields_once_with_figures_of_the_validation(disks: Callable, kind: str) -> None:
    patterns, classes = disks(200, 16)
    told: list[FitProgress] = []
    model = finish(
        model_class(kind)(DEFAULT, size=16).iter_fit(
            patterns, classes, validation=disks(80, seed=1)
        ),
        told.append,
    )
    assert len(told) == 1
    assert told[0].validation_accuracy > 0.9
    assert 0 <= told[0].validation_loss < 1
    plain = model_class(kind)(DEFAULT, size=16).fit(patterns, classes)
    unseen, _ = disks(40, seed=2)
    np.testing.assert_array_equal(plain.predict_proba(unseen), model.predict_proba(unseen))


@pytest.mark.parametrize("kind", ["pca-knn", "pca-lda"])
def test_the_augmentation_changes_what_is_learned(disks: Callable, kind: str) -> None:
    patterns, classes = disks(200, 16)

    def turned(p: np.ndarray, c: np.ndarray, rng: np.random.Generator) -> tuple:
        return p[:, ::-1], (c + 4) % 8

    model = finish(model_class(kind)(DEFAULT, size=16).iter_fit(patterns, classes, augment=turned))
    unseen, right = disks(80, seed=2)
    assert (model.predict_proba(unseen).argmax(axis=1) == right).mean() > 0.9


@pytest.mark.parametrize("kind", ["pca-knn", "pca-lda"])
def test_a_file_without_the_size_loads(disks: Callable, kind: str) -> None:
    model = model_class(kind)(DEFAULT, size=16).fit(*disks(100, 16))
    settings = {name: value for name, value in model.settings().items() if name != "size"}
    again = model_class(kind).restore(DEFAULT, settings, model.arrays())
    assert again.settings() == model.settings()
    unseen, _ = disks(40, seed=2)
    np.testing.assert_array_equal(again.predict_proba(unseen), model.predict_proba(unseen))
