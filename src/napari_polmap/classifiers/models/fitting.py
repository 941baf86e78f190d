"""The fit of a network, step by step: Adam, early stopping, the best network kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_polmap.classifiers.models.architectures import PatternNetwork
from napari_polmap.classifiers.models.base import Augment, Classes, FitProgress
from napari_polmap.classifiers.models.checkpoints import (
    Standing,
    identity,
    load_checkpoint,
    save_checkpoint,
)
from napari_polmap.classifiers.models.features import Floats
from napari_polmap.classifiers.models.inference import (
    arrays_of,
    as_images,
    iter_outputs,
    placed,
    put_arrays,
    torch_device,
)
from napari_polmap.classifiers.models.objectives import (
    Objective,
    best_sharpness,
    class_means,
    make_objective,
)
from napari_polmap.classifiers.models.settings import NetworkSettings
from napari_polmap.classifiers.models.weights import load_weights
from napari_polmap.errors import ClassifierError

_YIELD_S = 0.25
_SOME = 2048
"""So many training patterns are enough for a pass's prototypes, and for the sharpness."""
_FEW = 64

Steps = Generator[FitProgress, None, Tensor]


@dataclass(frozen=True)
class Samples:
    """Patterns ``(n, size * size)`` with their classes ``(n,)``."""

    patterns: Floats
    classes: Classes

    @classmethod
    def of(cls, patterns: Floats, classes: Classes, size: int) -> Samples:
        """Checked.

        Raises
        ------
        ClassifierError
            If there are fewer than two patterns, or they are not of that size.
        """
        if patterns.ndim != 2 or patterns.shape[1] != size * size:
            raise ClassifierError(
                f"The patterns have the shape {patterns.shape}, and the model is for rows of "
                f"{size} x {size} pixels; give patterns (n, {size * size})."
            )
        if len(patterns) < 2 or len(classes) != len(patterns):
            raise ClassifierError(
                f"A network needs two patterns or more and a direction for each, and there are "
                f"{len(patterns)} patterns and {len(classes)} directions; add scans."
            )
        return cls(patterns, np.asarray(classes, np.intp))

    def some(self) -> Samples:
        """At most 2,048 of them, evenly taken."""
        every = -(-len(self.patterns) // _SOME)
        return Samples(self.patterns[::every], self.classes[::every])


def iter_fit_network(
    network: NetworkSettings,
    training: Samples,
    validation: Samples | None,
    *,
    augment: Augment | None = None,
    checkpoint: Path | None = None,
    stop: Callable[[], bool] | None = None,
) -> Generator[FitProgress, None, dict[str, npt.NDArray[Any]]]:
    """Fit a network; see `Network.iter_fit`.

    All random numbers come from one generator of the fit's own: the order of the patterns, the
    augmentation, and, seeded from it for each batch, what torch draws. torch's global generator
    and number of threads stay as they are.

    Returns
    -------
    dict of ndarray
        What `Network.arrays` keeps.
    """
    objective = make_objective(network.objective, network.directions)
    device = torch_device(network.device)
    rng = np.random.default_rng(network.seed)
    module = placed(_first(network, objective, training, rng), device)
    optimizer = torch.optim.Adam(
        module.parameters(), lr=network.learning_rate, weight_decay=network.weight_decay
    )
    standing, name = Standing(), ""
    if checkpoint is not None:
        checkpoint = Path(checkpoint)
        name = _identity(network, training, validation, augment)
        if checkpoint.exists():
            standing = load_checkpoint(checkpoint, name, module, optimizer, rng)
            yield from standing.history
    run = _Run(network, objective, module, optimizer, rng, augment, stop or (lambda: False))
    while standing.epoch < network.epochs and standing.stale < network.patience:
        last = yield from run.iter_epoch(training, standing.epoch + 1)
        if last is None:  # stopped within the pass
            break
        if validation is not None:
            last = yield from run.iter_validate(training.some(), validation, last)
        losses = [last.loss] + ([] if validation is None else [last.validation_loss])
        if not all(loss is not None and np.isfinite(loss) for loss in losses):
            if standing.best:
                break
            raise ClassifierError(
                f"The fit of {network.kind} lost itself in its first pass (no finite loss); choose "
                "a lower learning_rate, or look for patterns that are not finite."
            )
        standing = standing.after(last, module)
        if checkpoint is not None:
            save_checkpoint(checkpoint, name, standing, module, optimizer, rng)
        yield last
    put_arrays(module, standing.best or arrays_of(module))
    progress = standing.history[-1] if standing.history else FitProgress(1, network.epochs, 0, 1)
    return (yield from run.iter_finish(training, validation, progress))


def _first(
    network: NetworkSettings, objective: Objective, training: Samples, rng: np.random.Generator
) -> PatternNetwork:
    """The network before the first step."""
    with torch.random.fork_rng(devices=[]):
        _seed_torch(rng)
        module = network.build(objective.outputs)
    if network.weights is not None:
        load_weights(module, network.kind, network.weights)
    module.prepare(training.patterns)
    if network.standardize:
        mean = training.patterns.mean(axis=0, dtype=np.float64).astype(np.float32)
        departures = (training.some().patterns - mean).std(dtype=np.float64)
        module.input_mean.copy_(as_images(mean[None], network.size, torch.device("cpu")))
        module.input_scale.fill_(float(departures) or 1.0)
    return module


def _identity(
    network: NetworkSettings,
    training: Samples,
    validation: Samples | None,
    augment: Augment | None,
) -> str:
    """Hash over data and settings; an augmentation is known by what it makes of some patterns."""
    told = {
        "kind": network.kind,
        "directions": network.directions.to_dict(),
        "augmented": augment is not None,
        **network.settings(),
    }
    arrays: list[npt.NDArray[Any]] = [training.patterns, training.classes]
    if validation is not None:
        arrays += [validation.patterns, validation.classes]
    if augment is not None:
        few = slice(_FEW)
        rng = np.random.default_rng(network.seed)
        arrays += augment(training.patterns[few], training.classes[few], rng)
    return identity(told, *arrays)


def _seed_torch(rng: np.random.Generator) -> None:
    # torch.manual_seed would seed the CUDA generators too, which nothing would put back.
    torch.default_generator.manual_seed(int(rng.integers(2**63)))


@dataclass
class _Run:
    network: NetworkSettings
    objective: Objective
    module: PatternNetwork
    optimizer: torch.optim.Optimizer
    rng: np.random.Generator
    augment: Augment | None
    stop: Callable[[], bool]
    _told: float = 0.0

    def iter_epoch(
        self, training: Samples, epoch: int
    ) -> Generator[FitProgress, None, FitProgress | None]:
        """One pass; ``None`` if it was stopped."""
        order = self.rng.permutation(len(training.patterns))
        # Of even sizes: batch norm cannot learn from a last batch of one.
        parts = np.array_split(order, -(-len(order) // self.network.batch))
        progress, total = None, 0.0
        for index, part in enumerate(parts):
            if self.stop():
                return None
            part = np.sort(part)
            self._set_rate((epoch - 1 + index / len(parts)) / self.network.epochs)
            total += self._step(training.patterns[part], training.classes[part])
            progress = FitProgress(
                epoch, self.network.epochs, index + 1, len(parts), total / (index + 1)
            )
            if self._due() and index + 1 < len(parts):
                yield progress
        return progress

    def iter_validate(
        self, some: Samples, validation: Samples, progress: FitProgress
    ) -> Generator[FitProgress, None, FitProgress]:
        """The progress with loss and accuracy on the validation patterns.

        Prototypes are the class means of some of the training patterns, as they will be of all.
        """
        means = None
        if self.objective.needs_means:
            means = yield from self._iter_means(some, progress)
        outputs = yield from self._iter_outputs(validation.patterns, progress)
        with torch.inference_mode():
            classes = torch.from_numpy(validation.classes).to(outputs.device)
            loss = float(self.objective.loss(outputs, classes, means))
            likeliest = self.objective.likeness(outputs, means).argmax(dim=1)
            accuracy = float((likeliest == classes).float().mean())
        return replace(progress, validation_loss=loss, validation_accuracy=accuracy)

    def iter_finish(
        self, training: Samples, validation: Samples | None, progress: FitProgress
    ) -> Generator[FitProgress, None, dict[str, npt.NDArray[Any]]]:
        """Arrays of the network, its class means over the training patterns, its sharpness."""
        arrays, means = arrays_of(self.module), None
        if self.objective.needs_means:
            means = yield from self._iter_means(training, progress)
            arrays["class_means"] = means.cpu().numpy()
        sharpness = 1.0
        if self.objective.sharpened:
            chosen_on = training.some() if validation is None else validation
            outputs = yield from self._iter_outputs(chosen_on.patterns, progress)
            with torch.inference_mode():
                likeness = self.objective.likeness(outputs, means)
            sharpness = best_sharpness(likeness, chosen_on.classes)
        arrays["sharpness"] = np.array([sharpness], np.float32)
        return arrays

    def _set_rate(self, done: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.network.rate(done)

    def _step(self, patterns: Floats, classes: Classes) -> float:
        """Learn one batch; its loss."""
        device = self.module.input_mean.device
        if self.augment is not None:
            patterns, classes = self.augment(patterns, classes, self.rng)
        images = as_images(patterns, self.network.size, device)
        wanted = torch.from_numpy(np.asarray(classes, np.int64)).to(device)
        mixed = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        with torch.random.fork_rng(devices=[]):
            _seed_torch(self.rng)
            self.module.train()
            self.optimizer.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                outputs = self.module(images)
            loss = self.objective.loss(outputs.float(), wanted)
            loss.backward()
            self.optimizer.step()
        return float(loss.detach())

    def _iter_means(self, samples: Samples, progress: FitProgress) -> Steps:
        outputs = yield from self._iter_outputs(samples.patterns, progress)
        classes = torch.from_numpy(samples.classes).to(outputs.device)
        with torch.inference_mode():
            return class_means(outputs, classes, len(self.network.directions))

    def _iter_outputs(self, patterns: Floats, progress: FitProgress) -> Steps:
        self.module.eval()
        outputs = []
        for part in iter_outputs(self.module, patterns):
            outputs.append(part)
            if self._due():
                yield progress
        return torch.cat(outputs)

    def _due(self) -> bool:
        """Whether the last progress is long enough ago."""
        now = time.monotonic()
        if now - self._told < _YIELD_S:
            return False
        self._told = now
        return True
