"""Networks in plain torch; their convolutions are named and shaped as torchvision's.

Sources: the custom network and the head after each one, Martinc et al. (2026), arXiv 2603.15582;
ResNet, He et al. (2016), with the stride in the 3x3 convolution of a bottleneck as torchvision has
it; VGG without batch norm, Simonyan and Zisserman (2015).

torchvision's last layers (``fc``, ``classifier``) name 1,000 things in photographs; the paper's
projection stands in their place.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from napari_polmap.classifiers.models.features import Floats
from napari_polmap.errors import ClassifierError

PROJECTED = 256
HIDDEN = 512
_VGG_REDUCTION = 32
_VGG_POOLED = 7


class PatternNetwork(nn.Module):
    """Patterns in, the objective's outputs out; a subclass gives the feature maps.

    Parameters
    ----------
    size : int
        Width of the patterns in pixels.

    Attributes
    ----------
    input_mean : Tensor, shape (1, 1, size, size)
        Subtracted from each pattern.
    input_scale : Tensor, shape (1,)
        Each pattern is divided by it.
    """

    input_mean: Tensor
    input_scale: Tensor
    projection: nn.Module
    hidden: nn.Linear
    output: nn.Linear

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("input_mean", torch.zeros(1, 1, size, size))
        self.register_buffer("input_scale", torch.ones(1))

    def forward(self, patterns: Tensor) -> Tensor:
        """Outputs ``(n, outputs)`` of normalized patterns ``(n, 1, size, size)``."""
        maps = self.maps((patterns - self.input_mean) / self.input_scale)
        features = self.projection(maps.flatten(1))
        outputs: Tensor = self.output(torch.relu(self.hidden(features)))
        return outputs

    def prepare(self, patterns: Floats) -> None:
        """Choose before the first step what depends on the training patterns ``(n, f)``."""

    def maps(self, patterns: Tensor) -> Tensor:
        """Feature maps ``(n, channels, rows, columns)``."""
        raise NotImplementedError

    def add_head(self, features: int, outputs: int, *, project: bool = True) -> None:
        """Add the paper's head: projection to 256 features, 512 units, outputs."""
        self.projection = (
            nn.Sequential(nn.Linear(features, PROJECTED), nn.BatchNorm1d(PROJECTED), nn.ReLU())
            if project
            else nn.Identity()
        )
        self.hidden = nn.Linear(PROJECTED if project else features, HIDDEN)
        self.output = nn.Linear(HIDDEN, outputs)


HEAD = ("input_mean", "input_scale", "projection", "hidden", "output")
"""What is not torchvision's."""


