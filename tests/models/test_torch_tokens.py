"""Layers of tokens are feature maps: their grid, and the one at which the patches still matter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from tests.models.nets import FAULTS, convolutional, picture, seeded
from xai_widgets.models.architecture import Grid
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, LayerTarget

SMALL = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
    "num_labels": 4,
}


def vit() -> nn.Module:
    return transformers.ViTForImageClassification(transformers.ViTConfig(**SMALL))


def deit() -> nn.Module:
    return transformers.DeiTForImageClassification(transformers.DeiTConfig(**SMALL))


def registers() -> nn.Module:
    config = transformers.Dinov2WithRegistersConfig(**SMALL, num_register_tokens=4, mlp_ratio=2)
    return transformers.Dinov2WithRegistersForImageClassification(config)


def swin() -> nn.Module:
    config = transformers.SwinConfig(
        image_size=32,
        patch_size=2,
        embed_dim=8,
        depths=[2, 2],
        num_heads=[1, 2],
        window_size=4,
        num_labels=4,
    )
    return transformers.SwinForImageClassification(config)


def loaded(make: Callable[[], nn.Module]) -> ExplainableModel:
    return load(seeded(make), input_size=32)


@pytest.mark.parametrize(
    ("make", "layer", "grid"),
    [
        (vit, "vit.layers.2.layernorm_before", Grid(4, 4, 1)),
        (deit, "deit.layers.2.layernorm_before", Grid(4, 4, 2)),
        (swin, "swin.layernorm", Grid(8, 8, 0)),
    ],
)
def test_the_last_layer_whose_patches_move_the_score_is_recommended(
    make: Callable[[], nn.Module], layer: str, grid: Grid
) -> None:
    model = loaded(make)
    assert model.recommended_layer == layer
    assert model.layer(layer).grid == grid
    assert model.layer(layer).main
    assert not FAULTS & set(model.capabilities.lacks)
    assert "patches" not in model.capabilities.lacks


@pytest.mark.parametrize("make", [vit, deit, swin, registers])
def test_gradients_at_the_recommended_tokens_lie_on_the_patch_grid(
    make: Callable[[], nn.Module],
) -> None:
    model = loaded(make)
    layer = model.recommended_layer
    assert layer is not None
    grid = model.layer(layer).grid
    assert grid is not None
    forward = model.forward_pass(model.prepare(picture()))
    tokens = forward.gradient(ClassTarget(0), layer)
    assert tokens.shape[:2] == (1, grid.prefix + grid.rows * grid.columns)
    on_grid = model.feature_map(layer, tokens)
    assert on_grid.shape == (1, grid.rows, grid.columns, tokens.shape[2])
    assert on_grid.abs().sum() > 0
    np.testing.assert_array_equal(on_grid[0, 1, 2], tokens[0, grid.prefix + grid.columns + 2])


def test_tokens_behind_the_recommended_layer_have_no_gradient_at_the_patches() -> None:
    model = loaded(vit)
    forward = model.forward_pass(model.prepare(picture()))
    last = "vit.layers.2.layernorm_after"
    gradient = forward.gradient(ClassTarget(0), last)
    assert gradient[:, 0].abs().sum() > 0
    assert gradient[:, 1:].abs().sum() == 0


def test_registers_are_kept_off_the_grid() -> None:
    model = loaded(registers)
    assert model.recommended_layer is not None
    assert model.layer(model.recommended_layer).grid == Grid(4, 4, 5)


def test_the_patch_layer_is_the_first_with_a_token_per_patch() -> None:
    model = loaded(vit)
    assert model.patch_layer is not None
    assert model.layer(model.patch_layer).grid in (Grid(4, 4, 0), Grid(4, 4, 1))
    found = model.gradients(np.zeros((2, 32, 32, 3)), ClassTarget(0), layer=model.patch_layer)
    assert found.values.shape[0] == 2 and found.values.abs().sum() > 0


def test_one_token_can_be_a_target() -> None:
    module = seeded(vit)
    model = load(module, input_size=32)
    image = model.prepare(picture())
    target = LayerTarget("vit.layers.1.layernorm_before", channel=5, position=(7,))
    kept: list[torch.Tensor] = []
    handle = module.vit.layers[1].layernorm_before.register_forward_hook(
        lambda _m, _i, output: kept.append(output)
    )
    x = torch.from_numpy(image.values[None].copy()).permute(0, 3, 1, 2).requires_grad_()
    module(x)
    handle.remove()
    (expected,) = torch.autograd.grad(kept[0][0, 7, 5], x)
    found = model.gradients(image.values[None], target).values
    np.testing.assert_allclose(found, expected.permute(0, 2, 3, 1), rtol=1e-3, atol=1e-7)


def test_a_convolutional_network_has_no_patches_and_says_so() -> None:
    model = load(convolutional(), input_size=32)
    assert "no patches" in model.capabilities.lacks["patches"]
    assert model.patch_layer is None
