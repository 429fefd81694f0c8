"""One forward pass of a batch kept at several layers: any target, and what a moved layer does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from tests.explainers.test_untouched import unchanged as module_unchanged
from tests.explainers.test_untouched import user_model
from tests.models import keras_nets
from tests.models.keras_transformers import vit as keras_vit
from tests.models.nets import ChannelsLast, Residual, Twice, convolutional, seeded
from tests.models.test_keras_untouched import unchanged as keras_unchanged
from xai_widgets.errors import LayerError, ModelError
from xai_widgets.models import keras_eager, keras_pass, torch_seeing
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, LayerTarget

SMALL = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
    "num_labels": 4,
}


def torch_vit() -> nn.Module:
    return transformers.ViTForImageClassification(transformers.ViTConfig(**SMALL))


def torch_swin() -> nn.Module:
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


@dataclass(frozen=True)
class Case:
    """A model, and layers of it: an early, a late one, one that returns a vector."""

    make: Callable[[], Any]
    side: int
    layers: tuple[str, ...]

    def model(self) -> ExplainableModel:
        return load(self.make(), input_size=self.side)


CASES = {
    "in-place ReLUs": Case(
        lambda: seeded(Residual), 32, ("layer2.0.bn2", "layer2", "layer3.0.bn2", "fc")
    ),
    "sequential": Case(lambda: convolutional(nn.Softplus), 32, ("0", "2", "5")),
    "channels last": Case(lambda: seeded(ChannelsLast), 32, ("stem", "mix", "head")),
    "runs twice": Case(lambda: seeded(Twice), 32, ("stem", "shared")),
    "ViT": Case(
        lambda: seeded(torch_vit),
        32,
        ("vit.layers.0", "vit.layers.1.layernorm_before", "classifier"),
    ),
    "Swin": Case(
        lambda: seeded(torch_swin),
        32,
        ("swin.encoder.layers.0.blocks.1", "swin.encoder.layers.1.blocks.0", "swin.layernorm"),
    ),
    "Keras functional": Case(keras_nets.functional, 16, ("conv_a", "conv_b", "pool", "head")),
    "Keras nested": Case(
        keras_nets.nested, 16, ("middle/backbone/conv_a", "middle/backbone/conv_b", "pool")
    ),
    "Keras shared": Case(keras_nets.shared, 16, ("stem", "shared", "sum")),
    "Keras subclassed": Case(keras_nets.subclassed, 16, ("first", "second", "pool")),
    "Keras eager": Case(keras_nets.eager, 16, ("first", "second", "pool")),
    "Keras ViT": Case(keras_vit, 16, ()),
}


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> tuple[ExplainableModel, tuple[str, ...], Any]:
    chosen = CASES[request.param]
    model = chosen.model()
    layers = chosen.layers or tuple(layer.name for layer in model.layers[-4:])
    values = np.random.default_rng(1).random((3, *model.input_shape), dtype=np.float32)
    return model, layers, values


def arrays(model: ExplainableModel, found: Any, layers: Sequence[str]) -> dict[str, Any]:
    return {layer: model.backend.to_numpy(found[layer]) for layer in layers}


def outputs_of(model: ExplainableModel, images: Any) -> Any:
    return model.backend.to_numpy(model.outputs(images))


Given = tuple[ExplainableModel, tuple[str, ...], Any]


def test_activations_and_outputs_are_those_of_plain_passes(case: Given) -> None:
    model, layers, images = case
    for gradients in (True, False):
        passed = model.recorded(images, layers, gradients)
        np.testing.assert_allclose(passed.outputs, outputs_of(model, images), atol=1e-5)
        for layer in layers:
            found = model.backend.to_numpy(passed.activation(layer))
            assert found.shape == (3, *model.layer(layer).shape)
            if layer in {entry.name for entry in model.layers}:
                expected = model.backend.to_numpy(model.activations(images, layer))
                np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("target", [ClassTarget(1), ClassTarget(2, versus=0)])
def test_a_batchs_gradients_are_those_of_single_images(case: Given, target: ClassTarget) -> None:
    model, layers, images = case
    both = [model.recorded(images, layers, keep) for keep in (True, False)]
    singles = [model.recorded(images[i : i + 1], layers) for i in range(3)]
    for passed in both:
        found = arrays(model, passed.gradients(target, layers), layers)
        for i, single in enumerate(singles):
            expected = arrays(model, single.gradients(target, layers), layers)
            for layer in layers:
                np.testing.assert_allclose(
                    found[layer][i], expected[layer][0], rtol=1e-3, atol=1e-6
                )
                assert np.abs(found[layer]).max() > 0


def test_layers_recorded_together_have_the_gradients_they_have_alone(case: Given) -> None:
    model, layers, images = case
    together = arrays(
        model, model.recorded(images, layers).gradients(ClassTarget(0), layers), layers
    )
    for layer in layers:
        if layer in {entry.name for entry in model.layers}:
            alone = model.gradients(images, ClassTarget(0), layer=layer).values
            np.testing.assert_allclose(
                together[layer], model.backend.to_numpy(alone), rtol=1e-3, atol=1e-6
            )


def test_a_shift_of_a_layer_moves_the_outputs_by_its_gradient(case: Given) -> None:
    model, layers, images = case
    passed = model.recorded(images, layers)
    for layer in layers:
        activation = model.backend.to_numpy(passed.activation(layer))
        direction = np.random.default_rng(2).normal(size=activation.shape).astype(np.float32)
        gradient = arrays(model, passed.gradients(ClassTarget(1), [layer]), [layer])[layer]
        step = 2e-3 / np.abs(direction).max()
        ahead = model.backend.to_numpy(model.shifted_outputs(images, layer, step * direction))
        behind = model.backend.to_numpy(model.shifted_outputs(images, layer, -step * direction))
        plain = outputs_of(model, images)
        slope = (ahead - behind)[:, 1] / (2 * step)
        # A ReLU that switches within the step makes the slopes on the two sides differ.
        bend = np.abs(ahead - 2 * plain + behind)[:, 1].max() / step
        expected = (gradient * direction).reshape(3, -1).sum(axis=1)
        tolerance = 0.02 * np.abs(expected).max() + 2e-3 + bend
        np.testing.assert_allclose(slope, expected, rtol=0, atol=tolerance)
        assert bend < np.abs(expected).max()


def test_no_shift_changes_nothing_and_one_image_takes_many(case: Given) -> None:
    model, layers, images = case
    plain = outputs_of(model, images[:1])
    for layer in layers:
        shape = model.layer(layer).shape
        shifts = np.zeros((5, *[1] * len(shape)), np.float32)
        np.testing.assert_allclose(
            model.shifted_outputs(images[:1], layer, shifts), np.repeat(plain, 5, 0), atol=1e-5
        )
        shifts[:] = np.linspace(-0.5, 0.5, 5).reshape(shifts.shape)
        many = np.repeat(images[:1], 5, axis=0)
        np.testing.assert_allclose(
            model.shifted_outputs(images[:1], layer, shifts),
            model.backend.to_numpy(model.shifted_outputs(many, layer, shifts)),
            rtol=1e-4,
            atol=1e-5,
        )


def test_more_targets_run_no_forward_pass() -> None:
    calls: list[int] = []
    module = seeded(Residual)
    model = load(module, input_size=32)
    module.conv1.register_forward_hook(lambda _m, inputs, _o: calls.append(len(inputs[0])))
    images = np.random.default_rng(0).random((4, 32, 32, 3), dtype=np.float32)
    passed = model.recorded(images, ["layer2", "layer3"])
    assert calls == [4]
    for index in range(5):
        passed.gradients(ClassTarget(index), ["layer2", "layer3"])
        passed.gradients(ClassTarget(index), ["layer3"])
    passed.activation("layer2")
    assert calls == [4]


def test_nothing_is_recorded_before_the_earliest_layer() -> None:
    recording: dict[str, bool] = {}
    module = seeded(Residual)
    model = load(module, input_size=32)
    for name in ("layer1", "layer3", "fc"):
        getattr(module, name).register_forward_hook(
            lambda *_, name=name: recording.update({name: torch.is_grad_enabled()})
        )
    images = np.zeros((2, 32, 32, 3), np.float32)
    model.recorded(images, ["layer3", "layer2"])
    assert recording == {"layer1": False, "layer3": True, "fc": True}
    model.recorded(images, ["layer3", "layer2"], gradients=False)
    assert recording == {"layer1": False, "layer3": False, "fc": False}


@pytest.mark.parametrize("name", ["in-place ReLUs", "Keras functional", "Keras eager"])
def test_a_pass_over_the_memory_cap_is_computed_again(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, layers = CASES[name].model(), CASES[name].layers
    images = np.random.default_rng(1).random((3, *model.input_shape), dtype=np.float32)
    kept = model.recorded(images, layers)
    whole = kept.nbytes
    for module in (torch_seeing, keras_pass, keras_eager):
        monkeypatch.setattr(module, "RETAINED_BYTES", 100)
    capped = model.recorded(images, layers)
    assert capped.nbytes < whole
    for _ in range(2):
        found = arrays(model, capped.gradients(ClassTarget(1), layers), layers)
        expected = arrays(model, kept.gradients(ClassTarget(1), layers), layers)
        for layer in layers:
            np.testing.assert_allclose(found[layer], expected[layer], rtol=1e-4, atol=1e-7)
            np.testing.assert_array_equal(capped.activation(layer), kept.activation(layer))
    assert capped.nbytes < whole


def test_targets_that_are_layers_work_on_kept_passes(case: Given) -> None:
    model, layers, images = case
    late = max(
        (name for name in layers if name in {entry.name for entry in model.layers}),
        key=[entry.name for entry in model.layers].index,
    )
    early = layers[0]
    if early == late:
        pytest.skip("one layer alone")
    target = LayerTarget(late, 1)
    found = model.recorded(images, layers).gradients(target, [early])[early]
    expected = model.gradients(images, target, layer=early).values
    np.testing.assert_allclose(
        model.backend.to_numpy(found), model.backend.to_numpy(expected), rtol=1e-3, atol=1e-6
    )


def test_a_layer_that_does_not_exist_is_refused_with_near_matches(case: Given) -> None:
    model, layers, images = case
    with pytest.raises(LayerError, match=f"Did you mean.*{layers[0]}"):
        model.recorded(images, [layers[0] + "x"])
    with pytest.raises(LayerError, match="do not fit layer"):
        model.shifted_outputs(images, layers[0], np.zeros((3, 99), np.float32))


def test_a_module_is_left_as_it_was_after_success_and_failure() -> None:
    module = user_model()
    model = load(module, input_size=32)
    images = np.random.default_rng(0).random((3, 32, 32, 3), dtype=np.float32)
    with module_unchanged(module):
        passed = model.recorded(images, ["conv", "relu"])
        passed.gradients(ClassTarget(1), ["conv", "relu"])
        model.recorded(images, ["bn"], gradients=False).gradients(ClassTarget(0), ["bn"])
        model.shifted_outputs(images, "bn", np.ones((3, 1, 1, 1), np.float32))
        model.shifted_outputs(images[:1], "bn", np.ones((9, 1, 1, 1), np.float32))
        attempts: list[Callable[[], Any]] = [
            lambda: model.recorded(images, ["conv"]),
            lambda: model.recorded(images, ["conv"], gradients=False),
            lambda: model.shifted_outputs(images, "bn", np.ones((3, 1, 1, 1))),
            lambda: model.shifted_outputs(images[:1], "bn", np.ones((3, 1, 1, 1))),
        ]
        for attempt in attempts:
            module.fails_in = 0
            with pytest.raises(ModelError, match="out of memory"):
                attempt()
        module.fails_in = 1  # while one image runs as many
        with pytest.raises(ModelError, match="out of memory"):
            model.shifted_outputs(images[:1], "relu", np.ones((3, 1, 1, 1)))
        module.fails_in = None


def test_a_keras_model_is_left_as_it_was() -> None:
    for make in (keras_nets.functional, keras_nets.nested, keras_nets.eager):
        source = make()
        source.compile("adam", "mse")
        model = load(source, input_size=16)
        layers = [model.layers[0].name, model.layers[-1].name]
        images = np.random.default_rng(0).random((3, 16, 16, 3), dtype=np.float32)
        with keras_unchanged(source):
            model.recorded(images, layers).gradients(ClassTarget(1), layers)
            model.recorded(images, layers, gradients=False)
            model.shifted_outputs(images[:1], layers[0], np.ones((4, 1, 1, 1), np.float32))
            with pytest.raises(LayerError):
                model.shifted_outputs(images, layers[0], np.ones((3, 7, 7, 1), np.float32))


def test_a_program_of_one_batch_size_gives_the_same() -> None:
    module = convolutional(nn.Softplus)
    program = torch.export.export(module, (torch.zeros(2, 3, 32, 32),))
    model, plain = load(program), load(module, input_size=32)
    layers = [layer.name for layer in plain.layers if layer.name in ("0", "2")]
    images = np.random.default_rng(1).random((3, 32, 32, 3), dtype=np.float32)
    found, expected = model.recorded(images, layers), plain.recorded(images, layers)
    assert found.nbytes > 0
    np.testing.assert_allclose(found.outputs, expected.outputs, atol=1e-6)
    for layer in layers:
        np.testing.assert_allclose(found.activation(layer), expected.activation(layer), atol=1e-6)
        np.testing.assert_allclose(
            found.gradients(ClassTarget(1), [layer])[layer],
            expected.gradients(ClassTarget(1), [layer])[layer],
            atol=1e-7,
        )
        shifts = np.linspace(-1, 1, 4, dtype=np.float32).reshape(4, 1, 1, 1)
        np.testing.assert_allclose(
            model.shifted_outputs(images[:1], layer, shifts),
            plain.shifted_outputs(images[:1], layer, shifts),
            atol=1e-6,
        )


def test_a_model_without_layers_says_so(tmp_path: Any) -> None:
    traced = torch.jit.trace(convolutional(), torch.zeros(1, 3, 32, 32))
    model = load(traced, input_size=32)
    with pytest.raises(LayerError, match="no layer"):
        model.recorded(np.zeros((1, 32, 32, 3), np.float32), ["0"])
