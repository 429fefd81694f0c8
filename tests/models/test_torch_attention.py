"""Attention is recorded from every form in which PyTorch code writes it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import nn

from tests.models.nets import convolutional, picture, seeded
from tests.models.test_torch_tokens import SMALL, deit, registers, swin, vit
from xai_widgets.errors import ModelError
from xai_widgets.models.architecture import Grid
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import ClassTarget, FunctionTarget, LayerTarget

WIDTH, HEADS = 12, 3


class Tokens(nn.Module):
    """Sixteen patches of 8 x 8 pixels, one attention, and the mean of what it returns."""

    def __init__(self, attend: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 8, 8)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.head = nn.Linear(WIDTH, 4)
        self.attend = attend

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        n, t, _ = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, HEADS, -1).permute(2, 0, 3, 1, 4) * 3
        return self.head(self.attend(q, k, v).transpose(1, 2).reshape(n, t, -1)).mean(1)


def written(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: Any = 0.0, scale: float | None = None
) -> torch.Tensor:
    scores = q @ k.transpose(-2, -1) * (q.shape[-1] ** -0.5 if scale is None else scale) + bias
    return scores.softmax(-1) @ v


def by_bmm(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    flat = [x.reshape(-1, *x.shape[2:]) for x in (q, k, v)]
    scores = torch.bmm(flat[0], flat[1].transpose(1, 2)) / math.sqrt(q.shape[-1])
    dropped = F.dropout(F.softmax(scores, dim=-1), 0.1, training=False)
    return torch.bmm(dropped, flat[2]).reshape(v.shape)


def by_einsum(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    scores = torch.einsum("nhtd,nhsd->nhts", q, k) / math.sqrt(q.shape[-1])
    return torch.einsum("nhts,nhsd->nhtd", scores.softmax(dim=3), v)


BIAS = torch.linspace(-2, 2, 256).reshape(16, 16)
BAND = (torch.arange(16)[:, None] - torch.arange(16)).abs() < 5
CAUSAL = torch.ones(16, 16, dtype=torch.bool).tril()
FORMS = {
    "fused": (F.scaled_dot_product_attention, written),
    "written out": (written, written),
    "bmm": (by_bmm, written),
    "einsum": (by_einsum, written),
    "additive mask": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, BIAS),
        lambda q, k, v: written(q, k, v, BIAS),
    ),
    "boolean mask": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=BAND),
        lambda q, k, v: written(q, k, v, torch.zeros(16, 16).masked_fill(~BAND, -math.inf)),
    ),
    "causal": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, None, 0.0, True),
        lambda q, k, v: written(q, k, v, torch.zeros(16, 16).masked_fill(~CAUSAL, -math.inf)),
    ),
    "scale": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=0.2),
        lambda q, k, v: written(q, k, v, scale=0.2),
    ),
    "shared keys": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k[:, :1], v[:, :1], enable_gqa=True),
        lambda q, k, v: written(q, k[:, :1].expand_as(q), v[:, :1].expand_as(q)),
    ),
}


def in_the_graph(
    attend: Callable[..., torch.Tensor], image: PreparedImage
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return output, probabilities and d output[1] / d probabilities, all by hand."""
    kept: list[torch.Tensor] = []

    class Kept(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            result = func(*args, **(kwargs or {}))
            if getattr(func, "__name__", "") == "softmax":
                kept.append(result)
            return result

    module = seeded(Tokens, attend)
    x = torch.from_numpy(image.values[None].copy()).permute(0, 3, 1, 2)
    with Kept():
        output = module(x)
    (gradient,) = torch.autograd.grad(output[0, 1], kept[0])
    return output[0].detach(), kept[0][0].detach(), gradient[0]


@pytest.mark.parametrize("form", FORMS)
def test_probabilities_and_their_gradients_equal_attention_written_out(form: str) -> None:
    own, explicit = FORMS[form]
    model = load(seeded(Tokens, own), input_size=32)
    image = model.prepare(picture())
    found = model.attention(image)
    output, weights, gradient = in_the_graph(explicit, image)
    (layer,) = found.layers
    assert (layer.heads, layer.tokens, layer.windows) == (HEADS, 16, 1)
    assert layer.grid == Grid(4, 4, 0)
    np.testing.assert_allclose(found.outputs, output, atol=1e-5)
    np.testing.assert_allclose(found.weights(0), weights, atol=1e-5)
    np.testing.assert_allclose(found.weights(0).sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(found.gradients(ClassTarget(1))[0], gradient, rtol=1e-3, atol=1e-7)
    assert "attention" not in model.capabilities.lacks


def test_a_query_that_may_attend_to_nothing_attends_to_nothing() -> None:
    mask = CAUSAL.clone()
    mask[3] = False
    model = load(
        seeded(Tokens, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask)),
        input_size=32,
    )
    image = model.prepare(picture())
    found = model.attention(image)
    assert found.weights(0)[:, 3].abs().sum() == 0
    np.testing.assert_allclose(found.outputs, model.scores(image.values[None])[0], atol=1e-5)


class Encoder(nn.Module):
    """PyTorch's own encoder layers on patches; ``need_weights`` is what the users left it at."""

    def __init__(self, batch_first: bool = True, need_weights: bool | None = None) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 8, 8)
        self.need_weights = need_weights
        self.batch_first = batch_first
        if need_weights is None:
            layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 16, batch_first=batch_first)
            self.encoder: nn.Module = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        else:
            self.encoder = nn.MultiheadAttention(WIDTH, HEADS, batch_first=batch_first)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x if self.batch_first else x.transpose(0, 1)
        if self.need_weights is None:
            x = self.encoder(x)
        else:
            x = self.encoder(x, x, x, need_weights=self.need_weights)[0]
        return self.head(x.mean(1 if self.batch_first else 0))


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
def test_multihead_attention_returns_the_weights_it_says_itself(
    batch_first: bool, need_weights: bool
) -> None:
    module = seeded(Encoder, batch_first, need_weights)
    model = load(module, input_size=32)
    image = model.prepare(picture())
    found = model.attention(image)
    (layer,) = found.layers
    assert (layer.name, layer.heads, layer.tokens) == ("encoder", HEADS, 16)
    tokens = module.patches(torch.from_numpy(image.values[None].copy()).permute(0, 3, 1, 2))
    x = tokens.flatten(2).transpose(1, 2)
    x = x if batch_first else x.transpose(0, 1)
    told = module.encoder(x, x, x, average_attn_weights=False)[1][0]
    np.testing.assert_allclose(found.weights(0), told.detach(), atol=1e-5)
    np.testing.assert_allclose(found.outputs, model.scores(image.values[None])[0], atol=1e-5)
    assert found.gradients(ClassTarget(0))[0].abs().sum() > 0


