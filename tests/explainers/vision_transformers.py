"""Small vision transformers of every kind with random weights: CLS, registers, windows, hybrid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tests.models.nets import seeded
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load

SIDE = 48
SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "image_size": SIDE,
    "patch_size": 8,
    "num_labels": 3,
}


@dataclass(frozen=True)
class Kind:
    """A transformer, the grid of its last tokens, and how many tokens come before the patches."""

    make: Callable[[], nn.Module]
    grid: tuple[int, int]
    prefix: int | None
    attends_everywhere: bool


def _vit(**options: Any) -> nn.Module:
    import transformers

    return transformers.ViTForImageClassification(transformers.ViTConfig(**SMALL, **options))


def _deit() -> nn.Module:
    import transformers

    return transformers.DeiTForImageClassificationWithTeacher(transformers.DeiTConfig(**SMALL))


def _registers() -> nn.Module:
    import transformers

    config = transformers.Dinov2WithRegistersConfig(
        **{k: v for k, v in SMALL.items() if k != "intermediate_size"}, num_register_tokens=4
    )
    return transformers.Dinov2WithRegistersForImageClassification(config)


def _swin() -> nn.Module:
    import transformers

    config = transformers.SwinConfig(
        image_size=SIDE,
        patch_size=4,
        embed_dim=8,
        depths=[1, 2],
        num_heads=[1, 2],
        window_size=3,
        num_labels=3,
    )
    return transformers.SwinForImageClassification(config)


def awake(module: nn.Module) -> nn.Module:
    """Give convolutions and linear layers weights of the usual size for their width."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight)
    return module


def hybrid() -> ExplainableModel:
    """Return MobileViT: convolutions, then attention within a map, which stays a map."""
    import transformers

    config = transformers.MobileViTConfig(
        image_size=64,
        hidden_sizes=[8, 12, 16],
        neck_hidden_sizes=[4, 4, 6, 6, 8, 8, 12],
        num_attention_heads=2,
        num_labels=3,
        output_stride=32,
    )
    module = seeded(lambda: awake(transformers.MobileViTForImageClassification(config)))
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    with torch.no_grad():  # untrained, it is dead unless its statistics are those of some pictures
        for norm in norms:
            norm.momentum = 1.0
            norm.train()
        module(torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    return load(module.eval(), input_size=64)


KINDS: dict[str, Kind] = {
    "vit": Kind(_vit, (6, 6), 1, True),
    "deit": Kind(_deit, (6, 6), 2, True),
    "registers": Kind(_registers, (6, 6), 5, True),
    "swin": Kind(_swin, (6, 6), 0, False),
}


def transformer(name: str) -> ExplainableModel:
    """Return a loaded transformer."""
    module = seeded(KINDS[name].make)
    with torch.no_grad():  # untrained heads hardly answer
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4.0)
    return load(module, input_size=SIDE)
