"""On transformers, maps come on the patch grid by themselves, and attention by its formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.explainers.helpers import quick, relative
from tests.explainers.test_cam_family import FORMULAS
from tests.explainers.vision_transformers import KINDS, SIDE, hybrid, transformer
from tests.models.nets import picture, seeded
from xai_widgets.errors import MethodError
from xai_widgets.explainers.registry import methods
from xai_widgets.maps import upsample
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load

pytest.importorskip("transformers")

TARGET = 1
EVERYWHERE = [name for name, kind in KINDS.items() if kind.attends_everywhere]


def run(model: ExplainableModel, values: Any, **options: Any) -> Any:
    x = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]
    return model.source(x, **options)


def tokens(model: ExplainableModel, values: Any, layer: str) -> tuple[Any, Any]:
    """Return a layer's tokens and their gradients, [T, D], with a hook of our own."""
    kept: list[torch.Tensor] = []
    handle = model.source.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, output: kept.append(output)
    )
    try:
        scores = run(model, values).logits
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(scores[0, TARGET], kept[-1])
    return tuple(tensor.detach()[0].double().numpy() for tensor in (kept[-1], gradient))


@pytest.mark.parametrize("method", FORMULAS)
@pytest.mark.parametrize("name", KINDS)
def test_maps_of_tokens_lie_on_the_patch_grid(name: str, method: str) -> None:
    kind, model = KINDS[name], transformer(name)
    image = model.prepare(picture(SIDE, SIDE))
    result = quick(model, method, image, target=TARGET)
    a, g = (
        part[kind.prefix :].reshape(*kind.grid, -1)
        for part in tokens(model, image.values, str(result.layer))
    )
    assert np.abs(g).max() > 0, "the recommended layer is one whose patches the score depends on"
    expected = upsample(FORMULAS[method](a, g).astype(np.float32), (SIDE, SIDE))
    np.testing.assert_allclose(result.attribution, expected, rtol=1e-3, atol=1e-6)
    assert result.diagnostics["layer_shape"][:2] == list(kind.grid)


@pytest.mark.parametrize("method", ["eigen_cam", "score_cam"])
@pytest.mark.parametrize("name", KINDS)
def test_methods_without_gradients_know_the_grid_too(name: str, method: str) -> None:
    result = quick(transformer(name), method, picture(SIDE, SIDE), target=TARGET)
    assert result.attribution.shape == (SIDE, SIDE)
    assert result.diagnostics["layer_shape"][:2] == list(KINDS[name].grid)
    assert np.isfinite(result.attribution).all()


@pytest.mark.parametrize("method", [*FORMULAS, "eigen_cam", "score_cam"])
def test_a_hybrid_of_convolutions_and_attention_ends_in_a_map(method: str) -> None:
    model = hybrid()
    result = quick(model, method, picture(64, 64), target=TARGET)
    assert result.diagnostics["layer_shape"][:2] == [2, 2]
    assert np.isfinite(result.attribution).all()


def test_several_layers_of_tokens_are_fused() -> None:
    model = transformer("vit")
    blocks = [f"vit.layers.{k}.layernorm_before" for k in (1, 2)]
    result = quick(model, "hires_cam", picture(SIDE, SIDE), target=TARGET, layer=blocks)
    assert result.layer == tuple(blocks) and np.abs(result.attribution).max() > 0


def attentions(model: ExplainableModel, values: Any) -> tuple[list[Any], list[Any]]:
    """Return attention probabilities and their gradients [heads, T, T], by transformers itself."""
    before = model.source.config._attn_implementation
    model.source.set_attn_implementation("eager")
    try:
        output = run(model, values, output_attentions=True)
    finally:
        model.source.set_attn_implementation(before)
    score = output.logits[0, TARGET]
    gradients = torch.autograd.grad(score, output.attentions)
    return (
        [one.detach()[0].double().numpy() for one in output.attentions],
        [one[0].double().numpy() for one in gradients],
    )


def rollout(weights: list[Any]) -> Any:
    result = np.eye(weights[0].shape[1])
    for one in weights:
        mixed = one.mean(axis=0) + np.eye(one.shape[1])
        result = mixed / mixed.sum(axis=1, keepdims=True) @ result
    return result


def relevance(weights: list[Any], gradients: list[Any]) -> Any:
    result = np.eye(weights[0].shape[1])
    for one, gradient in zip(weights, gradients, strict=True):
        result = result + np.maximum(one * gradient, 0).mean(axis=0) @ result
    return result


