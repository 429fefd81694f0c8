"""Guided backpropagation and deconvolution on PyTorch, against networks written out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.models.nets import SIDE, Residual, Restless, convolutional, picture, seeded
from xai_widgets.errors import ModelError
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, LayerTarget

RULES = ("guided", "deconvolution")


class Rule(torch.autograd.Function):
    """The rules as published: relu(g), times 1[0 < x < ceiling] for guided backpropagation."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, rule: str, ceiling: float) -> torch.Tensor:
        ctx.save_for_backward((x > 0) & (x < ceiling))
        ctx.rule = rule
        return x.clamp(0, ceiling)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        passed = torch.relu(gradients[0])
        return passed * ctx.saved_tensors[0] if ctx.rule == "guided" else passed, None, None


class Net(nn.Module):
    """Three convolutions with one activation between them, given as a function."""

    def __init__(self, activation: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, 2, 1)
        self.c = nn.Conv2d(6, 3, 3, 2, 1)
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.activation(self.b(self.activation(self.a(x))))
        return self.activation(self.c(x)).mean((2, 3))


def batch(n: int = 2) -> Any:
    return np.random.default_rng(0).normal(size=(n, SIDE, SIDE, 3)).astype(np.float32)


def by_hand(rule: str, images: Any, ceiling: float) -> Any:
    module = seeded(Net, lambda x: Rule.apply(x, rule, ceiling))
    x = torch.from_numpy(images).permute(0, 3, 1, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(module(x)[:, 1].sum(), x)
    return gradient.permute(0, 2, 3, 1)


def in_place_method(x: torch.Tensor) -> torch.Tensor:
    x.relu_()  # and its return value is not used
    return x


STYLES = {
    "module": nn.ReLU(),
    "in-place module": nn.ReLU(inplace=True),
    "functional": F.relu,
    "functional in place": lambda x: F.relu(x, inplace=True),
    "functional in place by position": lambda x: F.relu(x, True),
    "torch": torch.relu,
    "torch in place": torch.relu_,
    "method": lambda x: x.relu(),
    "method in place": in_place_method,
    "clamp": lambda x: x.clamp(min=0),
    "torch.clamp": lambda x: torch.clamp(x, 0),
    "clamp in place": lambda x: x.clamp_(min=0.0),
    "clamp_min": lambda x: x.clamp_min(0),
    "threshold": lambda x: F.threshold(x, 0, 0),
    "maximum": lambda x: torch.maximum(x, torch.zeros(())),
}
STYLES6 = {
    "ReLU6": nn.ReLU6(),
    "ReLU6 in place": nn.ReLU6(inplace=True),
    "F.relu6": F.relu6,
    "hardtanh": lambda x: F.hardtanh(x, 0.0, 6.0),
    "Hardtanh in place": nn.Hardtanh(0, 6, inplace=True),
    "clamp": lambda x: x.clamp(0, 6),
    "method": lambda x: torch.ops.aten.relu6(x),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("style", STYLES)
def test_a_relu_obeys_the_rule_however_it_is_called(style: str, rule: str) -> None:
    model = load(seeded(Net, STYLES[style]), input_size=SIDE)
    assert "relu" not in model.capabilities.lacks
    found = model.gradients(batch(), ClassTarget(1), rule=rule).values
    expected = by_hand(rule, batch(), torch.inf)
    plain = model.gradients(batch(), ClassTarget(1)).values
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-8)
    assert (found - plain).abs().max() > 0.1 * plain.abs().max()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("style", STYLES6)
def test_relu6_is_a_relu_with_a_ceiling(style: str, rule: str) -> None:
    images = batch() * 20  # so that the ceiling is reached
    model = load(seeded(Net, STYLES6[style]), input_size=SIDE)
    found = model.gradients(images, ClassTarget(1), rule=rule).values
    np.testing.assert_allclose(found, by_hand(rule, images, 6.0), rtol=1e-3, atol=1e-8)
    if rule == "guided":
        assert (found - by_hand(rule, images, torch.inf)).abs().max() > 0


@pytest.mark.parametrize("rule", RULES)
def test_the_score_under_a_rule_is_the_models_own(rule: str) -> None:
    model = load(seeded(Residual), input_size=SIDE)
    found = model.gradients(batch(), ClassTarget(1), rule=rule)
    np.testing.assert_allclose(found.scores, model.scores(batch())[:, 1], rtol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_in_place_and_reused_relus_of_a_residual_network_give_the_same_map(rule: str) -> None:
    overwritten, plain = (
        load(seeded(Residual, inplace=inplace), input_size=SIDE) for inplace in (True, False)
    )
    found, expected = (
        m.gradients(batch(), ClassTarget(2), rule=rule).values for m in (overwritten, plain)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_rules_hold_at_layers_and_for_targets_at_layers(rule: str) -> None:
    module = seeded(Net, torch.relu)
    model = load(module, input_size=SIDE)
    at_layer = model.gradients(batch(), ClassTarget(1), rule=rule, layer="a").values
    hidden = module.a(torch.from_numpy(batch()).permute(0, 3, 1, 2)).detach().requires_grad_()

    def act(x: torch.Tensor) -> torch.Tensor:
        return Rule.apply(x, rule, torch.inf)

    score = act(module.c(act(module.b(act(hidden))))).mean((2, 3))[:, 1]
    (expected,) = torch.autograd.grad(score.sum(), hidden)
    np.testing.assert_allclose(at_layer, expected.permute(0, 2, 3, 1), rtol=1e-3, atol=1e-8)
    to_layer = model.gradients(batch(), LayerTarget("b", channel=0), rule=rule).values
    x = torch.from_numpy(batch()).permute(0, 3, 1, 2).requires_grad_()
    (expected,) = torch.autograd.grad(module.b(act(module.a(x)))[:, 0].mean((1, 2)).sum(), x)
    np.testing.assert_allclose(to_layer, expected.permute(0, 2, 3, 1), rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize(
    ("activation", "named"), [(nn.GELU, "GELU"), (nn.SiLU, "SiLU"), (nn.LeakyReLU, "LeakyReLU")]
)
def test_a_network_without_relus_refuses_with_a_sentence(activation: Any, named: str) -> None:
    model = load(convolutional(activation), input_size=SIDE)
    assert f"no ReLU (it uses {named})" in model.capabilities.lacks["relu"]
    with pytest.raises(ModelError, match="no ReLU that can be seen"):
        model.gradients(batch(), ClassTarget(0), rule="guided")


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_scripted_network_refuses_with_a_sentence() -> None:
    model = load(torch.jit.script(convolutional()), input_size=SIDE)
    assert "TorchScript" in model.capabilities.lacks["relu"]
    with pytest.raises(ModelError, match="no ReLU that can be seen"):
        model.gradients(batch(), ClassTarget(0), rule="guided")


def test_an_exported_program_obeys_the_rule() -> None:
    module = seeded(Net, torch.relu)
    example = torch.zeros(2, 3, SIDE, SIDE)
    program = torch.export.export(module, (example,))
    found = load(program).gradients(batch(), ClassTarget(1), rule="guided").values
    np.testing.assert_allclose(found, by_hand("guided", batch(), torch.inf), rtol=1e-3, atol=1e-8)


def test_an_unknown_rule_is_a_sentence() -> None:
    with pytest.raises(ModelError, match="no backward rule 'lrp'"):
        load(convolutional(), input_size=SIDE).gradients(batch(), ClassTarget(0), rule="lrp")


def test_a_rule_leaves_the_module_as_it_was_also_after_a_failure() -> None:
    module = seeded(Restless)
    model = load(module, input_size=SIDE)
    state = {name: value.clone() for name, value in module.state_dict().items()}
    image = model.prepare(picture())
    before = model.gradients(image.values[None], ClassTarget(0)).values
    model.gradients(image.values[None], ClassTarget(0), rule="guided")
    module.fails_in = 0
    with pytest.raises(ModelError, match="out of memory"):
        model.gradients(image.values[None], ClassTarget(0), rule="deconvolution")
    module.fails_in = None
    after = model.gradients(image.values[None], ClassTarget(0)).values
    assert torch.equal(before, after)
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
