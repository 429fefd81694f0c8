"""Healthy PyTorch models raise no false alarm, and are as they were after the check."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import transformers
from torch import nn

import xai_widgets as xw
from tests.models.nets import Block, Contained, Deep, Residual, Restless, seeded

N_CLASSES = 10


def resnet() -> nn.Module:
    config = transformers.ResNetConfig(
        num_labels=N_CLASSES, embedding_size=16, hidden_sizes=[16, 32, 64], depths=[1, 2, 1]
    )
    return transformers.ResNetForImageClassification(config)


def convnext() -> nn.Module:
    config = transformers.ConvNextConfig(
        num_labels=N_CLASSES, image_size=64, hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 2, 1]
    )
    return transformers.ConvNextForImageClassification(config)


def vit() -> nn.Module:
    config = transformers.ViTConfig(
        num_labels=N_CLASSES,
        image_size=64,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=96,
    )
    return transformers.ViTForImageClassification(config)


def swin() -> nn.Module:
    config = transformers.SwinConfig(
        num_labels=N_CLASSES,
        image_size=64,
        embed_dim=24,
        depths=[2, 2],
        num_heads=[2, 4],
        window_size=4,
    )
    return transformers.SwinForImageClassification(config)


def segformer() -> nn.Module:
    config = transformers.SegformerConfig(
        num_labels=N_CLASSES,
        hidden_sizes=[16, 32, 40, 64],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 2, 2, 4],
    )
    return transformers.SegformerForImageClassification(config)


def alarms(report: xw.Report) -> list[xw.Report]:
    return [f for f in report.findings if f.level in ("warning", "error")]


@pytest.mark.parametrize(
    "make",
    [resnet, convnext, vit, swin, segformer, Residual, Contained, Deep,
     lambda: nn.Sequential(Block(3, 8, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())],
)  # fmt: skip
def test_a_healthy_model_raises_no_alarm(make: Callable[[], nn.Module]) -> None:
    model = xw.load(seeded(make), input_size=64)
    report = xw.check(model)
    assert report.verdict == "explainable"
    assert alarms(report) == []
    norms = [layer.gradient_norm for layer in report.layers]
    assert all(layer.finite for layer in report.layers)
    assert any(norm is not None and norm > 0 for norm in norms)
    assert [layer.name for layer in report.layers if layer.recommended] == [
        layer.name for layer in model.layers if layer.recommended
    ]


@pytest.mark.parametrize("name", ["lesions", "lesions-shortcut", "animals", "digits"])
def test_a_demo_model_raises_no_alarm(name: str) -> None:
    report = xw.check(xw.demo.model(name))
    assert report.verdict == "explainable"
    assert alarms(report) == []


def test_every_layer_gets_its_gradient_norm() -> None:
    module = seeded(Residual)
    model = xw.load(module, input_size=64)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    report = xw.check(model, image)
    forward = model.forward_pass(model.prepare(image))
    target = xw.ClassTarget(int(forward.scores.argmax()))
    norms = {layer.name: layer.gradient_norm for layer in report.layers}
    for layer in model.layers:
        expected = float(forward.gradient(target, layer.name).norm())
        assert norms[layer.name] == pytest.approx(expected, rel=1e-4), layer.name
    assert norms["fc"] == pytest.approx(1.0)


def state(module: nn.Module) -> list[object]:
    tensors = [value.clone() for value in module.state_dict().values()]
    flags = [
        (
            part.training,
            len(part._forward_hooks),
            len(part._forward_pre_hooks),
            len(part._forward_hooks_with_kwargs),
            sorted(vars(part)),
        )
        for part in module.modules()
    ]
    gradients = [(p.grad, p.requires_grad) for p in module.parameters()]
    return [tensors, flags, gradients, torch.get_rng_state()]


def same(one: list[object], other: list[object]) -> bool:
    tensors = all(torch.equal(a, b) for a, b in zip(one[0], other[0], strict=True))
    return tensors and one[1:3] == other[1:3] and torch.equal(one[3], other[3])


@pytest.mark.parametrize("mode", ["grad", "no_grad", "inference_mode"])
def test_the_model_is_as_it_was_whatever_mode_the_caller_is_in(mode: str) -> None:
    module = seeded(Restless).train()
    model = xw.load(module, input_size=32)
    before = state(module)
    contexts = {
        "grad": torch.enable_grad,
        "no_grad": torch.no_grad,
        "inference_mode": torch.inference_mode,
    }
    with contexts[mode]():
        report = xw.check(model)
    assert same(before, state(module))
    assert "determinism" in [f.check for f in alarms(report)]
    assert report.verdict == "explainable"


def test_a_model_that_fails_half_way_is_as_it_was() -> None:
    module = seeded(Restless)
    model = xw.load(module, input_size=32)
    module.fails_in = 1
    before = state(module)
    report = xw.check(model)
    assert same(before, state(module))
    assert "out of memory" in str(report)


def test_the_reference_decides_whether_an_export_predicts_what_it_should() -> None:
    module, other = seeded(Residual), seeded(Residual)
    model = xw.load(module, input_size=64)
    with torch.no_grad():
        other.fc.bias[0] += 3
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    scores = model.scores(model.prepare(image).values[None]).numpy()

    def level(reference: object) -> str:
        report = xw.check(model, image, reference)
        return next(f.level for f in report.findings if f.check == "reference")

    assert level(scores[0]) == "ok"
    assert level(scores) == "ok"
    assert level(lambda values: model.scores(values)) == "ok"
    assert level(xw.load(seeded(Residual), input_size=64)) == "ok"
    assert level(xw.load(other, input_size=64)) == "error"
    assert level(scores[0] * 1.01) == "warning"
    assert level(scores[0, :3]) == "error"


def test_untrained_weights_that_do_not_react_are_named() -> None:
    module = seeded(Deep)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(0.02)
    report = xw.check(xw.load(module, input_size=64))
    assert "vanishing" in [finding.cause for finding in alarms(report)]
