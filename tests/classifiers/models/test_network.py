from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_polmap.classifiers.models import MODELS, OBJECTIVES, FitProgress, Network, model_class
from napari_polmap.classifiers.models.network import Cnn, ResNet18, Vgg11
from napari_polmap.directions import DirectionSet
from napari_polmap.errors import ClassifierError
from napari_polmap.steps import finish

DEFAULT = DirectionSet.default()
WITH_VACUUM = DirectionSet.from_names(["RM", "MU", "LM", "vacuum"])
UNEVEN = DirectionSet.from_names(["a", "b", "c"], [0, 20, 180])
NETWORKS = [kind for kind, model in MODELS.items() if issubclass(model, Network)]


def quick(objective: str = "classification", **settings: Any) -> Cnn:
    settings = {"size": 16, "epochs": 6, "batch": 32, "learning_rate": 2e-3, **settings}
    return Cnn(DEFAULT, objective=objective, **settings)


def ends(told: list[FitProgress]) -> list[FitProgress]:
    """The last progress of each pass."""
    return list({p.epoch: p for p in told if p.validation_loss is not None}.values())


def accuracy(model: Network, patterns: np.ndarray, classes: np.ndarray) -> float:
    return float((model.predict_proba(patterns).argmax(axis=1) == classes).mean())


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_custom_network_learns_the_directions(disks: Callable, objective: str) -> None:
    told: list[FitProgress] = []
    model = quick(objective, standardize=True)
    finish(model.iter_fit(*disks(256), validation=disks(48, seed=1)), told.append)
    patterns, classes = disks(160, seed=2)
    probabilities = model.predict_proba(patterns)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities.argmax(axis=1) == classes).mean() > 0.6  # chance is 0.125
    passes = ends(told)
    assert [p.epoch for p in passes] == list(range(1, len(passes) + 1))
    assert passes[-1].loss < passes[0].loss
    assert passes[-1].validation_accuracy > 0.6


_QUICK = {("resnet18", "prototype"), ("resnet18", "regression"), ("vgg11", "classification")}


@pytest.mark.parametrize(
    ("kind", "objective"),
    [
        pytest.param(kind, objective, marks=() if (kind, objective) in _QUICK else pytest.mark.slow)
        for kind in ("resnet18", "resnet50", "vgg11", "vgg16")
        for objective in OBJECTIVES
    ],
)
def test_a_large_network_takes_a_step(disks: Callable, kind: str, objective: str) -> None:
    model = model_class(kind)(DEFAULT, size=32, objective=objective, epochs=1)
    patterns, classes = disks(16, 32)
    told: list[FitProgress] = []
    finish(model.iter_fit(patterns, classes, validation=(patterns, classes)), told.append)
    (end,) = ends(told)
    assert np.isfinite([end.loss, end.validation_loss]).all()
    probabilities = model.predict_proba(patterns)
    assert probabilities.shape == (16, 8)
    assert np.isfinite(probabilities).all()
    again = model_class(kind).restore(DEFAULT, model.settings(), model.arrays())
    np.testing.assert_array_equal(again.predict_proba(patterns), probabilities)


@pytest.mark.parametrize("objective", ["classification", "prototype"])
def test_directions_without_an_angle_are_learned(disks: Callable, objective: str) -> None:
    model = Cnn(
        WITH_VACUUM, size=16, objective=objective, epochs=5, batch=32, learning_rate=2e-3,
        standardize=True,
    )  # fmt: skip
    model.fit(*disks(192, directions=WITH_VACUUM))
    assert accuracy(model, *disks(64, seed=2, directions=WITH_VACUUM)) > 0.7


def test_regression_refuses_a_direction_without_an_angle() -> None:
    with pytest.raises(ClassifierError, match=r"vacuum has none; choose 'classification' or"):
        Cnn(WITH_VACUUM, size=16, objective="regression")


@pytest.mark.parametrize("objective", ["regression", "prototype"])
def test_uneven_angles_are_learned(disks: Callable, objective: str) -> None:
    model = Cnn(
        UNEVEN, size=16, objective=objective, epochs=6, batch=32, learning_rate=2e-3,
        standardize=True,
    )  # fmt: skip
    model.fit(*disks(192, directions=UNEVEN, strength=1.0))
    assert accuracy(model, *disks(60, seed=2, directions=UNEVEN, strength=1.0)) > 0.7


