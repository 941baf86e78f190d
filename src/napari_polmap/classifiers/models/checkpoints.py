"""Where a fit stands, in a file from which it goes on as if it had never been interrupted."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_polmap.classifiers.models.architectures import PatternNetwork
from napari_polmap.classifiers.models.base import FitProgress
from napari_polmap.classifiers.models.inference import arrays_of, put_arrays, tensor
from napari_polmap.errors import ClassifierError, reason, unwritable

_FORMAT = "napari-polmap checkpoint"


@dataclass(frozen=True)
class Standing:
    """Where a fit stands after a pass.

    Parameters
    ----------
    epoch : int
        Passes done.
    best : dict of ndarray
        Arrays of the network to keep.
    best_loss : float
        Its validation loss.
    stale : int
        Passes since without a lower one.
    history : tuple of FitProgress
        The last progress of each pass.
    """

    epoch: int = 0
    best: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    best_loss: float = float("inf")
    stale: int = 0
    history: tuple[FitProgress, ...] = ()

    def after(self, progress: FitProgress, module: PatternNetwork) -> Standing:
        """The standing after one more pass, of which `progress` is the last."""
        loss = progress.validation_loss
        passed = replace(self, epoch=progress.epoch, history=(*self.history, progress))
        if loss is not None and self.best and not loss < self.best_loss:
            return replace(passed, stale=self.stale + 1)
        # Without validation patterns the last network is the one to keep.
        best_loss = float("inf") if loss is None else loss
        return replace(passed, best=arrays_of(module), best_loss=best_loss, stale=0)


def identity(settings: dict[str, Any], *arrays: npt.NDArray[Any]) -> str:
    """Hash over what a fit starts from."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def save_checkpoint(
    path: Path,
    name: str,
    standing: Standing,
    module: PatternNetwork,
    optimizer: torch.optim.Optimizer,
    rng: np.random.Generator,
) -> None:
    """Write where a fit stands to a ``.safetensors`` file.

    Raises
    ------
    ClassifierError
        If the file cannot be written.
    """
    from safetensors.numpy import save

    arrays = {f"now.{key}": array for key, array in arrays_of(module).items()}
    arrays |= {f"best.{key}": array for key, array in standing.best.items()}
    for index, parameter in enumerate(_parameters(optimizer)):
        for key, value in optimizer.state[parameter].items():
            arrays[f"optimizer.{index}.{key}"] = value.cpu().contiguous().numpy()
    header = {
        "format": _FORMAT,
        "identity": name,
        "epoch": standing.epoch,
        "best_loss": standing.best_loss if np.isfinite(standing.best_loss) else None,
        "stale": standing.stale,
        "history": [asdict(progress) for progress in standing.history],
        "rng": rng.bit_generator.state,
    }
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(save(arrays, metadata={"napari_polmap": json.dumps(header)}))
        part.replace(path)
    except OSError as error:
        if part.parent.is_dir():
            part.unlink(missing_ok=True)
        raise ClassifierError(unwritable(f"The checkpoint {path}", path, error)) from error


def load_checkpoint(
    path: Path,
    name: str,
    module: PatternNetwork,
    optimizer: torch.optim.Optimizer,
    rng: np.random.Generator,
) -> Standing:
    """Take up a fit where a file left it: network, optimizer and random numbers.

    Parameters
    ----------
    path : Path
    name : str
        The fit's `identity`.
    module, optimizer, rng
        Put into the state of the file.

    Raises
    ------
    ClassifierError
        If the file cannot be read, or is of a fit of other data or settings.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})["napari_polmap"])
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise ClassifierError(
            f"The checkpoint {path} cannot be read ({reason(error)}); check the path."
        ) from error
    except (SafetensorError, ValueError, KeyError) as error:
        raise ClassifierError(
            f"{path.name} is not a checkpoint of a fit, or it is damaged; delete it, or name "
            "another file."
        ) from error
    if header.get("format") != _FORMAT or header["identity"] != name:
        raise ClassifierError(
            f"The checkpoint {path.name} is of a fit of other data or settings; delete it to start "
            "anew, or name another file."
        )
    put_arrays(module, _part(arrays, "now."))
    for index, parameter in enumerate(_parameters(optimizer)):
        optimizer.state[parameter] = {
            key: _like(parameter, tensor(value))
            for key, value in _part(arrays, f"optimizer.{index}.").items()
        }
    rng.bit_generator.state = header["rng"]
    return Standing(
        epoch=header["epoch"],
        best=_part(arrays, "best."),
        best_loss=float("inf") if header["best_loss"] is None else header["best_loss"],
        stale=header["stale"],
        history=tuple(FitProgress(**values) for values in header["history"]),
    )


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """A value laid out in memory as its parameter; Adam's step count stays on the CPU."""
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, requires_grad=False).copy_(value)


def _part(arrays: dict[str, npt.NDArray[Any]], prefix: str) -> dict[str, npt.NDArray[Any]]:
    return {
        key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)
    }
