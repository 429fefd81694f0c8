"""Layer and function targets on PyTorch, at the input and at layers, equal autograd by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.models.nets import (
    SIDE,
    Residual,
    Restless,
    Twice,
    Wrapped,
    convolutional,
    picture,
    seeded,
)
from xai_widgets.errors import LayerError, ModelError, TargetError
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, FunctionTarget, LayerTarget, Target


def batch(n: int) -> Any:
    return np.random.default_rng(0).random((n, SIDE, SIDE, 3), dtype=np.float32)


def nchw(images: Any) -> torch.Tensor:
    return torch.from_numpy(images.copy()).permute(0, 3, 1, 2)


LAYER_TARGETS = [
    (LayerTarget("2"), lambda a: a.mean(dim=(1, 2, 3))),
    (LayerTarget("2", channel=3), lambda a: a[:, 3].mean(dim=(1, 2))),
    (LayerTarget("2", channel=3, reduce="max"), lambda a: a[:, 3].amax(dim=(1, 2))),
    (LayerTarget("2", channel=1, position=(2, 5)), lambda a: a[:, 1, 2, 5]),
    (LayerTarget("2", position=(2, 5)), lambda a: a[:, :, 2, 5].mean(dim=1)),
]


@pytest.mark.parametrize(("target", "reduce"), LAYER_TARGETS)
def test_a_layers_output_is_differentiated_at_the_input(target: Target, reduce: Any) -> None:
    module = convolutional(nn.Softplus)
    model = load(module, input_size=SIDE)
    images = batch(3)
    x = nchw(images).requires_grad_()
    scores = reduce(module[:3](x))
    (expected,) = torch.autograd.grad(scores.sum(), x)
    found = model.gradients(images, target)
    np.testing.assert_allclose(found.values, expected.permute(0, 2, 3, 1), rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(found.scores, scores.detach(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.target_scores(images, target), found.scores, atol=1e-6)
    image = model.prepare(picture())
    forward = model.forward_pass(image)
    alone = model.gradients(image.values[None], target)
    np.testing.assert_allclose(forward.gradient(target), alone.values, rtol=1e-3, atol=1e-7)
    assert model.target_score(forward, target) == pytest.approx(float(alone.scores[0]), abs=1e-6)


@pytest.mark.parametrize(("target", "reduce"), LAYER_TARGETS)
def test_a_layers_output_is_differentiated_at_a_layer_before_it(
    target: Target, reduce: Any
) -> None:
    module = convolutional(nn.Softplus)
    model = load(module, input_size=SIDE)
    images = batch(3)
    start = module[:2](nchw(images)).detach().requires_grad_()
    (expected,) = torch.autograd.grad(reduce(module[2](start)).sum(), start)
    found = model.gradients(images, target, layer="1").values
    np.testing.assert_allclose(found, expected.permute(0, 2, 3, 1), rtol=1e-3, atol=1e-7)


def test_a_layer_target_at_its_own_layer_is_the_reduction() -> None:
    model = load(convolutional(), input_size=SIDE)
    found = model.gradients(batch(2), LayerTarget("2", channel=3, position=(1, 2)), layer="2")
    expected = np.zeros((2, 8, 8, 8))
    expected[:, 1, 2, 3] = 1
    np.testing.assert_array_equal(found.values, expected)


def test_a_layer_behind_the_targets_is_a_sentence() -> None:
    model = load(convolutional(), input_size=SIDE)
    with pytest.raises(ModelError, match="does not depend on layer '2'"):
        model.gradients(batch(1), LayerTarget("1"), layer="2")


@pytest.mark.parametrize("layer", ["0", "1", "2", "3"])
def test_gradients_of_a_class_at_a_layer_in_batches_equal_those_of_the_retained_pass(
    layer: str,
) -> None:
    model = load(convolutional(), input_size=SIDE)
    images = [model.prepare(picture(seed=i)) for i in range(3)]
    found = model.gradients(np.stack([i.values for i in images]), ClassTarget(1), layer=layer)
    for i, image in enumerate(images):
        alone = model.forward_pass(image).gradient(ClassTarget(1), layer)
        np.testing.assert_allclose(found.values[i], alone[0], rtol=1e-4, atol=1e-7)


def test_weights_reduce_gradients_at_a_layer() -> None:
    model = load(convolutional(nn.Softplus), input_size=SIDE)
    weights = np.array([0.5, -2.0, 1.0])
    plain = model.gradients(batch(3), ClassTarget(0), layer="2").values.numpy()
    reduced = model.gradients(batch(3), ClassTarget(0), weights, layer="2").values
    np.testing.assert_allclose(reduced, np.tensordot(weights, plain, 1), rtol=1e-4, atol=1e-7)


def test_in_place_operations_behind_a_layer_do_not_change_its_target() -> None:
    overwritten, plain = (
        load(seeded(Residual, inplace=inplace), input_size=SIDE) for inplace in (True, False)
    )
    for layer in ("conv1", "bn1", "layer1.0.bn2", "layer2"):
        target = LayerTarget(layer, channel=1)
        found, expected = (m.gradients(batch(2), target) for m in (overwritten, plain))
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4, err_msg=layer)
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-3, atol=1e-7)


def test_activations_come_in_chunks_and_survive_in_place_operations() -> None:
    sizes: list[int] = []
    module = seeded(Residual)
    model = load(module, input_size=SIDE)
    images = batch(70)
    with torch.no_grad():
        expected = module.bn1(module.conv1(nchw(images)))
    handle = module.register_forward_hook(lambda _m, inputs, _o: sizes.append(len(inputs[0])))
    found = model.activations(images, "bn1")
    handle.remove()
    assert sizes == [64, 6]
    np.testing.assert_allclose(found, expected.permute(0, 2, 3, 1), rtol=1e-4, atol=1e-5)


def test_the_activation_of_a_module_that_runs_twice_is_that_of_its_last_call() -> None:
    model = load(seeded(Twice), input_size=SIDE)
    image = model.prepare(picture())
    np.testing.assert_allclose(
        model.activations(image.values[None], "shared"),
        model.forward_pass(image).activation("shared"),
        rtol=1e-4,
        atol=1e-6,
    )


def test_an_unknown_layer_is_a_sentence() -> None:
    model = load(convolutional(), input_size=SIDE)
    for call in (
        lambda: model.activations(batch(1), "9"),
        lambda: model.gradients(batch(1), ClassTarget(0), layer="9"),
    ):
        with pytest.raises(LayerError, match="no layer '9'"):
            call()


def test_an_own_function_of_the_output_is_differentiated_as_by_hand() -> None:
    module = convolutional(nn.Softplus)
    model = load(module, input_size=SIDE)

    def entropy(outputs: torch.Tensor) -> torch.Tensor:
        logs = outputs.log_softmax(1)
        return -(logs.exp() * logs).sum(1)

    images = batch(3)
    x = nchw(images).requires_grad_()
    scores = entropy(module(x))
    (expected,) = torch.autograd.grad(scores.sum(), x)
    target = FunctionTarget(entropy, "entropy")
    found = model.gradients(images, target)
    np.testing.assert_allclose(found.values, expected.permute(0, 2, 3, 1), rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(found.scores, scores.detach(), rtol=1e-5)
    image = model.prepare(picture())
    alone = model.gradients(image.values[None], target).values
    retained = model.forward_pass(image).gradient(target)
    np.testing.assert_allclose(retained, alone, rtol=1e-3, atol=1e-8)


def test_an_own_function_without_a_gradient_is_told_apart_from_a_model_without_one() -> None:
    model = load(convolutional(), input_size=SIDE)
    target = FunctionTarget(lambda outputs: outputs.detach()[:, 0], "cut")
    with pytest.raises(ModelError, match="The target has no gradient"):
        model.gradients(batch(1), target)


def test_an_own_function_that_reduces_wrongly_is_a_sentence() -> None:
    model = load(convolutional(), input_size=SIDE)
    with pytest.raises(TargetError):
        model.gradients(batch(2), FunctionTarget(lambda outputs: outputs.sum(), "sum"))


def test_layers_can_be_targets_where_the_score_itself_has_no_gradient() -> None:
    model = load(Wrapped(after=lambda s: s.detach()), input_size=SIDE)
    found = model.gradients(batch(1), LayerTarget("net.2", channel=0))
    assert found.values.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_targets_of_half_precision_models_come_as_float32(dtype: torch.dtype) -> None:
    model = load(convolutional().to(dtype), input_size=SIDE)
    plain = load(convolutional(), input_size=SIDE)
    target = LayerTarget("2", channel=3)
    found, expected = model.gradients(batch(1), target), plain.gradients(batch(1), target)
    assert found.values.dtype == found.scores.dtype == torch.float32
    np.testing.assert_allclose(found.scores, expected.scores, atol=0.02)
    assert model.activations(batch(1), "2").dtype == torch.float32


def test_a_restless_module_is_as_before_after_targets_at_layers_and_failures() -> None:
    module = seeded(Restless)
    model = load(module, input_size=SIDE)
    state = {name: value.clone() for name, value in module.state_dict().items()}
    random_state = torch.get_rng_state()
    image = batch(2)
    kept = image.copy()
    model.gradients(image, LayerTarget("bn", channel=1), layer="conv")
    model.activations(image, "bn")
    module.fails_in = 0
    for call in (
        lambda: model.gradients(image, LayerTarget("bn"), layer="conv"),
        lambda: model.activations(image, "bn"),
    ):
        with pytest.raises(ModelError, match="out of memory"):
            call()
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    np.testing.assert_array_equal(image, kept)
    assert not any(part._forward_hooks for part in module.modules())
    assert [p.requires_grad for p in module.parameters()].count(False) == 2
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_program_for_two_images_at_once_gives_each_its_own_maps() -> None:
    module = convolutional(nn.GELU)
    images = batch(4)
    program = torch.export.export(module, (nchw(images[:2]),))
    fixed, free = load(program), load(module, input_size=SIDE)
    target = LayerTarget("2", channel=3)
    np.testing.assert_allclose(
        fixed.activations(images[:3], "2"), free.activations(images[:3], "2"), atol=1e-5
    )
    for options in ({}, {"layer": "0"}, {"weights": np.arange(4.0)}):
        found, expected = (m.gradients(images, target, **options) for m in (fixed, free))
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4, atol=1e-6)
    found, expected = (
        m.gradients(images, ClassTarget(1), rule="rescale", layer="0") for m in (fixed, free)
    )
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-2, atol=1e-6)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4, atol=1e-6)
    image = fixed.prepare(picture())
    one, other = (m.forward_pass(image) for m in (fixed, free))
    np.testing.assert_allclose(one.activation("2"), other.activation("2"), atol=1e-5)
    np.testing.assert_allclose(
        one.gradient(target, "0"), other.gradient(target, "0"), rtol=1e-3, atol=1e-7
    )
