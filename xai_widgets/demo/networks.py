"""The demo networks: small residual CNNs with BatchNorm and ReLU, and how all of them are built.

The vision transformer and the U-Net are in `transformer` and `unet`. Every ReLU is a module of its
own and nothing is computed in place, so that any method that hooks modules sees all of them. He et
al., "Deep residual learning for image recognition", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from safetensors import safe_open
from torch import Tensor, nn

from .designs import (
    DESIGNS,
    WEIGHTS,
    AnyDesign,
    Design,
    TransformerDesign,
    UNetDesign,
    weights_path,
)
from .transformer import VisionTransformer, initialise
from .unet import UNet

__all__ = ["DESIGNS", "WEIGHTS", "Design", "SmallResNet", "build", "fresh", "weights_path"]


def _convolution(channels_in: int, channels_out: int, stride: int, side: int = 3) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, side, stride, side // 2, bias=False)


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(channels_in, channels_out, stride)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.relu1 = nn.ReLU()
        self.conv2 = _convolution(channels_out, channels_out, 1)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                _convolution(channels_in, channels_out, stride, side=1),
                nn.BatchNorm2d(channels_out),
            )
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, C_out, H / stride, W / stride] for x [N, C_in, H, W]."""
        inner = self.relu1(self.norm1(self.conv1(x)))
        out: Tensor = self.relu2(self.norm2(self.conv2(inner)) + self.shortcut(x))
        return out


class Stage(nn.Module):
    """Two blocks, the first of which may halve the resolution."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.block1 = Block(channels_in, channels_out, stride)
        self.block2 = Block(channels_out, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, C_out, H / stride, W / stride] for x [N, C_in, H, W]."""
        out: Tensor = self.block2(self.block1(x))
        return out


class SmallResNet(nn.Module):
    """Stem, three stages, mean over space, one linear layer to the logits."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        first, second, third = design.widths
        self.stem = nn.Sequential(
            _convolution(3, first, design.stem_stride), nn.BatchNorm2d(first), nn.ReLU()
        )
        self.stage1 = Stage(first, first, 1)
        self.stage2 = Stage(first, second, 2)
        self.stage3 = Stage(second, third, 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(third, design.n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, n_classes] for normalised pictures x [N, 3, H, W]."""
        x = self.stage3(self.stage2(self.stage1(self.stem(x))))
        logits: Tensor = self.head(self.pool(x).flatten(1))
        return logits


def fresh(design: AnyDesign, seed: int) -> nn.Module:
    """Return an untrained network whose weights depend on the seed alone."""
    # Built on "meta" first: layers initialise themselves from torch's global generator otherwise.
    with torch.device("meta"):
        network = _shaped(design)
    network = network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    if isinstance(network, VisionTransformer):
        initialise(network, generator)
        return network
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.05, generator=generator)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    for block in (m for m in network.modules() if isinstance(m, Block)):
        # A block that starts as its shortcut trains more steadily (Goyal et al. 2017, 5.1).
        nn.init.zeros_(block.norm2.weight)
    return network


def _shaped(design: AnyDesign) -> nn.Module:
    if isinstance(design, TransformerDesign):
        return VisionTransformer(design)
    return UNet(design) if isinstance(design, UNetDesign) else SmallResNet(design)


def metadata(name: str) -> dict[str, str]:
    """Return what is known about shipped weights: classes, accuracy, seed, versions."""
    with safe_open(weights_path(name), framework="pt") as file:
        return dict(file.metadata() or {})


def build(name: str) -> nn.Module:
    """Return a demo network with its trained weights, in evaluation mode.

    Parameters
    ----------
    name : str
        A key of `DESIGNS`.
    """
    network = fresh(DESIGNS[name], seed=0)
    with safe_open(weights_path(name), framework="pt") as file:
        # Shipped as float16 to stay small; 16 bits cost less than a thousandth of a logit.
        state = {key: _widened(file.get_tensor(key)) for key in file.keys()}  # noqa: SIM118
    network.load_state_dict(state)
    return network.eval()


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def normalised(images: Sequence[object] | object, design: AnyDesign) -> Tensor:
    """Return uint8 images [N, H, W, 3] as normalised float32 [N, 3, H, W], channels last."""
    pixels = torch.as_tensor(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (design.mean, design.std))
    return (pixels - mean) / std
