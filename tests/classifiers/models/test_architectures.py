"""Names and shapes as torchvision's files have them, written down by hand."""

from __future__ import annotations

import pytest
import torch

from napari_polmap.classifiers.models.architectures import ARCHITECTURES, HEAD

RESNET18 = {
    "conv1.weight": (64, 1, 7, 7),
    "bn1.weight": (64,),
    "bn1.bias": (64,),
    "bn1.running_mean": (64,),
    "bn1.running_var": (64,),
    "bn1.num_batches_tracked": (),
    "layer1.0.conv1.weight": (64, 64, 3, 3),
    "layer1.1.bn2.running_var": (64,),
    "layer2.0.conv1.weight": (128, 64, 3, 3),
    "layer2.0.downsample.0.weight": (128, 64, 1, 1),
    "layer2.0.downsample.1.running_mean": (128,),
    "layer4.0.downsample.0.weight": (512, 256, 1, 1),
    "layer4.1.conv2.weight": (512, 512, 3, 3),
    "layer4.1.bn2.bias": (512,),
}
RESNET50 = {
    "conv1.weight": (64, 1, 7, 7),
    "layer1.0.conv1.weight": (64, 64, 1, 1),
    "layer1.0.conv2.weight": (64, 64, 3, 3),
    "layer1.0.conv3.weight": (256, 64, 1, 1),
    "layer1.0.bn3.running_var": (256,),
    "layer1.0.downsample.0.weight": (256, 64, 1, 1),
    "layer1.0.downsample.1.bias": (256,),
    "layer1.2.conv1.weight": (64, 256, 1, 1),
    "layer2.3.conv2.weight": (128, 128, 3, 3),
    "layer3.5.conv3.weight": (1024, 256, 1, 1),
    "layer4.0.downsample.0.weight": (2048, 1024, 1, 1),
    "layer4.2.bn3.weight": (2048,),
}
VGG11 = {
    "features.0.weight": (64, 1, 3, 3),
    "features.0.bias": (64,),
    "features.3.weight": (128, 64, 3, 3),
    "features.6.weight": (256, 128, 3, 3),
    "features.8.weight": (256, 256, 3, 3),
    "features.11.weight": (512, 256, 3, 3),
    "features.13.weight": (512, 512, 3, 3),
    "features.16.weight": (512, 512, 3, 3),
    "features.18.bias": (512,),
}
VGG16 = {
    "features.0.weight": (64, 1, 3, 3),
    "features.2.weight": (64, 64, 3, 3),
    "features.5.weight": (128, 64, 3, 3),
    "features.7.weight": (128, 128, 3, 3),
    "features.10.weight": (256, 128, 3, 3),
    "features.12.weight": (256, 256, 3, 3),
    "features.14.weight": (256, 256, 3, 3),
    "features.17.weight": (512, 256, 3, 3),
    "features.19.weight": (512, 512, 3, 3),
    "features.21.weight": (512, 512, 3, 3),
    "features.24.weight": (512, 512, 3, 3),
    "features.26.weight": (512, 512, 3, 3),
    "features.28.weight": (512, 512, 3, 3),
    "features.28.bias": (512,),
}
# Entries and numbers of a torchvision file without fc and classifier, and what one channel
# instead of three takes from the first convolution.
KNOWN = {
    "resnet18": (RESNET18, 120, 11_176_512 - 2 * 64 * 49),
    "resnet50": (RESNET50, 318, 23_508_032 - 2 * 64 * 49),
    "vgg11": (VGG11, 16, 9_220_480 - 2 * 64 * 9),
    "vgg16": (VGG16, 26, 14_714_688 - 2 * 64 * 9),
}


@pytest.mark.parametrize("kind", KNOWN)
def test_names_and_shapes_are_those_of_torchvision(kind: str) -> None:
    known, entries, numbers = KNOWN[kind]
    with torch.device("meta"):
        network = ARCHITECTURES[kind](64, 8)
    state = {k: v for k, v in network.state_dict().items() if k.split(".")[0] not in HEAD}
    assert len(state) == entries
    assert {name: tuple(state[name].shape) for name in known} == known
    own = [p for n, p in network.named_parameters() if n.split(".")[0] not in HEAD]
    assert sum(p.numel() for p in own) == numbers


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("size", [32, 48, 64])
def test_small_patterns_pass(kind: str, size: int) -> None:
    with torch.device("meta"):
        outputs = ARCHITECTURES[kind](size, 5)(torch.zeros(2, 1, size, size))
    assert tuple(outputs.shape) == (2, 5)


@pytest.mark.parametrize(
    ("kind", "features"), [("resnet18", 512), ("resnet50", 2048), ("vgg11", 2048), ("vgg16", 2048)]
)
def test_the_head_is_the_papers(kind: str, features: int) -> None:
    with torch.device("meta"):
        network = ARCHITECTURES[kind](64, 8)
    linear, norm, relu = network.projection
    assert (linear.in_features, linear.out_features) == (features, 256)
    assert isinstance(norm, torch.nn.BatchNorm1d)
    assert isinstance(relu, torch.nn.ReLU)
    assert (network.hidden.in_features, network.hidden.out_features) == (256, 512)
    assert (network.output.in_features, network.output.out_features) == (512, 8)


def test_the_custom_network_is_the_papers() -> None:
    with torch.device("meta"):
        network = ARCHITECTURES["cnn"](64, 8)
    shapes = {name: tuple(value.shape) for name, value in network.named_parameters()}
    assert shapes == {
        "conv1.weight": (16, 1, 3, 3),
        "conv1.bias": (16,),
        "conv2.weight": (32, 16, 3, 3),
        "conv2.bias": (32,),
        "conv3.weight": (64, 32, 3, 3),
        "conv3.bias": (64,),
        "hidden.weight": (512, 64 * 16 * 16),
        "hidden.bias": (512,),
        "output.weight": (8, 512),
        "output.bias": (8,),
    }


def test_a_residual_block_adds_what_went_past_it() -> None:
    torch.manual_seed(0)
    block = ARCHITECTURES["resnet18"](32, 8).eval().get_submodule("layer1.0")
    for layer in (block.conv1, block.conv2):
        torch.nn.init.zeros_(layer.weight)
    maps = torch.randn(1, 64, 4, 4)
    torch.testing.assert_close(block(maps), torch.relu(maps))
