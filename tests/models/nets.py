"""Small networks with fixed random weights, one for each trait that real models have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

SIDE = 32
FAULTS = {"input_gradients", "feature_maps", "layer_gradients"}
"""What a sound model does not lack, whatever its architecture."""


def picture(height: int = SIDE, width: int = SIDE, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return a smooth random picture, uint8 [H, W, 3]."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [
        np.sin(rows * generator.uniform(0.05, 0.6) + columns * generator.uniform(0.05, 0.6) + k)
        for k in range(3)
    ]
    noise = generator.uniform(-20, 20, (height, width, 3))
    return np.clip(np.stack(waves, axis=2) * 90 + 128 + noise, 0, 255).astype(np.uint8)


def seeded(make: Callable[..., nn.Module], *args: Any, **options: Any) -> nn.Module:
    """Make a module in eval mode with the same weights every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make(*args, **options).eval()


def convolutional(activation: Callable[[], nn.Module] = nn.ReLU, n_classes: int = 3) -> nn.Module:
    """Return a network of two strided convolutions, for inputs of any size."""
    return seeded(
        lambda: nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1),
            activation(),
            nn.Conv2d(6, 8, 3, stride=2, padding=1),
            activation(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, n_classes),
        )
    )


class Linear(nn.Module):
    """A linear score: every gradient is the weight, and all of its integrals are known."""

    def __init__(self, side: int = 8, n_classes: int = 3) -> None:
        super().__init__()
        self.head = nn.Linear(3 * side * side, n_classes)
        self.side = side

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.flatten(1))

    def weight(self, index: int) -> npt.NDArray[np.float32]:
        """Return the weights of a class as a map [H, W, C]."""
        rows = self.head.weight[index].detach().reshape(3, self.side, self.side)
        return np.asarray(rows.permute(1, 2, 0).numpy())


class Block(nn.Module):
    """A residual block as in torchvision: one in-place ReLU used twice, and ``out += identity``."""

    def __init__(self, width_in: int, width: int, stride: int = 1, inplace: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=inplace)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        self.inplace = inplace
        if stride != 1 or width_in != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if self.inplace:
            out += identity
        else:
            out = out + identity
        return self.relu(out)


class Residual(nn.Module):
    """The shape of torchvision's ResNet, a few channels wide."""

    def __init__(self, inplace: bool = True) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=inplace)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(4, 4, 1, inplace), Block(4, 4, 1, inplace))
        self.layer2 = nn.Sequential(Block(4, 8, 2, inplace), Block(8, 8, 1, inplace))
        self.layer3 = nn.Sequential(Block(8, 8, 2, inplace), Block(8, 8, 1, inplace))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, 5)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer3(self.layer2(self.layer1(x)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.avgpool(self.features(x)).flatten(1))


class Contained(nn.Module):
    """A network whose features sit in one ``backbone`` container."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU()
        )
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(x).mean((2, 3)))


class Deep(nn.Sequential):
    """More than ten layers in a row: the names "9" and "10" differ in length but not in depth."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [nn.Conv2d(3, 4, 3, 4, 1), nn.ReLU(inplace=True)]
        for _ in range(3):
            layers += [nn.Conv2d(4, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


class ChannelsLast(nn.Module):
    """Features in [N, H, W, C] after the stem, as in torchvision's Swin."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 4, 4)
        self.norm = nn.LayerNorm(5)
        self.mix = nn.Linear(5, 7)
        self.act = nn.GELU()
        self.head = nn.Linear(7, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.stem(x).permute(0, 2, 3, 1))
        return self.head(self.act(self.mix(x)).mean((1, 2)))


class Twice(nn.Module):
    """One convolution that runs twice in a forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.shared = nn.Conv2d(4, 4, 3, 1, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.shared(self.stem(x)))
        return self.head(torch.relu(self.shared(first)).mean((2, 3)))


class Wrapped(nn.Module):
    """The convolutional network with something done before or after it."""

    def __init__(
        self, before: Callable[[Any], Any] | None = None, after: Callable[[Any], Any] | None = None
    ) -> None:
        super().__init__()
        self.net = convolutional()
        self.before = before or (lambda x: x)
        self.after = after or (lambda x: x)

    def forward(self, x: torch.Tensor) -> Any:
        return self.after(self.net(self.before(x)))


class NoGrad(Wrapped):
    """A forward pass that autograd does not record."""

    def forward(self, x: torch.Tensor) -> Any:
        with torch.no_grad():
            return self.net(x)


class Restless(nn.Module):
    """Changes whatever a forward pass can change, in eval mode too, and may fail after n calls."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.bn = nn.BatchNorm2d(4)
        self.frozen = nn.Conv2d(4, 4, 1).requires_grad_(False)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("replaced", torch.ones(()))
        self.fails_in: int | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.fails_in is not None:
            self.fails_in -= 1
            if self.fails_in < 0:
                raise RuntimeError("out of memory")
        self.calls += 1
        self.replaced = self.replaced + 1
        x.mul_(2.0)
        x = self.relu(self.frozen(self.bn(self.conv(x))))
        x = F.dropout(x, 0.1, training=True)
        return self.head(x.mean((2, 3))) * self.calls * self.replaced
