"""A network that has learned, at work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_polmap.classifiers.models.architectures import PatternNetwork
from napari_polmap.classifiers.models.features import Floats
from napari_polmap.classifiers.models.objectives import Objective, make_objective, probabilities
from napari_polmap.classifiers.models.settings import NetworkSettings
from napari_polmap.errors import ClassifierError

_BATCH = 128
_NETWORK = "network."
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Inference:
    """A network on its device, with what its objective needs.

    Parameters
    ----------
    device_name : str
        As the model asked for it.
    module : PatternNetwork
    objective : Objective
    means : Tensor or None
        Mean outputs of each direction, for objectives that need them.
    sharpness : float
    """

    device_name: str
    module: PatternNetwork
    objective: Objective
    means: Tensor | None
    sharpness: float

    @classmethod
    def of(cls, network: NetworkSettings, arrays: Mapping[str, npt.NDArray[Any]]) -> Inference:
        """Set up from what was chosen and what was learned.

        Raises
        ------
        ClassifierError
            If arrays are missing or of another shape, or there is no such device.
        """
        device = torch_device(network.device)
        objective = make_objective(network.objective, network.directions)
        with torch.random.fork_rng(devices=[]):
            module = network.build(objective.outputs)
        try:
            put_arrays(module, arrays)
            sharpness = float(arrays["sharpness"][0])
            means = tensor(arrays["class_means"]).to(device) if objective.needs_means else None
        except (KeyError, RuntimeError) as error:
            raise ClassifierError(
                f"The classifier's file lacks arrays of its model {network.kind}, or they are of "
                "another shape; train or copy it again."
            ) from error
        return cls(network.device, placed(module, device).eval(), objective, means, sharpness)

    def predict_proba(self, patterns: Floats) -> Floats:
        """Probabilities ``(n, n_directions)`` of normalized patterns ``(n, size * size)``."""
        return self.probabilities_of(torch.cat([*iter_outputs(self.module, patterns)]))

    def probabilities_of(self, outputs: Tensor) -> Floats:
        """Probabilities ``(n, n_directions)`` of the module's outputs."""
        with torch.inference_mode():
            likeness = self.objective.likeness(outputs, self.means)
            return probabilities(likeness, self.sharpness)


def torch_device(name: str) -> torch.device:
    """The device of a name, "auto" being CUDA where there is any.

    Raises
    ------
    ClassifierError
        If CUDA is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ClassifierError(
            "PyTorch finds no CUDA device here; choose the device 'cpu' or 'auto', or install "
            "PyTorch's build for CUDA."
        )
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def placed(module: PatternNetwork, device: torch.device) -> PatternNetwork:
    """The network on a device, laid out in memory as convolutions are fastest."""
    return module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def as_images(patterns: Floats, size: int, device: torch.device) -> Tensor:
    """Patterns ``(n, size * size)`` as ``(n, 1, size, size)`` on a device."""
    rows = np.ascontiguousarray(patterns, np.float32)
    return tensor(rows).reshape(-1, 1, size, size).to(device)


def tensor(array: npt.NDArray[Any]) -> Tensor:
    """A tensor of an array, which may be read-only."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def iter_outputs(module: PatternNetwork, patterns: Floats) -> Iterator[Tensor]:
    """Outputs of patterns, batch by batch; the network must be in its evaluation mode."""
    device, size = module.input_mean.device, module.input_mean.shape[-1]
    for start in range(0, max(len(patterns), 1), _BATCH):
        with torch.inference_mode():
            outputs = module(as_images(patterns[start : start + _BATCH], size, device))
        yield outputs


def arrays_of(module: PatternNetwork) -> dict[str, npt.NDArray[Any]]:
    """Everything a network has learned, batch-norm statistics included, as arrays by name."""
    return {
        _NETWORK + name: value.detach().cpu().contiguous().numpy().copy()
        for name, value in module.state_dict().items()
        if not name.endswith(_COUNTER)
    }


def put_arrays(module: PatternNetwork, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Inverse of `arrays_of`.

    Raises
    ------
    KeyError, RuntimeError
        If an array is missing or of another shape.
    """
    names = [name for name in module.state_dict() if not name.endswith(_COUNTER)]
    module.load_state_dict({name: tensor(arrays[_NETWORK + name]) for name in names}, strict=False)