def test_the_encoders_fast_path_is_seen_through() -> None:
    module = seeded(Encoder)
    model = load(module, input_size=32)
    image = model.prepare(picture())
    found = model.attention(image)
    names = [layer.name for layer in found.layers]
    assert names == ["encoder.layers.0.self_attn", "encoder.layers.1.self_attn"]
    np.testing.assert_allclose(found.outputs, model.scores(image.values[None])[0], atol=1e-5)
    gradients = found.gradients(ClassTarget(0))
    assert [tuple(g.shape) for g in gradients] == [(HEADS, 16, 16)] * 2
    assert all(g.abs().sum() > 0 for g in gradients)


def with_attention(make: Callable[[], nn.Module], kind: str) -> ExplainableModel:
    module = seeded(make)
    module.config._attn_implementation = kind
    return load(module, input_size=32)


def beit() -> nn.Module:
    config = transformers.BeitConfig(**SMALL, use_relative_position_bias=True)
    return transformers.BeitForImageClassification(config)


@pytest.mark.parametrize("kind", ["eager", "sdpa"])
@pytest.mark.parametrize(("make", "prefix"), [(vit, 1), (deit, 2), (registers, 5), (beit, 1)])
def test_transformers_show_the_attention_they_return_themselves(
    make: Callable[[], nn.Module], prefix: int, kind: str
) -> None:
    model = with_attention(make, kind)
    assert "attention" not in model.capabilities.lacks
    image = model.prepare(picture())
    found = model.attention(image)
    assert [layer.grid for layer in found.layers] == [Grid(4, 4, prefix)] * 3
    np.testing.assert_allclose(found.outputs, model.scores(image.values[None])[0], atol=1e-5)
    x = torch.from_numpy(image.values[None].copy()).permute(0, 3, 1, 2)
    with torch.no_grad():
        own = with_attention(make, "eager").source(x, output_attentions=True).attentions
    for index, expected in enumerate(own):
        np.testing.assert_allclose(found.weights(index), expected[0], atol=1e-5)


@pytest.mark.parametrize("make", [vit, deit, beit])
def test_fused_and_eager_attention_have_the_same_gradients(make: Callable[[], nn.Module]) -> None:
    eager, fused = (with_attention(make, kind) for kind in ("eager", "sdpa"))
    image = eager.prepare(picture())
    one, other = (m.attention(image).gradients(ClassTarget(1)) for m in (eager, fused))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-7)


def test_layers_carry_the_names_of_their_modules() -> None:
    model = with_attention(vit, "sdpa")
    names = [layer.name for layer in model.attention(model.prepare(picture())).layers]
    assert names == [f"vit.layers.{i}.attention" for i in range(3)]
    assert set(names) <= set(dict(model.source.named_modules()))


