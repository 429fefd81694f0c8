"""Gradients of layers, with respect to layers, and of functions of the output, in Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.keras_nets import KINDS, SIDE, functional
from tests.models.nets import picture
from tests.models.test_keras import batch
from xai_widgets.errors import LayerError, ModelError, TargetError
from xai_widgets.models import keras_model
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, FunctionTarget, LayerTarget

TARGETS = {
    "mean of a channel": (LayerTarget("conv_b", 3), lambda a: tf.reduce_mean(a[..., 3], (1, 2))),
    "maximum": (
        LayerTarget("conv_b", 3, reduce="max"),
        lambda a: tf.reduce_max(a[..., 3], (1, 2)),
    ),
    "neuron": (LayerTarget("conv_b", 3, (1, 2)), lambda a: a[:, 1, 2, 3]),
    "layer": (LayerTarget("conv_b"), lambda a: tf.reduce_mean(a, (1, 2, 3))),
}


def parts(source: Any) -> tuple[Any, Any, Any]:
    """Return the functional net cut at act_a and conv_b."""
    first = keras.Model(source.input, source.get_layer("act_a").output)
    second = source.get_layer("conv_b")
    return first, second, lambda a: source.get_layer("head")(source.get_layer("pool")(a))


def gradient(function: Any, x: Any) -> Any:
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = function(x)
    return tape.gradient(total, x).numpy()


@pytest.mark.parametrize("name", TARGETS)
def test_the_gradient_of_a_layers_reduction_equals_a_tape_by_hand(name: str) -> None:
    target, reduction = TARGETS[name]
    source = functional()
    model = load(source)
    first, second, _ = parts(source)
    expected = gradient(lambda x: reduction(second(first(x, training=False))), batch(3))
    found = model.gradients(batch(3), target)
    np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-7)
    scores = reduction(second(first(batch(3), training=False)))
    np.testing.assert_allclose(found.scores, scores, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.target_scores(batch(3), target), scores, rtol=1e-4, atol=1e-6)
    weights = np.array([1.0, 0.0, -2.0])
    reduced = model.gradients(batch(3), target, weights).values
    np.testing.assert_allclose(
        reduced, np.tensordot(weights, expected, axes=1), rtol=1e-3, atol=1e-6
    )
    inner = model.gradients(batch(3), target, layer="act_a").values
    expected = gradient(lambda a: reduction(second(a)), first(batch(3), training=False))
    np.testing.assert_allclose(inner, expected, rtol=1e-3, atol=1e-7)
    image = model.prepare(picture(SIDE, SIDE))
    forward = model.forward_pass(image)
    expected = gradient(lambda x: reduction(second(first(x, training=False))), image.values[None])
    np.testing.assert_allclose(forward.gradient(target), expected, rtol=1e-3, atol=1e-7)
    assert model.target_score(forward, target) == pytest.approx(
        float(reduction(second(first(image.values[None], training=False)))[0]), rel=1e-4
    )


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_at_a_layer_and_functions_of_the_output_hold_for_every_kind(kind: str) -> None:
    model = load(KINDS[kind](), input_size=SIDE)
    layer = str(model.recommended_layer)
    image = model.prepare(picture(SIDE, SIDE))
    forward = model.forward_pass(image)
    target = FunctionTarget(lambda y: y[:, 0] * y[:, 1])
    first, second = (forward.gradient(ClassTarget(i), layer) for i in (0, 1))
    expected = first * forward.scores[1] + second * forward.scores[0]
    images = np.stack([image.values, batch(1)[0]])
    found = model.gradients(images, target, layer=layer)
    np.testing.assert_allclose(found.values[:1], expected, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(forward.gradient(target, layer), expected, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(
        found.scores[0], forward.scores[0] * forward.scores[1], rtol=1e-3, atol=1e-6
    )
    inside = LayerTarget(layer, 1, reduce="max")
    found = model.gradients(images, inside)
    np.testing.assert_allclose(found.values[:1], forward.gradient(inside), rtol=1e-3, atol=1e-7)
    activations = model.activations(images, layer)
    np.testing.assert_allclose(activations[:1], forward.activation(layer), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        found.scores, activations.numpy()[..., 1].max((1, 2)), rtol=1e-4, atol=1e-6
    )


def test_activations_are_computed_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    source = functional()
    model = load(source)
    expected = parts(source)[0](batch(5), training=False)
    monkeypatch.setattr(type(model), "chunk_size", property(lambda _: 2))
    found = model.activations(batch(5), "act_a")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(LayerError, match="There is no layer"):
        model.activations(batch(1), "act_z")


@pytest.mark.parametrize("kind", ["functional", "eager"])
def test_a_layer_that_comes_later_is_no_source(kind: str) -> None:
    model = load(KINDS[kind](), input_size=SIDE)
    names = [layer.name for layer in model.layers]
    with pytest.raises(ModelError, match="does not depend on layer"):
        model.gradients(batch(1), LayerTarget(names[0]), layer=names[-1])
    with pytest.raises(TargetError, match="There is no channel 99"):
        model.gradients(batch(1), LayerTarget(names[0], 99))


def test_many_targets_keep_the_number_of_graphs_and_functions_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keras_model, "MAX_ORIGINS", 1)
    monkeypatch.setattr(keras_model, "MAX_GRAPHS", 2)
    monkeypatch.setattr("xai_widgets.models.keras_graph.MAX_FUNCTIONS", 2)
    model = load(functional(side=None), input_size=SIDE)
    expected = model.gradients(batch(1), LayerTarget("conv_b", 1)).values
    for side in (16, 20, 24):
        for name in ("conv_a", "norm", "act_a"):
            model.gradients(batch(1, side), LayerTarget(name))
            model.gradients(batch(1, side), FunctionTarget(lambda y: y[:, 0] ** 2))
    found = model.gradients(batch(1), LayerTarget("conv_b", 1)).values
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)
    assert len(model._traced) <= 2
    assert all(len(graph._cut) <= 2 for graph in model._traced.values())