def test_the_same_seed_gives_the_same_arrays(disks: Callable) -> None:
    def augment(patterns: np.ndarray, classes: np.ndarray, rng: np.random.Generator) -> tuple:
        return patterns + 0.01 * rng.standard_normal(patterns.shape, np.float32), classes

    def fit(seed: int) -> dict[str, np.ndarray]:
        model = quick("prototype", epochs=2, seed=seed)
        steps = model.iter_fit(*disks(96), augment=augment, validation=disks(32, seed=1))
        return finish(steps).arrays()

    first, second, other = fit(3), fit(3), fit(4)
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)
    assert not np.array_equal(first["network.hidden.weight"], other["network.hidden.weight"])


def test_settings_and_arrays_round_trip(disks: Callable) -> None:
    model = quick("prototype", epochs=1, weights=None, standardize=True).fit(*disks(64))
    again = Cnn.restore(DEFAULT, model.settings(), model.arrays())
    assert again.settings() == model.settings()
    patterns, _ = disks(40, seed=5)
    expected = model.predict_proba(patterns)
    np.testing.assert_array_equal(again.predict_proba(patterns), expected)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(again)).predict_proba(patterns), expected
    )
    assert model.predict_proba(patterns[:0]).shape == (0, 8)
    patterns.flags.writeable = False
    np.testing.assert_array_equal(again.predict_proba(patterns), expected)


def test_arrays_that_do_not_fit_are_refused(disks: Callable) -> None:
    model = quick(epochs=1).fit(*disks(32))
    arrays = {name: a for name, a in model.arrays().items() if name != "network.conv2.weight"}
    broken = Cnn.restore(DEFAULT, model.settings(), arrays)
    with pytest.raises(ClassifierError, match="lacks arrays of its model cnn"):
        broken.predict_proba(disks(4)[0])


def test_the_network_of_the_lowest_validation_loss_is_kept(disks: Callable) -> None:
    patterns, classes = disks(128)
    wrong = (disks(64, seed=1)[0], np.random.default_rng(0).integers(0, 8, 64))
    model = quick(epochs=30, patience=2)
    told: list[FitProgress] = []
    finish(model.iter_fit(patterns, classes, validation=wrong), told.append)
    losses = [p.validation_loss for p in ends(told)]
    best = int(np.argmin(losses))
    assert len(losses) == best + 3 < 30  # two more passes without a lower one
    own = model.predict_proba(wrong[0])[np.arange(64), wrong[1]]
    assert -np.log(own).mean() == pytest.approx(losses[best], abs=1e-4)


def test_a_stopped_fit_keeps_the_best_so_far(disks: Callable) -> None:
    passes: list[FitProgress] = []

    def stop() -> bool:
        return len(ends(passes)) >= 2

    model = quick(epochs=50)
    for progress in model.iter_fit(*disks(64), validation=disks(32, seed=1), stop=stop):
        passes.append(progress)
    assert len(ends(passes)) == 2
    assert model.predict_proba(disks(4)[0]).shape == (4, 8)


def test_a_fit_stopped_at_once_still_predicts(disks: Callable) -> None:
    model = quick("prototype")
    finish(model.iter_fit(*disks(64), stop=lambda: True))
    assert np.isfinite(model.predict_proba(disks(4)[0])).all()


@pytest.mark.parametrize("objective", ["classification", "prototype"])
def test_interrupted_and_resumed_is_as_uninterrupted(
    disks: Callable, tmp_path: Path, objective: str
) -> None:
    def augment(patterns: np.ndarray, classes: np.ndarray, rng: np.random.Generator) -> tuple:
        return patterns * rng.uniform(0.9, 1.1, (len(patterns), 1)).astype(np.float32), classes

    kwargs = {"augment": augment, "validation": disks(32, seed=1)}
    whole: list[FitProgress] = []
    expected = quick(objective, epochs=4)
    finish(expected.iter_fit(*disks(80), **kwargs), whole.append)
    path = tmp_path / "fit.safetensors"
    cut = quick(objective, epochs=4).iter_fit(*disks(80), **kwargs, checkpoint=path)
    part: list[FitProgress] = []
    while len(ends(part)) < 2:
        part.append(next(cut))
    cut.close()
    assert list(tmp_path.iterdir()) == [path]
    resumed, told = quick(objective, epochs=4), []
    finish(resumed.iter_fit(*disks(80), **kwargs, checkpoint=path), told.append)
    for name, array in expected.arrays().items():
        np.testing.assert_array_equal(resumed.arrays()[name], array, err_msg=name)
    assert ends(told) == ends(whole)
    done = quick(objective, epochs=4)  # from the checkpoint of a finished fit: nothing to do
    finish(done.iter_fit(*disks(80), **kwargs, checkpoint=path))
    np.testing.assert_array_equal(
        done.arrays()["network.conv1.weight"], expected.arrays()["network.conv1.weight"]
    )