@pytest.mark.parametrize("method", ["attention_rollout", "attention_relevance"])
@pytest.mark.parametrize("name", EVERYWHERE)
def test_attention_is_followed_as_the_papers_do(name: str, method: str) -> None:
    kind, model = KINDS[name], transformer(name)
    image = model.prepare(picture(SIDE, SIDE))
    weights, gradients = attentions(model, image.values)
    flow = rollout(weights) if method == "attention_rollout" else relevance(weights, gradients)
    expected = flow[0, kind.prefix :].reshape(kind.grid)
    result = quick(model, method, image, target=TARGET)
    assert relative(result.attribution, upsample(expected.astype(np.float32), (SIDE, SIDE))) < 1e-3
    assert result.attribution.min() >= 0 and not result.signed
    assert result.diagnostics == {"layers": 3, "grid": [6, 6], "read_from": "CLS"}
    with torch.no_grad():
        score = float(run(model, image.values).logits[0, TARGET])
    assert result.score == pytest.approx(score, abs=1e-5)


def test_rollout_is_the_same_for_every_class_and_says_so_and_relevance_is_not() -> None:
    model = transformer("vit")
    maps = {
        method: [quick(model, method, picture(SIDE, SIDE), target=k).attribution for k in (0, 1)]
        for method in ("attention_rollout", "attention_relevance")
    }
    np.testing.assert_array_equal(*maps["attention_rollout"])
    assert relative(*maps["attention_relevance"]) > 0.05
    notes = {record["method"]: record["note"] for record in methods(model)}
    assert "Class-agnostic" in notes["attention_rollout"]
    assert notes["attention_relevance"] is None


@pytest.mark.parametrize("method", ["attention_rollout", "attention_relevance"])
def test_attention_in_windows_is_refused_with_a_sentence(method: str) -> None:
    model = transformer("swin")
    with pytest.raises(MethodError, match="stays inside of windows"):
        quick(model, method, picture(SIDE, SIDE))


class Pooled(nn.Module):
    """Two layers of fused attention over patches, and a mean over these: no CLS token.

    With ``registers``, tokens come before the patches that the score is not read from.
    """

    def __init__(self, registers: int = 0) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, 8)
        self.registers = nn.Parameter(torch.randn(1, registers, 8))
        self.mix = nn.ModuleList([nn.Linear(8, 24) for _ in range(2)])
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor, seen: list[torch.Tensor] | None = None) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.registers.expand(len(x), -1, -1), x], dim=1)
        for mix in self.mix:
            q, k, v = (part[:, None] for part in mix(x).chunk(3, dim=-1))
            if seen is None:
                x = x + nn.functional.scaled_dot_product_attention(q, k, v)[:, 0]
            else:
                seen.append(torch.softmax(q @ k.transpose(-1, -2) / 8**0.5, dim=-1))
                x = x + (seen[-1] @ v)[:, 0]
        return self.head(self.norm(x)[:, self.registers.shape[1] :].mean(1))


@pytest.mark.parametrize("registers", [0, 3])
@pytest.mark.parametrize("method", ["attention_rollout", "attention_relevance"])
def test_without_a_cls_token_the_rows_of_the_patches_are_averaged(
    method: str, registers: int
) -> None:
    module = seeded(Pooled, registers)
    with torch.no_grad():
        for mix in module.mix:
            mix.weight.mul_(3.0)
    model = load(module, input_size=SIDE)
    image = model.prepare(picture(SIDE, SIDE))
    seen: list[torch.Tensor] = []
    x = torch.from_numpy(np.ascontiguousarray(image.values.transpose(2, 0, 1)))[None]
    score = module(x, seen)[0, TARGET]
    gradients = [one[0].double().numpy() for one in torch.autograd.grad(score, seen)]
    weights = [one.detach()[0].double().numpy() for one in seen]
    flow = rollout(weights)
    if method == "attention_relevance":
        flow = relevance(weights, gradients) - np.eye(36 + registers)
    expected = flow[registers:, registers:].mean(axis=0).reshape(6, 6)
    result = quick(model, method, image, target=TARGET)
    assert relative(result.attribution, upsample(expected.astype(np.float32), (SIDE, SIDE))) < 1e-3
    assert result.diagnostics["read_from"] == "patches"
