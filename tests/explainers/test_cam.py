"""Grad-CAM equals its formula, and is refused where it means nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.explainers.helpers import TORCH, quick
from tests.models.nets import ChannelsLast, Linear, NoGrad, Residual, picture, seeded
from xai_widgets.errors import LayerError, MethodError
from xai_widgets.explainers.registry import methods
from xai_widgets.maps import upsample
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget


def by_hand(model: ExplainableModel, values: Any, layer: str, target: ClassTarget) -> Any:
    """Return relu(sum_k mean(d score / d A_k) A_k), with a hook of our own."""
    kept: list[torch.Tensor] = []
    module = model.source
    handle = module.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, output: kept.append(output) or output.clone()
    )
    try:
        scores = module(torch.from_numpy(values)[None].permute(0, 3, 1, 2))
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(target(scores, TORCH).sum(), kept[-1])
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return torch.relu((weights * kept[-1]).sum(dim=1))[0].detach().numpy()


@pytest.mark.parametrize("layer", ["layer3", "layer2", "layer1.0.conv2", "layer2.0.bn1"])
@pytest.mark.parametrize("target", [ClassTarget(1), ClassTarget(0, versus=4)])
def test_it_equals_the_formula(layer: str, target: ClassTarget) -> None:
    model = load(seeded(Residual), input_size=(64, 96))
    image = model.prepare(picture(64, 96))
    result = quick(model, "grad_cam", image, target=target, layer=layer)
    coarse = by_hand(model, image.values, layer, target)
    np.testing.assert_allclose(result.attribution, upsample(coarse, (64, 96)), rtol=1e-4, atol=1e-8)
    assert result.attribution.shape == (64, 96)
    assert result.attribution.min() >= 0 and not result.signed
    assert result.layer == layer


def test_the_recommended_layer_is_used_unless_told_otherwise() -> None:
    model = load(seeded(Residual), input_size=64)
    result = quick(model, "grad_cam")
    assert result.layer == "layer3" == result.provenance["layer"]
    assert result.diagnostics["layer_shape"] == [4, 4, 8]


def test_channels_that_come_last_are_weighted_as_channels() -> None:
    module = seeded(ChannelsLast)
    model = load(module, input_size=(32, 48))
    image = model.prepare(picture(32, 48))
    x = torch.from_numpy(image.values)[None].permute(0, 3, 1, 2)
    activation = module.act(module.mix(module.norm(module.stem(x).permute(0, 2, 3, 1))))
    weights = module.head.weight[1] / (8 * 12)
    expected = torch.relu((activation * weights).sum(dim=3))[0].detach().numpy()
    result = quick(model, "grad_cam", image, target=1, layer="act")
    np.testing.assert_allclose(result.attribution, upsample(expected, (32, 48)), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "side", "told"),
    [
        (lambda: Linear(8), 8, "no layer whose output is a feature map"),
        (NoGrad, 32, "does not depend on layer"),
    ],
)
def test_where_it_does_not_apply_the_list_of_methods_says_what_explain_says(
    make: Callable[[], nn.Module], side: int, told: str
) -> None:
    model = load(seeded(make), input_size=side)
    (record,) = (record for record in methods(model) if record["method"] == "grad_cam")
    assert not record["applicable"] and told in record["reason"]
    with pytest.raises(MethodError, match=told):
        quick(model, "grad_cam")


@pytest.mark.parametrize(
    ("layer", "told"),
    [("layer9", "There is no layer 'layer9'. Did you mean"), (3, "There is no layer 3")],
)
def test_an_unknown_layer_is_refused(layer: Any, told: str) -> None:
    with pytest.raises(LayerError, match=told):
        quick(load(seeded(Residual), input_size=64), "grad_cam", layer=layer)


class Mixed(nn.Module):
    """A feature map in the end, and tokens on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 4, 4)
        self.tokens = nn.LayerNorm(4)
        self.last = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        tokens = self.tokens(x.flatten(2).transpose(1, 2))
        x = self.last(tokens.transpose(1, 2).reshape(x.shape))
        return self.head(x.mean((2, 3)))


def test_a_layer_of_tokens_is_looked_at_on_its_grid() -> None:
    model = load(seeded(Mixed), input_size=32)
    assert model.recommended_layer == "last"
    result = quick(model, "grad_cam", layer="tokens")
    assert result.diagnostics["layer_shape"] == [8, 8, 4]
    assert result.attribution.shape == (32, 32) and result.attribution.max() > 0


class Trailing(Mixed):
    """Tokens whose number fits no grid."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        tokens = self.tokens(torch.cat([tokens, tokens[:, :34]], dim=1))  # 98
        return self.head(self.last(self.stem(x)).mean((2, 3))) + tokens.mean()


def test_a_layer_without_a_place_on_the_picture_is_refused_with_a_sentence() -> None:
    model = load(seeded(Trailing), input_size=32)
    with pytest.raises(LayerError, match="'tokens' is no feature map: choose a layer with height"):
        quick(model, "grad_cam", layer="tokens")