def test_a_checkpoint_of_another_fit_is_refused(disks: Callable, tmp_path: Path) -> None:
    path = tmp_path / "fit.safetensors"
    finish(quick(epochs=1).iter_fit(*disks(32), checkpoint=path))
    with pytest.raises(ClassifierError, match="is of a fit of other data or settings; delete it"):
        finish(quick(epochs=1).iter_fit(*disks(32, seed=1), checkpoint=path))
    with pytest.raises(ClassifierError, match="of other data or settings"):
        finish(
            quick(epochs=1).iter_fit(
                *disks(32), checkpoint=path, augment=lambda p, c, rng: (p + rng.random(), c)
            )
        )
    with pytest.raises(ClassifierError, match="of other data or settings"):
        finish(quick(epochs=2).iter_fit(*disks(32), checkpoint=path))
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ClassifierError, match="is not a checkpoint"):
        finish(quick(epochs=1).iter_fit(*disks(32), checkpoint=path))
    with pytest.raises(ClassifierError, match="cannot be written"):
        finish(quick(epochs=1).iter_fit(*disks(32), checkpoint=tmp_path / "none" / "fit"))


def test_a_fit_leaves_the_state_of_torch_alone(disks: Callable) -> None:
    torch.manual_seed(7)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    model = quick(epochs=1)
    model.fit(*disks(48))
    model.predict_proba(disks(4)[0])
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


def test_threads_may_predict_at_the_same_time(disks: Callable) -> None:
    model = quick(epochs=1).fit(*disks(48))
    patterns, _ = disks(300, seed=3)
    expected = model.predict_proba(patterns)
    fresh, found = copy.deepcopy(model), {}

    def predict(index: int) -> None:
        found[index] = fresh.predict_proba(patterns)

    threads = [threading.Thread(target=predict, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for probabilities in found.values():
        np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert len(found) == 4


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"objective": "ranking"}, "There is no objective 'ranking'; choose one of classification"),
        ({"device": "tpu"}, "There is no device 'tpu'"),
        ({"batch": 1}, "batch is at least 2, not 1"),
        ({"learning_rate": float("nan")}, "learning_rate is at least 0, not nan"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ClassifierError, match=sentence):
        Cnn(DEFAULT, size=16, **settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_that_is_not_there_is_refused(disks: Callable) -> None:
    with pytest.raises(ClassifierError, match="no CUDA device here; choose the device 'cpu'"):
        quick(device="cuda").fit(*disks(16))


def test_patterns_of_another_size_are_refused(disks: Callable) -> None:
    with pytest.raises(ClassifierError, match=r"rows of 16 x 16 pixels"):
        quick().fit(*disks(8, 12))
    with pytest.raises(ClassifierError, match="two patterns or more"):
        quick().fit(*disks(1))
    with pytest.raises(ClassifierError, match="at least 32 pixels, and these have 16"):
        Vgg11(DEFAULT, size=16).fit(*disks(8))
    with pytest.raises(ClassifierError, match="sees whole patterns"):
        quick().predict_components(np.zeros((1, 3), np.float32))


def test_a_fit_that_loses_itself_says_so(disks: Callable) -> None:
    patterns, classes = disks(32)
    patterns[3] = np.nan
    with pytest.raises(ClassifierError, match=r"no finite loss\); choose a lower learning_rate"):
        quick().fit(patterns, classes)
    # A rate that is finite, and too high: what it has learned gives no figures.
    with pytest.raises(ClassifierError, match=r"no finite loss\); choose a lower learning_rate"):
        finish(
            quick(batch=64, learning_rate=1e30).iter_fit(*disks(64), validation=disks(16, seed=1))
        )


def test_a_last_batch_of_one_is_learned(disks: Callable) -> None:
    model = ResNet18(DEFAULT, size=32, epochs=1, batch=4)
    model.fit(*disks(9, 32))
    assert np.isfinite(model.predict_proba(disks(3, 32)[0])).all()


def test_torch_is_not_imported_before_a_network_computes() -> None:
    code = (
        "import sys; from napari_polmap.classifiers.models import model_class; "
        "from napari_polmap.directions import DirectionSet; "
        "model_class('cnn').restore(DirectionSet.default(), {'size': 16}, {}); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_registry_names_every_network() -> None:
    assert NETWORKS == ["parity", "cnn", "resnet18", "resnet50", "vgg11", "vgg16"]
    with pytest.raises(ClassifierError, match="There is no model 'vit'"):
        model_class("vit")