def test_the_gradient_predicts_what_a_change_of_the_probabilities_does() -> None:
    model = load(seeded(Tokens, written), input_size=32)
    image = model.prepare(picture())
    found = model.attention(image)
    change = torch.randn(HEADS, 16, 16, generator=torch.Generator().manual_seed(0)) * 1e-2

    def changed(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return ((q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1) + change) @ v

    moved = load(seeded(Tokens, changed), input_size=32).scores(image.values[None])[0]
    expected = (found.gradients(ClassTarget(2))[0] * change).sum()
    assert float(moved[2] - found.outputs[2]) == pytest.approx(float(expected), rel=1e-2)


def test_targets_of_other_kinds_have_gradients_too() -> None:
    model = with_attention(vit, "sdpa")
    found = model.attention(model.prepare(picture()))
    own = FunctionTarget(lambda outputs: outputs.softmax(1)[:, 0], "probability")
    assert all(g.abs().sum() > 0 for g in found.gradients(own))
    middle = LayerTarget("vit.layers.1.layernorm_before", channel=2, position=(3,))
    first, *later = found.gradients(middle)
    assert first.abs().sum() > 0
    assert all(g.abs().sum() == 0 for g in later), "attention behind the layer cannot move it"


def test_windows_are_kept_apart_and_lack_the_whole_picture() -> None:
    model = with_attention(swin, "eager")
    assert "windows" in model.capabilities.lacks["attention"]
    found = model.attention(model.prepare(picture()))
    first = found.layers[0]
    assert (first.windows, first.tokens, first.grid) == (16, 16, None)
    assert found.weights(0).shape == (16, 1, 16, 16)
    assert found.gradients(ClassTarget(0))[0].shape == (16, 1, 16, 16)


def test_attention_to_fewer_tokens_is_none_that_can_be_followed() -> None:
    config = transformers.SegformerConfig(
        num_labels=3, hidden_sizes=[8, 8], depths=[1, 1], num_attention_heads=[1, 2],
        num_encoder_blocks=2, sr_ratios=[4, 2], patch_sizes=[7, 3], strides=[4, 2],
        mlp_ratios=[2, 2], decoder_hidden_size=8,
    )  # fmt: skip
    model = load(
        seeded(lambda: transformers.SegformerForImageClassification(config)), input_size=32
    )
    assert "fewer" in model.capabilities.lacks["attention"]
    with pytest.raises(ModelError, match="fewer"):
        model.attention(model.prepare(picture()))


def test_a_convolutional_network_has_no_attention_and_says_so() -> None:
    model = load(convolutional(), input_size=32)
    assert "no attention that can be seen" in model.capabilities.lacks["attention"]
    with pytest.raises(ModelError, match="no attention that can be seen"):
        model.attention(model.prepare(picture()))


def test_a_softmax_over_scores_is_no_attention() -> None:
    module = nn.Sequential(convolutional(), nn.Softmax(1))
    assert "attention" in load(module, input_size=32).capabilities.lacks


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_attention_comes_as_float32(dtype: torch.dtype) -> None:
    module = with_attention(vit, "sdpa").source
    plain = load(module, input_size=32)
    image = plain.prepare(picture())
    expected = plain.attention(image).weights(0)
    found = load(seeded(vit).to(dtype), input_size=32).attention(image)
    assert found.weights(0).dtype == torch.float32
    np.testing.assert_allclose(found.weights(0), expected, atol=0.01)
    assert found.gradients(ClassTarget(0))[0].isfinite().all()


def test_the_module_is_as_before_also_after_a_failure() -> None:
    module = seeded(vit).train()
    model = load(module, input_size=32)
    image = model.prepare(picture())
    model.attention(image).gradients(ClassTarget(0))
    handle = module.classifier.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ModelError):
        model.attention(image)
    handle.remove()
    assert all(part.training for part in module.modules())
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_a_program_for_two_images_at_once_shows_the_attention_of_one() -> None:
    module = seeded(Tokens, F.scaled_dot_product_attention)
    program = torch.export.export(module, (torch.zeros(2, 3, 32, 32),))
    fixed, free = load(program), load(module, input_size=32)
    assert "attention" not in fixed.capabilities.lacks
    image = fixed.prepare(picture())
    one, other = (m.attention(image) for m in (fixed, free))
    assert (one.layers[0].heads, one.layers[0].windows) == (HEADS, 1)
    np.testing.assert_allclose(one.weights(0), other.weights(0), atol=1e-5)
    np.testing.assert_allclose(
        one.gradients(ClassTarget(1))[0], other.gradients(ClassTarget(1))[0], rtol=1e-3, atol=1e-7
    )
