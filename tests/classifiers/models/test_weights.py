from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from napari_polmap.classifiers.models import model_class
from napari_polmap.classifiers.models.architectures import ARCHITECTURES, HEAD
from napari_polmap.classifiers.models.weights import load_weights
from napari_polmap.directions import DirectionSet
from napari_polmap.errors import ClassifierError


def torchvision_file(path: Path, kind: str) -> dict[str, Tensor]:
    """What torchvision saves: three channels, its own last layers, half without the counters."""
    torch.manual_seed(1)
    state = {
        name: torch.randn(value.shape) if value.is_floating_point() else value
        for name, value in ARCHITECTURES[kind](32, 4).state_dict().items()
        if name.split(".")[0] not in HEAD
    }
    first = "conv1.weight" if kind.startswith("resnet") else "features.0.weight"
    state[first] = torch.randn(64, 3, *state[first].shape[2:])
    if kind.startswith("resnet"):
        state |= {"fc.weight": torch.randn(1000, 512), "fc.bias": torch.randn(1000)}
        state = {name: v for name, v in state.items() if not name.endswith("num_batches_tracked")}
    else:
        state["classifier.6.bias"] = torch.randn(1000)
    torch.save(state, path)
    return state


@pytest.mark.parametrize("kind", ["resnet18", "vgg11"])
def test_a_file_of_torchvision_loads_with_its_first_convolution_folded(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "weights.pth"
    state = torchvision_file(path, kind)
    network = ARCHITECTURES[kind](32, 4)
    head = network.hidden.weight.clone()
    load_weights(network, kind, path)
    first = network.get_submodule("conv1" if kind == "resnet18" else "features.0")
    name = "conv1.weight" if kind == "resnet18" else "features.0.weight"
    pattern = torch.randn(2, 1, 32, 32)
    bias = state.get(name.replace("weight", "bias"))
    three = torch.nn.functional.conv2d(
        pattern.expand(-1, 3, -1, -1), state[name], bias, first.stride, first.padding
    )
    torch.testing.assert_close(first(pattern), three, atol=1e-3, rtol=1e-4)
    last = "layer4.1.bn2.running_var" if kind == "resnet18" else "features.18.weight"
    torch.testing.assert_close(network.state_dict()[last], state[last])
    torch.testing.assert_close(network.hidden.weight, head)
    # The same as a .safetensors file.
    safe, same = tmp_path / "weights.safetensors", ARCHITECTURES[kind](32, 4)
    save_file(state, safe)
    load_weights(same, kind, safe)
    torch.testing.assert_close(same.state_dict()[name], network.state_dict()[name])
    safe.write_bytes(b"damaged")
    with pytest.raises(ClassifierError, match="is not a file of weights alone"):
        load_weights(same, kind, safe)


def test_a_fit_begins_from_the_file(tmp_path: Path, disks: Any) -> None:
    path = tmp_path / "weights.pth"
    state = torchvision_file(path, "resnet18")
    model = model_class("resnet18")(DirectionSet.default(), size=32, weights=path, epochs=1)
    patterns, classes = disks(8, 32)
    for _ in model.iter_fit(patterns, classes, stop=lambda: True):
        pass
    kept = model.arrays()["network.layer3.0.conv1.weight"]
    np.testing.assert_array_equal(kept, state["layer3.0.conv1.weight"].numpy())
    assert model.settings()["weights"] == "weights.pth"  # no path of the user's machine


def test_a_file_of_another_architecture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vgg11.pth"
    torchvision_file(path, "vgg11")
    with pytest.raises(ClassifierError, match=r"vgg11.pth holds the weights of vgg11, but the mod"):
        load_weights(ARCHITECTURES["vgg16"](32, 4), "vgg16", path)
    with pytest.raises(ClassifierError, match="holds the weights of vgg11, but the model is resn"):
        load_weights(ARCHITECTURES["resnet18"](32, 4), "resnet18", path)


def test_a_deeper_network_of_the_same_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "resnet34.pth"
    state = torchvision_file(path, "resnet18")
    torch.save({**state, "layer1.2.conv1.weight": torch.randn(64, 64, 3, 3)}, path)
    with pytest.raises(ClassifierError, match=r"resnet34\.pth holds other layers"):
        load_weights(ARCHITECTURES["resnet18"](32, 4), "resnet18", path)


class _Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("harmful"),)


def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    network = ARCHITECTURES["cnn"](8, 4)
    with pytest.raises(ClassifierError, match="cannot be read"):
        load_weights(network, "cnn", tmp_path / "none.pth")
    path = tmp_path / "other.pth"
    path.write_bytes(b"no weights at all")
    with pytest.raises(ClassifierError, match="is not a file of weights alone"):
        load_weights(network, "cnn", path)
    path.write_bytes(b"")
    with pytest.raises(ClassifierError, match="is not a file of weights alone"):
        load_weights(network, "cnn", path)
    for value in (_Harmful(), {"conv1.weight": _Harmful()}):
        torch.save(value, path)
        with pytest.raises(ClassifierError, match="is not a file of weights alone"):
            load_weights(network, "cnn", path)
        path.write_bytes(pickle.dumps(value, protocol=2))
        with pytest.raises(ClassifierError, match="is not a file of weights alone"):
            load_weights(network, "cnn", path)
    assert not Path("harmful").exists()
    torch.save({"epoch": 3, "model": {}}, path)
    with pytest.raises(ClassifierError, match="is not a dictionary of weights by name"):
        load_weights(network, "cnn", path)