class CustomCnn(PatternNetwork):
    """The paper's own: convolutions of 3x3 with 16, 32, pooling, 64, pooling, 512 units."""

    def __init__(self, size: int, outputs: int) -> None:
        super().__init__(size)
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.add_head(64 * (size // 4) ** 2, outputs, project=False)

    def maps(self, patterns: Tensor) -> Tensor:
        """Feature maps ``(n, 64, size // 4, size // 4)``."""
        maps = torch.relu(self.conv2(torch.relu(self.conv1(patterns))))
        pooled: Tensor = self.pool(torch.relu(self.conv3(self.pool(maps))))
        return pooled


class _Block(nn.Module):
    """What both kinds of residual blocks share: a way past their convolutions."""

    expansion: int
    downsample: nn.Module | None

    def past(self, channels: int, width: int, stride: int) -> nn.Module | None:
        out = width * self.expansion
        if stride == 1 and channels == out:
            return None
        return nn.Sequential(
            nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out)
        )

    def forward(self, maps: Tensor) -> Tensor:
        beside = maps if self.downsample is None else self.downsample(maps)
        return torch.relu(self.convolved(maps) + beside)

    def convolved(self, maps: Tensor) -> Tensor:
        raise NotImplementedError


class _BasicBlock(_Block):
    expansion = 1

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = self.past(channels, width, stride)

    def convolved(self, maps: Tensor) -> Tensor:
        maps = torch.relu(self.bn1(self.conv1(maps)))
        convolved: Tensor = self.bn2(self.conv2(maps))
        return convolved


class _Bottleneck(_Block):
    expansion = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = width * self.expansion
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = self.past(channels, width, stride)

    def convolved(self, maps: Tensor) -> Tensor:
        maps = torch.relu(self.bn1(self.conv1(maps)))
        maps = torch.relu(self.bn2(self.conv2(maps)))
        convolved: Tensor = self.bn3(self.conv3(maps))
        return convolved


class ResNet(PatternNetwork):
    """A residual network for one channel.

    Parameters
    ----------
    size, outputs : int
    block : type
        Basic blocks or bottlenecks.
    depths : tuple of int
        Blocks in each of the four stages.
    """

    def __init__(
        self,
        size: int,
        outputs: int,
        block: type[_BasicBlock] | type[_Bottleneck],
        depths: tuple[int, int, int, int],
    ) -> None:
        super().__init__(size)
        self.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = 64
        for index, depth in enumerate(depths):
            width = 64 * 2**index
            stage: list[nn.Module] = []
            for position in range(depth):
                stage.append(block(channels, width, 2 if index and not position else 1))
                channels = width * block.expansion
            self.add_module(f"layer{index + 1}", nn.Sequential(*stage))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        _kaiming(self)
        self.add_head(channels, outputs)

    def maps(self, patterns: Tensor) -> Tensor:
        """Feature maps ``(n, 512 or 2048, 1, 1)``."""
        maps = self.maxpool(torch.relu(self.bn1(self.conv1(patterns))))
        for index in range(4):
            maps = self.get_submodule(f"layer{index + 1}")(maps)
        pooled: Tensor = self.avgpool(maps)
        return pooled


class Vgg(PatternNetwork):
    """A VGG network for one channel, without batch norm in its convolutions.

    Parameters
    ----------
    size, outputs : int
    depths : tuple of int
        Convolutions before each of the five poolings.

    Raises
    ------
    ClassifierError
        If the patterns are smaller than 32 pixels, which five poolings leave nothing of.
    """

    def __init__(self, size: int, outputs: int, depths: tuple[int, ...]) -> None:
        super().__init__(size)
        if size < _VGG_REDUCTION:
            raise ClassifierError(
                f"A VGG network needs patterns of at least {_VGG_REDUCTION} pixels, and these have "
                f"{size}; choose a larger size in the preprocessing, or another model."
            )
        layers: list[nn.Module] = []
        channels = 1
        for index, depth in enumerate(depths):
            width = min(64 * 2**index, 512)
            for _ in range(depth):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        # torchvision's 7x7 would only repeat the few pixels that small patterns leave.
        pooled = min(size // _VGG_REDUCTION, _VGG_POOLED)
        self.avgpool = nn.AdaptiveAvgPool2d(pooled)
        _kaiming(self)
        self.add_head(channels * pooled**2, outputs)

    def maps(self, patterns: Tensor) -> Tensor:
        """Feature maps ``(n, 512, size // 32, size // 32)``, at most 7x7."""
        pooled: Tensor = self.avgpool(self.features(patterns))
        return pooled


def _kaiming(module: nn.Module) -> None:
    """First weights of the convolutions as torchvision draws them (He et al. 2015)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


ARCHITECTURES: dict[str, Callable[[int, int], PatternNetwork]] = {
    "cnn": CustomCnn,
    "resnet18": lambda size, outputs: ResNet(size, outputs, _BasicBlock, (2, 2, 2, 2)),
    "resnet50": lambda size, outputs: ResNet(size, outputs, _Bottleneck, (3, 4, 6, 3)),
    "vgg11": lambda size, outputs: Vgg(size, outputs, (1, 1, 2, 2, 2)),
    "vgg16": lambda size, outputs: Vgg(size, outputs, (2, 2, 3, 3, 3)),
}
"""Networks by their models' names, built from the patterns' size and the number of outputs."""
