from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_polmap.classifiers.models.objectives import (
    Classification,
    Prototype,
    Regression,
    best_sharpness,
    class_means,
    probabilities,
    soft_labels,
)
from napari_polmap.directions import DirectionSet

DEFAULT = DirectionSet.default()


def test_soft_labels_are_a_circular_gaussian_of_one_and_a_quarter_classes() -> None:
    labels = soft_labels(DEFAULT)
    weights = np.exp(-0.5 * (np.array([0, 1, 2, 3, 4, 3, 2, 1]) / 1.25) ** 2)
    np.testing.assert_allclose(labels[0], weights / weights.sum(), rtol=1e-6)
    np.testing.assert_allclose(labels[3], np.roll(labels[0], 3), rtol=1e-6)
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)


def test_soft_labels_follow_angles_not_the_order_of_the_classes() -> None:
    shuffled = DirectionSet.from_names(["a", "b", "c", "d"], [0, 180, 90, 270])
    labels = soft_labels(shuffled)
    assert labels[0, 2] == pytest.approx(labels[0, 3])
    assert labels[0, 2] > labels[0, 1]


def test_a_direction_without_an_angle_is_a_neighborhood_of_its_own() -> None:
    labels = soft_labels(DirectionSet.from_names(["RM", "MU", "LM", "MD", "vacuum", "out"]))
    np.testing.assert_array_equal(labels[4:], np.eye(6)[4:])
    np.testing.assert_array_equal(labels[:4, 4:], 0)
    np.testing.assert_allclose(labels[:4].sum(axis=1), 1, rtol=1e-6)
    plain = DirectionSet.from_names(["vacuum", "out"])
    np.testing.assert_array_equal(soft_labels(plain), np.eye(2))


def test_uneven_angles_count_in_their_mean_spacing() -> None:
    labels = soft_labels(DirectionSet.from_names(["a", "b", "c"], [350, 10, 180]))
    weights = np.exp(-0.5 * (np.array([0, 20 / 120, 170 / 120]) / 1.25) ** 2)
    np.testing.assert_allclose(labels[0], weights / weights.sum(), rtol=1e-6)


def test_the_prototype_loss_is_the_divergence_written_out() -> None:
    rng = np.random.default_rng(0)
    outputs, classes = rng.standard_normal((12, 5)), np.array([0, 1, 3, 4] * 3)  # 2, 5.. are absent
    present = [0, 1, 3, 4]
    means = np.stack([outputs[classes == k].mean(axis=0) for k in present])
    distances = np.linalg.norm(outputs[:, None] - means, axis=2)
    logarithms = -distances - np.log(np.exp(-distances).sum(axis=1, keepdims=True))
    wanted = soft_labels(DEFAULT).astype(float)[classes][:, present]
    wanted /= wanted.sum(axis=1, keepdims=True)
    expected = (wanted * (np.log(wanted) - logarithms)).sum(axis=1).mean()
    tensor = torch.tensor(outputs, requires_grad=True)
    loss = Prototype(DEFAULT).loss(tensor, torch.from_numpy(classes))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert torch.isfinite(tensor.grad).all()
    assert float(tensor.grad.abs().max()) > 0


def test_a_batch_with_one_pattern_of_each_direction_has_a_finite_gradient() -> None:
    outputs = torch.randn(8, 128, requires_grad=True)
    Prototype(DEFAULT).loss(outputs, torch.arange(8)).backward()
    assert torch.isfinite(outputs.grad).all()


def test_prototypes_tell_by_the_cosine_to_the_class_means() -> None:
    outputs = torch.tensor([[1.0, 0], [0.8, 0.2], [0, 2], [0, 4]])
    means = class_means(outputs, torch.tensor([0, 0, 2, 2]), 3)
    assert torch.isnan(means[1]).all()
    likeness = Prototype(DirectionSet.from_names(["RM", "MU", "LM"])).likeness(
        torch.tensor([[0.1, 3.0], [90.0, 0.0]]), means
    )
    assert likeness.argmax(dim=1).tolist() == [2, 0]
    assert (likeness[:, 1] == -1).all()
    assert float(likeness[1, 2]) == pytest.approx(0)


def test_regression_learns_the_unit_vector_through_tanh() -> None:
    outputs = torch.randn(8, 2)
    loss = Regression(DEFAULT).loss(outputs, torch.arange(8))
    expected = ((np.tanh(outputs.numpy()) - DEFAULT.vectors) ** 2).mean()
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_regression_tells_the_nearest_angle_and_doubts_short_vectors() -> None:
    directions = DirectionSet.from_names(["a", "b", "c"], [0, 40, 200])
    angles = np.deg2rad([5, 25, 130, 359])  # nearest: a, b, c (70 against 90 degrees), a
    vectors = 0.7 * np.stack([-np.sin(angles), np.cos(angles)], axis=1)
    outputs = torch.from_numpy(np.arctanh(vectors).astype(np.float32))
    regression = Regression(directions)
    told = probabilities(regression.likeness(outputs, None), 10.0)
    assert told.argmax(axis=1).tolist() == [0, 1, 2, 0]
    short = probabilities(regression.likeness(outputs / 50, None), 10.0)
    assert (short.max(axis=1) < told.max(axis=1)).all()


def test_classification_is_cross_entropy() -> None:
    outputs = torch.randn(5, 8)
    classes = torch.tensor([0, 7, 3, 3, 1])
    own = torch.log_softmax(outputs, dim=1)[torch.arange(5), classes]
    loss = Classification(DEFAULT).loss(outputs, classes)
    torch.testing.assert_close(loss, -own.mean())


def test_the_sharpness_makes_the_confidence_fit() -> None:
    rng = np.random.default_rng(0)
    likeness = 0.1 * rng.standard_normal((4000, 4))
    chances = np.exp(20 * likeness)
    chances /= chances.sum(axis=1, keepdims=True)
    classes = np.array([rng.choice(4, p=p) for p in chances])
    assert best_sharpness(torch.from_numpy(likeness), classes) == pytest.approx(20, rel=0.2)
