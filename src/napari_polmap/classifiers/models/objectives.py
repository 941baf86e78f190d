"""What networks learn: a class, a direction in the plane, or where patterns lie to each other.

All three as in Martinc et al. (2026), arXiv 2603.15582. An objective says how many outputs the
network has, what the loss of a batch is, and how alike an output is to each direction; the
probabilities are a softmax of that likeness, sharpened by one number.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_polmap.classifiers.models.base import Classes, cross_entropy
from napari_polmap.classifiers.models.features import Floats
from napari_polmap.directions import DirectionSet

SIGMA_CLASSES = 1.25
PROTOTYPE_FEATURES = 128
_SHARPNESS = np.geomspace(0.5, 5e4, 81)


class Objective(Protocol):
    """What a network learns.

    Attributes
    ----------
    outputs : int
        Outputs of the network.
    sharpened : bool
        Whether the likeness has no scale of its own, so that one is chosen after the fit.
    needs_means : bool
        Whether directions are told by the mean output of each one's training patterns.
    """

    outputs: int
    sharpened: bool
    needs_means: bool

    def loss(self, outputs: Tensor, classes: Tensor, means: Tensor | None = None) -> Tensor:
        """Loss of outputs ``(n, outputs)``; `means` as in `likeness`, if known."""
        ...

    def likeness(self, outputs: Tensor, means: Tensor | None) -> Tensor:
        """How alike outputs are to each direction, ``(n, n_directions)``.

        Parameters
        ----------
        outputs : Tensor, shape (n, outputs)
        means : Tensor or None
            Mean outputs of each direction, shape ``(n_directions, outputs)``, from `class_means`.
        """
        ...


class Classification:
    """Cross-entropy; the likeness is the network's own output."""

    sharpened = False
    needs_means = False

    def __init__(self, directions: DirectionSet) -> None:
        self.outputs = len(directions)

    def loss(self, outputs: Tensor, classes: Tensor, means: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Mean cross-entropy."""
        return functional.cross_entropy(outputs, classes)

    def likeness(self, outputs: Tensor, means: Tensor | None) -> Tensor:  # noqa: ARG002
        """Logits."""
        return outputs


class Regression:
    """The unit vector of the angle, through tanh, by mean square error.

    The likeness to a direction is the projection of the vector on the direction's own, that is its
    length times the cosine of the angle between them: the nearest angle is the most probable, and
    a short vector says little. The softmax of it is a von Mises distribution over the angles.
    Every direction needs an angle.
    """

    outputs = 2
    sharpened = True
    needs_means = False

    def __init__(self, directions: DirectionSet) -> None:
        self._vectors = torch.from_numpy(directions.vectors.astype(np.float32))

    def loss(self, outputs: Tensor, classes: Tensor, means: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Mean square distance to the unit vectors, per component."""
        wanted = self._vectors.to(outputs.device)[classes]
        return functional.mse_loss(torch.tanh(outputs), wanted)

    def likeness(self, outputs: Tensor, means: Tensor | None) -> Tensor:  # noqa: ARG002
        """Projections on the directions' unit vectors."""
        return torch.tanh(outputs) @ self._vectors.to(outputs.device).T


class Prototype:
    """Outputs near the mean of their direction, and nearer to those of neighboring angles.

    In training the prototypes are the class means of the batch; the log-softmax of the negative
    Euclidean distances to them is compared with `soft_labels` by the Kullback-Leibler divergence.
    A direction the batch has no pattern of has no prototype, and the soft labels are shared among
    the others. Afterwards the likeness is the cosine of the angle between an output and the mean
    output of each direction's training patterns.
    """

    outputs = PROTOTYPE_FEATURES
    sharpened = True
    needs_means = True

    def __init__(self, directions: DirectionSet) -> None:
        self._labels = torch.from_numpy(soft_labels(directions).astype(np.float32))

    def loss(self, outputs: Tensor, classes: Tensor, means: Tensor | None = None) -> Tensor:
        """Kullback-Leibler divergence from the soft labels, mean over the patterns."""
        labels = self._labels.to(outputs.device)
        if means is None:
            means = class_means(outputs, classes, len(labels))
        present = torch.isfinite(means[:, 0])
        distances = torch.cdist(
            outputs, means[present], compute_mode="donot_use_mm_for_euclid_dist"
        )
        wanted = labels[classes][:, present]
        wanted = wanted / wanted.sum(dim=1, keepdim=True)
        logarithms = functional.log_softmax(-distances, dim=1)
        return functional.kl_div(logarithms, wanted, reduction="batchmean")

    def likeness(self, outputs: Tensor, means: Tensor | None) -> Tensor:
        """Cosine similarities; -1 to a direction that training had no pattern of."""
        assert means is not None
        cosines = functional.normalize(outputs, dim=1) @ functional.normalize(means, dim=1).T
        return torch.nan_to_num(cosines, nan=-1.0)


def class_means(outputs: Tensor, classes: Tensor, n_directions: int) -> Tensor:
    """Mean outputs ``(n_directions, outputs)`` of each direction; NaN where there is none."""
    members = functional.one_hot(classes, n_directions).to(outputs.dtype)
    counts = members.sum(dim=0)[:, None]
    # Zero by zero would be NaN in the gradients of the others, too.
    means = (members.T @ outputs) / counts.clamp(min=1)
    return torch.where(counts > 0, means, torch.nan)


def soft_labels(directions: DirectionSet, sigma: float = SIGMA_CLASSES) -> Floats:
    """Circular Gaussian over the angles: what share of a pattern belongs to each direction.

    Parameters
    ----------
    directions : DirectionSet
    sigma : float
        Width in classes: distances between angles are taken the short way round and divided by
        the mean spacing, 360 degrees by the number of angles. A direction without an angle is a
        neighborhood of its own.

    Returns
    -------
    ndarray of float32, shape (n_directions, n_directions)
        Rows of right directions, each with the sum 1.
    """
    angles = np.array([np.nan if a is None else a for a in directions.angles_deg], dtype=float)
    known = np.isfinite(angles)
    labels = np.eye(len(angles))
    spacing = 360 / max(known.sum(), 1)
    apart = np.abs((angles[known, None] - angles[None, known] + 180) % 360 - 180) / spacing
    labels[np.ix_(known, known)] = np.exp(-0.5 * (apart / sigma) ** 2)
    return np.asarray(labels / labels.sum(axis=1, keepdims=True), np.float32)


def probabilities(likeness: Tensor, sharpness: float) -> Floats:
    """Softmax over the directions, ``(n, n_directions)``."""
    return np.asarray(torch.softmax(likeness * sharpness, dim=1).cpu().numpy(), np.float32)


def best_sharpness(likeness: Tensor, classes: Classes) -> float:
    """The sharpness of least cross-entropy among some between 0.5 and 50,000."""
    losses = [cross_entropy(probabilities(likeness, float(s)), classes) for s in _SHARPNESS]
    return float(_SHARPNESS[int(np.argmin(losses))])


def make_objective(name: str, directions: DirectionSet) -> Objective:
    """An objective by its name, one of `OBJECTIVES`."""
    if name == "regression":
        return Regression(directions)
    return Prototype(directions) if name == "prototype" else Classification(directions)
