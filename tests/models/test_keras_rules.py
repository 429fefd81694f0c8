"""Guided backprop's and deconvolution's rules on every way a Keras model writes a ReLU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.keras_nets import KINDS, SIDE, L, awake, functional, settled, subclassed
from tests.models.test_keras import batch
from tests.models.test_keras_untouched import unchanged
from xai_widgets.errors import ModelError
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, LayerTarget

RULES = ("guided", "deconvolution")
STYLES: dict[str, Callable[[], Any]] = {
    "string": lambda: L.Activation("relu"),
    "layer": lambda: L.ReLU(),
    "keras op": lambda: L.Lambda(keras.ops.relu),
    "tf op": lambda: L.Lambda(tf.nn.relu),
    "maximum": lambda: L.Lambda(lambda x: tf.maximum(x, 0.0)),
    "maximum of zero": lambda: L.Lambda(lambda x: keras.ops.maximum(0.0, x)),
    "custom layer": lambda: Custom(),
}


class Custom(L.Layer):
    """A layer that calls the operation itself."""

    def call(self, x: Any) -> Any:
        return keras.ops.relu(x)


def net(relu: Callable[[], Any]) -> keras.Model:
    """Two dense layers over a picture of two pixels, and a ReLU between them."""
    image = keras.Input((1, 2, 1))
    hidden = relu()(L.Dense(3, use_bias=False, name="first")(L.Flatten()(image)))
    model = keras.Model(image, L.Dense(2, use_bias=False, name="second")(hidden))
    model.set_weights([FIRST, SECOND])
    return model


FIRST = np.array([[1.0, -2.0, 3.0], [2.0, 1.0, -1.0]], np.float32)
SECOND = np.array([[1.0, 0.0], [5.0, 1.0], [-1.0, 2.0]], np.float32)


def by_hand(x: Any, rule: str, index: int, high: float = np.inf) -> Any:
    """Return the rule's map of `net`, solved by hand."""
    hidden = x.reshape(-1, 2) @ FIRST
    back = np.maximum(SECOND[:, index], 0) * np.ones_like(hidden)
    if rule == "guided":
        back = back * (hidden > 0) * (hidden < high)
    return (back @ FIRST.T).reshape(x.shape)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("style", STYLES)
def test_the_rule_equals_the_solution_by_hand_for_every_style(style: str, rule: str) -> None:
    model = load(net(STYLES[style]))
    x = np.array([[1.0, 2.0], [2.0, -1.0], [-1.0, 0.5]], np.float32).reshape(3, 1, 2, 1)
    assert "relu" not in model.capabilities.lacks
    for index in (0, 1):
        found = model.gradients(x, ClassTarget(index), rule=rule)
        np.testing.assert_allclose(found.values, by_hand(x, rule, index), rtol=1e-6)
        plain = model.gradients(x, ClassTarget(index)).values
        assert index == 1 or np.abs(plain - found.values).max() > 0.1
        np.testing.assert_allclose(found.scores, model.scores(x)[:, index], rtol=1e-6)
    weights = np.array([1.0, -3.0, 0.5])
    reduced = model.gradients(x, ClassTarget(1), weights, rule=rule).values
    expected = np.tensordot(weights, by_hand(x, rule, 1), axes=1)
    np.testing.assert_allclose(reduced, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "relu6",
    [
        lambda: L.ReLU(max_value=6),
        lambda: L.Activation("relu6"),
        lambda: L.ReLU(max_value=5),
        lambda: L.Lambda(lambda x: tf.clip_by_value(x, 0.0, 5.0)),
    ],
    ids=["layer", "string", "another maximum", "clip"],
)
def test_a_relu_with_a_maximum_is_closed_above_it(relu6: Callable[[], Any]) -> None:
    model = load(net(relu6))
    x = np.array([[1.0, 2.0], [4.0, 3.0], [3.0, -2.0]], np.float32).reshape(3, 1, 2, 1)
    found = model.gradients(x, ClassTarget(1), rule="guided").values
    np.testing.assert_allclose(found, by_hand(x, "guided", 1, high=5.5), rtol=1e-6)


