"""The demo segmentation network: a small U-Net with BatchNorm and ReLU.

Ronneberger et al., "U-Net: Convolutional networks for biomedical image segmentation", MICCAI 2015.
Every ReLU is a module of its own and nothing is computed in place.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .designs import UNetDesign


def _step(channels_in: int, channels_out: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    ]


class Up(nn.Module):
    """Double the resolution, join what the encoder saw there, convolve."""

    def __init__(self, channels_in: int, channels_skip: int, channels_out: int) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.conv = nn.Sequential(*_step(channels_in + channels_skip, channels_out))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Return [N, C_out, 2 H, 2 W] for x [N, C_in, H, W] and skip [N, C_skip, 2 H, 2 W]."""
        out: Tensor = self.conv(torch.cat([self.up(x), skip], 1))
        return out


class UNet(nn.Module):
    """Four levels down, three up again, one linear layer per pixel to the logits."""

    def __init__(self, design: UNetDesign) -> None:
        super().__init__()
        first, second, third, fourth = design.widths
        self.stem = nn.Sequential(*_step(3, first))
        self.down1 = nn.Sequential(*_step(first, second, 2), *_step(second, second))
        self.down2 = nn.Sequential(*_step(second, third, 2), *_step(third, third))
        self.down3 = nn.Sequential(
            *_step(third, fourth, 2), *_step(fourth, fourth), *_step(fourth, fourth)
        )
        self.up2 = Up(fourth, third, third)
        self.up1 = Up(third, second, second)
        self.up0 = Up(second, first, first)
        self.head = nn.Conv2d(first, design.n_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, n_classes, H, W] for normalised pictures x [N, 3, H, W]."""
        full = self.stem(x)
        half = self.down1(full)
        quarter = self.down2(half)
        eighth = self.down3(quarter)
        logits: Tensor = self.head(self.up0(self.up1(self.up2(eighth, quarter), half), full))
        return logits
