"""Training pictures seen anew: mirrored, turned, shifted, and in another light."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .recipes import Recipe


def _uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def moved(x: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Return float arrays [N, H, W, C] mirrored, turned and shifted by whole pixels.

    Masks may ride along as further channels: every value is one that was there.
    """
    n = len(x)
    if recipe.mirrors:
        x = torch.where(_uniform(generator, 0, 1, n, 1, 1, 1) < 0.5, x.flip(2), x)
    if recipe.turns:
        x = torch.where(_uniform(generator, 0, 1, n, 1, 1, 1) < 0.5, x.flip(1), x)
        x = torch.where(_uniform(generator, 0, 1, n, 1, 1, 1) < 0.5, x.transpose(1, 2), x)
    s = recipe.shift_px
    if s:
        padded = F.pad(x.permute(0, 3, 1, 2), (s, s, s, s), mode="replicate").permute(0, 2, 3, 1)
        dy, dx = torch.randint(0, 2 * s + 1, (2,), generator=generator).tolist()
        x = padded[:, dy : dy + x.shape[1], dx : dx + x.shape[2]]
    return x


def relit(x: Tensor, generator: torch.Generator) -> Tensor:
    """Return pictures [N, H, W, 3] in the 0..255 scale in other light, and with noise."""
    n = len(x)
    contrast = _uniform(generator, 0.8, 1.2, n, 1, 1, 1)
    brightness = _uniform(generator, -0.08, 0.08, n, 1, 1, 3) * 255
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * contrast + mean + brightness
    level = _uniform(generator, 0, 0.05, n, 1, 1, 1) * 255
    x = x + level * torch.randn(x.shape, generator=generator)
    return x.clamp(0, 255)


def augmented(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Return uint8 images [N, H, W, 3] mirrored, turned, shifted, relit and with noise.

    The result is float32 in the 0..255 scale.
    """
    return relit(moved(images.float(), recipe, generator), generator)