def test_relus_inside_nested_and_reused_layers_count() -> None:
    relu = L.ReLU()
    image = keras.Input((SIDE, SIDE, 3))
    inner = keras.Input((SIDE, SIDE, 3))
    block = keras.Model(inner, relu(L.Conv2D(3, 3, padding="same", name="inside")(inner)))
    x = relu(L.Conv2D(3, 3, padding="same", name="outside")(block(image)))
    source = settled(keras.Model(image, L.Dense(2)(L.GlobalAveragePooling2D()(x))))
    model = load(source)

    @tf.custom_gradient
    def guided(x: Any) -> Any:
        return tf.nn.relu(x), lambda g: tf.where(x > 0, tf.nn.relu(g), 0.0)

    x = tf.constant(batch(2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        first = guided(block.get_layer("inside")(x))
        second = guided(source.get_layer("outside")(first))
        scores = source.layers[-1](tf.reduce_mean(second, (1, 2)))[:, 0]
    found = model.gradients(batch(2), ClassTarget(0), rule="guided").values
    np.testing.assert_allclose(found, tape.gradient(scores, x), rtol=1e-3, atol=1e-7)


def test_a_rule_also_holds_at_a_layer_and_from_a_layer() -> None:
    model = load(functional("relu"))
    at_layer = model.gradients(batch(2), ClassTarget(0), rule="guided", layer="act_a").values
    assert tuple(at_layer.shape) == (2, 8, 8, 5)
    found = model.gradients(batch(2), LayerTarget("conv_b", 2), rule="guided").values
    plain = model.gradients(batch(2), LayerTarget("conv_b", 2)).values
    assert np.abs(found - plain).max() > 1e-4


@pytest.mark.parametrize("activation", ["gelu", "silu", "hard_swish", "tanh"])
@pytest.mark.parametrize("rule", RULES)
def test_a_network_without_relu_is_refused(activation: str, rule: str) -> None:
    model = load(functional(activation))
    assert "has no ReLU" in model.capabilities.lacks["relu"]
    with pytest.raises(ModelError, match="has no ReLU"):
        model.gradients(batch(1), ClassTarget(0), rule=rule)


def test_a_model_that_runs_eagerly_is_refused() -> None:
    model = load(KINDS["eager"](), input_size=SIDE)
    for rule in (*RULES, "rescale"):
        with pytest.raises(ModelError, match="cannot be traced by TensorFlow"):
            model.gradients(batch(2), ClassTarget(0), rule=rule)


@pytest.mark.parametrize("rule", [*RULES, "rescale"])
def test_a_rule_leaves_the_model_and_its_own_gradient_as_they_were(rule: str) -> None:
    source = functional("relu")
    source.compile("adam", "mse")
    source.fit(batch(4), np.zeros((4, 3)), verbose=0)
    model = load(source)
    before = model.gradients(batch(2), ClassTarget(0)).values
    with unchanged(source):
        model.gradients(batch(2), ClassTarget(0), rule=rule)
    np.testing.assert_array_equal(model.gradients(batch(2), ClassTarget(0)).values, before)
    x = tf.constant(batch(2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        scores = source(x)[:, 0]
    np.testing.assert_allclose(tape.gradient(scores, x), before, rtol=1e-3, atol=1e-7)


def test_an_exception_while_a_rule_is_traced_leaves_the_model_as_it_was() -> None:
    fail: list[bool] = []

    def maybe(x: Any) -> Any:
        if fail:
            raise RuntimeError("no more")
        return tf.nn.relu(x)

    source = subclassed(before=maybe)
    source.compile("sgd", "mse")
    model = load(source, input_size=SIDE)
    fail.append(True)
    with unchanged(source), pytest.raises(ModelError, match="no more"):
        model.gradients(batch(2), ClassTarget(0), rule="guided")


def test_guided_backprop_changes_the_map_of_a_deep_network() -> None:
    source = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, classes=4, classifier_activation=None
    )
    model = load(awake(source, 32), preprocessing={"value_range": (0, 255)})
    images = 255 * batch(1, 32)
    plain = model.gradients(images, ClassTarget(0)).values.numpy()
    guided = model.gradients(images, ClassTarget(0), rule="guided").values.numpy()
    assert np.isfinite(guided).all()
    assert abs(np.corrcoef(plain.ravel(), guided.ravel())[0, 1]) < 0.95
