"""Weight files of the user: torchvision's names, three channels folded to one."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from napari_polmap.classifiers.models.architectures import ARCHITECTURES, HEAD, PatternNetwork
from napari_polmap.errors import ClassifierError, reason

_COUNTER = "num_batches_tracked"
_LEFT_OUT = ("fc", "classifier")
_ANY_SIZE = 32


def load_weights(network: PatternNetwork, kind: str, path: str | Path) -> None:
    """Take a network's convolutions from a weight file; its head stays as it is.

    Parameters
    ----------
    network : PatternNetwork
    kind : str
        The model's name.
    path : str or Path
        A state dictionary saved by torch, such as torchvision's, read with ``weights_only=True``;
        or the same as ``.safetensors``.

    Raises
    ------
    ClassifierError
        If the file cannot be read, holds more than weights, or those of another architecture.
    """
    path = Path(path)
    weights = _convolutions(_read(path))
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    if shapes != _shapes(network):
        known = [name for name, build in ARCHITECTURES.items() if shapes == _expected(build)]
        told = f"holds the weights of {known[0]}" if known else "holds other layers"
        raise ClassifierError(
            f"{path.name} {told}, but the model is {kind}; give a weight file of {kind} with "
            "torchvision's names, or train without one."
        )
    network.load_state_dict(weights, strict=False)


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        values = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ClassifierError(
            f"The weight file {path} cannot be read ({reason(error)}); check the path."
        ) from error
    except (
        SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError,
    ) as error:  # fmt: skip
        raise ClassifierError(
            f"{path.name} is not a file of weights alone, or it is damaged; give a state "
            "dictionary saved by torch, such as those of torchvision, or a .safetensors file."
        ) from error
    if not isinstance(values, dict) or not all(isinstance(v, Tensor) for v in values.values()):
        raise ClassifierError(
            f"{path.name} is not a dictionary of weights by name; save `model.state_dict()` alone."
        )
    return values


def _convolutions(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """What a network takes of a file, its first convolution for gray patterns.

    Summed over the three channels it gives what three equal channels would.
    """
    return {
        name: value.sum(dim=1, keepdim=True) if value.ndim == 4 and value.shape[1] == 3 else value
        for name, value in weights.items()
        if name.split(".")[0] not in _LEFT_OUT and not name.endswith(_COUNTER)
    }


def _shapes(network: PatternNetwork) -> dict[str, tuple[int, ...]]:
    """Shapes by name of what a weight file must hold."""
    return {
        name: tuple(value.shape)
        for name, value in network.state_dict().items()
        if name.split(".")[0] not in HEAD and not name.endswith(_COUNTER)
    }


def _expected(build: Callable[[int, int], PatternNetwork]) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return _shapes(build(_ANY_SIZE, 1))
